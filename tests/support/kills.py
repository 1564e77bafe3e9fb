"""Killing a process of the service while it works on something."""

import os
import signal
import time

import psutil
from embedded_stack import EmbeddedStack


def kill_while_running(
    stack: EmbeddedStack, analysis_id: str, process: psutil.Process, work: str, progress: int
) -> str:
    """SIGKILL a process while a shard is under way; the shard's id.

    It is stopped first: what is seen to run then cannot end before the kill.
    """
    while True:
        shard = stack.until(lambda: stack.running(analysis_id, work, progress), f"a {work} shard runs")
        process.suspend()
        time.sleep(0.5)  # for a commit that was on its way
        if [s.id for s in stack.shards(analysis_id, state="RUNNING", work=work)] == [shard.id]:
            os.kill(process.pid, signal.SIGKILL)
            return str(shard.id)
        process.resume()

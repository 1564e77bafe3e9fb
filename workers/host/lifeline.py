"""Making sure that an engine host never outlives its supervisor: an orphan would keep its GPU."""

import ctypes
import os
import signal
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends, even by SIGKILL.

    A parent that died before this call is noticed at the end of stdin. Linux only; elsewhere that
    end of file is all there is.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def end_process_group() -> None:
    """Kill this process and everything it started; it leads a process group of its own."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)

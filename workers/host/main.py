"""The engine host: a process of its own that runs shards, so that a crash of an engine costs one shard."""

import argparse
import faulthandler
import importlib
import os
import signal
from collections.abc import Callable, Sequence
from typing import Any, Final

import structlog

from ledger.artefacts import ArtefactStore
from workers.errors import Aborted, AnalysisFault, WorkerError
from workers.host.channel import Channel
from workers.host.context import HostContext
from workers.host.lifeline import die_with_parent
from workers.host.protocol import ABORTED, DONE, FAILED, PROGRESS, READY, Message, encode
from workers.logs import configure_logs, frames
from workers.settings import Settings

Execute = Callable[[Message, HostContext], dict[str, Any]]

EXECUTE: Final = "workers.host.execute:execute"
EX_SOFTWARE: Final = 70

log = structlog.get_logger(__name__)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run shards until stdin ends."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the supervisor's to handle
    parser = argparse.ArgumentParser(prog="python -m workers.host.main", description=__doc__)
    parser.add_argument("--execute", default=EXECUTE, help="module:function that executes a shard")
    options = parser.parse_args(arguments)
    channel = Channel.over_standard_streams()
    channel.listen()
    faulthandler.enable()
    configure_logs()
    execute = load(options.execute)
    settings = Settings()
    context = HostContext(
        store=ArtefactStore(settings.artefact_root),
        settings=settings,
        report=lambda completed: channel.send({"event": PROGRESS, "completed": completed}),
        asked_to_stop=channel.aborted,
    )
    channel.send({"event": READY, "pid": os.getpid()})
    while True:
        message = channel.next_run()
        reply = answer(execute, message, context)
        channel.send(reply)
        if not reply["fit"]:
            raise SystemExit(EX_SOFTWARE)


def load(name: str) -> Execute:
    """The function ``module:function``; its module is imported here, torch and all."""
    module, _, function = name.partition(":")
    execute: Execute = getattr(importlib.import_module(module), function)
    return execute


def answer(execute: Execute, message: Message, context: HostContext) -> Message:
    """Execute one shard.

    Returns:
        The event that ends the run. Its ``fit`` says whether this process may run another.
    """
    fit = True
    try:
        reply = {"event": DONE, **execute(message, context)}
        encode(reply)  # what JSON cannot say is a fault of the shard, not the death of its engine
    except AnalysisFault as fault:
        reply = {"event": FAILED, "kind": "analysis", "code": fault.code, "detail": fault.detail}
        reply |= {"retryable": False} | ({} if fault.pointer is None else {"pointer": fault.pointer})
    except WorkerError as error:
        # An engine has an exception of its own with this code; both mean that somebody asked.
        stopped = error.code == Aborted.code
        reply = {"event": ABORTED} if stopped else _shard_failed(error.code, str(error), retryable=False)
    except Exception as error:
        log.error("shard_raised", shard=message["shard"]["id"], traceback=frames(error))
        fit = not _spoils_the_process(error)
        reply = _shard_failed("internal_error", type(error).__qualname__, retryable=True)
    return {"resident": sorted(context.resident), **reply, "fit": fit}


def _shard_failed(code: str, detail: str, *, retryable: bool) -> Message:
    return {"event": FAILED, "kind": "shard", "code": code, "detail": detail, "retryable": retryable}


def _spoils_the_process(error: Exception) -> bool:
    """Whether a device error leaves every later call failing too; running out of memory does not."""
    if "OutOfMemory" in type(error).__name__:
        return False
    return type(error).__name__ == "AcceleratorError" or "CUDA error" in str(error)


if __name__ == "__main__":
    main()

"""The engine host: a process of its own that runs shards, so that a crash of an engine costs one shard."""

import argparse
import faulthandler
import gc
import importlib
import os
import signal
from collections.abc import Callable, Sequence
from typing import Any, Final

import structlog

from ledger.errors import ArtefactCorrupt, ArtefactMissing, StoreUnavailable
from ledger.stores import open_store
from workers.errors import Aborted, AnalysisFault, WorkerError
from workers.host.channel import Channel
from workers.host.context import HostContext
from workers.host.lifeline import die_with_parent
from workers.host.protocol import (
    ABORTED,
    ANALYSIS,
    DONE,
    FAILED,
    PROGRESS,
    READY,
    SHARD,
    STORE,
    Message,
    encode,
)
from workers.logs import configure_logs, frames
from workers.settings import Settings

Execute = Callable[[Message, HostContext], dict[str, Any]]
Probe = Callable[[], str | None]
"""Computes something whose answer is known; what is wrong, or None."""

EXECUTE: Final = "workers.host.execute:execute"
EX_SOFTWARE: Final = 70
EX_PROBE: Final = 71

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
    execute, probe = load(options.execute), find_probe(options.execute)
    settings = Settings()
    context = HostContext(
        store=open_store(settings.artefact_store, settings.artefact_root),
        settings=settings,
        report=lambda completed: channel.send({"event": PROGRESS, "completed": completed}),
        asked_to_stop=channel.aborted,
    )
    if (wrong := probe()) is not None:
        log.error("probe_failed", detail=wrong)
        raise SystemExit(EX_PROBE)
    exempt_imports()
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


def exempt_imports() -> None:
    """Leave what was imported out of every collection of garbage to come.

    With torch and transformers these are 340,000 objects, which live as long as the process; to walk over
    them takes a third of a second, several times in a shard that makes many objects of its own.
    """
    gc.collect()
    gc.freeze()


def find_probe(name: str) -> Probe:
    """The ``probe`` beside the function ``module:function``; a module without one is always well."""
    probe: Probe = getattr(importlib.import_module(name.partition(":")[0]), "probe", lambda: None)
    return probe


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
        reply = _failed(fault.code, fault.detail, kind=ANALYSIS, retryable=False)
        reply |= {} if fault.pointer is None else {"pointer": fault.pointer}
    except ArtefactCorrupt as error:
        # Whoever reads it would fail alike, and a result without these rows would not be the planned one.
        code = "artefact_missing" if isinstance(error, ArtefactMissing) else "artefact_corrupt"
        log.error(code, shard=message["shard"]["id"], detail=str(error))
        reply = _failed(code, f"a committed artefact was damaged: {error}", kind=ANALYSIS, retryable=False)
    except StoreUnavailable as error:
        reply = _failed("store_unavailable", str(error), kind=STORE, retryable=True)
    except WorkerError as error:
        # An engine has an exception of its own with this code; both mean that somebody asked.
        stopped = error.code == Aborted.code
        reply = {"event": ABORTED} if stopped else _failed(error.code, str(error), retryable=False)
    except Exception as error:
        log.error("shard_raised", shard=message["shard"]["id"], traceback=frames(error))
        fit = not _spoils_the_process(error)
        code = "insufficient_memory" if _is_out_of_memory(error) else "internal_error"
        reply = _failed(code, type(error).__qualname__, retryable=True)
    return {"resident": sorted(context.resident), **reply, "fit": fit}


def _failed(code: str, detail: str, *, kind: str = SHARD, retryable: bool) -> Message:
    return {"event": FAILED, "kind": kind, "code": code, "detail": detail, "retryable": retryable}


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__


def _spoils_the_process(error: Exception) -> bool:
    """Whether a device error leaves every later call failing too; running out of memory does not."""
    if _is_out_of_memory(error):
        return False
    return type(error).__name__ == "AcceleratorError" or "CUDA error" in str(error)


if __name__ == "__main__":
    main()

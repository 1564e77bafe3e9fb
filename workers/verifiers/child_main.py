"""The process behind `Child`: limits itself, imports its rules, and answers line by line."""

import contextlib
import importlib
import json
import logging
import resource
import signal
import sys
from collections.abc import Callable
from typing import Any, Final

Rules = Callable[[dict[str, Any]], dict[str, Any]]

RULES: Final = {
    "math": "workers.verifiers.math_rules",
    "json_schema": "workers.verifiers.json_rules",
}
"""Module of each kind of rules; its `answer` function does the work and its `warm` a first easy case."""

RECURSION_LIMIT: Final = 2_000
"""Frames: nested expressions end in an exception long before the C stack does."""


def main() -> None:
    """Answer until stdin ends."""
    name, cpu_seconds, memory_bytes = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the supervisor's to handle
    replies = sys.stdout
    sys.stdout = sys.stderr  # what a library prints is no answer
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.disable(logging.CRITICAL)
    sys.setrecursionlimit(RECURSION_LIMIT)
    module = importlib.import_module(RULES[name])
    module.warm()
    _say(replies, {"ready": True})
    for line in sys.stdin:
        # Without a handler SIGPROF ends the process: nothing in it can hold on to the time.
        signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
        reply = _answer(module.answer, json.loads(line))
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        _say(replies, reply)


def _answer(rules: Rules, request: dict[str, Any]) -> dict[str, Any]:
    try:
        return rules(request)
    except MemoryError:
        return {"failed": "the text took more memory than a verifier may use"}
    except Exception as error:
        return {"failed": f"the verifier raised {type(error).__qualname__}"}


def _say(replies: Any, answer: dict[str, Any]) -> None:
    replies.write(json.dumps(answer) + "\n")
    replies.flush()


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        main()

"""What supervisor and engine host say to each other: one JSON object a line, over the host's pipes.

To the host: ``{"op": "run", ...}``, with the request of its analysis the first time (see
`workers.host.known_requests`), and, while it runs, ``{"op": "abort"}``. From it: ``ready`` once,
then for each run any number of ``progress`` and exactly one of ``done``, ``failed`` or ``aborted``.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

Message = dict[str, Any]

RUN: Final = "run"
ABORT: Final = "abort"

READY: Final = "ready"
PROGRESS: Final = "progress"
DONE: Final = "done"
FAILED: Final = "failed"
ABORTED: Final = "aborted"

ANALYSIS: Final = "analysis"
SHARD: Final = "shard"
STORE: Final = "store"
"""Whose fault a ``failed`` is, its ``kind``: no shard of the analysis can succeed, this one failed, or the
artefact store is full, read-only or away."""

ENDINGS: Final = frozenset({DONE, FAILED, ABORTED})
"""The events that end a run."""


def encode(message: Mapping[str, Any]) -> bytes:
    """A message as a line.

    Raises:
        ValueError: if it holds NaN or an infinity, which JSON has no word for.
    """
    return json.dumps(message, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> Message:
    """The message of a line.

    Raises:
        ValueError: if the line is not a JSON object.
    """
    message = json.loads(line)
    if not isinstance(message, dict):
        raise ValueError("a message is a JSON object")
    return message

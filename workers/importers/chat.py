"""Chats as logs have them."""

import json
from collections.abc import Mapping
from typing import Any, Final

from workers.importers.record import ImportFault

ROLES: Final = frozenset({"system", "user", "assistant"})

Asked = tuple[str | None, tuple[Mapping[str, str], ...] | None]
"""A text, or a chat: exactly one of the two."""


def asked(value: Any, line: int | None) -> Asked:
    """What was asked: a text, or a list of turns.

    Raises:
        ImportFault: it is neither.
    """
    if isinstance(value, str):
        return value, None
    if isinstance(value, list) and value and all(isinstance(turn, dict) for turn in value):
        turns = tuple({"role": str(turn.get("role")), "content": _content(turn, line)} for turn in value)
        if all(turn["role"] in ROLES for turn in turns):
            return None, turns
    raise ImportFault("the prompt is neither a text nor a list of {role, content}", line=line)


def asked_in_text(text: str) -> Asked:
    """The same for a text that may be a chat written as JSON."""
    if text.startswith("[{"):
        try:
            return asked(json.loads(text), None)
        except (ValueError, ImportFault):
            return text, None
    return text, None


def _content(turn: Mapping[str, Any], line: int | None) -> str:
    content = turn.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [
            part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"
        ]
        if len(parts) == len(content) and all(isinstance(part, str) for part in parts):
            return "".join(map(str, parts))
    raise ImportFault("a turn holds something else than text", line=line)

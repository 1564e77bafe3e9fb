"""Equality of mathematical answers by math-verify; runs in a child process, never in a worker's own.

math-verify reads LaTeX by a grammar and hands SymPy's evaluating parser digits and operators only. Its own
time limits rest on alarms in the main thread and are off here: the process as a whole is limited.
"""

from functools import lru_cache
from typing import Any

from math_verify import parse, verify


def warm() -> None:
    """Build grammar and regular expressions once."""
    answer({"text": "$\\frac{1}{2}$", "answers": ["0.5"], "extracted": False})


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Which accepted answer the text equals.

    Args:
        request: `text`; `answers`; `extracted`, whether the text is the bare answer.

    Returns:
        `{"equal": index}`; `{"equal": None}`; `{"unparsed": True}` if no expression is found;
        `{"failed": reason}` if an accepted answer has none.
    """
    keys = [_read_answer(text) for text in request["answers"]]
    if not all(keys):
        return {"failed": "an answer of this prompt has no expression that math-verify reads"}
    found = _read_answer(request["text"]) if request["extracted"] else _read(request["text"])
    if not found:
        return {"unparsed": True}
    for index, key in enumerate(keys):
        if verify(list(key), list(found), timeout_seconds=None):
            return {"equal": index}
    return {"equal": None}


@lru_cache(maxsize=4_096)
def _read_answer(text: str) -> tuple[Any, ...]:
    """A bare answer: as mathematics first, as running text where that says nothing."""
    marked = text if "$" in text or "\\boxed" in text else f"${text.strip()}$"
    return _read(marked) or _read(text)


def _read(text: str) -> tuple[Any, ...]:
    return tuple(parse(text, parsing_timeout=None))

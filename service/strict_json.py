"""JSON that every parser reads alike (RFC 7493): anything else is refused, with the place."""

import json
import math
from dataclasses import dataclass
from typing import Any, Final

from api_schemas.problems import FieldProblem
from service.errors import InvalidJson
from service.pointers import pointer

MAX_INTEGER_DIGITS: Final = 40
"""Digits of an integer: beyond any field's range; Python's conversion takes quadratic time."""


@dataclass(frozen=True, slots=True)
class _Refused:
    """Stands for a value that is to be refused once its place is known."""

    reason: str


def parse(body: bytes, *, max_depth: int, max_faults: int) -> Any:
    """Parse a request body.

    Args:
        body: UTF-8 text.
        max_depth: Levels of arrays and objects.
        max_faults: How many faults to list.

    Raises:
        InvalidJson: not JSON (the detail says where), or with duplicate names, NaN, infinite numbers, lone
            surrogates, U+0000, or too deep (each listed with its JSON Pointer).
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidJson(f"the body is not UTF-8: byte {error.start} cannot be decoded") from error
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=lambda name: _Refused(f"{name} is not JSON"),
            parse_float=_number,
            parse_int=_integer,
        )
    except json.JSONDecodeError as error:
        raise InvalidJson(
            f"the body is not JSON: {error.msg} at line {error.lineno}, column {error.colno} "
            f"(character {error.pos})"
        ) from error
    except RecursionError as error:
        raise InvalidJson(f"the body nests deeper than {max_depth} levels") from error
    if not _is_sound(value, max_depth):
        faults = _faults(value, max_depth, max_faults)
        raise InvalidJson(faults[0].detail, errors=faults)
    return value


def _object(pairs: list[tuple[str, Any]]) -> Any:
    value = dict(pairs)
    if len(value) == len(pairs):
        return value
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            value[name] = _Refused("this name occurs twice in its object: which value counts is undefined")
        seen.add(name)
    return value


def _number(text: str) -> float | _Refused:
    value = float(text)
    return value if math.isfinite(value) else _Refused("this number is larger than a double can hold")


def _integer(text: str) -> int | _Refused:
    if len(text) > MAX_INTEGER_DIGITS:
        return _Refused(f"this integer has more than {MAX_INTEGER_DIGITS} digits")
    return int(text)


def _is_sound(root: Any, max_depth: int) -> bool:
    """Whether there is no fault; keeps no paths, because nearly every document passes."""
    stack: list[tuple[Any, int]] = [(root, 0)]
    while stack:
        node, depth = stack.pop()
        if _fault(node, depth, max_depth):
            return False
        if isinstance(node, dict):
            if any(_text_fault(name) for name in node):
                return False
            stack.extend((child, depth + 1) for child in node.values())
        elif isinstance(node, list):
            stack.extend((child, depth + 1) for child in node)
    return True


def _faults(root: Any, max_depth: int, max_faults: int) -> list[FieldProblem]:
    """Faults in document order, found without recursion."""
    faults: list[FieldProblem] = []
    stack: list[tuple[Any, tuple[str | int, ...]]] = [(root, ())]
    while stack and len(faults) < max_faults:
        node, path = stack.pop()
        if reason := _fault(node, len(path), max_depth):
            faults.append(FieldProblem(detail=reason, pointer=_printable(pointer(path))))
        elif isinstance(node, dict):
            for name in node:
                if reason := _text_fault(name):
                    place = _printable(pointer(path))
                    faults.append(FieldProblem(detail=f"a name in this object: {reason}", pointer=place))
            stack.extend(reversed([(child, (*path, name)) for name, child in node.items()]))
        elif isinstance(node, list):
            stack.extend((node[i], (*path, i)) for i in range(len(node) - 1, -1, -1))
    return faults[:max_faults]


def _fault(node: Any, depth: int, max_depth: int) -> str | None:
    if isinstance(node, _Refused):
        return node.reason
    if isinstance(node, str):
        return _text_fault(node)
    if isinstance(node, dict | list) and depth >= max_depth:
        return f"nested deeper than {max_depth} levels"
    return None


def _text_fault(text: str) -> str | None:
    if text.isascii() and "\0" not in text:
        return None
    if "\0" in text:
        return "U+0000 cannot be stored in every database; leave it out"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "a lone surrogate is half a character; send the character itself or its full \\u pair"
    return None


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")

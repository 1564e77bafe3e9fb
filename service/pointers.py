"""JSON Pointers (RFC 6901) for pydantic's error locations."""

from collections.abc import Iterable, Sequence
from typing import Any


def pointer(path: Iterable[str | int]) -> str:
    """The JSON Pointer of a path; the empty path is the whole document, ``""``."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)


def resolve(body: Any, location: Sequence[str | int], *, missing: bool) -> str:
    """Where in the body a pydantic error location is.

    pydantic puts more into a location than steps through the document: tags of unions, names of validators,
    ``[key]`` for an object's name. They are told apart by walking the document, and of all ways to read a
    location the one that leaves out fewest parts is taken: a tag may also be the name of a member.

    Args:
        body: The parsed document.
        location: pydantic's location, without its leading ``body``.
        missing: Whether the last part names a member that is not there.
    """
    path, _ = _walk(body, tuple(location), missing)
    return pointer(path)


def _walk(node: Any, parts: tuple[str | int, ...], missing: bool) -> tuple[tuple[str | int, ...], int]:
    """The steps that exist, and how many parts were left out.

    Between equals an early part is left out: what a location ends with is the fault's own name.
    """
    if not parts:
        return (), 0
    head, rest = parts[0], parts[1:]
    if missing and not rest:
        return (head,), 0
    skipped_path, skipped = _walk(node, rest, missing)
    best = (skipped_path, skipped + 1)
    if _has(node, head):
        taken_path, left_out = _walk(node[head], rest, missing)
        if left_out < best[1]:
            best = ((head, *taken_path), left_out)
    return best


def _has(node: Any, part: str | int) -> bool:
    if isinstance(node, dict):
        return part in node
    return isinstance(node, list) and isinstance(part, int) and 0 <= part < len(node)

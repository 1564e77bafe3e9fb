"""YAML with the line of everything in it."""

from pathlib import Path
from typing import Any

import yaml

from tiltscope.errors import UsageError

Place = tuple[str | int, ...]
MAX_DEPTH = 20
"""Levels of nesting: a policy has three, and aliases could make a document that contains itself."""

MAX_ENTRIES = 10_000
"""Entries: aliases of aliases could make a short document endless."""


class Lines:
    """Line numbers, from 1, by place."""

    def __init__(self) -> None:
        self._lines: dict[Place, int] = {(): 1}

    def add(self, place: Place, node: yaml.Node) -> None:
        """Note where something starts.

        Raises:
            UsageError: there is more than a policy can have.
        """
        if len(self._lines) > MAX_ENTRIES:
            raise UsageError(f"a policy has no more than {MAX_ENTRIES:,} entries, aliases written out")
        self._lines[place] = node.start_mark.line + 1

    def __contains__(self, place: Place) -> bool:
        return place in self._lines

    def of(self, place: Place) -> int:
        """The line of a place, or of the nearest one around it."""
        while place not in self._lines:
            place = place[:-1]
        return self._lines[place]


def load(path: Path) -> tuple[Any, Lines]:
    """A document and its lines.

    Raises:
        UsageError: the file cannot be read, is no YAML, or says a key twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error
    lines = Lines()
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is not None:
            _walk(path, root, (), lines, depth=0)
        return yaml.safe_load(text), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = 1 if mark is None else mark.line + 1
        raise UsageError(f"{path}:{line}: {error.problem or error}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{path} is no YAML: {error}") from error


def _walk(path: Path, node: yaml.Node, place: Place, lines: Lines, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise UsageError(f"{path}:{node.start_mark.line + 1}: nested deeper than {MAX_DEPTH} levels")
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*place, str(key.value))
            if inner in lines:
                raise UsageError(f"{path}:{key.start_mark.line + 1}: `{key.value}` is there twice")
            lines.add(inner, key)
            _walk(path, value, inner, lines, depth + 1)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines.add((*place, index), value)
            _walk(path, value, (*place, index), lines, depth + 1)

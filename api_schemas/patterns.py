"""Patterns that come from a caller: RE2, so that matching takes time linear in the text."""

from typing import Annotated

from pydantic import StringConstraints

MAX_PATTERN_CHARACTERS = 2_000
"""Characters a pattern: RE2 runs in linear time, but compiling takes memory that grows with it."""

Pattern = Annotated[str, StringConstraints(min_length=1, max_length=MAX_PATTERN_CHARACTERS)]

"""Text from outside, without the characters that change how a page reads."""

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

ANSI: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # control sequences: colours, cursor moves
    r"|(?:\x1b\]|\x9d).*?(?:\x07|\x1b\\|\x9c)"  # operating system commands: window titles, links
    r"|\x1b[ -/]*[0-~]",
    re.DOTALL,
)
BREAKS: Final = frozenset("\t\n\r\v\f\x85\u2028\u2029")
JOINERS: Final = frozenset("\u200c\u200d")
"""Format characters that scripts and emoji need; every other one, bidi controls included, goes."""
UNPRINTABLE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def plain(value: Any) -> Any:
    """A JSON value with every text in it, keys included, made plain."""
    if isinstance(value, str):
        return plain_text(value)
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, Mapping):
        return {_plain_key(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


@lru_cache(maxsize=1_000)
def _plain_key(key: str) -> str:
    """Every row has the same keys."""
    return plain_text(key)


def plain_text(text: str) -> str:
    """One line without terminal sequences, control, bidi and private characters, or lone surrogates."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    return " ".join("".join(map(_kept, ANSI.sub("", text))).split())


def _kept(character: str) -> str:
    if character in BREAKS:
        return " "
    if character in JOINERS:
        return character
    return "" if unicodedata.category(character) in UNPRINTABLE else character

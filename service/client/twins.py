"""The blocking client, derived from the asynchronous one word by word."""

import re
from pathlib import Path

from service.client.documents import formatted

NOTE = "# Generated from tiltscope/asynchronous by `make openapi`: change that, not this file.\n"
WORDS = {
    r"\basync (def|with|for)\b": r"\1",
    r"\bawait ": "",
    r"\bimport asyncio\b": "import time",
    r"\basyncio\.sleep\b": "time.sleep",
    r"\basynccontextmanager\b": "contextmanager",
    r"\bAsyncExitStack\b": "ExitStack",
    r"\bAsync(Iterator|Iterable|Generator)\b": r"\1",
    r"\bhttpx\.AsyncClient\b": "httpx.Client",
    r"\bAsyncTiltscope\b": "Tiltscope",
    r"\b__a(enter|exit|iter|next)__\b": r"__\1__",
    r"\bStopAsyncIteration\b": "StopIteration",
    r"\baclose\b": "close",
    r"\baread\b": "read",
    r"\baiter_(lines|bytes)\b": r"iter_\1",
    r"\btiltscope\.asynchronous\b": "tiltscope.synchronous",
    r"\b(A|a)synchronous\b": "blocking",
}


def modules(package: Path) -> dict[str, str]:
    """Module text by file name below `package`, from `asynchronous/` as it is on disk."""
    return {
        f"synchronous/{source.name}": twin(source.read_text(encoding="utf-8"))
        for source in sorted((package / "asynchronous").glob("*.py"))
        if source.name != "__init__.py"
    }


def twin(text: str) -> str:
    """The blocking form of a module."""
    for pattern, word in WORDS.items():
        text = re.sub(pattern, word, text)
    return formatted(NOTE + text)

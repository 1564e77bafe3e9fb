"""Bodies of any length as they arrive: counted, and inflated if they are compressed."""

from collections.abc import AsyncIterator
from typing import Final

from fastapi import Request

from service.errors import BodyTooLarge, UnsupportedMediaType
from service.uploads.inflation import Inflation

ENCODINGS: Final = ("identity", "gzip")


async def pieces(request: Request, *, max_bytes: int, setting: str) -> AsyncIterator[bytes]:
    """The body's content, piece by piece.

    Args:
        request: The request.
        max_bytes: Bytes that are read, and bytes of content, at most.
        setting: Name of the setting that says so.

    Raises:
        BodyTooLarge: there are more, or they inflate like a bomb.
        UnsupportedMediaType: the body is compressed in another way than gzip.
        InvalidBody: it says gzip and is not.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > max_bytes:
        raise too_large(max_bytes, setting)
    inflation = Inflation() if encoding_of(request) == "gzip" else None
    received = content = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > max_bytes:
            raise too_large(max_bytes, setting)
        for piece in [chunk] if inflation is None else inflation.feed(chunk):
            content += len(piece)
            if content > max_bytes:
                raise too_large(max_bytes, setting)
            yield piece
    if inflation is not None:
        inflation.finish()


def encoding_of(request: Request) -> str:
    """How the body is compressed.

    Raises:
        UnsupportedMediaType: in a way that is not read here.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ENCODINGS:
        raise UnsupportedMediaType(
            "send the body as it is, or compressed with `Content-Encoding: gzip`",
            code="unsupported_encoding",
            headers={"Accept-Encoding": "gzip"},
        )
    return encoding


def too_large(max_bytes: int, setting: str) -> BodyTooLarge:
    """The answer to a body of more bytes than are read."""
    # The rest of the body is not read, so that the connection is of no further use.
    return BodyTooLarge(
        f"the body has more than {max_bytes:,} bytes ({setting}); send less at once",
        headers={"Connection": "close"},
    )

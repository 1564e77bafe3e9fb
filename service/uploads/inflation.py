"""Compressed bodies, inflated piece by piece within bounds."""

import zlib
from collections.abc import Iterator
from typing import Final

from service.errors import BodyTooLarge, InvalidBody

PIECE_BYTES: Final = 1 << 16
"""Bytes inflated at once: what a hostile body can make of its next bytes before anybody looks."""

MAX_RATIO: Final = 200
"""Inflated bytes for each one received: JSON Lines of sampled texts reach 20, a bomb 1,000."""

RATIO_FROM_BYTES: Final = 1 << 20
"""Below this size any ratio is harmless."""

_GZIP: Final = zlib.MAX_WBITS | 16


class Inflation:
    """Turns the pieces of a gzip body, of one or several members, into its content."""

    def __init__(self) -> None:
        """Begin with the first member."""
        self._member = zlib.decompressobj(_GZIP)
        self._within = False
        self._received = self._inflated = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The content of the next piece.

        Raises:
            InvalidBody: it is not gzip.
            BodyTooLarge: the content grows like that of a bomb.
        """
        self._received += len(data)
        while data:
            self._within = True
            try:
                piece = self._member.decompress(data, PIECE_BYTES)
            except zlib.error as error:
                raise InvalidBody("the body says `Content-Encoding: gzip`, and is not gzip") from error
            self._inflated += len(piece)
            self._refuse_bombs()
            if piece:
                yield piece
            data = self._member.unconsumed_tail
            if self._member.eof:
                data = self._member.unused_data
                self._member, self._within = zlib.decompressobj(_GZIP), False

    def finish(self) -> None:
        """Check that nothing is missing.

        Raises:
            InvalidBody: there is no member, or the last one is cut short.
        """
        if self._within or not self._received:
            raise InvalidBody("the gzip body ends before its content does; send it again")

    def _refuse_bombs(self) -> None:
        if self._inflated > RATIO_FROM_BYTES and self._inflated > MAX_RATIO * self._received:
            raise BodyTooLarge(
                f"the body inflates to more than {MAX_RATIO} times its length; if that is meant, "
                "send it as it is",
                code="compression_bomb",
                headers={"Connection": "close"},
            )

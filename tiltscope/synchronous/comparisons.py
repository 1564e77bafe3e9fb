# Generated from tiltscope/asynchronous by `make openapi`: change that, not this file.
"""Finished analyses side by side."""

from collections.abc import Iterable
from pathlib import Path

from tiltscope.connection import Call
from tiltscope.documents import Comparison
from tiltscope.synchronous.transport import Transport


class Comparisons:
    """`client.comparisons`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def get(self, analysis_ids: Iterable[str]) -> Comparison:
        """What finished analyses found, in the order given, and in what their requests differ.

        Args:
            analysis_ids: Their ids; at most 20. A trajectory gives an entry a checkpoint.

        Raises:
            ConflictError: one has no result.
            NotFoundError: one is unknown.
        """
        return self._transport.document(_call(analysis_ids), Comparison)

    def page(self, analysis_ids: Iterable[str], path: str | Path | None = None) -> bytes:
        """The same as a page for people, which loads nothing; also written to `path`, if given."""
        response = self._transport.send(_call(analysis_ids, "html"))
        if path is not None:
            Path(path).write_bytes(response.content)
        return response.content


def _call(analysis_ids: Iterable[str], format: str | None = None) -> Call:
    return Call("GET", "/v1/comparisons", {"ids": ",".join(analysis_ids), "format": format})

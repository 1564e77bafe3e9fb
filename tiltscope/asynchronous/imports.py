"""Imports: logs of samples that another tool drew."""

import asyncio
from pathlib import Path

from tiltscope.asynchronous.pages import Pages
from tiltscope.asynchronous.transport import Transport
from tiltscope.connection import Call, key_header
from tiltscope.documents import Import, ImportList
from tiltscope.requests import read_bytes

PATH = "/v1/imports"
WAITING = ("queued", "running", "cancelling")
POLL_SECONDS = 1.0
"""Between two looks at a log that is being parsed: most take a second or two."""


class Imports:
    """`client.imports`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def create(
        self,
        log: str | Path,
        *,
        format: str,
        name: str | None = None,
        filter: str | None = None,
        idempotency_key: str | None = None,
    ) -> Import:
        """Take in a log as a side of analyses; an analysis that names it waits until it is parsed.

        Args:
            log: The log's file.
            format: `lm-eval`, `inspect`, `jsonl`, `openai-evals` or `evalplus`.
            name: What you call it.
            filter: Of several filters of an lm-eval log, the one to take.
            idempotency_key: The same key makes no second import; a new one by default.

        Raises:
            UsageError: the file cannot be read.
            InvalidRequestError: the file is empty, or the format unknown.
        """
        params = {"format": format, "name": name, "filter": filter}
        headers = {"Content-Type": "application/octet-stream", **key_header(idempotency_key)}
        call = Call("POST", PATH, params, content=read_bytes(Path(log)), headers=headers)
        return await self._transport.document(call, Import)

    async def wait(self, import_id: str) -> Import:
        """The import once it is parsed, or could not be: see its `status` and `error`."""
        while True:
            found = await self.get(import_id)
            if found.status not in WAITING:
                return found
            await asyncio.sleep(POLL_SECONDS)

    def list(self, *, limit: int | None = None) -> Pages[Import]:
        """Imports, newest first."""
        return Pages(self._transport, Call("GET", PATH), ImportList, lambda page: page.data, limit)

    async def get(self, import_id: str) -> Import:
        """One import: whether it is parsed, and what it holds."""
        return await self._transport.document(Call("GET", f"{PATH}/{import_id}"), Import)

    async def delete(self, import_id: str) -> None:
        """Remove an import.

        Raises:
            ConflictError: an analysis uses it.
        """
        await self._transport.send(Call("DELETE", f"{PATH}/{import_id}"))

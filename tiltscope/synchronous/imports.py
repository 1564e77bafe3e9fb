# Generated from tiltscope/asynchronous by `make openapi`: change that, not this file.
"""Imports: logs of samples that another tool drew."""

import time
from pathlib import Path

from tiltscope.connection import Call, key_header
from tiltscope.documents import Import, ImportList
from tiltscope.requests import read_bytes
from tiltscope.synchronous.pages import Pages
from tiltscope.synchronous.transport import Transport

PATH = "/v1/imports"
WAITING = ("queued", "running", "cancelling")
POLL_SECONDS = 1.0
"""Between two looks at a log that is being parsed: most take a second or two."""


class Imports:
    """`client.imports`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
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
        return self._transport.document(call, Import)

    def wait(self, import_id: str) -> Import:
        """The import once it is parsed, or could not be: see its `status` and `error`."""
        while True:
            found = self.get(import_id)
            if found.status not in WAITING:
                return found
            time.sleep(POLL_SECONDS)

    def list(self, *, limit: int | None = None) -> Pages[Import]:
        """Imports, newest first."""
        return Pages(self._transport, Call("GET", PATH), ImportList, lambda page: page.data, limit)

    def get(self, import_id: str) -> Import:
        """One import: whether it is parsed, and what it holds."""
        return self._transport.document(Call("GET", f"{PATH}/{import_id}"), Import)

    def delete(self, import_id: str) -> None:
        """Remove an import.

        Raises:
            ConflictError: an analysis uses it.
        """
        self._transport.send(Call("DELETE", f"{PATH}/{import_id}"))

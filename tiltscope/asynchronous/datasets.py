"""Data sets: prompts kept by the service."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tiltscope.asynchronous.pages import Pages
from tiltscope.asynchronous.transport import Transport
from tiltscope.connection import Call
from tiltscope.documents import Dataset, DatasetList
from tiltscope.requests import read_bytes

PATH = "/v1/datasets"
Prompts = list[dict[str, Any]]


class Datasets:
    """`client.datasets`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def create(
        self, prompts: str | Path | Iterable[Mapping[str, Any]], *, name: str | None = None
    ) -> Dataset:
        """Keep prompts under an id; the same content gets the same id again.

        Args:
            prompts: A JSON Lines file, or prompts.
            name: What you call it.

        Raises:
            UsageError: the file cannot be read.
            InvalidRequestError: a line is no prompt; `errors` has the lines.
        """
        if isinstance(prompts, str | Path):
            content = read_bytes(Path(prompts))
        else:
            lines = [json.dumps(dict(prompt), ensure_ascii=False, allow_nan=False) for prompt in prompts]
            content = "\n".join(lines).encode()
        headers = {"Content-Type": "application/jsonl"}
        call = Call("POST", PATH, {"name": name}, content=content, headers=headers)
        return await self._transport.document(call, Dataset)

    def list(self, *, limit: int | None = None) -> Pages[Dataset]:
        """Data sets, newest first."""
        return Pages(self._transport, Call("GET", PATH), DatasetList, lambda page: page.data, limit)

    async def get(self, dataset_id: str) -> Dataset:
        """One data set: its size, its hash, its splits."""
        return await self._transport.document(Call("GET", f"{PATH}/{dataset_id}"), Dataset)

    async def content(self, dataset_id: str) -> "Prompts":
        """Its prompts."""
        response = await self._transport.send(Call("GET", f"{PATH}/{dataset_id}/content"))
        return [json.loads(line) for line in response.text.splitlines() if line]

    async def delete(self, dataset_id: str) -> None:
        """Remove a data set.

        Raises:
            ConflictError: an analysis uses it.
        """
        await self._transport.send(Call("DELETE", f"{PATH}/{dataset_id}"))

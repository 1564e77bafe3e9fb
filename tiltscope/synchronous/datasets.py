# Generated from tiltscope/asynchronous by `make openapi`: change that, not this file.
"""Data sets: prompts kept by the service."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tiltscope.connection import Call
from tiltscope.documents import Dataset, DatasetList
from tiltscope.requests import read_bytes
from tiltscope.synchronous.pages import Pages
from tiltscope.synchronous.transport import Transport

PATH = "/v1/datasets"
Prompts = list[dict[str, Any]]


class Datasets:
    """`client.datasets`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
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
        return self._transport.document(call, Dataset)

    def list(self, *, limit: int | None = None) -> Pages[Dataset]:
        """Data sets, newest first."""
        return Pages(self._transport, Call("GET", PATH), DatasetList, lambda page: page.data, limit)

    def get(self, dataset_id: str) -> Dataset:
        """One data set: its size, its hash, its splits."""
        return self._transport.document(Call("GET", f"{PATH}/{dataset_id}"), Dataset)

    def content(self, dataset_id: str) -> "Prompts":
        """Its prompts."""
        response = self._transport.send(Call("GET", f"{PATH}/{dataset_id}/content"))
        return [json.loads(line) for line in response.text.splitlines() if line]

    def delete(self, dataset_id: str) -> None:
        """Remove a data set.

        Raises:
            ConflictError: an analysis uses it.
        """
        self._transport.send(Call("DELETE", f"{PATH}/{dataset_id}"))

"""Keeping a data set while it arrives."""

import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from starlette.concurrency import run_in_threadpool

from api_schemas.datasets import Dataset
from ledger import datasets
from ledger.database import read, write
from ledger.errors import Conflict as LedgerConflict
from ledger.ids import new_id
from service.datasets.lines import PromptLines
from service.datasets.read import represent
from service.resources import Resources


@dataclass(frozen=True, slots=True)
class Kept:
    """A data set, and whether its content was here before."""

    dataset: Dataset
    existed: bool


async def upload(resources: Resources, body: AsyncIterator[bytes], *, name: str | None) -> Kept:
    """Keep the prompts of a body in JSON Lines.

    Args:
        resources: The gateway's resources.
        body: The file, piece by piece; it is never held as a whole.
        name: What its owner calls it.

    Raises:
        ValidationFailed: some lines are no prompts (each is listed with its number), or there are too many.
    """
    settings = resources.settings
    with tempfile.NamedTemporaryFile(prefix="tiltscope-dataset-") as file:
        lines = PromptLines(
            file,
            max_prompts=settings.max_dataset_prompts,
            max_depth=settings.max_json_depth,
            max_faults=settings.max_listed_faults,
        )
        async for piece in body:
            await run_in_threadpool(lines.feed, piece)
        await run_in_threadpool(lines.finish)
        await run_in_threadpool(file.flush)
        return await run_in_threadpool(_keep, resources, lines, Path(file.name), name)


def _keep(resources: Resources, lines: PromptLines, path: Path, name: str | None) -> Kept:
    with read(resources.engine) as conn:
        known = datasets.of_content(conn, resources.tenant, lines.sha256)
    if known is not None:
        return Kept(represent(known), existed=True)
    dataset_id = new_id("ds")
    stored = resources.artefacts.put(f"{resources.tenant}/{dataset_id}/prompts.jsonl", path)
    try:
        with write(resources.engine) as conn:
            row = datasets.create(
                conn,
                tenant_id=resources.tenant,
                dataset_id=dataset_id,
                name=name,
                sha256=stored.sha256,
                bytes=stored.bytes,
                artefact_key=stored.key,
                families=len(lines.families),
                splits=dict(sorted(lines.splits.items())),
                prompt_ids=lines.ids,
            )
    except LedgerConflict:
        # The same content arrived twice at once, and the other was first.
        resources.artefacts.delete_prefix(f"{resources.tenant}/{dataset_id}")
        with read(resources.engine) as conn:
            known = datasets.of_content(conn, resources.tenant, stored.sha256)
        if known is None:
            raise
        return Kept(represent(known), existed=True)
    return Kept(represent(row), existed=False)

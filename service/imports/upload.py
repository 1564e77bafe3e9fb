"""Taking a log in while it arrives; a worker parses it."""

import hashlib
import json
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.concurrency import run_in_threadpool

from api_schemas.imports import Import, ImportFormat
from ledger import imports
from ledger.artefacts import Stored
from ledger.database import write
from ledger.errors import Conflict as LedgerConflict
from ledger.ids import new_id
from service.errors import ValidationFailed
from service.imports.read import represent
from service.replays import remember, replayed
from service.resources import Resources

ROUTE: Final = "POST /v1/imports"


@dataclass(frozen=True, slots=True)
class Described:
    """What is said about a log.

    Attributes:
        format: What it is.
        name: What its owner calls it.
        filter: Of several filters of an lm-eval log, the one to take.
    """

    format: ImportFormat
    name: str | None
    filter: str | None

    def digest(self, content: str) -> str:
        """Hash of the whole request, from that of the log."""
        request = [self.format, self.name, self.filter, content]
        return hashlib.sha256(json.dumps(request).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Taken:
    """An import, and whether an earlier request had created it."""

    made: Import
    replayed: bool


async def upload(
    resources: Resources, body: AsyncIterator[bytes], described: Described, *, key: str | None
) -> Taken:
    """Keep a log and queue it for parsing.

    Args:
        resources: The gateway's resources.
        body: The file, piece by piece; it is never held as a whole.
        described: What the caller says about it.
        key: The caller's idempotency key.

    Raises:
        ValidationFailed: the body is empty, or the key was used for another log.
    """
    content = hashlib.sha256()
    with tempfile.NamedTemporaryFile(prefix="tiltscope-import-") as file:
        async for piece in body:
            content.update(piece)
            await run_in_threadpool(file.write, piece)
        await run_in_threadpool(file.flush)
        if file.tell() == 0:
            raise ValidationFailed("the body is empty; send the log's file", code="empty_log")
        digest = described.digest(content.hexdigest())
        taken = await run_in_threadpool(_keep_once, resources, Path(file.name), described, key, digest)
    if not taken.replayed:
        resources.wakeups.send()
    return taken


def _keep_once(resources: Resources, path: Path, described: Described, key: str | None, digest: str) -> Taken:
    if (earlier := replayed(resources, ROUTE, key, digest)) is not None:
        return Taken(Import.model_validate(earlier), replayed=True)
    import_id = new_id("imp")
    place = f"{resources.tenant}/{import_id}"
    stored = resources.artefacts.put(f"{place}/source", path)
    try:
        return Taken(_commit(resources, import_id, stored, described, key, digest), replayed=False)
    except LedgerConflict:
        # Another request with this key committed meanwhile; its row kept ours from existing.
        resources.artefacts.delete_prefix(place)
        if (earlier := replayed(resources, ROUTE, key, digest)) is None:
            raise
        return Taken(Import.model_validate(earlier), replayed=True)


def _commit(
    resources: Resources, import_id: str, stored: Stored, described: Described, key: str | None, digest: str
) -> Import:
    source = {"key": stored.key, "sha256": stored.sha256, "bytes": stored.bytes}
    with write(resources.engine) as conn:
        row = imports.create(
            conn,
            tenant_id=resources.tenant,
            import_id=import_id,
            name=described.name,
            spec={"format": described.format, "filter": described.filter, "source": source},
            sha256=stored.sha256,
        )
        made = represent(resources, row)
        remember(conn, resources, ROUTE, key, digest, made, created=import_id)
    return made

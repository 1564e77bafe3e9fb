"""Reading and removing imports."""

import json
import re
from typing import Any, Final

import structlog
from sqlalchemy import Connection, Row

from api_schemas.ids import IMPORT_ID
from api_schemas.imports import Import, ImportList, ImportSummary
from api_schemas.problems import Problem
from api_schemas.results import Warning
from ledger import imports
from ledger.database import read, write
from ledger.errors import Conflict as LedgerConflict
from service.cursors import decode, encode
from service.errors import Conflict, NotFound
from service.resources import Resources
from service.stored_files import StoredFile, checked
from service.timestamps import timestamp

SUMMARY: Final = "summary.json"
_LISTING: Final = {"route": "imports_list"}

log = structlog.get_logger(__name__)


def get(resources: Resources, import_id: str) -> Import:
    """One import.

    Raises:
        NotFound: there is none of this id.
    """
    with read(resources.engine) as conn:
        row = find(conn, resources.tenant, import_id)
    return represent(resources, row)


def list_page(resources: Resources, *, limit: int, after: str | None) -> ImportList:
    """A page of imports, newest first.

    Raises:
        ValidationFailed: `after` is no cursor of this list.
    """
    position = decode(after, _LISTING, (int, str))
    with read(resources.engine) as conn:
        rows = imports.list_page(conn, resources.tenant, limit=limit + 1, after=position)
    page = rows[:limit]
    has_more = len(rows) > limit
    cursor = encode((page[-1].created_at, page[-1].id), _LISTING) if has_more else None
    data = [represent(resources, row) for row in page]
    return ImportList(object="list", data=data, has_more=has_more, next_cursor=cursor)


def remove(resources: Resources, import_id: str) -> None:
    """Delete a parsed import that no analysis uses.

    Raises:
        NotFound: there is none of this id.
        Conflict: it is still parsed, or an analysis uses it.
    """
    with write(resources.engine) as conn:
        find(conn, resources.tenant, import_id)
        try:
            imports.remove(conn, resources.tenant, import_id)
        except LedgerConflict as error:
            detail = "the import is being parsed, or an analysis uses it: delete the analysis first"
            raise Conflict(detail, code="import_in_use") from error
    try:
        resources.artefacts.delete_prefix(f"{resources.tenant}/{import_id}")
    except OSError as error:
        # The row is gone, so that nothing names the files: the collector removes them later.
        log.warning("artefacts_left", import_id=import_id, error=type(error).__name__)


def find(conn: Connection, tenant: str, import_id: str) -> Row[Any]:
    """The row of an import.

    Raises:
        NotFound: there is none of this id, or it is somebody else's.
    """
    row = imports.get(conn, tenant, import_id) if re.fullmatch(IMPORT_ID, import_id) else None
    if row is None:
        raise NotFound("there is no such import", code="import_not_found")
    return row


def represent(resources: Resources, row: Row[Any]) -> Import:
    """The import object of a row; its summary is what the worker left."""
    return Import(
        id=row.id,
        object="import",
        format=row.spec["format"],
        name=row.name,
        status=row.status,
        filter=row.spec["filter"],
        sha256=row.spec["source"]["sha256"],
        bytes=row.spec["source"]["bytes"],
        summary=_summary(resources, row.artifacts.get(SUMMARY)),
        error=Problem.model_validate(row.error) if row.error else None,
        warnings=[Warning(code=warning["code"], detail=warning["detail"]) for warning in row.warnings],
        created_at=timestamp(row.created_at),
        finished_at=None if row.finished_at is None else timestamp(row.finished_at),
    )


def _summary(resources: Resources, entry: dict[str, Any] | None) -> ImportSummary | None:
    if entry is None:
        return None
    path = resources.artefacts.path_of(entry["key"])
    stored = checked(StoredFile(SUMMARY, path, entry["media_type"], entry["sha256"]))
    return ImportSummary.model_validate(json.loads(stored.path.read_bytes()))

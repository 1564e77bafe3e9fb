"""Reading and removing data sets."""

import re
from collections.abc import Iterator
from typing import Any, Final

import structlog
from sqlalchemy import Connection, Row

from api_schemas.datasets import Dataset, DatasetList
from api_schemas.ids import DATASET_ID
from api_schemas.prompts import Prompt
from ledger import datasets
from ledger.database import read, write
from ledger.errors import Conflict as LedgerConflict
from service.cursors import decode, encode
from service.errors import Conflict, NotFound
from service.resources import Resources
from service.stored_files import StoredFile, checked
from service.timestamps import timestamp

MEDIA_TYPE: Final = "application/jsonl"
_LISTING: Final = {"route": "datasets_list"}

log = structlog.get_logger(__name__)


def get(resources: Resources, dataset_id: str) -> Dataset:
    """One data set.

    Raises:
        NotFound: there is none of this id.
    """
    with read(resources.engine) as conn:
        return represent(find(conn, resources.tenant, dataset_id))


def list_page(resources: Resources, *, limit: int, after: str | None) -> DatasetList:
    """A page of data sets, newest first.

    Raises:
        ValidationFailed: `after` is no cursor of this list.
    """
    position = decode(after, _LISTING, (int, str))
    with read(resources.engine) as conn:
        rows = datasets.list_page(conn, resources.tenant, limit=limit + 1, after=position)
    page = rows[:limit]
    has_more = len(rows) > limit
    cursor = encode((page[-1].created_at, page[-1].id), _LISTING) if has_more else None
    return DatasetList(
        object="list", data=[represent(row) for row in page], has_more=has_more, next_cursor=cursor
    )


def open_content(resources: Resources, dataset_id: str) -> StoredFile:
    """Its file, checked against its hash.

    Raises:
        NotFound: there is none of this id.
        ArtifactUnreadable: the file is not what was stored.
    """
    with read(resources.engine) as conn:
        row = find(conn, resources.tenant, dataset_id)
    path = resources.artefacts.path_of(row.artefact_key)
    return checked(StoredFile(f"{row.id}.jsonl", path, MEDIA_TYPE, row.sha256))


def prompts_of(resources: Resources, dataset_id: str) -> Iterator[Prompt]:
    """Its prompts, in order, read one by one.

    Raises:
        NotFound: there is none of this id.
        ArtifactUnreadable: the file is not what was stored.
    """
    with open_content(resources, dataset_id).path.open("rb") as file:
        for line in file:
            yield Prompt.model_validate_json(line)


def remove(resources: Resources, dataset_id: str) -> None:
    """Delete a data set that no analysis uses.

    Raises:
        NotFound: there is none of this id.
        Conflict: an analysis uses it.
    """
    with write(resources.engine) as conn:
        find(conn, resources.tenant, dataset_id)
        try:
            datasets.remove(conn, resources.tenant, dataset_id)
        except LedgerConflict as error:
            detail = "an analysis uses this data set; delete the analysis first"
            raise Conflict(detail, code="dataset_in_use") from error
    try:
        resources.artefacts.delete_prefix(f"{resources.tenant}/{dataset_id}")
    except OSError as error:
        # The row is gone, so that nothing names the file: the collector removes it later.
        log.warning("artefacts_left", dataset_id=dataset_id, error=type(error).__name__)


def find(conn: Connection, tenant: str, dataset_id: str) -> Row[Any]:
    """The row of a data set.

    Raises:
        NotFound: there is none of this id, or it is somebody else's.
    """
    row = datasets.get(conn, tenant, dataset_id) if re.fullmatch(DATASET_ID, dataset_id) else None
    if row is None:
        raise NotFound("there is no such data set", code="dataset_not_found")
    return row


def represent(row: Row[Any]) -> Dataset:
    """The data set object of a row."""
    return Dataset(
        id=row.id,
        object="dataset",
        name=row.name,
        sha256=row.sha256,
        prompts=row.prompts,
        bytes=row.bytes,
        families=row.families,
        splits=row.splits,
        created_at=timestamp(row.created_at),
    )

"""Data sets: prompts by content; their lines are an artefact."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, delete, insert, or_, select
from sqlalchemy.exc import IntegrityError

from ledger import requests
from ledger.clock import now_us
from ledger.errors import Conflict
from ledger.tables import datasets, uses

# Without the ids of the prompts, which may be a hundred thousand.
_SHOWN: Final = [column for column in datasets.c if column.name != "prompt_ids"]


def create(
    conn: Connection,
    *,
    tenant_id: str,
    dataset_id: str,
    name: str | None,
    sha256: str,
    bytes: int,
    artefact_key: str,
    families: int,
    splits: Mapping[str, int],
    prompt_ids: Sequence[str],
) -> Row[Any]:
    """Keep a data set.

    Args:
        conn: A writing transaction.
        tenant_id: Whose it is.
        dataset_id: Its id, from ``ledger.ids.new_id("ds")``.
        name: What its owner calls it.
        sha256: Hash of its artefact, which is its content.
        bytes: Size of its artefact.
        artefact_key: The artefact: one prompt a line.
        families: How many distinct families its prompts have.
        splits: Prompts of each split.
        prompt_ids: Ids of its prompts, in order.

    Raises:
        Conflict: if the tenant has this content already. The transaction must be rolled back.
    """
    try:
        conn.execute(
            insert(datasets).values(
                tenant_id=tenant_id,
                id=dataset_id,
                name=name,
                sha256=sha256,
                bytes=bytes,
                artefact_key=artefact_key,
                prompts=len(prompt_ids),
                families=families,
                splits=dict(splits),
                prompt_ids=list(prompt_ids),
                created_at=now_us(conn),
            )
        )
    except IntegrityError as error:
        raise Conflict("a data set of this content exists") from error
    row = get(conn, tenant_id, dataset_id)
    assert row is not None
    return row


def get(conn: Connection, tenant_id: str, dataset_id: str, *, keep: bool = False) -> Row[Any] | None:
    """The tenant's data set; None if it has none of that id.

    Args:
        conn: A transaction.
        tenant_id: Whose.
        dataset_id: Which.
        keep: Whether it must not be deleted before the transaction ends.
    """
    query = select(*_SHOWN).where(datasets.c.tenant_id == tenant_id, datasets.c.id == dataset_id)
    return conn.execute(query.with_for_update(read=True) if keep else query).one_or_none()


def of_content(conn: Connection, tenant_id: str, sha256: str) -> Row[Any] | None:
    """The tenant's data set of this content, if there is one."""
    query = select(*_SHOWN).where(datasets.c.tenant_id == tenant_id, datasets.c.sha256 == sha256)
    return conn.execute(query).one_or_none()


def list_page(
    conn: Connection, tenant_id: str, *, limit: int, after: tuple[int, str] | None = None
) -> Sequence[Row[Any]]:
    """A page of the tenant's data sets, newest first, behind ``(created_at, id)`` of the page before."""
    query = select(*_SHOWN).where(datasets.c.tenant_id == tenant_id)
    if after is not None:
        created_at, dataset_id = after
        same_time = and_(datasets.c.created_at == created_at, datasets.c.id < dataset_id)
        query = query.where(or_(datasets.c.created_at < created_at, same_time))
    return conn.execute(query.order_by(datasets.c.created_at.desc(), datasets.c.id.desc()).limit(limit)).all()


def remove(conn: Connection, tenant_id: str, dataset_id: str) -> bool:
    """Delete a data set's row; its artefact is the caller's to delete.

    Returns:
        False if the tenant has no such data set.

    Raises:
        Conflict: if an analysis uses it.
    """
    ours = and_(datasets.c.tenant_id == tenant_id, datasets.c.id == dataset_id)
    if conn.execute(select(datasets.c.id).where(ours).with_for_update()).one_or_none() is None:
        return False
    if conn.execute(select(uses.c.analysis_id).where(uses.c.resource_id == dataset_id)).first() is not None:
        raise Conflict("an analysis uses this data set")
    conn.execute(delete(datasets).where(ours))
    return True


def prompt_ids(conn: Connection, analysis: Row[Any]) -> list[str]:
    """Ids of an analysis's prompts, in order; empty if they are not known here."""
    spec = requests.of_revision(conn, analysis.id, analysis.revision) or {}
    prompts = spec.get("prompts") or {}
    if inline := prompts.get("inline"):
        return [prompt["id"] for prompt in inline]
    query = select(datasets.c.prompt_ids).where(
        datasets.c.tenant_id == analysis.tenant_id, datasets.c.id == prompts.get("dataset")
    )
    return list(conn.execute(query).scalar_one_or_none() or ())


def is_artefact(conn: Connection, key: str) -> bool:
    """Whether an artefact is a data set's."""
    return conn.execute(select(datasets.c.id).where(datasets.c.artefact_key == key)).first() is not None

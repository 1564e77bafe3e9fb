"""Requests: what an analysis was asked to do, one for each of its revisions and never changed.

They lie beside the rows of ``analyses``, which every claim and commit rewrites: a request may hold a thousand
prompts, and SQLite rewrites a row whole.
"""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, and_, insert, select

from ledger.tables import analyses, requests

ASKED: Final[Select[Any]] = select(*analyses.c, requests.c.spec).join(
    requests, and_(requests.c.analysis_id == analyses.c.id, requests.c.revision == analyses.c.revision)
)
"""Rows of ``analyses``, each with the ``spec`` of its revision."""


def record(conn: Connection, analysis: Row[Any], revision: int, spec: Mapping[str, Any]) -> None:
    """Keep the request of an analysis's revision.

    Args:
        conn: The transaction that makes the revision.
        analysis: The row of the analysis.
        revision: Which, from 1.
        spec: The request with every default filled in.
    """
    row = {"analysis_id": analysis.id, "revision": revision, "tenant_id": analysis.tenant_id}
    conn.execute(insert(requests), {**row, "spec": dict(spec)})


def of_revision(conn: Connection, analysis_id: str, revision: int) -> dict[str, Any] | None:
    """The request of an analysis's revision; None if there is no such analysis or revision."""
    spec = select(requests.c.spec).where(
        requests.c.analysis_id == analysis_id, requests.c.revision == revision
    )
    found: dict[str, Any] | None = conn.execute(spec).scalar_one_or_none()
    return found

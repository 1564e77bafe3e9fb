"""A glance at the latest analyses."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ledger import analyses
from ledger.database import read
from ledger.progress import progress
from service.resources import Resources
from service.timestamps import timestamp


@dataclass(frozen=True, slots=True)
class Glance:
    """One line of the overview."""

    id: str
    name: str | None
    kind: str
    status: str
    partial: bool
    phase: str
    completed: int
    total: int
    verdict: str | None
    has_report: bool
    created_at: str
    models: tuple[str, ...]


def glances(resources: Resources, *, limit: int) -> list[Glance]:
    """The latest analyses, newest first."""
    with read(resources.engine) as conn:
        rows = analyses.list_page(conn, resources.tenant, limit=limit)
        counted = [progress(conn, row.id) for row in rows]
    return [
        Glance(
            id=row.id,
            name=row.name,
            kind=row.kind,
            status=row.status,
            partial=row.partial,
            phase=row.phase,
            completed=count.completed,
            total=count.total,
            verdict=row.verdict,
            has_report="report.html" in row.artifacts,
            created_at=timestamp(row.created_at),
            models=_models(row.spec),
        )
        for row, count in zip(rows, counted, strict=True)
    ]


def _models(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """The reference's id, then the candidates'; of an imported side, the import's."""
    sides = [spec["reference"], spec.get("candidate"), *(spec.get("candidates") or ())]
    return tuple(side.get("model") or side["import"] for side in sides if side)

"""Ending, renaming and removing analyses."""

from collections.abc import Collection
from typing import Any

import structlog
from sqlalchemy import Row

from api_schemas.analyses import Analysis
from api_schemas.requests import AnalysisPatch
from ledger import analyses
from ledger.database import write
from ledger.errors import Conflict as LedgerConflict
from service.analyses.read import find, no_analysis
from service.analyses.representation import represent
from service.errors import Conflict, PreconditionFailed
from service.resources import Resources

log = structlog.get_logger(__name__)


def cancel(resources: Resources, analysis_id: str) -> Analysis:
    """Ask for an analysis to end; what is committed is kept. Asking again changes nothing.

    Raises:
        NotFound: there is none of this id.
    """
    with write(resources.engine) as conn:
        find(conn, resources.tenant, analysis_id)
        row = analyses.request_cancel(conn, resources.tenant, analysis_id)
        if row is None:
            raise no_analysis()
        analysis = represent(conn, row)
    # A finished pilot is reported on before the analysis ends: somebody must run that shard.
    resources.wakeups.send()
    return analysis


def change(
    resources: Resources, analysis_id: str, patch: AnalysisPatch, *, versions: Collection[int] | None
) -> Analysis:
    """Change the name or the labels.

    Args:
        resources: The gateway's resources.
        analysis_id: Which.
        patch: What changes.
        versions: Versions that the change is meant for; None for any.

    Raises:
        NotFound: there is none of this id.
        PreconditionFailed: it is at another version.
    """
    changes: dict[str, Any] = {field: getattr(patch, field) for field in patch.model_fields_set}
    with write(resources.engine) as conn:
        require_version(find(conn, resources.tenant, analysis_id), versions)
        row = analyses.update(conn, resources.tenant, analysis_id, **changes)
        if row is None:
            raise no_analysis()
        return represent(conn, row)


def delete(resources: Resources, analysis_id: str, *, versions: Collection[int] | None) -> None:
    """Remove a finished analysis and its files.

    Args:
        resources: The gateway's resources.
        analysis_id: Which.
        versions: Versions that may be removed; None for any.

    Raises:
        NotFound: there is none of this id.
        PreconditionFailed: it is at another version.
        Conflict: it is still running.
    """
    with write(resources.engine) as conn:
        require_version(find(conn, resources.tenant, analysis_id), versions)
        try:
            analyses.delete(conn, resources.tenant, analysis_id)
        except LedgerConflict as error:
            raise Conflict(
                "the analysis has not ended yet; cancel it first, then delete it", code="analysis_live"
            ) from error
    try:
        resources.artefacts.delete_prefix(f"{resources.tenant}/{analysis_id}")
    except OSError as error:
        # The rows are gone, so that nothing names these files: the collector removes them later.
        log.warning("artefacts_left", analysis_id=analysis_id, error=type(error).__name__)


def require_version(row: Row[Any], versions: Collection[int] | None) -> None:
    """Check that a change is meant for an analysis as it is.

    Raises:
        PreconditionFailed: it is at another version.
    """
    if versions is not None and row.version not in versions:
        raise PreconditionFailed(
            f"the analysis is at version {row.version} by now; read it again and repeat the change if it fits"
        )

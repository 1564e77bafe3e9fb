"""Whether the imports that a request names can be sides of an analysis."""

from collections.abc import Iterator

from sqlalchemy import Connection

from api_schemas.requests import AnalysisRequest
from ledger import imports
from ledger.states import LIVE_STATUSES, AnalysisStatus
from service.analyses.findings import Finding
from service.analyses.model_checks import imported_sides


def check_imports(conn: Connection, tenant: str, request: AnalysisRequest) -> Iterator[Finding]:
    """Check every imported side; one that is still being parsed is waited for."""
    for side, import_id in imported_sides(request).items():
        row = imports.get(conn, tenant, import_id)
        if row is None:
            detail = "there is no such import; GET /v1/imports lists them"
            yield Finding("unknown_import", detail, f"/{side}/import")
        elif row.status not in LIVE_STATUSES and row.status != AnalysisStatus.SUCCEEDED:
            reason = (row.error or {}).get("detail", f"it ended as {row.status}")
            yield Finding("invalid_import", f"the import cannot be used: {reason}", f"/{side}/import")

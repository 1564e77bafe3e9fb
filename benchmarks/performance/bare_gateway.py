"""Two bare FastAPI routes that do the database work of ours: the comparator of the benchmark `gateway`.

The statements are the ledger's own. What is missing is everything else: no authentication, no validation, no
typed answers, no problems, no headers, no metrics, no log, no wake-up.
"""

import sys
from typing import Any

import uvicorn
from fastapi import Body, FastAPI, Header
from fastapi.responses import JSONResponse
from sqlalchemy import Connection, Row

from ledger import analyses, audit, idempotency, models
from ledger.database import connect, read, write
from ledger.ids import new_id
from ledger.progress import progress, usage

TENANT = "default"
ROUTE = "POST /v1/analyses"


def bare(url: str) -> FastAPI:
    """The routes on a ledger."""
    app, engine = FastAPI(), connect(url)

    @app.get("/v1/analyses/{analysis_id}")
    def status(analysis_id: str) -> JSONResponse:
        with read(engine) as conn:
            row = analyses.get(conn, TENANT, analysis_id)
            return JSONResponse(None if row is None else _answer(conn, row), 404 if row is None else 200)

    @app.post("/v1/analyses")
    def submit(body: dict[str, Any] = Body(), idempotency_key: str = Header()) -> JSONResponse:  # noqa: B008
        with read(engine) as conn:
            known = idempotency.find(conn, TENANT, ROUTE, idempotency_key)
        if known is not None:
            return JSONResponse(known.response, 202)
        with read(engine) as conn:
            for side in ("reference", "candidate"):
                models.get(conn, TENANT, body[side]["model"])
        with write(engine) as conn:
            answer = _create(conn, body, idempotency_key)
        return JSONResponse(answer, 202)

    return app


def _create(conn: Connection, body: dict[str, Any], key: str) -> dict[str, Any]:
    row = analyses.create(
        conn,
        tenant_id=TENANT,
        analysis_id=new_id("anl"),
        kind=body["kind"],
        name=None,
        labels={},
        spec=body,
        spec_sha256="",
        deadline_seconds=None,
        retention_seconds=None,
    )
    answer = _answer(conn, row)
    idempotency.store(
        conn,
        tenant_id=TENANT,
        route=ROUTE,
        key=key,
        request_sha256="",
        status=202,
        response=answer,
        analysis_id=row.id,
    )
    audit.record(
        conn,
        tenant_id=TENANT,
        actor="anonymous",
        action=ROUTE,
        target="/v1/analyses",
        status=202,
        request_id="",
    )
    return answer


def _answer(conn: Connection, row: Row[Any]) -> dict[str, Any]:
    counted = progress(conn, row.id)
    columns = ("id", "kind", "name", "labels", "status", "version", "spec", "created_at")
    return {
        **{name: getattr(row, name) for name in columns},
        "progress": {"completed": counted.completed, "total": counted.total},
        "usage": usage(conn, row.id),
    }


if __name__ == "__main__":
    uvicorn.run(bare(sys.argv[1]), port=int(sys.argv[2]), access_log=False, log_level="warning")

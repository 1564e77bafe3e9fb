"""Lists that are paged while they grow."""

import httpx
from gateway_process import BODY
from sqlalchemy import Engine

from api_schemas.requests import AnalysisRequest
from ledger import analyses as verbs
from ledger.database import write
from ledger.ids import new_id

SPEC = AnalysisRequest.model_validate(BODY).model_dump(mode="json")


def accept(engine: Engine, count: int) -> set[str]:
    """Analyses put straight into the ledger, as the gateway of another machine would; their ids."""
    with write(engine) as conn:
        return {
            verbs.create(
                conn,
                tenant_id="default",
                analysis_id=new_id("anl"),
                kind="support",
                name=None,
                labels={},
                spec=SPEC,
                spec_sha256="0" * 64,
                deadline_seconds=None,
                retention_seconds=None,
            ).id
            for _ in range(count)
        }


def page(client: httpx.Client, listed: list[str], **parameters: str) -> dict[str, str] | None:
    """List one page; what asks for the next one, or None at the end."""
    found = client.get("/v1/analyses", params=parameters).json()
    listed += [entry["id"] for entry in found["data"]]
    return {"after": found["next_cursor"]} if found["has_more"] else None


def test_a_thousand_that_arrive_meanwhile_shift_nothing(client: httpx.Client, engine: Engine) -> None:
    there = accept(engine, 100)
    listed: list[str] = []
    cursor: dict[str, str] | None = {}
    while cursor is not None:
        cursor = page(client, listed, limit="2", **cursor)
        accept(engine, 20)
    assert len(listed) == len(set(listed))
    assert set(listed) == there
    everything: list[str] = []
    cursor = {}
    while cursor is not None:
        cursor = page(client, everything, limit="100", **cursor)
    assert len(everything) == len(set(everything)) == 100 + 50 * 20

"""What the gateway is held beside does the same work, or the ratio would say nothing."""

from pathlib import Path

from benchmarks.performance.gateway import same_work, whole_request
from benchmarks.performance.servers import bare_routes, gateway_alone
from benchmarks.performance.session import Session


def test_bare_routes_write_and_find_what_ours_do(tmp_path: Path) -> None:
    session = Session("gateway", quick=True, scratch=tmp_path, report=lambda line: None)
    with gateway_alone(tmp_path / "ours") as ours, bare_routes(tmp_path / "bare") as bare:
        body = whole_request(ours, tmp_path / "request.json")
        assert body.read_bytes().count(b"SEED") == 1
        same_work(session, ours, bare, body)
    written, found = session.checks
    assert written.passed
    assert found.passed
    assert {"1 of analyses", "1 of idempotency", "1 of audit"} <= set(written.detail.split(", "))

from typing import Any


def test_metrics_take_a_key_that_may_read(gateway: Any, make_key: Any, bearer: Any) -> None:
    assert gateway.get("/metrics").status_code == 401
    assert gateway.get("/metrics", headers=bearer(make_key("alice", "write"))).status_code == 403
    assert gateway.get("/metrics", headers=bearer(make_key("alice", "read"))).status_code == 200

import pytest

from ledger.database import read, write
from ledger.models import get, list_page, mark_missing, upsert


def record(model_id, **changes):
    return {
        "id": model_id,
        "kind": "model",
        "path": f"/models/{model_id}",
        "weights_digest": "a" * 64,
        "state": "ready",
    } | changes


def test_a_scan_replaces_the_last_one(bench):
    with write(bench.engine) as conn:
        upsert(conn, "default", record("m", error="unreadable", state="invalid"))
        upsert(conn, "default", record("m", parameters=7_000_000_000))
    with read(bench.engine) as conn:
        row = get(conn, "default", "m")
        assert (row.state, row.error, row.parameters) == ("ready", None, 7_000_000_000)
        assert get(conn, "other", "m") is None


def test_unknown_columns_are_refused(bench):
    with write(bench.engine) as conn, pytest.raises(ValueError, match="colour"):
        upsert(conn, "default", record("m", colour="red"))


def test_pages_by_id(bench):
    with write(bench.engine) as conn:
        for model_id in "dbac":
            upsert(conn, "default", record(model_id))
        upsert(conn, "other", record("z"))
    with read(bench.engine) as conn:
        assert [row.id for row in list_page(conn, "default", limit=2)] == ["a", "b"]
        assert [row.id for row in list_page(conn, "default", limit=9, after="b")] == ["c", "d"]


def test_what_is_gone_becomes_invalid_and_may_return(bench):
    with write(bench.engine) as conn:
        for model_id in ("here", "gone"):
            upsert(conn, "default", record(model_id))
        upsert(conn, "other", record("theirs"))
        assert mark_missing(conn, "default", {"here"}) == 1
        assert mark_missing(conn, "default", {"here"}) == 0
        assert get(conn, "default", "gone").state == "invalid"
        assert get(conn, "other", "theirs").state == "ready"
        upsert(conn, "default", record("gone"))
        assert get(conn, "default", "gone").state == "ready"
        assert mark_missing(conn, "default", set()) == 2

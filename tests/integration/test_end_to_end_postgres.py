"""The whole service on PostgreSQL finds what it finds on SQLite, digit for digit."""

from agreement import differences, draws


def test_the_database_makes_no_difference(start_stack, postgres, comparison, undisturbed):
    url = postgres.new_database()
    stack = start_stack(workers=2, TILTSCOPE_DATABASE_URL=url)
    try:
        analysis_id = stack.submit(comparison)
        found = stack.findings(analysis_id)
        assert draws(found.samples) == draws(undisturbed.samples)
        assert differences(found.document, undisturbed.document, 0.0) == []
        assert found.rows == undisturbed.rows
        assert not (stack.home / "ledger.sqlite3").exists()
        again = stack.client.get(f"/v1/analyses/{analysis_id}")
        assert again.json()["status"] == "succeeded"
        assert stack.client.get("/readyz").json()["checks"]["database"] == "ok"
    finally:
        stack.stop()

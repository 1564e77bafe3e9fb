from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse
from sqlalchemy import Engine, text

from ledger import workers
from ledger.claims import release
from ledger.database import write
from ledger.states import AnalysisStatus
from ledger.tables import shards
from ledger.workers import WorkerIdentity


def scrape(gateway: Any) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    answer = gateway.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse(answer.text)
        for sample in family.samples
    }


def one(gateway: Any, name: str, **labels: str) -> float:
    return scrape(gateway)[name, frozenset(labels.items())]


def test_every_name_is_ours(gateway: Any) -> None:
    assert {name.partition("_")[0] for name, _ in scrape(gateway)} == {"tiltscope"}


def test_shards_and_analyses_are_counted_by_state(gateway: Any, submit: Any, worker: Any) -> None:
    submit()
    worker.sampling(4)
    submit(name="another")
    found = scrape(gateway)
    assert set(AnalysisStatus) == {
        dict(labels)["status"] for name, labels in found if name == "tiltscope_analyses"
    }
    count = {next(iter(labels))[1]: n for (name, labels), n in found.items() if name == "tiltscope_shards"}
    # One analysis planned and draws; the other waits to be planned.
    assert {state: n for state, n in count.items() if n} == {"READY": 1, "RUNNING": 1, "DONE": 1}
    assert found["tiltscope_analyses", frozenset({("status", "queued")})] == 1
    assert found["tiltscope_analyses", frozenset({("status", "running")})] == 1
    assert found["tiltscope_analyses", frozenset({("status", "failed")})] == 0


class TestOldestReady:
    def test_nothing_waits(self, gateway: Any) -> None:
        assert one(gateway, "tiltscope_oldest_ready_shard_seconds") == 0

    def test_a_shard_waits_since_it_was_made(self, gateway: Any, submit: Any, engine: Engine) -> None:
        submit()
        self.earlier(engine, seconds=3_600)
        assert one(gateway, "tiltscope_oldest_ready_shard_seconds") >= 3_600

    def test_a_running_one_does_not(self, gateway: Any, submit: Any, engine: Engine, worker: Any) -> None:
        submit()
        self.earlier(engine, seconds=3_600)
        worker.claim()
        assert one(gateway, "tiltscope_oldest_ready_shard_seconds") == 0

    def test_one_that_was_given_back_waits_since_then(
        self, gateway: Any, submit: Any, engine: Engine, worker: Any
    ) -> None:
        submit()
        self.earlier(engine, seconds=3_600)
        claim = worker.claim()
        release(engine, claim, reason="drain", penalty=False)
        assert one(gateway, "tiltscope_oldest_ready_shard_seconds") < 1_800

    def test_one_of_a_cancelled_analysis_does_not(self, gateway: Any, submit: Any, engine: Engine) -> None:
        path = submit()
        self.earlier(engine, seconds=3_600)
        gateway.post(f"{path}/cancel")
        assert one(gateway, "tiltscope_oldest_ready_shard_seconds") == 0

    @staticmethod
    def earlier(engine: Engine, *, seconds: int) -> None:
        with write(engine) as conn:
            conn.execute(shards.update().values(created_at=shards.c.created_at - seconds * 1_000_000))


def test_workers_seen_and_tokens_sampled(gateway: Any, submit: Any, engine: Engine, worker: Any) -> None:
    submit()
    workers.seen(engine, WorkerIdentity("w1", "b1", "here"), [])
    workers.seen(engine, WorkerIdentity("w2", "b2", "here"), [])
    workers.retire(engine, WorkerIdentity("w2", "b2", "here"), "sick")
    worker.sampling(4)
    with write(engine) as conn:
        conn.execute(shards.update().where(shards.c.state == "DONE").values(usage={"sampled_tokens": 37}))
    assert one(gateway, "tiltscope_workers") == 1
    assert one(gateway, "tiltscope_sampled_tokens") == 37
    assert one(gateway, "tiltscope_engine_seconds") == pytest.approx(0.5)


class TestRequests:
    COUNT = "tiltscope_http_request_duration_seconds_count"

    def test_they_are_counted_by_template_and_status(self, gateway: Any, submit: Any) -> None:
        path = submit()
        for _ in range(3):
            gateway.get(path)
        gateway.get("/v1/analyses/anl_unknown")
        route = "/v1/analyses/{analysis_id}"
        found = scrape(gateway)
        key = {("method", "GET"), ("route", route)}
        assert found[self.COUNT, frozenset({*key, ("status", "200")})] == 3
        assert found[self.COUNT, frozenset({*key, ("status", "404")})] == 1
        assert not any("anl_" in value for _, labels in found for _, value in labels)

    def test_what_callers_make_up_is_one_series(self, gateway: Any) -> None:
        for n in range(5):
            gateway.request(f"MADEUP{n}", f"/no/such/{n}")
        labels = {"method": "other", "route": "other", "status": "404"}
        assert one(gateway, self.COUNT, **labels) == 5


def test_without_the_database_it_says_so(gateway: Any, engine: Engine) -> None:
    with write(engine) as conn:
        conn.execute(text("DROP TABLE workers"))
    found = scrape(gateway)
    assert found["tiltscope_ledger_up", frozenset()] == 0
    assert not any(name == "tiltscope_shards" for name, _ in found)


def test_openmetrics_where_it_is_asked_for(gateway: Any) -> None:
    answer = gateway.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert any(family.name == "tiltscope_shards" for family in parse_openmetrics(answer.text))

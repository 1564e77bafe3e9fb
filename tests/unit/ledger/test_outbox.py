import pytest
from sqlalchemy import select, text, update

from ledger import outbox, webhooks
from ledger.analyses import delete
from ledger.claims import claim_next
from ledger.commits import fail_analysis
from ledger.crashes import record_crash
from ledger.database import read, write
from ledger.recovery import enforce_deadlines, expire_leases, settle_cancelled
from ledger.tables import deliveries
from ledger.tables import outbox as messages

ALL = ["analysis.succeeded", "analysis.failed", "analysis.cancelled", "analysis.expired"]


@pytest.fixture
def hook(engine):
    def hook(tenant="default", events=ALL, name="whk_1"):
        with write(engine) as conn:
            return webhooks.create(
                conn, tenant_id=tenant, webhook_id=name, name=None, url="https://x.example/", events=events,
                secret="sealed", most=20,
            ).id  # fmt: skip

    return hook


@pytest.fixture
def written(engine):
    def written():
        with read(engine) as conn:
            return conn.execute(select(messages).order_by(messages.c.created_at, messages.c.id)).all()

    return written


@pytest.fixture
def take(engine):
    return lambda limit=8, busy=(), hold=60.0: outbox.claim(engine, limit=limit, busy=busy, hold_seconds=hold)


def succeed(bench):
    analysis_id = bench.submit()
    bench.plan([{"idx": 0, "work": "finalise"}])
    assert bench.finalise(bench.claim(), verdict="elicitation")
    return analysis_id


def fail(bench):
    analysis_id = bench.submit()
    assert fail_analysis(bench.engine, bench.claim(), problem={"code": "c", "detail": "d"})
    return analysis_id


def crash_to_failure(bench):
    analysis_id = bench.submit()
    for _ in range(20):
        claim = claim_next(bench.engine, bench.worker)
        if claim is None:
            break
        record_crash(bench.engine, claim, detail="died")
        with write(bench.engine) as conn:
            conn.execute(text("update shards set not_before = 0"))
    return analysis_id


def cancel_waiting(bench):
    analysis_id = bench.submit()
    bench.cancel(analysis_id)
    return analysis_id


def cancel_running(bench):
    analysis_id = bench.started()
    bench.claim()
    bench.cancel(analysis_id)
    bench.age_leases()
    expire_leases(bench.engine)
    settle_cancelled(bench.engine)
    return analysis_id


def cancel_with_a_result(bench):
    analysis_id = bench.started()
    bench.commit(bench.claim())
    bench.cancel(analysis_id)
    assert bench.finalise(bench.claim())
    return analysis_id


def expire(bench):
    analysis_id = bench.submit()
    bench.set_analysis(analysis_id, deadline_at=1)
    enforce_deadlines(bench.engine)
    return analysis_id


def expire_with_a_result(bench):
    analysis_id = bench.started()
    bench.commit(bench.claim())
    bench.set_analysis(analysis_id, deadline_at=1)
    enforce_deadlines(bench.engine)
    assert bench.finalise(bench.claim())
    return analysis_id


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (succeed, "succeeded"),
        (fail, "failed"),
        (crash_to_failure, "failed"),
        (cancel_waiting, "cancelled"),
        (cancel_running, "cancelled"),
        (cancel_with_a_result, "cancelled"),
        (expire, "expired"),
        (expire_with_a_result, "expired"),
    ],
)
def test_every_end_is_told_once(bench, hook, written, end, status):
    hook()
    analysis_id = end(bench)
    assert bench.analysis(analysis_id).status == status
    bench.cancel(analysis_id)  # and asking again tells nothing more
    enforce_deadlines(bench.engine)
    settle_cancelled(bench.engine)
    (message,) = written()
    assert message.kind == f"analysis.{status}"
    row = bench.analysis(analysis_id)
    assert message.payload == {
        "id": analysis_id, "kind": row.kind, "status": status, "partial": row.partial, "verdict": row.verdict,
        "revision": 1, "result_revision": row.result_revision,
    }  # fmt: skip
    assert row.result_revision == (1 if row.artifacts else None)


def test_an_end_that_is_rolled_back_is_not_told(bench, hook, written, monkeypatch):
    hook()
    analysis_id = bench.submit()

    def broken(*_, **__):
        raise RuntimeError

    claim = bench.claim()
    with monkeypatch.context() as patched:
        patched.setattr("ledger.outbox.enqueue", broken)
        with pytest.raises(RuntimeError):
            fail_analysis(bench.engine, claim, problem={"code": "c", "detail": "d"})
    assert bench.analysis(analysis_id).finished_at is None
    assert written() == []


def test_only_who_asked_is_told(bench, hook, written):
    hook(events=["analysis.failed"], name="whk_f")
    hook(tenant="other", name="whk_o")
    both = {hook(name="whk_a"), hook(name="whk_b")}
    succeed(bench)
    assert {message.webhook_id for message in written()} == both


def test_an_import_is_no_analysis_to_be_told_of(bench, hook, written):
    hook()
    bench.cancel(bench.submit(kind="import"))
    assert written() == []


def test_a_message_outlives_its_analysis(bench, hook, written):
    hook()
    analysis_id = succeed(bench)
    with write(bench.engine) as conn:
        assert delete(conn, "default", analysis_id)
    assert len(written()) == 1


def test_a_webhook_gets_one_message_at_a_time_and_delays_no_other(bench, hook, take):
    hook(name="whk_a")
    for _ in range(3):
        cancel_waiting(bench)
    hook(name="whk_b", events=["analysis.failed"])
    fail(bench)
    first = take()
    assert [message.webhook_id for message in first] == ["whk_a", "whk_b"]
    assert take(busy={"whk_a", "whk_b"}) == []
    assert [message.webhook_id for message in take(busy={"whk_b"})] == ["whk_a"]


def test_what_is_held_is_not_taken_again_until_its_holder_counts_as_dead(bench, hook, take):
    hook()
    cancel_waiting(bench)
    (message,) = take(hold=60)
    assert take() == []
    with write(bench.engine) as conn:
        conn.execute(update(messages).values(next_at=1))  # as time would
    (again,) = take()
    assert (again.id, message.attempt, again.attempt) == (message.id, 1, 2)


def test_what_became_of_each_attempt_is_kept(bench, hook, take):
    hook()
    cancel_waiting(bench)
    (message,) = take()
    assert (
        outbox.record(bench.engine, message, status=500, error="answered 500", retry_seconds=0) == "retried"
    )
    (message,) = take()
    assert outbox.record(bench.engine, message, status=None, error="no answer", retry_seconds=0) == "retried"
    (message,) = take()
    assert outbox.record(bench.engine, message, status=204, error=None, retry_seconds=9) == "delivered"
    assert take() == []
    with read(bench.engine) as conn:
        rows = outbox.list_deliveries(conn, "default", "whk_1", limit=10)
        assert outbox.list_deliveries(conn, "other", "whk_1", limit=10) == []
    assert [(row.attempt, row.status, row.outcome, row.next_at is None) for row in rows] == [
        (3, 204, "delivered", True),
        (2, None, "retried", False),
        (1, 500, "retried", False),
    ]


def test_what_is_given_up_is_not_sent_again(bench, hook, take):
    hook()
    cancel_waiting(bench)
    (message,) = take()
    assert outbox.record(bench.engine, message, status=410, error="answered 410") == "given_up"
    with write(bench.engine) as conn:
        conn.execute(update(messages).values(next_at=1))
    assert take() == []


def test_a_slow_holder_neither_delays_nor_undoes_what_came_after(bench, hook, take, written):
    hook()
    cancel_waiting(bench)
    (slow,) = take(hold=0)
    (fast,) = take(hold=0)
    assert outbox.record(bench.engine, slow, status=500, error="x", retry_seconds=3600) == "retried"
    assert [message.id for message in take(hold=0)] == [fast.id]
    outbox.record(bench.engine, fast, status=204, error=None)
    outbox.record(bench.engine, slow, status=500, error="x")
    assert (written()[0].sent_at is None, written()[0].given_up_at) == (False, None)


def test_a_webhook_that_was_removed_meanwhile_gets_nothing(bench, hook, take, written):
    hook()
    cancel_waiting(bench)
    (message,) = take()
    with write(bench.engine) as conn:
        assert not webhooks.remove(conn, "other", "whk_1")
        assert webhooks.remove(conn, "default", "whk_1")
    assert outbox.record(bench.engine, message, status=204, error=None) is None
    assert written() == []


def test_only_what_is_over_is_forgotten(bench, hook, take, written):
    hook()
    cancel_waiting(bench)
    assert outbox.forget(bench.engine, seconds=-1) == 0
    (message,) = take()
    outbox.record(bench.engine, message, status=204, error=None)
    assert outbox.forget(bench.engine, seconds=3600) == 0
    assert outbox.forget(bench.engine, seconds=-1) == 1
    assert written() == []
    with read(bench.engine) as conn:
        assert conn.execute(select(deliveries)).all() == []


def test_a_rotation_leaves_two_live_secrets_for_a_while(bench, hook, take):
    hook()
    cancel_waiting(bench)
    with write(bench.engine) as conn:
        webhooks.rotate(conn, "default", "whk_1", secret="second", overlap_seconds=60)
    (message,) = take(hold=0)
    assert message.secrets == ("second", "sealed")
    with write(bench.engine) as conn:
        webhooks.rotate(conn, "default", "whk_1", secret="third", overlap_seconds=0)
        assert webhooks.rotate(conn, "other", "whk_1", secret="theirs", overlap_seconds=0) is None
    (message,) = take(hold=0)
    assert message.secrets == ("third",)

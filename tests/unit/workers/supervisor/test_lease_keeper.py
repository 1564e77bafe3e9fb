import threading
import time

from ledger import analyses
from ledger.database import write
from ledger.recovery import expire_leases, release_boot
from ledger.states import Directive
from workers.supervisor import lease_keeper
from workers.supervisor.lease_keeper import LeaseKeeper


def wait_for(holds):
    give_up_at = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)


def keeper(engine, claim, lease_seconds=60.0):
    return LeaseKeeper(engine, claim, lease_seconds=lease_seconds, renew_seconds=0.01)


def test_progress_reaches_the_ledger(engine, submit, claim):
    submit()
    held = claim()
    with keeper(engine, held) as lease:
        lease.progress = 3

        def reported():
            with engine.connect() as conn:
                query = f"select progress from shards where id = '{held.shard['id']}'"
                return conn.exec_driver_sql(query).scalar() == 3

        wait_for(reported)


def test_a_renewed_lease_does_not_expire(engine, submit, claim):
    submit()
    held = claim(lease_seconds=0.2)
    with keeper(engine, held) as lease:
        until = time.monotonic() + 0.5
        wait_for(lambda: expire_leases(engine) or time.monotonic() > until)
        assert lease.directive is Directive.CONTINUE


def test_a_cancel_arrives_with_a_renewal(engine, submit, claim):
    submit()
    with keeper(engine, claim()) as lease:
        with write(engine) as conn:
            analyses.request_cancel(conn, "default", "anl_1")
        wait_for(lambda: lease.directive is Directive.ABORT)


def test_a_lost_lease_is_noticed(engine, submit, claim):
    submit()
    with keeper(engine, claim()) as lease:
        release_boot(engine, "b-1")
        wait_for(lambda: lease.directive is Directive.LOST)


def test_without_the_database_the_holder_gives_up_before_the_lease_ends(engine, submit, claim, monkeypatch):
    tried = threading.Event()

    def away(*args, **options):
        tried.set()
        raise OSError("away")

    monkeypatch.setattr(lease_keeper, "renew", away)
    submit()
    with keeper(engine, claim(), lease_seconds=0.4) as lease:
        tried.wait(60)
        wait_for(lambda: lease.directive is Directive.LOST)


def test_a_renewal_that_hangs_does_not_keep_the_holder_from_giving_up(engine, submit, claim, monkeypatch):
    answers = threading.Event()
    monkeypatch.setattr(lease_keeper, "renew", lambda *args, **options: answers.wait(60))
    submit()
    with keeper(engine, claim(), lease_seconds=0.2) as lease:
        wait_for(lambda: lease.directive is Directive.LOST)
        answers.set()

from workers.reconciler import recovery
from workers.reconciler.clock_guard import ClockGuard
from workers.reconciler.recovery import Recovery


def test_the_clock_is_followed_before_leases_expire_and_one_failure_holds_up_nothing(engine, monkeypatch):
    done = []

    def expire(engine):
        done.append("expire")
        raise RuntimeError("the database is away")

    def follow(engine, *, boot, offset_us):
        done.append(("follow", offset_us))
        return offset_us

    monkeypatch.setattr(recovery, "expire_leases", expire)
    monkeypatch.setattr(recovery, "follow_clock", follow)
    monkeypatch.setattr(recovery, "close_rounds", lambda engine: done.append("close") or 0)
    wall = iter([100.0, 3700.0])
    ticks = Recovery(engine, ClockGuard(lambda: next(wall), lambda: 0.0))
    ticks.tick()
    ticks.tick()
    assert done == [
        ("follow", 100_000_000),
        "expire",
        "close",
        ("follow", 3_700_000_000),
        "expire",
        "close",
    ]

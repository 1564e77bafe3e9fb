from workers.reconciler import recovery
from workers.reconciler.clock_guard import ClockGuard
from workers.reconciler.recovery import Recovery


def test_the_clock_is_followed_before_leases_expire_and_one_failure_holds_up_nothing(engine, monkeypatch):
    done = []

    def expire(engine):
        done.append("expire")
        raise RuntimeError("the database is away")

    monkeypatch.setattr(recovery, "expire_leases", expire)
    monkeypatch.setattr(recovery, "extend_leases", lambda engine, jump: done.append(("extend", jump)) or 1)
    monkeypatch.setattr(recovery, "close_rounds", lambda engine: done.append("close") or 0)
    wall = iter([100.0, 3700.0, 3700.0])
    ticks = Recovery(engine, ClockGuard(lambda: next(wall), lambda: 0.0))
    ticks.tick()
    assert done == [("extend", 3_600_000_000), "expire", "close"]
    ticks.tick()
    assert done[3:] == ["expire", "close"]

from hypothesis import given
from hypothesis import strategies as st

from workers.reconciler.clock_guard import ClockGuard


class Clocks:
    def __init__(self):
        self.wall = 1_700_000_000.0
        self.steady = 50.0

    def guard(self):
        return ClockGuard(lambda: self.wall, lambda: self.steady)

    def pass_by(self, seconds, jump=0.0):
        self.steady += seconds
        self.wall += seconds + jump


def test_time_that_passes_is_no_jump():
    clocks = Clocks()
    guard = clocks.guard()
    clocks.pass_by(7200)
    assert guard.jump_us() == 0


@given(st.floats(1.001, 1e6).flatmap(lambda size: st.sampled_from([size, -size])), st.floats(0, 1e4))
def test_a_jump_is_told_once_with_its_sign(jump, elapsed):
    clocks = Clocks()
    guard = clocks.guard()
    clocks.pass_by(elapsed, jump)
    assert abs(guard.jump_us() - jump * 1e6) < 10
    clocks.pass_by(elapsed)
    assert guard.jump_us() == 0


def test_slewing_does_not_add_up_to_a_jump():
    clocks = Clocks()
    guard = clocks.guard()
    for _ in range(100):
        clocks.pass_by(1.0, jump=0.5)
        assert guard.jump_us() == 0

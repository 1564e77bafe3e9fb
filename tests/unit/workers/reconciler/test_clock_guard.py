from workers.reconciler.clock_guard import ClockGuard


def test_the_offset_stands_still_while_time_passes_and_moves_with_a_jump():
    clocks = {"wall": 1_700_000_000.0, "steady": 50.0}
    guard = ClockGuard(lambda: clocks["wall"], lambda: clocks["steady"])
    before = guard.offset_us()
    clocks = {"wall": 1_700_007_200.0, "steady": 7250.0}
    assert guard.offset_us() == before
    clocks["wall"] -= 3600
    assert guard.offset_us() == before - 3_600_000_000


def test_two_processes_on_a_machine_see_the_same_clock():
    first, second = ClockGuard(), ClockGuard()
    assert first.boot == second.boot
    assert abs(first.offset_us() - second.offset_us()) < 1_000_000

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.reports.scales import Linear, Logarithmic, around, tick_label

FINITE = st.floats(-1e9, 1e9)


@given(st.lists(FINITE, max_size=8))
def test_a_scale_around_values_holds_them_and_zero(values):
    scale = around(values)
    assert scale.low < scale.high
    for value in [0.0, *values]:
        assert scale.low <= value <= scale.high


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_few_and_within(low, width):
    scale = Linear(low, low + width)
    ticks = scale.ticks()
    assert len(ticks) <= 6
    assert all(low - 1e-6 * width <= tick <= low + width * (1 + 1e-6) for tick in ticks)


def test_round_ticks():
    assert Linear(0, 1).ticks() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert [tick_label(t, 0.2) for t in (0.0, 0.2, -0.4)] == ["0", "0.2", "−0.4"]


def test_positions_are_clamped():
    assert [Linear(0, 2).share(v) for v in (-1, 0, 1, 3)] == [0, 0, 0.5, 1]


def test_logarithmic_positions():
    scale = Logarithmic(1, 256)
    assert [scale.share(k) for k in (1, 16, 256, 1024)] == pytest.approx([0, 0.5, 1, 1])
    assert Logarithmic(8, 8).share(8) == 0.5


def test_powers_are_thinned():
    assert Logarithmic(1, 64).powers(2) == [1, 2, 4, 8, 16, 32, 64]
    assert Logarithmic(1, 4096).powers(2) == [1, 4, 16, 64, 256, 1024, 4096]
    assert Logarithmic(0.001, 1).powers(10) == pytest.approx([0.001, 0.01, 0.1, 1])

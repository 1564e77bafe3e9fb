import math

import numpy as np
import pytest

from workers.numerics import checks


@pytest.mark.parametrize("bad", [0.0, 1.0, -0.1, math.nan, math.inf])
def test_open_unit(bad: float) -> None:
    assert checks.open_unit(0.3, "alpha") == 0.3
    with pytest.raises(ValueError, match="alpha"):
        checks.open_unit(bad, "alpha")


@pytest.mark.parametrize("bad", [(1.5, 3), (1, 2.5), (-1, 3), (4, 3)])
def test_counts(bad: tuple[int, int]) -> None:
    assert checks.counts(np.int64(2), np.int64(3)) == (2, 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"counts|successes"):
        checks.counts(*bad)


def test_vectors_are_checked_copies() -> None:
    source = np.array([0.0, -math.inf])
    copy = checks.vector(source, "log_p")
    source[0] = 5.0
    assert copy.tolist() == [0.0, -math.inf]
    for bad in ([math.nan], [math.inf], [[0.0]], 3.0):
        with pytest.raises(ValueError, match="log_p"):
            checks.vector(bad, "log_p")
    with pytest.raises(ValueError, match="finite"):
        checks.finite_vector([-math.inf], "log_p")


def test_masks_refuse_numbers() -> None:
    assert checks.mask([True, False], "is_correct").tolist() == [True, False]
    assert checks.mask([], "is_correct").size == 0
    for bad in ([0.5, 1.0], [0, 1], [[True]]):
        with pytest.raises(ValueError, match="is_correct"):
            checks.mask(bad, "is_correct")


def test_count_vectors() -> None:
    c, n = checks.count_vectors([0, 2], [3, 2])
    assert (c.tolist(), n.tolist()) == ([0, 2], [3, 2])
    for bad in (([1], [1, 2]), ([-1], [2]), ([3], [2]), ([0.5], [2.0])):
        with pytest.raises(ValueError, match=r"counts|successes"):
            checks.count_vectors(*bad)

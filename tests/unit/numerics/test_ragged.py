import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from workers.numerics.ragged import row_sums


@given(st.lists(st.lists(st.floats(-9, 9), max_size=40), max_size=12))
def test_each_row_has_the_bits_of_its_own_sum(rows: list[list[float]]) -> None:
    edges = np.cumsum([0, *map(len, rows)])
    values = np.array([value for row in rows for value in row], dtype=np.float64)
    assert row_sums(values, edges).tolist() == [float(np.sum(np.array(row, np.float64))) for row in rows]

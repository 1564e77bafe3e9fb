import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from workers.numerics.quantiles import quantile


@given(
    st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=40),
    st.floats(0, 1) | st.sampled_from([0.0, 0.025, 0.5, 0.975, 1.0]),
)
def test_quantiles_are_those_of_numpy(values: list[float], level: float) -> None:
    array = np.array(values, np.float64)
    assert quantile(array, level) == float(np.quantile(array, level))

from string import ascii_letters, digits

from hypothesis import given
from hypothesis import strategies as st

from tiltscope.tracking.record import metric_name


def test_paths_become_names_that_trackers_allow():
    path = "support.candidate.pass_at_k[k=8].estimate"
    assert metric_name(path) == "support.candidate.pass_at_k.k_8"
    assert metric_name("free_energy.by_inverse_temperature[inverse_temperature=0.5].gap") == (
        "free_energy.by_inverse_temperature.inverse_temperature_0.5.gap"
    )
    assert metric_name("gain.total") == "gain.total"


@given(st.text())
def test_any_path_does(path):
    assert set(metric_name(path)) <= set(ascii_letters + digits + "_-. :/")

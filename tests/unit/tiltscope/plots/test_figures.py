import math

import pytest

from tiltscope import Result
from tiltscope.documents import DatasetEstimate, FreeEnergy, Gain, PassAtK, SideSupport, Support

NAMES = ("total", "elicited", "created", "undetermined", "lost")


def estimate(value, low=None, high=None, reason=""):
    return DatasetEstimate.model_construct(
        value=value,
        ci_low=low,
        ci_high=high,
        n=20,
        unit="probability",
        status="ok" if value is not None else "undefined",
        reason=reason,
    )


def result(**parts):
    empty = {"verdict": None, "gain": None, "support": None, "free_energy": None}
    fixed = {"kind": "capability", "analysis_id": "anl_1", "frame": {"budget": {"k_use": 8, "k_probe": 256}}}
    return Result.model_construct(**{**empty, **fixed, **parts})


def bars(axes):
    return [patch.get_width() for patch in axes.patches]


def test_the_gain_split_draws_each_part_and_says_why_one_is_missing():
    values = {"total": 0.5, "elicited": 0.4, "created": 0.1, "lost": -0.05}
    gain = {name: estimate(values[name], values[name] - 0.1, values[name] + 0.1) for name in values}
    gain["undetermined"] = estimate(None, reason="no prompt")
    (axes,) = result(gain=Gain.model_construct(**gain)).plot().axes
    assert bars(axes) == [0.5, 0.4, 0.1, -0.05]
    assert [label.get_text() for label in axes.get_yticklabels()] == list(NAMES)
    assert [note.get_text() for note in axes.texts] == ["undefined: no prompt"]
    ends = [tuple(line.get_xdata()) for line in axes.lines[:4]]
    assert ends[0] == pytest.approx((0.4, 0.6))


def test_a_curve_leaves_out_what_has_no_value():
    points = [
        PassAtK.model_construct(k=1, estimate=estimate(0.1, 0.0, 0.2)),
        PassAtK.model_construct(k=2, estimate=estimate(0.3)),
        PassAtK.model_construct(k=4, estimate=estimate(None)),
    ]
    side = SideSupport.model_construct(pass_at_k=points)
    support = Support.model_construct(
        reference=side, candidate=None, regimes={"basin": 3, "tail": 0, "lost": 1}
    )
    curve, regimes = result(support=support).plot().axes
    assert list(curve.lines[0].get_xdata()) == [1, 2]
    assert list(curve.lines[0].get_ydata()) == [0.1, 0.3]
    assert sorted(float(line.get_xdata()[0]) for line in curve.lines[1:]) == [8, 256]
    assert bars(regimes) == [3, 1]


def test_the_decomposition_is_in_nats():
    terms = {"kl": 3.0, "tilt": 2.0, "drift": 0.7, "escape": 0.3}
    free_energy = FreeEnergy.model_construct(**{name: estimate(value) for name, value in terms.items()})
    (axes,) = result(free_energy=free_energy).plot().axes
    assert bars(axes) == list(terms.values())
    assert axes.get_xlabel() == "nats"


def checkpoint(step, gain):
    estimates = {name: {"value": gain, "ci_low": gain - 0.1, "ci_high": gain + 0.1} for name in NAMES}
    terms = {
        name: {"value": 10 * gain, "ci_low": None, "ci_high": None}
        for name in ("kl", "tilt", "drift", "escape")
    }
    return {"step": step, "gain": estimates, "free_energy": terms, "verdict": {"label": "mixed"}}


def test_a_trajectory_is_drawn_over_its_steps_and_a_gap_stays_a_gap():
    steps = [checkpoint(100, 0.1), {**checkpoint(200, 0.2), "gain": None}, checkpoint(400, 0.4)]
    gains, terms = result(checkpoints=steps).plot().axes
    total = gains.lines[0]
    assert list(total.get_xdata()) == [100, 200, 400]
    assert [None if math.isnan(y) else y for y in total.get_ydata()] == [0.1, None, 0.4]
    assert list(terms.lines[0].get_ydata()) == pytest.approx([1, 2, 4])
    assert gains.get_xlabel() == "training step"


def test_without_steps_checkpoints_are_counted():
    gains, _ = result(checkpoints=[checkpoint(None, 0.1), checkpoint(7, 0.2)]).plot().axes
    assert list(gains.lines[0].get_xdata()) == [1, 2]
    assert gains.get_xlabel() == "checkpoint"


def test_a_notebook_gets_a_picture():
    assert (
        result(checkpoints=[checkpoint(1, 0.1), checkpoint(2, 0.3)])
        .plot()
        ._repr_png_()
        .startswith(b"\x89PNG")
    )

"""Tilt, drift and escape where arms decide what is out of reach: O must be out under every one."""

import pytest
from planted import bernoulli_law, planted, planted_run

HOT = {"name": "hot", "role": "elicitation", "policy": {"temperature": 1.5}}
BUDGET = {"k_probe": 16, "samples_per_prompt": 64, "max_samples_per_prompt": 512}
RARE = 0.004  # below epsilon(16, 0.5) = 0.042
A, B = 1e-3, 0.9


def row_of(hot, arms=(HOT,), **budget):
    """The row of one prompt that its reference does not reach, with another chance under the arm."""
    answer = planted("p", A, B).answers[0]
    prompt = planted("p", A, B, arms={"arm:hot": bernoulli_law(hot, answer)})
    made = planted_run([prompt], arms=list(arms), budget={**BUDGET, **budget})
    (row,) = made.run().rows
    return prompt, row


def ends(estimate):
    return estimate["ci_low"], estimate["ci_high"]


def test_what_an_arm_reaches_is_no_escape():
    prompt, row = row_of(0.6)
    assert row["reference"]["class_at_k_probe"] != "in"
    assert row["regime"] == "tail"
    assert row["escape"]["value"] == 0.0
    assert ends(row["escape"]) == (0.0, 0.0)
    assert row["tilt"]["value"] == pytest.approx(prompt.kl, rel=0.1)  # a Bernoulli tilt has no drift
    assert row["tilt"]["value"] + row["drift"]["value"] == pytest.approx(row["kl"]["value"])


def test_what_is_out_under_every_policy_is_escape():
    prompt, row = row_of(RARE)
    assert row["regime"] == "unreached"
    assert row["tilt"]["value"] == 0.0
    assert row["escape"]["value"] == pytest.approx(prompt.kl, rel=0.1)


def test_an_arm_that_is_not_settled_leaves_both_readings():
    """The fixed plan ends while the arm is still open: the interval is the union of both readings."""
    _, out = row_of(0.0, arms=())
    _, reached = row_of(0.6)
    prompt, row = row_of(0.05, adaptive=False, samples_per_prompt=128)
    (arm,) = row["arms"]
    assert (row["reference"]["class_at_k_probe"], arm["class_at_k_probe"]) == ("out", "undetermined")
    assert out["tilt"]["value"] == reached["escape"]["value"] == 0.0
    for term in ("tilt", "escape"):
        low, high = ends(row[term])
        assert low == 0.0
        assert high >= prompt.kl

"""Oracle: hand-made counts, and simulation under the boundary of the null hypothesis."""

import numpy as np
import pytest

from workers.estimators.behaviours import classify_behaviours, members, readings
from workers.estimators.counts import epsilon, log_e_out

EPS = epsilon(8, 0.5)


def classify(reference, candidate, n_p=400, n_q=64):
    """Counts of each label on both sides; the rest are failures."""

    def side(counts, n):
        labels = [z for z, c in counts.items() for _ in range(c)]
        success = np.array([True] * len(labels) + [False] * (n - len(labels)))
        return labels + [None] * (n - len(labels)), success

    return classify_behaviours(
        *side(reference, n_p), *side(candidate, n_q), threshold=EPS, planned_n=64, alpha=0.05
    )


def test_classes_come_from_reference_counts_alone():
    found = classify({"plan": 200, "rare": 5}, {"plan": 10, "tool": 30, "rare": 4})
    assert [b.label for b in found] == ["tool", "plan", "rare"]
    assert {b.label: b.reach for b in found} == {"tool": "out", "plan": "in", "rare": "out"}
    assert {b.label: b.reference for b in found} == {"tool": 0, "plan": 200, "rare": 5}
    assert found[0].log_e_out == pytest.approx(log_e_out(0, 400, EPS, 64))
    # More candidate samples of a behaviour do not move its class.
    again = classify({"plan": 200, "rare": 5}, {"plan": 1, "tool": 60, "rare": 1})
    assert {b.label: b.reach for b in again} == {b.label: b.reach for b in found}


def test_a_behaviour_the_candidate_never_shows_is_not_judged():
    assert [b.label for b in classify({"old": 30}, {"new": 3})] == ["new"]
    assert classify({"old": 30}, {}) == []


def test_successes_without_a_label_are_a_behaviour_of_their_own():
    found = classify_behaviours(
        [None] * 300, np.array([True] * 150 + [False] * 150), ["a", None, None],
        np.array([True, True, False]), threshold=EPS, planned_n=64, alpha=0.05,
    )  # fmt: skip
    assert [(b.label, b.reference, b.candidate, b.reach) for b in found] == [
        ("a", 0, 1, "out"), (None, 150, 1, "in"),
    ]  # fmt: skip


def test_readings_start_with_the_likelier():
    found = classify({"in": 200, "lean": 1, "near": 34}, {"in": 9, "out": 9, "lean": 9, "near": 9}, n_p=400)
    by = {b.label: b.reach for b in found}
    assert by == {"in": "in", "out": "out", "lean": "out", "near": "undetermined"}
    assert readings(found, 400, EPS) == [frozenset({"out", "lean"}), frozenset({"out", "lean", "near"})]
    # 34 of 400 is just above ε = 0.083, so it leans in; 30 would lean out.
    leaning = classify({"in": 200, "near": 32}, {"in": 9, "near": 9}, n_p=400)
    assert readings(leaning, 400, EPS) == [frozenset({"near"}), frozenset()]


def test_few_reference_samples_leave_everything_undetermined():
    found = classify({}, {"a": 5}, n_p=10)
    assert found[0].reach == "undetermined"
    assert readings(found, 10, EPS) == [frozenset({"a"}), frozenset()]


def test_the_false_discovery_rate_within_a_prompt_holds():
    """Four behaviours at exactly ε: some is called out in at most α of prompts (all nulls are true)."""
    rng = np.random.default_rng(0)
    false = 0
    for _ in range(600):
        counts = rng.multinomial(300, [EPS] * 4 + [1 - 4 * EPS])[:4]
        reference = {f"z{i}": int(c) for i, c in enumerate(counts)}
        found = classify(reference, {f"z{i}": 5 for i in range(4)}, n_p=300)
        false += any(b.reach == "out" for b in found)
    assert false / 600 <= 0.05 + 2.33 * np.sqrt(0.05 * 0.95 / 600)


def test_members():
    chosen = members(["a", None, "a", "b"], np.array([True, True, False, True]), {"a", None})
    assert chosen.tolist() == [True, True, False, False]
    with pytest.raises(ValueError, match="label"):
        classify_behaviours(["a"], np.array([]), [], np.array([]), threshold=EPS, planned_n=9, alpha=0.1)

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.estimators.counts import clopper_pearson
from workers.estimators.unseen import behaviour_entropy, novel_mass, unseen_mass

labels = st.lists(st.integers(0, 12), min_size=2, max_size=60)
ZIPF = np.arange(1.0, 301.0) ** -1.5
WORLDS = {
    "two": np.array([0.97, 0.03]),
    "uniform 20": np.full(20, 0.05),
    "uniform 200": np.full(200, 0.005),
    "geometric": 0.5 ** np.arange(1, 40),
    "zipf": ZIPF,
    "dominated": np.r_[0.9, np.full(10, 0.01)],
}


def test_by_hand() -> None:
    # a a b c: f1 = 2, f2 = 1, n = 4
    got = unseen_mass(["a", "a", "b", "c"])
    assert got.value == 0.5
    assert got.std_error == pytest.approx(math.sqrt(2 * 0.5 + 2 * 2) / 4)
    # H = 1/2 log 2 + 2·1/4 log 4 = 1.5 log 2; Miller-Madow adds (3 - 1)/8
    assert behaviour_entropy(["a", "a", "b", "c"]).value == pytest.approx(1.5 * math.log(2) + 0.25)
    assert novel_mass(["a"], ["a", "b", "b", "a", "c"]).value == pytest.approx(0.6)


def test_known_labels_are_neither_unseen_nor_novel() -> None:
    assert unseen_mass(["a", "b", "b", None], known=(None,)).value == 0.25
    assert unseen_mass(["b", "b", None], known=(None,)).value == 0.0
    assert novel_mass([None], ["a", "b", None, None], known=(None, "b")).value == 0.25


def test_one_behaviour_is_certain_only_up_to_the_unseen() -> None:
    same = ["correct"] * 64
    entropy, unseen = behaviour_entropy(same, alphabet=2), unseen_mass(same)
    assert (entropy.value, entropy.std_error, entropy.ci_low) == (0.0, 0.0, 0.0)
    assert entropy.ci_high is not None
    assert 0 < entropy.ci_high < math.log(2)
    assert unseen.ci_high is not None
    assert unseen.ci_high >= clopper_pearson(0, 64, 0.95)[1]


@pytest.mark.parametrize("world", WORLDS)
def test_coverage(world: str) -> None:
    p = WORLDS[world] / WORLDS[world].sum()
    entropy = -float((p * np.log(p)).sum())
    rng = np.random.default_rng(0)
    mass_hits, entropy_hits = [], []
    for _ in range(400):
        y = rng.choice(p.size, size=64, p=p)
        mass = 1 - float(p[np.unique(y)].sum())
        unseen, got = unseen_mass(y.tolist()), behaviour_entropy(y.tolist())
        mass_hits.append((unseen.ci_low or 0) - 1e-12 <= mass <= (unseen.ci_high or 0))
        entropy_hits.append((got.ci_low or 0) <= entropy <= (got.ci_high or 0))
    # One standard error of an estimated 0.95 is 0.011; Esty's interval is asymptotic.
    assert np.mean(mass_hits) >= 0.925
    assert np.mean(entropy_hits) >= 0.939


def test_good_turing_is_nearly_unbiased() -> None:
    rng = np.random.default_rng(0)
    p = np.full(40, 1 / 40)
    exact = float((1 - 1 / 40) ** 64)
    values = [unseen_mass(rng.choice(40, 64, p=p).tolist()).value for _ in range(2000)]
    # E[f1/n] = (1 - 1/K)^(n-1)
    assert np.mean(values) == pytest.approx(exact / (1 - 1 / 40), abs=0.004)  # type: ignore[arg-type]


def test_grades_and_refusals() -> None:
    many = behaviour_entropy(list(range(20)))
    assert (many.status, many.reason) == ("unreliable", "most behaviours are still unseen")
    assert behaviour_entropy(["a"]).reason == "one sample has no error bar"
    for nothing in (unseen_mass([]), behaviour_entropy([]), novel_mass(["a"], [])):
        assert (nothing.status, nothing.reason) == ("undefined", "no samples")
    with pytest.raises(ValueError, match="alphabet"):
        behaviour_entropy(["a", "b", "c"], alphabet=2)
    assert novel_mass([], ["a"]).std_error is None


@given(labels, st.randoms(use_true_random=False))
def test_bounds_and_invariance_under_order_and_renaming(y: list[int], random: object) -> None:
    entropy, unseen = behaviour_entropy(y, alphabet=13), unseen_mass(y)
    assert (
        0
        <= (entropy.ci_low or 0.0)
        <= (entropy.value or 0.0)
        <= (entropy.ci_high or 0.0)
        <= math.log(13) + 1e-9
    )
    assert 0 <= (unseen.ci_low or 0.0) <= (unseen.value or 0.0) <= (unseen.ci_high or 0.0) <= 1
    other = [str(label) for label in y]
    random.shuffle(other)  # type: ignore[attr-defined]
    assert behaviour_entropy(other, alphabet=13) == entropy
    assert unseen_mass(other) == unseen
    assert novel_mass(y, y).value == 0.0
    assert novel_mass([], y).value == 1.0

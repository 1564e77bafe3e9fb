import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from workers.estimators.counts import clopper_pearson
from workers.estimators.retention import retention, retention_null, solved_within


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def sides(p: int, e: int, s: int, o: int) -> tuple[np.ndarray, np.ndarray]:
    reference = np.repeat([True, False, True, False], [p, e, s, o])
    return reference, np.repeat([True, True, False, False], [p, e, s, o])


def test_published_counts() -> None:
    # ProRL-1.5B-v2 in Wu et al. 2507.14843: P = 2388, E = 48, S = 175.
    got = retention(*sides(2388, 48, 175, 10), rng())
    assert got.srr.value == pytest.approx(2388 / 2563)
    assert got.ndr.value == pytest.approx(48 / 2436)
    srr, ndr = 2388 / 2563, 48 / 2436
    assert got.sds.value == pytest.approx(2 * srr * ndr / (srr + ndr))
    assert got.nscr.value == pytest.approx(-127 / 2611)
    # A binomial share near 0.93 of 2563: one error is 0.005.
    assert got.srr.std_error == pytest.approx(np.sqrt(srr * (1 - srr) / 2563), rel=0.1)


def test_undefined_denominators() -> None:
    nobody = retention(*sides(0, 0, 0, 5), rng())
    assert {nobody.srr.status, nobody.ndr.status, nobody.sds.status, nobody.nscr.status} == {"undefined"}
    only_reference = retention(*sides(0, 0, 4, 1), rng())
    assert (only_reference.srr.value, only_reference.nscr.value) == (0.0, -1.0)
    assert only_reference.ndr.status == "undefined"
    empty = np.array([], dtype=bool)
    assert retention(empty, empty, rng()).srr.reason == "no prompts"
    with pytest.raises(ValueError, match="same prompts"):
        retention(np.array([True]), empty, rng())


def test_equal_sides_retain_everything() -> None:
    reference, _ = sides(6, 0, 3, 2)
    got = retention(reference, reference, rng())
    assert (got.srr.value, got.ndr.value, got.nscr.value) == (1.0, 0.0, 0.0)


def test_null_reproduces_the_published_noise_floor() -> None:
    # theory-notes B1: a ~ Beta(0.2, 2) at K = 256 gives SRR 0.926 and NDR 0.074 for one model against itself.
    generator = rng(1)
    n = 512
    successes = generator.binomial(n, generator.beta(0.2, 2, 4000))
    got = retention_null(successes, np.full(4000, n), n // 2, generator)
    assert got.srr.value == pytest.approx(0.926, abs=0.01)
    assert got.ndr.value == pytest.approx(0.074, abs=0.01)
    assert got.nscr.value == pytest.approx(0.0, abs=0.005)
    assert got.srr.ci_low is not None
    assert got.srr.ci_low < 0.926 < (got.srr.ci_high or 0)


def test_null_matches_enumeration() -> None:
    # One prompt, 1 of 2: the success is in the first or the second half, so NSCR is -1 or 1, and where they
    # are defined SRR is 0 and NDR 1. With 2 of 2 both halves hold one.
    got = retention_null(np.array([1]), np.array([2]), 1, rng(), splits=400)
    assert (got.srr.value, got.ndr.value) == (0.0, 1.0)
    assert (got.nscr.ci_low, got.nscr.ci_high) == (-1.0, 1.0)
    sure = retention_null(np.array([2]), np.array([2]), 1, rng())
    assert (sure.srr.value, sure.ndr.value) == (1.0, 0.0)
    assert retention_null(np.array([0]), np.array([1]), 1, rng()).srr.status == "undefined"
    assert retention_null(np.array([0, 0]), np.array([4, 4]), 2, rng()).srr.reason == "no prompt was solved"
    none = np.array([], dtype=int)
    assert retention_null(none, none, 2, rng()).srr.reason == "no prompts"


def test_shares_are_clopper_and_pearsons_given_their_denominator() -> None:
    # P = 6 and S = 3: 6 of 9; P = 6 and E = 2: 2 of 8. What neither side solved says nothing.
    got = retention(*sides(6, 2, 3, 40), rng())
    for metric, (hits, of) in ((got.srr, (6, 9)), (got.ndr, (2, 8))):
        low, high = clopper_pearson(hits, of, 0.95)
        assert metric.ci_low == pytest.approx(low)
        assert metric.ci_high == pytest.approx(high)
    srr, ndr = clopper_pearson(6, 9, 0.975), clopper_pearson(2, 8, 0.975)
    for end, box in ((got.sds.ci_low, 0), (got.sds.ci_high, 1)):
        assert end == pytest.approx(2 * srr[box] * ndr[box] / (srr[box] + ndr[box]))


def test_a_cell_without_a_prompt_is_not_proved_empty() -> None:
    # 20 of 20 preserved: up to 1 - 0.025^(1/20) = 16.8 % may be something else.
    got = retention(*sides(20, 0, 0, 3), rng())
    missed = 1 - 0.025 ** (1 / 20)
    assert (got.srr.value, got.ndr.value, got.nscr.value) == (1.0, 0.0, 0.0)
    assert got.srr.ci_low == pytest.approx(1 - missed)
    assert got.ndr.ci_high == pytest.approx(missed)
    assert (got.nscr.ci_low, got.nscr.ci_high) == (pytest.approx(-missed), pytest.approx(missed))
    assert (got.srr.ci_high, got.ndr.ci_low) == (1.0, 0.0)
    # Prompts of one family are one witness.
    one = retention(*sides(20, 0, 0, 3), rng(), families=["f"] * 23)
    assert one.srr.ci_low == pytest.approx(0.025)
    assert one.srr.status == "unreliable"


@pytest.mark.parametrize("prompts", [10, 40])
def test_intervals_hold_the_population(prompts: int) -> None:
    """NDR and SDS are ratios of small counts, where resampling fails: P, E, S, O at 0.5, 0.1, 0.1, 0.3."""
    law = [0.5, 0.1, 0.1, 0.3]
    srr, ndr = 0.5 / 0.6, 0.1 / 0.6
    truths = {"srr": srr, "ndr": ndr, "sds": 2 * srr * ndr / (srr + ndr), "nscr": 0.0}
    generator, missed, runs = rng(prompts), dict.fromkeys(truths, 0), 1000
    for _ in range(runs):
        got = retention(*sides(*generator.multinomial(prompts, law)), generator)
        for name, truth in truths.items():
            metric = getattr(got, name)
            if metric.ci_low is not None:
                missed[name] += not metric.ci_low <= truth <= metric.ci_high
    most = stats.binom.ppf(0.999, runs, 0.05)
    assert max(missed.values()) <= most, missed


def test_families_are_resampled_whole() -> None:
    # Ten families of four, each all preserved or all shrunk: as ten prompts, not as forty.
    reference, candidate = sides(6, 0, 4, 0)
    by_prompt = retention(reference, candidate, rng(3))
    wide = retention(
        np.repeat(reference, 4), np.repeat(candidate, 4), rng(3), families=np.repeat(range(10), 4)
    )
    narrow = retention(np.repeat(reference, 4), np.repeat(candidate, 4), rng(3))
    assert wide.srr.std_error == pytest.approx(by_prompt.srr.std_error, rel=0.05)
    assert narrow.srr.std_error == pytest.approx(0.5 * (by_prompt.srr.std_error or 0.0), rel=0.1)


def test_thinning_follows_the_hypergeometric_law() -> None:
    # 1 of 4 in a random half: probability 1/2
    hits = [solved_within(np.array([1, 0, 4]), np.array([4, 4, 4]), 2, rng(i)) for i in range(600)]
    assert np.mean(hits, axis=0) == pytest.approx([0.5, 0.0, 1.0], abs=0.07)
    with pytest.raises(ValueError, match="size"):
        solved_within(np.array([1]), np.array([4]), 5, rng())


@settings(max_examples=40, deadline=None)
@given(*[st.integers(0, 15)] * 4, st.integers(0, 99))
def test_bounds_symmetry_and_order(p: int, e: int, s: int, o: int, seed: int) -> None:
    reference, candidate = sides(p, e, s, o)
    got = retention(reference, candidate, rng(seed))
    for metric in (got.srr, got.ndr, got.sds, got.nscr):
        if metric.value is not None:
            assert -1 <= (metric.ci_low or 0.0) <= metric.value <= (metric.ci_high or 0.0) <= 1
    swapped = retention(candidate, reference, rng(seed))
    if got.nscr.value is not None:
        assert swapped.nscr.value == pytest.approx(-got.nscr.value)
    order = rng(seed).permutation(reference.size)
    assert retention(reference[order], candidate[order], rng(seed)) == got

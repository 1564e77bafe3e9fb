"""Data-set gains and the creation share: hand arithmetic, bounds, coverage."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from workers.estimators.counts import epsilon
from workers.estimators.gain import CREATED, ELICITED, LOST, PARTS, UNDETERMINED, CrossFit
from workers.estimators.share import Shares, _resample_families, data_set_shares, share_ends

FOLD, REFERENCE = 32, 64


def fit_of(
    causes: Sequence[int],
    candidate: Sequence[tuple[int, int]],
    reference: Sequence[int],
    families: Sequence[int] | None = None,
    slack: float = 0.0,
) -> CrossFit:
    """Prompts whose cause does not depend on the fold, with successes of 32 per fold and of 64."""
    size = len(causes)
    table = np.repeat(np.array(causes, np.int8)[:, None, None], 2, axis=1).repeat(FOLD + 1, axis=2)
    return CrossFit(
        reference=np.array([(c, REFERENCE) for c in reference], np.int64).reshape(size, 2),
        folds=np.array([[(c, FOLD) for c in pair] for pair in candidate], np.int64).reshape(size, 2, 2),
        causes=table,
        slack=np.full(size, slack),
        families=np.array(range(size) if families is None else families, np.int64),
        excluded=0,
    )


def shares(fit: CrossFit, seed: int = 0, resamples: int = 2000) -> Shares:
    return data_set_shares(fit, confidence=0.95, rng=np.random.default_rng(seed), resamples=resamples)


def taught(causes: Sequence[int], b: int = 29, **options: object) -> CrossFit:
    return fit_of(causes, [(b, b)] * len(causes), [0] * len(causes), **options)  # type: ignore[arg-type]


class TestShareEnds:
    def test_by_hand(self) -> None:
        # elicited 0.3, created 0.1, lost -0.2, undetermined 0.1: G+ = 0.5, share in [0.2, 0.4].
        low, high = share_ends(np.array([[0.3, 0.1, -0.2, 0.1]]), 0.0)
        assert (low[0], high[0]) == pytest.approx((0.2, 0.4))

    def test_slack_lowers_created_and_total(self) -> None:
        low, _ = share_ends(np.array([[0.3, 0.1, 0.0, 0.0]]), 0.02)
        assert low[0] == pytest.approx(0.08 / 0.38)

    def test_no_gain_is_the_whole_range(self) -> None:
        low, high = share_ends(np.array([[-0.3, 0.1, -0.2, 0.1], [0.0, 0.0, -1.0, 0.0]]), 0.0)
        assert low.tolist() == [0.0, 0.0]
        assert high.tolist() == [1.0, 1.0]

    @given(arrays(np.float64, (5, 4), elements=st.floats(-1, 1)), st.floats(0, 0.1))
    def test_ordered_and_within_the_unit_interval(self, parts: np.ndarray, slack: float) -> None:
        low, high = share_ends(parts, slack)
        assert np.all((low >= 0) & (low <= high) & (high <= 1))


class TestGainSplit:
    def test_values_are_means_over_prompts(self) -> None:
        # b - a: 16/32 - 0 = 0.5, 1 - 1/4 = 0.75, 0 - 1/2 = -0.5, 1/4 - 1/8 = 0.125.
        fit = fit_of([0, 1, 2, 3], [(16, 16), (32, 32), (0, 0), (8, 8)], [0, 16, 32, 8])
        gain = shares(fit).gain
        values = [getattr(gain, part).estimate.value for part in PARTS]
        assert values == pytest.approx([0.125, 0.1875, -0.125, 0.03125])
        assert gain.total.estimate.value == sum(values)
        assert gain.total.estimate.value == pytest.approx((0.5 + 0.75 - 0.5 + 0.125) / 4)

    @settings(max_examples=30, deadline=None)
    @given(
        st.lists(
            st.tuples(st.integers(0, 3), st.integers(0, 32), st.integers(0, 32), st.integers(0, 64)),
            min_size=1,
            max_size=9,
        )
    )
    def test_parts_sum_to_the_total_and_intervals_hold_their_point(
        self, rows: list[tuple[int, int, int, int]]
    ) -> None:
        found = shares(fit_of([r[0] for r in rows], [r[1:3] for r in rows], [r[3] for r in rows]), 1, 100)
        parts = [getattr(found.gain, part).estimate.value for part in PARTS]
        assert found.gain.total.estimate.value == sum(parts)
        for part in (*PARTS, "total"):
            one = getattr(found.gain, part)
            assert one.estimate.ci_low <= one.estimate.value <= one.estimate.ci_high
            assert one.sampling_low <= one.estimate.value <= one.sampling_high
            assert one.sampling_std_error >= 0
        for end in (found.creation.lower, found.creation.upper, found.creation.population_upper):
            if end.value is not None:
                assert 0 <= end.ci_low <= end.value <= end.ci_high <= 1

    def test_no_created_of_20_still_leaves_14_per_cent_of_the_population(self) -> None:
        found = shares(taught([ELICITED] * 20))
        assert found.creation.upper.ci_high == 0.0  # of these prompts, none
        assert found.creation.population_upper.ci_high == pytest.approx(1 - 0.05 ** (1 / 20))
        assert found.gain.created.estimate.ci_high == pytest.approx(0.1391, abs=1e-4)
        assert found.gain.created.estimate.ci_low == 0.0
        assert found.gain.lost.estimate.ci_low == pytest.approx(-0.1391, abs=1e-4)

    def test_all_created_of_20_likewise(self) -> None:
        found = shares(taught([CREATED] * 20))
        assert found.creation.lower.value == 1.0
        assert found.creation.population_lower.ci_low == pytest.approx(0.05 ** (1 / 20))

    def test_families_count_once(self) -> None:
        families = [i // 5 for i in range(20)]
        found = shares(taught([ELICITED] * 20, families=families))
        assert found.creation.population_upper.ci_high == pytest.approx(1 - 0.05 ** (1 / 4))
        mixed = [ELICITED] * 10 + [CREATED] * 10
        apart, together = shares(taught(mixed)), shares(taught(mixed, families=families))
        assert together.gain.created.estimate.std_error > 1.5 * apart.gain.created.estimate.std_error
        assert together.gain.created.sampling_std_error == apart.gain.created.sampling_std_error

    def test_families_of_unequal_size_are_drawn_whole(self) -> None:
        # Families {1, 0.5} and {0}: means 0.75, 0.5 and 0 for both, one of each and the other twice.
        fit = fit_of([0, 0, 0], [(32, 32), (16, 16), (0, 0)], [0, 0, 0], families=[7, 7, 2])
        draws = _resample_families(fit, np.random.default_rng(0), 400)[:, ELICITED]
        found, counts = np.unique(draws, return_counts=True)
        assert found == pytest.approx([0.0, 0.5, 0.75])
        assert counts / 400 == pytest.approx([0.25, 0.5, 0.25], abs=0.1)

    def test_few_prompts_reach_beyond_the_range_of_their_gains(self) -> None:
        # Student's for 1/2, 1/4, 3/4: 0.5 +- 4.303 * 0.25 / sqrt(3) = 0.5 +- 0.621, at most 1.
        fit = fit_of([0, 0, 0], [(16, 16), (8, 8), (24, 24)], [0, 0, 0])
        total = shares(fit).gain.total.estimate
        assert (total.ci_low, total.ci_high) == pytest.approx((-0.121, 1.0), abs=0.04)

    def test_one_prompt_or_family_gives_a_sampling_interval_and_says_so(self) -> None:
        for fit in (taught([ELICITED]), taught([ELICITED] * 6, families=[0] * 6)):
            total = shares(fit).gain.total
            assert total.estimate.status == "unreliable"
            assert "this set of prompts" in total.estimate.reason
            assert (total.estimate.ci_low, total.estimate.ci_high) == (
                total.sampling_low,
                total.sampling_high,
            )

    def test_no_prompt_is_undefined(self) -> None:
        found = shares(fit_of([], [], []))
        assert found.gain.total.estimate.status == "undefined"
        assert found.creation.lower.status == "undefined"


class TestCreationShare:
    def test_partially_identified(self) -> None:
        share = shares(taught([ELICITED] * 10 + [CREATED] * 5 + [UNDETERMINED] * 5)).creation
        assert (share.lower.value, share.upper.value) == pytest.approx((0.25, 0.5))
        assert share.lower.ci_low < 0.25 < share.upper.ci_low < 0.5 < share.upper.ci_high

    def test_losses_are_not_netted(self) -> None:
        kept = shares(taught([ELICITED] * 10 + [CREATED] * 10)).creation
        fit = fit_of(
            [ELICITED] * 10 + [CREATED] * 10 + [LOST] * 10,
            [(29, 29)] * 20 + [(0, 0)] * 10,
            [0] * 20 + [64] * 10,
        )
        assert shares(fit).creation.lower.value == pytest.approx(kept.lower.value)

    def test_null_without_gain(self) -> None:
        share = shares(fit_of([ELICITED] * 5, [(0, 0)] * 5, [32] * 5)).creation
        assert share.lower.status == share.population_upper.status == "undefined"

    def test_lower_end_gives_up_what_an_out_reference_may_hide(self) -> None:
        slack = epsilon(8, 0.5)
        plain = shares(taught([ELICITED] * 10 + [CREATED] * 10)).creation
        cautious = shares(taught([ELICITED] * 10 + [CREATED] * 10, slack=slack)).creation
        assert cautious.lower.value == plain.lower.value
        assert cautious.lower.ci_low < plain.lower.ci_low - slack / 4
        assert cautious.upper.ci_high == plain.upper.ci_high
        parts = [shares(taught([CREATED] * 20, slack=width)).gain.created for width in (0.0, slack)]
        assert parts[1].sampling_low == pytest.approx(parts[0].sampling_low - slack)
        assert parts[1].sampling_high == parts[0].sampling_high


def draw(rng: np.random.Generator, causes: np.ndarray, a: np.ndarray, b: np.ndarray) -> CrossFit:
    candidate = rng.binomial(FOLD, b[:, None], (causes.size, 2))
    return fit_of(
        [int(cause) for cause in causes],
        [(int(x), int(y)) for x, y in candidate],
        [int(c) for c in rng.binomial(REFERENCE, a)],
    )


REPLICATES = [100, pytest.param(500, marks=pytest.mark.slow)]


@pytest.mark.parametrize("replicates", REPLICATES)
def test_sampling_interval_covers_the_listed_prompts(replicates: int) -> None:
    causes = np.array([ELICITED] * 9 + [CREATED] * 6)
    a = np.where(causes == CREATED, 0.0, np.linspace(0.02, 0.3, 15))
    b = np.linspace(0.5, 0.98, 15)
    gains = b - a
    share, total = gains[causes == CREATED].sum() / gains.sum(), gains.mean()
    rng, hits = np.random.default_rng(5), np.zeros(2)
    for _ in range(replicates):
        found = data_set_shares(draw(rng, causes, a, b), confidence=0.95, rng=rng, resamples=300)
        hits += (
            found.creation.lower.ci_low <= share <= found.creation.upper.ci_high,
            found.gain.total.sampling_low <= total <= found.gain.total.sampling_high,
        )
    assert np.all(hits / replicates >= 0.92)


@pytest.mark.parametrize("replicates", REPLICATES)
@pytest.mark.parametrize("size", [5, 20])
def test_population_interval_covers_the_population(size: int, replicates: int) -> None:
    # Gains of a population with b - a uniform on [0, 1]; half of the prompts are created.
    rng, hits = np.random.default_rng(6), np.zeros(2)
    for _ in range(replicates):
        causes = rng.choice([ELICITED, CREATED], size)
        fit = draw(rng, causes, np.zeros(size), rng.random(size))
        found = data_set_shares(fit, confidence=0.95, rng=rng, resamples=300)
        hits += (
            found.gain.total.estimate.ci_low <= 0.5 <= found.gain.total.estimate.ci_high,
            found.gain.created.estimate.ci_low <= 0.25 <= found.gain.created.estimate.ci_high,
        )
    # Five prompts, of which a random number is created, is the hard case.
    assert np.all(hits / replicates >= (0.92 if size > 5 else 0.9))

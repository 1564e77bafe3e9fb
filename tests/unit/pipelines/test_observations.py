import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import Law, PlantedPrompt, planted, planted_run

from workers.pipelines.observations import OUTCOME_NAMES, observe
from workers.pipelines.plan import plan_pilot
from workers.pipelines.tables import OUTCOMES, SCORES, together


def spec_of(prompts=1, pilot=3, candidate=0.5):
    made = [planted(f"p{i}", 0.5, candidate) for i in range(prompts)]
    return planted_run(made, budget={"samples_per_prompt": pilot, "k_probe": 8}).spec


def judged(*rows):
    """Rows of (stream, prompt, index, outcome), and then reward and behaviour where they matter."""
    names = ("stream", "prompt_index", "index", "outcome", "reward", "behaviour")
    filled = [(*row, 0.0, None)[: len(names)] for row in rows]
    whole = [{**dict(zip(names, row, strict=True)), "detail": ""} for row in filled]
    return together([pa.Table.from_pylist(whole, schema=OUTCOMES)], OUTCOMES)


def scored(stream, index, logprob, own, **changes):
    return {
        "prompt_index": 0,
        "stream": stream,
        "scorer": "x",
        "index": index,
        "logprob": logprob,
        "own_logprob": own,
        "token_logprobs": [logprob],
        "token_kl": [0.5],
        "kl": 0.5,
        "entropy": 0.25,
        "zero_cause": "",
        "max_token_diff": 0.0,
        **changes,
    }


def test_verifier_errors_leave_and_the_pilot_comes_first():
    outcomes = judged(
        *[("reference", 0, i, o) for i, o in enumerate(["correct", "verifier_error", "truncated"])],
        *[("reference", 0, i, o) for i, o in enumerate(["correct", "unparsed", "verifier_error"], start=3)],
        *[("candidate", 0, i, "incorrect") for i in range(3)],
    )
    (found,) = observe(spec_of(), outcomes, SCORES.empty_table())
    assert found.reference.correct.tolist() == [True, False, True, False]
    assert found.reference.pilot_n == 2
    assert found.reference.pilot_unusable.tolist() == [False, True]
    assert (found.reference.n, found.reference.successes, found.reference.pilot_successes) == (4, 2, 1)
    assert found.reference.outcomes == {
        "correct": 2, "incorrect": 0, "unparsed": 1, "truncated": 1, "verifier_error": 2,
    }  # fmt: skip
    assert found.pair is None


def test_a_prompt_without_rows_has_no_samples():
    found = observe(spec_of(2), judged(("reference", 1, 0, "correct")), SCORES.empty_table())
    assert [p.reference.n for p in found] == [0, 1]
    assert found[1].candidate is not None
    assert found[1].candidate.n == 0


@given(
    st.lists(
        st.tuples(st.sampled_from(OUTCOME_NAMES), st.integers(0, 9)), max_size=12, unique_by=lambda r: r[1]
    ),
    st.integers(2, 6),
)
@settings(deadline=None)
def test_counts_are_those_of_a_slow_reading(rows, pilot):
    outcomes = judged(*[("reference", 0, i, o) for o, i in rows])
    side = observe(spec_of(pilot=pilot), outcomes, SCORES.empty_table())[0].reference
    decided = sorted((i, o) for o, i in rows if o != "verifier_error")
    assert side.correct.tolist() == [o == "correct" for _, o in decided]
    assert side.pilot.tolist() == [o == "correct" for i, o in decided if i < pilot]
    assert side.pilot_unusable.tolist() == [o in ("unparsed", "truncated") for i, o in decided if i < pilot]


def test_the_pair_holds_log_p_and_log_q_of_both_pools():
    outcomes = judged(
        ("reference", 0, 0, "correct"),
        ("reference", 0, 1, "verifier_error"),
        ("reference", 0, 2, "incorrect"),
        ("candidate", 0, 0, "verifier_error"),
        ("candidate", 0, 1, "correct"),
    )
    scores = together(
        [
            pa.Table.from_pylist(
                [
                    scored("reference", 0, logprob=-1.0, own=-2.0),
                    scored("reference", 1, logprob=-9.0, own=-9.0),
                    scored("reference", 2, logprob=-math.inf, own=-4.0, entropy=0.75),
                    scored("candidate", 0, logprob=-9.0, own=-9.0),
                    scored(
                        "candidate", 1, logprob=-6.0, own=-5.0, kl=0.7, zero_cause="top_k", max_token_diff=0.5
                    ),
                ],
                schema=SCORES,
            )
        ],
        SCORES,
    )
    pair = observe(spec_of(), outcomes, scores)[0].pair
    assert pair is not None
    assert (pair.n_p, pair.n_q) == (2, 1)
    # A reference draw: own is log p, the scorer is the candidate. A candidate draw: the other way round.
    assert pair.log_p.tolist() == [-2.0, -4.0, -6.0]
    assert pair.log_q.tolist() == [-1.0, -math.inf, -5.0]
    assert pair.candidate_log_ratio.tolist() == [1.0]
    assert pair.correct.tolist() == [True, False, True]
    assert pair.is_candidate.tolist() == [False, False, True]
    assert pair.entropy_p.tolist() == [0.25, 0.75]
    assert pair.kl.tolist() == [0.7]
    assert pair.zero_cause == ("top_k",)
    assert pair.max_token_diff == 0.5


def test_rewards_and_behaviours_stay_with_their_samples():
    outcomes = judged(
        ("reference", 0, 0, "correct", 0.75, "carry"),
        ("reference", 0, 1, "verifier_error"),
        ("reference", 0, 2, "incorrect", -0.5, None),
        ("candidate", 0, 0, "verifier_error"),
        ("candidate", 0, 1, "correct", 0.1, "split"),
        ("candidate", 0, 2, "truncated", 0.0, None),
    )
    both = (("reference", 0), ("reference", 1), ("reference", 2), ("candidate", 1), ("candidate", 2))
    rows = [scored(stream, index, -1.0, -1.0) for stream, index in both]
    scores = together([pa.Table.from_pylist(rows, schema=SCORES)], SCORES)
    found = observe(spec_of(), outcomes, scores)[0]
    assert found.reference.rewards.tolist() == [0.75, -0.5]
    assert found.reference.behaviours == ("carry", None)
    assert found.candidate is not None
    assert found.candidate.rewards.tolist() == [0.1, 0.0]
    assert found.candidate.behaviours == ("split", None)
    assert found.pair is not None
    assert found.pair.rewards.tolist() == [0.75, -0.5, 0.1, 0.0]
    assert found.pair.correct.tolist() == [True, False, True, False]
    assert found.pair.behaviours == ("carry", None, "split", None)
    assert (found.pair.n_p, found.pair.n_q) == (2, 2)


@pytest.mark.parametrize("kept", ["reference", "candidate"])
def test_without_decided_draws_on_a_side_there_is_no_pair(kept):
    outcomes = judged(
        *[(s, 0, 0, "correct" if s == kept else "verifier_error") for s in ("reference", "candidate")]
    )
    rows = [scored(stream, 0, -1.0, -1.0) for stream in ("candidate", "reference")]
    scores = together([pa.Table.from_pylist(rows, schema=SCORES)], SCORES)
    assert observe(spec_of(), outcomes, scores)[0].pair is None


def test_the_pair_of_a_planted_law_is_the_law():
    p = Law(np.array([0.5, 0.5]), np.array([[0.5, 0.5], [1.0, 0.0]]))
    q = Law(np.array([0.25, 0.75]), np.array([[0.5, 0.5], [0.5, 0.5]]))
    run = planted_run(
        [PlantedPrompt("a", p, q, answers=("11",))], budget={"samples_per_prompt": 40, "k_probe": 8}
    )
    run.run_round(plan_pilot(run.spec, run.participants, {}, shard_tokens=999).shards)
    committed = run.committed(with_samples=True)
    pair = observe(run.spec, committed.outcomes, committed.scores)[0].pair
    assert pair is not None
    texts = committed.samples["text"].to_pylist()
    expected_p = [p.joint[int(t[0]), int(t[1])] for t in texts[40:]] + [
        p.joint[int(t[0]), int(t[1])] for t in texts[:40]
    ]
    assert np.exp(pair.log_p) == pytest.approx(expected_p)
    assert np.isposinf(pair.candidate_log_ratio).tolist() == [t == "11" for t in texts[:40]]
    assert [cause != "" for cause in pair.zero_cause] == [t == "11" for t in texts[:40]]


@pytest.mark.parametrize("unscored", [("reference", 0), ("candidate", 2)])
def test_a_pilot_of_which_only_some_was_scored_is_no_pair(unscored):
    """A pilot may have grown into draws of which successes alone were scored: no average is taken there."""
    sides = ("reference", "candidate")
    outcomes = judged(
        *[(s, 0, i, "incorrect" if (s, i) == unscored else "correct") for s in sides for i in range(3)]
    )
    keys = [(s, i) for s in sides for i in range(3)]
    for left_out, has_pair in ((unscored, False), (None, True)):
        rows = [scored(*key, -1.0, -1.0) for key in keys if key != left_out]
        scores = together([pa.Table.from_pylist(rows, schema=SCORES)], SCORES)
        assert (observe(spec_of(), outcomes, scores)[0].pair is not None) is has_pair


def test_topped_up_candidate_draws_are_scored_round_by_round_until_reach_is_shown():
    """a = 0.006 at K_probe = 256: too rare for the pilot, and no sample of the reference is spent on it."""
    made = [planted(f"p{i}", 0.006, 0.2) for i in range(6)]
    run = planted_run(made, budget={"samples_per_prompt": 32, "max_samples_per_prompt": 3072})
    found = run.run()
    later = [shard for shard in run.inputs if shard["work"] == "score" and shard["round"] > 1]
    assert {(shard["stream"], shard["scorer"]) for shard in later} == {("candidate", "reference")}
    assert all(high - low == 1 for shard in later for _, low, high in shard["items"])
    committed = run.committed(with_samples=False)
    assert max(committed.drawn["reference"]) == 32
    assert {row["reference"]["class_at_k_probe"] for row in found.rows} == {"in"}
    topped_up = [p for p in observe(run.spec, committed.outcomes, committed.scores) if p.further_rounds]
    assert topped_up
    for prompt in topped_up:
        assert prompt.pair is not None
        assert (prompt.pair.n_p, prompt.pair.n_q) == (32, 32)
        assert {part.sizes[0] for part in prompt.further_rounds} == {0}
        assert (
            32 + sum(part.draws for part in prompt.further_rounds)
            == committed.drawn["candidate"][prompt.index]
        )
        for part in prompt.further_rounds:
            assert part.success_log_weights == pytest.approx(math.log(0.006 / 0.2))
            assert part.is_correct.all()
        own = prompt.candidate
        assert own is not None
        read = sum(part.log_p.size for part in prompt.further_rounds)
        assert (read, prompt.unread) == (own.successes - own.pilot_successes, ())

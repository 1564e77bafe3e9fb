"""What an extended analysis still lacks, against a slow definition by single samples."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from planted import planted, planted_run

from workers.pipelines.extension import coverage, extended_notices, plan_missing, without
from workers.pipelines.plan import plan_pilot

BUDGET = {"samples_per_prompt": 4, "max_samples_per_prompt": 256, "k_probe": 32}
SIDES = ("reference", "candidate")

ranges = st.tuples(st.integers(0, 2), st.integers(0, 12), st.integers(0, 12)).map(
    lambda item: (item[0], min(item[1:]), max(item[1:]))
)


def singles(items):
    return {(prompt, index) for prompt, low, high in items for index in range(low, high)}


@given(st.lists(ranges), st.lists(ranges))
def test_without_is_set_difference(items, done):
    covered = coverage(
        [{"work": "sample", "stream": "reference", "scorer": None, "items": done}],
        "sample",
        "reference",
        None,
    )
    left = without(items, covered)
    assert singles(left) == singles(items) - singles(done)
    assert all(low < high for _, low, high in left)


def run_of(**budget):
    return planted_run(
        (planted("a", 0.5, 0.5), planted("b", 0.5, 0.5)),
        budget={**BUDGET, "adaptive": False, **budget},
    )


def message(number, shard, items=None):
    """A committed shard as a plan shard reads of it."""
    return {
        "shard_id": f"shd_{number}",
        "work": shard.work,
        "stream": shard.stream,
        "scorer": shard.scorer,
        "items": [list(item) for item in (shard.items if items is None else items)],
    }


def committed(run, *, shard_tokens=24):
    lengths = {stream: [1, 1] for stream in run.spec.streams}
    plan = plan_pilot(run.spec, run.participants, lengths, shard_tokens=shard_tokens)
    return [message(number, shard) for number, shard in enumerate(plan.shards)]


def missing(run, inputs, failures=(), *, samples=4, shard_tokens=4096):
    spec = replace(run.spec, budget=replace(run.spec.budget, samples_per_prompt=samples))
    return plan_missing(spec, run.participants, inputs, failures, shard_tokens=shard_tokens)


def rows_of(plan, work, stream):
    return sorted(
        (prompt, index)
        for shard in plan.shards
        if (shard.work, shard.stream) == (work, stream)
        for prompt, low, high in shard.items
        for index in range(low, high)
    )


def test_nothing_is_missing_in_the_usual_course():
    run = run_of()
    assert missing(run, committed(run)) is None


def test_what_was_given_up_is_not_tried_again():
    run = run_of()
    inputs = committed(run)
    assert missing(run, inputs[:3], inputs[3:]) is None


def test_a_larger_pilot_adds_its_own_samples_judged_and_scored_once():
    run = run_of()
    plan = missing(run, committed(run), samples=7, shard_tokens=24)
    added = [(prompt, index) for prompt in range(2) for index in range(4, 7)]
    for stream in SIDES:
        for work in ("sample", "verify", "score"):
            assert rows_of(plan, work, stream) == added
    by_idx = {shard.idx: shard for shard in plan.shards}
    assert sorted(by_idx) == list(range(len(plan.shards)))
    for shard in plan.shards:
        if shard.work != "sample":
            source = by_idx[shard.depends_on_idx]
            assert source.work == "sample"
            assert singles(shard.items) <= singles(source.items)


def test_what_an_early_end_left_unread_is_read():
    run = run_of()
    inputs = committed(run)
    kept = [shard for shard in inputs if shard["work"] == "sample"]
    plan = missing(run, kept)
    everything = [(prompt, index) for prompt in range(2) for index in range(4)]
    names = {shard["shard_id"] for shard in kept}
    for stream in SIDES:
        assert rows_of(plan, "verify", stream) == rows_of(plan, "score", stream) == everything
    for shard in plan.shards:
        assert shard.depends_on_id in names
        assert shard.to_message()["depends_on"] == shard.depends_on_id


def test_later_draws_that_the_pilot_grows_into_are_scored_and_not_drawn_again():
    run = run_of(adaptive=True)
    topped_up = [
        {"shard_id": f"shd_{work}", "work": work, "stream": "reference", "scorer": None, "items": [[0, 4, 9]]}
        for work in ("sample", "verify")
    ]
    plan = missing(run, [*committed(run), *topped_up], samples=6)
    assert rows_of(plan, "sample", "reference") == [(1, 4), (1, 5)]
    assert rows_of(plan, "score", "reference") == [(0, 4), (0, 5), (1, 4), (1, 5)]
    assert rows_of(plan, "sample", "candidate") == [(0, 4), (0, 5), (1, 4), (1, 5)]


def test_a_gap_in_later_draws_is_closed():
    """Of three blocks beyond a pilot of 4, the middle one was dropped when the analysis was stopped."""
    run = run_of(adaptive=True)
    later = [
        {"shard_id": f"shd_{work}_{low}", "work": work, "stream": "reference", "scorer": None, "items": items}
        for work in ("sample", "verify")
        for low, items in ((4, [[0, 4, 6]]), (8, [[0, 8, 10]]))
    ]
    plan = missing(run, [*committed(run), *later])
    assert rows_of(plan, "sample", "reference") == [(0, 6), (0, 7)]
    assert rows_of(plan, "verify", "reference") == [(0, 6), (0, 7)]
    # They lie beyond the pilot, which alone is scored.
    assert rows_of(plan, "score", "reference") == rows_of(plan, "sample", "candidate") == []


@given(st.data())
def test_whatever_is_there_every_sample_is_drawn_and_read_once_in_the_end(data):
    """The definition: after the round, work minus what ended is empty, and nothing was done twice."""
    run = run_of()
    inputs = committed(run, shard_tokens=16)
    kept = [shard for shard in inputs if data.draw(st.booleans())]
    samples = data.draw(st.integers(4, 9))
    plan = missing(run, kept, samples=samples, shard_tokens=data.draw(st.sampled_from([8, 40, 4096])))
    there = [*kept, *(message(f"new_{s.idx}", s) for s in (plan.shards if plan else ()))]
    wanted = {(prompt, index) for prompt in range(2) for index in range(samples)}
    for stream in SIDES:
        other = SIDES[1 - SIDES.index(stream)]
        for work, scorer in (("sample", None), ("verify", None), ("score", other)):
            rows = [
                (prompt, index)
                for shard in there
                if (shard["work"], shard["stream"], shard["scorer"]) == (work, stream, scorer)
                for prompt, low, high in shard["items"]
                for index in range(low, high)
            ]
            assert len(rows) == len(set(rows)) or _was_read_before_it_was_drawn(kept, stream)
            assert set(rows) == wanted
    assert missing(run, there, samples=samples) is None


def _was_read_before_it_was_drawn(kept, stream):
    """Whether the example kept a reading without its samples, which no ledger holds."""
    drawn = singles(
        tuple(i) for s in kept if (s["work"], s["stream"]) == ("sample", stream) for i in s["items"]
    )
    read = singles(
        tuple(i) for s in kept if (s["work"] != "sample" and s["stream"] == stream) for i in s["items"]
    )
    return not read <= drawn


def test_a_later_revision_says_what_that_does_to_errors():
    assert extended_notices(1) == ()
    (notice,) = extended_notices(3)
    assert notice.code == "extended"
    assert "3 times as frequent" in notice.detail

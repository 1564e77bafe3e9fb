import json
import math
from typing import Any

import pytest
from sqlalchemy import Engine, func, select, update

from api_schemas.plans import AnalysisPlan, PlannedRange
from ledger import models, requests, tables, workers
from ledger.commits import commit, commit_finalise
from ledger.database import read, write
from ledger.recovery import close_rounds
from ledger.sample_cache import draw_keys
from ledger.tables import analyses, drawn_samples
from ledger.workers import WorkerIdentity

NOTHING = {"samples": 0, "sampled_tokens": 0, "scored_tokens": 0, "cached_samples": 0, "engine_seconds": 0.0}


@pytest.fixture
def plan(gateway: Any, request_body: dict[str, Any]) -> Any:
    def plan(**changes: Any) -> AnalysisPlan:
        answer = gateway.post("/v1/analyses?validate_only=true", json={**request_body, **changes})
        assert answer.status_code == 200, answer.text
        return AnalysisPlan.model_validate(answer.json())

    return plan


@pytest.fixture
def drawn(engine: Engine, submit: Any, worker: Any) -> None:
    """The candidate's samples 0 to 39 of the one prompt, under the keys that workers use."""
    submit()
    shard = {"idx": 0, "work": "sample", "stream": "candidate", "items": [[0, 0, 40]]}
    planned = [{**shard, "model_keys": ["b" * 64]}]
    assert commit(engine, worker.claim(), artefact=None, usage=NOTHING, next_shards=planned)
    claim = worker.claim()
    with read(engine) as conn:
        row = models.get(conn, "default", "tiny-grpo")
        request = requests.of_revision(conn, claim.analysis["id"], 1)
    assert row is not None
    assert request is not None
    (key,) = draw_keys(
        request,
        "candidate",
        weights=claim.shard["model_keys"],
        model=row._mapping,
        prompts=[0],
    )
    stored = {"key": "k", "sha256": "s", "n_rows": 40}
    assert commit(engine, claim, artefact=stored, usage=NOTHING, drawn=[(key, 0, 40)])


def test_samples_and_tokens_are_counted(plan: Any) -> None:
    """Two sides, one prompt, 64 samples each of up to 8 tokens, and 4096 at most."""
    planned = plan()
    assert (planned.prompts, planned.cached_samples) == (1, 0)
    assert (planned.samples.pilot, planned.samples.maximum) == (128, 8192)
    assert (planned.tokens.pilot, planned.tokens.maximum) == (1024, 65536)


def test_a_fixed_plan_has_no_more_than_its_pilot(plan: Any) -> None:
    planned = plan(budget={"adaptive": False, "samples_per_prompt": 10})
    assert (planned.samples.pilot, planned.samples.maximum) == (20, 20)


def test_a_token_budget_is_the_most(plan: Any) -> None:
    assert plan(budget={"max_total_tokens": 2000}).tokens.maximum == 2000


def as_range(found: PlannedRange) -> tuple[int, int]:
    return found.pilot, found.maximum


class TestScoredTokens:
    """One prompt, pilots of 64, up to 8 tokens a text."""

    def test_each_sides_pilot_is_read_by_the_other(self, plan: Any) -> None:
        """128 texts, and at most 4,032 further ones of the candidate; `free_energy` has no later rounds."""
        assert as_range(plan().scored_tokens) == (128 * 8, (128 + 4032) * 8)
        assert as_range(plan(kind="free_energy").scored_tokens) == (128 * 8, 128 * 8)

    def test_one_model_alone_scores_nothing(self, plan: Any) -> None:
        assert as_range(plan(kind="support", candidate=None).scored_tokens) == (0, 0)

    def test_nothing_is_scored_across_tokenizers(self, plan: Any, engine: Engine) -> None:
        with write(engine) as conn:
            conn.execute(
                update(tables.models)
                .where(tables.models.c.id == "tiny-grpo")
                .values(tokenizer_digest="0" * 64)
            )
        assert as_range(plan().scored_tokens) == (0, 0)

    def test_untruncated_draws_are_read_too(self, plan: Any) -> None:
        assert plan(policy={"top_p": 0.9}).scored_tokens.pilot == (128 + 64) * 8

    def test_every_checkpoint_reads_the_references_pilot(self, plan: Any) -> None:
        """Four pilots' worth of two checkpoints, and two more where neighbours read one another."""
        run = {"kind": "trajectory", "candidate": None}
        run["candidates"] = [{"model": "tiny-base"}, {"model": "tiny-grpo"}]
        assert plan(**run).scored_tokens.pilot == 4 * 64 * 8
        assert plan(**run, score_neighbours=True).scored_tokens.pilot == 6 * 64 * 8

    @pytest.mark.parametrize(
        ("changes", "further"),
        [
            ({}, 2 * 4096),
            ({"budget": {"adaptive": False}}, 2 * 64),
            ({"kind": "support"}, 2 * 4096),
            ({"kind": "support", "candidate": None}, 2 * 4096),
        ],
    )
    def test_successes_of_arms_may_be_read_where_they_are_shared(
        self, plan: Any, changes: dict[str, Any], further: int
    ) -> None:
        """Two arms of the grid end samples as the analysis does; a shorter one and an assisted one do not."""
        grid = {"name": "hot", "role": "elicitation", "policy": {"temperature": [1.3, 1.6]}}
        short = {"name": "short", "role": "elicitation", "policy": {"max_new_tokens": 4}}
        hint = {"name": "hint", "role": "assisted", "prefix": "Think. "}
        alone, shared = (
            plan(arms=[grid, short, hint], share_proposals=share, **changes).scored_tokens
            for share in (False, True)
        )
        assert shared.pilot == alone.pilot
        assert shared.maximum - alone.maximum == further * 8

    @pytest.mark.parametrize("kept", [False, True])
    def test_demonstrations_are_read_by_both_models(self, gateway: Any, plan: Any, kept: bool) -> None:
        shown = [{"text": text} for text in ("1", "2", "3")]
        prompts = [{"id": f"p{n}", "prompt": "1+1=", "demonstrations": shown[n:]} for n in (0, 1)]
        source: dict[str, Any] = {"inline": prompts}
        if kept:
            lines = b"".join(json.dumps(prompt).encode() + b"\n" for prompt in prompts)
            answer = gateway.post(
                "/v1/datasets", content=lines, headers={"Content-Type": "application/jsonl"}
            )
            source = {"dataset": answer.json()["id"]}
        asked = {"kind": "free_energy", "signal": {"kind": "demonstrations"}, "prompts": source}
        assert plan(**asked).scored_tokens.pilot == (2 * 128 + 5 * 2) * 8
        assert plan(prompts=source, signal={"kind": "regex", "pattern": "1"}).scored_tokens.pilot == 2048


def test_prompts_of_a_data_set_count(gateway: Any, plan: Any) -> None:
    lines = b"".join(json.dumps({"prompt": str(n), "answer": "1"}).encode() + b"\n" for n in range(7))
    kept = gateway.post("/v1/datasets", content=lines, headers={"Content-Type": "application/jsonl"})
    assert plan(prompts={"dataset": kept.json()["id"]}).samples.pilot == 7 * 128


def test_nothing_is_stored(plan: Any, engine: Engine) -> None:
    plan()
    with read(engine) as conn:
        assert conn.execute(select(func.count()).select_from(analyses)).scalar_one() == 0


def test_what_would_be_refused_is(gateway: Any, request_body: dict[str, Any]) -> None:
    body = {**request_body, "reference": {"model": "nope"}}
    answer = gateway.post("/v1/analyses?validate_only=true", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_model")


def test_an_unknown_pace_is_said(plan: Any) -> None:
    planned = plan()
    assert planned.seconds.value is None
    assert "nothing was sampled" in planned.seconds.reason


class TestTime:
    @pytest.fixture
    def measured(self, engine: Engine, submit: Any, worker: Any) -> None:
        """A round at 100 tokens a second, 50 verdicts a second, 200 scored tokens a second."""
        submit()
        drawn = {"stream": "candidate", "items": [[0, 0, 40]]}
        judged = {**drawn, "depends_on": 0}
        shards = [
            {"idx": 0, "work": "sample", **drawn, "model_keys": ["b" * 64]},
            {"idx": 1, "work": "verify", **judged},
            {"idx": 2, "work": "score", "scorer": "reference", **judged},
        ]
        assert commit(engine, worker.claim(), artefact=None, usage=NOTHING, next_shards=shards)
        spent = {
            "sample": {"samples": 40, "sampled_tokens": 300, "engine_seconds": 3.0},
            "verify": {"engine_seconds": 0.8},
            "score": {"scored_tokens": 300, "engine_seconds": 1.5},
        }
        for _ in shards:
            claim = worker.claim()
            usage = {**NOTHING, **spent[claim.shard["work"]]}
            stored = {"key": "k", "sha256": "s", "n_rows": 40}
            assert commit(engine, claim, artefact=stored, usage=usage)

    @pytest.mark.usefixtures("measured")
    def test_it_follows_from_the_pace(self, plan: Any) -> None:
        """1024 tokens at 100/s, 128 verdicts at 50/s, 1024 scored tokens at 200/s.

        At the most 65,536 tokens are drawn; of them the pilot's and all of the candidate's are scored.
        """
        planned = plan()
        assert planned.seconds.value == pytest.approx(10.24 + 2.56 + 5.12)
        assert "of these models (100 tokens a second), shared by 1 worker" in planned.seconds.reason
        assert planned.maximum_seconds.value == pytest.approx(655.36 + 163.84 + (512 + 32_768) / 200)

    @pytest.mark.usefixtures("measured", "drawn")
    def test_what_was_drawn_before_takes_no_drawing(self, plan: Any) -> None:
        """40 of the 128 pilot samples are there: 704 tokens at 100/s, and all is judged and scored."""
        planned = plan()
        assert planned.seconds.value == pytest.approx(7.04 + 2.56 + 5.12)
        assert planned.maximum_seconds.value == pytest.approx(652.16 + 163.84 + (512 + 32_768) / 200)

    @pytest.mark.usefixtures("measured")
    def test_workers_share_it(self, plan: Any, engine: Engine) -> None:
        for number in range(4):
            workers.seen(engine, WorkerIdentity(f"w{number}", "b", "h"), [])
        assert plan().seconds.value == pytest.approx((10.24 + 2.56 + 5.12) / 4)

    @pytest.mark.usefixtures("measured")
    def test_planning_and_estimating_come_on_top(self, plan: Any, engine: Engine, worker: Any) -> None:
        """2 s for 40 judged samples are 6.4 s for the pilot's 128, however many workers there are."""
        before = plan().seconds
        assert "planning and estimating come on top" in before.reason
        assert close_rounds(engine) == 1
        last = [{"idx": 0, "work": "finalise"}]
        usage = {**NOTHING, "engine_seconds": 0.5}
        assert commit(engine, worker.claim(), artefact=None, usage=usage, next_shards=last)
        assert plan().seconds == before  # of an analysis under way nobody knows what is to come
        entry = {"key": "k", "sha256": "s", "bytes": 1, "media_type": "application/json"}
        usage = {**NOTHING, "engine_seconds": 1.5}
        assert commit_finalise(engine, worker.claim(), artifacts={"summary.json": entry}, usage=usage)
        settled = plan().seconds
        assert settled.value == pytest.approx(before.value + 6.4)
        assert "on top" not in settled.reason
        for number in range(4):
            workers.seen(engine, WorkerIdentity(f"w{number}", "b", "h"), [])
        assert plan().seconds.value == pytest.approx(before.value / 4 + 6.4)

    @pytest.mark.usefixtures("measured")
    def test_other_models_are_said_to_be_others(self, plan: Any) -> None:
        planned = plan(kind="support", candidate=None)
        assert planned.seconds.value == pytest.approx(5.12 + 1.28)
        assert "of other models" in planned.seconds.reason


class TestFoundBefore:
    @pytest.mark.usefixtures("drawn")
    def test_what_an_earlier_analysis_drew_is_counted(self, plan: Any, request_body: dict[str, Any]) -> None:
        assert plan().cached_samples == 40
        assert plan(budget={"samples_per_prompt": 30}).cached_samples == 30
        assert plan(seed=1).cached_samples == 0
        assert plan(policy={"temperature": 0.5}).cached_samples == 0
        (prompt,) = request_body["prompts"]["inline"]
        other, twin = {**prompt, "id": "p2", "prompt": "1+1="}, {**prompt, "id": "p3", "answer": "3"}
        assert plan(prompts={"inline": [other, prompt, twin]}).cached_samples == 80

    @pytest.mark.usefixtures("drawn")
    def test_the_reference_has_drawn_nothing(self, plan: Any) -> None:
        assert plan(kind="support", candidate=None).cached_samples == 0
        # As a reference the same model draws other samples.
        assert plan(kind="support", reference={"model": "tiny-grpo"}, candidate=None).cached_samples == 0

    @pytest.mark.usefixtures("drawn")
    def test_it_is_another_tenants_where_no_worker_would_look(self, plan: Any, engine: Engine) -> None:
        with write(engine) as conn:
            conn.execute(update(drawn_samples).values(tenant_id="other"))
        assert plan().cached_samples == 0


class TestEffects:
    def test_the_gain_is_what_a_one_sided_test_notices(self, plan: Any) -> None:
        """(1.6449 + 0.8416) x sqrt(2 x 1/4 / 64) = 2.4865 x 0.088388."""
        assert plan().smallest_detectable.gain.value == pytest.approx(2.4865 * 0.0883883, rel=1e-4)

    def test_a_success_shows_in_95_of_100(self, plan: Any) -> None:
        p = plan().smallest_detectable.success.value
        assert 1 - math.pow(1 - p, 64) == pytest.approx(0.95)

    def test_without_a_candidate_there_is_no_gain(self, plan: Any) -> None:
        gain = plan(kind="support", candidate=None).smallest_detectable.gain
        assert gain.value is None
        assert gain.reason

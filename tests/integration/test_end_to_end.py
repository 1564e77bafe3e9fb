"""From a request over HTTP to a report, through a real broker, worker, reconciler and engine."""

import json
import math
from collections import defaultdict
from html.parser import HTMLParser
from typing import Any

import pytest
from agreement import differences, draws
from local_run import LocalRun

from api_schemas.analyses import LIVE, Analysis
from api_schemas.requests import AnalysisRequest
from api_schemas.results import ResultDocument
from api_schemas.rows import PromptRow

SIDES = ("reference", "candidate")
NANO = 1e-9


@pytest.fixture
def compared(undisturbed) -> str:
    """The id of the comparison, which has succeeded."""
    return str(undisturbed.document["analysis_id"])


class TestOneComparison:
    def test_it_is_accepted_at_once_and_polled_to_its_end(self, stack, comparison):
        answer = stack.client.post("/v1/analyses", json={**comparison, "name": "e2e", "seed": 5})
        assert answer.status_code == 202
        accepted = Analysis.model_validate(answer.json())
        assert answer.headers["Location"] == f"/v1/analyses/{accepted.id}"
        assert int(answer.headers["Retry-After"]) >= 1
        assert accepted.status in LIVE
        early = stack.client.get(f"{answer.headers['Location']}/result")
        assert (early.status_code, early.json()["code"]) == (409, "result_not_ready")
        seen = []

        def is_over() -> bool:
            seen.append(Analysis.model_validate(stack.get(answer.headers["Location"])))
            return seen[-1].status not in LIVE

        stack.until(is_over, "the analysis ends")
        assert seen[-1].status == "succeeded"
        assert not seen[-1].partial
        assert seen[-1].progress.fraction == 1.0
        totals = [analysis.progress.total for analysis in seen]
        assert totals == sorted(totals)
        # Running, then over; never back.
        stages = [["queued", "running", "succeeded"].index(analysis.status) for analysis in seen]
        assert stages == sorted(stages)

    def test_result_and_rows_keep_the_wire_contract(self, stack, compared, comparison):
        document = ResultDocument.model_validate(stack.result(compared))
        assert document.analysis_id == compared
        assert document.verdict is not None
        assert document.gain is not None
        assert document.free_energy is not None
        parts = (
            document.gain.elicited,
            document.gain.created,
            document.gain.lost,
            document.gain.undetermined,
        )
        assert math.fsum(part.value for part in parts) == pytest.approx(document.gain.total.value, abs=NANO)
        rows = [PromptRow.model_validate(row) for row in stack.rows(compared)]
        assert [row.prompt_id for row in rows] == [p["id"] for p in comparison["prompts"]["inline"]]
        assert sum(document.support.regimes.values()) == len(rows)
        for row in rows:
            terms = [row.tilt.value, row.drift.value, row.escape.value]
            assert math.fsum(terms) == pytest.approx(row.kl.value, abs=NANO)

    def test_both_sides_samples_are_complete_and_judged(self, stack, compared):
        drawn = defaultdict(list)
        for sample in draws(stack.table(compared, "samples.parquet")):
            assert sample["outcome"] is not None
            drawn[sample["prompt_id"], sample["stream"]].append(sample)
        rows = stack.rows(compared)
        assert drawn.keys() == {(row["prompt_id"], side) for row in rows for side in SIDES}
        for row in rows:
            for side in SIDES:
                samples = drawn[row["prompt_id"], side]
                assert [sample["index"] for sample in samples] == list(range(row[side]["samples"]))
                right = [sample for sample in samples if sample["outcome"] == "correct"]
                assert len(right) == row[side]["successes"]
                assert len({sample["stream_key"] for sample in samples}) == 1

    def test_prompts_parquet_holds_what_the_rows_say(self, stack, compared):
        rows, table = stack.rows(compared), stack.table(compared, "prompts.parquet")
        assert table["prompt_id"].to_pylist() == [row["prompt_id"] for row in rows]
        assert table["regime"].to_pylist() == [row["regime"] for row in rows]
        assert table["kl.value"].to_pylist() == [row["kl"]["value"] for row in rows]

    def test_every_artefact_is_listed_with_its_size(self, stack, compared):
        listed = stack.get(f"/v1/analyses/{compared}/artifacts")["data"]
        names = {entry["name"] for entry in listed}
        assert names >= {"result.json", "prompts.parquet", "samples.parquet", "report.html"}
        for entry in listed:
            content = stack.client.get(entry["href"]).content
            assert len(content) == entry["bytes"]
        stored = stack.client.get(f"/v1/analyses/{compared}/artifacts/result.json").json()
        assert stored == stack.result(compared)

    def test_usage_adds_up(self, stack, compared, comparison):
        samples = stack.table(compared, "samples.parquet").to_pylist()
        usage, reported = stack.analysis(compared)["usage"], stack.result(compared)["usage"]
        assert usage["samples"] == len(samples)
        assert usage["sampled_tokens"] == sum(len(sample["token_ids"]) for sample in samples)
        pilot = comparison["budget"]["samples_per_prompt"]
        scored = [sample for sample in samples if sample["index"] < pilot]
        assert usage["scored_tokens"] == sum(len(sample["token_ids"]) for sample in scored)
        assert usage["cached_samples"] == 0
        assert differences(usage, reported, 0.0) == []
        attempts = stack.attempts(compared)
        assert {attempt.outcome for attempt in attempts} == {"done"}
        spent = math.fsum(attempt.engine_seconds for attempt in attempts)
        assert usage["engine_seconds"] == pytest.approx(spent, rel=NANO)

    def test_events_have_no_gap_and_resume_anywhere(self, stack, compared):
        path = stack.analysis(compared)["links"]["events"]
        events = _events(stack.client.get(path).text)
        assert [event["id"] for event in events] == list(range(1, len(events) + 1))
        assert (events[0]["event"], events[0]["data"]["status"]) == ("status", "queued")
        assert events[-1]["event"] == "done"
        assert events[-1]["data"]["status"] == "succeeded"
        assert events[-1]["data"]["verdict"] == stack.result(compared)["verdict"]["label"]
        rounds = [event["data"] for event in events if event["event"] == "round"]
        assert [each["round"] for each in rounds] == list(range(1, len(rounds) + 1))
        middle = len(events) // 2
        rest = stack.client.get(path, headers={"Last-Event-ID": str(middle)}).text
        assert _events(rest) == events[middle:]

    def test_the_report_loads_nothing(self, stack, compared):
        answer = stack.client.get(f"/v1/analyses/{compared}/report")
        assert answer.headers["content-type"].startswith("text/html")
        page = _Page()
        page.feed(answer.text)
        assert page.loads == []
        for word in ("@import", "fetch(", "XMLHttpRequest", "import("):
            assert word not in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        label = stack.result(compared)["verdict"]["label"]
        assert label in answer.text.lower()

    def test_the_service_finds_what_the_pipelines_alone_find(self, stack, compared, comparison, model_folder):
        """Broker, ledger, host process and gateway add nothing and lose nothing."""
        spec = AnalysisRequest.model_validate(comparison).model_dump(mode="json")
        folders = {side: model_folder / comparison[side]["model"] for side in SIDES}
        local = LocalRun(spec, folders, batch_size=8, shard_tokens=800)
        found = local.run()
        wanted = {**found.document, "usage": None}
        for side in SIDES:
            wanted["frame"][side]["model"] = comparison[side]["model"]
        document = {**stack.result(compared), "usage": None}
        assert document.pop("revision") == 1  # the ledger's word, not the pipelines'
        assert differences(json.loads(json.dumps(wanted)), document, NANO) == []
        assert differences(json.loads(json.dumps(found.rows)), stack.rows(compared), NANO) == []
        samples = stack.table(compared, "samples.parquet").to_pylist()
        alone = local.committed(with_samples=True).samples.to_pylist()
        served = {(row["stream"], row["prompt_index"], row["index"]): row["token_ids"] for row in samples}
        assert served == {
            (row["stream"], row["prompt_index"], row["index"]): row["token_ids"] for row in alone
        }


class TestKinds:
    def test_support_of_the_reference_alone(self, stack, comparison):
        request = {**comparison, "kind": "support"}
        del request["candidate"]
        document = stack.succeeded(analysis_id := stack.submit(request))
        assert not {"verdict", "gain", "free_energy"} & document.keys()
        assert "candidate" not in document["support"]
        assert document["usage"]["scored_tokens"] == 0
        samples = stack.table(analysis_id, "samples.parquet")
        assert set(samples["stream"].to_pylist()) == {"reference"}
        for row in stack.rows(analysis_id):
            assert PromptRow.model_validate(row).candidate is None
            assert row["reference"]["samples"] >= 32

    def test_free_energy_without_a_verdict(self, stack, comparison):
        document = stack.succeeded(analysis_id := stack.submit({**comparison, "kind": "free_energy"}))
        assert not {"verdict", "gain"} & document.keys()
        energy = document["free_energy"]
        terms = [energy[name]["value"] for name in ("tilt", "drift", "escape")]
        assert math.fsum(terms) == pytest.approx(energy["kl"]["value"], abs=NANO)
        assert min(terms) >= -NANO
        assert energy["kl"]["value"] > 0.1
        identities = {check["check"]: check for check in energy["closure"]}
        assert identities["sum_identity"]["passed"]
        assert identities["gap_identity"]["passed"]
        assert len(stack.table(analysis_id, "samples.parquet")) == 2 * 6 * 32

    def test_a_model_against_itself_never_shares_draws(self, stack, comparison):
        request = {**comparison, "candidate": comparison["reference"], "seed": 3}
        document = stack.succeeded(analysis_id := stack.submit(request))
        assert document["verdict"]["label"] == "inconclusive"
        assert "identical_models" in {warning["code"] for warning in document["warnings"]}
        assert document["free_energy"]["kl"]["value"] == document["free_energy"]["kl_k1"]["value"] == 0.0
        for row in stack.rows(analysis_id):
            assert (row["kl"]["value"], row["kl"]["ci_low"], row["kl"]["ci_high"]) == (0.0, 0.0, 0.0)
            assert [row[term]["value"] for term in ("tilt", "drift", "escape")] == [0.0, 0.0, 0.0]
        drawn = defaultdict(list)
        keys = defaultdict(set)
        for sample in draws(stack.table(analysis_id, "samples.parquet")):
            if sample["index"] < 32:
                drawn[sample["stream"]].append(sample["token_ids"])
            keys[sample["stream"]].add(sample["stream_key"])
        assert keys["reference"].isdisjoint(keys["candidate"])
        pairs = list(zip(drawn["reference"], drawn["candidate"], strict=True))
        # Equal texts are common here, equal sequences of them would be shared draws.
        assert sum(one != other for one, other in pairs) > len(pairs) / 2


class TestRefusals:
    def test_a_prompt_beyond_the_context_fails_the_analysis_and_is_named(self, stack, comparison):
        inline = comparison["prompts"]["inline"]
        long = {"id": "long", "prompt": "1234567890" * 3 + "=", "answer": "1"}
        ended = stack.ended(
            analysis_id := stack.submit({**comparison, "prompts": {"inline": [*inline, long]}})
        )
        assert ended["status"] == "failed"
        assert ended["error"]["code"] == "prompt_too_long"
        assert [fault["pointer"] for fault in ended["error"]["errors"]] == [f"/prompts/inline/{len(inline)}"]
        assert "'long'" in ended["error"]["detail"]
        assert ended["usage"]["samples"] == 0
        result = stack.client.get(f"/v1/analyses/{analysis_id}/result")
        assert (result.status_code, result.json()["code"]) == (409, "no_result")
        events = _events(stack.client.get(ended["links"]["events"]).text)
        assert events[-1]["data"]["status"] == "failed"

    def test_different_tokenizers_leave_counts_alone(self, stack, comparison):
        other = {"source": "model", "model": "other-tokenizer"}
        document = stack.succeeded(stack.submit({**comparison, "kind": "support", "candidate": other}))
        assert document["support"]["candidate"]["success"]["value"] == 0.0
        assert document["usage"]["scored_tokens"] == 0
        assert "tokenizers_differ" in {warning["code"] for warning in document["warnings"]}

        document = stack.succeeded(analysis_id := stack.submit({**comparison, "candidate": other}))
        for term in ("kl", "kl_k1", "kl_per_token", "drift"):
            estimate = document["free_energy"][term]
            assert (estimate["value"], estimate["status"]) == (None, "undefined"), term
            assert "tokenizers_differ" in estimate["reason"]
        for row in stack.rows(analysis_id):
            assert (row["kl"]["status"], row["kl"]["reason"]) == ("undefined", "tokenizers_differ")
            assert row["reference"]["success"]["value"] is not None

        refused = stack.client.post(
            "/v1/analyses", json={**comparison, "kind": "free_energy", "candidate": other}
        )
        assert (refused.status_code, refused.json()["code"]) == (422, "tokenizer_mismatch")


def _events(stream: str) -> list[dict[str, Any]]:
    """Server-sent events of a finished stream."""
    blocks = [dict(_fields(block)) for block in stream.split("\n\n")]
    return [
        {"id": int(block["id"]), "event": block["event"], "data": json.loads(block["data"])}
        for block in blocks
        if "id" in block
    ]


def _fields(block: str) -> list[list[str]]:
    lines = [line for line in block.splitlines() if line and not line.startswith(":")]
    return [line.split(": ", 1) for line in lines]


class _Page(HTMLParser):
    """Collects what a browser would fetch."""

    FETCHED = frozenset({"src", "srcset", "poster", "data", "action", "background", "xlink:href"})

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            text = value or ""
            fetched = name in self.FETCHED or (name == "href" and tag != "a")
            if fetched and not text.startswith(("#", "data:")):
                self.loads.append(f"<{tag} {name}={text}>")
            self._styles(text)

    def handle_data(self, data: str) -> None:
        self._styles(data)

    def _styles(self, text: str) -> None:
        for part in text.split("url(")[1:]:
            if not part.lstrip("'\" ").startswith(("#", "data:")):
                self.loads.append(f"url({part[:40]}")

import json
from typing import Any

import pytest

from service.analyses.comparison import MAX_COMPARED


def estimate(value: float) -> dict[str, Any]:
    return {
        "value": value,
        "std_error": 0.1,
        "ci_low": value - 0.2,
        "ci_high": value + 0.2,
        "confidence": 0.95,
        "n": 64,
        "unit": "nats",
        "status": "ok",
        "reason": "",
    }


def mean(value: float) -> dict[str, Any]:
    return {**estimate(value), "sampling_std_error": 0.05}


def side(success: float) -> dict[str, Any]:
    return {"success": mean(success), "pass_at_k": [], "coverage": [], "outcomes": {"correct": 3}}


def found(gain: float) -> dict[str, Any]:
    """What every result has, and every checkpoint of a trajectory."""
    parts = {"total": gain, "elicited": gain / 2, "created": gain / 2, "lost": 0.0, "undetermined": 0.0}
    return {
        "verdict": {
            "label": "mixed",
            "sentence": "Half of it was there.",
            "creation_share": {"lower": estimate(0.5), "upper": estimate(0.5)},
            "findings": [],
            "reasons": [],
            "by_k_probe": [],
            "gain_p_value": 0.01,
            "certified": {},
            "samples_to_settle": None,
        },
        "gain": {name: mean(value) for name, value in parts.items()},
        "support": {"reference": side(0.25), "candidate": side(0.25 + gain), "regimes": {"tail": 2}},
        "nulls": [],
        "diagnostics": {"truncated_share": {}, "unparsed_share": {}, "duplicate_share": {}},
        "warnings": [],
    }


def result(kind: str = "capability", **parts: Any) -> dict[str, Any]:
    whole = {"object": "analysis.result", "analysis_id": "anl_1", "kind": kind, "partial": False}
    return {**whole, "frame": {}, "usage": {}, **found(0.5), **parts}


@pytest.fixture
def finished(submit: Any, worker: Any) -> Any:
    """An analysis that ended with a result, by its id."""

    def finished(document: dict[str, Any], **changes: Any) -> str:
        path = submit(**changes)
        worker.finish({"result.json": (json.dumps(document).encode(), "application/json")})
        return str(path.rpartition("/")[2])

    return finished


def ask(gateway: Any, *ids: str) -> Any:
    return gateway.get("/v1/comparisons", params={"ids": ",".join(ids)})


def test_they_stand_in_the_order_asked_for(gateway: Any, finished: Any) -> None:
    first = finished(result(**found(0.5)), name="one", labels={"run": "1"})
    second = finished(result(**found(0.25)), name="two")
    answer = ask(gateway, second, first)
    assert answer.status_code == 200, answer.text
    entries = answer.json()["data"]
    assert [entry["analysis_id"] for entry in entries] == [second, first]
    assert [entry["name"] for entry in entries] == ["two", "one"]
    assert [entry["gain"]["total"]["value"] for entry in entries] == [0.25, 0.5]
    assert entries[1]["labels"] == {"run": "1"}
    assert entries[0]["success"]["candidate"] == mean(0.5)
    assert entries[0]["verdict"]["label"] == "mixed"
    assert entries[0]["regimes"] == {"tail": 2}
    # Not computed is absent; it is never null.
    assert "free_energy" not in entries[0]
    assert "checkpoint" not in entries[0]
    assert answer.json()["warnings"] == []


def test_different_questions_are_pointed_out(gateway: Any, finished: Any) -> None:
    first = finished(result())
    second = finished(result(), signal={"kind": "contains"}, seed=7)
    warnings = ask(gateway, first, second).json()["warnings"]
    assert [warning["code"] for warning in warnings] == ["different_signal"]
    assert second in warnings[0]["detail"]


def trajectory() -> dict[str, Any]:
    """Two checkpoints."""
    shrinkage = {
        "certified": False,
        "log_e_value": None,
        "needed_log_e_value": 3.7,
        "prompt_ids": [],
    }
    checkpoints = [
        {"checkpoint": n, "candidate": f"step-{n}", "step": n, "shrinkage": shrinkage, **found(gain)}
        for n, gain in enumerate((0.25, 0.5))
    ]
    whole = {key: value for key, value in result().items() if key not in ("verdict", "gain")}
    return {**whole, "checkpoints": checkpoints}


def test_a_trajectory_gives_an_entry_a_checkpoint(gateway: Any, finished: Any) -> None:
    entries = ask(gateway, finished(trajectory())).json()["data"]
    assert [(entry["checkpoint"], entry["candidate"]) for entry in entries] == [(0, "step-0"), (1, "step-1")]
    assert [entry["gain"]["total"]["value"] for entry in entries] == [0.25, 0.5]


class TestPage:
    def page(self, gateway: Any, *ids: str) -> Any:
        return gateway.get("/v1/comparisons", params={"ids": ",".join(ids), "format": "html"})

    def test_it_shows_each_number_with_its_interval(self, gateway: Any, finished: Any) -> None:
        first, second = (
            finished(result(**found(0.5)), name="one"),
            finished(result(**found(-0.25)), name=None),
        )
        answer = self.page(gateway, first, second)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["content-security-policy"].startswith("default-src 'none';")
        text = answer.text
        assert "0.500</strong>" in text
        assert "0.300 to 0.700" in text
        assert "-0.450 to -0.0500" in text
        assert text.index("one</a>") < text.index(f"{second}</a>")
        assert f'href="/v1/analyses/{first}/report"' in text
        assert "Prompts by regime" in text
        assert "KL(" not in text  # nobody computed it

    def test_what_has_no_value_says_why(self, gateway: Any, finished: Any) -> None:
        nothing = {**mean(0.0), "value": None, "ci_low": None, "ci_high": None, "status": "undefined"}
        parts = found(0.5)
        parts["gain"]["lost"] = {**nothing, "reason": "<no> losses"}
        text = self.page(gateway, finished(result(**parts))).text
        assert "undefined: &lt;no&gt; losses" in text

    def test_what_callers_wrote_is_text(self, gateway: Any, finished: Any) -> None:
        hostile = "<script>alert(1)</script>"
        text = self.page(gateway, finished(result(), name=hostile, labels={"run": hostile})).text
        assert "<script" not in text
        assert text.count("&lt;script&gt;alert(1)") >= 2

    def test_it_points_out_different_questions(self, gateway: Any, finished: Any) -> None:
        text = self.page(gateway, finished(result()), finished(result(), signal={"kind": "contains"})).text
        assert "different_signal" in text
        assert "<code>signal</code> of" in text

    def test_a_trajectory_names_its_checkpoints(self, gateway: Any, finished: Any) -> None:
        text = self.page(gateway, finished(trajectory())).text
        assert text.index("step-0</a>") < text.index("step-1</a>")


class TestRefused:
    def test_an_unknown_one(self, gateway: Any, finished: Any) -> None:
        answer = ask(gateway, finished(result()), "anl_unknown")
        assert (answer.status_code, answer.json()["code"]) == (404, "analysis_not_found")
        assert "anl_unknown" not in answer.text

    def test_one_without_a_result(self, gateway: Any, finished: Any, submit: Any) -> None:
        done, waits = finished(result()), submit().rpartition("/")[2]
        answer = ask(gateway, done, waits)
        assert (answer.status_code, answer.json()["code"]) == (409, "result_not_ready")
        assert waits in answer.json()["detail"]
        assert "retry-after" in answer.headers

    def test_a_result_that_this_version_cannot_read(self, gateway: Any, finished: Any) -> None:
        answer = ask(gateway, finished({"object": "analysis.result"}))
        assert (answer.status_code, answer.json()["code"]) == (409, "result_of_another_version")

    @pytest.mark.parametrize(
        "ids", ["", ",", "anl_1,", "anl_1,anl_1", ",".join(f"anl_{n}" for n in range(MAX_COMPARED + 1))]
    )
    def test_what_is_no_list_of_ids(self, gateway: Any, ids: str) -> None:
        answer = gateway.get("/v1/comparisons", params={"ids": ids})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["parameter"] == "ids"

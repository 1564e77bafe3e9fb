"""What a request may say of arms, and what it is told otherwise."""

from typing import Any

import pytest
from pydantic import ValidationError

from api_schemas.arms import Arm, template_fields
from api_schemas.requests import AnalysisRequest
from service.analyses.arm_checks import check_arms, check_metadata

HOT = {"name": "hot", "role": "elicitation", "policy": {"temperature": 1.5}}
HINT = {"name": "hint", "role": "assisted", "template": "{metadata.hint} {prompt}"}


def request(*arms: dict[str, Any], **changes: Any) -> AnalysisRequest:
    body: dict[str, Any] = {
        "kind": "capability",
        "reference": {"model": "base"},
        "candidate": {"model": "tuned"},
        "prompts": {"inline": [{"id": "p", "prompt": "1+1=", "answer": "2"}]},
        "signal": {"kind": "exact"},
        "arms": list(arms),
    }
    return AnalysisRequest.model_validate({**body, **changes})


@pytest.mark.parametrize(
    ("arms", "changes", "code", "pointer"),
    [
        ([HOT, HOT], {}, "duplicate_arm", "/arms/1/name"),
        ([HOT, {**HOT, "name": "other"}], {}, "duplicate_arm", "/arms/1"),
        ([{**HOT, "name": "reference"}], {}, "reserved_arm_name", "/arms/0/name"),
        ([{**HOT, "name": "untruncated"}], {}, "reserved_arm_name", "/arms/0/name"),
        ([{"name": "same", "role": "elicitation"}], {}, "arm_changes_nothing", "/arms/0"),
        (
            [{"name": "same", "role": "assisted", "template": "{prompt}"}],
            {},
            "arm_changes_nothing",
            "/arms/0",
        ),
        (
            [{"name": "m", "role": "elicitation", "policy": {"min_p": 0.1}}],
            {"policy": {"top_p": 0.9}},
            "policy_conflict",
            "/arms/0/policy",
        ),
        ([HOT], {"kind": "free_energy"}, "arms_without_claims", "/arms"),
        ([], {"share_proposals": True}, "nothing_to_share", "/share_proposals"),
        (
            [HINT, {**HOT, "policy": {"temperature": 1.5, "stop": ["\n"]}}],
            {"share_proposals": True},
            "nothing_to_share",
            "/share_proposals",
        ),
        (
            [{"name": "c", "role": "elicitation", "chat_template": "candidate"}],
            {"kind": "support", "candidate": None},
            "arm_needs_candidate",
            "/arms/0/chat_template",
        ),
        (
            [
                {"name": f"t{i}", "role": "elicitation", "policy": {"temperature": [0.5 + i, 0.7 + i]}}
                for i in range(9)
            ],
            {},
            "too_many_arms",
            "/arms",
        ),
    ],
)
def test_arms_that_make_no_sense_are_refused(
    arms: list[dict[str, Any]], changes: dict[str, Any], code: str, pointer: str
) -> None:
    found = check_arms(request(*arms, **changes))
    assert (code, pointer) in {(finding.code, finding.pointer) for finding in found}


def test_arms_may_be_shared_under_any_kind_that_draws_them() -> None:
    sharing = {"share_proposals": True}
    assert check_arms(request(HOT, **sharing)) == []
    assert check_arms(request(HOT, kind="support", candidate=None, **sharing)) == []
    assert check_arms(request(policy={"top_p": 0.9}, **sharing)) == []  # the arm that is added


REPAIR = {"name": "fix", "role": "elicitation", "format_repair": True}


@pytest.mark.parametrize(
    ("signal", "said"),
    [
        ({"kind": "exact"}, "Give the final answer alone, without an explanation."),
        ({"kind": "regex", "pattern": "^42$"}, "Give the final answer alone, without an explanation."),
        ({"kind": "math"}, "Give the final answer inside \\boxed{}."),
        ({"kind": "exact", "extract": {"find": "boxed"}}, "Give the final answer inside \\boxed{}."),
        (
            {"kind": "exact", "extract": {"find": "after", "marker": "Answer"}},
            "End with a line of its own: Answer, then the final answer.",
        ),
        (
            {"kind": "numeric", "extract": {"pattern": "#### (.+)"}},
            "Write the final answer so that this regular expression finds it: #### (.+)",
        ),
    ],
)
def test_a_format_repair_arm_says_how_the_signal_reads_answers(signal: dict[str, Any], said: str) -> None:
    given = request(REPAIR, signal=signal)
    assert check_arms(given) == []
    (arm,) = given.completed().arms
    assert (arm.prefix, arm.format_repair) == (f"{said}\n\n", True)
    assert given.completed().completed() == given.completed()
    assert check_arms(given.completed()) == []


def test_a_format_repair_arm_words_nothing_itself_and_adds_no_knowledge() -> None:
    (finding,) = check_arms(request({**REPAIR, "prefix": "42. "}))
    assert (finding.code, finding.pointer) == ("repair_has_a_prefix", "/arms/0/prefix")
    with pytest.raises(ValidationError, match="no knowledge"):
        Arm(name="fix", role="assisted", format_repair=True)


def test_a_prompt_must_have_what_a_template_fills_in() -> None:
    given = request(HINT)
    (finding,) = check_metadata(given.arms, given.prompts.inline)  # type: ignore[union-attr]
    assert (finding.code, finding.pointer) == ("metadata_missing", "/prompts/inline/0/metadata")
    whole = {"id": "p", "prompt": "1+1=", "answer": "2", "metadata": {"hint": "two"}}
    given = request(HINT, prompts={"inline": [whole]})
    assert list(check_metadata(given.arms, given.prompts.inline)) == []  # type: ignore[union-attr]
    assert check_arms(given) == []


@pytest.mark.parametrize(
    "template", ["no field", "{answer}{prompt}", "{prompt.__class__}", "{prompt!r}", "{", "{0}{prompt}"]
)
def test_a_template_fills_in_the_prompt_and_its_metadata_alone(template: str) -> None:
    with pytest.raises(ValidationError, match="template"):
        Arm(name="a", role="elicitation", template=template)


def test_braces_are_written_twice() -> None:
    assert template_fields("{{x}} {prompt} {metadata.a b}") == ["prompt", "metadata.a b"]


def test_a_grid_becomes_one_arm_a_temperature_with_the_whole_policy() -> None:
    grid = {"name": "t", "role": "elicitation", "policy": {"temperature": [0.5, 2]}}
    arms = request(grid, policy={"max_new_tokens": 40, "stop": ["\n"]}).completed().arms
    assert [arm.name for arm in arms] == ["t-0.5", "t-2"]
    policies = [arm.policy for arm in arms]
    assert [policy.temperature for policy in policies if policy] == [0.5, 2.0]
    assert {policy.max_new_tokens for policy in policies if policy} == {40}
    assert all(policy.stop == ["\n"] for policy in policies if policy)


@pytest.mark.parametrize("policy", [{"top_p": 0.9}, {"temperature": 0.7}, {"top_k": 4}, {"min_p": 0.1}])
def test_the_arm_that_always_counts_is_added_where_none_covers_it(policy: dict[str, Any]) -> None:
    given = request(policy=policy)
    assert [arm.name for arm in given.completed().arms] == ["untruncated"]
    assert given.completed().completed() == given.completed()
    assert check_arms(given.completed()) == []
    law = {"temperature": 1, "top_k": 0, "top_p": 1, "min_p": 0}
    own = {"name": "own", "role": "elicitation", "policy": law}
    assert [arm.name for arm in request(own, policy=policy).completed().arms] == ["own"]
    assert request(policy=policy, kind="free_energy").completed().arms == []
    assert request(policy=policy, kind="support", candidate=None).completed().arms == []
    assert request().completed().arms == []

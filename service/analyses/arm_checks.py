"""Whether the arms of a request can be told apart, change something, and can be rendered."""

from collections.abc import Iterable, Iterator, Sequence

from api_schemas.arms import (
    MAX_ARMS,
    METADATA,
    UNTRUNCATED,
    Arm,
    ArmPolicy,
    is_plain_and_untruncated,
    is_untruncated,
    template_fields,
)
from api_schemas.format_repair import repair_instruction
from api_schemas.participants import ModelParticipant
from api_schemas.prompts import Prompt
from api_schemas.requests import AnalysisRequest
from service.analyses.findings import Finding
from service.analyses.plan_checks import proposing_arms

RESERVED = ("reference", "candidate")


def check_arms(request: AnalysisRequest) -> list[Finding]:
    """Check every arm against the request it is part of, as it was sent."""
    return [
        *_check_kind(request),
        *_check_sharing(request),
        *_check_repair(request),
        *_check_number(request),
        *_check_names(request),
        *(
            finding
            for index, arm in enumerate(request.arms)
            for finding in (*_check_law(request, index, arm), *_check_rendering(request, index, arm))
        ),
    ]


def _check_kind(request: AnalysisRequest) -> Iterator[Finding]:
    if request.kind == "free_energy" and request.arms:
        yield Finding(
            "arms_without_claims",
            "kind `free_energy` claims no creation and draws its pilots only, so that arms would change "
            "nothing; ask for `capability` or `support`, or leave `arms` out",
            "/arms",
        )


def _check_repair(request: AnalysisRequest) -> Iterator[Finding]:
    words = (None, repair_instruction(request.signal))
    for index, arm in enumerate(request.arms):
        if arm.format_repair and arm.prefix not in words:
            yield Finding(
                "repair_has_a_prefix",
                "`format_repair` writes the arm's `prefix`; leave `prefix` out, or word the repair yourself "
                "without `format_repair`",
                f"/arms/{index}/prefix",
            )


def _check_sharing(request: AnalysisRequest) -> Iterator[Finding]:
    shares = request.share_proposals and request.kind != "trajectory"
    if shares and not proposing_arms(request.completed()):
        yield Finding(
            "nothing_to_share",
            f"kind `{request.kind}` shares what elicitation arms draw, and no elicitation arm has the "
            "analysis's `max_new_tokens` and `stop`; name one, or leave `share_proposals` out",
            "/share_proposals",
        )


def _check_number(request: AnalysisRequest) -> Iterator[Finding]:
    count = len(request.completed().arms)
    if count > MAX_ARMS:
        yield Finding(
            "too_many_arms",
            f"{count} arms, grids of temperatures written out and `{UNTRUNCATED}` counted where it is added; "
            f"at most {MAX_ARMS} are offered, because each needs draws of its own",
            "/arms",
        )


def _check_names(request: AnalysisRequest) -> Iterator[Finding]:
    named: dict[str, int] = {}
    laws: dict[str, str] = {}
    for index, given in enumerate(request.arms):
        for arm in given.expanded(request.policy):
            if arm.name in RESERVED:
                yield Finding(
                    "reserved_arm_name",
                    f"`{arm.name}` is the name of a side; give the arm another",
                    f"/arms/{index}/name",
                )
            elif arm.name == UNTRUNCATED and not is_plain_and_untruncated(arm):
                yield Finding(
                    "reserved_arm_name",
                    f"`{UNTRUNCATED}` is the arm of the plain prompt at temperature 1 without truncation, "
                    "which is added by itself where it is needed; give this one another name",
                    f"/arms/{index}/name",
                )
            if arm.name in named:
                yield Finding(
                    "duplicate_arm",
                    f"the name `{arm.name}` is already that of arm {named[arm.name]}; names tell arms apart",
                    f"/arms/{index}/name",
                )
            named.setdefault(arm.name, index)
            law = arm.model_copy(update={"name": "x"}).model_dump_json()
            if law in laws:
                yield Finding(
                    "duplicate_arm",
                    f"arm `{arm.name}` samples just as arm `{laws[law]}` does; remove one",
                    f"/arms/{index}",
                )
            laws.setdefault(law, arm.name)


def _check_law(request: AnalysisRequest, index: int, given: Arm) -> Iterator[Finding]:
    for arm in given.expanded(request.policy):
        policy = arm.policy or ArmPolicy()
        if policy.min_p and (policy.top_k or policy.top_p != 1):
            yield Finding(
                "policy_conflict",
                f"arm `{arm.name}` would combine min_p with top_k or top_p, some of them taken from the "
                "analysis's policy; switch the others off in the arm (`min_p` 0, or `top_k` 0 and `top_p` 1)",
                f"/arms/{index}/policy",
            )
        same = policy == ArmPolicy.model_validate(request.policy.model_dump())
        if arm.renders_plainly and same:
            instead = "; it counts already" if is_untruncated(request.policy) else ""
            yield Finding(
                "arm_changes_nothing",
                f"arm `{arm.name}` samples just as the analysis itself does{instead}: change its policy, "
                "prefix, template, chat template or demonstrations, or remove it",
                f"/arms/{index}",
            )


def _check_rendering(request: AnalysisRequest, index: int, arm: Arm) -> Iterator[Finding]:
    if arm.chat_template == "candidate" and not isinstance(request.candidate, ModelParticipant):
        lacking = "there is no candidate" if request.candidate is None else "an imported log has none"
        yield Finding(
            "arm_needs_candidate",
            f"arm `{arm.name}` asks for the candidate's chat template, and {lacking}",
            f"/arms/{index}/chat_template",
        )


def check_metadata(arms: Sequence[Arm], prompts: Iterable[Prompt]) -> Iterator[Finding]:
    """Check that every prompt has what the templates of arms fill in, at its place among inline prompts."""
    wanted = [(arm, key) for arm in arms for key in _metadata_keys(arm)]
    if not wanted:
        return
    for number, prompt in enumerate(prompts):
        for arm, key in wanted:
            if not _fills((prompt.metadata or {}).get(key)):
                yield Finding(
                    "metadata_missing",
                    f"arm `{arm.name}` fills in {{{METADATA}{key}}}, and prompt `{prompt.id}` has no text or "
                    f"number `{key}` in its `metadata`",
                    f"/prompts/inline/{number}/metadata",
                )


def _metadata_keys(arm: Arm) -> list[str]:
    fields = set(template_fields(arm.template or ""))
    return sorted(name.removeprefix(METADATA) for name in fields if name.startswith(METADATA))


def _fills(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)

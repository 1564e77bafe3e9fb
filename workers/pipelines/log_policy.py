"""The policy that an imported log says it was drawn with."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from workers.engines.policy import Policy
from workers.errors import AnalysisFault
from workers.pipelines.plan import Notice

SETTINGS: Final = ("temperature", "top_k", "top_p", "min_p")


def log_policy(policy: Policy, sampling: Mapping[str, Any], side: str) -> Policy:
    """The policy of an imported side: what its log says, and the request's where it says nothing.

    Args:
        policy: The request's.
        sampling: Settings of the log.
        side: `reference` or `candidate`.

    Raises:
        AnalysisFault: the log was drawn greedily, or by settings that define no law.
    """
    told: dict[str, Any] = {
        name: value
        for name in SETTINGS
        if isinstance(value := sampling.get(name), int | float) and not isinstance(value, bool)
    }
    if told.get("top_k", 0) < 0:  # as vLLM writes that every token stays
        told["top_k"] = 0
    greedy = told.get("temperature", 1) == 0 or (sampling.get("do_sample") is False and not told)
    if greedy:
        raise AnalysisFault(
            "greedy_log",
            f"the log of the {side} was drawn greedily: one completion has probability 1, so there is no "
            "support to speak of; draw it anew at a positive temperature",
            f"/{side}/import",
        )
    try:
        return replace(policy, **told)
    except ValueError as error:
        raise AnalysisFault(
            "invalid_import",
            f"the settings in the log of the {side} define no law: {error}",
            f"/{side}/import",
        ) from error


def policy_notice(asked: Policy, found: Policy, sampling: Mapping[str, Any], side: str) -> Notice | None:
    """What a reader must know about the policy of an imported side."""
    differing = [name for name in SETTINGS if getattr(asked, name) != getattr(found, name)]
    if differing:
        told = ", ".join(f"{name} {getattr(found, name):g}" for name in differing)
        return Notice(
            f"{side}_policy_differs",
            f"the log of the {side} was drawn at {told}, not by the `policy` of the request: the log counts",
        )
    if sampling.get("temperature") is None:
        return Notice(
            f"{side}_policy_unknown",
            f"the log of the {side} does not say its temperature: {asked.temperature:g} is taken, as in the "
            "`policy` of the request",
        )
    return None

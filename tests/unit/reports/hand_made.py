"""Result documents written by hand: one for each verdict, and what a hostile caller would send."""

import copy
from typing import Any

from api_schemas.results import PromptRow, ResultDocument

Json = dict[str, Any]

HOSTILE = "<script>alert('x')</script>\"'&amp;\x1b[31mred\x1b[0m\u202egnp.exe\u2066\x00\x07 end"
"""Markup, quotes, an entity, ANSI colours, bidi controls, NUL and BEL."""

HOSTILE_SHOWN = "<script>alert('x')</script>\"'&amp;redgnp.exe end"

CREATED = ("singular", "barrier", "unreached")


def estimate(value: float | None, half: float = 0.05, unit: str = "probability", **changes: Any) -> Json:
    """A settled estimate with an interval of value ± half."""
    known = value is not None
    return {
        "value": value,
        "std_error": half / 2 if known else None,
        "ci_low": value - half if value is not None else None,
        "ci_high": value + half if value is not None else None,
        "confidence": 0.95 if known else None,
        "n": 12,
        "unit": unit,
        "status": "ok" if known else "undefined",
        "reason": "" if known else "no samples",
        **changes,
    }


def undefined(reason: str, unit: str = "nats") -> Json:
    return estimate(None, unit=unit, reason=reason)


def mean(value: float | None, half: float = 0.05, unit: str = "probability", **changes: Any) -> Json:
    """A data-set estimate."""
    error = None if value is None else half / 4
    return {**estimate(value, half, unit, **changes), "sampling_std_error": error}


def frame(candidate: bool = True) -> Json:
    side = {
        "model": "tiny-base",
        "weights_digest": "ab" * 32,
        "adapter_digest": None,
        "tokenizer_digest": "cd" * 32,
        "parameters": 643_968,
    }
    return {
        "reference": side,
        **({"candidate": {**side, "model": "tiny-grpo", "weights_digest": "ef" * 32}} if candidate else {}),
        "policy": {
            "temperature": 0.7,
            "top_k": 0,
            "top_p": 1.0,
            "min_p": 0.0,
            "max_new_tokens": 8,
            "stop": ["\n\n"],
        },
        "signal": {"kind": "exact", "extract": None, "version": "exact/1"},
        "budget": {
            "k_use": 8,
            "k_probe": 256,
            "samples_per_prompt": 512,
            "max_samples_per_prompt": 4096,
            "max_total_tokens": None,
            "adaptive": True,
        },
        "decision": {
            "alpha": 0.05,
            "reach": 0.5,
            "elicitation_max_share": 0.05,
            "creation_min_share": 0.5,
            "mixed_min_share": 0.05,
            "mixed_max_share": 0.95,
            "undetermined_max_share": 0.3,
            "unusable_max_share": 0.1,
        },
        "prompts": 6,
        "seed": 7,
        "software": {"tiltscope-server": "0.1.0"},
    }


def side_support(success: float) -> Json:
    ks = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
    curve = [1 - (1 - success) ** k for k in ks]
    return {
        "success": mean(success, 0.02),
        "pass_at_k": [
            {"k": k, "estimate": mean(p, 0.02, ci_low=0.8 * p, ci_high=min(1.0, 0.1 + p))}
            for k, p in zip(ks, curve, strict=True)
        ],
        "coverage": [
            {"tau": tau, "estimate": estimate(min(1.0, success / tau) if tau else 1.0, 0.1, "share")}
            for tau in (0.001, 0.0027, 0.01, 0.03, 0.083, 0.3, 0.9)
        ],
        "outcomes": {
            "correct": round(6000 * success),
            "incorrect": 5000 - round(5000 * success),
            "unparsed": 40,
            "truncated": 12,
            "verifier_error": 3,
        },
    }


def free_energy(escape: float) -> Json:
    kl, tilt, drift = 1.2 + 2.4 + escape, 1.2, 2.4
    return {
        "kl": mean(kl, 0.4, "nats"),
        "kl_k1": mean(kl + 0.02, 0.5, "nats"),
        "kl_per_token": mean(kl / 6, 0.06, "nats per token"),
        "tilt": mean(tilt, 0.2, "nats"),
        "drift": mean(drift, 0.3, "nats"),
        "escape": mean(escape, 0.1, "nats"),
        "mean_energy": {"reference": mean(-0.2, 0.02, "reward"), "candidate": mean(-0.8, 0.02, "reward")},
        "matched_inverse_temperature": mean(
            5.1, 0.8, "1/reward", status="unreliable", reason="2 of 6 prompts excluded"
        ),
        "by_inverse_temperature": [
            {
                "inverse_temperature": beta,
                "log_partition": mean(0.1 * beta, 0.02, "nats"),
                "equilibrium": mean(-0.1, 0.02, "reward"),
                "free_energy": mean(2 / beta, 0.2, "reward"),
                "gap": mean(2 / beta + 0.1, 0.2, "reward"),
            }
            for beta in (0.5, 1.0, 2.0)
        ],
        "entropy": {"reference": mean(4.7, 0.3, "nats"), "candidate": mean(0.9, 0.3, "nats")},
        "by_position": [
            {"position": t, "estimate": estimate(kl * 0.5 ** (t + 1), 0.03, "nats")} for t in range(8)
        ],
        "certificate": {"price_bound": mean(4.9, 0.4, "nats"), "budget": 5.91, "certified_prompts": 2},
        "closure": [
            closure("overlap", 0.24, 0.03, blocking=False),
            closure("sum_identity", 0.0, 5e-9),
            closure("rao_blackwell_against_k1", 1.2, 4.0),
            closure("weight_deficit", 0.68, 0.14, passed=False, blocking=False),
        ],
    }


def closure(
    check: str, residual: float | None, tolerance: float, *, passed: bool = True, blocking: bool = True
) -> Json:
    return {
        "check": check,
        "residual": residual,
        "tolerance": tolerance,
        "passed": passed,
        "blocking": blocking,
    }


def row(position: int, regime: str, a: float, b: float, **changes: Any) -> Json:
    """A prompt row; a created one is confirmed."""
    created = regime in CREATED
    return {
        "prompt_id": f"p{position}",
        "family": "add2",
        "split": "heldout",
        "regime": regime,
        "confirmed": created,
        "confirmation": [
            {"check": "every_arm_out", "passed": True},
            {"check": "e_bh", "passed": True},
            {"check": "above_chance_floor", "passed": True},
        ]
        if created
        else [],
        "gain": estimate(b - a, 0.06),
        "reference": side_row(a, "out" if created or regime == "beyond" else "in"),
        "candidate": side_row(b, "in" if b else "out"),
        "kl": estimate(3.2, 0.3, "nats"),
        "tilt": estimate(1.0, 0.2, "nats"),
        "drift": estimate(2.2, 0.2, "nats"),
        "escape": estimate(1.1 if created else 0.0, 0.0, "nats"),
        "log_partition": [
            {
                "inverse_temperature": 1.0,
                "log_partition": estimate(0.1, 0.02, "nats"),
                "equilibrium": estimate(-0.1, 0.02, "reward"),
            }
        ],
        "evidence": [
            f"reference at K = 256: {'out' if created else 'in'}, counts, {round(512 * a)} of 512 samples, "
            "log e-value 5.1 nats"
        ],
        "samples_to_settle": 1200 if regime == "undetermined" else None,
        **changes,
    }


def side_row(success: float, reach: str) -> Json:
    price = (
        estimate(4.0, 0.5, "nats")
        if success
        else estimate(
            None,
            unit="nats",
            ci_low=5.2,
            confidence=0.95,
            status="censored",
            reason="no success bounds the chance of success from below",
        )
    )
    return {
        "successes": round(512 * success),
        "samples": 512,
        "success": estimate(success, 0.02),
        "price": price,
        "class_at_k_use": reach,
        "class_at_k_probe": reach,
    }


SHARES: dict[str, tuple[float, float]] = {
    "elicitation": (0.0, 0.02),
    "creation": (0.82, 0.9),
    "mixed": (0.35, 0.5),
    "inconclusive": (0.1, 0.8),
}

ROWS: dict[str, list[Json]] = {
    "elicitation": [row(0, "basin", 0.2, 0.9), row(1, "tail", 0.01, 0.8), row(2, "beyond", 0.0, 0.0)],
    "creation": [row(0, "unreached", 0.0, 0.9), row(1, "singular", 0.0, 0.8), row(2, "barrier", 0.0, 0.7)],
    "mixed": [row(0, "unreached", 0.0, 0.9), row(1, "tail", 0.01, 0.8), row(2, "lost", 0.2, 0.0)],
    "inconclusive": [row(0, "undetermined", 0.004, 0.9), row(1, "undetermined", 0.0, 0.1)],
}

SENTENCES = {
    "elicitation": "Post-training tilted the reference: the gain lies where the reference already reached.",
    "creation": (
        "Post-training took the model somewhere new: the gain lies where this reference did not reach under "
        "this policy, signal and budget."
    ),
    "mixed": "Both: part of the gain lies where the reference already reached, part where it did not.",
    "inconclusive": "Inconclusive: these samples do not decide between elicitation and creation.",
}


def verdict(label: str, findings: list[str]) -> Json:
    low, high = SHARES[label]
    news = [f"News of {finding}." for finding in findings]
    return {
        "label": label,
        "sentence": " ".join([*news, SENTENCES[label]]),
        "creation_share": {
            "lower": estimate(low, 0.0, "share", ci_low=max(0.0, low - 0.06)),
            "upper": estimate(high, 0.0, "share", ci_high=min(1.0, high + 0.04)),
        },
        "findings": findings,
        "reasons": ["the creation share of the gain lies between its bounds"],
        "by_k_probe": [
            {"k_probe": k, "label": label, "creation_share_lower": low, "creation_share_upper": high}
            for k in (64, 16, 256)
        ]
        + [{"k_probe": 1024, "label": "inconclusive", "creation_share_lower": None}],
    }


def capability(label: str = "elicitation", findings: list[str] | None = None) -> tuple[Json, list[Json]]:
    """A full document and its rows."""
    rows = copy.deepcopy(ROWS[label])
    regimes = dict.fromkeys(
        ("lost", "basin", "tail", "singular", "barrier", "unreached", "beyond", "undetermined"), 0
    )
    for found in rows:
        regimes[found["regime"]] += 1
    low, high = SHARES[label]
    share = estimate(0.4, 0.2, "share")
    document: Json = {
        "object": "analysis.result",
        "analysis_id": "anl_0123456789",
        "kind": "capability",
        "partial": False,
        "frame": frame(),
        "verdict": verdict(label, findings or []),
        "gain": {
            "total": mean(0.6, 0.1),
            "elicited": mean(0.6 * (1 - high), 0.08),
            "created": mean(0.6 * low, 0.06),
            "lost": mean(-0.04, 0.02),
            "undetermined": mean(0.6 * (high - low), 0.05),
        },
        "support": {
            "reference": side_support(0.02),
            "candidate": side_support(0.62),
            "regimes": regimes,
            "literature_rule": {"budget": 64, "unreached": 5, "created_claims": 4},
            "retention": {
                "budget": 32,
                **dict.fromkeys(("srr", "ndr", "sds", "nscr"), share),
                "null": dict.fromkeys(("srr", "ndr", "sds", "nscr"), share),
            },
            "crossing_k": undefined("does not cross within n = 512", "samples"),
        },
        "free_energy": free_energy(1.6 * low),
        "nulls": [
            {
                "null": "aa",
                "status": "passed",
                "expected": {"created": 0.05, "gain": 0.05},
                "observed": {"created": 0.0, "gain": 0.04},
                "reason": "200 splits at K' = 57",
            },
            {
                "null": "tilt",
                "status": "not_run",
                "expected": {"created": 0.05},
                "observed": {},
                "reason": "no prompt is in reach at K' within the pilot; needs 10 reference samples a prompt",
            },
            {
                "null": "planted",
                "status": "failed",
                "expected": {"planted": 0.97, "others": 0.05},
                "observed": {"planted": 0.61, "others": 0.01},
                "reason": "planted 0.61 of 0.97",
            },
        ],
        "diagnostics": {
            "ess": estimate(41.0, 3.0, "samples"),
            "pareto_k": undefined("too few weights", "shape"),
            "overlap": estimate(0.22, 0.01, "share"),
            "singular_mass": mean(0.0, 0.0),
            "truncated_share": {"reference": 0.002, "candidate": 0.0},
            "unparsed_share": {"reference": 0.008, "candidate": 0.001},
            "duplicate_share": {"reference": 0.26, "candidate": 0.97},
        },
        "usage": {
            "samples": 12_345,
            "sampled_tokens": 98_765,
            "scored_tokens": 98_000,
            "cached_samples": 0,
            "engine_seconds": 81.25,
        },
        "warnings": [{"code": "equal_prompts", "detail": "2 prompts share their text with another"}],
    }
    return valid(document, rows)


def support_only() -> tuple[Json, list[Json]]:
    """Kind `support` without a candidate."""
    document, rows = capability("elicitation")
    for key in ("verdict", "gain", "free_energy"):
        del document[key]
    document["kind"], document["frame"] = "support", frame(candidate=False)
    document["support"] = {"reference": document["support"]["reference"]}
    document["nulls"], document["warnings"] = document["nulls"][:1], []
    for name in ("ess", "pareto_k", "overlap", "singular_mass"):
        del document["diagnostics"][name]
    kept = ("prompt_id", "family", "split", "reference", "evidence", "samples_to_settle")
    return valid(document, [{name: found[name] for name in kept} for found in rows])


def truncated() -> tuple[Json, list[Json]]:
    """A truncating policy: KL and its parts have no value."""
    document, rows = capability("inconclusive")
    reason = "truncated_support"
    for key in ("kl", "kl_k1", "kl_per_token", "tilt", "drift", "escape"):
        document["free_energy"][key] = {**undefined(reason), "sampling_std_error": None}
    document["free_energy"]["by_position"] = []
    for found in document["free_energy"]["by_inverse_temperature"]:
        found["free_energy"] = found["gap"] = {**undefined(reason, "reward"), "sampling_std_error": None}
    for found in rows:
        found |= dict.fromkeys(("kl", "tilt", "drift", "escape"), undefined(reason))
    return valid(document, rows)


def without_gain() -> tuple[Json, list[Json]]:
    """No gain to divide: the share is undefined."""
    document, rows = capability("inconclusive", ["regression"])
    missing = undefined("the gain of the prompts that are not lost is not positive", "share")
    document["verdict"]["creation_share"] = {"lower": missing, "upper": missing}
    for point in document["verdict"]["by_k_probe"]:
        point["creation_share_lower"] = point["creation_share_upper"] = None
    return valid(document, rows)


def hostile() -> tuple[Json, list[Json]]:
    """Hostile text wherever a caller or a model can put any."""
    document, rows = capability("mixed", ["shrinkage"])
    document["frame"]["candidate"]["model"] = HOSTILE
    document["frame"]["policy"]["stop"] = [HOSTILE]
    document["frame"]["signal"][HOSTILE] = HOSTILE
    document["verdict"]["sentence"] = HOSTILE
    document["verdict"]["reasons"] = [HOSTILE]
    document["warnings"] = [{"code": HOSTILE, "detail": HOSTILE}]
    document["nulls"][0]["reason"] = HOSTILE
    document["free_energy"]["closure"][0]["check"] = HOSTILE
    document["support"]["crossing_k"]["reason"] = HOSTILE
    for found in rows:
        found |= {"prompt_id": HOSTILE, "family": HOSTILE, "split": HOSTILE, "evidence": [HOSTILE]}
        found["kl"] = undefined(HOSTILE)
    return valid(document, rows)


def valid(document: Json, rows: list[Json]) -> tuple[Json, list[Json]]:
    """The same, after the schemas have had their say."""
    checked = ResultDocument.model_validate(document).model_dump(mode="json", exclude_unset=True)
    return checked, [PromptRow.model_validate(r).model_dump(mode="json", exclude_unset=True) for r in rows]

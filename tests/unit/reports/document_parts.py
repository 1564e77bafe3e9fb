"""Parts of result documents, written by hand."""

from typing import Any

Json = dict[str, Any]

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
            {"tau": tau, "estimate": mean(min(1.0, success / tau) if tau else 1.0, 0.1, "share")}
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
        "kl_reverse": mean(1.7, 0.2, "nats"),
        "drift_parts": {
            "strategy_level": mean(0.4, 0.2, "nats"),
            "within_strategy": mean(2.0, 0.3, "nats"),
        },
        "behaviours": {
            "judged": 40,
            "within_reach": 31,
            "out_of_reach": 6,
            "undetermined": 3,
            "error_control": "within each prompt, e-BH at 0.05",
        },
        "response": [
            {
                "inverse_temperature": beta / 2,
                "mean_reward": mean(1 / (1 + 20 * 2.718 ** (-beta / 2)), 0.04, "reward"),
                "heat_capacity": mean(
                    20 * 2.718 ** (-beta / 2) / (1 + 20 * 2.718 ** (-beta / 2)) ** 2, 0.02, "reward²"
                ),
            }
            for beta in range(17)
        ],
        "by_position": [
            {"position": t, "estimate": mean(kl * 0.5 ** (t + 1), 0.03, "nats")} for t in range(8)
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
            {"check": "every_arm_out", "passed": True, "detail": "1 policies of the reference, all out"},
            {"check": "e_bh", "passed": True, "detail": "kept by e-BH over the prompts"},
            {
                "check": "above_chance_floor",
                "passed": True,
                "detail": "lower bound of b above the chance floor",
            },
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

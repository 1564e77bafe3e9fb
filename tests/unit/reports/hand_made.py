"""Result documents written by hand: one for each verdict, and what a hostile caller would send."""

import copy

from document_parts import Json, estimate, frame, free_energy, mean, row, side_support, undefined

from api_schemas.results import ResultDocument
from api_schemas.rows import PromptRow

HOSTILE = "<script>alert('x')</script>\"'&amp;\x1b[31mred\x1b[0m\u202egnp.exe\u2066\x00\x07 end"
"""Markup, quotes, an entity, ANSI colours, bidi controls, NUL and BEL."""

HOSTILE_SHOWN = "<script>alert('x')</script>\"'&amp;redgnp.exe end"

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
        "gain_p_value": 0.0002,
        "certified": {"elicited": 4, "created": 3},
        "samples_to_settle": None,
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
    for name in ("truncated_share", "unparsed_share", "duplicate_share"):
        del document["diagnostics"][name]["candidate"]
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

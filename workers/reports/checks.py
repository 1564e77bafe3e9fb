"""Nulls, closure checks, diagnostics, warnings and usage: what grades the numbers."""

from typing import Any

from workers.reports.glossary import CHECKS, DIAGNOSTICS, NULLS, SHARES
from workers.reports.numerals import count, is_number, numeral, percent
from workers.reports.readings import Json, finite, read

STATUSES = {
    "passed": ("✓", "passed", "good"),
    "failed": ("✗", "failed", "bad"),
    "not_run": ("–", "not run", "quiet"),
}

USAGE = {
    "samples": "Samples drawn",
    "cached_samples": "Samples from the cache",
    "sampled_tokens": "Tokens sampled",
    "scored_tokens": "Tokens scored",
    "engine_seconds": "Engine seconds",
}


def nulls(document: Json) -> list[dict[str, Any]]:
    """The null experiments: what must show, what did."""
    return [
        {
            "name": NULLS.get(null["null"], (null["null"], ""))[0],
            "words": NULLS.get(null["null"], ("", ""))[1],
            "status": STATUSES.get(null["status"], ("", null["status"], "quiet")),
            "rates": [
                (
                    key.replace("_", " "),
                    _rate(null["expected"].get(key)),
                    _rate(null["observed"].get(key)) or "not run",
                )
                for key in {**null["expected"], **null["observed"]}
            ],
            "reason": null["reason"],
        }
        for null in document["nulls"]
    ]


def closure(energy: Json) -> list[dict[str, Any]]:
    """The closure checks: blocking ones first; a non-blocking one that fails is a note."""
    checks = sorted(energy["closure"], key=lambda check: not check["blocking"])
    return [
        {
            "words": CHECKS.get(check["check"], check["check"].replace("_", " ")),
            "name": check["check"],
            "residual": "not defined" if finite(check["residual"]) is None else numeral(check["residual"]),
            "tolerance": "none" if finite(check["tolerance"]) is None else numeral(check["tolerance"]),
            "blocking": check["blocking"],
            "status": _closure_status(check),
        }
        for check in checks
    ]


def diagnostics(document: Json) -> dict[str, Any]:
    """Estimates that grade the scoring, and shares of samples by side."""
    found = document["diagnostics"]
    sides = [s for s in ("reference", "candidate") if any(s in found.get(name, {}) for name in SHARES)]
    return {
        "estimates": [
            (name, words, read(found[key], share=key == "overlap"), found[key].get("unit", ""))
            for key, (name, words) in DIAGNOSTICS.items()
            if found.get(key) is not None
        ]
        + _audit(found.get("verifier_audit")),
        "sides": sides,
        "shares": [
            (name, words, [_share(found[key].get(side)) for side in sides])
            for key, (name, words) in SHARES.items()
            if found.get(key)
        ],
    }


def _audit(audit: dict[str, Any] | None) -> list[tuple[Any, ...]]:
    """The verifier's error rates, where the request brought an audit."""
    if audit is None:
        return []
    return [
        (name, f"in the audit of {audit[side]:,} {side} texts", read(audit[key], share=True), "probability")
        for name, side, key in (
            ("Wrong texts accepted", "wrong", "false_positive_rate"),
            ("Right texts refused", "right", "false_negative_rate"),
        )
    ]


def warnings(document: Json) -> list[dict[str, str]]:
    """What a reader must know before quoting a number."""
    return [
        {"name": warning["code"].replace("_", " ").capitalize(), "detail": warning["detail"]}
        for warning in document["warnings"]
    ]


def usage(document: Json) -> list[tuple[str, str]]:
    """What was spent; figures without a name keep their key."""
    return [
        (USAGE.get(key, key.replace("_", " ").capitalize()), numeral(value))
        for key, value in document["usage"].items()
        if is_number(value)
    ]


def quick_facts(document: Json) -> list[str]:
    """Whether the checks hold, in a line."""
    ran = [null for null in document["nulls"] if null["status"] != "not_run"]
    passed = sum(null["status"] == "passed" for null in ran)
    facts = (
        [f"{passed} of {count(len(ran), 'null experiment')} passed"] if ran else ["no null experiment ran"]
    )
    energy = document.get("free_energy")
    blocking = [check for check in energy["closure"] if check["blocking"]] if energy else []
    if blocking:
        held = sum(check["passed"] for check in blocking)
        facts.append(f"{held} of {count(len(blocking), 'blocking check')} hold")
    return facts


def _closure_status(check: Json) -> tuple[str, str, str]:
    if check["passed"]:
        return STATUSES["passed"]
    return STATUSES["failed"] if check["blocking"] else ("!", "outside", "quiet")


def _rate(value: Any) -> str:
    number = finite(value)
    return "" if number is None else numeral(number)


def _share(value: Any) -> str:
    number = finite(value)
    return "not known" if number is None else percent(number)

"""What a result says in a terminal."""

import io
from typing import Any

from rich.console import Console

from tiltscope.summary import summarise

ANALYSIS = {"kind": "free_energy", "name": None, "id": "anl_1"}


def mean(value: float | None, reason: str = "") -> dict[str, Any]:
    known = value is not None
    return {
        "value": value,
        "ci_low": value - 1 if known else None,
        "ci_high": value + 1 if known else None,
        "sampling_std_error": 0.5 if known else None,
        "status": "ok" if known else "undefined",
        "reason": reason,
    }


def sides(one: dict[str, Any]) -> dict[str, Any]:
    return {"reference": one, "candidate": one, "change": one}


def test_demonstrations_are_shown_in_place_of_curves_of_word_for_word_copies() -> None:
    shown = {
        "count": 12,
        "cross_entropy": sides(mean(2.5)),
        "kl_to_teacher": sides(mean(None, "no `teacher` was named")),
    }
    result = {"support": {"pass_at_k": "not read"}, "warnings": [], "demonstrations": shown}
    written = io.StringIO()
    summarise(Console(file=written, width=100), ANALYSIS, result)
    text = written.getvalue()
    assert "Nats: 12 demonstrations" in text
    line = next(line for line in text.splitlines() if "cross-entropy, candidate" in line)
    assert line.split()[-5:-1] == ["±", "0.980", "[1.500,", "3.500]"]
    assert "undefined: no `teacher` was named" in text
    assert "pass@k" not in text


def test_the_decomposition_reads_as_a_sum_in_80_columns() -> None:
    terms = {name: mean(float(place)) for place, name in enumerate(("kl", "tilt", "drift", "escape"))}
    result = {"support": {"pass_at_k": None}, "free_energy": terms, "warnings": []}
    written = io.StringIO()
    summarise(Console(file=written, width=80), ANALYSIS, result)
    lines = [line.strip(" │").split("  ")[0] for line in written.getvalue().splitlines()]
    assert "Nats: KL(candidate || reference)" in lines
    assert [line for line in lines if line == "kl" or line[:2] in ("= ", "+ ")] == [
        "kl",
        "= tilt",
        "+ drift",
        "+ escape",
    ]

"""The type checker refuses code in which the candidate lowers an upper end of the reference."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ALLOWED = """
    from workers.estimators.evidence import Levels, ReferenceEvidence, reference_evidence
    from workers.estimators.reference_counts import CandidateCounts, ReferenceCounts, UpperEnd, upper_end
    from workers.estimators.scored_round import ScoredRound
    from workers.estimators.price import price_of
    from workers.estimators.evidence import log_e_out_of_every_arm

    def use(
        reference: ReferenceCounts, candidate: CandidateCounts, scored: ScoredRound, levels: Levels
    ) -> None:
        made: ReferenceEvidence = reference_evidence(reference, [scored], levels)
        end: UpperEnd = upper_end(reference, alpha=0.05, threshold=0.01, adaptive=True)
        price_of(reference, [scored], made.log_lower, end, 0.05)
        log_e_out_of_every_arm([reference], 0.01, 2048)
"""
VIOLATIONS = {
    "candidate counts as reference counts": "reference_evidence(candidate, [scored], levels)",
    "scored draws in place of counts": "reference_evidence(scored, None, levels)",
    "an upper end from scored draws": "upper_end(scored, alpha=0.05, threshold=0.01, adaptive=True)",
    "an upper end lowered by another number": "price_of(reference, None, -9.0, min(end, 0.01), 0.05)",
    "the candidate as an elicitation arm": "log_e_out_of_every_arm([candidate], 0.01, 2048)",
}

CODES = ("[arg-type]", "[type-var]", "[list-item]")


def check(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    file = folder / "snippet.py"
    file.write_text(code, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_the_rule_allows_passes(tmp_path: Path) -> None:
    found = check(textwrap.dedent(ALLOWED), tmp_path)
    assert found.returncode == 0, found.stdout + found.stderr


def test_every_violation_is_refused(tmp_path: Path) -> None:
    lines = textwrap.dedent(ALLOWED).rstrip().splitlines()
    first = len(lines) + 1
    violating = [*lines, *(f"    {line}" for line in VIOLATIONS.values())]
    found = check("\n".join(violating) + "\n", tmp_path)
    assert found.returncode == 1
    for number, name in enumerate(VIOLATIONS, start=first):
        errors = [line for line in found.stdout.splitlines() if f"snippet.py:{number}: error" in line]
        assert any(code in line for line in errors for code in CODES), f"{name} passes:\n{found.stdout}"


@pytest.mark.parametrize("name", sorted(VIOLATIONS))
def test_no_violation_is_a_slip_of_the_pen(name: str) -> None:
    # Each is a whole expression: were it a syntax error, any checker would refuse it.
    compile(VIOLATIONS[name], name, "eval")

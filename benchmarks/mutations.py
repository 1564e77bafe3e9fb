"""Break rules on purpose, one at a time, and see a named test go red: ``make mutations``.

Each mutation is made in a temporary copy of the repository, where its test must pass before and fail after.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from benchmarks.gateway_mutations import GATEWAY_MUTATIONS
from benchmarks.ledger_mutations import LEDGER_MUTATIONS
from benchmarks.mutation import Mutation

ROOT: Final = Path(__file__).parents[1]
COPIED: Final = ("api_schemas", "benchmarks", "ledger", "service", "tests", "tiltscope", "workers")
TESTS: Final = "tests/unit/estimators/"


MUTATIONS: Final = (
    Mutation(
        "a KL direction is flipped",
        "workers/engines/divergence.py",
        "terms = sampler.exp() * (sampler - scorer)",
        "terms = scorer.exp() * (scorer - sampler)",
        "tests/unit/engines/test_divergence.py::test_token_kl_by_hand",
    ),
    Mutation(
        "the log-ratio to the teacher is turned round",
        "workers/pipelines/scored_kl.py",
        '_floats(rows, "own_logprob") - _floats(rows, "logprob")',
        '_floats(rows, "logprob") - _floats(rows, "own_logprob")',
        "tests/unit/pipelines/test_teacher.py::test_the_kl_to_the_teacher_is_that_of_the_enumerated_laws",
    ),
    Mutation(
        "the scores of a teacher pass for those of a side",
        "workers/pipelines/committed.py",
        'scores = tables["score"].filter(~taught)',
        'scores = tables["score"]',
        "tests/unit/pipelines/test_teacher.py::test_a_teacher_changes_nothing_else",
    ),
    Mutation(
        "a later round counts by what it holds",
        "workers/pipelines/later_rounds.py",
        "counts = succeeded and (",
        "counts = one.successes > 0 and (",
        "tests/unit/pipelines/test_later_rounds.py::test_no_evidence_comes_out_of_reading_successes_alone",
    ),
    Mutation(
        "samples that were scored for their success pass for a pilot",
        "workers/pipelines/observations.py",
        "not rows.num_rows or rows.num_rows < judged[stream].num_rows",
        "not rows.num_rows",
        "tests/unit/pipelines/test_observations.py::test_a_pilot_of_which_only_some_was_scored_is_no_pair",
    ),
    Mutation(
        "the balance heuristic drops the reference's term",
        "workers/estimators/scored_round.py",
        "np.logaddexp.reduce(log_sizes[:, None] + q, axis=0)",
        "np.logaddexp.reduce((log_sizes[:, None] + q)[1:], axis=0)",
        TESTS + "test_importance.py::test_unbiased_by_enumeration",
    ),
    Mutation(
        "the candidate's samples enter an upper end",
        "workers/estimators/evidence.py",
        "upper = upper_end(own, alpha=half, threshold=threshold, adaptive=levels.adaptive)",
        "upper = upper_end(own, alpha=half, threshold=threshold, adaptive=levels.adaptive)\n"
        "    if scoring:\n"
        "        from workers.estimators.importance import pooled_success\n"
        "        upper = min(upper, 3.0 * (pooled_success(scoring).value or 1.0))",
        TESTS + "test_evidence.py::test_scoring_shows_in_and_never_out",
    ),
    Mutation(
        "candidate counts pass for reference counts",
        "workers/estimators/reference_counts.py",
        "class CandidateCounts(SideCounts):",
        "class CandidateCounts(ReferenceCounts):",
        "tests/architecture/test_asymmetry_rule.py::test_every_violation_is_refused",
    ),
    Mutation(
        "the evidence of checkpoints that share their draws is multiplied",
        "workers/estimators/scored_sources.py",
        "log_mean_exp(",
        "np.sum(",
        TESTS
        + "test_scored_sources.py"
        + "::test_the_mean_is_an_e_value_where_draws_are_shared_and_the_product_is_none",
    ),
    Mutation(
        "an arm's samples are weighed as if the own policy had drawn them",
        "workers/pipelines/score.py",
        'columns["own_logprob"] += [np.sum(row["logprobs"], dtype=np.float64) for row in block]',
        'columns["own_logprob"] += list(batch.logprob)',
        "tests/statistical/test_arm_proposals.py::test_both_densities_are_the_enumerated_ones",
    ),
    Mutation(
        "only arms that were drawn are sources",
        "workers/pipelines/proposals.py",
        "    return tuple(zip(*found, strict=True))",
        "    return tuple(tuple(one for one in each if one) for each in zip(*found, strict=True))",
        "tests/unit/pipelines/test_arm_proposals.py"
        + "::test_arms_are_sources_drawn_or_not_and_assisted_or_shorter_ones_are_none",
    ),
    Mutation(
        "a price is graded by its weights alone",
        "workers/estimators/price.py",
        "if max(below, above) <= PRICE_TOLERANCE:",
        "if max(below, above) >= 0.0:",
        TESTS + "test_price.py::test_modes_that_the_candidate_never_draws_leave_the_price_conditional",
    ),
    Mutation(
        "bets follow the pooled draws in their order of arrival",
        "workers/estimators/betting.py",
        "    return _Stakes.of(rounds, refused).log_wealth(log_mean)",
        "    x = np.exp(rounds[0].success_log_weights) if rounds else np.zeros(0)\n"
        "    draws = np.zeros(sum(part.draws for part in rounds))\n"
        "    draws[np.flatnonzero(rounds[0].is_correct) if rounds else []] = x\n"
        "    m, wealth, best = math.exp(log_mean), 0.0, 0.0\n"
        "    for i, value in enumerate(draws):\n"
        "        past = draws[max(0, i - 20) : i]\n"
        "        excess = past.mean() - m if past.size > 2 else 0.0\n"
        "        f = min(max(m * excess / (past.var() + excess**2), 0.0), 0.5) if excess else 0.0\n"
        "        wealth += math.log(1.0 - f + f * value / m)\n"
        "        best = max(best, wealth)\n"
        "    return best",
        TESTS + "test_betting.py::test_wealth_rejects_the_truth_at_most_alpha_where_the_pools_differ",
    ),
    Mutation(
        "the beta mixture is not truncated",
        "workers/estimators/counts.py",
        "    posterior = float(special.betaln(c + s, n - c + t)) + tail(c + s, n - c + t, threshold)\n"
        "    prior = float(special.betaln(s, t)) + tail(s, t, threshold)\n",
        "    posterior = float(special.betaln(c + s, n - c + t))\n"
        "    prior = float(special.betaln(s, t))\n"
        "    del tail\n",
        TESTS + "test_counts.py::test_a_rate_far_above_the_threshold_is_never_out",
    ),
    Mutation(
        "e-BH is replaced by nothing",
        "workers/estimators/regimes.py",
        "    return e_bh(np.array(least, np.float64), alpha)",
        "    return np.array(least, np.float64) >= -math.log(alpha)",
        TESTS + "test_regimes.py::TestSelection::test_least_evidence_over_the_policies_is_ranked",
    ),
)

EVERY: Final = (*MUTATIONS, *LEDGER_MUTATIONS, *GATEWAY_MUTATIONS)


def main(
    only: Annotated[
        list[str] | None, typer.Option(help="Part of a mutation's name; several allowed.")
    ] = None,
) -> None:
    """Apply each mutation to a copy and run its test; exit code 1 if one is not noticed.

    Examples:
        python -m benchmarks.mutations
        python -m benchmarks.mutations --only e-BH
    """
    console = Console()
    chosen = [m for m in EVERY if not only or any(part in m.name for part in only)]
    survivors = 0
    for mutation in chosen:
        with console.status(f"{mutation.name} ..."):
            verdict = judge(mutation)
        survivors += verdict != NOTICED
        colour = "green" if verdict == NOTICED else "red"
        console.print(
            f"[{colour}]{verdict}[/{colour}]  {mutation.name}\n      {mutation.test}", highlight=False
        )
    raise typer.Exit(1 if survivors or not chosen else 0)


NOTICED: Final = "noticed"


def judge(mutation: Mutation) -> str:
    """Whether the test is green on the code as it is and red on the mutated one, in words."""
    with _copy() as folder:
        if not _passes(mutation.test, folder):
            return "red before the mutation"
        file = folder / mutation.file
        text = file.read_text(encoding="utf-8")
        if text.count(mutation.old) != 1:
            return "the code to mutate is not there"
        file.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
        return "NOT noticed" if _passes(mutation.test, folder) else NOTICED


@contextmanager
def _copy() -> Iterator[Path]:
    skipped = shutil.ignore_patterns("__pycache__", "*.pyc")
    with tempfile.TemporaryDirectory(prefix="mutation-") as name:
        folder = Path(name)
        for package in COPIED:
            shutil.copytree(ROOT / package, folder / package, ignore=skipped)
        shutil.copy(ROOT / "pyproject.toml", folder)
        yield folder


def _passes(test: str, folder: Path) -> bool:
    """Run one test in a copy: `-m pytest` puts the copy before the installed packages."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]
    found = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if found.returncode not in (0, 1):
        raise RuntimeError(f"pytest could not run {test}:\n{found.stdout}{found.stderr}")
    return found.returncode == 0


if __name__ == "__main__":
    typer.run(main)

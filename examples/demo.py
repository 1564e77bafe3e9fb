"""Real analyses of the shipped models through the real service, with the exact truth beside them.

``make demo`` runs it; ``make demo-chaos`` runs it with the worker killed on the way.
"""

import argparse
import json
import math
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tiltscope import Tiltscope, progress
from tiltscope.broker import free_port
from tiltscope.embedded import EmbeddedService, Layout
from tiltscope.errors import TiltscopeError
from tiltscope.requests import read_prompts
from tiltscope.summary import summarise

EXAMPLES = Path(__file__).resolve().parent
HOME = EXAMPLES.parent / ".tiltscope" / "demo"
LOOK_SECONDS = 0.3
"""Between two looks: quick enough for a bar that moves and a worker that comes back."""


@dataclass(frozen=True)
class Case:
    """One comparison and what it must turn out to be."""

    candidate: str
    prompts: str
    story: str
    truth: str

    @property
    def request(self) -> dict[str, Any]:
        """The body of `POST /v1/analyses`."""
        return {
            "kind": "capability",
            "name": f"{self.candidate} against tiny-base",
            "reference": {"source": "model", "model": "tiny-base"},
            "candidate": {"source": "model", "model": self.candidate},
            "prompts": {"inline": read_prompts(EXAMPLES / "prompts" / f"{self.prompts}.jsonl")},
            "signal": {"kind": "exact"},
        }


@dataclass(frozen=True)
class ExactValues:
    """Chances of success by prompt id, from scoring every correct completion (`train/prices.py`)."""

    reference: dict[str, float]
    candidate: dict[str, float]

    @classmethod
    def of(cls, case: Case) -> "ExactValues":
        """Read what `train/prices.py` computed from the shipped weights."""
        prices = json.loads((EXAMPLES / "prices.json").read_text())
        return cls(prices["tiny-base"][case.prompts], prices[case.candidate][case.prompts])

    def means(self) -> tuple[float, float]:
        """Mean success of reference and candidate over the prompts."""
        return fmean(self.reference.values()), fmean(self.candidate.values())


CASES = (
    Case(
        "tiny-grpo",
        "basin_tail",
        "reinforcement learning on sums the base solves in 2 % or 45 % of its samples",
        "elicitation",
    ),
    Case("tiny-new", "new_rule", "fine-tuning on a rule the base has never seen", "creation"),
)
out = Console()


def main() -> None:
    """Start the service, run the cases, tell what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chaos", action="store_true", help="kill the worker mid-run")
    chaos = parser.parse_args().chaos
    shutil.rmtree(HOME, ignore_errors=True)
    layout = Layout(HOME, EXAMPLES / "models", port=free_port())
    try:
        with out.status("Starting gateway, broker, reconciler and a worker ..."):
            embedded = EmbeddedService(layout, say=out.print)
            embedded.start()
        try:
            with Tiltscope(layout.url) as service:
                right = run_chaos(embedded, service) if chaos else run(embedded, service)
        finally:
            embedded.stop()
    except TiltscopeError as error:
        out.print(f"demo: {error}", style="red", markup=False)
        sys.exit(error.exit_code)
    sys.exit(0 if right else 1)


def run(embedded: EmbeddedService, service: Tiltscope) -> bool:
    """Both cases, calmly; True if both verdicts are what the models were built to give."""
    ids = [service.analyses.submit(case.request).id for case in CASES]
    with progress.bar(out) as shown:
        tasks = [shown.add_task(f"{c.candidate:10}", total=None, detail="queued") for c in CASES]
        for analysis_id, task in zip(ids, tasks, strict=True):

            def follow(state: progress.State, task: Any = task) -> None:
                progress.show(shown, task, state)

            until_ended(embedded, service, analysis_id, follow)
    right = True
    for case, analysis_id in zip(CASES, ids, strict=True):
        analysis = service.analyses.get(analysis_id).model_dump(mode="json")
        result = service.analyses.result(analysis_id).model_dump(mode="json")
        rows = [row.model_dump(mode="json") for row in service.analyses.prompts(analysis_id)]
        out.print()
        out.print(f"[bold]tiny-base → {case.candidate}[/bold]: {case.story}")
        summarise(out, analysis, result)
        print_exact(result, rows, ExactValues.of(case))
        print_costs(result, case)
        right = right and result["verdict"]["label"] == case.truth
        save_report(service, case, analysis_id)
    return right


def print_exact(result: dict[str, Any], rows: list[dict[str, Any]], exact: ExactValues) -> None:
    """Intervals for these prompts, and the truth."""
    table = Table("mean over these prompts", "estimate", "95 % interval", "exact", "held", box=None)
    reference, candidate = exact.means()
    figures: list[tuple[str, dict[str, Any], float]] = [
        ("success of tiny-base", result["support"]["reference"]["success"], reference),
        ("success of the candidate", result["support"]["candidate"]["success"], candidate),
        ("gain", result["gain"]["total"], candidate - reference),
    ]
    for name, estimate, truth in figures:
        error = 1.96 * (estimate["sampling_std_error"] or 0.0)
        least = 0.0 if name.startswith("success") else -1.0
        low, high = max(least, estimate["value"] - error), min(1.0, estimate["value"] + error)
        held = "yes" if low <= truth <= high else "[red]no[/red]"
        interval = escape(f"[{low:.4f}, {high:.4f}]")
        table.add_row(name, f"{estimate['value']:.4f}", interval, f"{truth:.3g}", held)
    out.print(table)
    for side, truths in (("tiny-base", exact.reference), ("the candidate", exact.candidate)):
        key = "reference" if side == "tiny-base" else "candidate"
        held = sum(
            row[key]["success"]["ci_low"] <= truths[row["prompt_id"]] <= row[key]["success"]["ci_high"]
            for row in rows
        )
        out.print(f"95 % intervals of prompts that hold the exact value: {held} of {len(rows)} for {side}")


def print_costs(result: dict[str, Any], case: Case) -> None:
    """The literature's rule and the samples spent."""
    rule, drawn = result["support"]["literature_rule"], result["usage"]["samples"]
    created = sum(result["support"]["regimes"][name] for name in ("singular", "barrier", "unreached"))
    truth = 0 if case.truth == "elicitation" else len(case.request["prompts"]["inline"])
    out.print(
        f"created prompts: [bold]{created}[/bold] by us; {rule['created_claims']} by the rule "
        f'"unseen in K = {rule["budget"]} samples"; truth {truth}'
    )
    fixed = fixed_plan(result)
    out.print(f"samples drawn: {drawn:,}; the fixed plan of equal error control takes {fixed:,}")


def fixed_plan(result: dict[str, Any]) -> int:
    """Both sides of every prompt at the size that lets any of them be certified out of reach.

    With no success, n samples exclude a >= epsilon at level alpha/M once (1 - epsilon)^n <= alpha/M.
    """
    frame = result["frame"]
    epsilon = 1 - (1 - frame["decision"]["reach"]) ** (1 / frame["budget"]["k_probe"])
    n = math.ceil(math.log(frame["decision"]["alpha"] / frame["prompts"]) / math.log1p(-epsilon))
    return 2 * n * int(frame["prompts"])


def save_report(service: Tiltscope, case: Case, analysis_id: str) -> None:
    """Keep the HTML report."""
    target = HOME / "reports" / f"{case.candidate}.html"
    target.parent.mkdir(exist_ok=True)
    service.analyses.report(analysis_id, target)
    out.print(f"report: [bold]{target}[/bold]")


def run_chaos(embedded: EmbeddedService, service: Tiltscope) -> bool:
    """One case calmly, then with kill -9 of the engine and of the worker; True if the numbers agree."""
    case = CASES[0]
    calm = finished(embedded, service, case, "calm run")
    killed = finished(embedded, service, case, "with kill -9", Killer(embedded))
    parts = ("verdict", "gain", "support", "free_energy", "nulls")
    same = {part: calm[part] == killed[part] for part in parts}
    for part, equal in same.items():
        out.print(f"{part:12} {'the same, to the last digit' if equal else '[red]differs[/red]'}")
    out.print(f"verdict: [bold]{killed['verdict']['label']}[/bold]")
    return all(same.values())


def finished(
    embedded: EmbeddedService,
    service: Tiltscope,
    case: Case,
    title: str,
    interfere: Callable[[progress.State], None] = lambda _: None,
) -> dict[str, Any]:
    """Run one case to its result."""
    analysis_id = service.analyses.submit(case.request).id
    with progress.bar(out) as shown:
        task = shown.add_task(f"{title:12}", total=None, detail="queued")

        def follow(state: progress.State) -> None:
            progress.show(shown, task, state)
            interfere(state)

        until_ended(embedded, service, analysis_id, follow)
    return service.analyses.result(analysis_id).model_dump(mode="json")


def until_ended(
    embedded: EmbeddedService,
    service: Tiltscope,
    analysis_id: str,
    follow: Callable[[progress.State], None],
) -> None:
    """Look again and again, and restart what died: the launcher and the client share this thread."""
    while True:
        embedded.watch_once()
        analysis = service.analyses.get(analysis_id)
        state = progress.state_of(analysis)
        follow(state)
        if state.has_ended:
            progress.require_result(analysis)
            return
        time.sleep(LOOK_SECONDS)


class Killer:
    """Sends SIGKILL to the engine once sampling is under way, and later to the whole worker."""

    def __init__(self, embedded: EmbeddedService) -> None:
        self._embedded = embedded
        self._engine_killed = self._worker_killed = False

    def __call__(self, state: progress.State) -> None:
        fraction = state.completed / max(state.total, 1)
        worker = self._embedded.child("worker-1").pid
        if worker is None:
            return
        if not self._engine_killed and fraction > 0.05:
            self._engine_killed = self._kill_engine(worker)
        elif self._engine_killed and not self._worker_killed and fraction > 0.4:
            self._kill(worker, "the Celery worker")
            self._worker_killed = True

    def _kill_engine(self, worker: int) -> bool:
        import psutil

        for child in psutil.Process(worker).children(recursive=True):
            # The other host of the worker plans and judges; sandboxes inherit what their host does.
            is_host = "workers.host.main" in " ".join(child.cmdline())
            if is_host and "sample" in child.environ()["TILTSCOPE_WORKS"]:
                self._kill(child.pid, "the engine")
                return True
        return False

    def _kill(self, pid: int, what: str) -> None:
        os.kill(pid, signal.SIGKILL)
        out.print(f"[red]kill -9[/red] {what} (process {pid})")


if __name__ == "__main__":
    main()

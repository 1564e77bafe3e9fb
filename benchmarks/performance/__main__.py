"""The performance benchmarks: ``make bench``, or ``python -m benchmarks.performance --help``."""

import os
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.performance.catalogue import NAMES, load
from benchmarks.performance.machine import describe
from benchmarks.performance.outcome import Outcome
from benchmarks.performance.revision import revision
from benchmarks.performance.session import SEED, CheckFailed, Session
from benchmarks.performance.store import Store

app = typer.Typer(add_completion=False, no_args_is_help=True)
console = Console(soft_wrap=True)

WORK = Path(".performance")
PAGE = Path("docs/performance.md")
Work = Annotated[Path, typer.Option(help="Where outcomes are kept until they are published.")]


@app.command()
def run(
    names: Annotated[
        list[str] | None, typer.Argument(help="Benchmarks; all that are missing if none.")
    ] = None,
    quick: Annotated[bool, typer.Option(help="Few seeds and blocks: to see that it runs, no claim.")] = False,
    again: Annotated[bool, typer.Option(help="Run those too that have an outcome.")] = False,
    work: Work = WORK,
) -> None:
    """Measure, and keep an outcome a benchmark; those named are always run.

    Examples:
        python -m benchmarks.performance run
        python -m benchmarks.performance run tail_probability --quick
    """
    unknown = sorted(set(names or ()) - set(NAMES))
    if unknown:
        raise typer.BadParameter(f"no benchmark {unknown[0]!r}; there are {', '.join(NAMES)}")
    # As many threads as a worker's engine has, before torch is imported: comparators run in this process.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    store = _store(work, quick)
    failed = []
    for name in names or NAMES:
        if not names and load(name).needs_gpu and "gpu" not in describe():
            console.print(f"{name}: left out, there is no GPU; what was published stays")
        elif names or again or store.read(name) is None:
            outcome = _measure(name, quick)
            store.save(name, outcome)
            failed += [] if outcome.valid else [name]
    if failed:
        console.print(f"[red]answers differ in {', '.join(failed)}: no figure of them counts[/red]")
        raise typer.Exit(1)


@app.command()
def report(
    quick: Annotated[bool, typer.Option(help="Of a quick run, into the folder of its outcomes.")] = False,
    work: Work = WORK,
    page: Annotated[Path, typer.Option(help="The page; figures and JSON go into a folder beside it.")] = PAGE,
) -> None:
    """Write the page, its figures and the JSON; what was not run anew keeps its published outcome."""
    from benchmarks.performance.publish import publish  # needs matplotlib, which running does not

    target = _store(work, quick).folder / "performance.md" if quick else page
    for line in publish(_store(work, quick), target):
        console.print(line)
    console.print(f"page in {target}")


def _store(work: Path, quick: bool) -> Store:
    return Store(work / ("quick" if quick else "full"))


def _measure(name: str, quick: bool) -> Outcome:
    benchmark, started, commit = load(name), time.monotonic(), revision(Path(__file__).parent)
    console.print(f"[bold]{name}[/bold]: {benchmark.title}")
    with tempfile.TemporaryDirectory(prefix="tiltscope-bench-") as scratch:
        session = Session(name, quick, Path(scratch), report=lambda line: console.print(f"  {line}"))
        try:
            found = benchmark.run(session)
        except CheckFailed as error:
            console.print(f"  [red]{error}[/red]")
            found = Outcome(figures=())
    about = {
        "commit": commit,
        "date": datetime.now(UTC).date().isoformat(),
        "seed": SEED,
        "size": "quick" if quick else "full",
        "seconds": round(time.monotonic() - started, 1),
        "machine": describe(),
    }
    outcome = replace(found, checks=tuple(session.checks), blocks=tuple(session.blocks), about=about)
    for one in outcome.figures:
        mark = {True: "met", False: "MISSED", None: ""}[one.met]
        console.print(f"  {one.name}: {one.value:.4g} {one.unit} [{one.low:.4g}, {one.high:.4g}] {mark}")
    return outcome


if __name__ == "__main__":
    app()

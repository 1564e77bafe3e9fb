"""The calibration study: ``make calibration``, or ``python -m benchmarks.calibration --help``."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks.calibration.catalogue import CATALOGUE
from benchmarks.calibration.experiment import SEED, Experiment, Size
from benchmarks.calibration.store import Store

app = typer.Typer(add_completion=False, no_args_is_help=True)
console = Console()

WORK = Path(".calibration")
PAGE = Path("docs/calibration")


@app.command()
def run(
    size: Annotated[
        str, typer.Option(help="quick (a minute or two), full (45) or large (three hours).")
    ] = "quick",
    only: Annotated[list[str] | None, typer.Option(help="An experiment; may be given several times.")] = None,
    seconds: Annotated[float, typer.Option(help="Stop after this long; run again to go on.")] = float("inf"),
    work: Annotated[Path, typer.Option(help="Where replicates are kept.")] = WORK,
) -> None:
    """Run replicates that are still missing.

    Examples:
        python -m benchmarks.calibration run --size full --seconds 540
        python -m benchmarks.calibration run --only prompts --only nulls
    """
    names = only or list(CATALOGUE)
    unknown = sorted(set(names) - set(CATALOGUE))
    if unknown:
        raise typer.BadParameter(f"no experiment {unknown[0]!r}; there are {', '.join(CATALOGUE)}")
    console.print(f"seed {SEED}, replicates in {work}/{SEED}")
    store, chosen = Store(work), _size(size)
    todo = [(e, chunk) for e in map(CATALOGUE.__getitem__, names) for chunk in store.missing(e, chosen)]
    _run(store, todo, time.monotonic() + seconds)
    left = sum(len(store.missing(CATALOGUE[name], chosen)) for name in names)
    console.print("complete" if not left else f"{left} chunks left; run the same command to go on")


@app.command()
def report(
    size: Annotated[str, typer.Option(help="Of the study to read.")] = "quick",
    work: Annotated[Path, typer.Option(help="Where replicates are kept.")] = WORK,
    out: Annotated[Path, typer.Option(help="Where tables and figures go.")] = PAGE,
) -> None:
    """Write tables and figures, and say what failed; exit code 1 if anything did."""
    from benchmarks.calibration.publish import publish  # needs matplotlib, which running does not

    failures = publish(Store(work), _size(size), out)
    for line in failures:
        console.print(f"[red]{line}[/red]")
    console.print(f"tables and figures in {out}")
    raise typer.Exit(1 if failures else 0)


def _size(name: str) -> Size:
    if name == "quick":
        return "quick"
    if name == "full":
        return "full"
    if name == "large":
        return "large"
    raise typer.BadParameter("the size is quick, full or large")


def _run(store: Store, todo: list[tuple[Experiment, tuple[str, int, int]]], stop: float) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("replicates", total=sum(count for _, (_, _, count) in todo))
        for experiment, (cell, first, count) in todo:
            if time.monotonic() > stop:
                return
            progress.update(task, description=f"{experiment.name}: {cell}")
            store.save(experiment, cell, first, experiment.run(cell, first, count))
            progress.advance(task, count)


if __name__ == "__main__":
    app()

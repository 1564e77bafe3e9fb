"""Tables and figures of a study, and what failed."""

import csv
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.calibration.catalogue import CATALOGUE
from benchmarks.calibration.experiment import SEED, Experiment, Size
from benchmarks.calibration.figures import draw_coverage, draw_false_creation, draw_power
from benchmarks.calibration.store import Store
from benchmarks.calibration.summary import (
    ALL,
    ALPHA,
    Coverage,
    FalseCreation,
    Power,
    coverages,
    false_creation,
    power,
    shares,
)

INTERVALS = ("prompts", "gains", "curves", "means")
POWERS = ("creation", "elicitation")
ENOUGH = 100
"""Reports below which a rate says nothing about a rule."""
Table = list[list[str]]


def publish(store: Store, size: Size, out: Path) -> list[str]:
    """Write every table as CSV and all of them as `results.md`; figures beside them.

    An experiment without replicates here keeps its table and figure of before, and the page says so.

    Returns:
        One line for each thing that failed.
    """
    out.mkdir(parents=True, exist_ok=True)
    failures: list[str] = []
    page = [
        "# Results of the calibration study",
        "",
        f"Seed {SEED}, size `{size}`. Written by `make calibration`.",
    ]
    for name in INTERVALS:
        if rows := store.rows(CATALOGUE[name], size):
            found = coverages(rows, _optima(CATALOGUE[name]))
            failures += failed_coverage(found)
            draw_coverage(found, out / f"{name}.png")
            _add(page, out, name, _coverage_table(found), figure=True)
        else:
            _keep(page, out, name, figure=True)
    if rows := store.rows(CATALOGUE["nulls"], size):
        families = false_creation(rows)
        failures += _failed_nulls(families)
        draw_false_creation(families, out / "nulls.png")
        _add(page, out, "nulls", _null_table(families), figure=True)
    else:
        _keep(page, out, "nulls", figure=True)
    for name in POWERS:
        if rows := store.rows(CATALOGUE[name], size):
            cells = power(rows)
            draw_power(cells, name, out / f"{name}.png")
            _add(page, out, name, _power_table(cells), figure=True)
        else:
            _keep(page, out, name, figure=True)
    if rows := store.rows(CATALOGUE["scoring"], size):
        _add(page, out, "scoring", _share_table(shares(rows)), figure=False)
    else:
        _keep(page, out, "scoring", figure=False)
    (out / "results.md").write_text("\n".join(page) + "\n", encoding="utf-8")
    return failures


def _optima(experiment: Experiment) -> dict[str, Mapping[str, float]]:
    best = experiment.optima
    return {} if best is None else {cell: best(settings) for cell, settings in experiment.cells.items()}


def failed_coverage(found: Sequence[Coverage]) -> list[str]:
    """Types that fall short in all cells together or in one: wide cells must not hide a narrow one."""
    cells = Counter(one.interval for one in found if one.cell != ALL)
    return [
        f"{one.interval}, {one.cell}: {one.covered:.2%} of {one.n} hold, nominal {one.nominal:.1%}, "
        f"p = {one.p_value:.1g}"
        for one in found
        if one.fails(1 if one.cell == ALL else cells[one.interval])
    ]


def _failed_nulls(families: Sequence[FalseCreation]) -> list[str]:
    lines = [
        f"{one.family}: {one.rate:.2%} of {one.reports} reports claim creation, bound {one.bound:.2%}"
        for one in families
        if one.failed
    ]
    tilts = [one for one in families if one.family.startswith("tilt") and "verifier" not in one.family]
    lines += [
        f"{one.family}: 'unseen in K samples' should exceed {ALPHA:.0%} and shows {one.unseen_rule:.1%}"
        for one in tilts
        if one.unseen_rule <= ALPHA and one.reports >= ENOUGH
    ]
    return lines


def _coverage_table(found: Sequence[Coverage]) -> Table:
    names = ["interval", "cell", "replicates", "undefined", "coverage", "p (below nominal)"]
    lines = [
        [
            one.interval,
            one.cell,
            str(one.n),
            str(one.undefined),
            f"{one.covered:.4f}",
            f"{one.p_value:.2g}",
            _number(one.width),
            _number(one.ratio),
        ]
        for one in found
    ]
    return [[*names, "median width", "× optimum"], *lines]


def _null_table(families: Sequence[FalseCreation]) -> Table:
    names = ["family", "reports", "false creation", "bound", "unseen in K", "its prompts a report"]
    lines = [
        [
            one.family,
            str(one.reports),
            f"{one.rate:.4f}",
            f"{one.bound:.4f}",
            f"{one.unseen_rule:.3f}",
            f"{one.unseen_prompts:.2f}",
            f"{one.unconfirmed:.2f}",
            f"{one.samples:.0f}",
        ]
        for one in families
    ]
    return [[*names, "unconfirmed a report", "samples a prompt and side"], *lines]


def _power_table(cells: Sequence[Power]) -> Table:
    names = list(cells[0].labels)
    table = [["cell", "reports", *names, "prompts confirmed created", "samples a prompt and side"]]
    for one in cells:
        labels = [f"{one.labels[name]:.2f}" for name in names]
        table.append([one.cell, str(one.reports), *labels, f"{one.created:.2f}", f"{one.samples:.0f}"])
    return table


def _share_table(found: dict[str, dict[str, float]]) -> Table:
    names = list(next(iter(found.values())))
    table = [["cell", *names]]
    for cell, numbers in found.items():
        table.append([cell, *(_number(numbers[name]) for name in names)])
    return table


def _number(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.4g}"


def _add(page: list[str], out: Path, name: str, table: Table, *, figure: bool) -> None:
    with (out / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(table)
    _show(page, name, table, figure=figure)


def _keep(page: list[str], out: Path, name: str, *, figure: bool) -> None:
    """The table of an earlier study, if there is one."""
    if not (out / f"{name}.csv").exists():
        return
    with (out / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        table = list(csv.reader(file))
    _show(page, name, table, figure=figure)
    page += ["", "Of an earlier study: its replicates were not repeated with the rest."]


def _show(page: list[str], name: str, table: Table, *, figure: bool) -> None:
    page += ["", f"## {CATALOGUE[name].title}", ""]
    if figure:
        page += [f"![{CATALOGUE[name].title}]({name}.png)", ""]
    page += ["| " + " | ".join(table[0]) + " |", "|" + "---|" * len(table[0])]
    page += ["| " + " | ".join(line) + " |" for line in table[1:]]

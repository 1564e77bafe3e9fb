"""Figures of the study (matplotlib, extra ``bench``)."""

import re
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from scipy import stats

from benchmarks.calibration.summary import ALL, ALPHA, LEVEL, Coverage, FalseCreation, Power

mpl.use("Agg")
INK, MUTED, BAD = "#1f3a5f", "#9aa5b1", "#b3261e"
OURS, THEIRS = "#1f6f8b", "#d98e04"


def draw_coverage(found: Sequence[Coverage], path: Path) -> None:
    """Coverage of each interval type: all cells as a dot with its band of chance, single cells as ticks."""
    whole = [one for one in found if one.cell == ALL and one.n]
    figure, axes = plt.subplots(figsize=(7.5, 1.2 + 0.3 * len(whole)))
    for row, one in enumerate(reversed(whole)):
        low, high = stats.binom.interval(1 - 2 * LEVEL, one.n, one.nominal)
        axes.plot(
            [low / one.n, high / one.n], [row, row], color=MUTED, lw=7, alpha=0.5, solid_capstyle="butt"
        )
        cells = [other.covered for other in found if other.interval == one.interval and other.cell != ALL]
        axes.plot(cells, [row] * len(cells), "|", color=MUTED, ms=9)
        axes.plot(one.covered, row, "o", color=BAD if one.fails() else INK, ms=5)
    axes.axvline(1 - ALPHA, color=INK, lw=0.8, ls="--")
    axes.set_yticks(range(len(whole)), [one.interval for one in reversed(whole)])
    axes.set_xlim(min(0.9, *(one.covered - 0.01 for one in whole)), 1.003)
    axes.set_xlabel("coverage (grey: nominal within chance; ticks: single cells)")
    _save(figure, path)


def draw_false_creation(families: Sequence[FalseCreation], path: Path) -> None:
    """Reports with a false created prompt, ours and by the rule "unseen in K samples"."""
    figure, axes = plt.subplots(figsize=(7.5, 1.2 + 0.45 * len(families)))
    for row, one in enumerate(reversed(families)):
        axes.barh(row + 0.19, one.rate, height=0.34, color=BAD if one.failed else OURS)
        axes.barh(row - 0.19, one.unseen_rule, height=0.34, color=THEIRS)
        axes.text(one.rate + 0.01, row + 0.19, f"{one.rate:.1%}", va="center", fontsize=8)
        axes.text(
            min(one.unseen_rule, 0.93) + 0.01, row - 0.19, f"{one.unseen_rule:.0%}", va="center", fontsize=8
        )
    axes.axvline(ALPHA, color=INK, lw=0.8, ls="--")
    axes.set_yticks(range(len(families)), [one.family for one in reversed(families)])
    axes.set_xlim(0, 1.06)
    handles = [Rectangle((0, 0), 1, 1, color=color) for color in (OURS, THEIRS)]
    axes.legend(
        handles,
        ["confirmed created (ours)", "unseen in K samples"],
        fontsize=8,
        loc="lower right",
        bbox_to_anchor=(1, 1),
        ncol=2,
    )
    axes.set_xlabel("share of reports with a false claim of creation; dashed: α")
    _save(figure, path)


def draw_power(cells: Sequence[Power], label: str, path: Path) -> None:
    """Share of reports with a verdict against the price of success, a line for each allowance of samples."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for one in cells:
        match = re.fullmatch(r"a = (\S+) ε, (.*)", one.cell)
        if match and "verifier" not in one.cell:
            lines.setdefault(match[2], []).append((float(match[1]), one.labels[label]))
    figure, axes = plt.subplots(figsize=(7.5, 4))
    colours = plt.get_cmap("viridis")
    for number, (name, points) in enumerate(lines.items()):
        xs, ys = zip(*sorted(points), strict=True)
        style = "--" if "counts" in name else "-"
        axes.plot(xs, ys, style, marker="o", ms=4, color=colours(number / max(len(lines), 2)), label=name)
    axes.set_xscale("log")
    ticks = sorted({x for points in lines.values() for x, _ in points})
    axes.set_xticks(ticks, [f"{x:g}" for x in ticks])
    axes.minorticks_off()
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel("a, the reference's chance of success, in units of ε(K_probe)")
    axes.set_ylabel(f"share of reports: {label}")
    axes.legend(fontsize=8)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    # No date and no version in the file: the same replicates give the same bytes.
    figure.savefig(path, dpi=110, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)

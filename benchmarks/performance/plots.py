"""Figures of the page (matplotlib, extra ``bench``)."""

import re
from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Canvas

from benchmarks.performance.outcome import Curve, Figure, Outcome

mpl.use("Agg")
MOST_MARKS = 8
"""Of an axis that names its points, rather than powers of ten."""
INK, MUTED, BAD = "#1f3a5f", "#9aa5b1", "#b3261e"


def draw_targets(outcomes: Mapping[str, Outcome], path: Path) -> None:
    """Every figure with a target, as a multiple of it: right of the line is better than aimed at."""
    rows = [
        (f"{name}: {one.name}", one)
        for name, outcome in outcomes.items()
        for one in outcome.figures
        if one.target is not None and _positive(one)
    ]
    if not rows:
        return
    canvas, axes = plt.subplots(figsize=(9, 1.2 + 0.28 * len(rows)))
    for row, (_, one) in enumerate(reversed(rows)):
        low, middle, high = sorted(_against_target(value, one) for value in (one.low, one.value, one.high))
        axes.plot([low, high], [row, row], color=MUTED, lw=5, alpha=0.5, solid_capstyle="butt")
        axes.plot(middle, row, "o", ms=5, color=INK if one.met else BAD)
    axes.axvline(1, color=INK, lw=0.8, ls="--")
    axes.set_xscale("log")
    axes.set_yticks(range(len(rows)), [label for label, _ in reversed(rows)], fontsize=7)
    axes.set_xlabel("measured over aimed at (for bounds from above: aimed at over measured); grey: range")
    _save(canvas, path)


def draw_curve(curve: Curve, path: Path) -> None:
    """The lines of one plot, both axes logarithmic; heights within a decade stand on zero instead."""
    canvas, axes = plt.subplots(figsize=(7.5, 4))
    colours = plt.get_cmap("viridis")
    for number, (name, points) in enumerate(curve.lines.items()):
        xs, ys = zip(*sorted(points), strict=True)
        axes.plot(xs, ys, marker="o", ms=4, color=colours(number / max(len(curve.lines), 2)), label=name)
    points = [point for line in curve.lines.values() for point in line]
    marks, heights = sorted({x for x, _ in points}), [y for _, y in points]
    axes.set_xscale("log")
    if len(marks) <= MOST_MARKS:
        axes.set_xticks(marks, [f"{mark:,g}" for mark in marks])
        axes.minorticks_off()
    if max(heights) < 10 * min(heights):
        axes.set_ylim(0, 1.1 * max(heights))
    else:
        axes.set_yscale("log")
    axes.set_xlabel(curve.x)
    axes.set_ylabel(curve.y)
    axes.legend(fontsize=8)
    _save(canvas, path)


def file_name(benchmark: str, curve: Curve) -> str:
    """Name of a curve's file."""
    return f"{benchmark}-{re.sub(r'[^a-z0-9]+', '-', curve.title.lower()).strip('-')[:60]}.png"


def _positive(one: Figure) -> bool:
    return one.target is not None and min(one.low, one.value, one.high, one.target.value) > 0


def _against_target(value: float, one: Figure) -> float:
    if one.target is None:
        raise ValueError("no target")
    return one.target.value / value if one.target.at_most else value / one.target.value


def _save(canvas: Canvas, path: Path) -> None:
    for axes in canvas.axes:
        axes.spines[["top", "right"]].set_visible(False)
    canvas.tight_layout()
    # No date and no version in the file: the same outcomes give the same bytes.
    canvas.savefig(path, dpi=110, bbox_inches="tight", metadata={"Software": None})
    plt.close(canvas)

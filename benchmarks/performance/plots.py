"""Figures of the page (matplotlib, extra ``bench``)."""

import re
from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Canvas

from benchmarks.performance.outcome import Curve, Figure, Outcome, number

mpl.use("Agg")
MOST_MARKS = 8
"""Of an axis that names its points, rather than powers of ten."""
LEAST_SHOWN, MOST_SHOWN = 0.03, 1000.0
"""Times better than aimed at: what is beyond stands at the edge, its number beside it."""
INK, MUTED, BAD = "#1f3a5f", "#9aa5b1", "#b3261e"


def draw_targets(outcomes: Mapping[str, Outcome], path: Path) -> None:
    """Every figure with a target, as a multiple of it: right of the line is better than aimed at."""
    rows = [
        (name, one)
        for name, outcome in outcomes.items()
        for one in outcome.figures
        if one.target is not None and _positive(one)
    ]
    if not rows:
        return
    rows.reverse()
    canvas, axes = plt.subplots(figsize=(10, 1.2 + 0.22 * len(rows)))
    bands = {name: place for place, name in enumerate(dict.fromkeys(name for name, _ in rows))}
    for row, (name, one) in enumerate(rows):
        if bands[name] % 2:
            axes.axhspan(row - 0.5, row + 0.5, color=MUTED, alpha=0.12, lw=0)
        low, middle, high = (
            _shown(x) for x in sorted(_against_target(x, one) for x in (one.low, one.value, one.high))
        )
        colour = INK if one.met else BAD
        axes.plot([low, high], [row, row], color=MUTED, lw=4, alpha=0.6, solid_capstyle="butt")
        axes.plot(middle, row, ">" if middle >= MOST_SHOWN else "o", ms=5, color=colour)
        said = f"{number(one.value)} {one.unit}   aimed at {one.target}"
        axes.text(
            1.01, row, said, transform=axes.get_yaxis_transform(), va="center", fontsize=7, color=colour
        )
    axes.axvline(1, color=INK, lw=0.8, ls="--")
    axes.set_xscale("log")
    axes.set_xlim(LEAST_SHOWN, MOST_SHOWN * 1.3)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_yticks(range(len(rows)), [f"{name}: {one.name}" for name, one in rows], fontsize=7)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("times better than aimed at; grey: range", loc="left")
    _save(canvas, path)


def draw_curve(curve: Curve, path: Path) -> None:
    """The lines of one plot, both axes logarithmic; heights within a decade stand on zero instead."""
    canvas, axes = plt.subplots(figsize=(7.5, 4))
    colours = plt.get_cmap("viridis")
    for place, (name, points) in enumerate(curve.lines.items()):
        xs, ys = zip(*sorted(points), strict=True)
        axes.plot(xs, ys, marker="o", ms=4, color=colours(place / max(len(curve.lines), 2)), label=name)
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


def _shown(times: float) -> float:
    return min(max(times, LEAST_SHOWN), MOST_SHOWN)


def _save(canvas: Canvas, path: Path) -> None:
    for axes in canvas.axes:
        axes.spines[["top", "right"]].set_visible(False)
    canvas.tight_layout()
    # No date and no version in the file: the same outcomes give the same bytes.
    canvas.savefig(path, dpi=110, bbox_inches="tight", metadata={"Software": None})
    plt.close(canvas)

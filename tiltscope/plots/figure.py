"""A result as one figure."""

import textwrap
from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, Any

from tiltscope.plots import panels
from tiltscope.tables import wanted

if TYPE_CHECKING:
    from tiltscope.documents import ResultDocument

WIDTH_INCHES, ROW_INCHES = 11.0, 3.4
TITLE_CHARACTERS = 110


def result_figure(result: "ResultDocument") -> Any:
    """A matplotlib Figure with a panel for each part the result has.

    Raises:
        SetupError: matplotlib is not installed.
    """
    draws: list[Callable[[Any], None]] = []
    if result.gain is not None:
        gain = result.gain
        draws.append(lambda axes: panels.gain_split(axes, gain))
    draws.append(lambda axes: panels.pass_at_k(axes, result.support, result.frame))
    if result.free_energy is not None:
        terms = result.free_energy
        draws.append(lambda axes: panels.decomposition(axes, terms))
    if result.support.regimes is not None:
        counts = result.support.regimes
        draws.append(lambda axes: panels.regimes(axes, counts))
    rows = (len(draws) + 1) // 2
    figure = new_figure(rows)
    for place, draw in enumerate(draws):
        axes = figure.add_subplot(rows, min(len(draws), 2), place + 1)
        axes.spines[["top", "right"]].set_visible(False)
        draw(axes)
    figure.suptitle(_title(result), x=0.01, ha="left", fontsize=11)
    return figure


def new_figure(rows: int) -> Any:
    """An empty figure that a notebook shows and that belongs to no global state.

    Raises:
        SetupError: matplotlib is not installed.
    """
    figures: Any = wanted("matplotlib.figure", "plot")
    shown = type("Figure", (figures.Figure,), {"_repr_png_": _png})
    return shown(figsize=(WIDTH_INCHES, 0.9 + ROW_INCHES * rows), layout="constrained")


def _png(figure: Any) -> bytes:
    """What a notebook shows of a figure that pyplot does not know."""
    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=90)
    return stream.getvalue()


def _title(result: "ResultDocument") -> str:
    if result.verdict is None:
        return f"{result.kind}  {result.analysis_id}"
    sentence = textwrap.fill(result.verdict.sentence, TITLE_CHARACTERS)
    return f"{result.verdict.label.upper()}\n{sentence}"

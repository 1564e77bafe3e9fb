"""A result as one figure."""

import textwrap
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import TYPE_CHECKING, Any

from tiltscope.plots import panels, trajectory
from tiltscope.tables import wanted

if TYPE_CHECKING:
    from tiltscope.documents import ResultDocument

Draw = Callable[[Any], None]
WIDTH_INCHES, ROW_INCHES = 11.0, 3.4
TITLE_CHARACTERS = 110


def result_figure(result: "ResultDocument") -> Any:
    """A matplotlib Figure with a panel for each part the result has.

    Raises:
        SetupError: matplotlib is not installed.
    """
    draws = [*_over_training(result), *_of_the_whole(result)]
    rows = (len(draws) + 1) // 2
    figure = new_figure(rows)
    for place, draw in enumerate(draws):
        axes = figure.add_subplot(rows, min(len(draws), 2), place + 1)
        axes.spines[["top", "right"]].set_visible(False)
        draw(axes)
    figure.suptitle(_title(result), x=0.01, ha="left", fontsize=11)
    return figure


def _over_training(result: "ResultDocument") -> Iterator[Draw]:
    # A service of a later version may fill a checkpoint in other ways: what is drawn is looked up by name.
    checkpoints = result.model_dump(mode="json", warnings=False).get("checkpoints")
    if checkpoints:
        yield lambda axes: trajectory.gain_lines(axes, checkpoints)
        if any(checkpoint.get("free_energy") for checkpoint in checkpoints):
            yield lambda axes: trajectory.decomposition_lines(axes, checkpoints)


def _of_the_whole(result: "ResultDocument") -> Iterator[Draw]:
    gain, support, terms = result.gain, result.support, result.free_energy
    if gain is not None:
        yield lambda axes: panels.gain_split(axes, gain)
    if support is not None:
        yield lambda axes: panels.pass_at_k(axes, support, result.frame)
    if terms is not None:
        yield lambda axes: panels.decomposition(axes, terms)
    counts = getattr(support, "regimes", None)
    if counts is not None:
        yield lambda axes: panels.regimes(axes, counts)


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

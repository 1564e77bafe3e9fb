"""The result of an analysis, with what one does with it."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from tiltscope import tables
from tiltscope.document import EstimateDocument
from tiltscope.documents import ResultDocument

LIST_KEYS = (
    "k",
    "tau",
    "inverse_temperature",
    "position",
    "k_probe",
    "candidate",
    "null",
    "check",
    "code",
    "name",
)
"""Fields that name an entry of a list, so that a path says `pass_at_k[k=8]` and not `pass_at_k[3]`."""

_ESTIMATE_KEYS = {"value", "ci_low", "ci_high", "n", "unit", "status", "reason"}


class Result(ResultDocument):
    """Everything one analysis found; `Estimate`s print with their intervals."""

    def estimates(self) -> dict[str, EstimateDocument]:
        """Every estimate by its path, such as `support.candidate.pass_at_k[k=8].estimate`."""
        return dict(estimates_below(self))

    def to_pandas(self) -> Any:
        """A pandas DataFrame of the estimates by path; `analyses.prompts(id)` has the rows by prompt.

        Raises:
            SetupError: pandas is not installed.
        """
        return tables.to_pandas(self.rows()).set_index("path")

    def to_polars(self) -> Any:
        """A polars DataFrame of the estimates; `analyses.prompts(id)` has the rows by prompt.

        Raises:
            SetupError: polars is not installed.
        """
        return tables.to_polars(self.rows())

    def rows(self) -> list[dict[str, Any]]:
        """One dictionary an estimate: its path and its fields."""
        names = EstimateDocument.model_fields
        return [
            {"path": path, **{name: getattr(estimate, name) for name in names}}
            for path, estimate in self.estimates().items()
        ]

    def plot(self) -> Any:
        """A matplotlib Figure: the verdict and the gain split, pass@k with bands, the decomposition.

        Raises:
            SetupError: matplotlib is not installed.
        """
        from tiltscope.plots.figure import result_figure

        return result_figure(self)


def estimates_below(node: Any, path: str = "") -> Iterator[tuple[str, EstimateDocument]]:
    """Every estimate of a document, or of plain JSON, with its path."""
    if isinstance(node, EstimateDocument):
        yield path, node
    elif isinstance(node, dict) and node.keys() >= _ESTIMATE_KEYS:  # of a field that a later version added
        yield path, EstimateDocument.model_validate(node)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from estimates_below(value, f"{path}[{_entry_name(value, index)}]")
    elif isinstance(node, BaseModel | dict):
        for name, value in dict(node).items():
            yield from estimates_below(value, f"{path}.{name}" if path else name)


def _entry_name(entry: Any, index: int) -> str:
    fields = dict(entry) if isinstance(entry, BaseModel | dict) else {}
    for key in LIST_KEYS:
        value = fields.get(key)
        if isinstance(value, int | float | str):
            return f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}"
    return str(index)

"""Documents as data frames of pandas or polars."""

from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from typing import Any

from pydantic import BaseModel

from tiltscope.errors import SetupError


def flat(documents: Iterable[BaseModel]) -> list[dict[str, Any]]:
    """One dictionary a document: objects become `outer.inner` columns, lists stay as they are."""
    return [dict(columns(document.model_dump(mode="json"))) for document in documents]


def columns(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested objects by their path."""
    for name, value in node.items():
        path = f"{prefix}.{name}" if prefix else name
        if isinstance(value, dict) and value:
            yield from columns(value, path)
        else:
            yield path, value


def to_pandas(rows: list[dict[str, Any]]) -> Any:
    """A pandas DataFrame.

    Raises:
        SetupError: pandas is not installed.
    """
    return wanted("pandas", "pandas").DataFrame.from_records(rows)


def to_polars(rows: list[dict[str, Any]]) -> Any:
    """A polars DataFrame; a column's type is that of all its values, not of the first few.

    Raises:
        SetupError: polars is not installed.
    """
    return wanted("polars", "polars").DataFrame(rows, infer_schema_length=None, strict=False)


def wanted(module: str, extra: str) -> Any:
    """An optional library.

    Raises:
        SetupError: it is not installed; the message says how to get it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
            raise
        raise SetupError(
            f"this needs {module.partition('.')[0]}, which is not installed: pip install 'tiltscope[{extra}]'"
        ) from error

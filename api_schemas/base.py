"""What every document on the wire has in common."""

import math
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict


class Document(BaseModel):
    """A frozen document that refuses unknown fields, NaN and infinity."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        protected_namespaces=(),
        json_schema_serialization_defaults_required=True,
    )


class SparseDocument(Document):
    """A document that is sent without what was not found: its optional fields may be absent."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)


def _json_only(value: dict[str, Any]) -> dict[str, Any]:
    """Refuse what strict JSON cannot carry, at any depth."""
    stack: list[tuple[Any, int]] = [(value, 0)]
    while stack:
        node, depth = stack.pop()
        if depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(node, dict):
            stack.extend((child, depth + 1) for child in node.values())
        elif isinstance(node, list):
            stack.extend((child, depth + 1) for child in node)
        elif isinstance(node, float) and not math.isfinite(node):
            raise ValueError("NaN and Infinity are not JSON")
    return value


MAX_DEPTH = 16
"""Levels of free-form metadata: deeper documents only serve to exhaust a parser's stack."""

JsonObject = Annotated[dict[str, Any], AfterValidator(_json_only)]
"""A free-form JSON object that the caller keeps with a document and the service never reads."""

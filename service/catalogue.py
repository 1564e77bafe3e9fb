"""The verifiers on offer."""

from typing import Final

from pydantic import BaseModel

from api_schemas.signals import ExactSignal, NumericSignal, RegexSignal, SignalDescription, SignalList

VERSIONS: Final = {"exact": "exact/1", "numeric": "numeric/1", "regex": "regex/1"}
"""What the workers' verifiers call themselves; a test holds the two together."""

_SCHEMAS: Final[dict[str, type[BaseModel]]] = {
    "exact": ExactSignal,
    "numeric": NumericSignal,
    "regex": RegexSignal,
}


def list_signals() -> SignalList:
    """Every verifier and the JSON Schema of its settings."""
    data = [_describe(kind, schema) for kind, schema in _SCHEMAS.items()]
    return SignalList(object="list", data=data, has_more=False, next_cursor=None)


def _describe(kind: str, schema: type[BaseModel]) -> SignalDescription:
    return SignalDescription(
        object="signal",
        kind=kind,
        version=VERSIONS[kind],
        description=(schema.__doc__ or "").strip(),
        needs_answer=kind != "regex",
        settings_schema=schema.model_json_schema(),
    )

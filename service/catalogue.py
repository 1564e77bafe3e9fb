"""The signals, and which of them this deployment offers."""

from typing import Final

from pydantic import BaseModel

from api_schemas.signals import (
    ChoiceSignal,
    ContainsSignal,
    DemonstrationsSignal,
    ExactSignal,
    HttpSignal,
    JsonSchemaSignal,
    MathSignal,
    NumericSignal,
    PythonSignal,
    RegexSignal,
    RewardModelSignal,
    SignalDescription,
    SignalList,
)
from service.offers import Offers
from service.signal_examples import EXAMPLES

SCHEMAS: Final[dict[str, type[BaseModel]]] = {
    "exact": ExactSignal,
    "numeric": NumericSignal,
    "regex": RegexSignal,
    "choice": ChoiceSignal,
    "contains": ContainsSignal,
    "math": MathSignal,
    "json_schema": JsonSchemaSignal,
    "python": PythonSignal,
    "http": HttpSignal,
    "reward_model": RewardModelSignal,
    "demonstrations": DemonstrationsSignal,
}
VERSIONS: Final = {**{kind: f"{kind}/1" for kind in SCHEMAS}, "demonstrations": "demonstrations/2"}
"""What the workers' verifiers call themselves; a test holds the two together."""

ANSWERLESS: Final = frozenset({"regex", "json_schema", "python", "http", "reward_model", "demonstrations"})
"""Signals that can judge prompts without accepted answers."""


def list_signals(offers: Offers) -> SignalList:
    """Every signal with its settings, an example and whether it is offered here."""
    data = [_describe(kind, schema, offers.refusal(kind)) for kind, schema in SCHEMAS.items()]
    return SignalList(object="list", data=data, has_more=False, next_cursor=None)


def _describe(kind: str, schema: type[BaseModel], refusal: str | None) -> SignalDescription:
    return SignalDescription(
        object="signal",
        kind=kind,
        version=VERSIONS[kind],
        description=(schema.__doc__ or "").strip(),
        needs_answer=kind not in ANSWERLESS,
        available=refusal is None,
        unavailable_because=refusal,
        example=EXAMPLES[kind],
        settings_schema=schema.model_json_schema(),
    )

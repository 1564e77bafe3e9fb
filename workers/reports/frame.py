"""The frame: what every number is relative to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from workers.estimators.counts import epsilon, log_budget
from workers.reports.numerals import exact, is_number, numeral, percent
from workers.reports.readings import Json, finite

DIGEST: Final = 12
"""Characters of a digest that tell models apart; the result document has all of them."""

OFF: Final[dict[str, float]] = {"top_k": 0, "top_p": 1, "min_p": 0}

NAMES: Final = {
    "k_use": "K_use",
    "k_probe": "K_probe",
    "samples_per_prompt": "Samples a prompt and side, pilot",
    "max_samples_per_prompt": "Samples a prompt and side, at most",
    "max_total_tokens": "Tokens, at most",
    "alpha": "α, error level",
    "reach": "ρ, chance that counts as reach",
}

MODEL_FIELDS: Final = {
    "model": "Model",
    "weights_digest": "Weights",
    "adapter_digest": "Adapter",
    "tokenizer_digest": "Tokenizer",
    "parameters": "Parameters",
    "policy": "Drawn by",
}


@dataclass(frozen=True, slots=True)
class Group:
    """A list of settings under a name."""

    name: str
    entries: tuple[tuple[str, str], ...]


def sides(frame: Json) -> dict[str, Any]:
    """Models side by side: streams, and a row a property."""
    models = {name: value for name, value in frame.items() if isinstance(value, Mapping) and "model" in value}
    models |= {f"checkpoint {i}": value for i, value in enumerate(frame.get("candidates") or ())}
    fields = [key for key in MODEL_FIELDS if any(key in one for one in models.values())]
    return {
        "streams": list(models),
        "rows": [
            (MODEL_FIELDS[key], [_property(key, one.get(key)) for one in models.values()]) for key in fields
        ],
    }


def groups(frame: Json) -> list[Group]:
    """Policy, signal, budgets, decision thresholds, and the rest."""
    named = {"Decoding policy": "policy", "Signal": "signal", "Budget": "budget", "Decision": "decision"}
    found = [
        Group(name, tuple(_entries(frame[key])))
        for name, key in named.items()
        if isinstance(frame.get(key), Mapping) and frame[key]
    ]
    shown = {*named.values(), *sides(frame)["streams"]}
    rest = {key: value for key, value in frame.items() if key not in shown}
    if rest:
        found.append(Group("Run", tuple(_entries(rest))))
    return found


def in_short(frame: Json) -> str:
    """Policy, signal, budgets and seed on one line."""
    policy, budget = frame.get("policy") or {}, frame.get("budget") or {}
    signal = frame.get("signal") or {}
    parts = [f"signal {signal.get('version') or signal.get('kind')}"] if signal else []
    parts += [
        f"{_name(key).lower()} {_setting(key, policy[key])}"
        for key in ("temperature", "top_k", "top_p", "min_p", "max_new_tokens")
        if key in policy and policy[key] != OFF.get(key)
    ]
    parts += [f"{NAMES[key]} {_setting(key, budget[key])}" for key in ("k_use", "k_probe") if key in budget]
    parts += [f"seed {frame['seed']}"] if "seed" in frame else []
    return ", ".join(parts)


def reach_sentences(frame: Json) -> list[str]:
    """What the two budgets mean as chances, in words."""
    budget, decision = frame.get("budget") or {}, frame.get("decision") or {}
    reach = finite(decision.get("reach"))
    if reach is None:
        return []
    sentences = []
    for key in ("k_use", "k_probe"):
        k = budget.get(key)
        if isinstance(k, int) and k >= 1:
            sentences.append(
                f"{NAMES[key]} = {k:,}: within reach means at least one success in {k:,} "
                f"sample{'s' if k != 1 else ''} with chance {percent(reach)} or more, that is a chance of "
                f"{numeral(epsilon(k, reach))} or more for one sample, a price of at most "
                f"{numeral(log_budget(k, reach))} nats."
            )
    return sentences


def _entries(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(_name(key), _setting(key, value)) for key, value in values.items()]


def _name(key: str) -> str:
    return NAMES.get(key) or key.replace("_", " ").replace("-", " ").capitalize()


def _setting(key: str, value: Any) -> str:
    if key in OFF and value == OFF[key]:
        return f"{exact(value)} (off)"
    if value is None or value in ([], {}, ""):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if key == "seed":
        return str(value)
    if is_number(value):
        return exact(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_setting(name, item)}" for name, item in value.items())
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return str(value)


def _property(key: str, value: Any) -> dict[str, str]:
    if value is None or value == "":
        return {"text": "none", "full": ""}
    if isinstance(value, Mapping):  # of a log: what is not a law's setting is the request's
        law = (f"{name} {_setting(name, value[name])}" for name in ("temperature", *OFF) if name in value)
        return {"text": ", ".join(law), "full": ""}
    if key.endswith("_digest"):
        return {"text": str(value)[:DIGEST], "full": str(value)}
    return {"text": f"{value:,}" if is_number(value) else str(value), "full": ""}

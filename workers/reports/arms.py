"""Arms: how each sampled the reference, and what it reached."""

from dataclasses import dataclass
from typing import Any, Final

from workers.reports.numerals import count, exact
from workers.reports.readings import Json

RENDERINGS: Final = {"prefix": "a prefix", "chat_template": "a chat template"}


@dataclass(frozen=True, slots=True)
class ArmLine:
    """One arm: its name and role, what differs from the analysis's own policy, and prompts by class."""

    name: str
    role: str
    differs: str
    drawn: str
    reached: int
    out: int
    undetermined: int


def arms(document: Json) -> list[ArmLine]:
    """A line for every arm; empty where the analysis has none."""
    given, found = document["frame"].get("arms") or [], document["support"].get("arms") or []
    counts = {arm["arm"]: arm for arm in found}
    own = document["frame"].get("policy") or {}
    return [_line(arm, own, counts[arm["name"]]) for arm in given if arm["name"] in counts]


def _line(arm: Json, own: Json, counts: Json) -> ArmLine:
    drawn = f"{count(counts['samples'], 'sample')} of {count(counts['prompts'], 'prompt')}"
    return ArmLine(
        name=arm["name"],
        role=arm["role"],
        differs=", ".join(_differences(arm, own)) or "nothing",
        drawn=drawn if counts["prompts"] else "not drawn",
        reached=counts["reached"],
        out=counts["out"],
        undetermined=counts["undetermined"],
    )


def _differences(arm: Json, own: Json) -> list[str]:
    policy = [(name, value) for name, value in arm["policy"].items() if value != own.get(name)]
    found = [f"{name} {_shown(value)}" for name, value in policy]
    found += [words for key, words in RENDERINGS.items() if arm.get(key)]
    if arm.get("template") not in (None, "{prompt}"):
        found.append("a template")
    if arm.get("demonstrations"):
        found.append(count(len(arm["demonstrations"]), "demonstration"))
    return found


def _shown(value: Any) -> str:
    return exact(value) if isinstance(value, int | float) else str(value)

"""The demonstrations in the report: what both models say of them."""

from collections.abc import Mapping
from typing import Any, Final

from workers.reports.footnotes import gather
from workers.reports.numerals import count
from workers.reports.readings import Json, Reading, finite, read

Line = tuple[str, str, Reading, Reading]
Single = tuple[str, str, Reading]

SIDES: Final = ("reference", "candidate")

LAW: Final = "the demonstrations' law"

COPIES: Final = (
    "With this signal a success is a demonstration, token by token. What follows is about copies, which a "
    "model may be near to without writing them."
)

REWARD: Final = (
    "The signal pays 1 for a demonstration and 0 for any other text: tilt is what copying them asked for, "
    "and whatever else was learnt from them counts as drift."
)


def demonstrations(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """Their number, a table of figures by model, and the figures that belong to neither or to one."""
    found = document.get("demonstrations")
    if found is None:
        return None
    lines = _lines(found)
    noted, footnotes = gather([reading for _, _, *both in lines for reading in both])
    return {
        "count": count(found["count"], "demonstration"),
        "lines": [
            (name, told, *noted[2 * place : 2 * place + 2]) for place, (name, told, *_) in enumerate(lines)
        ],
        "footnotes": footnotes,
        "single": _single(found),
        "teacher": document["frame"].get("teacher"),
        "copies": COPIES,
        "reward": REWARD,
    }


def nearness(found: Json) -> str:
    """How near both models are to the demonstrations, in a sentence or two."""
    before, after = (read(found["cross_entropy"][side]) for side in SIDES)
    if "undefined" in (before.status, after.status):
        missing = after if after.status == "undefined" else before
        return f"What the candidate made of the demonstrations has no number here: {missing.note}."
    told = (
        f"The demonstrations cost the candidate {after.value} nats a text and the reference {before.value} "
        "(cross-entropy, what fine-tuning minimises)."
    )
    before, after = (read(found["kl_to_teacher"][side]) for side in SIDES)
    if "undefined" not in (before.status, after.status):
        told += (
            f" Over its own samples the candidate is {after.value} nats from the teacher, the reference "
            f"{before.value} (KL, the free energy)."
        )
    return told


def key_figures(found: Json) -> list[Single]:
    """What leads the page: a name, its note and a reading; what has no value is told further down."""
    entropy, to = found["cross_entropy"], found["kl_to_teacher"]
    taught = any(finite(to[side]["value"]) is not None for side in SIDES)
    name, note, kl = (
        ("KL to the teacher", "its own samples, nats", to)
        if taught
        else (f"KL from {LAW}", "nats a demonstration", found["kl_from_teacher"])
    )
    known = [side for side in SIDES if finite(kl[side]["value"]) is not None]
    return [
        *((f"Cross-entropy, {side}", "nats a demonstration", read(entropy[side])) for side in SIDES),
        ("Change of the cross-entropy", "candidate − reference", read(entropy["change"], signed=True)),
        *((f"{name}, {side}", note, read(kl[side])) for side in known),
        (
            "Atypical for the reference",
            "5 % at most, had it written them",
            read(found["atypical_share"], share=True),
        ),
    ]


def demonstration_facts(row: Json) -> list[str]:
    """What both models say of each demonstration of a prompt."""
    return [
        f"Demonstration {one['index']}, {count(one['tokens'], 'token')}: price in nats "
        f"{read(one['price']['reference']).sentence} under the reference and "
        f"{read(one['price']['candidate']).sentence} under the candidate; typicality for the reference "
        f"{read(one['typicality']).sentence}."
        for one in row.get("demonstrations") or []
    ]


def _lines(found: Json) -> list[Line]:
    return [
        _line(
            "Cross-entropy",
            "−E log p(y) over the demonstrations, what fine-tuning minimises; nats",
            found["cross_entropy"],
        ),
        _line(
            "Cross-entropy a token",
            "all nats over all tokens, EOS included",
            found["cross_entropy_per_token"],
        ),
        _line(
            f"KL from {LAW}",
            "KL(π_D‖model): the cross-entropy without the entropy of the demonstrations; nats",
            found["kl_from_teacher"],
        ),
        _line(
            f"KL to {LAW}",
            "KL(model‖π_D) over the model's own samples, the free energy of demonstrations: at least 0; nats",
            found["kl_to_teacher"],
        ),
        _line(
            "The same by k1",
            "mean of log model(y) − log π_D(y), the cross-check; nats",
            found["kl_to_teacher_k1"],
        ),
        *(
            _line(
                f"Uncovered at N = {at['n']}",
                "share of demonstrations at least N times likelier than under the model",
                at,
            )
            for at in found["coverage"]
        ),
    ]


def _single(found: Json) -> list[Single]:
    return [
        (
            "Change of the cross-entropy",
            "candidate less reference, paired; nats",
            read(found["cross_entropy"]["change"], signed=True),
        ),
        (
            "Atypical for the reference",
            "share of demonstrations whose price is among the highest 5 % of the reference's own samples of "
            "that length; 5 % at most if it had written them",
            read(found["atypical_share"], share=True),
        ),
        (
            f"Change of the KL to {LAW}",
            "candidate less reference, each over its own samples; below 0 is nearer; nats",
            read(found["kl_to_teacher"]["change"], signed=True),
        ),
    ]


def _line(name: str, told: str, sides: Json) -> Line:
    return name, told, read(sides["reference"]), read(sides["candidate"])

"""The demonstrations in the report: what both models say of them."""

from collections.abc import Mapping
from typing import Any

from workers.reports.numerals import count
from workers.reports.readings import Json, Reading, read

Line = tuple[str, str, Reading, Reading]


def demonstrations(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """Their number, a table of figures by model, and the figures that belong to neither or to one."""
    found = document.get("demonstrations")
    if found is None:
        return None
    entropy, teacher = found["cross_entropy"], document["frame"].get("teacher")
    lines = [
        _line(
            "Cross-entropy", "−E log p(y) over the demonstrations, what fine-tuning minimises; nats", entropy
        ),
        _line(
            "Cross-entropy a token",
            "all nats over all tokens, EOS included",
            found["cross_entropy_per_token"],
        ),
        _line(
            "KL from the demonstrations' law",
            "KL(π_D‖model): the cross-entropy without the entropy of the demonstrations; nats",
            found["kl_from_teacher"],
        ),
        _line(
            "KL to the demonstrations' law",
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
    single = [
        (
            "Change of the cross-entropy",
            "candidate less reference, paired; nats",
            read(entropy["change"], signed=True),
        ),
        (
            "Atypical for the reference",
            "share of demonstrations whose price is among the highest 5 % of the reference's own samples of "
            "that length; 5 % at most if it had written them",
            read(found["atypical_share"], share=True),
        ),
        (
            "Change of the KL to the demonstrations' law",
            "candidate less reference, each over its own samples; below 0 is nearer; nats",
            read(found["kl_to_teacher"]["change"], signed=True),
        ),
    ]
    return {
        "count": count(found["count"], "demonstration"),
        "lines": lines,
        "single": single,
        "teacher": teacher,
    }


def _line(name: str, told: str, sides: Json) -> Line:
    return name, told, read(sides["reference"]), read(sides["candidate"])

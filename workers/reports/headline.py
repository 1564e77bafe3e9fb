"""What a reader sees first: the answer in a sentence, and the few numbers behind it."""

from dataclasses import dataclass
from typing import Any

from workers.reports.along_training import label_of, shrinkage_sentence
from workers.reports.demonstrations import key_figures, nearness
from workers.reports.glossary import FINDINGS, KINDS, LABELS, Term
from workers.reports.numerals import count, percent
from workers.reports.readings import Json, Reading, finite, read


@dataclass(frozen=True, slots=True)
class Figure:
    """A number at the top of the page."""

    label: str
    reading: Reading
    note: str


@dataclass(frozen=True, slots=True)
class Headline:
    """The top of the page.

    Attributes:
        badges: Findings, then the label; empty where the analysis has no verdict.
        sentence: The answer.
        reasons: Why, one by one.
        figures: Key numbers.
        css: Class of the label.
    """

    badges: tuple[Term, ...]
    sentence: str
    reasons: tuple[str, ...]
    figures: tuple[Figure, ...]
    css: str


def headline(document: Json) -> Headline:
    """Findings lead, the verdict follows; without a verdict, what was measured."""
    verdict = document.get("verdict")
    figures = tuple(_figures(document))
    if verdict is None:
        return Headline((), _measured(document), (), figures, "plain")
    label = LABELS.get(verdict["label"]) or _unknown(verdict["label"])
    findings = [FINDINGS.get(name) or _unknown(name) for name in verdict["findings"]]
    return Headline((*findings, label), verdict["sentence"], tuple(verdict["reasons"]), figures, label.css)


def subtitle(document: Json) -> str:
    """Kind, models, prompts."""
    frame = document["frame"]
    reference, candidate = frame.get("reference", {}), frame.get("candidate")
    models = _model(reference) if candidate is None else f"{_model(candidate)} against {_model(reference)}"
    if frame.get("candidates"):
        models = f"{count(len(frame['candidates']), 'checkpoint')} against {_model(reference)}"
    parts = [KINDS.get(document["kind"], document["kind"]), models]
    if isinstance(frame.get("prompts"), int):
        parts.append(count(frame["prompts"], "prompt"))
    return " · ".join(filter(None, parts))


def _model(side: Json) -> str:
    return str(side.get("model", ""))


def _unknown(name: str) -> Term:
    return Term(name.replace("_", " ").capitalize(), "", "", "undetermined")


def _trained(document: Json) -> str:
    """The verdicts along training in a sentence: where each begins."""
    runs: list[tuple[str, str]] = []
    for one in document["checkpoints"]:
        label = one["verdict"]["label"] if one.get("verdict") else "no verdict"
        if not runs or runs[-1][1] != label:
            runs.append((label_of(one), label))
    told = ", then ".join(f"{label} from {name} on" for name, label in runs)
    return f"{told[0].upper()}{told[1:]}. {shrinkage_sentence(document)}"


def _measured(document: Json) -> str:
    energy = document.get("free_energy")
    if document.get("checkpoints"):
        return _trained(document)
    if document.get("demonstrations"):
        return f"{nearness(document['demonstrations'])} This kind of analysis gives no verdict."
    if energy is not None:
        kl = read(energy["kl"])
        if kl.status == "undefined":
            return f"How far the candidate moved has no number here: {kl.note}."
        return (
            f"The candidate moved {kl.value} nats a completion away from the reference. What that was spent "
            "on is below; this kind of analysis gives no verdict."
        )
    sides = "both models reach" if document["support"].get("candidate") else "this reference reaches"
    return (
        f"What {sides} on these prompts, under this policy, signal and budget. "
        "This kind of analysis gives no verdict."
    )


def _figures(document: Json) -> list[Figure]:
    found: list[Figure] = []
    if document.get("gain"):
        found.append(
            Figure(
                "Mean gain", read(document["gain"]["total"], signed=True), "candidate − reference, success"
            )
        )
    if document.get("verdict"):
        found.append(Figure("Created share of the gain", _share(document["verdict"]), "as far as known"))
    shown = document.get("demonstrations")
    if shown:
        found += [Figure(name, reading, note) for name, note, reading in key_figures(shown)]
    # A success is a demonstration itself then, which both models may be near to and never write.
    for side in () if shown else ("reference", "candidate"):
        support = document["support"].get(side)
        if support:
            found.append(Figure(f"Success, {side}", read(support["success"]), "mean over prompts"))
    if document.get("free_energy"):
        found.append(
            Figure("KL(candidate‖reference)", read(document["free_energy"]["kl"]), "nats a completion")
        )
    return found


def _share(verdict: Json) -> Reading:
    lower, upper = verdict["creation_share"]["lower"], verdict["creation_share"]["upper"]
    ends: tuple[Any, Any] = finite(lower["value"]), finite(upper["value"])
    if ends[0] is None or ends[1] is None:
        return read(lower if ends[0] is None else upper, share=True)
    low, high = finite(lower["ci_low"]), finite(upper["ci_high"])
    interval = "" if low is None or high is None else f"[{percent(low)}, {percent(high)}]"
    same = percent(ends[0]) == percent(ends[1])
    return Reading(percent(ends[0]) if same else f"{percent(ends[0])} to {percent(ends[1])}", interval)

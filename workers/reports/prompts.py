"""The table of prompts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from workers.reports.demonstrations import demonstration_facts
from workers.reports.footnotes import Footnotes
from workers.reports.glossary import CLASSES, CONFIRMATIONS, REGIMES, Term
from workers.reports.numerals import count
from workers.reports.reach import SIDES
from workers.reports.readings import Json, Reading, read
from workers.reports.weights import weights_fact

TERMS: Final = {"kl": "KL", "tilt": "Tilt", "drift": "Drift", "escape": "Escape"}

FIELDS: Final = {"reference": ("hits", "success", "price"), "candidate": ("hits", "success")}
HEADS: Final = {
    "hits": ("Hits", "successes / samples"),
    "success": ("Success", "chance of success of one sample, 95 % interval"),
    "price": ("Price", "−log of the chance of success, nats"),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: either a reading, or text with the key it sorts by."""

    text: str
    key: str
    reading: Reading | None = None


@dataclass(frozen=True, slots=True)
class Prompt:
    """A row and what unfolds under it."""

    name: str
    family: str
    regime: Term | None
    regime_key: int
    confirmed: str
    cells: tuple[Cell, ...]
    facts: tuple[str, ...]
    evidence: tuple[str, ...]
    confirmation: tuple[tuple[bool, str], ...]


@dataclass(frozen=True, slots=True)
class Column:
    """A column's head: the group it belongs to, its name and a hint."""

    name: str
    hint: str
    group: str


@dataclass(frozen=True, slots=True)
class Table:
    """The table, with only the columns this analysis has."""

    columns: tuple[Column, ...]
    groups: tuple[tuple[str, int], ...]
    prompts: tuple[Prompt, ...]
    has_regimes: bool
    footnotes: tuple[str, ...]


LISTED_BEHAVIOURS: Final = 12
"""Behaviours told a prompt: the rows of the result list more."""


def prompt_table(rows: Sequence[Json]) -> Table:
    """Cells for every row; a column is there if any row has it."""
    sides = [side for side in SIDES if any(row.get(side) for row in rows)]
    terms = [key for key in TERMS if any(row.get(key) for row in rows)]
    gain = any(row.get("gain") for row in rows)
    columns = [Column(*HEADS[name], side) for side in sides for name in FIELDS[side]]
    columns += [Column("Gain", "candidate − reference", "change")] if gain else []
    columns += [Column(TERMS[key], "nats", "nats") for key in terms]
    notes = Footnotes()
    prompts = tuple(_prompt(position, row, sides, terms, gain, notes) for position, row in enumerate(rows))
    has_regimes = any(prompt.regime for prompt in prompts)
    return Table(tuple(columns), _groups(columns), prompts, has_regimes, notes.texts)


def _groups(columns: Sequence[Column]) -> tuple[tuple[str, int], ...]:
    names = list(dict.fromkeys(column.group for column in columns))
    return tuple((name, sum(column.group == name for column in columns)) for name in names)


def _prompt(
    position: int, row: Json, sides: Sequence[str], terms: Sequence[str], gain: bool, notes: Footnotes
) -> Prompt:
    cells: list[Cell] = []
    for side in sides:
        cells += _side(row.get(side), FIELDS[side], notes)
    if gain:
        cells.append(_reading(row.get("gain"), notes, signed=True))
    cells += [_reading(row.get(key), notes) for key in terms]
    labels = filter(None, [row.get("family"), row.get("split")])
    return Prompt(
        name=row["prompt_id"] or f"prompt {position + 1}",
        family=" · ".join(labels),
        regime=_regime(row.get("regime")),
        regime_key=list(REGIMES).index(row["regime"]) if row.get("regime") in REGIMES else len(REGIMES),
        confirmed=_confirmed(row),
        cells=tuple(cells),
        facts=tuple(_facts(row, sides)),
        evidence=tuple(row["evidence"]),
        confirmation=tuple(
            (check["passed"], CONFIRMATIONS.get(check["check"], check["check"].replace("_", " ")))
            for check in row.get("confirmation") or []
        ),
    )


def _regime(name: str | None) -> Term | None:
    return None if name is None else REGIMES.get(name) or Term(name, "", "", "undetermined")


def _side(side: Json | None, names: Sequence[str], notes: Footnotes) -> list[Cell]:
    if side is None:
        return [Cell("no samples", "")] * len(names)
    hits = Cell(f"{side['successes']:,} / {side['samples']:,}", str(side["successes"]))
    return [hits if name == "hits" else _reading(side[name], notes, grade=True) for name in names]


def _reading(estimate: Json | None, notes: Footnotes, *, signed: bool = False, grade: bool = False) -> Cell:
    """A reading whose reason is a footnote; `grade` prints ``unreliable`` beside the number itself."""
    if estimate is None:
        return Cell("not computed", "")
    reading = read(estimate, signed=signed)
    if reading.note:
        shown = reading.status if grade and reading.status == "unreliable" else ""
        reading = replace(reading, note=shown, footnote=notes.number(reading.note))
    return Cell("", reading.key, reading)


def _confirmed(row: Json) -> str:
    """For created prompts, whether the claim is confirmed; and the arm that decided, where one did."""
    words = []
    if row.get("confirmation"):
        words.append("confirmed" if row.get("confirmed") else "not confirmed")
    if row.get("deciding_arm"):
        words.append(f"by arm {row['deciding_arm']}")
    return ", ".join(words)


def _facts(row: Json, sides: Sequence[str]) -> list[str]:
    facts = demonstration_facts(row)
    facts += [_classes(side, row[side]) for side in sides if row.get(side)]
    facts += [_behaviour(found) for found in (row.get("behaviours") or [])[:LISTED_BEHAVIOURS]]
    if row.get("weights"):
        facts.append(weights_fact(row["weights"]))
    if row.get("samples_to_settle"):
        more = count(row["samples_to_settle"], "more sample")
        facts.append(f"About {more} would settle what is undetermined.")
    return facts


def _behaviour(found: Json) -> str:
    """A behaviour of the candidate: how often each side showed it, and whether the reference reaches it."""
    name = "without a label" if found["behaviour"] is None else f"behaviour “{found['behaviour']}”"
    counts = [f"{side} {found[side]['successes']:,} / {found[side]['samples']:,}" for side in SIDES]
    reach = CLASSES.get(found["class_at_k_probe"], found["class_at_k_probe"])
    return f"Successes, {name}: {', '.join(counts)}; {reach} at K_probe."


def _classes(name: str, side: Json) -> str:
    use, probe = (CLASSES.get(side[key], side[key]) for key in ("class_at_k_use", "class_at_k_probe"))
    return (
        f"{name.capitalize()}: {use} at K_use, {probe} at K_probe; price of success in nats: "
        f"{read(side['price']).sentence}."
    )

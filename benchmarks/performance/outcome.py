"""What a benchmark found: figures against targets, the checks that came first, and the machine."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

Over = Literal["seeds", "blocks", "runs", "worlds", "prompts", "cells", "cases"]


def number(value: float) -> str:
    """Three digits, as the page and its plots print a figure."""
    if value and (abs(value) >= 1000 or abs(value) < 0.001):
        return f"{value:,.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.2g}"
    return f"{value:.3g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What was aimed at.

    Attributes:
        value: The bound, in the figure's unit.
        at_most: Whether the figure may not exceed it; else it may not fall below.
    """

    value: float
    at_most: bool = False

    def met_by(self, value: float) -> bool:
        """Whether a figure keeps the bound."""
        return value <= self.value if self.at_most else value >= self.value

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {number(self.value)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured figure.

    Attributes:
        name: What it is, within its benchmark.
        value: The median over what was repeated, unless the name says otherwise.
        low: The least of them.
        high: The largest of them.
        n: How many there were.
        over: What was repeated.
        unit: ``x`` for a ratio to the comparator, else ``share``, ``ms``, ``B/token``, ``MiB``, …
        target: What was aimed at; None for a figure that only explains.
        limit: The physical limit, with its number, and where it comes from; may be empty.
        holds_back: One sentence: what keeps it from more, above all where the target is missed.
        from_clocks: Whether clocks went into it. Counts do not change with the machine.
    """

    name: str
    value: float
    low: float
    high: float
    n: int
    over: Over
    unit: str = "x"
    target: Target | None = None
    limit: str = ""
    holds_back: str = ""
    from_clocks: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        return None if self.target is None else self.target.met_by(self.value)


@dataclass(frozen=True, slots=True)
class Check:
    """A comparison of answers, made before any clock was started."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Curve:
    """Lines for a plot: y against x, both positive.

    Attributes:
        title: What is shown.
        x: Name of the horizontal axis.
        y: Name of the vertical axis.
        lines: Points ``[x, y]`` by the name of the line.
    """

    title: str
    x: str
    y: str
    lines: dict[str, list[list[float]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """How the interleaved blocks of one comparison went.

    Attributes:
        name: What was compared.
        kept: Blocks that count.
        dropped: Blocks in which other processes took more of the machine than is allowed.
        foreign: Largest share of the machine that others took in a block that counts.
        noisy: Whether too few blocks were quiet, so that all of them count and the ratio is doubtful.
    """

    name: str
    kept: int
    dropped: int
    foreign: float
    noisy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of one benchmark.

    Attributes:
        figures: What was measured.
        checks: What was compared before; one that fails voids the figures.
        curves: For plots.
        notes: Sentences for the page.
        blocks: How its timed comparisons went.
        about: Commit, machine, date, seed, size and duration.
    """

    figures: tuple[Figure, ...]
    checks: tuple[Check, ...] = ()
    curves: tuple[Curve, ...] = ()
    notes: tuple[str, ...] = ()
    blocks: tuple[Blocks, ...] = ()
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def valid(self) -> bool:
        """Whether every check passed and there was one."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        figures = (
            Figure(**{**one, "target": None if one["target"] is None else Target(**one["target"])})
            for one in found["figures"]
        )
        return cls(
            figures=tuple(figures),
            checks=tuple(Check(**one) for one in found["checks"]),
            curves=tuple(Curve(**one) for one in found["curves"]),
            notes=tuple(found["notes"]),
            blocks=tuple(Blocks(**one) for one in found["blocks"]),
            about=found["about"],
        )

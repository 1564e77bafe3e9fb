"""How many prompts are in each regime: one stacked bar and its legend in plain words."""

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from workers.reports.glossary import REGIMES, Term
from workers.reports.numerals import count, percent
from workers.reports.svg import box, element, words

HEIGHT = 40
LABELLED = 0.07
"""Segments narrower than this share have no room for their count."""


@dataclass(frozen=True, slots=True)
class Part:
    """A regime with its prompts."""

    term: Term
    prompts: int
    share: str
    swatch: Markup


@dataclass(frozen=True, slots=True)
class RegimeBar:
    """The bar, and every regime in the legend, empty ones too."""

    drawing: Markup
    parts: tuple[Part, ...]
    total: int


def regime_bar(regimes: Mapping[str, int]) -> RegimeBar | None:
    """Stack the regimes; None where there is no prompt."""
    total = sum(regimes.values())
    if total == 0:
        return None
    known = {name: term for name, term in REGIMES.items() if name in regimes}
    unknown = {name: Term(name, "", "", "undetermined") for name in regimes if name not in REGIMES}
    terms = {**known, **unknown}
    parts = tuple(
        Part(term, regimes[name], percent(regimes[name] / total), _swatch(term))
        for name, term in terms.items()
    )
    return RegimeBar(_draw(parts, total), parts, total)


def _draw(parts: tuple[Part, ...], total: int) -> Markup:
    start, drawn = 0.0, []
    for part in parts:
        if not part.prompts:
            continue
        width = part.prompts / total
        drawn.append(box(start, start + width, 0, HEIGHT, f"fill segment {part.term.css}"))
        if width >= LABELLED:
            label = f"{part.term.mark} {part.prompts}"
            drawn.append(words(label, start + width / 2, 25, f"on {part.term.css}"))
        start += width
    told = "; ".join(f"{part.term.name} {part.prompts}" for part in parts if part.prompts)
    title = element("title", f"Regimes of {count(total, 'prompt')}: {told}", id="regimes-title")
    return element(
        "svg",
        title,
        *drawn,
        width="100%",
        height=HEIGHT,
        class_="stack",
        role="img",
        aria_labelledby="regimes-title",
    )


def _swatch(term: Term) -> Markup:
    mark = element("text", term.mark, x="50%", y=15, text_anchor="middle", class_=f"on {term.css}")
    square = element("rect", width=22, height=22, rx=4, class_=f"fill {term.css}")
    return element("svg", square, mark, width=22, height=22, aria_hidden="true")

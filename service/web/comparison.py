"""Finished analyses side by side, for people."""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from operator import attrgetter
from typing import Final

from starlette.responses import HTMLResponse

from api_schemas.analyses import Links
from api_schemas.comparisons import Compared, Comparison
from api_schemas.estimates import Estimate
from service.web.intervals import Scale, cell
from service.web.page import page
from service.web.prose import prose

Reader = Callable[[Compared], Estimate | None]
"""What a column shows of an entry."""


def _of(group: str, part: str) -> Reader:
    """Reads a part of a group that not every analysis computes."""

    def read(one: Compared) -> Estimate | None:
        whole = getattr(one, group)
        found: Estimate | None = None if whole is None else attrgetter(part)(whole)
        return found

    return read


SUCCESS: Final[Mapping[str, Reader]] = {
    "reference": _of("success", "reference"),
    "candidate": _of("success", "candidate"),
    "gain": _of("gain", "total"),
    "creation share, at least": _of("verdict", "creation_share.lower"),
    "creation share, at most": _of("verdict", "creation_share.upper"),
}
GAIN: Final = {part: _of("gain", part) for part in ("elicited", "created", "lost", "undetermined")}
FREE_ENERGY: Final = {
    "KL(candidate‖reference)": _of("free_energy", "kl"),
    **{part: _of("free_energy", part) for part in ("tilt", "drift", "escape")},
}

HOW_TO_READ: Final = (
    "Each number is a mean over the prompts of its analysis, with its interval for the population of them; "
    "drawings in a column share a scale, on which the upright line is zero. Whether intervals overlap is no "
    "test of a difference: analyses on the same prompts share what those have in common."
)


def comparison_page(comparison: Comparison) -> HTMLResponse:
    """The page of a comparison."""
    entries = comparison.data
    sections = [
        _verdicts(entries),
        _section("Chance of success", entries, SUCCESS),
        _section("Where the gain lies", entries, GAIN),
        _section("Free energy, nats", entries, FREE_ENERGY),
        _regimes(entries),
    ]
    body = (
        f'<p class="quiet"><a href="/">Tiltscope</a></p><h1>{len(entries)} results side by side</h1>'
        f"{_warnings(comparison)}<p>{HOW_TO_READ}</p>{''.join(sections)}"
    )
    return page("Comparison", body)


def _warnings(comparison: Comparison) -> str:
    if not comparison.warnings:
        return ""
    items = "".join(
        f"<li><code>{escape(one.code)}</code>: {prose(one.detail)}</li>" for one in comparison.warnings
    )
    return f"<h2>They do not answer the same question</h2><ul>{items}</ul>"


def _verdicts(entries: Sequence[Compared]) -> str:
    rows = [
        f"{_who(one)}<td>{escape(one.verdict.label)}</td><td>{escape(one.verdict.sentence)}</td>"
        for one in entries
        if one.verdict is not None
    ]
    return _table("Verdict", ("verdict", "in words"), rows)


def _section(title: str, entries: Sequence[Compared], columns: Mapping[str, Reader]) -> str:
    """A table of estimates, without the rows and columns that nothing was computed for."""
    used = [(head, get) for head, get in columns.items() if any(get(one) is not None for one in entries)]
    scales = [Scale.over(get(one) for one in entries) for _, get in used]
    rows = [
        _who(one) + "".join(cell(get(one), scale) for (_, get), scale in zip(used, scales, strict=True))
        for one in entries
        if any(get(one) is not None for _, get in used)
    ]
    return _table(title, [head for head, _ in used], rows)


def _regimes(entries: Sequence[Compared]) -> str:
    counted = [(one, one.regimes) for one in entries if one.regimes]
    names = list(dict.fromkeys(name for _, regimes in counted for name in regimes))
    rows = [
        _who(one) + "".join(f'<td class="number">{regimes.get(name, 0)}</td>' for name in names)
        for one, regimes in counted
    ]
    return _table("Prompts by regime", names, rows)


def _table(title: str, columns: Sequence[str], rows: Sequence[str]) -> str:
    if not rows:
        return ""
    heads = "".join(f'<th scope="col">{escape(head)}</th>' for head in ("analysis", *columns))
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return (
        f'<h2>{escape(title)}</h2><div class="wide"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _who(one: Compared) -> str:
    """The head of an entry's row: what its owner calls it, and the way to its report."""
    name = one.candidate or one.name
    known = "" if name is None else f'<br><code class="quiet">{escape(one.analysis_id)}</code>'
    labels = [f"{key}: {value}" for key, value in one.labels.items()]
    state = [one.status] if one.status != "succeeded" else []
    more = [*labels, *state, *(["partial"] if one.partial else [])]
    notes = f'<br><span class="quiet">{escape(", ".join(more))}</span>' if more else ""
    report = f'<a href="{escape(Links.of(one.analysis_id).report)}">{escape(name or one.analysis_id)}</a>'
    return f'<th scope="row">{report}{known}{notes}</th>'

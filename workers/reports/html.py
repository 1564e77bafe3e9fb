"""The report: one HTML file that needs nothing else, no network and no script."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from workers.reports import checks, frame, nats, reach
from workers.reports.along_training import last_rows, trajectory
from workers.reports.arms import arms
from workers.reports.bars import Bar, BarChart, bar_chart
from workers.reports.creation_share import creation_share
from workers.reports.demonstrations import demonstrations
from workers.reports.glossary import GAIN_PARTS
from workers.reports.headline import headline, subtitle
from workers.reports.numerals import count, exact
from workers.reports.plain_text import plain, plain_text
from workers.reports.prompts import prompt_table
from workers.reports.readings import Json, finite, read
from workers.reports.regimes import regime_bar
from workers.reports.response import response_chart
from workers.reports.verdict_curve import verdict_curve

TEMPLATES: Final = Path(__file__).parent / "templates"


def render_report(document: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], *, title: str) -> str:
    """Render a result for people.

    Everything the analysis did not compute is left out; everything it could not compute says why. Text from
    outside loses control and bidi characters and is escaped.

    Args:
        document: The result document, as JSON has it.
        rows: Its prompt rows.
        title: Name of the analysis.

    Returns:
        A whole HTML page.
    """
    found, prompts = plain(_with_visible_stops(document)), plain(list(rows))
    style, script = _asset("report.css"), _asset("sort.js")
    page = _environment().get_template("report.html")
    return page.render(
        title=plain_text(title) or "Untitled analysis",
        policy=_content_policy(style, script),
        style=Markup(style),
        script=Markup(script),
        **_sections(found, prompts),
    )


def _with_visible_stops(document: Json) -> Json:
    """Stop strings as JSON literals: most are line breaks, which would vanish from the page."""
    policy = document["frame"].get("policy") or {}
    if not policy.get("stop"):
        return document
    shown = {**policy, "stop": [json.dumps(text) for text in policy["stop"]]}
    return {**document, "frame": {**document["frame"], "policy": shown}}


def _sections(document: Json, rows: Sequence[Json]) -> dict[str, Any]:
    """What the template shows; None leaves a section out."""
    given = document["frame"]
    support, energy, verdict = document["support"], document.get("free_energy"), document.get("verdict")
    budget, decision = given.get("budget") or {}, given.get("decision") or {}
    regimes = support.get("regimes")
    shown = last_rows(document, rows)
    return {
        "document": document,
        "subtitle": subtitle(document),
        "frame_line": frame.in_short(given),
        "headline": headline(document),
        "facts": checks.quick_facts(document),
        "share": creation_share(verdict["creation_share"], decision) if verdict else None,
        "gain": _gain(document.get("gain")),
        "sides": frame.sides(given),
        "groups": frame.groups(given),
        "reach_sentences": frame.reach_sentences(given),
        "alpha": None if finite(decision.get("alpha")) is None else exact(decision["alpha"]),
        "pass_at_k": reach.pass_at_k(support, budget),
        "coverage": reach.coverage(support, budget, finite(decision.get("reach"))),
        "support_sides": reach.sides_of(support),
        "successes": [(side, read(support[side]["success"])) for side in reach.sides_of(support)],
        "outcomes": reach.outcomes(support),
        "classes": reach.classes(support),
        "arms": arms(document),
        "behaviours": reach.behaviours(support),
        "regimes": regime_bar(regimes) if regimes else None,
        "literature": reach.literature(document, rows),
        "retention": reach.retention(support),
        "energy": _energy(energy) if energy else None,
        "demonstrations": demonstrations(document),
        "training": trajectory(document),
        "curve": verdict_curve(verdict["by_k_probe"], given) if verdict else None,
        "table": prompt_table(shown) if shown else None,
        "prompts": count(len(shown), "prompt"),
        "nulls": checks.nulls(document),
        "diagnostics": checks.diagnostics(document),
        "warnings": checks.warnings(document),
        "usage": checks.usage(document),
    }


def _gain(gain: Json | None) -> BarChart | None:
    if gain is None:
        return None
    bars = [Bar(term.name, gain[key], term.css, term.words) for key, term in GAIN_PARTS.items()]
    return bar_chart("gain", bars, unit="success, mean over prompts", signed=True)


def _energy(energy: Json) -> dict[str, Any]:
    return {
        "parts": nats.decomposition(energy),
        "further": nats.further(energy),
        "betas": nats.by_inverse_temperature(energy),
        "certificate": nats.certificate(energy),
        "drift_parts": nats.drift_parts(energy),
        "behaviours": energy.get("behaviours"),
        "response": response_chart(energy),
        "positions": nats.positions(energy),
        "closure": checks.closure(energy),
    }


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _asset(name: str) -> str:
    """A style sheet or script of ours: it goes into the page as it is."""
    return (TEMPLATES / name).read_text(encoding="utf-8").strip()


def _content_policy(style: str, script: str) -> str:
    """Nothing loads and nothing runs but the page's own style and script, named by their hashes."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    return (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; "
        "base-uri 'none'; form-action 'none'"
    )

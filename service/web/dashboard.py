"""The dashboard: the latest analyses, kept up to date."""

from collections.abc import Sequence
from html import escape

from starlette.responses import HTMLResponse

from api_schemas.analyses import LIVE, Links
from service.analyses.overview import Glance
from service.web.page import page

# The page asks for itself: one renderer, and the list endpoint would carry every prompt each time.
REFRESH = """
let last = "";
setInterval(async () => {
  if (document.hidden) return;
  try {
    const answer = await fetch("/", {cache: "no-store"});
    if (!answer.ok) return;
    const fresh = /<main id="analyses">[^]*<\\/main>/.exec(await answer.text());
    if (fresh && fresh[0] !== last) document.getElementById("analyses").outerHTML = last = fresh[0];
  } catch { /* the gateway restarts: the next round shows it again */ }
}, 2000);
"""

COMPARED = 5
"""Results in the comparison that is offered: as many as a reader holds in mind."""

EMPTY = """<p>No analyses yet. Submit one with <code>tiltscope submit</code>, or</p>
<pre>curl -X POST {origin}v1/analyses -H 'Content-Type: application/json' -d @request.json</pre>"""


def dashboard(glances: Sequence[Glance], origin: str) -> HTMLResponse:
    """The page for these analyses.

    Args:
        glances: The latest ones.
        origin: Where the reader found the page, with a slash at the end.
    """
    rows = "".join(_row(glance) for glance in glances)
    table = (
        '<div class="wide"><table><thead><tr><th>analysis</th><th>models</th><th>status</th><th>verdict</th>'
        f"<th>created</th><th></th></tr></thead><tbody>{rows}</tbody></table></div>"
    )
    shown = table if rows else EMPTY.format(origin=escape(origin))
    body = (
        "<h1>Tiltscope</h1>"
        "<p>Did post-training tilt the model, or take it somewhere new?</p>"
        f'<main id="analyses">{shown}{_side_by_side(glances)}</main>'
        '<p class="quiet"><a href="/docs">API</a> · <a href="/v1/models">models</a> · '
        '<a href="/v1/signals">signals</a> · <a href="/readyz">readiness</a></p>'
    )
    return page("Tiltscope", body, script=REFRESH)


def _side_by_side(glances: Sequence[Glance]) -> str:
    ended = [glance.id for glance in glances if glance.has_report][:COMPARED]
    if len(ended) < 2:
        return ""
    there = f"/v1/comparisons?format=html&ids={','.join(ended)}"
    return f'<p><a href="{escape(there)}">The latest {len(ended)} results side by side</a></p>'


def _row(glance: Glance) -> str:
    own = Links.of(glance.id)
    name = f"{escape(glance.name)}<br>" if glance.name else ""
    leads = [f'<a href="{escape(own.self)}">object</a>', f'<a href="{escape(own.events)}">events</a>']
    if glance.has_report:
        leads = [
            f'<a href="{escape(own.report)}">report</a>',
            f'<a href="{escape(own.result)}">result</a>',
            *leads,
        ]
    return (
        f"<tr><td>{name}<code>{escape(glance.id)}</code><br>"
        f'<span class="quiet">{escape(glance.kind)}</span></td>'
        f"<td>{' → '.join(escape(model) for model in glance.models)}</td>"
        f"<td>{_status(glance)}</td>"
        f"<td>{escape(glance.verdict or '')}</td>"
        f'<td><time class="quiet">{escape(glance.created_at)}</time></td>'
        f"<td>{' · '.join(leads)}</td></tr>"
    )


def _status(glance: Glance) -> str:
    text = escape(glance.status) + (" (partial)" if glance.partial else "")
    if glance.status not in LIVE:
        return text
    bar = f'<progress max="{max(glance.total, 1)}" value="{glance.completed}"></progress>'
    return f'{text}<br>{bar}<br><span class="quiet">{escape(glance.phase)}</span>'

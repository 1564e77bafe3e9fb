"""The frame of our HTML pages: self-contained, with nothing inline but what carries the nonce."""

import secrets
from html import escape

from starlette.responses import HTMLResponse

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --link: #2563c9; }
@media (prefers-color-scheme: dark) { :root { --link: #8ab4f8; } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; } h3 { font-size: 1rem; }
a { color: var(--link); } code, pre { font: 13px/1.45 ui-monospace, monospace; }
pre { background: var(--soft); padding: .75rem; overflow-x: auto; border-radius: 6px; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .4rem .75rem .4rem 0; }
tr { border-bottom: 1px solid var(--line); }
.wide { overflow-x: auto; } .quiet { opacity: .7; } .verb { font-weight: 600; }
progress { width: 8rem; }
.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
th[scope=row] { overflow-wrap: anywhere; min-width: 9rem; } th .quiet { font-weight: 400; }
svg { display: block; } svg circle { fill: var(--link); }
svg .interval { stroke: var(--link); stroke-width: 2; } svg .zero { stroke: currentColor; opacity: .4; }
"""


def page(title: str, body: str, *, script: str = "") -> HTMLResponse:
    """A page that loads nothing from elsewhere.

    Args:
        title: Plain text.
        body: HTML whose texts are escaped already.
        script: JavaScript; the policy lets it fetch from this origin only.
    """
    nonce = secrets.token_urlsafe(16)
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    code = f'<script nonce="{nonce}">{script}</script>' if script else ""
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)}</title><style nonce="{nonce}">{STYLE}</style></head>'
        f"<body>{body}{code}</body></html>"
    )
    return HTMLResponse(html, headers={"Content-Security-Policy": policy, "Cache-Control": "no-store"})

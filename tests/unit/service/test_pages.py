import re
from html.parser import HTMLParser
from typing import Any

import pytest

from service.web.dashboard import dashboard


class Links(HTMLParser):
    """Everything a page would load or run."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.bare: list[str] = []
        self.handlers: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.loaded += [str(given[name]) for name in ("src", "srcset", "data") if name in given]
        self.loaded += [str(given["href"])] if tag == "link" else []
        self.bare += [tag] if tag in {"script", "style"} and not given.get("nonce") else []
        self.handlers += [name for name in given if name.startswith("on") or name == "style"]


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_load_nothing_and_carry_a_fresh_nonce(gateway: Any, submit: Any, path: str) -> None:
    submit()
    first, second = gateway.get(path), gateway.get(path)
    policies = [answer.headers["content-security-policy"] for answer in (first, second)]
    assert policies[0] != policies[1]
    assert policies[0].startswith("default-src 'none';")
    assert "unsafe" not in policies[0]
    links = Links(first.text)
    assert (links.loaded, links.bare, links.handlers) == ([], [], [])
    nonce = re.search(r"script-src 'nonce-([^']+)'", policies[0])
    assert nonce is not None
    assert f'nonce="{nonce[1]}"' in first.text


def test_an_empty_dashboard_says_how_to_begin(gateway: Any) -> None:
    text = gateway.get("/", headers={"host": "localhost:8123"}).text
    assert "No analyses yet" in text
    assert "curl -X POST http://localhost:8123/v1/analyses" in text
    hostile = bytes(dashboard([], "http://<script>alert(1)</script>/").body)
    assert b"<script>alert" not in hostile


def test_the_dashboard_shows_status_verdict_and_links(gateway: Any, submit: Any, worker: Any) -> None:
    path = submit()
    worker.finish({"report.html": (b"x", "text/html")}, verdict="elicitation")
    text = gateway.get("/").text
    assert "succeeded" in text
    assert "elicitation" in text
    assert "tiny-base → tiny-grpo" in text
    assert f'href="{path}/report"' in text


def test_the_dashboard_leads_to_the_latest_results_side_by_side(
    gateway: Any, submit: Any, worker: Any
) -> None:
    first = submit()
    worker.finish({"report.html": (b"x", "text/html")})
    assert "side by side" not in gateway.get("/").text
    second = submit()
    worker.finish({"report.html": (b"x", "text/html")})
    ids = ",".join(path.rpartition("/")[2] for path in (second, first))
    assert f'href="/v1/comparisons?format=html&amp;ids={ids}"' in gateway.get("/").text


def test_what_callers_wrote_is_text(gateway: Any, submit: Any) -> None:
    submit(name="<script>alert(1)</script>")
    text = gateway.get("/").text
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_the_reference_has_every_operation(gateway: Any) -> None:
    text = gateway.get("/docs").text
    document = gateway.get("/openapi.json").json()
    for operations in document["paths"].values():
        for operation in operations.values():
            assert f'<details id="{operation["operationId"]}">' in text


def test_the_reference_shows_names_as_code_and_whole_sentences(gateway: Any) -> None:
    text = gateway.get("/docs").text
    [summary] = re.findall(r'<details id="webhooks_test">.*?</summary>', text)
    assert "Send a message of type <code>webhook.test</code>" in summary
    summaries = re.findall(r"<summary>.*?</summary>", text)
    assert summaries
    assert not any("`" in one for one in summaries)

"""The report in a real browser: offline, on a phone, in the dark, without scripts, sorted."""

import shutil
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "reports"))

from hand_made import (
    HOSTILE,
    SHARES,
    capability,
    hostile,
    support_only,
    truncated,
    without_gain,
)

from workers.reports.html import render_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium"),
]

DOCUMENTS = {
    **{label: lambda label=label: capability(label, ["shrinkage"]) for label in SHARES},
    "support": support_only,
    "truncated": truncated,
    "without gain": without_gain,
    "hostile": hostile,
}

SECTIONS = ("gain", "share", "by-k-probe", "reach", "energy", "prompts", "checks", "frame", "guide")

CONTRAST = """
() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (css) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = css;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (rgb) => {
    const linear = (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = rgb.map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const poor = [];
  for (const details of document.querySelectorAll("details")) details.open = true;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    const text = walker.currentNode.data.trim().slice(0, 40);
    if (!text || node.closest("script,style,svg,[aria-hidden=true],.skip")) continue;
    const [a, b] = [rgba(getComputedStyle(node).color), ground(node)].map((c) => luminance(c.slice(0, 3)));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push([ratio.toFixed(2), node.className, text]);
  }
  return poor;
}
"""


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


class Opened:
    """A report in a tab, with everything it tried to do."""

    def __init__(self, browser: Browser, folder: Path, document, rows, title="A run", **context) -> None:
        self.path = folder / "report.html"
        self.path.write_text(render_report(document, rows, title=title), encoding="utf-8")
        self.context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **context})
        self.page: Page = self.context.new_page()
        self.said: list[str] = []
        self.requested: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.said.append("dialog"), dialog.dismiss()))
        self.page.on("request", lambda request: self.requested.append(request.url))
        self.page.goto(self.path.as_uri())

    def __enter__(self) -> "Opened":
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("width", [360, 400, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_fits_loads_nothing_and_reports_no_error(browser, tmp_path, name, width, scheme):
    size = {"width": width, "height": 800}
    with Opened(browser, tmp_path, *DOCUMENTS[name](), viewport=size, color_scheme=scheme) as opened:
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
        assert opened.page.evaluate(CONTRAST) == []
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
        assert opened.said == []
        assert opened.requested == [opened.path.as_uri()]


def test_hostile_text_runs_nothing(browser, tmp_path):
    with Opened(browser, tmp_path, *hostile(), title=HOSTILE) as opened:
        assert opened.said == []
        assert opened.page.locator("script").count() == 1
        assert "<script>alert('x')</script>" in opened.page.locator("h1").inner_text()


def test_the_pages_policy_stops_an_injected_script(browser, tmp_path):
    with Opened(browser, tmp_path, *capability("mixed")) as opened:
        opened.page.evaluate(
            "() => { const s = document.createElement('script'); s.textContent = 'window.ran = 1';"
            " document.body.append(s); }"
        )
        assert opened.page.evaluate("window.ran") is None
        assert any("Content Security Policy" in text for text in opened.said)


def ids(opened: Opened) -> list[str]:
    return opened.page.locator("table.prompts tbody th bdi:first-child").all_inner_texts()


def test_the_table_sorts_both_ways_and_by_keyboard(browser, tmp_path):
    document, rows = capability("mixed")
    for position, gain in enumerate([0.9, None, -0.2]):
        rows[position]["prompt_id"] = f"id{position}"
        rows[position]["family"] = rows[position]["split"] = None
        rows[position]["gain"]["value"] = gain
        rows[position]["gain"]["ci_low"] = rows[position]["gain"]["ci_high"] = None
    with Opened(browser, tmp_path, document, rows) as opened:
        head = opened.page.locator("tr.heads th", has_text="Gain")
        assert ids(opened) == ["id0", "id1", "id2"]
        head.locator("button").click()
        assert head.get_attribute("aria-sort") == "ascending"
        assert ids(opened) == ["id2", "id0", "id1"]
        head.locator("button").press("Enter")
        assert head.get_attribute("aria-sort") == "descending"
        assert ids(opened) == ["id0", "id2", "id1"]


def test_evidence_unfolds_and_moves_with_its_prompt(browser, tmp_path):
    with Opened(browser, tmp_path, *capability("mixed")) as opened:
        line = opened.page.locator("ul.lines li").first
        assert not line.is_visible()
        opened.page.locator("tr.more summary").first.click()
        assert line.is_visible()
        body = opened.page.locator("table.prompts tbody").first
        assert body.locator("tr").count() == 2


def test_without_scripts_everything_is_there_but_the_sorting(browser, tmp_path):
    with Opened(browser, tmp_path, *capability("creation"), java_script_enabled=False) as opened:
        assert opened.page.locator("tr.heads button").count() == 0
        opened.page.locator("tr.more summary").first.click()
        assert opened.page.locator("ul.lines li").first.is_visible()
        for section in SECTIONS:
            assert opened.page.locator(f"section#{section}").is_visible()


def test_wide_tables_scroll_within_themselves(browser, tmp_path):
    size = {"width": 400, "height": 800}
    with Opened(browser, tmp_path, *capability("mixed"), viewport=size) as opened:
        box = opened.page.locator("#prompts .wide")
        assert box.evaluate("e => e.scrollWidth > e.clientWidth")
        box.evaluate("e => { e.scrollLeft = 300 }")
        assert box.evaluate("e => e.scrollLeft") == 300
        name = box.locator("tbody th").first.bounding_box()
        assert name is not None
        assert 0 <= name["x"] < 60


def test_charts_have_names(browser, tmp_path):
    with Opened(browser, tmp_path, *capability("mixed")) as opened:
        names = opened.page.get_by_role("img")
        assert names.count() == 5
        assert opened.page.get_by_role("img", name="Mean reward of the tilted reference").count() == 1
        assert opened.page.get_by_role("img", name="Pass at k of both sides").count() == 1
        assert opened.page.get_by_role("img", name="Regimes of 3 prompts").count() == 1


def test_it_prints(browser, tmp_path):
    with Opened(browser, tmp_path, *capability("mixed")) as opened:
        printed = opened.page.pdf(format="A4", print_background=True)
        assert printed.startswith(b"%PDF")
        opened.page.emulate_media(media="print")
        assert opened.page.locator("ul.lines li").first.is_visible()

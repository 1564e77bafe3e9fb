import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from hand_made import (
    HOSTILE,
    HOSTILE_SHOWN,
    SHARES,
    capability,
    hostile,
    support_only,
    truncated,
    without_gain,
)

from workers.reports.html import render_report

VOID = {"meta", "br", "link", "img", "input", "hr"}
DOCUMENTS = {
    **{label: lambda label=label: capability(label) for label in SHARES},
    "findings": lambda: capability("inconclusive", ["shrinkage", "regression"]),
    "support": support_only,
    "truncated": truncated,
    "without gain": without_gain,
    "hostile": hostile,
}


class Page(HTMLParser):
    """Tags, attributes and visible text of a page; unbalanced tags are an error."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.texts = [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def values(self, name):
        return [attrs[name] for _, attrs in self.tags if name in attrs]


def render(name, title="A run"):
    document, rows = DOCUMENTS[name]()
    return render_report(document, rows, title=title)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_document_becomes_a_whole_page(name):
    html = render(name)
    page = Page(html)
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert html.startswith("<!doctype html>")
    for link in page.values("href"):
        assert link.startswith("#")
        assert link[1:] in ids
    for labels in page.values("aria-labelledby"):
        assert set(labels.split()) <= set(ids)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_number_is_blank_and_no_word_claims_too_much(name):
    text = Page(render(name)).text
    for word in ("nan", "none of type", "undefined()", "impossible", "inf]"):
        assert not re.search(rf"\b{re.escape(word)}", text, re.IGNORECASE)
    assert "None" not in text.split()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_nothing_is_loaded_and_only_the_pages_own_script_may_run(name):
    html = render(name)
    page = Page(html)
    assert not {tag for tag, _ in page.tags} & {"link", "img", "iframe", "object", "embed", "form", "base"}
    assert page.values("src") == []
    assert not [key for _, attrs in page.tags for key in attrs if key == "style" or key.startswith("on")]
    assert "http://" not in html
    assert "https://" not in html
    assert "url(http" not in html
    (policy,) = [a["content"] for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    for tag in ("style", "script"):
        (body,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_hostile_text_is_shown_and_does_nothing():
    html = render("hostile", title=HOSTILE)
    page = Page(html)
    assert html.count("<script>") == 1
    assert HOSTILE_SHOWN in page.text
    assert not set(html) & set("\x00\x07\x1b\u202e\u2066")
    assert [attrs for _, attrs in page.tags if any(key not in KNOWN for key in attrs)] == []
    assert page.values("data-key").count(HOSTILE_SHOWN) == 3


ATTRIBUTES = """
aria-hidden aria-label aria-labelledby charset class colspan content cx cy data-key dx focusable height
href http-equiv id lang name patterntransform patternunits points preserveaspectratio r role rx scope
tabindex text-anchor title transform viewbox width x x1 x2 y y1 y2
"""
KNOWN = frozenset(ATTRIBUTES.split())


@pytest.mark.parametrize("label", SHARES)
def test_the_verdict_comes_first_in_words(label):
    document, rows = capability(label)
    page = Page(render_report(document, rows, title="A run"))
    assert document["verdict"]["sentence"] in page.text
    assert page.text.index(document["verdict"]["sentence"]) < page.text.index("Mean gain")
    assert f" {label.capitalize()} " in page.text


def test_findings_lead():
    text = Page(render("findings")).text
    assert text.index("Shrinkage") < text.index("Regression") < text.index("○ Inconclusive")


def test_sections_of_absent_keys_are_left_out():
    ids = Page(render("support")).values("id")
    assert {"reach", "prompts", "checks", "frame", "guide"} <= set(ids)
    assert not {"gain", "share", "by-k-probe", "energy"} & set(ids)
    assert "candidate" not in Page(render("support")).text.split("How to read this")[0]


def test_undefined_terms_say_why():
    text = Page(render("truncated")).text
    assert "Not defined: truncated support" in text
    assert "the gain of the prompts that are not lost is not positive" in Page(render("without gain")).text


def test_the_frame_is_printed():
    text = Page(render("mixed")).text
    for shown in ("tiny-base", "tiny-grpo", "efefefefefef", "exact/1", "K_probe 256", "seed 7", "0.7"):
        assert shown in text
    assert r'"\n\n"' in text


def test_a_log_is_shown_with_the_law_it_was_drawn_by():
    document, rows = capability("mixed", [])
    law = {"temperature": 0.35, "top_k": 0, "top_p": 0.85, "min_p": 0.0, "max_new_tokens": 8, "stop": []}
    document["frame"]["reference"]["policy"] = law
    text = Page(render_report(document, rows, title="logs")).text
    assert "temperature 0.35, top_k 0 (off), top_p 0.85, min_p 0 (off)" in text
    assert "Drawn by" in text
    assert "Drawn by" not in Page(render("mixed")).text


def test_evidence_and_confirmations_are_there():
    text = Page(render("creation")).text
    assert "reference at K = 256: out, counts, 0 of 512 samples, log e-value 5.1 nats" in text
    assert "candidate's success above the chance floor" in text
    assert "not reached by this reference under this policy, signal and budget" in text


def test_nulls_and_checks_say_passed_or_failed():
    text = Page(render("mixed")).text
    for shown in ("A/A ✓ passed", "Tilt – not run", "Planted ✗ failed", "tilt + drift + escape = KL"):
        assert shown in text


def test_a_failed_blocking_check_is_not_a_mere_note():
    document, rows = capability("inconclusive")
    document["free_energy"]["closure"][1]["passed"] = False
    text = Page(render_report(document, rows, title="A run")).text
    assert "1 of 2 blocking checks hold" in text
    assert "sum_identity ✗ failed" in text


def test_k_probe_beyond_the_curve_is_said():
    document, rows = capability("mixed")
    document["frame"]["budget"]["k_probe"] = 1024
    text = Page(render_report(document, rows, title="A run")).text
    assert "K_probe = 1,024 lies beyond the 512 samples a prompt" in text


def test_a_partial_result_says_so():
    document, rows = capability("mixed")
    document["partial"] = True
    assert "partial result" in Page(render_report(document, rows, title="A run")).text


def test_a_result_without_prompts_still_renders():
    document, _ = support_only()
    document["support"]["reference"] |= {"pass_at_k": [], "coverage": [], "outcomes": {}}
    assert "A run" in Page(render_report(document, [], title="A run")).text


def test_rendering_changes_nothing_and_is_repeatable():
    document, rows = capability("mixed")
    before = repr((document, rows))
    assert render_report(document, rows, title="A") == render_report(document, rows, title="A")
    assert repr((document, rows)) == before


def test_an_untitled_analysis_has_a_title():
    assert "Untitled analysis" in render("mixed", title="\u202e\x00")


def test_the_weights_behind_a_price_are_told():
    document, rows = capability("elicitation")
    weights = {"draws": 128, "successes": 40, "ess": 6.25, "largest_share": 0.31, "log_spread": 3.4}
    rows[1]["weights"] = weights | {"log_range": 9.0, "pareto_k": 0.84, "status": "unreliable"}
    rows[1]["weights"]["reason"] = "log-spread 3.4 nats above 3"
    rows[2]["weights"] = weights | {"successes": 0, "largest_share": None, "pareto_k": None}
    text = Page(render_report(document, rows, title="A run")).text
    assert (
        "40 successes of 128 draws are worth 6.2; the heaviest carries 31% of the weight, log-weights spread "
        "by 3.40 nats, Pareto k 0.84: unreliable, for log-spread 3.4 nats above 3" in text
    )
    assert "no success has a chance under it" in text


def test_a_price_that_cannot_be_relied_on_says_so_beside_the_number():
    document, rows = capability("elicitation")
    rows[1]["reference"]["price"] |= {"status": "unreliable", "reason": "conditional on what was visited"}
    page = Page(render_report(document, rows, title="A run"))
    assert page.text.count("unreliable: conditional on what was visited") == 2  # a footnote, and the evidence
    cells = [text.strip() for text in page.texts]
    assert cells.count("unreliable") == 1

"""Reports of analyses of demonstrations: they open with how near both models are, and tell copies later."""

import re

import pytest
from planted import PlantedPrompt, law_with, planted_run
from test_html import Page

from workers.reports.html import render_report

BUDGET = {"k_use": 4, "k_probe": 16, "samples_per_prompt": 32, "max_samples_per_prompt": 32}
COPIES = "How often a sample is a demonstration"


def found_of(*, taught):
    """Two texts of a hundred that the candidate learnt and the reference seldom writes."""
    p, q, teacher = (law_with({"00": share, "11": share}) for share in (0.02, 0.4, 0.45))
    prompts = [
        PlantedPrompt(f"p{i}", p, q, demonstrations=("00", "11"), teacher=teacher if taught else None)
        for i in range(3)
    ]
    return planted_run(prompts, budget=BUDGET, policy={"max_new_tokens": 8}).run()


@pytest.fixture(scope="module", params=[True, False], ids=["taught", "alone"])
def told(request):
    found = found_of(taught=request.param)
    return request.param, found, render_report(found.document, found.rows, title="shown")


def test_it_opens_with_the_cross_entropy(told):
    """-log 0.4 = 0.916 and -log 0.02 = 3.91 nats, by hand."""
    taught, _, html = told
    text = Page(html).text
    opening = text[: text.index("How near both models are")]
    assert "cost the candidate 0.916 nats a text and the reference 3.91" in opening
    assert ("from the teacher, the reference" in opening) == taught
    assert ("KL to the teacher, candidate" in opening) == taught
    assert "Change of the cross-entropy" in opening
    assert "Atypical for the reference" in opening
    assert "Success" not in opening


def test_copies_are_told_after_what_matters(told):
    _, _, html = told
    heads = re.findall(r"<h2>(.*?)</h2>", html)
    near, spent, copies = (
        heads.index(head)
        for head in (
            "How near both models are to the demonstrations",
            "What the distance was spent on",
            COPIES,
        )
    )
    assert near < spent < copies
    assert html.index(COPIES) < html.index("<h3>pass@k</h3>")
    assert "What each side reaches" not in heads


def test_each_demonstration_is_told_with_its_prompt(told):
    _, found, html = told
    text = Page(html).text
    assert text.count("Demonstration 1, 3 tokens: price in nats") == len(found.rows)
    assert text.count("typicality for the reference") >= 2 * len(found.rows)


def test_reasons_are_told_once(told):
    taught, _, html = told
    text = Page(html).text
    assert text.count("no log-probability of the demonstrations under the law") == (0 if taught else 1)


def test_without_scores_of_the_candidate_it_says_why():
    found = found_of(taught=False)
    entropy = found.document["demonstrations"]["cross_entropy"]
    for name in ("candidate", "change"):
        entropy[name] |= dict.fromkeys(("value", "std_error", "ci_low", "ci_high"))
        entropy[name] |= {"status": "undefined", "reason": "the candidate did not score"}
    text = Page(render_report(found.document, found.rows, title="shown")).text
    assert "What the candidate made of the demonstrations has no number here: the candidate did not" in text

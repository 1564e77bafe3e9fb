"""The report of a trajectory, from a run of the real pipelines."""

import re

import pytest
from hand_made import HOSTILE, HOSTILE_SHOWN
from markupsafe import escape
from planted import planted_checkpoints, planted_run

from workers.reports.along_training import last_rows, shrinkage_sentence, trajectory
from workers.reports.html import render_report

BUDGET = {"samples_per_prompt": 32, "max_samples_per_prompt": 512, "k_probe": 16}
CHANCES = [(0.2, (0.2, 0.9, 0.9))] * 10 + [(0.6, (0.6, 0.6, 0.0))] * 2


@pytest.fixture(scope="module")
def found():
    prompts = [planted_checkpoints(f"p{i}", a, bs) for i, (a, bs) in enumerate(CHANCES)]
    findings = planted_run(prompts, budget=BUDGET).run()
    return findings.document, findings.rows


def test_every_checkpoint_is_on_every_line_and_in_the_table(found):
    document, rows = found
    page = render_report(document, rows, title="run")
    section = page[page.index('<section id="training">') : page.index('<section id="reach">')]
    assert section.count('class="strip-mark') == 3
    names = [name for name, _ in trajectory(document).gain.lines]
    assert names == ["Gain", "Elicited", "Lost"]
    assert len(re.findall(r'<circle[^>]*class="mark training total"', section)) == 3 + 1  # one in the legend
    for one in document["checkpoints"]:
        assert f'<th scope="row">{one["candidate"]}</th>' in section
    assert "checkpoint 2" in page
    assert "3 checkpoints against reference" in page


def test_the_sentence_says_from_where_on_prompts_are_lost(found):
    document, rows = found
    assert document["first_shrinkage"]["checkpoint"] == 2
    assert "certified from candidate:2, step 20, on" in shrinkage_sentence(document)
    page = render_report(document, rows, title="run")
    assert "Inconclusive from 0 on, then elicitation from 10 on." in page
    none = shrinkage_sentence({**document, "first_shrinkage": None})
    assert "certified at none of 3 checkpoints" in none


def test_the_table_of_prompts_is_the_last_checkpoints(found):
    document, rows = found
    kept = last_rows(document, rows)
    assert [row["prompt_id"] for row in kept] == [f"p{i}" for i in range(12)]
    assert {row["checkpoint"] for row in kept} == {2}
    assert "12 prompts at checkpoint 20, the last" in render_report(document, rows, title="run")


def test_one_checkpoint_and_absent_terms_still_draw(found):
    document, rows = found
    first = {**document["checkpoints"][0]}
    for name in ("verdict", "gain", "free_energy"):
        first.pop(name)
    page = render_report({**document, "checkpoints": [first]}, rows, title="run")
    assert "no verdict" in page
    alone = {**document, "checkpoints": [document["checkpoints"][1]]}
    assert 'cx="50%"' in render_report(alone, rows, title="run")


def test_names_are_text(found):
    document, rows = found
    named = [{**one, "candidate": HOSTILE, "step": None} for one in document["checkpoints"]]
    page = render_report({**document, "checkpoints": named}, rows, title="run")
    assert "<script>alert" not in page
    assert str(escape(HOSTILE_SHOWN)) in page

"""Reports of results that the real pipelines made from tiny models."""

import pytest
from local_run import LocalRun, request
from test_html import Page
from tiny_models import build_tiny_model

from workers.reports.html import render_report

PROMPTS = [
    {"id": f"p{i}", "prompt": prompt, "answer": answer}
    for i, (prompt, answer) in enumerate([("ab", "a"), ("ba", "c"), ("cd", "b"), ("dd", "d")])
]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {
        "reference": build_tiny_model(folder / "a", seed=1, vocabulary="abcd"),
        "candidate": build_tiny_model(folder / "b", seed=2, vocabulary="abcd"),
    }


BUDGET = {"k_use": 4, "k_probe": 8, "samples_per_prompt": 16, "max_samples_per_prompt": 64}


@pytest.mark.parametrize(
    ("kind", "candidate", "policy"),
    [
        ("capability", True, {}),
        ("capability", True, {"top_k": 2}),
        ("free_energy", True, {}),
        ("support", True, {}),
        ("support", False, {}),
    ],
)
def test_the_pipelines_results_render(models, kind, candidate, policy):
    folders = models if candidate else {"reference": models["reference"]}
    spec = request(
        PROMPTS, candidate=candidate, kind=kind, policy={"max_new_tokens": 3, **policy}, budget=BUDGET
    )
    findings = LocalRun(spec, folders).run()
    page = Page(render_report(findings.document, findings.rows, title="tiny"))
    assert ("verdict" in findings.document) == (kind == "capability")
    for row in findings.rows:
        assert row["prompt_id"] in page.text
        for line in row["evidence"]:
            assert " ".join(line.split()) in page.text
    assert "NaN" not in page.text

"""The report's and the terminal's table of arms, of a planted run."""

import io

from planted import bernoulli_law, planted, planted_run
from rich.console import Console
from test_html import Page

from tiltscope.summary import summarise
from workers.reports.arms import arms
from workers.reports.html import render_report

HOT = {"name": "hot", "role": "elicitation", "policy": {"temperature": 1.5}}
HINT = {"name": "hint", "role": "assisted", "prefix": "Think. "}


def test_every_arm_has_a_line_with_what_differs_and_what_it_reached():
    answer = planted("p", 1e-9, 0.9).answers[0]
    prompts = [planted("p", 1e-9, 0.9, arms={"arm:hot": bernoulli_law(0.6, answer)})]
    found = planted_run(prompts, arms=[HOT, HINT], budget={"k_probe": 16, "samples_per_prompt": 32}).run()
    hot, hint = arms(found.document)
    assert (hot.differs, hot.drawn, hot.reached, hot.out) == (
        "temperature 1.5",
        "32 samples of 1 prompt",
        1,
        0,
    )
    assert (hint.differs, hint.drawn) == ("a prefix", "not drawn")
    text = Page(render_report(found.document, found.rows, title="arms")).text
    assert "Arms of the reference" in text
    assert "temperature 1.5" in text
    console = Console(file=io.StringIO(), width=100)
    summarise(console, {"kind": "capability", "name": "arms", "id": "x"}, found.document)
    printed = console.file.getvalue()
    assert "Arms of the reference" in printed
    assert "elicitation" in printed

"""The shipped requests about demonstrations, through the whole service on the shipped models."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from exact_world import exact_prompts

from workers.engines.loading import load_engine
from workers.pipelines.spec import AnalysisSpec

EXAMPLES = Path(__file__).parents[2] / "examples"
PARTS = ("reference", "candidate", "teacher")


def test_the_shipped_models_against_their_enumerated_laws(stack):
    """The example request on its first prompts, with completions short enough to enumerate."""
    body = json.loads((EXAMPLES / "requests" / "teacher.json").read_text())
    for prompt in (prompts := body["prompts"]["inline"][:3]):
        prompt["demonstrations"] = [{"text": "4"}, {"text": "<guess>7"}]
    body |= {"prompts": {"inline": prompts}, "policy": {"max_new_tokens": 3}}
    analysis = stack.submit(body)
    found = stack.findings(analysis)
    spec = AnalysisSpec.from_request(stack.analysis(analysis)["spec"])
    base, tuned, teacher = (load_engine(EXAMPLES / "models" / body[who]["model"]) for who in PARTS)
    to = found.document["demonstrations"]["kl_to_teacher"]
    for side, engine in (("reference", base), ("candidate", tuned)):
        exact = [prompt.kl for prompt in exact_prompts(spec, teacher, engine)]
        for row, value in zip(found.rows, exact, strict=True):
            one, unseen = row["kl_to_teacher"][side], 1e-3 * value
            # These models are peaked: what 128 draws do not show is less than a thousandth of the KL.
            assert one["ci_low"] - unseen <= value <= one["ci_high"] + unseen
        assert to[side]["value"] == pytest.approx(np.mean(exact), rel=0.01)
    # Fine-tuning on computed sums came nearer to the reinforced model.
    assert to["change"]["ci_high"] < 0


def test_the_shipped_example_succeeds_as_often_as_its_prices_say(stack):
    """`<compute>` is a special token: no text shows it, and its demonstrations are met all the same.

    One demonstration a prompt, and one EOS: the chance of success is exp(-price) of what is scored.
    """
    body = json.loads((EXAMPLES / "requests" / "teacher.json").read_text())
    found = stack.findings(stack.submit(body))
    for side, least in (("reference", 0.01), ("candidate", 0.5)):
        exact = np.mean([math.exp(-row["demonstrations"][0]["price"][side]["value"]) for row in found.rows])
        seen = found.document["support"][side]["success"]
        assert seen["value"] > least
        assert abs(seen["value"] - exact) < 4 * seen["sampling_std_error"]

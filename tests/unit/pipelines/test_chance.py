import pyarrow as pa
import pytest
from local_run import request

from workers.pipelines import chance
from workers.pipelines.chance import chance_floors
from workers.pipelines.spec import AnalysisSpec
from workers.pipelines.tables import SAMPLES, together


def samples(*rows):
    """Rows of (stream, prompt, index, text)."""
    table = [
        {
            "prompt_index": p,
            "prompt_id": str(p),
            "stream": s,
            "stream_key": "k",
            "index": i,
            "token_ids": [1],
            "logprobs": [0.0],
            "finish_reason": "eos",
            "text": text,
        }
        for s, p, i, text in rows
    ]
    return together([pa.Table.from_pylist(table, schema=SAMPLES)], SAMPLES)


def spec(*answers, pilot=2):
    prompts = [{"id": str(i), "prompt": str(i), "answer": a} for i, a in enumerate(answers)]
    return AnalysisSpec.from_request(request(prompts, budget={"samples_per_prompt": pilot}))


def test_the_floor_counts_pilot_samples_of_the_other_prompts_candidate():
    table = samples(
        ("candidate", 0, 0, "7"),  # its own: not counted
        ("candidate", 1, 0, "7"),
        ("candidate", 1, 1, "8"),
        ("candidate", 1, 2, "7"),  # top-up: not counted
        ("candidate", 2, 0, "9"),
        ("candidate", 2, 1, "7"),
        ("reference", 1, 0, "7"),  # the reference: not counted
    )
    assert chance_floors(spec("7", "8", "9"), table, [0]) == {0: 2 / 4}
    assert chance_floors(spec("7", "8", "9"), table, [0, 2]) == {0: 0.5, 2: 0.0}


def test_a_lone_prompt_has_no_floor():
    assert chance_floors(spec("7"), samples(("candidate", 0, 0, "7")), [0]) == {}


def test_nothing_wanted_is_nothing_done():
    assert chance_floors(spec("7", "8"), SAMPLES.empty_table(), []) == {}


def test_which_texts_are_judged_does_not_depend_on_the_order_of_prompts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(chance, "MAX_TEXTS", 1)
    one = samples(("candidate", 0, 0, "7"), ("candidate", 1, 0, "5"), ("candidate", 2, 0, "7"))
    other = samples(("candidate", 0, 0, "7"), ("candidate", 1, 0, "7"), ("candidate", 2, 0, "5"))
    found = [chance_floors(spec("7", "8", "9"), table, [0]) for table in (one, other)]
    assert found[0] == found[1] == {0: 0.0}

from dataclasses import replace

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from local_run import request

from workers.pipelines.judge import REPORT_EVERY
from workers.pipelines.spec import AnalysisSpec
from workers.pipelines.tables import SAMPLES
from workers.pipelines.verify import judged_text, verify_samples


@pytest.mark.parametrize(
    ("text", "finish", "stops", "judged"),
    [
        ("42\nmore", "stop", ("\n",), "42"),
        ("42", "eos", ("4",), "42"),
        ("4242", "length", ("2",), "4242"),
        ("a##b\nc", "stop", ("\n", "##"), "a"),
        ("a\nb##c", "stop", ("##", "\n"), "a"),
        ("42", "stop", ("\n",), "42"),
        ("\n42", "stop", ("\n",), ""),
    ],
)
def test_a_verifier_sees_what_precedes_the_first_stop(text, finish, stops, judged):
    assert judged_text(text, finish, stops) == judged


@given(st.text("ab;", max_size=8), st.lists(st.text("ab;", min_size=1, max_size=2), max_size=3))
def test_no_stop_string_is_left(text, stops):
    judged = judged_text(text, "stop", tuple(stops))
    assert text.startswith(judged)
    assert not any(stop in judged for stop in stops)


def samples(*rows):
    """Rows of (prompt, text, finish)."""
    return pa.Table.from_pylist(
        [
            {
                "prompt_index": p,
                "prompt_id": str(p),
                "stream": "reference",
                "stream_key": "k",
                "index": i,
                "token_ids": [1],
                "logprobs": [0.0],
                "finish_reason": finish,
                "text": text,
            }
            for i, (p, text, finish) in enumerate(rows)
        ],
        schema=SAMPLES,
    )


def spec(**changes):
    prompts = [{"id": "a", "prompt": "x", "answer": "42"}, {"id": "b", "prompt": "y", "answers": ["7", "07"]}]
    return AnalysisSpec.from_request(request(prompts, **changes))


def test_each_sample_is_judged_by_its_own_prompt_in_its_own_order():
    table = verify_samples(
        spec(policy={"stop": ["\n"]}),
        samples(
            (1, "7", "eos"), (0, "7", "eos"), (0, " 42 \nx", "stop"), (0, "4", "length"), (1, "07", "length")
        ),
        lambda _: None,
    )
    assert table["outcome"].to_pylist() == ["correct", "incorrect", "correct", "truncated", "correct"]
    assert table["reward"].to_pylist() == [1, 0, 1, 0, 1]
    assert table["index"].to_pylist() == [0, 1, 2, 3, 4]
    assert table["prompt_index"].to_pylist() == [1, 0, 0, 0, 1]


def shown(*texts, ids):
    """One prompt with these demonstrations, their token ids known."""
    prompt = {"id": "a", "prompt": "x", "demonstrations": [{"text": text} for text in texts]}
    signal = {"kind": "demonstrations"}
    plain = AnalysisSpec.from_request(request([prompt], kind="free_energy", signal=signal))
    key = replace(plain.prompts[0].key, demonstration_ids=ids)
    return replace(plain, prompts=(replace(plain.prompts[0], key=key),))


@pytest.mark.parametrize(
    ("ids", "text", "finish", "outcome"),
    [
        ([7, 2, 3, 1], "42", "eos", "correct"),  # 7 is a special token, which the text leaves out
        ([2, 3, 1], "42", "eos", "incorrect"),  # the same text, without it
        ([7, 2, 3, 9], "42", "eos", "correct"),  # another end of the same model
        ([8, 1], "42!", "eos", "correct"),
        ([7, 2], "4", "length", "truncated"),
        ([7, 2, 3], "42", "length", "correct"),
        ([7, 2, 1], "4", "eos", "incorrect"),
        ([2, 3], "42", "length", "incorrect"),
        ([7, 2, 3, 5], "42x", "stop", "incorrect"),  # a stop may split a token: judged by its text
    ],
)
def test_a_demonstration_is_known_by_its_tokens(ids, text, finish, outcome):
    table = samples((0, text, finish))
    place = table.schema.get_field_index("token_ids")
    table = table.set_column(place, table.schema.field("token_ids"), pa.array([ids], pa.list_(pa.int32())))
    by_ids = shown("<s>42", "42!", ids=((7, 2, 3), (8,)))
    assert verify_samples(by_ids, table, lambda _: None)["outcome"].to_pylist() == [outcome]


def test_where_no_ids_are_known_its_text_decides():
    table = samples((0, " 42", "eos"), (0, "4", "length"), (0, "<s>42", "eos"))
    judged = verify_samples(shown("<s>42", "42", ids=None), table, lambda _: None)
    assert judged["outcome"].to_pylist() == ["correct", "truncated", "correct"]


def test_progress_is_reported_now_and_then():
    told = []
    verify_samples(spec(), samples(*[(0, "42", "eos")] * (2 * REPORT_EVERY + 1)), told.append)
    assert told == [REPORT_EVERY, 2 * REPORT_EVERY]


def test_equal_texts_that_ended_otherwise_are_judged_apart():
    table = verify_samples(
        spec(policy={"stop": ["2"]}),
        samples((0, "42", "eos"), (0, "42", "stop"), (0, "4", "length"), (0, "4", "eos"), (0, "42", "eos")),
        lambda _: None,
    )
    assert table["outcome"].to_pylist() == ["correct", "incorrect", "truncated", "incorrect", "correct"]

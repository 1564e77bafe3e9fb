import json

import pytest

from tiltscope import UsageError
from tiltscope.requests import analysis_request, keep_first, read_prompts


def test_prompts_are_json_lines_and_blank_lines_are_nothing(tmp_path):
    file = tmp_path / "p.jsonl"
    file.write_text('{"id": "a"}\n\n{"id": "b"}\n')
    assert [prompt["id"] for prompt in read_prompts(file)] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"id": "a"}\n{"id": \n', r"p.jsonl:2 is not JSON"),
        ("[1]\n", r"p.jsonl:1 is no JSON object"),
        ("", "no prompts"),
    ],
)
def test_a_bad_line_is_named(tmp_path, text, message):
    file = tmp_path / "p.jsonl"
    file.write_text(text)
    with pytest.raises(UsageError, match=message):
        read_prompts(file)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match="cannot read"):
        read_prompts(tmp_path / "none.jsonl")


def test_names_files_and_lists_make_a_request(tmp_path):
    file = tmp_path / "p.jsonl"
    prompt = {"id": "a", "prompt": "x", "answer": "y"}
    file.write_text(json.dumps(prompt))
    body = analysis_request(reference="base", candidate="tuned", prompts=str(file), seed=None, name="n")
    assert body == {
        "kind": "capability",
        "reference": {"source": "model", "model": "base"},
        "candidate": {"source": "model", "model": "tuned"},
        "prompts": {"inline": [prompt]},
        "signal": {"kind": "exact"},
        "name": "n",
    }
    alone = analysis_request(reference="base", prompts=[prompt], signal={"kind": "regex"})
    assert (alone["kind"], alone["signal"]) == ("support", {"kind": "regex"})


def test_ids_of_imports_and_data_sets_are_known_by_their_form():
    body = analysis_request(reference="imp_01J", candidates=["a", {"source": "endpoint"}], prompts="ds_01J")
    assert body["kind"] == "trajectory"
    assert body["reference"] == {"source": "import", "import": "imp_01J"}
    assert body["candidates"] == [{"source": "model", "model": "a"}, {"source": "endpoint"}]
    assert "teacher" not in body
    assert analysis_request(reference="a", teacher="b")["teacher"] == {"source": "model", "model": "b"}
    assert body["prompts"] == {"dataset": "ds_01J"}


def test_a_limit_keeps_the_first_prompts_and_cuts_no_data_set():
    body = {"prompts": {"inline": [1, 2, 3]}}
    keep_first(body, 2)
    assert body["prompts"]["inline"] == [1, 2]
    with pytest.raises(UsageError, match="stay whole"):
        keep_first({"prompts": {"dataset": "ds_1"}}, 2)

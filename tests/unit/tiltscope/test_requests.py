import json

import pytest

from tiltscope.requests import UsageError, from_options, keep_first, read_prompts


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


def test_options_make_a_request(tmp_path):
    file = tmp_path / "p.jsonl"
    file.write_text(json.dumps({"id": "a", "prompt": "x", "answer": "y"}))
    body = from_options(reference="base", candidate="tuned", prompts=file, kind=None, signal="exact")
    assert body["kind"] == "capability"
    alone = from_options(
        reference="base", candidate=None, prompts=file, kind=None, signal='{"kind": "regex"}'
    )
    assert (alone["kind"], alone["signal"]) == ("support", {"kind": "regex"})
    with pytest.raises(UsageError, match="--reference and --prompts"):
        from_options(reference=None, candidate=None, prompts=file, kind=None, signal="exact")


def test_a_limit_keeps_the_first_prompts():
    body = {"prompts": {"inline": [1, 2, 3]}}
    keep_first(body, 2)
    assert body["prompts"]["inline"] == [1, 2]

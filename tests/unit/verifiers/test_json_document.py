import json

import pytest

from service.analyses.schema_checks import schema_fault

YEAR = {"type": "object", "properties": {"year": {"type": "integer"}}, "required": ["year"]}
SIGNAL = {"kind": "json_schema", "json_schema": YEAR}


@pytest.mark.parametrize(
    ("text", "finish", "expected"),
    [
        ('{"year": 1969}', "eos", "correct"),
        ('```json\n{"year": 1969}\n```', "eos", "correct"),
        ('{"year": "1969"}', "eos", "incorrect"),
        ("{}", "length", "incorrect"),
        ('{"year": 19', "length", "truncated"),
        ('{"year": 19', "eos", "unparsed"),
        ('{"year": NaN}', "eos", "unparsed"),
        ("[" * 100_000, "eos", "unparsed"),
    ],
)
def test_outcomes(judged, text, finish, expected):
    assert judged(SIGNAL, text, (), finish).outcome == expected


def test_why_it_does_not_hold_is_told(judged):
    assert judged(SIGNAL, '{"year": "x"}').detail == "$.year: type does not hold"


def test_a_prompts_answers_are_its_schemas(judged):
    answers = [json.dumps({"type": "integer"}), json.dumps({"type": "null"})]
    found = [judged({"kind": "json_schema"}, text, answers).outcome for text in ("1", "null", '"a"')]
    assert found == ["correct", "correct", "incorrect"]


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "https://example.com/schema.json"},
        {"$ref": "file:///etc/passwd"},
        {"properties": {"a": {"$ref": "other.json#/x"}}},
        {"type": "string", "pattern": "(?=a)"},
        {"patternProperties": {"(a)\\1": {}}},
        {"type": "nonsense"},
        {"minimum": "1"},
        {"enum": ["x" * 30_000]},
    ],
)
def test_a_schema_that_cannot_be_used_is_refused_at_the_gate(schema):
    assert schema_fault(schema)


def test_a_reference_inside_the_schema_holds(judged):
    schema = {"$defs": {"n": {"type": "integer"}}, "$ref": "#/$defs/n"}
    assert schema_fault(schema) is None
    signal = {"kind": "json_schema", "json_schema": schema}
    assert [judged(signal, text).outcome for text in ("1", '"1"')] == ["correct", "incorrect"]


def test_nothing_outside_is_fetched_even_past_the_gate(judged, tmp_path):
    (tmp_path / "any.json").write_text("{}")
    signal = {"kind": "json_schema", "json_schema": {"$ref": f"file://{tmp_path}/any.json"}}
    judgement = judged(signal, "{}")
    assert judgement.outcome == "verifier_error"
    assert "not in it" in judgement.detail


def test_a_pattern_that_backtracks_elsewhere_is_linear(judged):
    signal = {"kind": "json_schema", "json_schema": {"type": "string", "pattern": "^(a+)+$"}}
    assert judged(signal, json.dumps("a" * 100_000 + "b")).outcome == "incorrect"


def test_a_schema_that_calls_itself_ends(judged):
    endless = {"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"}
    signal = {"kind": "json_schema", "json_schema": endless}
    assert judged(signal, "1").outcome == "verifier_error"
    assert judged(SIGNAL, '{"year": 1}').outcome == "correct"

"""What is generated is what is committed."""

from pathlib import Path

import pytest

from service.client import documents, twins
from service.client.contract import Contract, annotation

PACKAGE = Path(__file__).parents[3] / "tiltscope"
HOW = "it is generated: `make openapi` writes it anew"


def test_the_typed_documents_follow_the_committed_contract():
    for name, text in documents.modules(PACKAGE.parent / "docs" / "openapi.json").items():
        assert (PACKAGE / name).read_text(encoding="utf-8") == text, f"{name}: {HOW}"


def test_the_blocking_client_follows_the_asynchronous_one():
    generated = twins.modules(PACKAGE)
    for name, text in generated.items():
        assert (PACKAGE / name).read_text(encoding="utf-8") == text, f"{name}: {HOW}"
    there = {file.name for file in (PACKAGE / "synchronous").glob("*.py")} - {"__init__.py"}
    assert there == {Path(name).name for name in generated}


@pytest.mark.parametrize("word", ["async", "await", "asyncio", "aiter", "__a"])
def test_nothing_asynchronous_is_left_in_the_blocking_client(word):
    for file in (PACKAGE / "synchronous").glob("*.py"):
        lines = file.read_text().splitlines()[1:]
        assert not [line for line in lines if word in line.lower().replace("tiltscope/asynchronous", "")]


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"$ref": "#/components/schemas/Prompt-Input"}, "Prompt"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "str | None"),
        ({"type": ["integer", "null"]}, "int | None"),
        ({"enum": ["a", "b"], "type": "string"}, "Literal['a', 'b']"),
        ({"const": "x", "type": "string"}, "Literal['x']"),
        ({"type": "array", "items": {"type": "number"}}, "list[float]"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, "dict[str, int]"),
        ({"type": "object", "additionalProperties": True}, "dict[str, Any]"),
        ({"type": "object", "patternProperties": {"^x$": {"type": "string"}}}, "dict[str, str]"),
        ({}, "Any"),
    ],
)
def test_a_schema_has_its_type(schema, expected):
    assert annotation(schema, open_enums=False) == expected


def test_answers_accept_words_of_a_later_version():
    assert annotation({"enum": ["a"]}, open_enums=True) == "Literal['a'] | str"


def test_an_unknown_schema_is_refused_and_not_guessed():
    with pytest.raises(NotImplementedError):
        annotation({"type": "tuple"}, open_enums=True)


def test_a_schema_comes_after_what_it_refers_to():
    contract = Contract.load(PACKAGE.parent / "docs" / "openapi.json")
    names = list(contract.responses())
    assert names.index("Estimate") < names.index("CreationShare") < names.index("Verdict")
    assert "AnalysisRequest" not in names
    assert "ResultDocument" not in contract.requests()

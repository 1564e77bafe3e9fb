import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import InvalidJson
from service.strict_json import parse

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=20,
)


def read(body: bytes, *, max_depth: int = 8, max_faults: int = 10) -> Any:
    return parse(body, max_depth=max_depth, max_faults=max_faults)


def faults(body: bytes) -> list[tuple[str | None, str]]:
    with pytest.raises(InvalidJson) as caught:
        read(body)
    return [(fault.pointer, fault.detail) for fault in caught.value.errors]


@given(documents, st.booleans())
def test_plain_documents_are_read_as_json_reads_them(document: Any, ascii: bool) -> None:
    body = json.dumps(document, ensure_ascii=ascii).encode()
    assert parse(body, max_depth=100, max_faults=10) == json.loads(body)


@pytest.mark.parametrize(
    ("body", "pointer", "says"),
    [
        (b'{"a": 1, "a": 1}', "/a", "twice"),
        (b'[{"a": {"b": 1, "c": 2, "b": 3}}]', "/0/a/b", "twice"),
        (b'{"x": [0, NaN]}', "/x/1", "NaN is not JSON"),
        (b'{"x": -Infinity}', "/x", "-Infinity is not JSON"),
        (b'{"x": 1e400}', "/x", "larger than a double"),
        (b'{"a/b": {"~": 1e400}}', "/a~1b/~0", "larger than a double"),
        (b'["\\ud83d"]', "/0", "surrogate"),
        (b'{"\\udc00": 1}', "", "surrogate"),
        (b'{"x": "a\\u0000b"}', "/x", "U+0000"),
        (b'{"x": ' + b"9" * 41 + b"}", "/x", "digits"),
        (b"[[[[[[[[[0]]]]]]]]]", "/0/0/0/0/0/0/0/0", "deeper than 8"),
    ],
)
def test_what_parsers_read_differently_is_refused_with_its_place(
    body: bytes, pointer: str, says: str
) -> None:
    [(found, detail)] = faults(body)
    assert found == pointer
    assert says in detail


def test_a_full_surrogate_pair_is_one_character() -> None:
    assert read(b'"\\ud83d\\ude00"') == "\U0001f600"


def test_the_deepest_allowed_document_is_read() -> None:
    assert read(b"[[[[[[[[0]]]]]]]]") == [[[[[[[[0]]]]]]]]


def test_faults_come_in_document_order_and_are_capped() -> None:
    body = json.dumps([[float("nan")] * 30]).encode()
    assert [pointer for pointer, _ in faults(body)] == [f"/0/{i}" for i in range(10)]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "character 1"),
        (b'{"a": 1,}', "line 1, column 9"),
        (b'{"a": 1} x', "Extra data"),
        (b'{"a": "\xff"}', "byte 7"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
        (b"[" * 1_000_000, "deeper"),
        (b'{"a":' * 100_000, "deeper"),
    ],
)
def test_what_is_no_json_is_refused_with_the_offset(body: bytes, says: str) -> None:
    with pytest.raises(InvalidJson, match=says):
        read(body)

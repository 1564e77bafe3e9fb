import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.csv_text import FORMULA_STARTS, csv_chunks


def parsed(columns, rows):
    text = b"".join(csv_chunks(columns, rows)).decode()
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("start", FORMULA_STARTS)
def test_what_a_spreadsheet_would_run_is_text(start):
    for text in (f"{start}HYPERLINK(1)", f"  {start}1"):
        assert parsed(["a"], [{"a": text}])[1] == [f"'{text}"]


def test_numbers_stay_numbers():
    assert parsed(["a", "b", "c"], [{"a": -1.5, "b": 7, "c": True}])[1] == ["-1.5", "7", "true"]


def test_what_is_missing_is_empty():
    assert parsed(["a", "b"], [{"a": None}, {"b": "x"}]) == [["a", "b"], ["", ""], ["", "x"]]


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8), max_size=5
    )
)
def test_texts_come_back_apart_from_the_mark(texts):
    rows = parsed(["n", "a"], [{"n": "-", "a": text} for text in texts])[1:]
    assert [row[1].removeprefix("'") for row in rows] == [text.removeprefix("'") for text in texts]
    assert not any(row[1].lstrip(" ").startswith(FORMULA_STARTS) for row in rows)

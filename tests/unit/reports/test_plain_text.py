import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.reports.plain_text import JOINERS, plain, plain_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bcreset", "reset"),
        ("a\u202egpj.exe", "agpj.exe"),
        ("\u2066x\u2069\u200e\u200f\u061c", "x"),
        ("a\x00b\x07c\x7f", "abc"),
        ("a\nb\t c\u2028d", "a b c d"),
        ("\ud800", ""),
        ("\ufeffbom\u200bzero", "bomzero"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("👩\u200d🔬", "👩\u200d🔬"),
        ("β‖ε é 漢字", "β‖ε é 漢字"),
        ("  ASCII   alone\x7f ", "ASCII alone"),
        (" ASCII   alone ~", "ASCII alone ~"),
    ],
)
def test_what_changes_how_a_page_reads_goes_and_the_rest_stays(text, shown):
    assert plain_text(text) == shown


@given(st.text())
def test_plain_text_is_one_line_of_printable_characters(text):
    shown = plain_text(text)
    assert all(unicodedata.category(c)[0] != "C" or c in JOINERS for c in shown)
    assert shown == plain_text(shown)
    shown.encode()


def test_plain_reaches_every_text_of_a_document():
    document = {"a\x00": ["b\x1b[1m", {"c": ("\u202ed", 1, None, True, 2.5)}]}
    assert plain(document) == {"a": ["b", {"c": ["d", 1, None, True, 2.5]}]}

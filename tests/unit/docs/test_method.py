"""The worked examples of the method page are what the code computes."""

import doctest
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[3] / "docs" / "method.md"


def test_every_worked_example_holds():
    found = doctest.testfile(str(PAGE), module_relative=False)
    assert found.attempted >= 30
    assert found.failed == 0


def test_a_wrong_number_would_be_noticed(tmp_path, capsys):
    page = PAGE.read_text().replace("0.0755", "0.0756")
    (tmp_path / "page.md").write_text(page)
    assert doctest.testfile(str(tmp_path / "page.md"), module_relative=False).failed == 1


@pytest.mark.parametrize("term", ["kl", "tilt", "drift", "escape", "certificate", "closure", "retention"])
def test_the_page_speaks_of_what_a_result_holds(term):
    assert term in PAGE.read_text().lower()

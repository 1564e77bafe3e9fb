"""The worked examples of the method page are what the code computes."""

import doctest
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[3] / "docs" / "method.md"


def test_every_worked_example_holds():
    found = doctest.testfile(str(PAGE), module_relative=False)
    assert found.attempted >= 100
    assert found.failed == 0


def test_a_wrong_number_would_be_noticed(tmp_path, capsys):
    page = PAGE.read_text().replace("0.0755", "0.0756")
    (tmp_path / "page.md").write_text(page)
    assert doctest.testfile(str(tmp_path / "page.md"), module_relative=False).failed == 1


RESULT_TERMS = [
    "kl",
    "kl_reverse",
    "kl_untruncated",
    "by_position",
    "truncated_support",
    "tilt",
    "drift",
    "strategy_level",
    "escape",
    "retreat",
    "certificate",
    "closure",
    "ladder_zero",
    "response",
    "heat",
    "thermodynamic",
    "retention",
    "srr",
    "ndr",
    "sds",
    "nscr",
    "novel",
    "unseen",
    "entropy",
    "audit",
    "success_step",
    "deciding_arm",
    "samples_to_settle",
    "by_k_probe",
    "shrinkage",
    "regression",
    "collapse",
    "drift_dominated",
    "format_repair",
]


@pytest.mark.parametrize("term", RESULT_TERMS)
def test_the_page_speaks_of_what_a_result_holds(term):
    assert term in PAGE.read_text().lower()

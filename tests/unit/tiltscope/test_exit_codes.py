import re
from pathlib import Path

from tiltscope import errors
from tiltscope.cli.gate import EXIT_CODES
from tiltscope.cli.main import HELP

DOCUMENTED = Path(__file__).parents[3] / "docs" / "cli.md"


def raised() -> set[int]:
    """Exit codes of every error there is, and of the gate."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    found = {kind.exit_code for kind in kinds if issubclass(kind, errors.TiltscopeError)}
    return found | set(EXIT_CODES.values())


def test_every_exit_code_is_documented_and_no_other() -> None:
    table = DOCUMENTED.read_text().partition("## Exit codes")[2].partition("\n## ")[0]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)} == raised()


def test_the_help_has_them_too() -> None:
    told = HELP.partition("Exit codes:")[2]
    assert {int(code) for code in re.findall(r"\b(\d+) [a-z]", told)} == raised()

"""What an installation keeps in a folder of its own."""

from pathlib import Path


def ledger_in(home: Path) -> str:
    """URL of the ledger of an installation that was told no other."""
    return f"sqlite:///{home / 'ledger.sqlite3'}"

"""Bring a database to the current schema: ``python -m ledger.migrate URL``."""

import sys

from ledger.database import migrate


def main() -> None:
    """Migrate the database named on the command line."""
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m ledger.migrate DATABASE_URL")
    migrate(sys.argv[1])


if __name__ == "__main__":
    main()

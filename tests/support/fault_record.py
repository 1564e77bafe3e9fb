"""What was done to the stacks of a test run and what came of it, as a table in the documentation."""

from collections import defaultdict
from dataclasses import dataclass, field, fields
from pathlib import Path

from fault_stack import Stack

BEGIN, END = "<!-- faults: written by `make faults` -->", "<!-- end of faults -->"
HEAD = [
    "| test | database | runs | faults | samples planned | listed as failed | lost | doubled |",
    "|---|---|---:|---:|---:|---:|---:|---:|",
]
RECOVERY = "Until a worker that does not poll took the next shard after Redis was back"


@dataclass
class Counts:
    """Sums over the runs of one test on one database."""

    runs: int = 0
    faults: int = 0
    planned: int = 0
    listed: int = 0
    lost: int = 0
    doubled: int = 0

    def cells(self) -> str:
        """As columns."""
        return " | ".join(str(getattr(self, column.name)) for column in fields(self))


@dataclass
class FaultRecord:
    """Counts by test and database, of this run and, for tests it did not include, of the last that did."""

    rows: dict[tuple[str, str], Counts] = field(default_factory=lambda: defaultdict(Counts))
    waits: list[float] = field(default_factory=list)

    def add(self, test: str, database: str, stack: Stack) -> None:
        """Take down what a stack went through."""
        counted = stack.tallied()
        row = self.rows[test.removeprefix("test_").replace("_", " "), database]
        row.runs += 1
        row.faults += stack.faults
        row.planned += counted.planned
        row.listed += counted.listed
        row.lost += counted.lost
        row.doubled += counted.doubled
        self.waits += stack.recoveries

    def write(self, page: Path, *, lease: float, tick: float) -> None:
        """Renew the table between the two marks of a page."""
        before, _, rest = page.read_text().partition(BEGIN)
        old, _, after = rest.partition(END)
        rows = self._earlier(old) | self.rows
        lines = HEAD + [f"| {name} | {where} | {rows[name, where].cells()} |" for name, where in sorted(rows)]
        total = Counts(*(sum(getattr(row, c.name) for row in rows.values()) for c in fields(Counts)))
        lines += [f"| **all** | | {total.cells()} |", "", self._recovery(old, lease, tick)]
        page.write_text(f"{before}{BEGIN}\n" + "\n".join(lines).rstrip() + f"\n{END}{after}")

    @staticmethod
    def _earlier(table: str) -> dict[tuple[str, str], Counts]:
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
        kept = [row for row in cells if len(row) == 8 and row[2].isdigit() and row[1]]
        return {(row[0], row[1]): Counts(*map(int, row[2:])) for row in kept}

    def _recovery(self, old: str, lease: float, tick: float) -> str:
        if not self.waits:
            return next((line for line in old.splitlines() if line.startswith(RECOVERY)), "")
        waits = sorted(self.waits)
        middle, longest = waits[len(waits) // 2], waits[-1]
        return (
            f"{RECOVERY} ({len(waits)} times): median {middle / lease:.1f}, at most {longest / lease:.1f} "
            f"leases of {lease:g} s ({longest / tick:.0f} ticks of {tick:g} s)."
        )

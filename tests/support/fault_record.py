"""What was done to the stacks of a test run and what came of it, as a table in the documentation."""

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from fault_stack import Stack

BEGIN, END = "<!-- faults: written by `make faults` -->", "<!-- end of faults -->"


@dataclass
class Row:
    """Sums over the runs of one test on one database."""

    runs: int = 0
    faults: int = 0
    planned: int = 0
    listed: int = 0
    lost: int = 0
    doubled: int = 0
    recoveries: list[float] = field(default_factory=list)


class FaultRecord:
    """Rows by test and database."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Row] = defaultdict(Row)

    def add(self, test: str, _: str, database: str, stack: Stack) -> None:
        """Take down what a stack went through."""
        counted, row = stack.tallied(), self.rows[test, database]
        row.runs += 1
        row.faults += stack.faults
        row.planned += counted.planned
        row.listed += counted.listed
        row.lost += counted.lost
        row.doubled += counted.doubled
        row.recoveries += stack.recoveries

    def write(self, page: Path, *, lease: float, tick: float) -> None:
        """Replace the table between the two marks of a page."""
        before, _, rest = page.read_text().partition(BEGIN)
        _, _, after = rest.partition(END)
        page.write_text(f"{before}{BEGIN}\n{self._table(lease, tick)}\n{END}{after}")

    def _table(self, lease: float, tick: float) -> str:
        lines = [
            "| test | database | runs | faults | samples planned | listed as failed | lost | doubled |",
            "|---|---|---:|---:|---:|---:|---:|---:|",
        ]
        for (test, database), row in sorted(self.rows.items()):
            name = test.removeprefix("test_").replace("_", " ")
            counts = (row.runs, row.faults, row.planned, row.listed, row.lost, row.doubled)
            lines.append(f"| {name} | {database} | {' | '.join(map(str, counts))} |")
        sums = [
            sum(getattr(row, name) for row in self.rows.values())
            for name in ("runs", "faults", "planned", "listed", "lost", "doubled")
        ]
        lines.append(f"| **all** | | {' | '.join(map(str, sums))} |")
        waits = sorted(wait for row in self.rows.values() for wait in row.recoveries)
        if waits:
            middle, longest = waits[len(waits) // 2], waits[-1]
            lines += [
                "",
                f"Until a worker that does not poll took the next shard after Redis was back ({len(waits)} "
                f"times): median {middle / lease:.1f}, at most {longest / lease:.1f} leases of {lease:g} s "
                f"({longest / tick:.0f} ticks of {tick:g} s).",
            ]
        return "\n".join(lines)

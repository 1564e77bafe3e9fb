"""How many generated requests the contract was held to, as a table in the documentation."""

from collections import Counter
from pathlib import Path

BEGIN, END = "<!-- contract: written by `make contract` -->", "<!-- end of contract -->"
FAMILIES = (200, 300, 400, 500)


def publish(answers: Counter[tuple[str, int]], violations: int, page: Path) -> None:
    """Renew the table between the two marks of a page.

    Args:
        answers: How often each operation answered with which status.
        violations: Answers that the document does not declare.
        page: The page.
    """
    errors = sum(count for (_, status), count in answers.items() if status >= 500)
    operations = sorted({operation for operation, _ in answers})
    lines = [
        f"{sum(answers.values()):,} requests to {len(operations)} operations: **{errors} server errors, "
        f"{violations} answers that the document does not declare**.",
        "",
        "| operation | requests | 2xx | 3xx | 4xx | 5xx |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for operation in operations:
        counts = {status: count for (name, status), count in answers.items() if name == operation}
        by_family = [sum(n for s, n in counts.items() if f <= s < f + 100) for f in FAMILIES]
        cells = " | ".join(f"{count:,}" for count in (sum(counts.values()), *by_family))
        lines.append(f"| `{operation}` | {cells} |")
    before, _, rest = page.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{after}")

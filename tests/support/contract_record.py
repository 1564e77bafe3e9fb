"""How many generated requests the contract was held to, as a table in the documentation."""

import json
from collections import Counter
from pathlib import Path

BEGIN, END = "<!-- contract: written by `make contract` -->", "<!-- end of contract -->"
FAMILIES = (200, 300, 400, 500)


def keep(folder: Path, name: str, answers: Counter[tuple[str, int]], violations: int) -> None:
    """Keep the counts of one part of the study."""
    folder.mkdir(parents=True, exist_ok=True)
    listed = [[operation, status, count] for (operation, status), count in sorted(answers.items())]
    (folder / f"{name}.json").write_text(json.dumps({"answers": listed, "violations": violations}))


def publish(folder: Path, page: Path) -> None:
    """Renew the table between the two marks of a page from every part that was kept."""
    answers: Counter[tuple[str, int]] = Counter()
    violations, parts = 0, sorted(folder.glob("*.json"))
    for part in parts:
        found = json.loads(part.read_text())
        violations += found["violations"]
        answers.update({(operation, status): count for operation, status, count in found["answers"]})
    total = sum(answers.values())
    errors = sum(count for (_, status), count in answers.items() if status >= 500)
    operations = sorted({operation for operation, _ in answers})
    lines = [
        f"{total:,} requests to {len(operations)} operations in {len(parts)} parts: **{errors} server "
        f"errors, {violations} answers that the document does not declare**.",
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

"""`tiltscope doctor`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from tiltscope.cli.terminal import Json, err, out, print_json
from tiltscope.doctor import examine
from tiltscope.embedded import default_home

STYLES = {"ok": "green", "warning": "yellow", "failed": "red"}


def doctor(
    models: Annotated[Path | None, typer.Option(help="Folder whose sub-folders are models.")] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="TCP port on loopback.")] = 8000,
    as_json: Json = False,
) -> None:
    """Check whether `tiltscope up` can run here, and name the fix where it cannot.

    Exit codes: 0 it can, 6 something is missing.

    Example: tiltscope doctor --models examples/models
    """
    home = default_home()
    with err.status("Looking ..."):
        checks = examine(home, (models if models is not None else home / "models").resolve(), port)
    if as_json:
        print_json({"checks": [asdict(check) for check in checks]})
    else:
        table = Table("part", "", "found", box=None)
        for check in checks:
            style = STYLES[check.grade]
            fix = f"\n[bold]→ {escape(check.fix)}[/bold]" if check.fix else ""
            table.add_row(check.part, f"[{style}]{check.grade}[/{style}]", escape(check.found) + fix)
        out.print(table)
    if any(check.grade == "failed" for check in checks):
        raise typer.Exit(6)

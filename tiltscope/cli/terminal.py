"""What every command shares: the consoles, the options, the way to the service."""

import json
import sys
from collections.abc import Iterable
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from rich.console import Console

from tiltscope.synchronous.client import Tiltscope

out, err = Console(), Console(stderr=True)

Url = Annotated[
    str | None,
    typer.Option(envvar="TILTSCOPE_URL", show_envvar=False, help="Service address; TILTSCOPE_URL."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON only.")]
AnalysisId = Annotated[str, typer.Argument(help="Analysis id, anl_...")]


def client(url: str | None) -> Tiltscope:
    """A client of the service at an address; its key comes from TILTSCOPE_API_KEY."""
    return Tiltscope(url)


def print_json(document: BaseModel | Iterable[BaseModel] | dict[str, Any]) -> None:
    """Print documents as JSON on standard output, which then holds nothing else."""
    if isinstance(document, BaseModel):
        content: Any = document.model_dump(mode="json", exclude_unset=True)
    elif isinstance(document, dict):
        content = document
    else:
        content = [one.model_dump(mode="json", exclude_unset=True) for one in document]
    sys.stdout.write(json.dumps(content, indent=2, ensure_ascii=False) + "\n")

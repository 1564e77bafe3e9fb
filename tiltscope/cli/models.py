"""`tiltscope models`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from tiltscope.cli.terminal import Json, Url, client, out, print_json
from tiltscope.embedded import default_home
from tiltscope.registry import add_model

models_app = typer.Typer(help="The model registry.", no_args_is_help=True, rich_markup_mode=None)


@models_app.command("add")
def models_add(
    name: Annotated[str, typer.Argument(help="The id it will have.")],
    source: Annotated[str, typer.Argument(help="A local folder, or hf:repository@revision.")],
    models: Annotated[Path | None, typer.Option(help="The scanned folder.")] = None,
    as_json: Json = False,
) -> None:
    """Copy a model into the scanned folder (operators only: never over HTTP).

    Example: tiltscope models add my-base ~/checkpoints/base
    """
    target = add_model(models if models is not None else default_home() / "models", name, source)
    if as_json:
        print_json({"id": name, "folder": str(target)})
        return
    out.print(f"added {name} at {target}; a running service lists it within seconds")


@models_app.command("ls")
def models_ls(url: Url = None, as_json: Json = False) -> None:
    """List the registered models.

    Example: tiltscope models ls
    """
    with client(url) as service:
        found = service.models.list().all()
    if as_json:
        print_json(found)
        return
    table = Table("id", "status", "architecture", "parameters", "context", box=None)
    for model in found:
        parameters = "" if model.parameters is None else f"{model.parameters:,}"
        context = "" if model.context_length is None else str(model.context_length)
        status = model.status if model.detail is None else f"{model.status}: {model.detail}"
        table.add_row(model.id, status, model.architecture or "", parameters, context)
    out.print(table)

"""`tiltscope up`."""

from pathlib import Path
from typing import Annotated

import typer

from tiltscope.cli.terminal import err
from tiltscope.embedded import EmbeddedService, Layout, default_home
from tiltscope.synchronous.client import Tiltscope


def up(
    models: Annotated[Path | None, typer.Option(help="Folder whose sub-folders are models.")] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="TCP port on loopback.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Worker processes.")] = 1,
) -> None:
    """Start the whole service on this machine; Ctrl-C stops it.

    Example: tiltscope up --models examples/models --port 8001
    """
    home = default_home()
    folder = models if models is not None else home / "models"
    if models is None:
        folder.mkdir(parents=True, exist_ok=True)
    service = EmbeddedService(Layout(home, folder.resolve(), port=port, workers=workers), say=err.print)
    service.stop_on_signals()
    with err.status("Starting ..."):
        service.start()
    url = service.layout.url
    try:
        with Tiltscope(url) as client:
            names = [model.id for model in client.models.list()]
        err.print(f"Tiltscope is up at [bold]{url}[/bold]")
        err.print(f"  API documentation  {url}/docs")
        err.print(f"  models             {', '.join(names) or f'none yet; put folders into {folder}'}")
        err.print(f"  data and logs      {home}")
        err.print(f"  broker             {service.broker_origin}")
        err.print("Ctrl-C stops it.")
        service.watch()
        err.print("Stopping; accepted work goes on at the next start.")
    finally:
        service.stop()

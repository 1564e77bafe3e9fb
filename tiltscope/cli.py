"""The `tiltscope` command."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from tiltscope import progress, requests
from tiltscope.embedded import EmbeddedService, Layout, default_home
from tiltscope.errors import TiltscopeError
from tiltscope.http import Service
from tiltscope.registry import add_model
from tiltscope.summary import summarise

EXAMPLES = """
Did post-training tilt the model, or take it somewhere new?

Examples:

  tiltscope up --models examples/models

  tiltscope submit --reference tiny-base --candidate tiny-grpo
            --prompts examples/prompts/basin_tail.jsonl --wait

  tiltscope report anl_... --output report.html

Exit codes: 0 done, 1 other failure, 2 wrong usage, 3 the service refused, 4 no service answers,
5 the analysis has no result, 6 the embedded service cannot start.
"""

app = typer.Typer(help=EXAMPLES, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)
models_app = typer.Typer(help="The model registry.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(models_app, name="models")
out, err = Console(), Console(stderr=True)

Url = Annotated[str | None, typer.Option(help="Service address; TILTSCOPE_URL by default.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON only.")]
AnalysisId = Annotated[str, typer.Argument(help="Analysis id, anl_...")]


def _print_json(document: Any) -> None:
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


@app.command()
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
        names = [model["id"] for model in Service(url).get("/v1/models")["data"]]
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


@models_app.command("add")
def models_add(
    name: Annotated[str, typer.Argument(help="The id it will have.")],
    source: Annotated[str, typer.Argument(help="A local folder, or hf:repository@revision.")],
    models: Annotated[Path | None, typer.Option(help="The scanned folder.")] = None,
) -> None:
    """Copy a model into the scanned folder (operators only: never over HTTP).

    Example: tiltscope models add my-base ~/checkpoints/base
    """
    target = add_model(models if models is not None else default_home() / "models", name, source)
    err.print(f"added {name} at {target}; a running service lists it within seconds")


@models_app.command("ls")
def models_ls(url: Url = None, as_json: Json = False) -> None:
    """List the registered models."""
    with Service(url) as service:
        found = list(service.pages("/v1/models"))
    if as_json:
        _print_json(found)
        return
    table = Table("id", "status", "architecture", "parameters", "context", box=None)
    for model in found:
        parameters = "" if model["parameters"] is None else f"{model['parameters']:,}"
        context = "" if model["context_length"] is None else str(model["context_length"])
        status = model["status"] if model["detail"] is None else f"{model['status']}: {model['detail']}"
        table.add_row(model["id"], status, model["architecture"] or "", parameters, context)
    out.print(table)


@app.command()
def submit(
    request: Annotated[Path | None, typer.Option(help="A whole request as a JSON file.")] = None,
    reference: Annotated[str | None, typer.Option(help="Reference model id.")] = None,
    candidate: Annotated[str | None, typer.Option(help="Post-trained model id.")] = None,
    prompts: Annotated[Path | None, typer.Option(help="Prompts as JSON Lines.")] = None,
    kind: Annotated[str | None, typer.Option(help="support, free_energy or capability.")] = None,
    signal: Annotated[str, typer.Option(help="A signal's kind, or its JSON.")] = "exact",
    name: Annotated[str | None, typer.Option(help="A name to find it by.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N prompts.")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    wait: Annotated[bool, typer.Option(help="Wait for the result and print it.")] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Submit an analysis.

    Example: tiltscope submit --reference tiny-base --candidate tiny-grpo --prompts p.jsonl --wait
    """
    if request is not None:
        body = requests.from_file(request)
    else:
        body = requests.from_options(
            reference=reference, candidate=candidate, prompts=prompts, kind=kind, signal=signal
        )
    body |= {"seed": seed} if seed else {}
    body |= {"name": name} if name else {}
    requests.keep_first(body, limit)
    with Service(url) as service:
        analysis = service.submit(body)
        if not wait:
            _print_json(analysis) if as_json else out.print(analysis["id"])
            return
        err.print(f"{analysis['id']} accepted")
        _wait_and_print(service, analysis["id"], as_json=as_json, timeout=None)


@app.command("wait")
def wait_for(
    analysis_id: AnalysisId,
    timeout: Annotated[float | None, typer.Option(help="Seconds; the analysis goes on afterwards.")] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Wait for an analysis, with progress, and print its result."""
    with Service(url) as service:
        _wait_and_print(service, analysis_id, as_json=as_json, timeout=timeout)


def _wait_and_print(service: Service, analysis_id: str, *, as_json: bool, timeout: float | None) -> None:
    with progress.bar(err) as shown:
        task = shown.add_task(analysis_id, total=None, detail="")
        analysis = progress.wait(service, analysis_id, lambda a: progress.show(shown, task, a), timeout)
    progress.require_result(analysis)
    result = service.get(f"/v1/analyses/{analysis_id}/result")
    if as_json:
        _print_json(result)
    else:
        summarise(out, analysis, result)


@app.command("ls")
def list_analyses(
    status: Annotated[str | None, typer.Option(help="Only those in this status.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 20,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """List analyses, newest first."""
    params: dict[str, Any] = {"limit": limit} | ({"status": status} if status else {})
    with Service(url) as service:
        found = service.get("/v1/analyses", params=params)["data"]
    if as_json:
        _print_json(found)
        return
    fixed = [Column(name, no_wrap=True, min_width=width) for name, width in (("id", 30), ("status", 10))]
    table = Table(*fixed, "name", Column("created", no_wrap=True, min_width=16), box=None)
    for analysis in found:
        created = analysis["created_at"][:16].replace("T", " ")
        table.add_row(analysis["id"], analysis["status"], analysis["name"] or analysis["kind"], created)
    out.print(table)


@app.command()
def show(analysis_id: AnalysisId, url: Url = None) -> None:
    """Print the analysis object as JSON."""
    with Service(url) as service:
        _print_json(service.get(f"/v1/analyses/{analysis_id}"))


@app.command()
def cancel(analysis_id: AnalysisId, url: Url = None) -> None:
    """Cancel an analysis; what is committed is kept."""
    with Service(url) as service:
        analysis = service.call("POST", f"/v1/analyses/{analysis_id}/cancel").json()
    out.print(f"{analysis['id']} is {analysis['status']}")


@app.command()
def result(analysis_id: AnalysisId, url: Url = None, as_json: Json = False) -> None:
    """Print the result of an analysis."""
    with Service(url) as service:
        document = service.get(f"/v1/analyses/{analysis_id}/result")
        if as_json:
            _print_json(document)
        else:
            summarise(out, service.get(f"/v1/analyses/{analysis_id}"), document)


@app.command()
def report(
    analysis_id: AnalysisId,
    output: Annotated[Path | None, typer.Option(help="File to write; <id>.html by default.")] = None,
    url: Url = None,
) -> None:
    """Save the HTML report of an analysis."""
    target = output if output is not None else Path(f"{analysis_id}.html")
    with Service(url) as service:
        target.write_bytes(service.call("GET", f"/v1/analyses/{analysis_id}/report").content)
    out.print(str(target))


def main() -> None:
    """Entry point: a known failure is a message and an exit code, never a traceback."""
    try:
        app()
    except TiltscopeError as error:
        err.print(f"tiltscope: {error}", style="red", markup=False, highlight=False)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(1)

"""`tiltscope submit`, `wait`, `ls`, `show`, `cancel`, `extend`, `result`, `report`, `logs`."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Column, Table

from tiltscope import payloads, requests
from tiltscope.cli.terminal import AnalysisId, Json, Url, client, err, out, print_json
from tiltscope.documents import Analysis
from tiltscope.errors import UsageError
from tiltscope.progress import in_terminal
from tiltscope.server_events import Event
from tiltscope.summary import summarise
from tiltscope.synchronous.client import Tiltscope


def submit(
    request: Annotated[Path | None, typer.Option(help="A whole request as a JSON file.")] = None,
    reference: Annotated[str | None, typer.Option(help="Reference: a model id or an import, imp_...")] = None,
    candidate: Annotated[
        list[str] | None,
        typer.Option(
            help="Post-trained model id, or an import; several are a trajectory, in training order."
        ),
    ] = None,
    teacher: Annotated[
        str | None, typer.Option(help="Model id of the law of demonstrations (signal demonstrations).")
    ] = None,
    prompts: Annotated[str | None, typer.Option(help="JSON Lines file, or a data set, ds_...")] = None,
    kind: Annotated[str | None, typer.Option(help="support, free_energy, capability or trajectory.")] = None,
    signal: Annotated[str, typer.Option(help="A signal's kind, or its JSON.")] = "exact",
    name: Annotated[str | None, typer.Option(help="A name to find it by.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="key:value; may be repeated.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N prompts: a quick look.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of every random stream.")] = None,
    key: Annotated[str | None, typer.Option(help="Idempotency key: the same makes no second one.")] = None,
    wait: Annotated[bool, typer.Option(help="Wait for the result and print it.")] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Submit an analysis.

    Example: tiltscope submit --reference tiny-base --candidate tiny-grpo --prompts p.jsonl --wait

    Example: tiltscope submit --reference base --candidate step-100 --candidate step-200 --prompts p.jsonl

    Example: tiltscope submit --request request.json --key nightly-417
    """
    if request is not None:
        body = requests.from_file(request)
        requests.keep_first(body, limit)
    elif reference is None or prompts is None:
        raise UsageError("give --reference and --prompts (and --candidate), or a whole request by --request")
    else:
        settings = requests.parse_json(signal, "--signal") if signal.startswith("{") else signal
        several = kind == "trajectory" or len(candidate or ()) > 1
        body = requests.analysis_request(
            reference=reference,
            candidate=candidate[0] if candidate and not several else None,
            candidates=candidate if several else None,
            teacher=teacher,
            prompts=prompts,
            kind=kind,
            signal=settings,
            limit=limit,
        )
    body |= {} if seed is None else {"seed": seed}
    body |= {} if name is None else {"name": name}
    body |= {} if not label else {"labels": _labels(label)}
    with client(url) as service:
        analysis = service.analyses.submit(body, idempotency_key=key)
        if wait:
            err.print(f"{analysis.id} accepted")
            _wait_and_print(service, analysis.id, as_json=as_json, timeout=None)
        elif as_json:
            print_json(analysis)
        else:
            out.print(analysis.id)


def _labels(pairs: list[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        name, colon, value = pair.partition(":")
        if not (name and colon and value):
            raise UsageError(f"--label takes key:value, not {pair!r}")
        found[name] = value
    return found


def wait_for(
    analysis_id: AnalysisId,
    timeout: Annotated[float | None, typer.Option(help="Seconds; the analysis goes on afterwards.")] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Wait for an analysis, with progress, and print its result.

    Example: tiltscope wait anl_01JD8ZC6Q5V6TQ3N4R5S6T7V8W --timeout 600
    """
    with client(url) as service:
        _wait_and_print(service, analysis_id, as_json=as_json, timeout=timeout)


def _wait_and_print(service: Tiltscope, analysis_id: str, *, as_json: bool, timeout: float | None) -> None:
    with in_terminal(analysis_id, err) as observer:
        analysis = service.analyses.until_ended(analysis_id, progress=observer, timeout=timeout)
    found = service.analyses.result(analysis_id)
    if as_json:
        print_json(found)
    else:
        summarise(out, analysis.model_dump(mode="json"), found.model_dump(mode="json"))


def list_analyses(
    status: Annotated[str | None, typer.Option(help="Only those in this status.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only those of this kind.")] = None,
    label: Annotated[str | None, typer.Option(help="Only those with this label, key:value.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """List analyses, newest first.

    Example: tiltscope ls --status running --label run:grpo-7
    """
    with client(url) as service:
        found = service.analyses.list(status=status, kind=kind, label=label, limit=limit).all()
    if as_json:
        print_json(found)
        return
    fixed = [Column(name, no_wrap=True, min_width=width) for name, width in (("id", 30), ("status", 10))]
    table = Table(*fixed, "name", Column("created", no_wrap=True, min_width=16), box=None)
    for analysis in found:
        created = analysis.created_at[:16].replace("T", " ")
        table.add_row(analysis.id, analysis.status, analysis.name or analysis.kind, created)
    out.print(table)


def show(analysis_id: AnalysisId, url: Url = None, as_json: Json = False) -> None:
    """Print where an analysis is; with --json the whole analysis object.

    Example: tiltscope show anl_01JD8ZC6Q5V6TQ3N4R5S6T7V8W --json
    """
    with client(url) as service:
        analysis = service.analyses.get(analysis_id)
    if as_json:
        print_json(analysis)
        return
    now, spent = analysis.progress, analysis.usage
    rows: dict[str, Any] = {
        "name": analysis.name,
        "kind": analysis.kind,
        "labels": ", ".join(f"{key}:{value}" for key, value in analysis.labels.items()),
        "status": analysis.status + (" (partial)" if analysis.partial else ""),
        "revision": _revision(analysis) if analysis.revision > 1 else None,
        "progress": f"{now.phase}  {now.completed:,}/{now.total:,}",
        "time left": None if now.eta_seconds is None else f"about {now.eta_seconds:.0f} s",
        "spent": f"{spent.samples:,} samples, {spent.sampled_tokens:,} sampled tokens, "
        f"{spent.engine_seconds:.1f} engine seconds",
        "error": None if analysis.error is None else f"{analysis.error.title}: {analysis.error.detail}",
        "created": analysis.created_at,
        "finished": analysis.finished_at,
    }
    table = Table(show_header=False, box=None, title=analysis.id, title_justify="left")
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name, value in rows.items():
        if value:
            table.add_row(name, str(value))
    out.print(table)


def _revision(analysis: Analysis) -> str:
    """Which revision it is at, and which the result is of."""
    if analysis.result_revision == analysis.revision:
        return str(analysis.revision)
    return f"{analysis.revision}; the result is that of revision {analysis.result_revision}"


def cancel(analysis_id: AnalysisId, url: Url = None, as_json: Json = False) -> None:
    """Cancel an analysis; what is committed is kept.

    Example: tiltscope cancel anl_01JD8ZC6Q5V6TQ3N4R5S6T7V8W
    """
    with client(url) as service:
        analysis = service.analyses.cancel(analysis_id)
    if as_json:
        print_json(analysis)
    else:
        out.print(f"{analysis.id} is {analysis.status}")


def extend(
    analysis_id: AnalysisId,
    samples_per_prompt: Annotated[int | None, typer.Option(min=1, help="Of each side, fixed.")] = None,
    max_samples_per_prompt: Annotated[int | None, typer.Option(min=1, help="Of each side, at most.")] = None,
    max_total_tokens: Annotated[int | None, typer.Option(min=1, help="Over all samples.")] = None,
    deadline: Annotated[int | None, typer.Option(min=1, help="Seconds from now until it gives up.")] = None,
    key: Annotated[str | None, typer.Option(help="Idempotency key: the same extends only once.")] = None,
    wait: Annotated[bool, typer.Option(help="Wait for the new result and print it.")] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Go on with an analysis under a larger budget; only what is missing is sampled.

    Example: tiltscope extend anl_01JD8ZC6Q5V6TQ3N4R5S6T7V8W --max-samples-per-prompt 16384 --wait
    """
    wanted: payloads.LargerBudget = {}
    if samples_per_prompt is not None:
        wanted["samples_per_prompt"] = samples_per_prompt
    if max_samples_per_prompt is not None:
        wanted["max_samples_per_prompt"] = max_samples_per_prompt
    if max_total_tokens is not None:
        wanted["max_total_tokens"] = max_total_tokens
    with client(url) as service:
        analysis = service.analyses.extend(
            analysis_id, budget=wanted, deadline_seconds=deadline, idempotency_key=key
        )
        if wait:
            err.print(f"{analysis.id} goes on as revision {analysis.revision}")
            _wait_and_print(service, analysis.id, as_json=as_json, timeout=None)
        elif as_json:
            print_json(analysis)
        else:
            out.print(f"{analysis.id} is {analysis.status} as revision {analysis.revision}")


def result(analysis_id: AnalysisId, url: Url = None, as_json: Json = False) -> None:
    """Print the result of an analysis; with --json the whole result document.

    Example: tiltscope result anl_01JD8ZC6Q5V6TQ3N4R5S6T7V8W --json | jq .verdict.label
    """
    with client(url) as service:
        document = service.analyses.result(analysis_id)
        if as_json:
            print_json(document)
        else:
            analysis = service.analyses.get(analysis_id)
            summarise(out, analysis.model_dump(mode="json"), document.model_dump(mode="json"))


def report(
    analysis_id: AnalysisId,
    output: Annotated[Path | None, typer.Option(help="File to write; <id>.html by default.")] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Save the HTML report of an analysis.

    Example: tiltscope report anl_01JD8ZC6Q5V6TQ3N4R5S6T7V8W --output report.html
    """
    target = output if output is not None else Path(f"{analysis_id}.html")
    with client(url) as service:
        service.analyses.report(analysis_id, target)
    if as_json:
        print_json({"analysis_id": analysis_id, "file": str(target)})
    else:
        out.print(str(target), soft_wrap=True)


def logs(analysis_id: AnalysisId, url: Url = None, as_json: Json = False) -> None:
    """Print what happens to an analysis, event by event until it ends.

    Example: tiltscope logs anl_01JD8ZC6Q5V6TQ3N4R5S6T7V8W
    """
    with client(url) as service:
        for event in service.analyses.events(analysis_id):
            if as_json:
                out.print_json(data={"id": event.id, "type": event.type, "data": event.data}, indent=None)
            else:
                out.print(_log_line(event), markup=False, highlight=False, soft_wrap=True)


def _log_line(event: Event) -> str:
    said = "  ".join(f"{name}={value}" for name, value in event.data.items())
    return f"{event.id:>4}  {event.type:8}  {said}"

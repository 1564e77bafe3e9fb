"""`tiltscope watch`."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from tiltscope import requests
from tiltscope.cli.gate import EXIT_CODES, STYLES
from tiltscope.cli.terminal import Json, Url, client, err, out
from tiltscope.embedded import default_home
from tiltscope.errors import TiltscopeError, UsageError
from tiltscope.gate.judge import Finding, judge, overall, subjects_of
from tiltscope.gate.policy import Policy, read_policy
from tiltscope.summary import number
from tiltscope.synchronous.client import Tiltscope
from tiltscope.watch.watcher import Seen, Watcher, outcome_of


def watch(
    folder: Annotated[Path, typer.Argument(help="Where checkpoints appear, each a sub-folder.")],
    reference: Annotated[str, typer.Option(help="Reference model id.")],
    prompts: Annotated[str, typer.Option(help="JSON Lines file, or a data set, ds_...")],
    signal: Annotated[str, typer.Option(help="A signal's kind, or its JSON.")] = "exact",
    models: Annotated[
        Path | None, typer.Option(help="The folder that the service scans; checkpoints are copied into it.")
    ] = None,
    prefix: Annotated[str, typer.Option(help="Put before a checkpoint's name to make its model id.")] = "",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N prompts: a quick look.")] = None,
    policy: Annotated[Path | None, typer.Option("--gate", help="Gate each by this policy.")] = None,
    settle: Annotated[
        float, typer.Option(min=0.1, help="Seconds without a change before one is whole.")
    ] = 5.0,
    once: Annotated[bool, typer.Option("--once", help="Analyse those that are there, then stop.")] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Analyse checkpoints against a reference as they appear; a line for each.

    A restart goes on where it stopped: the same weights and the same request are analysed once.
    With --gate, exits like `tiltscope gate` by the worst of them: 10 broken, 11 not certified.

    Example: tiltscope watch runs/grpo-7 --reference base --prompts eval.jsonl --models models
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder")
    demanded = None if policy is None else read_policy(policy)
    settings = requests.parse_json(signal, "--signal") if signal.startswith("{") else signal
    body = requests.analysis_request(
        reference=reference, prompts=prompts, signal=settings, kind="capability", limit=limit
    )
    scanned = models if models is not None else default_home() / "models"
    findings: list[Finding] = []
    with client(url) as service:
        watcher = Watcher(service, folder, scanned, body, prefix=prefix, say=_say)
        try:
            _follow(service, watcher, demanded, findings, settle=settle, once=once, as_json=as_json)
        except KeyboardInterrupt:
            err.print("Stopped; a restart goes on here.")
    raise typer.Exit(EXIT_CODES[overall(findings)])


def _say(text: str) -> None:
    err.print(f"[dim]waiting  {escape(text)}[/dim]", soft_wrap=True)


def _follow(
    service: Tiltscope,
    watcher: Watcher,
    policy: Policy | None,
    findings: list[Finding],
    *,
    settle: float,
    once: bool,
    as_json: bool,
) -> None:
    looks = 0
    while True:
        for seen in watcher.look():
            with err.status(f"{seen.name}: {seen.analysis.id} ..."):
                outcome = outcome_of(service, seen)
            new = _judged(policy, seen, outcome)
            findings += new
            _tell(seen, outcome, new if policy is not None else None, as_json=as_json)
        looks += 1
        if once and looks > 1 and not watcher.waits_for:
            return
        time.sleep(settle)


def _judged(policy: Policy | None, seen: Seen, outcome: dict[str, Any] | TiltscopeError) -> list[Finding]:
    if policy is None:
        return []
    if isinstance(outcome, TiltscopeError):
        return [Finding(seen.name, "has a result", "uncertified", str(outcome))]
    return judge(policy, subjects_of(seen.name, outcome, policy))


def _tell(
    seen: Seen, outcome: dict[str, Any] | TiltscopeError, findings: list[Finding] | None, *, as_json: bool
) -> None:
    gate = None if findings is None else overall(findings)
    if as_json:
        found = {"error": str(outcome)} if isinstance(outcome, TiltscopeError) else _figures(outcome)
        line = {"checkpoint": seen.name, "analysis_id": seen.analysis.id, **found}
        out.print_json(data=line if gate is None else {**line, "gate": gate}, indent=None)
        return
    said = str(outcome) if isinstance(outcome, TiltscopeError) else _sentence(outcome)
    mark = (
        "" if gate is None else f"  [{STYLES[gate]}]{'cannot certify' if gate == 'uncertified' else gate}[/]"
    )
    out.print(f"[bold]{escape(seen.name)}[/bold]  {escape(said)}{mark}  {seen.analysis.id}", soft_wrap=True)
    for finding in findings or ():
        if finding.outcome != "passed":
            out.print(f"    {escape(finding.rule)}: {escape(finding.detail)}", soft_wrap=True)


def _figures(result: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "verdict": (result.get("verdict") or {}).get("label"),
        "gain": (result.get("gain") or {}).get("total"),
        "drift": (result.get("free_energy") or {}).get("drift"),
    }


def _sentence(result: Mapping[str, Any]) -> str:
    found = _figures(result)
    return f"{found['verdict']}  gain {number(found['gain'])}  drift {number(found['drift'])} nats"

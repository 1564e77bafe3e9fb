"""`tiltscope import`."""

from pathlib import Path
from typing import Annotated

import typer

from tiltscope.cli.terminal import Json, Url, client, err, out, print_json
from tiltscope.errors import AnalysisError


def import_log(
    log: Annotated[Path, typer.Argument(help="The log's file, as the other tool wrote it.")],
    format: Annotated[str, typer.Option(help="lm-eval, inspect, jsonl, openai-evals or evalplus.")],
    name: Annotated[str | None, typer.Option(help="A name to find it by.")] = None,
    filter: Annotated[str | None, typer.Option(help="Of several lm-eval filters, the one to take.")] = None,
    key: Annotated[str | None, typer.Option(help="Idempotency key: the same makes no second one.")] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Import a log of samples, as a side of analyses; prints its id.

    Example: tiltscope import samples_gsm8k.jsonl --format lm-eval

    Example: tiltscope import base.eval --format inspect --name base
    """
    with client(url) as service:
        made = service.imports.create(log, format=format, name=name, filter=filter, idempotency_key=key)
        err.print(f"{made.id} accepted; reading it ...")
        found = service.imports.wait(made.id)
    if as_json:
        print_json(found)
    if found.summary is None:
        reason = f"it ended as {found.status}" if found.error is None else found.error.detail
        raise AnalysisError(f"{log} cannot be used: {reason}")
    for warning in found.warnings:
        err.print(f"{warning.code}: {warning.detail}", markup=False)
    if not as_json:
        each, summary = found.summary.samples_per_prompt, found.summary
        err.print(
            f"{summary.samples:,} samples of {summary.prompts:,} prompts, {each.fewest} to {each.most} each; "
            f"{summary.answers:,} prompts with an answer"
        )
        out.print(found.id)

"""`tiltscope log`."""

import sys
from contextlib import redirect_stdout
from enum import StrEnum
from typing import Annotated

import typer

from tiltscope.cli.terminal import AnalysisId, Json, Url, client, err, out, print_json
from tiltscope.tracking.mlflow import log_to_mlflow
from tiltscope.tracking.wandb import log_to_wandb


class Tracker(StrEnum):
    """Where results can be logged."""

    MLFLOW = "mlflow"
    WANDB = "wandb"


def log(
    analysis_id: AnalysisId,
    to: Annotated[Tracker, typer.Option(help="The experiment tracker.")],
    project: Annotated[str, typer.Option(help="MLflow experiment or W&B project.")] = "tiltscope",
    tracking_uri: Annotated[str | None, typer.Option(help="MLflow server; MLFLOW_TRACKING_URI.")] = None,
    run_id: Annotated[str | None, typer.Option(help="MLflow run to add to, such as the training's.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="W&B: write to disk, for `wandb sync`.")] = False,
    step: Annotated[int | None, typer.Option(min=0, help="Training step of the checkpoint.")] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Log metrics, tables and the report of an analysis to MLflow or Weights & Biases.

    Logging the same analysis again goes into the same run.

    Example: tiltscope log anl_01JD8ZC6Q5V6TQ3N4R5S6T7V8W --to mlflow --project grpo --step 400
    """
    # Trackers announce their runs on standard output, which is ours alone.
    with err.status(f"Logging to {to.value} ..."), redirect_stdout(sys.stderr):
        with client(url) as service:
            record = service.analyses.record(analysis_id)
        if to is Tracker.MLFLOW:
            run = log_to_mlflow(
                record, experiment=project, tracking_uri=tracking_uri, run_id=run_id, step=step or 0
            )
        else:
            run = log_to_wandb(record, project=project, mode="offline" if offline else None, step=step)
    if as_json:
        print_json({"analysis_id": analysis_id, "tracker": to.value, "run_id": run})
    else:
        out.print(f"logged to {to.value}, run {run}", soft_wrap=True)

"""Logging an analysis to Weights & Biases."""

from typing import Any, Literal

from tiltscope.tables import wanted
from tiltscope.tracking.record import Record


def log_to_wandb(
    record: Record,
    *,
    project: str = "tiltscope",
    mode: Literal["online", "offline"] | None = None,
    step: int | None = None,
) -> str:
    """Log metrics, parameters, tables and the report; logging the same analysis again goes into the same run.

    Args:
        record: What to log.
        project: Name of the project.
        mode: `offline` writes to disk, for `wandb sync`; WANDB_MODE by default.
        step: Training step of the checkpoint, logged as the metric `train_step`.

    Returns:
        The run's id.

    Raises:
        SetupError: wandb is not installed.
    """
    wandb: Any = wanted("wandb", "wandb")
    run_id = record.analysis.id.replace("_", "-")
    run = wandb.init(
        project=project,
        id=run_id,
        name=record.name,
        resume="allow",
        mode=mode,
        config=record.parameters() | record.tags(),
        job_type="tiltscope",
        reinit="finish_previous",
    )
    try:
        steps = {} if step is None else {"train_step": step}
        run.log({**record.metrics(), **steps})
        for name, rows in (("estimates", record.estimate_rows()), ("prompts", record.prompt_rows())):
            columns = list(rows[0]) if rows else []
            run.log(
                {
                    name: wandb.Table(
                        columns=columns, data=[[row[column] for column in columns] for row in rows]
                    )
                }
            )
        run.log({"report": wandb.Html(record.report.decode(), inject=False)})
        run.summary.update(record.metrics() | record.tags())
    finally:
        run.finish()
    return run_id

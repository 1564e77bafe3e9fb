"""Logging an analysis to MLflow."""

from datetime import datetime
from typing import Any

from tiltscope.tables import wanted
from tiltscope.tracking.record import Record

PARAMETER_CHARACTERS = 6_000
"""What MLflow stores of a parameter's value."""


def log_to_mlflow(
    record: Record,
    *,
    experiment: str = "tiltscope",
    tracking_uri: str | None = None,
    run_id: str | None = None,
    step: int = 0,
) -> str:
    """Log metrics, parameters, tables and the report; logging the same analysis again goes into the same run.

    Args:
        record: What to log.
        experiment: Name of the experiment, made if need be.
        tracking_uri: Of the server; MLFLOW_TRACKING_URI by default.
        run_id: A run to add to, such as that of the training.
        step: Of the metrics, such as the training step of the checkpoint.

    Returns:
        The run's id.

    Raises:
        SetupError: MLflow is not installed.
    """
    client = wanted("mlflow.tracking", "mlflow").MlflowClient(tracking_uri=tracking_uri)
    run = run_id or _run(client, record, experiment)
    _log_batch(client, run, record, step)
    folder = f"tiltscope/{record.analysis.id}"
    # Not log_table, which appends to a table that is there.
    client.log_dict(run, _table(record.estimate_rows()), f"{folder}/estimates.json")
    client.log_dict(run, _table(record.prompt_rows()), f"{folder}/prompts.json")
    client.log_text(run, record.report.decode(), f"{folder}/report.html")
    if run_id is None:
        client.set_terminated(run)
    return run


def _run(client: Any, record: Record, experiment: str) -> str:
    found = client.get_experiment_by_name(experiment)
    experiment_id = client.create_experiment(experiment) if found is None else found.experiment_id
    same = f"tags.`tiltscope.analysis_id` = '{record.analysis.id}'"
    for run in client.search_runs([experiment_id], same, max_results=1):
        return str(run.info.run_id)
    return str(client.create_run(experiment_id, run_name=record.name).info.run_id)


def _log_batch(client: Any, run: str, record: Record, step: int) -> None:
    entities = wanted("mlflow.entities", "mlflow")
    finished = int(_finished_seconds(record) * 1000)
    metrics = [entities.Metric(name, value, finished, step) for name, value in record.metrics().items()]
    tags = [entities.RunTag(name, value) for name, value in record.tags().items()]
    cut = {name: value[:PARAMETER_CHARACTERS] for name, value in record.parameters().items()}
    parameters = [entities.Param(f"tiltscope.{name}", value) for name, value in cut.items()]
    # A server takes at most a thousand entities at once, of which a hundred parameters and tags each.
    for start in range(0, len(metrics), 500):
        client.log_batch(run, metrics=metrics[start : start + 500])
    client.log_batch(run, params=parameters[:100], tags=tags[:100])


def _finished_seconds(record: Record) -> float:
    return datetime.fromisoformat(record.analysis.finished_at or record.analysis.created_at).timestamp()


def _table(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """A table as MLflow's own are: columns and rows."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {"columns": names, "data": [[row.get(name) for name in names] for row in rows]}

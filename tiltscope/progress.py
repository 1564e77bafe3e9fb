"""Live progress of an analysis in a terminal."""

import time
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from tiltscope.errors import AnalysisError
from tiltscope.http import Service

LIVE = {"queued", "running", "cancelling"}
POLL_SECONDS = 0.3
"""Between two looks: quick enough for a bar that moves, slow enough to be no load."""


def bar(console: Console) -> Progress:
    """The bar every command uses."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        TextColumn("{task.fields[detail]}"),
        TimeElapsedColumn(),
        console=console,
        transient=False,
    )


def show(progress: Progress, task: TaskID, analysis: dict[str, Any]) -> None:
    """Put an analysis object's state on its bar."""
    state = analysis["progress"]
    total, completed = max(state["total"], 1), state["completed"]
    done = analysis["status"] not in LIVE
    detail = analysis["status"] if done else f"{state['phase']}  {completed:,}/{state['total']:,}"
    progress.update(task, total=total, completed=total if done else completed, detail=detail)


def wait(
    service: Service,
    analysis_id: str,
    on_change: Callable[[dict[str, Any]], None] = lambda _: None,
    timeout_seconds: float | None = None,
) -> dict[str, Any]:
    """Poll until the analysis has ended.

    Raises:
        AnalysisError: `timeout_seconds` passed first; the analysis goes on.
    """
    deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    while True:
        analysis = service.get(f"/v1/analyses/{analysis_id}")
        on_change(analysis)
        if analysis["status"] not in LIVE:
            return analysis
        if deadline is not None and time.monotonic() > deadline:
            raise AnalysisError(
                f"{analysis_id} is still {analysis['status']}; it goes on: `tiltscope wait {analysis_id}`"
            )
        time.sleep(POLL_SECONDS)


def require_result(analysis: dict[str, Any]) -> None:
    """Raise what went wrong with an analysis that has no result.

    Raises:
        AnalysisError: it failed, or ended before its pilot round.
    """
    if analysis["status"] == "failed":
        error = analysis["error"] or {}
        raise AnalysisError(f"{analysis['id']} failed: {error.get('title')}: {error.get('detail')}")

"""Live progress of analyses, in a terminal, in a notebook, or wherever a function takes it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from tiltscope import notebook
from tiltscope.documents import Analysis
from tiltscope.errors import AnalysisError
from tiltscope.server_events import Event

LIVE = frozenset({"queued", "running", "cancelling"})


@dataclass(frozen=True, slots=True)
class State:
    """How far an analysis is.

    Attributes:
        analysis_id: Its id.
        status: `queued`, `running`, ... or how it ended.
        phase: What it is doing.
        completed: Rows done of those planned so far.
        total: Rows planned so far; grows when a round is added.
    """

    analysis_id: str
    status: str = "queued"
    phase: str = "planning"
    completed: int = 0
    total: int = 0

    def after(self, event: Event) -> "State":
        """The state that an event leads to."""
        data = event.data
        if event.type in {"status", "done"}:
            return replace(self, status=data["status"], phase=data.get("phase", self.phase))
        if event.type == "progress":
            return replace(self, phase=data["phase"], completed=data["completed"], total=data["total"])
        return self

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.status not in LIVE

    def __str__(self) -> str:
        if self.has_ended or not self.total:
            return self.status
        return f"{self.phase}  {self.completed:,}/{self.total:,}"


Observer = Callable[[State], None]


def state_of(analysis: Analysis) -> State:
    """The state in an analysis object."""
    now = analysis.progress
    return State(analysis.id, analysis.status, now.phase, now.completed, now.total)


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


def show(progress: Progress, task: TaskID, state: State) -> None:
    """Put a state on its bar."""
    total = max(state.total, 1)
    completed = total if state.has_ended else state.completed
    progress.update(task, total=total, completed=completed, detail=str(state))


@contextmanager
def observed(analysis_id: str, progress: bool | Observer) -> Iterator[Callable[[Event], None]]:
    """A function to feed events to; what shows them is there meanwhile."""
    with _observer(analysis_id, progress) as observer:
        state = State(analysis_id)
        observer(state)

        def tell(event: Event) -> None:
            nonlocal state
            state = state.after(event)
            observer(state)

        yield tell


@contextmanager
def _observer(analysis_id: str, progress: bool | Observer) -> Iterator[Observer]:
    if callable(progress):
        yield progress
    elif not progress:
        yield lambda _: None
    elif notebook.is_notebook():
        yield notebook.ProgressLine().show
    else:
        with in_terminal(analysis_id, Console(stderr=True)) as observer:
            yield observer


@contextmanager
def in_terminal(title: str, console: Console) -> Iterator[Observer]:
    """A bar while the block runs."""
    with bar(console) as shown:
        task = shown.add_task(title, total=None, detail="")
        yield lambda state: show(shown, task, state)


def require_result(analysis: Analysis) -> None:
    """Raise what went wrong with an analysis that has no result.

    Raises:
        AnalysisError: it failed.
    """
    if analysis.status == "failed":
        problem = analysis.error
        why = f"{problem.title}: {problem.detail}" if problem is not None else "no reason was given"
        raise AnalysisError(f"{analysis.id} failed: {why}", analysis)

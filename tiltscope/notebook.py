"""What a notebook shows, with IPython alone."""

import sys
from html import escape
from importlib import import_module
from typing import Any, Protocol


class _Shown(Protocol):
    @property
    def has_ended(self) -> bool: ...

    @property
    def analysis_id(self) -> str: ...

    @property
    def completed(self) -> int: ...

    @property
    def total(self) -> int: ...


def is_notebook() -> bool:
    """Whether this is a cell of a notebook (and not a terminal's IPython)."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"


class ProgressLine:
    """One line below the cell, changed in place."""

    def __init__(self) -> None:
        self._handle: Any = import_module("IPython.display").display(_html_object(""), display_id=True)

    def show(self, state: _Shown) -> None:
        """Show a state in place of the last one."""
        share = 1.0 if state.has_ended else state.completed / max(state.total, 1)
        meter = f'<progress value="{share:.4f}" max="1" style="width: 16em"></progress>'
        self._handle.update(
            _html_object(f"<code>{escape(state.analysis_id)}</code> {meter} {escape(str(state))}")
        )


def _html_object(text: str) -> Any:
    return import_module("IPython.display").HTML(text)

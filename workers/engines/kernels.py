"""Functions of tensors that are compiled to kernels of their own, where a compiler is at hand."""

import os
from collections.abc import Callable
from typing import ClassVar, Final

import structlog
import torch
from torch import Tensor

log = structlog.get_logger(__name__)

SWITCH: Final = "TILTSCOPE_COMPILE"
"""`0` in the environment leaves functions as they are written: compiling takes seconds, and a C compiler."""


class Kernel:
    """A function that is compiled when it is first called.

    One that cannot be compiled here runs as it is written, slower and with the same result up to rounding.

    Args:
        function: Of tensors, without control flow that depends on their elements.
    """

    enabled: ClassVar[bool] = os.environ.get(SWITCH) != "0"
    """Whether any is compiled."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        self._plain = function
        self._made: Callable[..., Tensor] | None = None

    def __call__(self, *arguments: Tensor | float | None) -> Tensor:
        """What the function returns."""
        if not Kernel.enabled:
            return self._plain(*arguments)
        return self._first(*arguments) if self._made is None else self._made(*arguments)

    def _first(self, *arguments: Tensor | float | None) -> Tensor:
        # Rows and columns change from grid to grid: their numbers are arguments of the kernel.
        compiled: Callable[..., Tensor] = torch.compile(self._plain, dynamic=True)
        try:
            found = compiled(*arguments)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:  # all that a compiler says
            log.warning("kernel_not_compiled", function=self._plain.__name__, error=type(error).__name__)
            self._made = self._plain
            return self._plain(*arguments)
        self._made = compiled
        return found

"""Functions of tensors that are compiled to kernels of their own, where a compiler is at hand."""

import os
from collections.abc import Callable
from typing import ClassVar, Final, Generic, ParamSpec, TypeVar

import structlog
import torch

log = structlog.get_logger(__name__)

SWITCH: Final = "TILTSCOPE_COMPILE"
"""`0` in the environment leaves functions as they are written: compiling takes seconds, and a C compiler."""

Arguments = ParamSpec("Arguments")
Found = TypeVar("Found")


class Kernel(Generic[Arguments, Found]):
    """A function that is compiled when it is first called.

    One that cannot be compiled here runs as it is written, slower and with the same result up to rounding.

    Args:
        function: Of tensors, without control flow that depends on their elements.
        compiler: What makes a kernel of it; `torch.compile` unless said otherwise.
    """

    enabled: ClassVar[bool] = os.environ.get(SWITCH) != "0"
    """Whether any is compiled."""

    def __init__(
        self,
        function: Callable[Arguments, Found],
        compiler: Callable[[Callable[Arguments, Found]], Callable[Arguments, Found]] | None = None,
    ) -> None:
        self._plain = function
        self._compiler = _compiled if compiler is None else compiler
        self._made: Callable[Arguments, Found] | None = None

    def __call__(self, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Found:
        """What the function returns."""
        if not Kernel.enabled:
            return self._plain(*args, **kwargs)
        if self._made is None:
            return self._first(*args, **kwargs)
        return self._made(*args, **kwargs)

    def _first(self, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Found:
        try:
            made = self._compiler(self._plain)
            found = made(*args, **kwargs)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ImportError) as error:  # all that a compiler says, or that there is none
            log.warning("kernel_not_compiled", function=self._plain.__name__, error=type(error).__name__)
            made = self._plain
            found = made(*args, **kwargs)
        self._made = made
        return found


def _compiled(function: Callable[Arguments, Found]) -> Callable[Arguments, Found]:
    # Rows and columns change from grid to grid: their numbers are arguments of the kernel.
    made: Callable[Arguments, Found] = torch.compile(function, dynamic=True)
    return made

"""Progress of a training stage, one line a tenth, readable in a terminal and in a log."""

import time


class Progress:
    """Prints the stage's name, step, figure of merit, and the seconds used and left."""

    def __init__(self, stage: str, steps: int, figure: str) -> None:
        self.stage, self.steps, self.figure = stage, steps, figure
        self.started = time.monotonic()
        self.cpu_started = time.process_time()

    @property
    def seconds(self) -> float:
        """Wall-clock seconds since the stage began."""
        return time.monotonic() - self.started

    @property
    def cpu_seconds(self) -> float:
        """Processor seconds since the stage began: on one thread, what a quiet machine would take."""
        return time.process_time() - self.cpu_started

    def update(self, step: int, value: float) -> None:
        """Say that ``step`` steps are done; prints at every tenth of the way."""
        if step * 10 // self.steps == (step - 1) * 10 // self.steps:
            return
        left = self.seconds * (self.steps - step) / step
        print(
            f"{self.stage:<12} {step:>5}/{self.steps}  {self.figure} {value:.4f}  "
            f"{self.seconds:5.0f} s, about {left:.0f} s left",
            flush=True,
        )

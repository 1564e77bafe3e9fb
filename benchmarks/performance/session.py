"""One run of a benchmark: its seed and size, its checks, and comparisons by the clock."""

import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.performance.machine import Usage
from benchmarks.performance.outcome import Blocks, Check, Figure, Over, Target

SEED = 20260508
MOST_FOREIGN = 0.05
"""Share of the machine's CPU time that others may take during a block that counts."""
LEAST_QUIET = 3
"""Blocks below which a median says nothing; then all blocks count and the figure is called noisy."""
PATIENCE = 3
"""Blocks are tried up to this many times the number wanted, unless a comparison says otherwise."""

Work = Callable[[], float]
"""Does a fixed piece of work and returns how many units (tokens, rows, requests) it came to."""


class CheckFailed(Exception):
    """The answers differ, so nothing is timed."""


@dataclass(frozen=True, slots=True)
class Timed:
    """One comparison by the clock.

    Attributes:
        ratios: Our rate over theirs, a block each.
        ours: Our units per second, a block each.
        theirs: Their units per second, a block each.
        own_cpu: CPU seconds per unit of ours and theirs together, a block each.
    """

    ratios: list[float]
    ours: list[float]
    theirs: list[float]
    own_cpu: list[float]


@dataclass
class Session:
    """What a benchmark is given.

    Attributes:
        name: Of the benchmark.
        quick: Whether only to see that it runs: few seeds, no claim.
        scratch: A folder of its own.
        report: Told in words how far it is.
        checks: What has been checked so far.
        blocks: How the timed comparisons went.
    """

    name: str
    quick: bool
    scratch: Path
    report: Callable[[str], None] = print
    checks: list[Check] = field(default_factory=list)
    blocks: list[Blocks] = field(default_factory=list)

    def rng(self, *key: object) -> np.random.Generator:
        """Randomness that depends on the benchmark and the key alone."""
        numbers = [zlib.crc32(str(part).encode()) for part in (self.name, *key)]
        return np.random.default_rng(np.random.SeedSequence(SEED, spawn_key=tuple(numbers)))

    def size(self, full: int, quick: int) -> int:
        """How many of something to run."""
        return quick if self.quick else full

    def check(self, name: str, passed: bool, detail: str) -> None:
        """Record a comparison of answers; a failure ends the benchmark before any clock is started.

        Raises:
            CheckFailed: `passed` is false.
        """
        self.checks.append(Check(name, bool(passed), detail))
        if not passed:
            raise CheckFailed(f"{name}: {detail}")

    def compare(
        self,
        name: str,
        ours: Work,
        theirs: Work,
        *,
        blocks: int = 8,
        patience: float = PATIENCE,
        usage: Callable[[], Usage] = Usage.now,
        clock: Callable[[], float] = time.perf_counter,
    ) -> Timed:
        """Rates of two pieces of work in interleaved ABBA blocks; see `compare_all`."""
        how: dict[str, Any] = {"blocks": blocks, "patience": patience, "usage": usage, "clock": clock}
        return self.compare_all(name, ours, {name: theirs}, **how)[name]

    def compare_all(
        self,
        name: str,
        ours: Work,
        others: Mapping[str, Work],
        *,
        blocks: int = 8,
        patience: float = PATIENCE,
        usage: Callable[[], Usage] = Usage.now,
        clock: Callable[[], float] = time.perf_counter,
    ) -> dict[str, Timed]:
        """Rates of our work and several comparators' in interleaved blocks, after one warm-up of each.

        A block in which other processes take more than `MOST_FOREIGN` of the machine is dropped, counted
        and tried again. If fewer than `LEAST_QUIET` are quiet after `patience` times the number wanted, all
        count, and the comparison is called noisy.

        Args:
            name: What is compared.
            ours: Our work.
            others: The comparators'.
            blocks: Quiet blocks wanted.
            patience: Blocks are tried up to this many times the number wanted: less where one takes a minute.
            usage: Reads who uses the machine.
            clock: Reads seconds.

        Raises:
            CheckFailed: No answer has been checked yet.
        """
        if not self.checks:
            raise CheckFailed("answers are compared before anything is timed")
        wanted = self.size(blocks, 2)
        order = self.rng("order", name)
        works = [ours, *others.values()]
        for work in works:
            work()  # warm-up: caches, lazy imports, allocator
        done: list[tuple[float, _Block]] = []
        for number in range(round(patience * wanted)):
            before = usage()
            block = _block(works, clock, swapped=bool(order.integers(2)))
            spent = usage().since(before)
            done.append((spent.foreign, replace(block, cpu=spent.own)))
            quiet = [one for one in done if one[0] <= MOST_FOREIGN]
            self.report(f"{name}: block {number + 1}, {len(quiet)} of {wanted} quiet")
            if len(quiet) >= wanted:
                break
        quiet = [one for one in done if one[0] <= MOST_FOREIGN]
        noisy = len(quiet) < min(LEAST_QUIET, wanted)
        kept = done if noisy else quiet
        worst = max(share for share, _ in kept)
        self.blocks.append(
            Blocks(name=name, kept=len(kept), dropped=len(done) - len(kept), foreign=worst, noisy=noisy)
        )
        rates = [block for _, block in kept]
        return {
            other: Timed(
                ratios=[block.rates[0] / block.rates[place] for block in rates],
                ours=[block.rates[0] for block in rates],
                theirs=[block.rates[place] for block in rates],
                own_cpu=[block.cpu / block.units for block in rates],
            )
            for place, other in enumerate(others, start=1)
        }


def figure(
    name: str,
    values: Sequence[float],
    over: Over,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    n: int | None = None,
    unit: str = "x",
    limit: str = "",
    holds_back: str = "",
    from_clocks: bool = False,
) -> Figure:
    """The median and the range of what was repeated.

    Args:
        name: What it is.
        values: One for each repetition.
        over: What was repeated.
        at_least: The target, if more is better.
        at_most: The target, if less is better.
        n: How many a single value was counted over; else the number of values.
        unit: As in `Figure`.
        limit: As in `Figure`.
        holds_back: As in `Figure`.
        from_clocks: As in `Figure`.

    Raises:
        ValueError: No value, or two targets.
    """
    if not len(values) or (at_least is not None and at_most is not None):
        raise ValueError("a figure has at least one value, and at most one target")
    target = None
    if at_least is not None:
        target = Target(value=at_least)
    elif at_most is not None:
        target = Target(value=at_most, at_most=True)
    return Figure(
        name=name,
        value=float(np.median(values)),
        low=float(np.min(values)),
        high=float(np.max(values)),
        n=len(values) if n is None else n,
        over=over,
        unit=unit,
        target=target,
        limit=limit,
        holds_back=holds_back,
        from_clocks=from_clocks,
    )


@dataclass(frozen=True, slots=True)
class _Block:
    """Rates of one block, in units per second, ours first, and what it cost."""

    rates: tuple[float, ...]
    units: float
    cpu: float = 0.0


def _block(works: Sequence[Work], clock: Callable[[], float], *, swapped: bool) -> _Block:
    """A B C C B A, or C B A A B C, so that a machine that drifts favours nobody."""
    seconds, units = [0.0] * len(works), [0.0] * len(works)
    first = [*range(len(works))]
    if swapped:
        first.reverse()
    for who in (*first, *reversed(first)):
        start = clock()
        done = works[who]()
        seconds[who] += clock() - start
        units[who] += done
    rates = (count / max(spent, 1e-12) for count, spent in zip(units, seconds, strict=True))
    return _Block(tuple(rates), sum(units))

"""What a client that polls costs the engine: its pace while the state of its analysis is asked for."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
from sqlalchemy import Engine

from benchmarks.performance.machine import Usage
from benchmarks.performance.service import Service
from benchmarks.performance.session import LEAST_QUIET, MOST_FOREIGN, Session
from benchmarks.performance.spans import pace
from tiltscope import progress

PAUSE_SECONDS = 0.005
"""Between two questions: one connection then asks as often as hundreds of clients that poll."""


@dataclass(frozen=True, slots=True)
class _Pair:
    ratio: float
    foreign: float


def slowdowns(
    session: Session, service: Service, ledger: Engine, request: Callable[[int], dict[str, Any]]
) -> list[float]:
    """Seconds a token of the engine, polled over left alone: one ratio a pair of analyses.

    Args:
        session: Of the benchmark.
        service: Models warm.
        ledger: The service's.
        request: A request by its seed; seeds differ, since samples that are known are not drawn again.
    """
    wanted = session.size(5, 1)
    found: list[_Pair] = []
    quiet: list[_Pair] = []
    for number in range(2 * wanted):
        before = Usage.now()
        seeds = 500 + 2 * number, 501 + 2 * number
        if number % 2:
            polled, alone = _polled(service, request(seeds[0])), service.analyse(request(seeds[1]))
        else:
            alone, polled = service.analyse(request(seeds[0])), _polled(service, request(seeds[1]))
        ratio = pace(ledger, alone) / pace(ledger, polled)
        found.append(_Pair(ratio, Usage.now().since(before).foreign))
        quiet = [pair for pair in found if pair.foreign <= MOST_FOREIGN]
        session.report(f"engine while polled: pair {number + 1}, {ratio:.3f}, {len(quiet)} quiet")
        if len(quiet) >= wanted:
            break
    return [pair.ratio for pair in (quiet if len(quiet) >= min(LEAST_QUIET, wanted) else found)]


def _polled(service: Service, request: dict[str, Any]) -> str:
    """An analysis whose state is asked for again and again until it ends; its id."""
    analysis_id = str(service.client.analyses.submit(request).id)
    url = f"{service.embedded.layout.url}/v1/analyses/{analysis_id}"
    with httpx.Client() as client:
        while client.get(url).raise_for_status().json()["finished_at"] is None:
            service.embedded.watch_once()
            time.sleep(PAUSE_SECONDS)
    progress.require_result(service.client.analyses.get(analysis_id))
    return analysis_id

"""What the ledger holds, counted anew at every scrape: every gateway of a deployment says the same."""

from collections.abc import Iterable

import structlog
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from ledger.database import read
from ledger.errors import database_reason
from ledger.fleet import Fleet, fleet

log = structlog.get_logger(__name__)


class FleetMetrics(Collector):
    """Shards, analyses, workers and tokens; with the database away only that it is away."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering must not touch the database."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Count, and say whether that could be done."""
        up = GaugeMetricFamily("tiltscope_ledger_up", "1 if this scrape could read the ledger, else 0.")
        try:
            with read(self._engine) as conn:
                found = fleet(conn)
        except SQLAlchemyError as error:
            log.warning("scrape_without_ledger", error=database_reason(error))
            up.add_metric((), 0)
            return [up]
        up.add_metric((), 1)
        return [up, *_families(found)]


def _families(found: Fleet) -> Iterable[Metric]:
    yield _by("tiltscope_shards", "Shards of the analyses that are kept, by state.", "state", found.shards)
    yield _by("tiltscope_analyses", "Analyses that are kept, by status.", "status", found.analyses)
    yield GaugeMetricFamily(
        "tiltscope_oldest_ready_shard_seconds",
        "How long the shard that has waited longest to be claimed has waited; 0 with none.",
        found.oldest_ready_seconds,
    )
    yield GaugeMetricFamily(
        "tiltscope_workers", "Workers seen in the last 30 seconds and not retired.", found.workers
    )
    # No counter: deleting an analysis takes its tokens along.
    yield GaugeMetricFamily(
        "tiltscope_sampled_tokens", "Tokens sampled for the analyses that are kept.", found.sampled_tokens
    )
    yield GaugeMetricFamily(
        "tiltscope_engine_seconds", "Engine time spent on the analyses that are kept.", found.engine_seconds
    )


def _by(name: str, documentation: str, label: str, counts: dict[str, int]) -> Metric:
    family = GaugeMetricFamily(name, documentation, labels=[label])
    for value, count in sorted(counts.items()):
        family.add_metric([value], count)
    return family

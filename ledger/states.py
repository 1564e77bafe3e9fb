"""States of analyses and shards, and the only edges between them."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class AnalysisStatus(StrEnum):
    """Where an analysis stands, as clients see it."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class ShardState(StrEnum):
    """Where a shard stands."""

    READY = "READY"
    RUNNING = "RUNNING"
    DONE = "DONE"
    QUARANTINED = "QUARANTINED"  # given up; the result lacks its items
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"  # not run before the deadline
    SPLIT = "SPLIT"  # replaced by two halves after repeated crashes


class Work(StrEnum):
    """What a shard asks of an engine."""

    PLAN = "plan"
    SAMPLE = "sample"
    VERIFY = "verify"
    SCORE = "score"
    FINALISE = "finalise"


class Directive(StrEnum):
    """What a lease renewal tells the holder."""

    CONTINUE = "continue"
    ABORT = "abort"  # stop between batches and release
    LOST = "lost"  # somebody else's now; write nothing


ANALYSIS_TRANSITIONS: Final[Mapping[AnalysisStatus, frozenset[AnalysisStatus]]] = {
    AnalysisStatus.QUEUED: frozenset(
        {AnalysisStatus.RUNNING, AnalysisStatus.CANCELLED, AnalysisStatus.EXPIRED, AnalysisStatus.FAILED}
    ),
    AnalysisStatus.RUNNING: frozenset(
        {
            AnalysisStatus.CANCELLING,
            AnalysisStatus.CANCELLED,
            AnalysisStatus.SUCCEEDED,
            AnalysisStatus.FAILED,
            AnalysisStatus.EXPIRED,
        }
    ),
    AnalysisStatus.CANCELLING: frozenset({AnalysisStatus.CANCELLED, AnalysisStatus.FAILED}),
    # Only by being extended: see ledger.extending.
    AnalysisStatus.SUCCEEDED: frozenset({AnalysisStatus.QUEUED}),
    AnalysisStatus.FAILED: frozenset({AnalysisStatus.QUEUED}),
    AnalysisStatus.CANCELLED: frozenset({AnalysisStatus.QUEUED}),
    AnalysisStatus.EXPIRED: frozenset({AnalysisStatus.QUEUED}),
}

SHARD_TRANSITIONS: Final[Mapping[ShardState, frozenset[ShardState]]] = {
    ShardState.READY: frozenset(
        {
            ShardState.RUNNING,
            ShardState.CANCELLED,
            ShardState.EXPIRED,
            ShardState.QUARANTINED,  # its sample shard was
            ShardState.SPLIT,  # its sample shard was
        }
    ),
    ShardState.RUNNING: frozenset(
        {
            ShardState.READY,
            ShardState.DONE,
            ShardState.QUARANTINED,
            ShardState.CANCELLED,
            ShardState.EXPIRED,
            ShardState.SPLIT,
        }
    ),
    ShardState.DONE: frozenset(),
    ShardState.QUARANTINED: frozenset(),
    ShardState.CANCELLED: frozenset(),
    ShardState.EXPIRED: frozenset(),
    ShardState.SPLIT: frozenset(),
}

TERMINAL_STATUSES: Final = frozenset(
    {AnalysisStatus.SUCCEEDED, AnalysisStatus.FAILED, AnalysisStatus.CANCELLED, AnalysisStatus.EXPIRED}
)
"""Statuses in which nothing happens of itself any more."""

LIVE_STATUSES: Final = frozenset(AnalysisStatus) - TERMINAL_STATUSES
OPEN_STATES: Final = frozenset({ShardState.READY, ShardState.RUNNING})
CLOSED_STATES: Final = frozenset({ShardState.DONE, ShardState.QUARANTINED, ShardState.SPLIT})
"""States in which a shard no longer holds up its round."""

MODEL_WORKS: Final = frozenset({Work.SAMPLE, Work.SCORE})
"""Works that run the models under study; the others need none of them."""

DRAWING_WORKS: Final = frozenset({Work.SAMPLE, Work.VERIFY, Work.SCORE})
"""Works whose rows count as progress and that stop when an analysis is told to end."""

"""The root of every error a worker expects."""

from typing import ClassVar


class WorkerError(Exception):
    """An expected failure of a shard or an analysis.

    Subclasses fix `code`, which is stable: it is stored in the ledger and shown to the user. The message
    is the detail, in words.
    """

    code: ClassVar[str] = "internal_error"

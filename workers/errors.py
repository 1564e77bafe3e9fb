"""The root of every error a worker expects."""


class WorkerError(Exception):
    """An expected failure of a shard or an analysis.

    Subclasses fix `code`, which is stable: it is stored in the ledger and shown to the user. The message
    is the detail, in words.
    """

    code: str = "internal_error"


class AnalysisFault(WorkerError):
    """No shard of the analysis can ever succeed: the analysis fails, and the user learns why.

    Args:
        code: Stable code of the problem.
        detail: What is wrong, in words.
        pointer: JSON Pointer into the request to what is at fault, if something there is.
    """

    def __init__(self, code: str, detail: str, pointer: str | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.pointer = pointer


class Aborted(WorkerError):
    """The supervisor asked to stop: nothing of the shard is kept, and nothing counts against it."""

    code = "aborted"

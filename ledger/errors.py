"""What can go wrong in the ledger; one root, so callers may catch them all."""

from typing import Final

from sqlalchemy.exc import InterfaceError, InternalError, OperationalError

DATABASE_AWAY: Final = (OperationalError, InterfaceError, InternalError)
"""The database is locked, full, restarting or gone: the transaction did not happen, or its answer was lost.
PostgreSQL counts the end of a session that idled in a transaction as internal."""


def database_reason(error: BaseException) -> str:
    """The database's own name for what is wrong, such as ``SQLITE_FULL`` or an SQLSTATE; else the type.

    It holds no values of a statement, so it may be logged.
    """
    cause = getattr(error, "orig", None)
    named = getattr(cause, "sqlite_errorname", None) or getattr(cause, "sqlstate", None)
    return str(named or type(error).__qualname__)


class LedgerError(Exception):
    """The ledger refused a request."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or (self.__doc__ or "").splitlines()[0])


class NotFound(LedgerError):
    """No such row for this tenant."""


class Conflict(LedgerError):
    """The row's present state forbids the request."""


class IllegalTransition(LedgerError):
    """The transition table has no such edge: a bug in the caller."""


class InvalidRound(LedgerError):
    """The shards of a round contradict each other or the analysis."""


class InvalidKey(LedgerError):
    """An artefact key that could leave the store."""


class ArtefactConflict(LedgerError):
    """The key already holds other bytes; artefacts are immutable."""


class ArtefactCorrupt(LedgerError):
    """The stored bytes do not have the hash the ledger recorded."""


class StoreUnavailable(LedgerError):
    """The store cannot be used now: full, read-only or away. Nothing of a new artefact is visible."""


class ArtefactMissing(ArtefactCorrupt):
    """The ledger names an artefact that is not in the store."""


class Unsealable(LedgerError):
    """A stored secret cannot be opened with the keys of this installation."""

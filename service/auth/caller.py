"""Who asks: a tenant, what it may do, and under which name it is remembered."""

from dataclasses import dataclass
from typing import Final, Literal

Scope = Literal["read", "write", "admin"]

SCOPES: Final[tuple[Scope, ...]] = ("read", "write", "admin")
"""`read`: every GET. `write`: whatever changes something of its own. `admin`: audit log, webhooks."""


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller.

    Attributes:
        tenant: Whose rows and files it sees; nothing of another tenant exists for it.
        scopes: What it may do.
        actor: Its name in logs and in the audit log: a key's id, a token's subject, or `anonymous`.
    """

    tenant: str
    scopes: frozenset[Scope]
    actor: str


OPEN_CALLER: Final = Caller("default", frozenset(SCOPES), "anonymous")
"""Everybody, where requests are not authenticated."""

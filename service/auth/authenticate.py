"""From an Authorization header to a caller."""

import base64
import binascii
from collections.abc import Callable
from typing import Final

from sqlalchemy import Engine

from ledger import api_keys
from ledger.clock import now_us
from ledger.database import read, write
from service.auth.caller import OPEN_CALLER, SCOPES, Caller
from service.auth.keys import PREFIX, ApiKey
from service.auth.tokens import TokenVerifier
from service.errors import ApiError, Unauthenticated
from service.settings import Settings

CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="tiltscope", Basic realm="tiltscope"'}
_HOW: Final = (
    "send `Authorization: Bearer` with an API key (`tiltscope keys create` makes one) or a token of the "
    "identity provider; a browser may give the key as the password"
)

Authenticate = Callable[[str | None], Caller]
"""The caller behind an Authorization header, which may be absent. Raises ApiError."""


def authenticator(settings: Settings, engine: Engine) -> Authenticate:
    """How this installation tells who asks; nothing is remembered, so a revoked key ends at once."""
    if settings.auth == "open":
        return lambda _header: OPEN_CALLER
    pepper = settings.key_pepper.get_secret_value()
    tokens = _token_verifier(settings)

    def authenticate(header: str | None) -> Caller:
        credential = _credential(header)
        if credential.startswith(f"{PREFIX}_") and pepper:
            return _key_owner(engine, credential, pepper)
        if tokens is None:
            raise _unknown("this is no API key of this service")
        try:
            return tokens.verify(credential)
        except Unauthenticated as error:
            raise _unknown(error.detail) from error

    return authenticate


def _token_verifier(settings: Settings) -> TokenVerifier | None:
    if not settings.oidc_issuer:
        return None
    return TokenVerifier(
        issuer=settings.oidc_issuer,
        audience=settings.oidc_audience,
        jwks_url=settings.oidc_jwks_url,
        tenant_claim=settings.oidc_tenant_claim,
        scope_claim=settings.oidc_scope_claim,
        max_lifetime_seconds=settings.oidc_max_lifetime_seconds,
    )


def _credential(header: str | None) -> str:
    scheme, _, value = (header or "").strip().partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer" and value:
        return value
    if scheme.lower() == "basic":
        try:
            password = base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            password = ""
        if password:
            return password
    raise _unknown("this request names nobody")


def _key_owner(engine: Engine, text: str, pepper: str) -> Caller:
    key = ApiKey.parse(text)
    if key is None:
        raise _unknown("the API key is mistyped or cut")
    with read(engine) as conn:
        row, now = api_keys.valid(conn, key.id), now_us(conn)
    # One answer for an unknown, a wrong, a revoked and an expired key.
    if row is None or not key.matches(row.keyed_hash, pepper):
        raise _unknown("the API key is not valid any more, or never was")
    if not api_keys.was_used(row, now):
        with write(engine) as conn:
            api_keys.record_use(conn, key.id)
    return Caller(row.tenant_id, frozenset(s for s in SCOPES if s in row.scopes), f"key:{key.id}")


def _unknown(why: str) -> ApiError:
    return Unauthenticated(f"{why}; {_HOW}", headers=CHALLENGE)

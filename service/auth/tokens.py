"""Bearer tokens of an identity provider (OpenID Connect): verified here, never sent anywhere."""

from typing import Any, Final

import jwt
from jwt import PyJWKClient
from jwt.exceptions import PyJWKClientConnectionError, PyJWKClientError, PyJWKSetError, PyJWTError

from service.auth.caller import SCOPES, Caller
from service.errors import Unauthenticated, Unavailable

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "ES256", "ES384", "PS256", "EdDSA")
"""Asymmetric ones only, whatever a token asks for: with `HS256` the public key would be a password."""

LEEWAY_SECONDS: Final = 30
"""Between the provider's clock and ours."""

KEYS_SECONDS: Final = 300
"""How long fetched keys are believed; an unknown key id fetches anew, at most once in `COOLDOWN_SECONDS`."""

COOLDOWN_SECONDS: Final = 30

FETCH_SECONDS: Final = 5.0


class TokenVerifier:
    """Checks signature, issuer, audience and times of a token.

    Args:
        issuer: The `iss` that tokens must have.
        audience: The `aud` that tokens must have.
        jwks_url: Where the issuer's keys are. No other place is ever asked, whatever a token says.
        tenant_claim: The claim that names the tenant.
        scope_claim: The claim with the scopes, a list or words; `tiltscope:read` counts as `read`.
        max_lifetime_seconds: Longest time from `iat` to `exp`.
    """

    def __init__(
        self,
        *,
        issuer: str,
        audience: str,
        jwks_url: str,
        tenant_claim: str,
        scope_claim: str,
        max_lifetime_seconds: int,
    ) -> None:
        self._issuer = issuer
        self._audience = audience
        self._tenant_claim = tenant_claim
        self._scope_claim = scope_claim
        self._max_lifetime = max_lifetime_seconds
        self._keys = PyJWKClient(
            jwks_url, lifespan=KEYS_SECONDS, timeout=FETCH_SECONDS, cooldown_duration=COOLDOWN_SECONDS
        )

    def verify(self, token: str) -> Caller:
        """The caller a token stands for.

        Raises:
            Unauthenticated: the token is not valid here and now.
            Unavailable: the issuer's keys cannot be had.
        """
        try:
            key = self._keys.get_signing_key_from_jwt(token)
            claims = jwt.decode(
                token,
                key,
                algorithms=list(ALGORITHMS),
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
        except (PyJWKClientConnectionError, PyJWKSetError) as error:
            raise Unavailable(
                "the identity provider's keys cannot be fetched; try again shortly", code="issuer_unavailable"
            ) from error
        except PyJWKClientError as error:
            raise _refused("is signed by a key that the issuer does not list") from error
        except PyJWTError as error:
            raise _refused(f"is not valid: {error}") from error
        if claims["exp"] - claims["iat"] > self._max_lifetime:
            raise _refused(f"lives longer than the {self._max_lifetime} seconds allowed here")
        tenant = claims.get(self._tenant_claim)
        if not isinstance(tenant, str) or not tenant:
            raise _refused(f"names no tenant in `{self._tenant_claim}`")
        return Caller(tenant, _scopes(claims.get(self._scope_claim)), f"sub:{claims['sub']}")


def _scopes(value: Any) -> frozenset[Any]:
    words = value.split() if isinstance(value, str) else value if isinstance(value, list) else []
    names = {str(word).removeprefix("tiltscope:") for word in words}
    return frozenset(scope for scope in SCOPES if scope in names)


def _refused(why: str) -> Unauthenticated:
    return Unauthenticated(f"the bearer token {why}")

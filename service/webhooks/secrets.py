"""Secrets of webhooks: made here, shown once, kept sealed."""

import base64
import secrets
from typing import Final

from ledger.sealing import Seal, open_seal
from service.errors import Unavailable
from service.settings import Settings

SECRET_BYTES: Final = 32
"""Standard Webhooks asks for 24 to 64; these are the key length of HMAC-SHA256."""


def new_secret() -> str:
    """A fresh secret, as the libraries of Standard Webhooks take it."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def seal_of(settings: Settings) -> Seal:
    """What seals the secrets of this installation.

    Raises:
        Unavailable: it has no key.
    """
    seal = open_seal(settings.webhook_key.get_secret_value(), settings.own_key_folder)
    if seal is None:
        raise Unavailable(
            "webhooks are off: their secrets are kept encrypted, and this installation has no key for that. "
            "Its operator sets TILTSCOPE_WEBHOOK_KEY for gateway and reconciler",
            code="webhooks_off",
        )
    return seal

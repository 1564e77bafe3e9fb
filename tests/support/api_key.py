"""Keys of the gateway, put straight into the ledger."""

from collections.abc import Sequence

from sqlalchemy import Engine

from ledger import api_keys
from ledger.database import write
from service.auth.keys import ApiKey

PEPPER = "pepper-of-the-tests-" + "0123456789abcdef"


def make_key(engine: Engine, tenant: str, scopes: Sequence[str], lifetime: float | None = None) -> str:
    """A key of a tenant, as its owner is shown it once."""
    key = ApiKey.generate()
    with write(engine) as conn:
        api_keys.create(
            conn,
            key_id=key.id,
            tenant_id=tenant,
            name="test",
            keyed_hash=key.keyed_hash(PEPPER),
            scopes=tuple(scopes),
            lifetime_seconds=lifetime,
        )
    return key.text

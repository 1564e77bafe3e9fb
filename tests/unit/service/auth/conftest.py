"""A gateway that asks everybody, and keys of two tenants."""

import base64
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine

from ledger import api_keys
from ledger.database import write
from service.auth.keys import ApiKey
from service.settings import Settings

PEPPER = "pepper-of-the-tests-" + "0123456789abcdef"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return Settings(**{**settings.model_dump(), "auth": "required", "key_pepper": PEPPER})


@pytest.fixture
def make_key(engine: Engine) -> Callable[..., str]:
    def make(tenant: str, *scopes: str, lifetime: float | None = None) -> str:
        key = ApiKey.generate()
        with write(engine) as conn:
            api_keys.create(
                conn,
                key_id=key.id,
                tenant_id=tenant,
                name="test",
                keyed_hash=key.keyed_hash(PEPPER),
                scopes=scopes or ("read", "write", "admin"),
                lifetime_seconds=lifetime,
            )
        return key.text

    return make


@pytest.fixture
def bearer() -> Callable[[str], dict[str, str]]:
    return lambda text: {"Authorization": f"Bearer {text}"}


@pytest.fixture
def basic() -> Callable[[str], dict[str, str]]:
    def header(text: str) -> dict[str, str]:
        return {"Authorization": "Basic " + base64.b64encode(f"me:{text}".encode()).decode()}

    return header


@pytest.fixture
def alice(make_key: Any, bearer: Any) -> Iterator[dict[str, str]]:
    return bearer(make_key("alice"))


@pytest.fixture
def bob(make_key: Any, bearer: Any) -> Iterator[dict[str, str]]:
    return bearer(make_key("bob"))

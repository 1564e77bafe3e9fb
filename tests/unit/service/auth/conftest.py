"""A gateway that asks everybody, and keys of two tenants."""

import base64
from collections.abc import Callable, Iterator
from typing import Any

import api_key
import pytest
from sqlalchemy import Engine

from service.settings import Settings


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return Settings(**{**settings.model_dump(), "auth": "required", "key_pepper": api_key.PEPPER})


@pytest.fixture
def make_key(engine: Engine) -> Callable[..., str]:
    def make(tenant: str, *scopes: str, lifetime: float | None = None) -> str:
        return api_key.make_key(engine, tenant, scopes or ("read", "write", "admin"), lifetime)

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

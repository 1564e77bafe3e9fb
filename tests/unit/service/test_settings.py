from pathlib import Path

import pytest
from pydantic import ValidationError

from service.settings import Settings


def test_every_setting_gives_its_reason() -> None:
    bare = [name for name, field in Settings.model_fields.items() if not field.description]
    assert bare == []


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILTSCOPE_HOME", "/srv/tiltscope")
    monkeypatch.setenv("TILTSCOPE_PORT", "9000")
    settings = Settings()
    assert settings.port == 9000
    assert settings.ledger_url == "sqlite:////srv/tiltscope/ledger.sqlite3"
    assert settings.artefact_root == Path("/srv/tiltscope/artefacts")


def test_a_database_may_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILTSCOPE_DATABASE_URL", "postgresql://db/tiltscope")
    assert Settings().ledger_url == "postgresql://db/tiltscope"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_addresses_are_fine(host: str) -> None:
    assert Settings(host=host).host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "gateway.example"])
def test_other_addresses_are_refused_unless_told(host: str) -> None:
    with pytest.raises(ValidationError, match="TILTSCOPE_ALLOW_OPEN=1"):
        Settings(host=host)
    assert Settings(host=host, allow_open=True).host == host

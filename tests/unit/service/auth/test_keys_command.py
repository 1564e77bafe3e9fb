"""`python -m service.keys` on a real ledger, and the gateway that honours what it makes."""

import json

import pytest
from typer.testing import CliRunner

from service.keys import app

PEPPER = "pepper-of-the-tests-" + "0123456789abcdef"


@pytest.fixture
def run(settings, engine, monkeypatch):
    monkeypatch.setenv("TILTSCOPE_HOME", str(settings.home))
    monkeypatch.setenv("TILTSCOPE_KEY_PEPPER", PEPPER)

    def command(*words):
        return CliRunner().invoke(app, list(words))

    return command


def made(run, *words):
    found = run("create", "--tenant", "alice", "--name", "ci", "--json", *words)
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout)


def listed(run):
    return {entry["id"]: entry for entry in json.loads(run("list", "--json").stdout)}


def test_a_key_opens_the_gateway_until_it_is_revoked(run, gateway, bearer):
    key = made(run, "--scope", "read")
    assert gateway.get("/v1/analyses", headers=bearer(key["key"])).status_code == 200
    assert key["scopes"] == ["read"]
    assert listed(run)[key["id"]]["state"] == "valid"
    assert key["key"] not in run("list", "--json").stdout
    assert run("revoke", key["id"]).exit_code == 0
    assert gateway.get("/v1/analyses", headers=bearer(key["key"])).status_code == 401
    assert listed(run)[key["id"]]["state"] == "revoked"
    assert run("revoke", key["id"]).exit_code == 1


def test_rotation_leaves_two_keys_for_a_while(run, gateway, bearer):
    old = made(run, "--scope", "admin", "--scope", "read")
    new = json.loads(run("rotate", old["id"], "--overlap-hours", "1", "--json").stdout)
    for key in (old, new):
        assert gateway.get("/v1/audit", headers=bearer(key["key"])).status_code == 200
    assert listed(run)[old["id"]]["expires_at"] is not None
    last = json.loads(run("rotate", new["id"], "--overlap-hours", "0", "--json").stdout)
    assert gateway.get("/v1/audit", headers=bearer(new["key"])).status_code == 401
    assert gateway.get("/v1/audit", headers=bearer(last["key"])).status_code == 200
    assert run("rotate", new["id"]).exit_code == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [(("--tenant", "../x"), "tenant's name"), (("--tenant", "a", "--scope", "root"), "read, write, admin")],
)
def test_what_makes_no_key_is_said(run, words, said):
    found = run("create", "--name", "ci", *words)
    assert found.exit_code == 2
    assert said in " ".join(found.output.replace("│", " ").split())


def test_no_key_without_the_pepper(run, monkeypatch):
    monkeypatch.setenv("TILTSCOPE_KEY_PEPPER", "")
    found = run("create", "--tenant", "alice", "--name", "ci")
    assert found.exit_code == 1
    assert "TILTSCOPE_KEY_PEPPER" in found.output

"""A request crosses the pipe once for each host, whatever else was run in between."""

import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.host.known_requests import KEPT, Heard, Told
from workers.supervisor.engine_host import EngineHost

ECHO = (
    "def execute(message, context):\n    return {'usage': {}, 'seed': message['analysis']['spec']['seed']}\n"
)

analyses = st.tuples(st.sampled_from("abcdefg"), st.integers(1, 3))


def run_of(name, revision, seed=None):
    spec = {"seed": f"{name}{revision}" if seed is None else seed}
    return {"op": "run", "shard": {}, "analysis": {"id": name, "revision": revision, "spec": spec}}


@given(st.lists(analyses, max_size=40))
def test_the_host_knows_every_request_whatever_the_order(order):
    told, heard = Told(), Heard()
    for name, revision in order:
        message = run_of(name, revision)
        assert heard.completed(told.shortened(message))["analysis"] == message["analysis"]
        assert len(heard._requests) <= KEPT


def test_it_is_sent_once_and_again_when_it_was_forgotten():
    told = Told()
    sent = [
        "spec" in told.shortened(run_of(name, 1))["analysis"]
        for name in (*"abab", *"abcdefg"[: KEPT + 1], "a", "b")
    ]
    fresh = [False] * 2 + [True] * (KEPT - 1)
    assert sent == [True, True, False, False, *fresh, True, True]


def test_an_extension_is_another_request():
    told = Told()
    told.shortened(run_of("a", 1))
    assert "spec" in told.shortened(run_of("a", 2))["analysis"]


@pytest.fixture
def start(tmp_path):
    (tmp_path / "echoing.py").write_text(ECHO)
    program = [sys.executable, "-m", "workers.host.main", "--execute", "echoing:execute"]
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    hosts = []

    def one():
        host = EngineHost(program, os.environ | {"PYTHONPATH": path, "TILTSCOPE_HOME": str(tmp_path)})
        hosts.append(host)
        assert host.is_ready(60)
        return host

    yield one
    for host in hosts:
        host.kill()


def test_a_real_host_keeps_it_and_the_one_after_its_death_is_told_again(start):
    """The second run differs in what is not sent any more: the host answers by what it was told first."""
    host = start()
    host.run(run_of("a", 1))
    assert host.receive(60)["seed"] == "a1"
    host.run(run_of("a", 1, seed="not sent"))
    assert host.receive(60)["seed"] == "a1"
    host.kill()
    host = start()
    host.run(run_of("a", 1))
    assert host.receive(60)["seed"] == "a1"

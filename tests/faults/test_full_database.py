"""Test 17, second half: the volume of the ledger is full; nothing half written is accepted or committed."""

import httpx
import pytest
from fault_stack import Stack
from small_disk import fill, mounted

from tiltscope.broker import free_port

REQUEST = {
    "kind": "support",
    "reference": {"model": "tiny"},
    "prompts": {"inline": [{"id": "0", "prompt": "1 + 1 =", "answer": "2"}]},
    "signal": {"kind": "exact"},
}


@pytest.fixture
def volume(tmp_path):
    with mounted(tmp_path / "volume", kilobytes=4096) as folder:
        yield folder


@pytest.fixture
def full_stack(tmp_path, volume):
    """A stack whose ledger lies on the small volume, and its artefacts elsewhere."""
    running = Stack(tmp_path / "home", f"sqlite:///{volume / 'ledger.sqlite3'}")
    try:
        yield running
    finally:
        running.stop()


def test_refused_while_full_and_finished_when_there_is_room(full_stack, volume):
    stack, port = full_stack, free_port()
    url = f"http://127.0.0.1:{port}"
    stack.start_reconciler()
    stack.start_gateway(port)
    stack.start_worker()
    stack.until(lambda: answers(url), "the gateway is ready")
    analysis = stack.submit(prompts=10, prompts_per_shard=1, samples=5, seconds=0.1)
    stack.until(stack.running, "a sample shard runs")
    ballast = fill(volume)
    stack.injected()
    refused = stack.until(lambda: refusal(url), "a request is refused for want of room")
    assert refused.json()["code"] == "database_unavailable"
    assert int(refused.headers["retry-after"]) > 0
    log = stack.home / "worker.log"
    stack.until(lambda: "search_failed" in log.read_text(), "the worker meets the full disk too")
    ballast.unlink()
    stack.until(lambda: refusal(url) is None, "requests are taken again")
    stack.ends(analysis)
    stack.assert_exact(analysis)
    assert [s for s in stack.shards() if s.state == "QUARANTINED" or s.crashes] == []


def answers(url):
    try:
        return httpx.get(f"{url}/readyz", timeout=10).status_code == 200
    except httpx.TransportError:
        return False


def refusal(url):
    """The answer to a submission if it was refused with 503; none if it was accepted."""
    answer = httpx.post(f"{url}/v1/analyses", json=REQUEST, timeout=60)
    assert answer.status_code in (202, 503), answer.text
    return answer if answer.status_code == 503 else None

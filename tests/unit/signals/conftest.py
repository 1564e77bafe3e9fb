"""Everything that signals need, on this machine: fixtures for tests that run examples."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from tiny_reward_model import build_taste

from workers.engines.digests import tokenizer_digest, weights_digest
from workers.host.reward_room import RewardRoom
from workers.verifiers.means import Allowed, Means


@pytest.fixture
def grader() -> Iterator[str]:
    """An endpoint that grades by whether the key stands in the answer."""

    class Grader(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            score = 0.9 if asked["key"] in asked["answer"] else 0.1
            body = json.dumps({"grade": {"score": score}}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Grader) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/grade"
        server.shutdown()


@pytest.fixture(scope="session")
def means(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Means]:
    """Every means there is: a sandbox, loopback, a secret and a reward model called `taste`."""
    folder = build_taste(tmp_path_factory.mktemp("taste"))
    digests = {"weights_digest": weights_digest(folder), "tokenizer_digest": tokenizer_digest(folder)}
    allowed = Allowed(python=True, http_loopback=True, secrets={"127.0.0.1": {"token": "t"}})
    lent = Means(allowed, rewards=RewardRoom({"taste": {"path": str(folder), **digests}}))
    yield lent
    lent.close()

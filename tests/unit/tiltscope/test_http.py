import http.server
import json
import threading

import pytest

from tiltscope.errors import ServiceError, UnreachableError
from tiltscope.http import Service


@pytest.fixture
def server():
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.answer()

        def do_POST(self):
            self.answer()

        def answer(self):
            length = int(self.headers.get("Content-Length", 0))
            seen.append((self.path, dict(self.headers), self.rfile.read(length)))
            status, body = self.server.answers.pop(0)
            data = json.dumps(body).encode() if not isinstance(body, bytes) else body
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.answers = []
        running.seen = seen
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        running.url = f"http://127.0.0.1:{running.server_port}"
        yield running
        running.shutdown()
        thread.join()


def test_a_problem_becomes_a_message_with_every_pointer(server):
    faults = [{"pointer": "/policy/top_p", "detail": "too large"}, {"pointer": "", "detail": "no candidate"}]
    problem = {
        "title": "Unprocessable",
        "detail": "two faults",
        "code": "validation_failed",
        "errors": faults,
    }
    server.answers = [(422, problem)]
    with Service(server.url) as service, pytest.raises(ServiceError) as caught:
        service.get("/v1/analyses")
    assert caught.value.code == "validation_failed"
    assert str(caught.value).splitlines() == [
        "Unprocessable: two faults",
        "  /policy/top_p: too large",
        "  /: no candidate",
    ]


def test_an_answer_that_is_no_problem_still_names_the_status(server):
    server.answers = [(502, b"<html>bad gateway</html>")]
    with Service(server.url) as service, pytest.raises(ServiceError, match="HTTP 502"):
        service.get("/v1/models")


def test_nobody_there_says_how_to_start_one():
    with Service("http://127.0.0.1:1") as service, pytest.raises(UnreachableError, match="tiltscope up"):
        service.get("/livez")


def test_pages_are_followed(server):
    pages = [
        {"data": [{"id": 1}], "has_more": True, "next_cursor": "c1"},
        {"data": [{"id": 2}], "has_more": False, "next_cursor": None},
    ]
    server.answers = [(200, page) for page in pages]
    with Service(server.url) as service:
        assert [item["id"] for item in service.pages("/v1/models")] == [1, 2]
    assert server.seen[1][0] == "/v1/models?after=c1"


def test_a_submission_carries_an_idempotency_key(server):
    server.answers = [(202, {"id": "anl_1"})]
    with Service(server.url) as service:
        assert service.submit({"kind": "support"})["id"] == "anl_1"
    key = server.seen[0][1]["Idempotency-Key"]
    assert key.startswith('"')
    assert len(key) == 38

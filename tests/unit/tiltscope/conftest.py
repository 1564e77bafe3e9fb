import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest


class Scripted(http.server.ThreadingHTTPServer):
    """A real HTTP server that answers by a script.

    An answer is `(status, body)` or `(status, body, headers)`; a body of bytes is sent as it is. A status of
    0 cuts the connection without an answer, and a `CUT` at the end of the body cuts it in the middle.
    """

    CUT = b"<cut>"

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[Any, ...]] = []
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Scripted
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        self.server.seen.append((self.command, self.path, dict(self.headers), self.rfile.read(length)))
        status, body, *more = self.server.answers.pop(0)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.close_connection = cut = status == 0 or data.endswith(Scripted.CUT)
        if status == 0:
            return
        self.send_response(status)
        for name, value in dict(*more).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(data) + cut))
        self.end_headers()
        self.wfile.write(data.removesuffix(Scripted.CUT))

    do_GET = do_POST = do_PATCH = do_DELETE = answer

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Scripted]:
    with Scripted() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def analysis() -> dict[str, Any]:
    """An analysis object as the service sends it."""
    return {
        "id": "anl_1",
        "object": "analysis",
        "kind": "support",
        "name": None,
        "labels": {},
        "status": "queued",
        "partial": False,
        "version": 1,
        "revision": 1,
        "result_revision": None,
        "progress": {"phase": "planning", "completed": 0, "total": 0, "fraction": 0.0, "eta_seconds": None},
        "spec": {},
        "usage": {
            "samples": 0,
            "sampled_tokens": 0,
            "scored_tokens": 0,
            "cached_samples": 0,
            "engine_seconds": 0.0,
        },
        "error": None,
        "errors": [],
        "created_at": "2026-01-01T00:00:00.000Z",
        "started_at": None,
        "finished_at": None,
        "deadline_at": None,
        "retained_until": None,
        "links": {
            "self": "/v1/analyses/anl_1",
            "cancel": "/v1/analyses/anl_1/cancel",
            "extend": "/v1/analyses/anl_1/extend",
            "events": "/v1/analyses/anl_1/events",
            "result": "/v1/analyses/anl_1/result",
            "report": "/v1/analyses/anl_1/report",
        },
    }

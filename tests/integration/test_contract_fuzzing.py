"""Generated requests over the whole contract: none may be a server error or answer what is not declared.

The real application on a socket, with a real SQLite ledger; no workers, so that analyses stay queued or are
cancelled. Random data, but the same in every run.
"""

import itertools
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.openapi import from_url
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    use_after_free,
)

from ledger import models
from ledger.database import connect, migrate, write
from service.app import create_app
from service.settings import Settings

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    use_after_free,
]
"""Not `positive_data_acceptance`: a schema cannot say which models, analyses and data sets exist, so a
request that fits it may name one that does not. Not `unsupported_method` either: see test_problems."""

load_all_checks()


@schemathesis.serializer("application/jsonl")
def _lines(ctx: Any, value: Any) -> bytes:
    """JSON Lines as they were generated: the description says no more than that they are text."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


class Served:
    """The application on a socket, and the count of what it answered."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: Counter[tuple[str, int]] = Counter()
        self.known: list[str] = []
        self.session = requests.Session()
        self.schema = from_url(f"{url}/openapi.json")

    @property
    def total(self) -> int:
        return sum(self.answers.values())

    def check(self, case: Any) -> Any:
        response = case.call(session=self.session, timeout=30)
        self.answers[case.operation.definition.raw["operationId"], response.status_code] += 1
        case.validate_response(response, checks=CHECKS)
        return response


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Nobody works here: waiting for an end, or following it, must be short.
    settings = Settings(
        home=tmp_path,
        port=port,
        redis_url="redis://127.0.0.1:1/0",
        max_wait_seconds=0,
        event_stream_seconds=0.05,
        event_poll_seconds=0.02,
    )
    migrate(settings.ledger_url)
    engine = connect(settings.ledger_url)
    with write(engine) as conn:
        for model_id in ("tiny-base", "tiny-grpo"):
            digest = {"weights_digest": "a" * 64, "tokenizer_digest": "b" * 64, "context_length": 64}
            models.upsert(
                conn, "default", {"id": model_id, "kind": "model", "path": "/m", "state": "ready", **digest}
            )
        models.record_scan(conn, "default", "/models")
    config = uvicorn.Config(
        create_app(settings), host="127.0.0.1", port=port, log_level="critical", access_log=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    found = Served(f"http://127.0.0.1:{port}")
    yield found
    found.session.close()
    server.should_exit = True
    thread.join(60)
    engine.dispose()


BODY = {
    "kind": "capability",
    "reference": {"source": "model", "model": "tiny-base"},
    "candidate": {"source": "model", "model": "tiny-grpo"},
    "prompts": {"inline": [{"id": "p1", "prompt": "12+30=", "answer": "42"}]},
    "signal": {"kind": "exact"},
}


def fuzz(served: Served, *, examples: int, number: int) -> None:
    """Send each operation so many cases that fit its description and as many that do not."""
    made = requests.post(f"{served.url}/v1/analyses", json=BODY, timeout=30)
    assert made.status_code == 202, made.text
    for found in served.schema.get_all_operations():
        operation = found.ok()
        for mode in GenerationMode.POSITIVE, GenerationMode.NEGATIVE:
            _fuzz_one(served, operation, mode, examples, number, made.json()["id"])


def _fuzz_one(
    served: Served, operation: Any, mode: GenerationMode, examples: int, number: int, known: str
) -> None:
    @seed(number)
    @hypothesis_settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def send(data: st.DataObject) -> None:
        case = data.draw(operation.as_strategy(generation_mode=mode))
        # Half of what fits the description is about something that there is.
        if mode is GenerationMode.POSITIVE and data.draw(st.booleans()):
            if "analysis_id" in (case.path_parameters or {}):
                case.path_parameters["analysis_id"] = known
            if isinstance(case.body, dict) and "reference" in case.body:
                for part in ("reference", "candidate", "prompts", "signal"):
                    case.body[part] = BODY[part]
        served.check(case)

    if mode is GenerationMode.POSITIVE:
        send()
        return
    with suppress(Unsatisfiable):  # an operation that takes nothing cannot be asked wrongly
        send()


def walk(served: Served, *, walks: int, steps: int, number: int) -> None:
    """Chains of requests in which later ones take up what earlier ones made."""
    base = served.schema.as_state_machine()

    class Machine(base):  # type: ignore[misc,valid-type]
        def call(self, case: Any, **options: Any) -> Any:
            response = super().call(case, session=served.session, timeout=30, **options)
            served.answers[case.operation.definition.raw["operationId"], response.status_code] += 1
            return response

        def validate_response(self, response: Any, case: Any, **options: Any) -> None:
            case.validate_response(response, checks=CHECKS)

    how = hypothesis_settings(
        max_examples=walks,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    seed(number)(Machine.TestCase)
    Machine.run(settings=how)


def test_a_few_requests_to_every_operation(served: Served) -> None:
    fuzz(served, examples=6, number=1)
    reached = {operation for operation, _ in served.answers}
    declared = {found.ok().definition.raw["operationId"] for found in served.schema.get_all_operations()}
    assert reached == declared
    assert not [answer for answer in served.answers if answer[1] >= 500]


@pytest.mark.slow
@pytest.mark.parametrize("number", range(4))
def test_thousands_of_requests(served: Served, number: int) -> None:
    further = itertools.count(1_000 * (number + 1))
    while served.total < 5_000:  # some operations have few distinct requests
        fuzz(served, examples=50, number=next(further))
    print(served.total, sorted(served.answers.items()))
    assert not [answer for answer in served.answers if answer[1] >= 500]


def test_chains_of_requests(served: Served) -> None:
    walk(served, walks=5, steps=6, number=1)
    assert served.total

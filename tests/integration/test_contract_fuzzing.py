"""Generated requests over the whole contract: none may be a server error or answer what is not declared.

The real application on a socket, with a real SQLite ledger that has finished, extended, failed and live
analyses, data sets, imports and webhooks. Random data, but the same in every run.
"""

import itertools
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import contract_record
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as hypothesis_settings
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
from seeded_gateway import BODY, Seeded, seeded_gateway

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

PARTS = ("reference", "candidate", "prompts", "signal")

load_all_checks()


@schemathesis.serializer("application/jsonl")
def _lines(ctx: Any, value: Any) -> bytes:
    """JSON Lines as they were generated: the description says no more than that they are text."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


class Served:
    """The application on a socket, and the count of what it answered."""

    def __init__(self, url: str, seeded: Seeded) -> None:
        self.url = url
        self.seeded = seeded
        self.answers: Counter[tuple[str, int]] = Counter()
        self.violations = 0
        self.unmistakable: set[str] = set()
        self.session = requests.Session()
        self.schema = from_url(f"{url}/openapi.json")

    @property
    def total(self) -> int:
        return sum(self.answers.values())

    def send(self, case: Any) -> Any:
        response = case.call(session=self.session, timeout=60)
        self.check(case, response)
        return response

    def check(self, case: Any, response: Any) -> None:
        self.answers[case.operation.definition.raw["operationId"], response.status_code] += 1
        try:
            case.validate_response(response, checks=CHECKS)
        except BaseException:
            self.violations += 1
            raise


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with seeded_gateway(tmp_path) as (url, seeded):
        found = Served(url, seeded)
        yield found
        found.session.close()


def fuzz(served: Served, *, examples: int, number: int) -> None:
    """Send each operation so many cases that fit its description and as many that do not."""
    for found in served.schema.get_all_operations():
        operation = found.ok()
        for mode in GenerationMode.POSITIVE, GenerationMode.NEGATIVE:
            if mode is GenerationMode.POSITIVE or operation.definition.raw["operationId"] not in (
                served.unmistakable
            ):
                _fuzz_one(served, operation, mode, examples, number)


def _fuzz_one(served: Served, operation: Any, mode: GenerationMode, examples: int, number: int) -> None:
    name = operation.definition.raw["operationId"]
    cases = operation.as_strategy(generation_mode=mode)

    @seed(number)
    @hypothesis_settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def send(case: Any) -> None:
        served.send(case)
        if mode is GenerationMode.POSITIVE:
            for about in served.seeded.targets(case.path_parameters or {}, operation.method):
                _ask_about(served, case, about, name)

    if mode is GenerationMode.POSITIVE:
        send()
        return
    try:
        send()
    except Unsatisfiable:  # an operation that takes nothing cannot be asked wrongly
        served.unmistakable.add(name)


def _ask_about(served: Served, case: Any, about: dict[str, str], name: str) -> None:
    """Send the same about something that there is."""
    case.path_parameters = {**(case.path_parameters or {}), **about}
    if "ids" in (case.query or {}):
        case.query["ids"] = ",".join(served.seeded.finished)
    if isinstance(case.body, dict) and "reference" in case.body:
        case.body = {**case.body, **{part: BODY[part] for part in PARTS}}
    response = served.send(case)
    if name == "analyses_extend" and response.status_code == 202:
        served.seeded.settle(response.json()["id"])


def walk(served: Served, *, walks: int, steps: int, number: int) -> None:
    """Chains of requests in which later ones take up what earlier ones made."""
    base = served.schema.as_state_machine()

    class Machine(base):  # type: ignore[misc,valid-type]
        def call(self, case: Any, **options: Any) -> Any:
            return super().call(case, session=served.session, timeout=60, **options)

        def validate_response(self, response: Any, case: Any, **options: Any) -> None:
            served.check(case, response)

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


def test_what_there_is_is_found(served: Served) -> None:
    """The study would mean little if every request were about nothing."""
    for path in ("result", "prompts", "samples", "artifacts", "report", "events"):
        for analysis_id in (*served.seeded.finished, served.seeded.extended):
            answer = requests.get(f"{served.url}/v1/analyses/{analysis_id}/{path}", timeout=60)
            assert answer.status_code == 200, (path, answer.text)
    extended = requests.get(f"{served.url}/v1/analyses/{served.seeded.extended}", timeout=60).json()
    assert (extended["status"], extended["revision"], extended["result_revision"]) == ("succeeded", 2, 2)
    ids = ",".join(served.seeded.finished)
    compared = requests.get(f"{served.url}/v1/comparisons", params={"ids": ids}, timeout=60)
    assert len(compared.json()["data"]) == 2
    deliveries = f"{served.url}/v1/webhooks/{served.seeded.one('webhook_id')}/deliveries"
    outcomes = [entry["outcome"] for entry in requests.get(deliveries, timeout=60).json()["data"]]
    assert outcomes == ["delivered", "retried"]


@pytest.mark.slow
@pytest.mark.timeout(3 * 3600)
def test_thousands_of_requests(served: Served) -> None:
    page = os.environ.get("TILTSCOPE_CONTRACT_TABLE")
    for number in itertools.count(1_000):
        try:
            fuzz(served, examples=10, number=number)
        finally:
            if page is not None:
                contract_record.publish(served.answers, served.violations, Path(page))
        if served.total >= 20_000:
            break
    assert served.violations == 0
    assert not [answer for answer in served.answers if answer[1] >= 500]


def test_chains_of_requests(served: Served) -> None:
    walk(served, walks=5, steps=6, number=1)
    assert served.total

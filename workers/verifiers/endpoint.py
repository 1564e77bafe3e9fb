"""The `http` signal: an endpoint of the user's judges."""

import json
import math
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from workers.errors import AnalysisFault, WorkerError
from workers.outbound.address import AddressRefused, Target
from workers.outbound.exchange import Answer, Unreached, post
from workers.verifiers.judgement import AnswerKey, Case, FinishReason, Judgement, failed, graded
from workers.verifiers.template import at_pointer, fill, values_of

MAX_RESPONSE_BYTES: Final = 1 << 20
"""Of a response: a judge answers with a number and a few words."""

BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS = 0.5, 30.0
"""Before the first retry, doubled each time; and the most that `Retry-After` may ask for."""

AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which the same request may fare better."""

SECRET: Final = re.compile(r"\{\{\s*secret:([A-Za-z0-9_-]+)\s*\}\}")


class EndpointFailed(WorkerError):
    """The endpoint gave no usable answer; the message says why, without its address or any secret."""

    code = "endpoint_failed"


@dataclass(frozen=True)
class EndpointVerifier:
    """Ask an endpoint for a reward, several samples at a time where it takes them so.

    Attributes:
        target: Checks and resolves the address; called for every request.
        headers: Of every request, secrets filled in.
        body: Template of what is sent for one sample.
        reward_at: JSON Pointer of the reward in what answers one sample.
        behaviour_at: JSON Pointer of a label, or None.
        success_threshold: Reward from which a sample is a success; None takes true, false, 0 and 1 only.
        batch_size: Samples a request; above one, body and answer are arrays.
        timeout_seconds: For each exchange.
        retries: Further attempts after a failure that may pass.
        sleep: Waits between attempts.
        jitter: Uniform in [0, 1): spreads retries.
    """

    target: Callable[[], Target]
    headers: Mapping[str, str] = field(repr=False)
    body: Any
    reward_at: str
    behaviour_at: str | None
    success_threshold: float | None
    batch_size: int
    timeout_seconds: float
    retries: int
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random
    version: str = "http/1"

    def judge(self, text: str, key: AnswerKey, finish_reason: FinishReason) -> Judgement:
        """Judge one completion."""
        return self.judge_many([Case(text, key, finish_reason)])[0]

    def judge_many(self, cases: Sequence[Case]) -> list[Judgement]:
        """Judge up to `batch_size` completions with one request; what fails is a `verifier_error` of each."""
        bodies = [fill(self.body, values_of(case)) for case in cases]
        try:
            if self.batch_size == 1:
                answers = [self._ask(body) for body in bodies]
            else:
                answers = self._ask(bodies)
                if not isinstance(answers, list) or len(answers) != len(cases):
                    raise EndpointFailed("the endpoint answered a batch with something else than its length")
        except (EndpointFailed, AddressRefused) as error:
            return [failed(str(error))] * len(cases)
        return [self._judgement(answer) for answer in answers]

    def _judgement(self, answer: Any) -> Judgement:
        try:
            reward = at_pointer(answer, self.reward_at)
        except LookupError:
            return failed(f"the endpoint's answer has nothing at {self.reward_at}")
        if not isinstance(reward, bool | int | float) or not math.isfinite(reward):
            return failed(f"the endpoint's answer has no number at {self.reward_at}")
        if self.success_threshold is None and reward not in (0, 1):
            return failed("the endpoint's reward is neither 0 nor 1, and the signal has no success_threshold")
        label = None
        if self.behaviour_at is not None:
            try:
                label = str(at_pointer(answer, self.behaviour_at))[:200] or None
            except LookupError:
                label = None
        return graded(float(reward), self.success_threshold, label)

    def _ask(self, body: Any) -> Any:
        reason = ""
        for attempt in range(self.retries + 1):
            if attempt:
                self.sleep(self._pause(attempt, reason))
            try:
                return self._exchange(json.dumps(body, ensure_ascii=False).encode())
            except _Passing as passing:
                reason = passing.reason
        raise EndpointFailed(f"{reason.partition('|')[0]}, {self.retries + 1} attempts")

    def _pause(self, attempt: int, reason: str) -> float:
        asked = reason.partition("|")[2]
        if asked:
            return min(float(asked), LONGEST_BACKOFF_SECONDS)
        return min(BACKOFF_SECONDS * 2.0 ** (attempt - 1), LONGEST_BACKOFF_SECONDS) * (0.5 + self.jitter())

    def _exchange(self, body: bytes) -> Any:
        target = self.target()
        headers = {"Content-Type": "application/json", **self.headers}
        try:
            answer = post(
                target,
                headers=headers,
                content=body,
                seconds=self.timeout_seconds,
                max_bytes=MAX_RESPONSE_BYTES,
            )
        except Unreached as error:
            raise _Passing(f"the endpoint: {error}") from None
        return _content(answer)


class _Passing(Exception):
    """A failure that may pass; `reason` ends with what `Retry-After` asks for, in seconds, after a bar."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _content(answer: Answer) -> Any:
    if answer.status in AGAIN:
        asked = answer.retry_after
        raise _Passing(f"the endpoint answered {answer.status}" + ("" if asked is None else f"|{asked}"))
    if answer.is_redirect:
        raise EndpointFailed(f"the endpoint answered {answer.status}; redirects are not followed")
    if answer.status != HTTPStatus.OK:
        raise EndpointFailed(f"the endpoint answered {answer.status}")
    if not answer.is_whole:
        raise EndpointFailed(f"the endpoint answered with more than {MAX_RESPONSE_BYTES:,} bytes")
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        raise EndpointFailed("the endpoint's answer is not JSON") from None


def with_secrets(headers: Mapping[str, str], secrets: Mapping[str, str]) -> dict[str, str]:
    """Headers with `{{secret:NAME}}` replaced.

    Raises:
        AnalysisFault: the operator keeps no secret of that name for the endpoint's host.
    """

    def value(place: re.Match[str]) -> str:
        name = place.group(1)
        if name not in secrets:
            raise AnalysisFault(
                "unknown_secret",
                f"this deployment keeps no secret {name!r} for the endpoint's host; its operator can add it "
                "to TILTSCOPE_SIGNAL_SECRETS",
                "/signal/headers",
            )
        return secrets[name]

    return {name: SECRET.sub(value, text) for name, text in headers.items()}

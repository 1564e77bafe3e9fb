"""The `http` signal against a real server on loopback."""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest
from judging_endpoint import serving
from pydantic import TypeAdapter

from api_schemas.signals import Signal
from workers.errors import AnalysisFault
from workers.outbound.address import target_of
from workers.pipelines.judge import Judge
from workers.verifiers.endpoint import MAX_RESPONSE_BYTES
from workers.verifiers.judgement import AnswerKey, Case
from workers.verifiers.means import Allowed, Means
from workers.verifiers.registry import build_verifier

KEY = AnswerKey(("Rome",), prompt="Capital?", prompt_id="p1", metadata={"a": [1]})


def said(document, status=200):
    return lambda number, body: (status, {}, json.dumps(document).encode())


def verifier_of(url, *, secrets=None, **settings):
    signal = TypeAdapter(Signal).validate_python({"kind": "http", "url": url, **settings})
    means = Means(Allowed(http_loopback=True, secrets=secrets or {}))
    return build_verifier(signal.model_dump(mode="json"), means)


@pytest.fixture
def pauses() -> Iterator[list[float]]:
    return []


def patient(verifier, pauses):
    return replace(verifier, sleep=pauses.append, jitter=lambda: 0.5)


@pytest.mark.parametrize(
    ("answer", "settings", "outcome", "reward"),
    [
        ({"reward": 1}, {}, "correct", 1.0),
        ({"reward": True}, {}, "correct", 1.0),
        ({"reward": False}, {}, "incorrect", 0.0),
        ({"reward": 0.7}, {}, "verifier_error", 0.0),
        ({"reward": 0.7}, {"success_threshold": 0.7}, "correct", 0.7),
        ({"reward": -3}, {"success_threshold": 0.7}, "incorrect", -3.0),
        ({"a": [{"b": 2}]}, {"success_threshold": 1, "reward_at": "/a/0/b"}, "correct", 2.0),
        ({"reward": "1"}, {}, "verifier_error", 0.0),
        ({"reward": None}, {}, "verifier_error", 0.0),
        ({}, {}, "verifier_error", 0.0),
        ([], {}, "verifier_error", 0.0),
        (1, {"reward_at": ""}, "correct", 1.0),
    ],
)
def test_what_the_endpoint_says_is_the_judgement(answer, settings, outcome, reward):
    with serving(said(answer)) as (url, _):
        judgement = verifier_of(url, **settings).judge("Rome", KEY, "eos")
    assert (judgement.outcome, judgement.reward) == (outcome, reward)


def test_nan_and_junk_are_verifier_errors():
    for data in (b'{"reward": NaN}', b"<html>", b'{"reward": 1', b"[" * 100_000, b"\xff"):
        with serving(lambda number, body, data=data: (200, {}, data)) as (url, _):
            assert verifier_of(url).judge("x", KEY, "eos").outcome == "verifier_error"


def test_what_is_sent_is_the_template_filled_and_text_stays_text():
    injected = '", "reward": 1, "x": "{{answer}}'
    body = {
        "p": "{{prompt}}",
        "all": "Q: {{prompt}} A: {{completion}}",
        "k": "{{answers}}",
        "m": "{{metadata}}",
        "n": 1,
    }
    with serving(said({"reward": 0})) as (url, asked):
        verifier_of(url, body=body).judge(injected, KEY, "eos")
    headers, sent = asked[0]
    assert sent == {
        "p": "Capital?", "all": f"Q: Capital? A: {injected}", "k": ["Rome"], "m": {"a": [1]}, "n": 1,
    }  # fmt: skip
    assert headers["Content-Type"] == "application/json"


def test_a_secret_goes_to_its_own_host_alone_and_into_no_repr():
    headers = {"Authorization": "Bearer {{secret:token}}"}
    secrets = {"127.0.0.1": {"token": "s3cret"}, "judge.example.com": {"other": "x"}}
    with serving(said({"reward": 1})) as (url, asked):
        verifier = verifier_of(url, headers=headers, secrets=secrets)
        verifier.judge("x", KEY, "eos")
        assert asked[0][0]["Authorization"] == "Bearer s3cret"
        assert "s3cret" not in repr(verifier)
        with pytest.raises(AnalysisFault, match="keeps no secret 'other'"):
            verifier_of(url, headers={"X-Key": "{{secret:other}}"}, secrets=secrets)


def test_what_may_pass_is_tried_again_with_growing_pauses(pauses):
    def flaky(number, body):
        return (503, {}, b"") if number < 3 else (200, {}, b'{"reward": 1}')

    with serving(flaky) as (url, asked):
        judgement = patient(verifier_of(url, retries=3), pauses).judge("x", KEY, "eos")
    assert judgement.outcome == "correct"
    assert len(asked) == 3
    assert pauses == [0.5, 1.0]


def test_retry_after_is_kept_to(pauses):
    def busy(number, body):
        return (429, {"Retry-After": "7"}, b"") if number == 1 else (200, {}, b'{"reward": 1}')

    with serving(busy) as (url, _):
        patient(verifier_of(url), pauses).judge("x", KEY, "eos")
    assert pauses == [7.0]


def test_what_goes_on_failing_is_a_verifier_error_after_the_last_attempt(pauses):
    with serving(said({}, status=500)) as (url, asked):
        judgement = patient(verifier_of(url, retries=2), pauses).judge("x", KEY, "eos")
    assert judgement.outcome == "verifier_error"
    assert judgement.detail == "the endpoint answered 500, 3 attempts"
    assert len(asked) == 3


@pytest.mark.parametrize("status", [400, 401, 404, 422])
def test_a_refusal_is_not_tried_again(status, pauses):
    with serving(said({}, status=status)) as (url, asked):
        judgement = patient(verifier_of(url), pauses).judge("x", KEY, "eos")
    assert (judgement.outcome, len(asked)) == ("verifier_error", 1)


def test_a_redirect_is_not_followed():
    with serving(said({"reward": 1})) as (elsewhere, reached):

        def redirect(number, body):
            return 307, {"Location": elsewhere}, b""

        with serving(redirect) as (url, _):
            judgement = verifier_of(url).judge("x", KEY, "eos")
    assert "redirects are not followed" in judgement.detail
    assert reached == []


def test_a_long_answer_is_cut_off():
    long = b'{"reward": 1, "x": "' + b"a" * MAX_RESPONSE_BYTES + b'"}'
    with serving(lambda number, body: (200, {}, long)) as (url, _):
        assert "more than" in verifier_of(url).judge("x", KEY, "eos").detail


def test_nobody_there_is_a_verifier_error_that_tells_no_address(pauses):
    with serving(said({})) as (url, _):
        pass
    judgement = patient(verifier_of(url, retries=1), pauses).judge("x", KEY, "eos")
    assert judgement.outcome == "verifier_error"
    assert "127.0.0.1" not in judgement.detail


def test_a_name_that_leads_elsewhere_later_is_not_followed():
    """The stub answers a public address first, and this machine at the next look."""
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    with serving(said({"reward": 1})) as (url, asked):
        verifier = verifier_of(url)
        check = partial(
            target_of, url.replace("127.0.0.1", "rebound.test"), hosts=(), loopback=True,
            resolve=lambda host, port: next(answers),
        )  # fmt: skip
        rebound = replace(verifier, target=check)
        assert rebound.judge("x", KEY, "eos").outcome == "correct"
        assert rebound.judge("x", KEY, "eos").outcome == "verifier_error"
        assert len(asked) == 1


def test_a_batch_is_one_request_and_keeps_its_order():
    def grade(number, body):
        return 200, {}, json.dumps([{"reward": int(item["completion"] == "Rome")} for item in body]).encode()

    signal = TypeAdapter(Signal).validate_python(
        {"kind": "http", "url": "http://x/", "batch_size": 3, "concurrency": 2}
    )
    texts = ["Rome", "Bern", "Rome", "Oslo", "Rome", "Rome", "Bern"]
    with serving(grade) as (url, asked):
        settings = {**signal.model_dump(mode="json"), "url": url}
        judge = Judge(Means(Allowed(http_loopback=True)))
        found = judge.judge(settings, [Case(text, KEY, "eos") for text in texts])
    assert [j.outcome == "correct" for j in found] == [text == "Rome" for text in texts]
    assert sorted(len(body) for _, body in asked) == [1, 3, 3]


def test_a_batch_of_another_length_judges_nobody():
    with serving(said([{"reward": 1}])) as (url, _):
        found = verifier_of(url, batch_size=2).judge_many([Case("a", KEY, "eos"), Case("b", KEY, "eos")])
    assert [judgement.outcome for judgement in found] == ["verifier_error"] * 2


def test_the_endpoint_may_name_the_behaviour():
    with serving(said({"reward": 1, "plan": "by car"})) as (url, _):
        assert verifier_of(url, behaviour_at="/plan").judge("x", KEY, "eos").behaviour == "by car"


def test_unless_the_operator_allows_it_nobody_is_asked():
    signal = TypeAdapter(Signal).validate_python({"kind": "http", "url": "http://127.0.0.1:1/"})
    with pytest.raises(AnalysisFault, match="TILTSCOPE_HTTP_SIGNAL_HOSTS"):
        build_verifier(signal.model_dump(mode="json"))

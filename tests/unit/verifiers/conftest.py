from collections.abc import Callable, Iterator

import pytest
from pydantic import TypeAdapter

from api_schemas.signals import Signal
from workers.verifiers.judgement import AnswerKey, FinishReason, Judgement
from workers.verifiers.means import Means
from workers.verifiers.registry import build_verifier

Judge = Callable[..., Judgement]


@pytest.fixture(scope="session")
def means() -> Iterator[Means]:
    """Children that stay warm for the whole session."""
    lent = Means()
    yield lent
    lent.close()


@pytest.fixture
def judged(means: Means) -> Judge:
    """Judge a text by a signal as a request says it."""

    def judge(signal: dict, text: str, answers=(), finish: FinishReason = "eos", **key) -> Judgement:
        whole = TypeAdapter(Signal).validate_python(signal).model_dump(mode="json")
        return build_verifier(whole, means).judge(text, AnswerKey(tuple(answers), **key), finish)

    return judge

"""docs/signals.md: every example in it is run."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from api_schemas.audits import VerifierAudit
from api_schemas.prompts import Prompt
from api_schemas.signals import Signal
from service import catalogue
from service.analyses.signal_checks import check_signal
from service.offers import Offers
from workers.pipelines.judge import Judge
from workers.pipelines.spec import answer_key
from workers.verifiers.judgement import Case
from workers.verifiers.means import Means

PAGE = Path(__file__).parents[3] / "docs" / "signals.md"
BLOCKS = [
    json.loads(block)
    for block in re.findall(r"^```json\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
]
EXAMPLES = [block for block in BLOCKS if "signal" in block]
EVERYTHING = Offers(python=True, http_hosts=frozenset({"judge.example.com"}))


def test_every_signal_has_its_example() -> None:
    assert [example["signal"]["kind"] for example in EXAMPLES] == list(
        dict.fromkeys(example["signal"]["kind"] for example in EXAMPLES)
    )
    assert {example["signal"]["kind"] for example in EXAMPLES} == set(catalogue.SCHEMAS)


SANDBOXED = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
JUDGED = [
    pytest.param(example, marks=SANDBOXED if example["signal"]["kind"] == "python" else ())
    for example in EXAMPLES
]


@pytest.mark.parametrize("example", JUDGED, ids=lambda example: example["signal"]["kind"])
def test_what_the_page_says_of_a_completion_is_so(example: dict[str, Any], grader: str, means: Means) -> None:
    signal: Any = TypeAdapter(Signal).validate_python(example["signal"])
    prompt = Prompt.model_validate(example["prompt"])
    assert list(check_signal(signal, [prompt], max_patterns=10, offers=EVERYTHING)) == []
    if signal.kind == "http":
        signal = signal.model_copy(update={"url": grader})
    key = answer_key(prompt.model_dump(mode="json"))
    judged = example["judged"]
    cases = [Case(text["text"], key, text.get("finish_reason", "eos")) for text in judged]
    found = Judge(means).judge(signal.model_dump(mode="json"), cases)
    assert [judgement.outcome for judgement in found] == [text["outcome"] for text in judged], found
    for judgement, text in zip(found, judged, strict=True):
        assert judgement.behaviour == text.get("behaviour")


def test_the_audit_of_the_page_is_one() -> None:
    (audit,) = [block["audit"] for block in BLOCKS if "audit" in block]
    VerifierAudit.model_validate(audit)

"""Every example that the service shows is one that its verifier bears out."""

import shutil
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter

from api_schemas.prompts import Prompt
from api_schemas.signals import Signal
from service import catalogue
from service.analyses.signal_checks import check_signal
from service.offers import Offers
from workers.pipelines.judge import Judge
from workers.pipelines.spec import answer_key
from workers.verifiers.judgement import Case
from workers.verifiers.means import Means
from workers.verifiers.registry import version_of

EVERYTHING = Offers(python=True, http_hosts=frozenset({"*"}), http_loopback=True)
KINDS = sorted(catalogue.SCHEMAS)


def test_every_kind_of_the_contract_is_in_the_catalogue() -> None:
    union = get_args(get_args(Signal)[0])
    assert set(union) == set(catalogue.SCHEMAS.values())
    assert {entry.kind for entry in catalogue.list_signals(EVERYTHING).data} == set(KINDS)


SANDBOXED = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=SANDBOXED if kind == "python" else ()) for kind in KINDS]
)
def test_the_example_is_accepted_by_the_gate_and_borne_out_by_the_verifier(
    kind: str, grader: str, means: Means
) -> None:
    example = next(entry for entry in catalogue.list_signals(EVERYTHING).data if entry.kind == kind).example
    signal: Any = TypeAdapter(Signal).validate_python(example.signal)
    prompt = Prompt.model_validate(example.prompt)
    assert list(check_signal(signal, [prompt], max_patterns=10, offers=EVERYTHING)) == []
    if kind == "http":
        signal = signal.model_copy(update={"url": grader})
    key = answer_key(prompt.model_dump(mode="json"))
    cases = [Case(text, key, "eos") for text in (example.accepted, example.refused)]
    found = Judge(means).judge(signal.model_dump(mode="json"), cases)
    assert [judgement.outcome == "correct" for judgement in found] == [True, False], found
    assert "verifier_error" not in {judgement.outcome for judgement in found}


def test_what_is_off_is_listed_with_the_reason() -> None:
    listed = {entry.kind: entry for entry in catalogue.list_signals(Offers()).data}
    off = {kind for kind, entry in listed.items() if not entry.available}
    assert off == {"python", "http"}
    assert all((entry.unavailable_because is None) == entry.available for entry in listed.values())


@pytest.mark.parametrize("kind", KINDS)
def test_the_catalogue_names_the_verifiers_versions(kind: str) -> None:
    assert version_of({"kind": kind}) == catalogue.VERSIONS[kind]

"""Whether a signal can judge the prompts it is given."""

<<<<<<< HEAD
from collections.abc import Iterator, Sequence
=======
import re
from collections.abc import Iterable, Iterator
from typing import Final

import re2
>>>>>>> 7cf27db (Prompts can be kept as data sets: streamed JSON Lines, plain or gzipped, faults with their lines)

from api_schemas.behaviours import AnsweredBehaviour, CapturedBehaviour, NamedBehaviour
from api_schemas.prompts import Prompt
from api_schemas.signals import JsonSchemaSignal, RegexSignal, Signal
from service.analyses.answer_checks import check_answers, needs_answers
from service.analyses.findings import Finding
from service.analyses.pattern_checks import pattern_fault
from service.analyses.schema_checks import schema_fault

WITHOUT_ANSWER_TO_NAME = frozenset({"json_schema"})
"""Signals whose accepted answers are no answers to label a success with."""


<<<<<<< HEAD
def check_signal(
    signal: Signal, prompts: Sequence[Prompt], *, max_patterns: int, at: str = "/signal"
) -> list[Finding]:
=======
def check_signal(signal: Signal, prompts: Iterable[Prompt], *, max_patterns: int) -> Iterator[Finding]:
>>>>>>> 7cf27db (Prompts can be kept as data sets: streamed JSON Lines, plain or gzipped, faults with their lines)
    """Check the signal's patterns and every prompt's answers against what its verifier needs.

    Args:
        signal: The signal.
        prompts: The prompts, in order; a finding is at its place as if they were inline.
        max_patterns: Distinct patterns to compile at most.
        at: JSON Pointer of the signal in the request.
    """
<<<<<<< HEAD
    return [
        *_check_patterns(signal, at),
        *_check_schema(signal, at),
        *_check_behaviour(signal, at),
        *check_answers(signal, prompts, max_patterns),
    ]
=======
    yield from _check_patterns(signal)
    yield from _check_behaviour(signal)
    yield from _check_answers(signal, prompts, max_patterns)
>>>>>>> 7cf27db (Prompts can be kept as data sets: streamed JSON Lines, plain or gzipped, faults with their lines)


def _check_patterns(signal: Signal, at: str) -> Iterator[Finding]:
    places = {f"{at}/extract/pattern": signal.extract.pattern if signal.extract else None}
    if isinstance(signal, RegexSignal):
        places[f"{at}/pattern"] = signal.pattern
    if isinstance(signal.behaviour, CapturedBehaviour):
        places[f"{at}/behaviour/pattern"] = signal.behaviour.pattern
    if isinstance(signal.behaviour, NamedBehaviour):
        for number, named in enumerate(signal.behaviour.patterns):
            places[f"{at}/behaviour/patterns/{number}/pattern"] = named.pattern
    for pointer, pattern in places.items():
        if pattern is not None and (fault := pattern_fault(pattern)):
            yield Finding("invalid_pattern", fault, pointer)


def _check_schema(signal: Signal, at: str) -> Iterator[Finding]:
    if not isinstance(signal, JsonSchemaSignal) or signal.json_schema is None:
        return
    if fault := schema_fault(signal.json_schema):
        yield Finding("invalid_schema", fault, f"{at}/json_schema")


def _check_behaviour(signal: Signal, at: str) -> Iterator[Finding]:
    names_answers = needs_answers(signal) and signal.kind not in WITHOUT_ANSWER_TO_NAME
    if isinstance(signal.behaviour, AnsweredBehaviour) and not names_answers:
        yield Finding(
            "behaviour_without_answers",
            f"`by: answer` labels a success with the answer it gave, and this `{signal.kind}` signal "
            "compares with none; label by `capture` or `patterns`",
            f"{at}/behaviour/by",
        )
<<<<<<< HEAD
=======


def _compares_with_answers(signal: Signal) -> bool:
    return not (isinstance(signal, RegexSignal) and signal.pattern is not None)


def _check_answers(signal: Signal, prompts: Iterable[Prompt], max_patterns: int) -> Iterator[Finding]:
    if isinstance(signal, RegexSignal) and signal.pattern is not None:
        return
    faults: dict[str, str | None] = {}
    for index, prompt in enumerate(prompts):
        answers = _answers(index, prompt)
        if not answers:
            yield _answer_missing(signal, index, prompt)
        for pointer, answer in answers:
            if isinstance(signal, NumericSignal) and not is_numeral(answer):
                yield Finding(
                    "answer_not_a_number",
                    f"`{answer[:80]}` of prompt `{prompt.id}` is not a decimal number; write it like "
                    "-1,234.5e6, or use the signal `exact`",
                    pointer,
                )
            if isinstance(signal, RegexSignal):
                if answer not in faults and len(faults) >= max_patterns:
                    yield _too_many_patterns(max_patterns, pointer)
                    return
                if answer not in faults:
                    faults[answer] = pattern_fault(answer)
                if fault := faults[answer]:
                    yield Finding("invalid_pattern", fault, pointer)


def _answers(index: int, prompt: Prompt) -> list[tuple[str, str]]:
    """Pointer and text of each accepted answer."""
    base = f"/prompts/inline/{index}"
    if prompt.answer is not None:
        return [(f"{base}/answer", prompt.answer)]
    return [(f"{base}/answers/{number}", text) for number, text in enumerate(prompt.answers or [])]


def _answer_missing(signal: Signal, index: int, prompt: Prompt) -> Finding:
    instead = ", or give the signal a `pattern` for all prompts" if signal.kind == "regex" else ""
    return Finding(
        "answer_missing",
        f"the signal `{signal.kind}` needs an accepted answer, and prompt `{prompt.id}` has none; add "
        f"`answer` or `answers`{instead}",
        f"/prompts/inline/{index}",
    )


def _too_many_patterns(allowed: int, pointer: str) -> Finding:
    detail = (
        f"more than {allowed:,} distinct patterns in one request; use one `pattern` for all prompts, or "
        "split the request"
    )
    return Finding("too_many_patterns", detail, pointer)
>>>>>>> 7cf27db (Prompts can be kept as data sets: streamed JSON Lines, plain or gzipped, faults with their lines)

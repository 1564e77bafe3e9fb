"""Whether every prompt has what its signal judges by."""

import re
import string
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from api_schemas.prompts import Prompt
from api_schemas.signals import JsonSchemaSignal, RegexSignal, Signal
from service.analyses.findings import Finding
from service.analyses.pattern_checks import pattern_fault
from service.analyses.schema_checks import schema_text_fault

MAX_NUMERAL: Final = 400
"""Characters of a numeral: what the verifiers read."""

NUMERAL: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")

WITHOUT_ANSWERS: Final = frozenset({"python", "http", "reward_model", "demonstrations"})
"""Signals that compare with no answer."""

MARKS: Final = " \t\n*_`$.'\""
"""What the `choice` verifier ignores around an option's words."""


def is_numeral(text: str) -> bool:
    """Whether the `numeric` verifier reads the text as a number; thousands commas are allowed."""
    numeral = text.strip().replace(",", "")
    return len(numeral) <= MAX_NUMERAL and NUMERAL.fullmatch(numeral) is not None


def is_option(answer: str, choices: Sequence[str]) -> bool:
    """Whether the `choice` verifier reads the answer as one of the options, by letter or words."""
    if any(_bare(answer) == _bare(choice) for choice in choices):
        return True
    letters = string.ascii_uppercase[: len(choices)] if choices else string.ascii_uppercase
    return len(answer.strip()) == 1 and answer.strip().upper() in letters


def needs_answers(signal: Signal) -> bool:
    """Whether prompts must carry accepted answers for this signal."""
    if isinstance(signal, RegexSignal):
        return signal.pattern is None
    if isinstance(signal, JsonSchemaSignal):
        return signal.json_schema is None
    return signal.kind not in WITHOUT_ANSWERS


def check_answers(signal: Signal, prompts: Iterable[Prompt], max_patterns: int) -> Iterator[Finding]:
    """Check the answers of every prompt.

    Args:
        signal: The signal.
        prompts: Inline prompts, in order.
        max_patterns: Distinct patterns or schemas to compile at most.
    """
    if signal.kind == "python":
        yield from _check_tests(prompts)
    if signal.kind == "demonstrations":
        yield from _check_demonstrations(prompts)
    if not needs_answers(signal):
        return
    compiled = _compiled_fault(signal)
    faults: dict[str, str | None] = {}
    for index, prompt in enumerate(prompts):
        answers = _answers(index, prompt)
        if not answers:
            yield _answer_missing(signal, index, prompt)
        for pointer, answer in answers:
            if finding := _unreadable(signal, prompt, answer, pointer):
                yield finding
            if compiled is None:
                continue
            if answer not in faults:
                if len(faults) >= max_patterns:
                    yield _too_many(signal, max_patterns, pointer)
                    return
                faults[answer] = compiled[1](answer)
            if fault := faults[answer]:
                yield Finding(compiled[0], fault, pointer)


def _check_tests(prompts: Iterable[Prompt]) -> Iterator[Finding]:
    for index, prompt in enumerate(prompts):
        if prompt.tests is None:
            yield Finding(
                "tests_missing",
                f"the signal `python` runs a prompt's `tests`, and prompt `{prompt.id}` has none; add some, "
                "as in `assert add(1, 2) == 3`",
                f"/prompts/inline/{index}",
            )


def _check_demonstrations(prompts: Iterable[Prompt]) -> Iterator[Finding]:
    for index, prompt in enumerate(prompts):
        if not prompt.demonstrations:
            yield Finding(
                "demonstrations_missing",
                f"the signal `demonstrations` scores a prompt's `demonstrations`, and prompt `{prompt.id}` "
                'has none; add some, as in [{"text": "42"}]',
                f"/prompts/inline/{index}",
            )


def _compiled_fault(signal: Signal) -> tuple[str, Callable[[str], str | None]] | None:
    """For answers that are programs of a kind: the code of a finding, and what finds it."""
    if isinstance(signal, RegexSignal):
        return "invalid_pattern", pattern_fault
    if isinstance(signal, JsonSchemaSignal):
        return "invalid_schema", schema_text_fault
    return None


def _unreadable(signal: Signal, prompt: Prompt, answer: str, pointer: str) -> Finding | None:
    if signal.kind == "numeric" and not is_numeral(answer):
        return Finding(
            "answer_not_a_number",
            f"`{answer[:80]}` of prompt `{prompt.id}` is not a decimal number; write it like -1,234.5e6, or "
            "use the signal `exact`",
            pointer,
        )
    if signal.kind == "choice" and not is_option(answer, prompt.choices or ()):
        return Finding(
            "answer_not_an_option",
            f"`{answer[:80]}` of prompt `{prompt.id}` is neither a letter of an option nor one of `choices`; "
            "give a letter such as B, or list the options in `choices`",
            pointer,
        )
    if signal.kind == "contains" and not answer.strip():
        return Finding(
            "answer_empty", f"every text contains the empty answer of prompt `{prompt.id}`", pointer
        )
    return None


def _answers(index: int, prompt: Prompt) -> list[tuple[str, str]]:
    """Pointer and text of each accepted answer."""
    base = f"/prompts/inline/{index}"
    if prompt.answer is not None:
        return [(f"{base}/answer", prompt.answer)]
    return [(f"{base}/answers/{number}", text) for number, text in enumerate(prompt.answers or [])]


def _answer_missing(signal: Signal, index: int, prompt: Prompt) -> Finding:
    common = {"regex": "a `pattern`", "json_schema": "a `json_schema`"}.get(signal.kind)
    instead = f", or give the signal {common} for all prompts" if common else ""
    return Finding(
        "answer_missing",
        f"the signal `{signal.kind}` needs an accepted answer, and prompt `{prompt.id}` has none; add "
        f"`answer` or `answers`{instead}",
        f"/prompts/inline/{index}",
    )


def _too_many(signal: Signal, allowed: int, pointer: str) -> Finding:
    what = "patterns" if signal.kind == "regex" else "schemas"
    detail = (
        f"more than {allowed:,} distinct {what} in one request; use one for all prompts, or split the request"
    )
    return Finding("too_many_patterns", detail, pointer)


def _bare(text: str) -> str:
    return text.strip(MARKS).casefold()

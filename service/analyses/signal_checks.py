"""Whether a signal can judge the prompts it is given."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

import re2

from api_schemas.behaviours import AnsweredBehaviour, CapturedBehaviour, NamedBehaviour
from api_schemas.prompts import Prompt
from api_schemas.signals import NumericSignal, RegexSignal, Signal
from service.analyses.findings import Finding

PROGRAM_BYTES: Final = 8 << 20
"""Memory of a compiled pattern: what the verifiers allow, so that what is accepted here runs there."""

MAX_NUMERAL: Final = 400
"""Characters of a numeral: what the verifiers read."""

NUMERAL: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")


def check_signal(signal: Signal, prompts: Sequence[Prompt], *, max_patterns: int) -> list[Finding]:
    """Check the signal's patterns and every prompt's answers against what its verifier needs.

    Args:
        signal: The signal.
        prompts: Inline prompts, in order.
        max_patterns: Distinct patterns to compile at most.
    """
    return [
        *_check_patterns(signal),
        *_check_behaviour(signal),
        *_check_answers(signal, prompts, max_patterns),
    ]


def is_numeral(text: str) -> bool:
    """Whether the `numeric` verifier reads the text as a number; thousands commas are allowed."""
    numeral = text.strip().replace(",", "")
    return len(numeral) <= MAX_NUMERAL and NUMERAL.fullmatch(numeral) is not None


def pattern_fault(pattern: str) -> str | None:
    """Why RE2 refuses a pattern and what to do; None if it compiles."""
    options = re2.Options()
    options.max_mem = PROGRAM_BYTES
    options.log_errors = False
    try:
        re2.compile(pattern, options=options)
    except re2.error as error:
        reason = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else str(error)
        return f"RE2 refuses the pattern: {reason}. {_advice(pattern, reason)}"
    return None


def _advice(pattern: str, reason: str) -> str:
    if re.search(r"\(\?<?[=!]", pattern):
        return (
            "Lookaround is not offered, because matching it can take exponential time: match the surrounding "
            "text too and put the part that counts in group 1, as in `answer: ([0-9]+)`"
        )
    if reason.startswith("invalid escape sequence: \\") and reason[-1:].isdigit():
        return (
            "Backreferences are not offered, because matching them can take exponential time: spell the "
            "repeated text out"
        )
    if "too large" in reason or "bad repetition" in reason:
        return "Repeat fewer times: counts multiply the compiled pattern and end at 1,000"
    return "Its syntax is https://github.com/google/re2/wiki/Syntax"


def _check_patterns(signal: Signal) -> Iterator[Finding]:
    places = {"/signal/extract/pattern": signal.extract.pattern if signal.extract else None}
    if isinstance(signal, RegexSignal):
        places["/signal/pattern"] = signal.pattern
    if isinstance(signal.behaviour, CapturedBehaviour):
        places["/signal/behaviour/pattern"] = signal.behaviour.pattern
    if isinstance(signal.behaviour, NamedBehaviour):
        for number, named in enumerate(signal.behaviour.patterns):
            places[f"/signal/behaviour/patterns/{number}/pattern"] = named.pattern
    for pointer, pattern in places.items():
        if pattern is not None and (fault := pattern_fault(pattern)):
            yield Finding("invalid_pattern", fault, pointer)


def _check_behaviour(signal: Signal) -> Iterator[Finding]:
    if isinstance(signal.behaviour, AnsweredBehaviour) and not _compares_with_answers(signal):
        yield Finding(
            "behaviour_without_answers",
            f"`by: answer` labels a success with the answer it gave, and this `{signal.kind}` signal "
            "compares with none; label by `capture` or `patterns`",
            "/signal/behaviour/by",
        )


def _compares_with_answers(signal: Signal) -> bool:
    return not (isinstance(signal, RegexSignal) and signal.pattern is not None)


def _check_answers(signal: Signal, prompts: Sequence[Prompt], max_patterns: int) -> Iterator[Finding]:
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

"""The `numeric` signal: the text reads as a number close to an answer."""

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from workers.verifiers.extraction import Extraction
from workers.verifiers.judgement import (
    AnswerKey,
    FinishReason,
    Judgement,
    accepted,
    failed,
    not_accepted,
    not_parsed,
)

MAX_DIGITS = 400
"""Characters of a numeral: beyond any double's range, below what makes decimal arithmetic slow."""

NUMERAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
NUMERAL_START = re.compile(r"[+-]?[0-9]*(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{0,3})?")


def parse_number(text: str) -> Decimal | None:
    """A decimal numeral with optional exponent and thousands commas, or None."""
    numeral = text.strip().replace(",", "")
    if len(numeral) > MAX_DIGITS or NUMERAL.fullmatch(numeral) is None:
        return None
    try:
        return Decimal(numeral)
    except InvalidOperation:
        return None


@dataclass(frozen=True, slots=True)
class NumericVerifier:
    """Accept |value - answer| <= max(absolute, relative * |answer|), in exact decimal arithmetic."""

    extraction: Extraction | None
    absolute_tolerance: Decimal
    relative_tolerance: Decimal
    version: str = "numeric/1"

    def judge(self, text: str, key: AnswerKey, finish_reason: FinishReason) -> Judgement:
        """Judge one completion; an answer of the prompt that is no number is a `verifier_error`."""
        found = text if self.extraction is None else self.extraction.find(text)
        if found is None:
            return not_parsed(finish_reason, "no answer found by `extract`")
        value = parse_number(found)
        targets = [parse_number(answer) for answer in key.answers]
        numbers = [target for target in targets if target is not None]
        if len(numbers) < len(targets):
            return failed("an answer of this prompt is not a number")
        if value is not None:
            for answer, target in zip(key.answers, numbers, strict=True):
                if self._close(value, target):
                    return accepted(answer)
        start = found.strip().replace(",", "")
        if self.extraction is None and finish_reason == "length" and NUMERAL_START.fullmatch(start):
            return not_accepted(finish_reason, could_continue=any(self._may_reach(start, t) for t in numbers))
        if value is None:
            return Judgement("unparsed", 0.0, "the text is not a number")
        return not_accepted(finish_reason, could_continue=False)

    def _tolerance(self, target: Decimal) -> Decimal:
        return max(self.absolute_tolerance, self.relative_tolerance * abs(target))

    def _close(self, value: Decimal, target: Decimal) -> bool:
        return abs(value - target) <= self._tolerance(target)

    def _may_reach(self, start: str, target: Decimal) -> bool:
        """Whether more characters after `start` could read as a number within the tolerance of `target`."""
        if start in {"", "+", "-", ".", "+.", "-."} or "e" in start.lower():
            return True
        negative = start.startswith("-")
        magnitude = Decimal(start.lstrip("+-"))
        low, high = sorted((target - self._tolerance(target), target + self._tolerance(target)))
        if negative:
            low, high = -high, -low
        decimals = len(start.partition(".")[2])
        step = Decimal(1).scaleb(-decimals)
        spans = [(magnitude, magnitude + step)]
        if "." not in start:
            # More digits before the point: 4 can become 40..50, 400..500 and so on.
            spans += [(magnitude.scaleb(k), (magnitude + 1).scaleb(k)) for k in range(1, MAX_EXPONENT)]
        return any(bottom <= high and low < top for bottom, top in spans)


MAX_EXPONENT = 40
"""Further digits considered before the point: more than any completion's budget for one numeral."""

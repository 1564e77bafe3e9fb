"""Judging completions by a signal, on the means of this process."""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import structlog

from workers.verifiers.judgement import AnswerKey, FinishReason, Judgement, Verifier, failed
from workers.verifiers.means import Means
from workers.verifiers.registry import build_verifier

REPORT_EVERY: Final = 256
"""Texts between two reports of progress: often enough for a bar, too seldom to cost anything."""

ELSEWHERE: Final = frozenset({"math", "json_schema", "python", "http"})
"""Signals that judge in other processes or machines: several texts at once, and reports after a few."""

STOCHASTIC: Final = frozenset({"http"})
"""Signals that may judge an equal text otherwise: each sample has a judgement of its own."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Case:
    """A completion to judge."""

    text: str
    key: AnswerKey
    finish_reason: FinishReason


class Judge:
    """Judges by any signal; verifiers and their processes stay between calls.

    Args:
        means: What verifiers may use; by default nothing that an operator has to allow.
    """

    def __init__(self, means: Means | None = None) -> None:
        self._means = means or Means()
        self._verifiers: dict[str, Verifier] = {}

    def verifier(self, signal: dict[str, Any]) -> Verifier:
        """The verifier of a signal."""
        name = json.dumps(signal, sort_keys=True)
        if name not in self._verifiers:
            self._verifiers[name] = build_verifier(signal, self._means)
        return self._verifiers[name]

    def judge(
        self,
        signal: dict[str, Any],
        cases: Sequence[Case],
        on_progress: Callable[[int], None] = lambda done: None,
    ) -> list[Judgement]:
        """Judge every case, in order; equal cases are judged once unless the signal is stochastic.

        A verifier that raises is a `verifier_error` of that text, never a failed analysis.

        Args:
            signal: Settings with every default filled in.
            cases: What to judge.
            on_progress: Told how many are judged; may raise to stop.
        """
        verifier = self.verifier(signal)
        elsewhere = signal["kind"] in ELSEWHERE
        lanes = self._means.lanes if elsewhere else 1
        known: dict[Case, Judgement] = {}
        judged: list[Judgement] = []
        with ThreadPoolExecutor(max_workers=lanes, thread_name_prefix="judge") as pool:
            size = 2 * lanes if elsewhere else REPORT_EVERY
            for chunk in (cases[start : start + size] for start in range(0, len(cases), size)):
                if signal["kind"] in STOCHASTIC:
                    judged += pool.map(lambda case: _judged(verifier, case), chunk)
                else:
                    new = list(dict.fromkeys(case for case in chunk if case not in known))
                    run = pool.map if elsewhere else map
                    known |= zip(new, run(lambda case: _judged(verifier, case), new), strict=True)
                    judged += [known[case] for case in chunk]
                if len(judged) < len(cases) or len(chunk) == REPORT_EVERY:
                    on_progress(len(judged))
        return judged


def _judged(verifier: Verifier, case: Case) -> Judgement:
    try:
        return verifier.judge(case.text, case.key, case.finish_reason)
    except Exception as error:
        log.warning("verifier_raised", version=verifier.version, error=type(error).__qualname__)
        return failed(f"the verifier raised {type(error).__qualname__}")

"""Judging completions by a signal, on the means of this process."""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import Any, Final

import structlog

from workers.verifiers.behaviour import LabellingVerifier
from workers.verifiers.judgement import AnswerKey, BatchVerifier, Case, Judgement, Verifier, failed
from workers.verifiers.means import Means
from workers.verifiers.registry import build_verifier

REPORT_EVERY: Final = 256
"""Texts between two reports of progress: often enough for a bar, too seldom to cost anything."""

ELSEWHERE: Final = frozenset({"math", "json_schema", "python", "http"})
"""Signals that judge in other processes or machines: several texts at once, and reports after a few."""

SLOW: Final = ELSEWHERE | {"reward_model"}
"""Signals of which a few texts take seconds."""

STOCHASTIC: Final = frozenset({"http"})
"""Signals that may judge an equal text otherwise: each sample has a judgement of its own."""

log = structlog.get_logger(__name__)


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
        lanes = self._lanes(signal)
        size = _batch_size(verifier)
        step = REPORT_EVERY if signal["kind"] not in SLOW else 2 * lanes * size
        places = list(range(len(cases))) if signal["kind"] in STOCHASTIC else _places(cases)
        found: list[Judgement] = []
        with ThreadPoolExecutor(max_workers=lanes, thread_name_prefix="judge") as pool:
            for start in range(0, len(cases), step):
                new: list[Case] = []
                chunk = cases[start : start + step]
                for case, place in zip(chunk, places[start : start + step], strict=True):
                    if place == len(found) + len(new):
                        new.append(case)
                batches = (
                    [new] if lanes == size == 1 else [new[i : i + size] for i in range(0, len(new), size)]
                )
                run = map if lanes == 1 else pool.map
                found += chain.from_iterable(run(partial(judge_many, verifier), batches))
                done = start + len(chunk)
                if done < len(cases) or len(chunk) == REPORT_EVERY:
                    on_progress(done)
        return [found[place] for place in places]

    def _lanes(self, signal: dict[str, Any]) -> int:
        if signal["kind"] == "http":
            return int(signal.get("concurrency", 1))
        return self._means.lanes if signal["kind"] in ELSEWHERE else 1


def _places(cases: Sequence[Case]) -> list[int]:
    """The number of each case among those that differ, in their order."""
    # Keys are few and long, and the same case may come as one object: neither is hashed anew every time.
    numbers: dict[AnswerKey, int] = {}
    by_identity: dict[int, int] = {}
    found: dict[tuple[object, ...], int] = {}
    known: dict[int, int] = {}
    places = []
    for case in cases:
        place = known.get(id(case))
        if place is None:
            key = by_identity.get(id(case.key))
            if key is None:
                key = by_identity[id(case.key)] = numbers.setdefault(case.key, len(numbers))
            name = key, case.text, case.finish_reason, case.token_ids
            place = known[id(case)] = found.setdefault(name, len(found))
        places.append(place)
    return places


def judge_many(verifier: Verifier, cases: Sequence[Case]) -> list[Judgement]:
    """Judge cases, at once where the verifier can; one that raises is a `verifier_error` of its text."""
    if isinstance(verifier, LabellingVerifier):
        plain = judge_many(verifier.verifier, cases)
        return [verifier.labelled(each, case.text) for each, case in zip(plain, cases, strict=True)]
    try:
        if isinstance(verifier, BatchVerifier):
            return verifier.judge_many(cases)
        return [_judged(verifier, case) for case in cases]
    except Exception as error:
        return [_raised(verifier, error)] * len(cases)


def _judged(verifier: Verifier, case: Case) -> Judgement:
    try:
        return verifier.judge(case.text, case.key, case.finish_reason)
    except Exception as error:
        return _raised(verifier, error)


def _raised(verifier: Verifier, error: Exception) -> Judgement:
    log.warning("verifier_raised", version=verifier.version, error=type(error).__qualname__)
    return failed(f"the verifier raised {type(error).__qualname__}")


def _batch_size(verifier: Verifier) -> int:
    inner = verifier.verifier if isinstance(verifier, LabellingVerifier) else verifier
    return inner.batch_size if isinstance(inner, BatchVerifier) else 1

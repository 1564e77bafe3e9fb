"""Scored draws of several sources that may depend on one another: evidence is averaged, never multiplied.

Checkpoints of one run draw from the same random numbers, so the rounds of one are not independent of those of
another, and the product of their wealths is no e-value (the tests hold an exact example). Their mean is one,
whatever the dependence. The first source is the judged candidate's own; each further one stands for itself.

Which sources there are is fixed before anything is drawn: one without a round yet has wealth 1 and its share
of the level. A mean over those sources alone that had something to show would be no e-value.
"""

import math
from collections.abc import Sequence

import numpy as np

from workers.estimators.betting import log_lower_bound, log_wealth
from workers.estimators.importance import diagnostics, refuses
from workers.estimators.scored_round import ScoredRound
from workers.numerics.logspace import log_mean_exp

Source = Sequence[ScoredRound]
"""Rounds that are independent given those before them: their wealths multiply."""


def sources_of(scoring: Source | None, beside: Sequence[Source]) -> list[Source] | None:
    """The candidate's own rounds and the sources beside them; None where nothing was planned."""
    if scoring is None and not beside:
        return None
    return [*([] if scoring is None else [scoring]), *beside]


def mean_log_wealth(sources: Sequence[Source], log_mean: float) -> float:
    """Log of the mean of the sources' wealths against H0: log a <= log_mean, in nats; an e-value.

    Args:
        sources: At least one.
        log_mean: log m, nats.
    """
    return log_mean_exp(
        np.array([log_wealth(one, log_mean, refused=refuses(one)) for one in sources], dtype=np.float64)
    )


def best_log_bound(sources: Sequence[Source], alpha: float) -> float:
    """The largest lower bound of log a, nats, each source's at alpha over their number (union bound).

    Args:
        sources: At least one.
        alpha: Level for all of them, in (0, 1).
    """
    share = alpha / len(sources)
    return max(
        (log_lower_bound(one, share, refused=refuses(one)) for one in sources if one), default=-math.inf
    )


def best_source(sources: Sequence[Source]) -> Source:
    """The source that points are taken from: of those with sound weights the one worth most successes.

    The first where none is sound. A source that misses modes can only make a too small, and `price.graded`
    knows. Of one with successes that nobody scored only the rounds are taken that were scored whatever they
    held; without any it is passed over.
    """
    sources = [rounds for rounds in map(_for_points, sources) if rounds is not None]
    if len(sources) < 2:
        return sources[0] if sources else ()
    sound = [(seen.ess, one) for one in sources if one and (seen := diagnostics(one)).grade()[0] == "ok"]
    return max(sound, key=lambda pair: pair[0])[1] if sound else sources[0]


def _for_points(source: Source) -> Source | None:
    """The rounds that a point may be made of; None where successes were missed and no round is unselected.

    Rounds without a missed success would be those that held few of them.
    """
    if not any(part.unscored for part in source):
        return source
    return [part for part in source if part.is_unselected] or None

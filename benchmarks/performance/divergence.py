"""Draws until KL(q‖p) and the entropy are known to 2 %, against the mean of log q/p."""

import numpy as np

from benchmarks.performance.benchmark import Benchmark
from benchmarks.performance.outcome import Outcome
from benchmarks.performance.service import comparison, running
from benchmarks.performance.session import Session, figure
from benchmarks.performance.trees import TreePair, drifted, tilted
from workers.estimators.bootstrap_weights import BootstrapWeights
from workers.estimators.kl import sequence_kl

PAIRS = ("tiny-sft", "tiny-grpo", "tiny-new")
DRAWS = 1000
"""Of one call of the estimator."""


def run(session: Session) -> Outcome:
    """Measure."""
    ratios: dict[str, list[float]] = {}
    entropies, biases, rounding = [], [], []
    for number, (name, pair) in enumerate(_pairs(session)):
        kl = pair.mean(pair.log_q - pair.log_p)
        biases.append(abs(pair.mean(pair.kl_along) / kl - 1))
        rounding.append(_off_the_mean(session, pair, number))
        gain = pair.variance(pair.log_q - pair.log_p) / pair.variance(pair.kl_along)
        ratios.setdefault(name, []).append(gain)
        entropies.append(pair.variance(pair.log_q) / pair.variance(pair.entropy_along))
    session.check(
        "the estimate is the mean of its draws",
        max(rounding) < 1e-12,
        f"to {max(rounding):.0e} in {len(rounding)} calls of {DRAWS:,} draws",
    )
    real = _shipped(session)
    every = [gain for gains in ratios.values() for gain in gains]
    return Outcome(
        figures=(
            figure("enumerated pairs", every, "worlds", at_least=3, limit=_LIMIT, holds_back=_WHY),
            *(figure(name, gains, "worlds") for name, gains in ratios.items()),
            figure("entropy, enumerated pairs", entropies, "worlds"),
            figure("|bias|, largest", [max(biases)], "worlds", at_most=0.002, unit="share", limit="0"),
            *(figure(f"{name}, real samples", [gain], "runs") for name, gain in real.items()),
        ),
        notes=(
            "Draws at equal error are as the variances: var(log q/p) over var(Σ KL(q_t‖p_t)). Trees of eight "
            "tokens from four, all 65,536 paths enumerated: drift everywhere or in one context of ten, and "
            "exponential tilts. The bias is the enumerated expectation over KL(q‖p), less one. Real samples: "
            "squared ratio of the standard errors that a report prints. On some pairs the ratio is below 1: "
            "the tests hold a counterexample.",
        ),
    )


_LIMIT = "the variance of Σ KL(q_t‖p_t) between paths, which no sampling of paths avoids"
_WHY = (
    "it is a sum of conditional expectations, not the conditional expectation of the sum: steps that "
    "anticorrelate can make it worse than log q/p"
)


def _pairs(session: Session) -> list[tuple[str, TreePair]]:
    count = session.size(12, 2)
    made = []
    for number in range(count):
        rng = session.rng("pair", number)
        made += [
            ("drift everywhere", drifted(rng, strength=0.4, changed=1.0)),
            ("drift in one context of ten", drifted(rng, strength=1.0, changed=0.1)),
            ("tilt", tilted(rng, inverse_temperature=float(rng.uniform(1.0, 4.0)))),
        ]
    return made


def _off_the_mean(session: Session, pair: TreePair, number: int) -> float:
    """By how much, relatively, the estimator of the service differs from the mean over its draws."""
    rng = session.rng("draws", number)
    drawn = rng.choice(pair.law.size, size=DRAWS, p=pair.law)
    lengths = np.full(DRAWS, pair.paths.shape[1], dtype=np.int64)
    found = sequence_kl(
        pair.kl_along[drawn], (pair.log_q - pair.log_p)[drawn], lengths, BootstrapWeights(rng)
    )
    if found.rb.value is None:
        raise ValueError(found.rb.reason)
    return abs(found.rb.value / float(pair.kl_along[drawn].mean()) - 1)


def _shipped(session: Session) -> dict[str, float]:
    gains = {}
    with running(session.scratch / "service") as service:
        for candidate in PAIRS:
            prompts = "new_rule" if candidate == "tiny-new" else "basin_tail"
            request = comparison(candidate, prompts, kind="free_energy")
            found = service.result(service.analyse(request))["free_energy"]
            rb, plain = (found[name]["sampling_std_error"] for name in ("kl", "kl_k1"))
            close = abs(found["kl"]["value"] - found["kl_k1"]["value"]) < 4 * (rb**2 + plain**2) ** 0.5
            session.check(
                f"{candidate}: the two agree",
                close,
                f"{found['kl']['value']:.4f} and {found['kl_k1']['value']:.4f} nats",
            )
            gains[candidate] = (plain / rb) ** 2
    return gains


BENCHMARK = Benchmark(
    title="Draws until KL(q‖p) is known to 2 %, by the Rao-Blackwellised estimator",
    against="the mean of log q/p at the same error",
    run=run,
)

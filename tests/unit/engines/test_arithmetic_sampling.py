"""Why draws are independent: what arithmetic sampling would gain, exactly, on every completion of a model.

Arithmetic sampling (Vilnis et al. 2023, arXiv 2210.15458) reads n completions off the distribution function
of the sequence law at (i + U)/n, tokens in id order, with one uniform U.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from exact_world import plain_prompt
from numpy.typing import NDArray

from workers.engines.enumeration import enumerate_completions
from workers.engines.loading import load_engine
from workers.engines.policy import Policy
from workers.pipelines.sample import render

EXAMPLES = Path(__file__).parents[3] / "examples"
Floats = NDArray[np.float64]


def moments(lows: Floats, highs: Floats, points: int) -> tuple[float, float]:
    """Mean and variance over U of how many of the points (i + U)/n lie in the intervals [low, high).

    An interval holds ceil(n high - U) - ceil(n low - U) of them, and ceil(x - U) is floor(x), one more while
    U < x - floor(x): the count is a step function of U.
    """
    ends = points * np.concatenate([highs, lows])
    signs = np.repeat([1.0, -1.0], lows.size)
    order = np.argsort(ends % 1)
    steps, signs_in_order = (ends % 1)[order], signs[order]
    counts = float(signs @ np.floor(ends)) + np.append(np.cumsum(signs_in_order[::-1])[::-1], 0.0)
    widths = np.diff(np.concatenate([[0.0], steps, [1.0]]))
    mean = float(widths @ counts)
    return mean, float(widths @ (counts - mean) ** 2)


def test_moments_are_those_of_a_fine_grid_of_offsets() -> None:
    rng = np.random.default_rng(0)
    edges = np.sort(rng.random(8))
    offsets = (np.arange(20_000) + 0.5) / 20_000
    where = (np.arange(5)[:, None] + offsets) / 5
    counts = sum(((low <= where) & (where < high)).sum(axis=0) for low, high in edges.reshape(-1, 2))
    mean, variance = moments(edges[::2], edges[1::2], 5)
    assert mean == pytest.approx(counts.mean(), abs=1e-3)
    assert mean == pytest.approx(5 * (edges[1::2] - edges[::2]).sum())
    assert variance == pytest.approx(counts.var(), abs=1e-3)


def test_two_equal_openings_double_the_variance() -> None:
    # right with chance 0.2 after each of two openings: both of two points are right, or none
    mean, variance = moments(np.array([0.0, 0.5]), np.array([0.1, 0.6]), 2)
    assert mean == pytest.approx(2 * 0.2)
    assert variance == pytest.approx(2 * (2 * 0.2 * 0.8))


def right_answer(text: str, answer: str) -> bool:
    return text == answer


def even_digit_sum(text: str, answer: str) -> bool:
    return text.isdigit() and sum(map(int, text)) % 2 == 0


@pytest.mark.slow
def test_what_arithmetic_sampling_would_gain(capsys: pytest.CaptureFixture[str]) -> None:
    """Variance of independent draws over its own at 64 points, one offset and eight offsets of eight."""
    engine = load_engine(EXAMPLES / "models" / "tiny-base")
    ratios: dict[str, list[float]] = {}
    for line in (EXAMPLES / "prompts" / "basin_tail.jsonl").read_text().splitlines()[:20]:
        prompt = json.loads(line)
        ids = render(engine, plain_prompt(prompt["prompt"]))
        law = sorted(enumerate_completions(engine, ids, Policy(max_new_tokens=4)), key=lambda c: c.token_ids)
        edges = np.concatenate([[0.0], np.cumsum(np.exp([one.log_prob for one in law]))])
        texts = [engine.text(one.token_ids).strip() for one in law]
        for judge in (right_answer, even_digit_sum):
            is_right = np.array([judge(text, prompt["answer"]) for text in texts])
            lows, highs = edges[:-1][is_right], edges[1:][is_right]
            a = float((highs - lows).sum())
            for offsets, points in ((1, 64), (8, 8)):
                mean, variance = moments(lows, highs, points)
                assert mean == pytest.approx(points * a)
                ratio = 64 * a * (1 - a) / (offsets * variance)
                ratios.setdefault(f"{judge.__name__}, {offsets} x {points}", []).append(ratio)
    with capsys.disabled():
        for name, found in ratios.items():
            print(
                f"\n{name}: median {np.median(found):.2f}, least {min(found):.2f}, greatest {max(found):.1f}"
            )
    assert np.median(ratios["right_answer, 1 x 64"]) > 3
    assert np.median(ratios["right_answer, 8 x 8"]) < 1.4  # what Student's t with 7 degrees of freedom costs
    assert min(ratios["even_digit_sum, 8 x 8"]) < 1

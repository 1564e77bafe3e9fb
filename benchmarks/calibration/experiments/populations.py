"""Populations that the prompts of the data-set experiments are drawn from."""

import numpy as np

N = 64
"""Samples a prompt and side."""

KS = (1, 8, 64)
TAUS = (0.01, 0.1, 0.5)


def prompt_rates(rng: np.random.Generator, prompts: int) -> tuple[np.ndarray, np.ndarray]:
    """A population whose curves cross: most prompts are tilted up, a fifth are forgotten."""
    a = rng.beta(0.5, 2.0, prompts)
    b = 20 * a / (1 - a + 20 * a)
    return a, np.where(rng.random(prompts) < 0.2, 0.0, b)


def gain_prompts(rng: np.random.Generator, prompts: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Kind of each prompt (0 elicited, 1 created, 2 lost, 3 flat), a and b. Shapes ``(M,)``."""
    kinds = rng.choice(4, size=prompts, p=[0.5, 0.25, 0.1, 0.15])
    a = np.select(
        [kinds == 0, kinds == 1], [rng.uniform(0.02, 0.4, prompts), 1e-6], rng.uniform(0.3, 0.9, prompts)
    )
    b = np.select([kinds == 3, kinds == 2], [a, 0.2 * a], rng.uniform(0.6, 0.95, prompts))
    return kinds, a, b

"""A probe with known answers: a device that miscalculates must not draw a single sample."""

from typing import Final

import numpy as np
import torch

from workers.engines.drawing import inverse_transform
from workers.engines.policy import Policy, policy_log_probs

_WIDTH: Final = 64
_TOLERANCE: Final = 1e-4
"""On log-probabilities in nats, against float64 on the CPU: far above rounding in float32."""


def known_answer(device: str) -> str | None:
    """Multiply, normalise and sample on the device, and compare with arithmetic done otherwise.

    Integer matrices have exact products, the law of integer logits is computed again in float64 NumPy, and
    a uniform in the middle of a token's slice must give that token.

    Args:
        device: ``cpu`` or ``cuda``.

    Returns:
        What was wrong, or None.
    """
    try:
        return _first_error(torch.device(device))
    except RuntimeError as error:
        return f"the device refuses to compute: {type(error).__name__}"


def _first_error(device: torch.device) -> str | None:
    left = np.arange(_WIDTH * _WIDTH, dtype=np.int64).reshape(_WIDTH, _WIDTH) % 7 - 3
    right = np.arange(_WIDTH * _WIDTH, dtype=np.int64).reshape(_WIDTH, _WIDTH) % 5 - 2
    product = torch.from_numpy(left).float().to(device) @ torch.from_numpy(right).float().to(device)
    if not np.array_equal(product.cpu().numpy().astype(np.int64), left @ right):
        return "a product of integer matrices is wrong"
    logits = (left @ right / 16.0).astype(np.float64)
    shifted = logits - logits.max(axis=1, keepdims=True)
    law = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    computed = policy_log_probs(torch.from_numpy(logits).float().to(device), Policy())
    if not np.allclose(computed.cpu().numpy(), law, rtol=0.0, atol=_TOLERANCE):
        return "a normalised law is wrong"
    probabilities = np.exp(law)
    wanted = probabilities.argmax(axis=1)
    rows = np.arange(_WIDTH)
    middles = probabilities.cumsum(axis=1)[rows, wanted] - probabilities[rows, wanted] / 2
    drawn = inverse_transform(computed, torch.from_numpy(middles).to(device))
    if not np.array_equal(drawn.cpu().numpy(), wanted):
        return "a sampled token is wrong"
    return None

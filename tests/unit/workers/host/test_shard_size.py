import pytest

from workers.host.shard_size import LEAST_TOKENS, shard_tokens


@pytest.mark.parametrize(
    ("seconds", "pace", "tokens"),
    [
        (0.0, 9_000.0, 50_000),  # not wanted
        (4.0, None, 50_000),  # nothing measured
        (4.0, 2_500.0, 10_000),
        (4.0, 90_000.0, 50_000),
        (4.0, 20.0, LEAST_TOKENS),
    ],
)
def test_a_shard_is_planned_for_seconds_within_bounds(seconds, pace, tokens):
    assert shard_tokens(50_000, seconds, pace) == tokens

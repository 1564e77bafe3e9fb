"""The thresholds of a verdict."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The thresholds of a verdict. Policy, not theory; the defaults are those of the API.

    Raises:
        ValueError: A threshold is out of range.
    """

    alpha: float = 0.05
    reach: float = 0.5
    elicitation_max_share: float = 0.05
    creation_min_share: float = 0.5
    mixed_min_share: float = 0.05
    mixed_max_share: float = 0.95
    undetermined_max_share: float = 0.3
    unusable_max_share: float = 0.1
    collapse_max_entropy_share: float = 0.5
    drift_dominated_min_share: float = 0.5
    drift_dominated_min_nats: float = 0.1
    format_repair_max_share: float = 0.5

    def __post_init__(self) -> None:
        """Reject levels without meaning."""
        if not 0 < self.alpha < 0.5 or not 0 < self.reach < 1:
            raise ValueError("alpha lies in (0, 0.5) and reach in (0, 1)")
        shares = [self.elicitation_max_share, self.creation_min_share, self.mixed_min_share]
        shares += [self.mixed_max_share, self.undetermined_max_share, self.unusable_max_share]
        shares += [self.collapse_max_entropy_share, self.drift_dominated_min_share]
        shares += [self.format_repair_max_share]
        if not all(0 <= share <= 1 for share in shares):
            raise ValueError("a share lies in [0, 1]")
        if self.drift_dominated_min_nats < 0:
            raise ValueError("nats are not negative")

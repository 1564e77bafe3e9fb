"""What a worker lends to verifiers that need more than a text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from workers.errors import AnalysisFault
from workers.verifiers.child import ChildPool
from workers.verifiers.sandbox import Sandbox


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the operator allows; nothing unless said so.

    Attributes:
        python: Whether programs that models wrote may run, in a sandbox.
        http_hosts: Hosts that may judge; `*` is every public one.
        http_loopback: Whether a judge may be this machine itself, over plain http.
        secrets: Values for the headers of an HTTP judge, by its host and their name.
    """

    python: bool = False
    http_hosts: frozenset[str] = frozenset()
    http_loopback: bool = False
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)


class RewardModels(Protocol):
    """Reward models by registry id."""

    def check(self, model_id: str) -> None:
        """Make sure that a model can be used; an AnalysisFault says why not."""

    def logits(self, model_id: str, pairs: Sequence[tuple[str, str]]) -> list[list[float] | None]:
        """Outputs of a model's head for (prompt, completion) pairs; None where a pair exceeds its context."""


class Means:
    """The means of one worker process; children stay warm between shards.

    Args:
        allowed: What the operator allows.
        lanes: Texts judged at once where judging happens in other processes.
        rewards: The reward models of this process; None where it has none.
    """

    def __init__(
        self, allowed: Allowed | None = None, *, lanes: int = 1, rewards: RewardModels | None = None
    ) -> None:
        self.rewards = rewards
        self.allowed = allowed or Allowed()
        self.lanes = lanes
        self._pools: dict[str, ChildPool] = {}
        self._sandbox: Sandbox | None = None

    def children(self, rules: str) -> ChildPool:
        """The pool of one kind of child."""
        if rules not in self._pools:
            self._pools[rules] = ChildPool(rules, self.lanes)
        return self._pools[rules]

    def sandbox(self) -> Sandbox:
        """Where programs run.

        Raises:
            AnalysisFault: the operator does not allow it, or this machine cannot make one.
        """
        if not self.allowed.python:
            raise AnalysisFault(
                "signal_not_allowed",
                "the signal `python` is off on this worker; its operator can set TILTSCOPE_PYTHON_SIGNAL=1",
                "/signal/kind",
            )
        if self._sandbox is None:
            self._sandbox = Sandbox()
        return self._sandbox

    def close(self) -> None:
        """End every idle child."""
        for pool in self._pools.values():
            pool.close()

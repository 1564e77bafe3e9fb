"""What the operator of this worker lends to verifiers."""

from workers.settings import Settings
from workers.verifiers.means import Allowed, Means, RewardModels


def lent_means(settings: Settings, rewards: RewardModels) -> Means:
    """The means that settings allow, and the reward models of this process."""
    secrets = {
        host.lower(): {name: value.get_secret_value() for name, value in named.items()}
        for host, named in settings.signal_secrets.items()
    }
    allowed = Allowed(
        python=settings.python_signal,
        http_hosts=settings.http_signal_hosts,
        http_loopback=settings.http_signal_loopback,
        secrets=secrets,
    )
    return Means(allowed, lanes=settings.judge_lanes, rewards=rewards)

"""The diagnostics of a prompt's importance weights, in its row."""

from workers.estimators.importance import Diagnostics
from workers.pipelines.document import Json


def weights_json(scoring: Diagnostics) -> Json:
    """Diagnostics of ``w 1_C`` with the grade they give to what rests on them.

    Args:
        scoring: Of the scored draws of the whole run.
    """
    status, reason = scoring.grade()
    return {
        "draws": scoring.draws,
        "successes": scoring.successes,
        "ess": scoring.ess,
        "largest_share": scoring.max_share if scoring.successes else None,
        "log_spread": scoring.log_spread_sd,
        "log_range": scoring.log_spread,
        "pareto_k": scoring.pareto_k,
        "status": status,
        "reason": reason,
    }

"""The weights behind a prompt's scored success, in words."""

from workers.reports.numerals import count
from workers.reports.readings import Json


def weights_fact(weights: Json) -> str:
    """One sentence: how many successes the weights are worth, and whether they may be relied on."""
    if not weights["successes"]:
        return "Scored draws say nothing of the reference here: no success has a chance under it."
    shape = "" if weights["pareto_k"] is None else f", Pareto k {weights['pareto_k']:.2f}"
    grade = "reliable" if weights["status"] == "ok" else f"unreliable, for {weights['reason']}"
    hits, draws = count(weights["successes"], "success", "successes"), count(weights["draws"], "draw")
    return (
        f"Scored draws: {hits} of {draws} are worth {weights['ess']:.1f}; the heaviest carries "
        f"{weights['largest_share']:.0%} of the weight, log-weights spread by {weights['log_spread']:.2f} "
        f"nats{shape}: {grade}."
    )

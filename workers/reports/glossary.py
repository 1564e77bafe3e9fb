"""The report's words for the field's terms."""

from dataclasses import dataclass
from typing import Final

NOT_REACHED: Final = "not reached by this reference under this policy, signal and budget"


@dataclass(frozen=True, slots=True)
class Term:
    """A name with its mark, so that colour never says it alone, and what it means."""

    name: str
    mark: str
    words: str
    css: str


LABELS: Final = {
    "elicitation": Term("Elicitation", "◐", "the gain lies where the reference already reached", "elicited"),
    "creation": Term("Creation", "◆", f"the gain lies where success was {NOT_REACHED}", "created"),
    "mixed": Term("Mixed", "◈", "part of the gain was within the reference's reach, part was not", "mixed"),
    "inconclusive": Term("Inconclusive", "○", "these samples do not decide", "undetermined"),
}

FINDINGS: Final = {
    "shrinkage": Term("Shrinkage", "▽", "prompts that were in reach are no longer reached", "lost"),
    "regression": Term("Regression", "▼", "the candidate succeeds less often than the reference", "lost"),
    "collapse": Term(
        "Collapse", "◖", "the candidate covers far less than a tilt would have left it", "drift"
    ),
    "drift_dominated": Term(
        "Mostly drift", "≈", "most of the KL is neither asked for by the signal nor an escape", "drift"
    ),
    "format_repair": Term(
        "Format repair?", "¶", "the gain mostly vanishes among samples whose answer could be read", "drift"
    ),
}

REGIMES: Final = {
    "basin": Term("basin", "●", "the reference reaches it already within K_use samples", "basin"),
    "tail": Term(
        "tail", "◐", "the reference reaches it within K_probe samples, not surely within K_use", "tail"
    ),
    "unreached": Term("unreached", "◆", f"the candidate reaches it; {NOT_REACHED}", "unreached"),
    "barrier": Term(
        "barrier", "◇", "the candidate reaches it; the reference only with help such as a hint", "barrier"
    ),
    "singular": Term(
        "singular",
        "✦",
        "the candidate reaches it; the reference gives every such success probability zero",
        "singular",
    ),
    "lost": Term(
        "lost", "▽", "the reference reached it within K_probe samples, the candidate does not", "lost"
    ),
    "beyond": Term("beyond", "□", "neither side reaches it at its budget", "beyond"),
    "undetermined": Term(
        "undetermined", "○", "these samples do not settle it; never rounded to a neighbour", "undetermined"
    ),
}
"""In the order in which they are drawn: within reach, created, lost, neither, unknown."""

CREATED: Final = ("unreached", "barrier", "singular")

GAIN_PARTS: Final = {
    "total": Term("Total", "", "candidate's success minus reference's, mean over prompts", "total"),
    "elicited": Term("Elicited", "", "on prompts within the reference's reach at K_probe", "elicited"),
    "created": Term("Created", "", "on confirmed prompts that the reference did not reach", "created"),
    "lost": Term("Lost", "", "on prompts where the candidate certainly succeeds less often", "lost"),
    "undetermined": Term("Undetermined", "", "on prompts that these samples do not settle", "undetermined"),
}

NATS_PARTS: Final = {
    "kl": Term("KL", "", "KL(candidate‖reference): how far the candidate moved, all told", "total"),
    "tilt": Term("Tilt", "", "what the signal asked for, inside the reference's reach", "elicited"),
    "drift": Term("Drift", "", "everything else inside it: style, length, collapse, forgetting", "drift"),
    "escape": Term("Escape", "", "spent on leaving what the reference reaches at K_probe", "created"),
    "retreat": Term("Retreat", "", "spent on avoiding behaviours out of the reference's reach", "lost"),
}

DRIFT_PARTS: Final = {
    "strategy_level": Term(
        "Strategy level", "", "drift between behaviours: which kinds of success were favoured", "drift"
    ),
    "within_strategy": Term(
        "Within strategies", "", "drift within each kind of success, and among failures", "drift"
    ),
}

CHECKS: Final = {
    "sum_identity": "tilt + drift + escape = KL",
    "gap_identity": "free energy minus its minimum = KL to the tilted reference, over β",
    "rao_blackwell_against_k1": "two estimators of KL(candidate‖reference) agree (|z|)",
    "reverse_rao_blackwell_against_k1": "two estimators of KL(reference‖candidate) agree (|z|)",
    "teacher_rao_blackwell_against_k1": "two estimators of KL(either model‖teacher) agree (|z|)",
    "sampler_identity": "a model's own samples are scored as their sampler recorded (nats)",
    "shared_prefixes": "equal tokens of both sides are scored as their sampler recorded (nats)",
    "token_sums": "a sample's score is the sum of its tokens' scores",
    "overlap_identity": "reference and candidate samples see the same overlap (|z|)",
    "mean_weight": "mean of p/q over candidate samples stays below its Markov bound",
    "ladder_zero": "log Z of every model by MBAR is zero (mean, nats)",
    "overlap": "the two models overlap enough to be compared by scoring",
    "weight_deficit": "how far the mean of p/q falls short of 1; a shortfall is normal for real models",
}

NULLS: Final = {
    "aa": ("A/A", "The reference's samples split in two and compared: no creation, no gain beyond chance."),
    "tilt": ("Tilt", "One half of the reference's samples, tilted to the candidate's success: no creation."),
    "planted": (
        "Planted",
        "A made-up behaviour put into half of the prompts: those, and only those, created.",
    ),
}

DIAGNOSTICS: Final = {
    "ess": ("Effective samples", "of the scoring weights, mean over prompts"),
    "pareto_k": ("Pareto k̂", "tail of the scoring weights: below 0.7 they are well behaved"),
    "overlap": ("Overlap", "of reference and candidate, between 0 and 1"),
    "singular_mass": (
        "Singular mass",
        "chance that a candidate sample has probability zero under the reference",
    ),
    "chance_floor": ("Chance floor", "how often samples of other prompts satisfy a created prompt's key"),
}

SHARES: Final = {
    "truncated_share": ("Truncated", "cut by the length limit before an answer"),
    "unparsed_share": ("Unparsed", "no answer could be found in the text"),
    "duplicate_share": ("Repeated", "equal to an earlier sample of its prompt; short answers repeat often"),
}

RETENTION: Final = {
    "srr": ("SRR", "support retained: preserved of preserved and shrunk"),
    "ndr": ("NDR", "net discovery: expanded of preserved and expanded"),
    "sds": ("SDS", "support dynamics: how SRR and NDR balance"),
    "nscr": ("NSCR", "net change: expanded minus shrunk, of all that either side solved"),
}

BEHAVIOURS: Final = {
    "behaviour_entropy": ("Behaviour entropy", "of the labels of successes, nats, mean over prompts"),
    "unseen_mass": ("Unseen mass", "of behaviours that the pilot did not show (Good–Turing)"),
    "novel_mass": ("Novel mass", "the candidate’s, on behaviours that no reference sample showed"),
}

OUTCOMES: Final = {
    "correct": "Correct",
    "incorrect": "Incorrect",
    "unparsed": "Unparsed",
    "truncated": "Truncated",
    "verifier_error": "Verifier error",
}

KINDS: Final = {
    "capability": "Capability analysis",
    "trajectory": "Trajectory",
    "free_energy": "Free-energy analysis",
    "support": "Support analysis",
}

CLASSES: Final = {"in": "within reach", "out": "out of reach", "undetermined": "undetermined"}

CONFIRMATIONS: Final = {
    "every_arm_out": "out of reach under every policy of the reference that was tried",
    "e_bh": "kept when all prompts are selected together (e-BH)",
    "second_verifier": "its successes accepted by a second verifier",
    "above_chance_floor": "candidate's success above the chance floor",
}

"""What an experiment tracker keeps of an analysis."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tiltscope import tables
from tiltscope.documents import Analysis, PromptRow
from tiltscope.result import Result

NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_\-. :/]+")
ENDS = ("ci_low", "ci_high")


@dataclass(frozen=True)
class Record:
    """A finished analysis, ready to be logged.

    Attributes:
        analysis: The analysis object.
        result: What it found.
        prompts: The rows behind it.
        report: The HTML report.
    """

    analysis: Analysis
    result: Result
    prompts: Sequence[PromptRow]
    report: bytes

    @property
    def name(self) -> str:
        """What to call the run."""
        return self.analysis.name or self.analysis.id

    def metrics(self) -> dict[str, float]:
        """Every estimate that has a value, with the ends of its interval; others are in the table only."""
        found = {}
        for path, estimate in self.result.estimates().items():
            name = metric_name(path)
            if estimate.value is not None:
                found[name] = estimate.value
                found |= {f"{name}.{end}": at for end in ENDS if (at := getattr(estimate, end)) is not None}
        return found

    def parameters(self) -> dict[str, str]:
        """What was asked, flattened; the prompts are in the report and the table."""
        spec = {name: value for name, value in self.analysis.spec.items() if name != "prompts"}
        return {name: str(value) for name, value in tables.columns(spec) if value not in (None, [], {})}

    def tags(self) -> dict[str, str]:
        """The verdict, and where the numbers come from."""
        verdict = self.result.verdict
        own = {"tiltscope.analysis_id": self.analysis.id, "tiltscope.kind": self.analysis.kind}
        own |= (
            {}
            if verdict is None
            else {"tiltscope.verdict": verdict.label, "tiltscope.sentence": verdict.sentence}
        )
        return own | {f"label.{key}": value for key, value in self.analysis.labels.items()}

    def estimate_rows(self) -> list[dict[str, Any]]:
        """One row an estimate, undefined ones with their reasons."""
        return self.result.rows()

    def prompt_rows(self) -> list[dict[str, Any]]:
        """One row a prompt: regime, and the estimates with their ends."""
        return [_prompt_row(row) for row in self.prompts]


def metric_name(path: str) -> str:
    """A path in the characters that trackers allow: `pass_at_k[k=8].estimate` is `pass_at_k.k_8`."""
    plain = re.sub(r"\[(\w+)=([^\]]*)\]", r".\1_\2", path.removesuffix(".estimate"))
    return NOT_IN_NAMES.sub("_", plain)


def _prompt_row(row: PromptRow) -> dict[str, Any]:
    found: dict[str, Any] = {"prompt_id": row.prompt_id, "family": row.family, "regime": row.regime}
    for name in ("gain", "kl", "tilt", "drift", "escape"):
        estimate = getattr(row, name)
        for end in ("value", *ENDS):
            found[name if end == "value" else f"{name}.{end}"] = getattr(estimate, end, None)
    for side in ("reference", "candidate"):
        half = getattr(row, side)
        for name in ("successes", "samples"):
            found[f"{side}.{name}"] = getattr(half, name, None)
    return found

"""What every typed answer has in common."""

from pydantic import BaseModel, ConfigDict


class Document(BaseModel):
    """A frozen answer of the service; fields of a later version are kept, not refused."""

    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=())


class EstimateDocument(Document):
    """A number with its error, or the reason why there is none; `str()` gives it with its interval."""

    value: float | None = None
    std_error: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    confidence: float | None = None
    n: int
    unit: str
    status: str
    reason: str

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.status}: {self.reason}"
        low = "-inf" if self.ci_low is None else f"{self.ci_low:.4g}"
        high = "inf" if self.ci_high is None else f"{self.ci_high:.4g}"
        known = self.ci_low is not None or self.ci_high is not None
        doubt = "" if self.status == "ok" else f" ({self.status})"
        return f"{self.value:.4g}" + (f" [{low}, {high}]" if known else "") + doubt

"""A labelled audit of the verifier, and a second verifier."""

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from api_schemas.base import Document, SparseDocument
from api_schemas.estimates import Estimate

MAX_AUDIT_ITEMS = 2_000
"""Labelled texts in one request: enough to bound a rate below 0.2 %, and judged anew in every round."""

AuditCount = Annotated[int, Field(ge=0, le=10_000_000)]


class AuditCounts(Document):
    """What a person found of the verifier: how many right and wrong texts it accepted."""

    right: AuditCount = Field(description="Texts that are right.")
    accepted_right: AuditCount = Field(description="Those that the verifier accepted.")
    wrong: AuditCount = Field(description="Texts that are wrong.")
    accepted_wrong: AuditCount = Field(description="Those that the verifier accepted.")

    @model_validator(mode="after")
    def _accepted_among_audited(self) -> Self:
        if self.accepted_right > self.right or self.accepted_wrong > self.wrong:
            raise ValueError("more texts accepted than audited")
        return self


class AuditedText(Document):
    """A completion with the label of a person."""

    prompt_id: str
    text: Annotated[str, StringConstraints(max_length=100_000)]
    is_right: bool


class VerifierAudit(Document):
    """How often the verifier errs, by counts or by labelled texts that it then judges itself.

    The two error rates, with their intervals, widen every bound and every class: what the verifier's noise
    could explain is undetermined. The rates are taken to be the same on every prompt.
    """

    counts: AuditCounts | None = None
    texts: Annotated[list[AuditedText], Field(min_length=1, max_length=MAX_AUDIT_ITEMS)] | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.counts is None) == (self.texts is None):
            raise ValueError("give exactly one of `counts` and `texts`")
        return self


class VerifierAuditResult(SparseDocument):
    """How often the verifier errs, by the request's audit; all bounds and classes allow for it."""

    right: int
    wrong: int
    false_positive_rate: Estimate
    false_negative_rate: Estimate

"""What a request that is well formed still gets wrong."""

from collections.abc import Sequence
from dataclasses import dataclass

from api_schemas.problems import FieldProblem
from service.errors import ValidationFailed


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault, where it is, and what to do about it.

    Attributes:
        code: Stable; that of the first finding becomes the problem's.
        detail: What is wrong and how to repair it.
        pointer: JSON Pointer into the request.
    """

    code: str
    detail: str
    pointer: str


def refuse(findings: Sequence[Finding], *, listed: int) -> None:
    """Raise if there is any finding.

    Raises:
        ValidationFailed: with the first finding's code and at most `listed` of them.
    """
    if findings:
        raise refusal(findings, listed=listed)


def refusal(findings: Sequence[Finding], *, listed: int) -> ValidationFailed:
    """The answer to a request with findings: the first one's code, and at most `listed` of them."""
    first, more = findings[0], len(findings) - 1
    return ValidationFailed(
        first.detail + (f" (and {more} more)" if more else ""),
        code=first.code,
        errors=[FieldProblem(detail=f.detail, pointer=f.pointer) for f in findings[:listed]],
    )

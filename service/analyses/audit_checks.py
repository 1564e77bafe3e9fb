"""Whether the texts of an audit belong to prompts of the request."""

from collections.abc import Iterable

from api_schemas.audits import VerifierAudit
from api_schemas.prompts import Prompt
from service.analyses.findings import Finding


def check_audit(audit: VerifierAudit, prompts: Iterable[Prompt]) -> list[Finding]:
    """Check that every labelled text names a prompt.

    Args:
        audit: The audit.
        prompts: The prompts.
    """
    if audit.texts is None:
        return []
    known = {prompt.id for prompt in prompts}
    return [
        Finding(
            "unknown_prompt",
            f"no prompt `{text.prompt_id}`: a labelled text is judged by the key of a prompt of this request",
            f"/audit/texts/{index}/prompt_id",
        )
        for index, text in enumerate(audit.texts)
        if text.prompt_id not in known
    ]

"""Where an analysis's prompts are: in the request, or in a data set."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from sqlalchemy import Connection

from api_schemas.prompts import DatasetPrompts, InlinePrompts, Prompt
from ledger import datasets
from service.analyses.findings import Finding
from service.datasets.read import prompts_of
from service.resources import Resources


@dataclass(frozen=True, slots=True)
class PromptSource:
    """The prompts of a request.

    Attributes:
        count: How many there are.
        inline: Those in the request; none if they are in a data set.
        dataset: Id of the data set.
    """

    count: int
    inline: Sequence[Prompt] = ()
    dataset: str | None = None

    def prompts(self, resources: Resources) -> Iterable[Prompt]:
        """Every prompt in order; those of a data set are read one by one."""
        return self.inline if self.dataset is None else prompts_of(resources, self.dataset)

    def placed(self, findings: Iterable[Finding], *, listed: int) -> Iterator[Finding]:
        """Findings about the prompts, each at a place that the request has."""
        if self.dataset is None:
            return iter(findings)
        return (replace(finding, pointer=_outside(finding.pointer)) for finding in islice(findings, listed))


def prompt_source(
    conn: Connection, tenant: str, prompts: InlinePrompts | DatasetPrompts | None
) -> PromptSource | None:
    """The prompts a request names; None if it names a data set that is not there.

    Without any, those of its imports are meant: a worker finds them.
    """
    if prompts is None:
        return PromptSource(count=0)
    if isinstance(prompts, InlinePrompts):
        return PromptSource(count=len(prompts.inline), inline=prompts.inline)
    row = datasets.get(conn, tenant, prompts.dataset)
    return None if row is None else PromptSource(count=row.prompts, dataset=row.id)


def _outside(pointer: str) -> str:
    """A data set's prompts have no place in the request: the data set is named instead."""
    return "/prompts/dataset" if pointer.startswith("/prompts") else pointer

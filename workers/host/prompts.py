"""The prompts of an analysis that names a data set."""

from collections.abc import Mapping

from api_schemas.prompts import Prompt
from workers.host.context import HostContext
from workers.pipelines.spec import PromptSpec, prompt_specs

_CACHED = "dataset"


def named_prompts(dataset: Mapping[str, str] | None, context: HostContext) -> tuple[PromptSpec, ...] | None:
    """The prompts of a data set; the last one stays in memory, because shards of one analysis come together.

    Args:
        dataset: `artefact_key` and `sha256` of the lines; None if the request has its prompts itself.
        context: Store and memory of this process.

    Raises:
        ArtefactCorrupt: the lines are not those that were uploaded.
    """
    if dataset is None:
        return None
    known: tuple[str, tuple[PromptSpec, ...]] | None = context.cache.get(_CACHED)
    if known is None or known[0] != dataset["sha256"]:
        lines = context.store.open_verified(dataset["artefact_key"], dataset["sha256"]).split(b"\n")[:-1]
        # The lines leave out what is a default, so that new kinds of prompts do not change old data sets.
        full = (Prompt.model_validate_json(line).model_dump(mode="json") for line in lines)
        known = context.cache[_CACHED] = (dataset["sha256"], prompt_specs(full))
    return known[1]

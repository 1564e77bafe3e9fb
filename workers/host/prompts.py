"""The prompts of an analysis, in its request or in a data set that this names."""

from collections.abc import Iterable, Mapping
from typing import Any

from api_schemas.prompts import Prompt
from workers.host.context import HostContext
from workers.host.known_requests import request_name
from workers.pipelines.spec import PromptSpec, prompt_specs

_CACHED = "prompts"


def prompts_of(message: Mapping[str, Any], context: HostContext) -> tuple[PromptSpec, ...] | None:
    """The prompts of a `run` message; the last ones stay in memory: shards of one analysis come together.

    Args:
        message: Its ``dataset`` is ``{artefact_key, sha256}`` of the lines, or None.
        context: Store and memory of this process.

    Returns:
        None if they are those of imported sides.

    Raises:
        ArtefactCorrupt: the lines are not those that were uploaded.
    """
    dataset, asked = message.get("dataset"), message["analysis"]["spec"]["prompts"]
    if dataset is None and asked is None:
        return None
    name = request_name(message) if dataset is None else dataset["sha256"]
    known: tuple[str, tuple[PromptSpec, ...]] | None = context.cache.get(_CACHED)
    if known is None or known[0] != name:
        prompts = asked["inline"] if dataset is None else _lines(dataset, context)
        known = context.cache[_CACHED] = (name, prompt_specs(prompts))
    return known[1]


def _lines(dataset: Mapping[str, str], context: HostContext) -> Iterable[dict[str, Any]]:
    lines = context.store.open_verified(dataset["artefact_key"], dataset["sha256"]).split(b"\n")[:-1]
    # The lines leave out what is a default, so that new kinds of prompts do not change old data sets.
    return (Prompt.model_validate_json(line).model_dump(mode="json") for line in lines)

"""Prompts that checkpoints of a trajectory lost."""

from typing import Annotated

from pydantic import Field

from api_schemas.base import SparseDocument


class CheckpointShrinkage(SparseDocument):
    """Evidence that a checkpoint lost some prompt, with multiplicity over all checkpoints."""

    certified: bool
    log_e_value: Annotated[
        float | None, Field(description="Against `no prompt is lost here`, nats; null without a prompt.")
    ]
    needed_log_e_value: Annotated[
        float, Field(description="log(checkpoints / alpha): no checkpoint is wrong with chance 1 - alpha.")
    ]
    prompt_ids: Annotated[
        list[str], Field(description="Prompts whose loss e-BH keeps at this checkpoint alone.")
    ]


class FirstShrinkage(SparseDocument):
    """The first checkpoint at which shrinkage is certified."""

    checkpoint: int
    candidate: str
    step: int | None

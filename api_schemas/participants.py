"""The sides of an analysis: models of the registry, or imported logs."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, WithJsonSchema

from api_schemas.base import Document
from api_schemas.ids import IMPORT_ID
from api_schemas.model_ids import ModelId


class ModelParticipant(Document):
    """A model of the registry as one side of an analysis."""

    source: Literal["model"] = "model"
    model: ModelId = Field(examples=["tiny-base"])


class Checkpoint(ModelParticipant):
    """A checkpoint of the run that a trajectory follows."""

    step: Annotated[int, Field(ge=0, lt=2**63)] | None = Field(
        None, description="The training step it was saved at; later checkpoints have larger ones."
    )


def _import_id(value: str) -> str:
    if re.fullmatch(IMPORT_ID, value) is None:
        raise ValueError("an import's id starts with `imp_`; POST /v1/imports gives one")
    return value


class ImportParticipant(Document):
    """An imported log as one side of an analysis: its samples are there already."""

    source: Literal["import"]
    import_id: Annotated[
        str,
        AfterValidator(_import_id),
        WithJsonSchema({"type": "string", "pattern": IMPORT_ID}),
        Field(alias="import", examples=["imp_01JD8ZC6Q5V6TQ3N4R5S6T7V8W"]),
    ]


def _source(value: object) -> str:
    named = value.get("source") if isinstance(value, dict) else getattr(value, "source", None)
    return "import" if named == "import" else "model"


Participant = Annotated[
    Annotated[ModelParticipant, Tag("model")] | Annotated[ImportParticipant, Tag("import")],
    Discriminator(_source),
]

"""Files an analysis leaves behind."""

from typing import Literal

from api_schemas.base import Document


class Artifact(Document):
    """A stored file and the hash it is checked against before it is sent."""

    object: Literal["artifact"]
    name: str
    media_type: str
    bytes: int
    sha256: str
    href: str


class ArtifactList(Document):
    """The files of one analysis, by name."""

    object: Literal["list"]
    data: list[Artifact]
    has_more: bool
    next_cursor: str | None

"""How models are named."""

import re
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

MODEL_ID = r"^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?$"
"""A registry id: never a path, so that a request cannot name a file of the server."""


def _registry_id(value: str) -> str:
    if re.fullmatch(MODEL_ID, value) is None:
        raise ValueError(
            "a registry id has letters, digits, '.', '_' and '-' only, and is never a path; "
            "GET /v1/models lists the ids"
        )
    return value


ModelId = Annotated[
    str, AfterValidator(_registry_id), WithJsonSchema({"type": "string", "pattern": MODEL_ID})
]

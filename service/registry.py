"""The model registry, read only: the reconciler fills it."""

import re
from typing import Any, Final

from api_schemas.model_ids import MODEL_ID
from api_schemas.models import Model, ModelList
from ledger import models
from ledger.database import read
from service.cursors import decode, encode
from service.errors import NotFound
from service.resources import Resources
from service.settings import REGISTRY_TENANT

_LISTING: Final = {"route": "models_list"}


def get_model(resources: Resources, model_id: str) -> Model:
    """One entry.

    Raises:
        NotFound: the registry has none of this id.
    """
    row = None
    if re.fullmatch(MODEL_ID, model_id):
        with read(resources.engine) as conn:
            row = models.get(conn, REGISTRY_TENANT, model_id)
    if row is None:
        raise NotFound("the registry has no such model; GET /v1/models lists them", code="model_not_found")
    return _represent(row)


def list_models(resources: Resources, *, limit: int, after: str | None) -> ModelList:
    """A page of entries by id.

    Raises:
        ValidationFailed: `after` is no cursor of this list.
    """
    position = decode(after, _LISTING, (str,))
    with read(resources.engine) as conn:
        rows = models.list_page(
            conn, REGISTRY_TENANT, limit=limit + 1, after=position[0] if position else None
        )
    page = rows[:limit]
    has_more = len(rows) > limit
    cursor = encode((page[-1].id,), _LISTING) if has_more else None
    return ModelList(
        object="list", data=[_represent(row) for row in page], has_more=has_more, next_cursor=cursor
    )


def _represent(row: Any) -> Model:
    return Model(
        id=row.id,
        object="model",
        kind=row.kind,
        status=row.state,
        detail=row.error,
        architecture=row.architecture,
        parameters=row.parameters,
        bytes=row.bytes,
        context_length=row.context_length,
        base=row.base,
        weights_digest=row.weights_digest,
        adapter_digest=row.adapter_digest,
        tokenizer_digest=row.tokenizer_digest,
    )

"""Routes of /v1/models."""

from fastapi import APIRouter

from api_schemas.models import Model, ModelList
from service import registry
from service.api.dependencies import After, Limit, ResourcesDep

router = APIRouter(prefix="/v1/models", tags=["models"])


@router.get("", operation_id="models_list")
def list_models(resources: ResourcesDep, limit: Limit = 20, after: After = None) -> ModelList:
    """The models that analyses may name, by id."""
    return registry.list_models(resources, limit=limit, after=after)


@router.get("/{model_id}", operation_id="models_get")
def get(model_id: str, resources: ResourcesDep) -> Model:
    """One model: its digests, its size, its tokenizer."""
    return registry.get_model(resources, model_id)

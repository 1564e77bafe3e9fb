"""The route of /v1/signals."""

from fastapi import APIRouter

from api_schemas.signals import SignalList
from service import catalogue
from service.api.dependencies import ResourcesDep
from service.offers import Offers

router = APIRouter(prefix="/v1/signals", tags=["signals"])


@router.get("", operation_id="signals_list")
def list_signals(resources: ResourcesDep) -> SignalList:
    """Every signal: the JSON Schema of its settings, an example, and whether it is offered here."""
    return catalogue.list_signals(Offers.of(resources.settings))

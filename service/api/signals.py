"""The route of /v1/signals."""

from fastapi import APIRouter

from api_schemas.signals import SignalList
from service import catalogue

router = APIRouter(prefix="/v1/signals", tags=["signals"])


@router.get("", operation_id="signals_list")
def list_signals() -> SignalList:
    """The verifiers on offer and the JSON Schemas of their settings."""
    return catalogue.list_signals()

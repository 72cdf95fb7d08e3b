"""Backbones."""

from fastapi import APIRouter

from app.schemas.backbones import BackboneList, BackboneRead
from ot3l_core.catalogue import CATALOGUE, DEFAULT_BACKBONE

router = APIRouter(prefix="/backbones", tags=["backbones"])


@router.get("")
def list_backbones() -> BackboneList:
    """List the networks that a job can start from."""
    return BackboneList(
        items=[BackboneRead.model_validate(entry, from_attributes=True) for entry in CATALOGUE],
        default=DEFAULT_BACKBONE,
    )

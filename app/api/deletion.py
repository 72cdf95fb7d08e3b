"""Deleting work."""

from typing import Annotated

from fastapi import APIRouter, Depends, status

from app.api.dependencies import WritingDep
from app.api.nouns import DATASETS, DISTANCES, JOBS, SELECTIONS, Noun, Reference
from app.api.problems import problems
from app.services.deletion import delete_work

router = APIRouter()


def _add_delete(noun: Noun) -> None:
    @router.delete(
        noun.path,
        status_code=status.HTTP_204_NO_CONTENT,
        tags=[noun.plural],
        responses=problems(404, 409),
        name=f"delete_{noun.singular}",
    )
    def delete(reference: Annotated[Reference, Depends(noun.refer)], context: WritingDep) -> None:
        """Delete it with its files, once it has ended and nothing else refers to it."""
        delete_work(context, reference.find(context))


for _noun in (JOBS, DISTANCES, SELECTIONS, DATASETS):
    _add_delete(_noun)

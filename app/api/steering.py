"""Stopping work, and beginning it again."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response, status

from app.api.dependencies import WritingDep
from app.api.idempotency import REPLAYED_HEADER, AskedDep, mark_replayed
from app.api.nouns import DATASETS, DISTANCES, JOBS, SELECTIONS, Noun, Reference
from app.api.problems import problems
from app.api.replies import send
from app.services.context import Context
from app.services.idempotency import Done
from app.services.reading import show_work
from app.services.steering import cancel_work, retry_work
from app.store.records import WorkRecord

_RESPONSES = {202: {"description": "Its present state.", "headers": REPLAYED_HEADER}, **problems(404, 409, 422)}

router = APIRouter()


def _add_cancel(noun: Noun) -> None:
    @router.post(
        f"{noun.path}/cancel",
        status_code=status.HTTP_202_ACCEPTED,
        response_model=noun.reply,
        tags=[noun.plural],
        responses=_RESPONSES,
        name=f"cancel_{noun.singular}",
    )
    def cancel(reference: Annotated[Reference, Depends(noun.refer)], context: WritingDep, asked: AskedDep) -> Response:
        """Cancel it: at once if it waits, within five seconds if it runs. What it has told until then is kept."""
        return _answer(context, noun, reference, cancel_work(context, asked, reference.find(context)))


def _add_retry(noun: Noun) -> None:
    @router.post(
        f"{noun.path}/retry",
        status_code=status.HTTP_202_ACCEPTED,
        response_model=noun.reply,
        tags=[noun.plural],
        responses=_RESPONSES,
        name=f"retry_{noun.singular}",
    )
    def retry(reference: Annotated[Reference, Depends(noun.refer)], context: WritingDep, asked: AskedDep) -> Response:
        """Do again what has failed or was cancelled, under the same id and with as many attempts as new work has."""
        return _answer(context, noun, reference, retry_work(context, asked, reference.find(context)))


def _answer(context: Context, noun: Noun, reference: Reference, done: Done[WorkRecord]) -> Response:
    shown = show_work(context, reference.kind, done.subject_id)
    response = send(noun.reply, shown, status_code=status.HTTP_202_ACCEPTED)
    if done.fresh is None:
        mark_replayed(response)
    return response


for _noun in (JOBS, DISTANCES, SELECTIONS, DATASETS):
    _add_cancel(_noun)
for _noun in (JOBS, DISTANCES, SELECTIONS):
    _add_retry(_noun)

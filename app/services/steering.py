"""Stopping work that is under way, and beginning again what did not end well."""

from app.errors import NotCancellableError, NotRetryableError
from app.services.context import Context
from app.services.dispatch import commit_and_enqueue
from app.services.idempotency import Asked, Done, once
from app.services.reading import NOUN
from app.states import WorkState
from app.store import work
from app.store.records import WorkRecord
from app.store.work import Waiting


def cancel_work(context: Context, asked: Asked | None, record: WorkRecord) -> Done[WorkRecord]:
    """End queued work at once, or ask running work to stop.

    Raises:
        NotCancellableError: If it has already ended.
    """

    def cancel() -> WorkRecord:
        if not work.cancel(context.session, type(record), record.id):
            context.session.refresh(record)
            state = WorkState(record.state)
            raise NotCancellableError(f"The {NOUN[type(record)]} has already {state}: there is nothing to cancel.")
        return record

    done = once(context, asked, cancel, about=record.id)
    context.session.commit()
    return done


def retry_work(context: Context, asked: Asked | None, record: WorkRecord) -> Done[WorkRecord]:
    """Have failed or cancelled work done again, under the same id and with as many attempts as new work has.

    Raises:
        NotRetryableError: If it has neither failed nor been cancelled.
    """

    def retry() -> WorkRecord:
        if not work.retry(context.session, type(record), record.id):
            context.session.refresh(record)
            noun, state = NOUN[type(record)], WorkState(record.state)
            raise NotRetryableError(f"The {noun} is {state}: only what has failed or was cancelled begins again.")
        return record

    done = once(context, asked, retry, about=record.id)
    if done.fresh is not None:
        commit_and_enqueue(context, type(record), Waiting(record.id, record.priority))
    return done

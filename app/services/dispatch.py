"""Getting work to the workers, whatever happens to messages and workers on the way."""

import logging

from app.errors import UnavailableError
from app.queue import JobQueue, Message, TaskName
from app.services.context import Context
from app.services.limits import require_room
from app.settings import Settings
from app.store import work
from app.store.records import DatasetRecord, DistanceRecord, JobRecord, SelectionRecord, WorkRecord
from app.store.sessions import Database
from app.store.work import Waiting

log = logging.getLogger(__name__)

TASK_OF: dict[type[WorkRecord], TaskName] = {
    DatasetRecord: TaskName.INSPECT_DATASET,
    DistanceRecord: TaskName.MEASURE_DISTANCE,
    SelectionRecord: TaskName.SELECT_SAMPLES,
    JobRecord: TaskName.TRANSFER,
}

WORKER_LOST = {
    "code": "worker_lost",
    "message": "Worker after worker was lost over this work, most likely for want of memory: "
    "use fewer samples, or a smaller backbone or input_size.",
    "field": None,
}


def commit_and_enqueue(context: Context, kind: type[WorkRecord], waiting: Waiting) -> None:
    """Make the work durable, then have a worker told.

    A broker that is down delays the work and does not lose it: the sweep sends the message later.

    Raises:
        QuotaExceededError: If its owner has too much already; nothing is stored then.
    """
    require_room(context)
    context.session.commit()
    _send(context.queue, kind, [waiting])


def sweep(database: Database, queue: JobQueue, settings: Settings) -> int:
    """Find work whose worker died or whose message was lost, and send it again.

    A message can only be lost if fewer messages wait than there is queued work; without that comparison a long
    queue would be sent again and again.

    Returns:
        How many messages were sent.
    """
    waiting = queue.depth()
    sent = 0
    for kind in TASK_OF:
        with database.writing() as session:
            work.give_up(session, kind, max_attempts=settings.max_attempts, error=WORKER_LOST)
            released = work.release_expired(session, kind)
            session.commit()
        sent += _send(queue, kind, released)
    with database.writing() as session:
        missing = sum(work.count_queued(session, kind) for kind in TASK_OF) - waiting - sent
        for kind in TASK_OF:
            stale = work.touch_stale(session, kind, older_than=settings.requeue_seconds, limit=max(missing, 0))
            missing -= len(stale)
            session.commit()
            sent += _send(queue, kind, stale)
    return sent


def _send(queue: JobQueue, kind: type[WorkRecord], waiting: list[Waiting]) -> int:
    messages = [Message(TASK_OF[kind], record.id, record.priority) for record in waiting]
    try:
        queue.send(messages)
    except UnavailableError:
        log.warning("broker down: %d %s wait for the sweep", len(messages), kind.__tablename__)
        return 0
    return len(messages)

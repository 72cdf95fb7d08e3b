"""The way from the service to the workers: Celery, with the database as the truth.

A message is a task's name and the id of a record, nothing else; losing one, or delivering it twice, is harmless.
"""

import logging
import time
from collections.abc import Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from enum import StrEnum
from queue import Empty, Full, Queue
from threading import Thread
from typing import Any, Final, Protocol
from uuid import UUID

from celery import Celery
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from app.errors import UnavailableError
from app.settings import Settings

QUEUE_NAME = "ot3l"
HIGHEST_PRIORITY = 9
MOST_AT_ONCE: Final = 100
"""Messages that are sent together."""
MOST_KEPT: Final = 100_000
"""Messages that may wait in a process for a broker that does not answer; the sweep sends those that find no room."""
LINGER_SECONDS: Final = 0.02
"""How long a message waits for others: one by one they cost as much as all the rest of a request."""
LEAVE_SECONDS: Final = 5.0
"""How long a process that ends goes on to send what it has."""
_N_TRIES: Final = 2
_BROKER_DOWN: Final = (KombuError, RedisError, OSError)

log = logging.getLogger(__name__)


class TaskName(StrEnum):
    """What a worker can be asked to do."""

    INSPECT_DATASET = "ot3l.inspect_dataset"
    MEASURE_DISTANCE = "ot3l.measure_distance"
    SELECT_SAMPLES = "ot3l.select_samples"
    TRANSFER = "ot3l.transfer"


@dataclass(frozen=True, slots=True)
class Message:
    """What workers are told.

    Attributes:
        task: What is to be done.
        work_id: For which record.
        priority: From 0 to 9; of messages that wait, those with the highest go first.
        context: In which it came up: the trace that it belongs to.
    """

    task: TaskName
    work_id: UUID
    priority: int
    context: Context = field(default_factory=copy_context, compare=False, repr=False)


class JobQueue(Protocol):
    """Where messages for the workers go."""

    def send(self, messages: Sequence[Message]) -> None:
        """Send messages; all of them, or it cannot be told which.

        Raises:
            UnavailableError: If the broker does not answer.
        """
        ...

    def depth(self) -> int:
        """How many messages wait.

        Raises:
            UnavailableError: If the broker does not answer.
        """
        ...


def build_celery(settings: Settings) -> Celery:
    """The one Celery application, for those who send and those who work."""
    celery = Celery("ot3l", broker=settings.broker_url)
    celery.conf.update(
        task_default_queue=QUEUE_NAME,
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        # Nothing is to be waited for from a child that is gone: what it did is in the database.
        worker_lost_wait=1.0,
        # Work survives a broker that went away: its result goes to the database, not to the broker.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": 3600,
            "priority_steps": list(range(HIGHEST_PRIORITY + 1)),
            "queue_order_strategy": "priority",
            "socket_timeout": 5.0,
            "socket_connect_timeout": 2.0,
            "retry_policy": {"max_retries": 1, "interval_start": 0.1},
        },
        worker_hijack_root_logger=False,
    )
    return celery


@dataclass(frozen=True, slots=True)
class CeleryQueue:
    """The real queue."""

    celery: Celery

    def send(self, messages: Sequence[Message]) -> None:
        """Send messages in as few trips as there can be."""
        for rest in reversed(range(_N_TRIES)):
            try:
                self._publish(messages)
            except _BROKER_DOWN as error:
                # A connection that has died since it was last used only shows by being used.
                if not rest:
                    raise UnavailableError("The broker does not take messages.") from error
            else:
                return

    def depth(self) -> int:
        """How many messages wait."""
        try:
            with self.celery.connection_for_read() as connection:
                connection.ensure_connection(max_retries=1, interval_start=0)
                channel: Any = connection.default_channel
                return int(channel.queue_declare(queue=QUEUE_NAME).message_count)
        except _BROKER_DOWN as error:
            raise UnavailableError("The broker does not answer.") from error

    def _publish(self, messages: Sequence[Message]) -> None:
        producer: Any
        with self.celery.producer_pool.acquire(block=True) as producer, producer.batch(MOST_AT_ONCE):
            for message in messages:
                message.context.run(
                    self.celery.send_task,
                    message.task,
                    args=[str(message.work_id)],
                    # With Redis the lowest number goes first.
                    priority=HIGHEST_PRIORITY - message.priority,
                    producer=producer,
                    retry=True,
                    retry_policy={"max_retries": 1, "interval_start": 0.1},
                )


class BackgroundQueue:
    """Sends from a thread of its own, so that no request waits for the broker, and many go together.

    What it has not sent when the process dies, or the broker is down, the sweep sends: the database is the truth.
    """

    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue
        self._kept: Queue[Message | None] = Queue(MOST_KEPT)
        self._thread = Thread(target=self._run, name="messages", daemon=True)
        self._thread.start()

    def send(self, messages: Sequence[Message]) -> None:
        """Have messages sent; never fails, and never waits."""
        try:
            for message in messages:
                self._kept.put_nowait(message)
        except Full:
            log.warning("broker: too many messages wait for it; the sweep sends these")

    def depth(self) -> int:
        """How many messages wait, those that are still here included."""
        return self._queue.depth() + self._kept.qsize()

    def close(self) -> None:
        """Send what is left, while there is time."""
        try:
            self._kept.put(None, timeout=LEAVE_SECONDS)
        except Full:
            return
        self._thread.join(LEAVE_SECONDS)

    def _run(self) -> None:
        while (first := self._kept.get()) is not None:
            time.sleep(LINGER_SECONDS)
            messages, is_last = self._gather(first)
            try:
                self._queue.send(messages)
            except UnavailableError:
                log.warning("broker down: %d messages wait for the sweep", len(messages))
            except Exception:
                log.exception("messages were not sent; they wait for the sweep")
            if is_last:
                return

    def _gather(self, first: Message) -> tuple[list[Message], bool]:
        """It and all that wait behind it; and whether none come after them."""
        messages = [first]
        while len(messages) < MOST_AT_ONCE:
            try:
                message = self._kept.get_nowait()
            except Empty:
                break
            if message is None:
                return messages, True
            messages.append(message)
        return messages, False

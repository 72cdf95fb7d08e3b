"""The way from the service to the workers: Celery, with the database as the truth.

A message is a task's name and the id of a record, nothing else; losing one, or delivering it twice, is harmless.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from app.errors import UnavailableError
from app.settings import Settings

QUEUE_NAME = "ot3l"
HIGHEST_PRIORITY = 9


class TaskName(StrEnum):
    """What a worker can be asked to do."""

    INSPECT_DATASET = "ot3l.inspect_dataset"
    MEASURE_DISTANCE = "ot3l.measure_distance"
    SELECT_SAMPLES = "ot3l.select_samples"
    TRANSFER = "ot3l.transfer"


class JobQueue(Protocol):
    """Where messages for the workers go."""

    def enqueue(self, task: TaskName, work_id: UUID, priority: int) -> None:
        """Send a message.

        Args:
            task: What is to be done.
            work_id: For which record.
            priority: From 0 to 9; of messages that wait, those with the highest go first.

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

    def enqueue(self, task: TaskName, work_id: UUID, priority: int) -> None:
        """Send a message."""
        try:
            self.celery.send_task(
                task,
                args=[str(work_id)],
                # With Redis the lowest number goes first.
                priority=HIGHEST_PRIORITY - priority,
                retry=True,
                retry_policy={"max_retries": 1, "interval_start": 0.1},
            )
        except OperationalError as error:
            raise UnavailableError("The broker does not take messages.") from error

    def depth(self) -> int:
        """How many messages wait."""
        try:
            with self.celery.connection_for_read() as connection:
                connection.ensure_connection(max_retries=1, interval_start=0)
                channel: Any = connection.default_channel
                return int(channel.queue_declare(queue=QUEUE_NAME).message_count)
        except (OperationalError, RedisError, OSError) as error:
            raise UnavailableError("The broker does not answer.") from error

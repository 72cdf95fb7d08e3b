"""The life of a piece of work: queued, running, then one of three ends; and what is told of it on the way."""

from enum import StrEnum


class WorkState(StrEnum):
    """Where a dataset's inspection, a distance, a selection or a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing more will happen, unless somebody asks for it."""
        return self not in {WorkState.QUEUED, WorkState.RUNNING}


class EventKind(StrEnum):
    """What an event of a piece of work tells."""

    STATE = "state"
    PHASE = "phase"
    PROGRESS = "progress"
    EPOCH = "epoch"
    LOG = "log"


class DeliveryState(StrEnum):
    """Where a message to a webhook stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"

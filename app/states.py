"""The life of a piece of work: queued, running, then one of three ends."""

from enum import StrEnum


class WorkState(StrEnum):
    """Where a dataset's inspection, a distance, a selection or a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

"""What happened to a piece of work, on the wire."""

import datetime as dt
from typing import Any

from pydantic import Field

from app.schemas.work import ArtifactRead, Reply
from app.states import EventKind
from ot3l_core.names import Phase


class EventRead(Reply):
    """One server-sent event: ``number`` is its id, ``kind`` its name, and all of it is its data."""

    number: int = Field(description="Its place among the events of the work, from 1.")
    at: dt.datetime = Field(description="When it was recorded.")
    attempt: int = Field(description="Of which attempt it tells; 0 before the first one.")
    kind: EventKind
    body: dict[str, Any] = Field(
        description="state: `state`, and `error` or `cancel_requested` where they are. phase: `phase`, `timings` so "
        "far. progress: `phase`, `progress`. epoch: `phase`, `seed`, `alpha`, `epoch` and its losses and accuracy. "
        "log: `level`, `logger`, `message`."
    )


class CurveRead(Reply):
    """How one training went, epoch by epoch; the lists are equally long."""

    phase: Phase = Field(description="sweeping, training or tuning.")
    seed: int
    alpha: float | None = Field(description="Of several that are tried; empty but for sweeping.")
    epoch: list[int] = Field(description="From 1; from 0 for tuning, which tells where it begins.")
    train_loss: list[float | None] = Field(description="Empty where it was no number.")
    validation_loss: list[float | None] = Field(description="Empty where nothing was held out.")
    validation_accuracy: list[float | None] = Field(description="Empty where nothing was held out.")


class MetricsRead(Reply):
    """What the latest attempt has measured so far."""

    attempt: int
    timings: dict[str, float] = Field(description="Seconds in each phase that has ended.")
    curves: list[CurveRead] = Field(description="In the order in which they began.")


class LineRead(Reply):
    """A line of the log."""

    number: int = Field(description="Of the event; pass the last one as `since` for what comes after it.")
    at: dt.datetime
    attempt: int
    level: str
    logger: str
    message: str


class ArtifactLink(ArtifactRead):
    """A file that the work made, and where it is."""

    url: str = Field(description="Relative to the service.")


class ArtifactList(Reply):
    """The files of a piece of work."""

    items: list[ArtifactLink]

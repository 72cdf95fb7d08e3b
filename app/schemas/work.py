"""What all work has in common on the wire."""

import datetime as dt
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from app.states import WorkState
from ot3l_core.names import Phase

DatasetName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
"""A dataset's name or id."""
NameOfDataset = Annotated[str, BeforeValidator(lambda dataset: getattr(dataset, "name", dataset))]
"""A dataset's name, taken from its record where that is what there is."""
Share = Annotated[float, Field(ge=0, le=1)]
ServerPath = Annotated[
    str,
    Field(min_length=1, max_length=1000, description="On the server, below one of its dataset roots."),
]


class Request(BaseModel):
    """Base of request bodies: unknown fields are refused, so that a misspelt setting is never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Reply(BaseModel):
    """Base of response bodies."""

    model_config = ConfigDict(frozen=True, from_attributes=True, allow_inf_nan=False)


class Failure(Reply):
    """Why work failed."""

    code: str = Field(description="Stable, machine-readable name of the error.", examples=["corrupt_image"])
    message: str = Field(description="What was wrong and what would be right.")
    field: str | None = Field(default=None, description="The field of the request to change, where one is to blame.")


class WorkRead(Reply):
    """Something a worker does, and how far it is."""

    id: UUID
    state: WorkState
    phase: Phase | None = Field(description="What the worker is doing; empty before it starts.")
    progress: Share = Field(description="Finished share of the present phase.")
    attempt: int = Field(description="How many workers have taken it; more than 1 after a worker was lost.")
    created_at: dt.datetime
    started_at: dt.datetime | None
    finished_at: dt.datetime | None
    timings: dict[str, float] | None = Field(description="Seconds spent in each phase, once finished.")
    error: Failure | None = Field(description="Why it failed, if it did.")


class ArtifactRead(Reply):
    """A file that the work made; served below its own address as ``artifacts/{name}``."""

    name: str
    size: int
    sha256: str
    media_type: str

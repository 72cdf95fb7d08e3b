"""What a list may be asked for."""

import datetime as dt
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, Field

from app.schemas.work import PRINTABLE, DatasetName, JobTag, Request
from app.states import WorkState
from ot3l_core.names import Strategy

# Moments before and after have no UTC, or no place in a database.
Moment = Annotated[
    AwareDatetime,
    Field(ge=dt.datetime(1970, 1, 2, tzinfo=dt.UTC), le=dt.datetime(9999, 1, 1, tzinfo=dt.UTC)),
]
NEXT = "Pass as `cursor`, with the same filters and sort, for the next page; empty on the last."


class Sort(StrEnum):
    """The order of a list."""

    NEWEST = "-created"
    OLDEST = "created"
    LAST_FINISHED = "-finished"
    FIRST_FINISHED = "finished"


class ListQuery(Request):
    """Which page of which list."""

    cursor: str | None = Field(default=None, max_length=200, description="`next` of the page before.")
    limit: int = Field(default=50, ge=1, le=200, description="How many at the most.")
    sort: Sort = Field(
        default=Sort.NEWEST, description="A minus: latest first. By `finished` only what has ended is listed."
    )
    state: tuple[WorkState, ...] = Field(default=(), max_length=len(WorkState), description="Any of these.")
    created_after: Moment | None = Field(
        default=None, description="RFC 3339, with a zone.", examples=["2025-01-01T00:00:00Z"]
    )
    created_before: Moment | None = Field(default=None, description="RFC 3339, with a zone.")


class DescribedListQuery(ListQuery):
    """The same, of what its owner has described."""

    tag: tuple[JobTag, ...] = Field(default=(), max_length=20, description="All of these.")
    name: str | None = Field(
        default=None, min_length=1, max_length=200, pattern=PRINTABLE, description="How the name begins."
    )


class JobListQuery(DescribedListQuery):
    """Which jobs."""

    target: DatasetName | None = Field(default=None, description="Name or id of the dataset that they learn.")
    strategy: Strategy | None = None


class SelectionListQuery(ListQuery):
    """Which selections."""

    target: DatasetName | None = Field(default=None, description="Name or id of the dataset that they choose from.")


class DistanceListQuery(ListQuery):
    """Which distances."""

    dataset: DatasetName | None = Field(default=None, description="Name or id of a dataset that they are between.")

"""The nouns of the service whose things are work, and how the address of one names it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from app.schemas.datasets import DatasetRead
from app.schemas.distances import DistanceRead
from app.schemas.jobs import JobRead
from app.schemas.selections import SelectionRead
from app.schemas.work import DatasetName, WorkRead
from app.services.context import Context
from app.services.datasets import read_dataset
from app.services.reading import read_work
from app.store.records import DatasetRecord, DistanceRecord, JobRecord, SelectionRecord, WorkRecord


@dataclass(frozen=True, slots=True)
class Reference:
    """What an address names, found or not."""

    kind: type[WorkRecord]
    name: UUID | str

    def find(self, context: Context) -> WorkRecord:
        """The record that is meant.

        Raises:
            NotFoundError: If there is none.
        """
        if isinstance(self.name, UUID):
            return read_work(context, self.kind, self.name)
        return read_dataset(context, self.name)


@dataclass(frozen=True, slots=True)
class Noun:
    """A noun.

    Attributes:
        plural: The first part of the addresses.
        path: Of one thing.
        refer: The dependency that reads the path.
        reply: How one thing looks.
    """

    plural: str
    path: str
    refer: Callable[..., Awaitable[Reference]]
    reply: type[WorkRead]

    @property
    def singular(self) -> str:
        """One of them."""
        return self.plural.removesuffix("s")


async def _job(job_id: UUID) -> Reference:
    return Reference(JobRecord, job_id)


async def _distance(distance_id: UUID) -> Reference:
    return Reference(DistanceRecord, distance_id)


async def _selection(selection_id: UUID) -> Reference:
    return Reference(SelectionRecord, selection_id)


async def _dataset(name_or_id: DatasetName) -> Reference:
    return Reference(DatasetRecord, name_or_id)


JOBS: Final = Noun("jobs", "/jobs/{job_id}", _job, JobRead)
DISTANCES: Final = Noun("distances", "/distances/{distance_id}", _distance, DistanceRead)
SELECTIONS: Final = Noun("selections", "/selections/{selection_id}", _selection, SelectionRead)
DATASETS: Final = Noun("datasets", "/datasets/{name_or_id}", _dataset, DatasetRead)

"""What both clients show of a piece of work, without asking for anything."""

from typing import TYPE_CHECKING, Generic, TypeVar
from uuid import UUID

from app.client import frames
from app.client.errors import NoResultError
from app.client.nouns import Noun
from app.schemas.datasets import DatasetRead, DatasetSummary
from app.schemas.distances import ClassDistance, DistanceRead, MatrixResult, PairResult
from app.schemas.jobs import JobRead, JobResult
from app.schemas.selections import ManifestResult, SelectionRead
from app.schemas.work import Failure, WorkRead
from app.states import WorkState
from ot3l_core.names import Phase

if TYPE_CHECKING:
    from pandas import DataFrame

R = TypeVar("R", bound=WorkRead)
T = TypeVar("T")


class View(Generic[R]):
    """A piece of work as it was when it was last looked at.

    Attributes:
        latest: All that the service said of it.
    """

    latest: R
    _noun: Noun[R]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.state}>"

    @property
    def id(self) -> UUID:
        """Its id."""
        return self.latest.id

    @property
    def state(self) -> WorkState:
        """Where it stood."""
        return self.latest.state

    @property
    def phase(self) -> Phase | None:
        """What the worker was doing."""
        return self.latest.phase

    @property
    def progress(self) -> float:
        """Finished share of that phase, in [0, 1]."""
        return self.latest.progress

    @property
    def error(self) -> Failure | None:
        """Why it failed, if it did."""
        return self.latest.error

    def _require(self, result: T | None) -> T:
        if result is None:
            raise self._no_result()
        return result

    def _no_result(self) -> NoResultError:
        return NoResultError(f"The {self._noun.word} {self.id} is {self.state} and has no result: wait for it.")


class DatasetView(View[DatasetRead]):
    """A dataset."""

    @property
    def name(self) -> str:
        """How requests refer to it."""
        return self.latest.name

    @property
    def result(self) -> DatasetSummary:
        """What inspection found.

        Raises:
            NoResultError: If it has not succeeded.
        """
        return self._require(self.latest.result)

    def to_frame(self) -> "DataFrame":
        """Its classes."""
        return frames.classes_frame(self.result)


class DistanceView(View[DistanceRead]):
    """A distance, or all distances between several datasets."""

    @property
    def result(self) -> PairResult | MatrixResult:
        """What was measured.

        Raises:
            NoResultError: If it has not succeeded.
        """
        if self.latest.result is None:
            raise self._no_result()
        return self.latest.result

    @property
    def pair(self) -> PairResult:
        """What was measured between a source and a target.

        Raises:
            NoResultError: If it has not succeeded, or is of several datasets.
        """
        result = self.result
        if isinstance(result, MatrixResult):
            raise NoResultError(f"The distance {self.id} is between several datasets: see to_frame().")
        return result

    @property
    def value(self) -> float:
        """The distance between the two datasets of a pair.

        Raises:
            NoResultError: If it has not succeeded, or is of several datasets.
        """
        return self.pair.dataset_distance.value

    def to_frame(self) -> "DataFrame":
        """Of a pair, source classes by target classes; else datasets by datasets."""
        result = self.result
        if isinstance(result, MatrixResult):
            return frames.matrix_frame(result)
        return frames.label_distances_frame(result)

    def class_distances(self) -> "DataFrame":
        """How far each class of a pair's target is from its source."""
        return frames.class_distances_frame(self.pair.classes)


class SelectionView(View[SelectionRead]):
    """A selection."""

    @property
    def result(self) -> ManifestResult:
        """What was chosen, in numbers.

        Raises:
            NoResultError: If it has not succeeded.
        """
        return self._require(self.latest.result)


class JobView(View[JobRead]):
    """A job."""

    @property
    def name(self) -> str | None:
        """What its owner calls it."""
        return self.latest.name

    @property
    def result(self) -> JobResult:
        """Everything that was measured.

        Raises:
            NoResultError: If it has not succeeded.
        """
        return self._require(self.latest.result)

    @property
    def accuracy(self) -> float:
        """Of exactly the weights in the checkpoint, on the test split, in [0, 1]."""
        return self.result.checkpoint.accuracy

    def to_frame(self) -> "DataFrame":
        """One row for each way of classifying the test split."""
        return frames.results_frame(self.result)

    def class_distances(self) -> "DataFrame":
        """How far each target class is from the source; empty without one."""
        distances: list[ClassDistance] = self.result.class_distances
        return frames.class_distances_frame(distances)


CHECKPOINT = "checkpoint.safetensors"
PREDICTIONS = "predictions.csv"
SAMPLES = "selection.csv"

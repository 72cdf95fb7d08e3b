"""Work of the service, for programs that wait for each answer."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from app.client import nouns
from app.client.calls import Call
from app.client.downloads import OnBytes, download, target_of
from app.client.events import follow
from app.client.flows import OnProgress, read_log, send, wait
from app.client.frames import curves_frame, table_frame
from app.client.nouns import Noun
from app.client.views import (
    CHECKPOINT,
    PREDICTIONS,
    SAMPLES,
    DatasetView,
    DistanceView,
    JobView,
    SelectionView,
    View,
)
from app.client.wire import BlockingWire, iterate, run
from app.schemas.datasets import DatasetPatch, DatasetRead
from app.schemas.distances import DistanceRead
from app.schemas.events import ArtifactLink, EventRead, LineRead, MetricsRead
from app.schemas.jobs import JobPatch, JobRead
from app.schemas.selections import MANIFEST_CSV, MANIFEST_JSON, Manifest, SelectionRead
from app.schemas.work import WorkRead

if TYPE_CHECKING:
    from pandas import DataFrame

R = TypeVar("R", bound=WorkRead)
T = TypeVar("T")


class Asking:
    """Whatever has a way to the service."""

    def __init__(self, wire: BlockingWire) -> None:
        self._wire = wire

    def _ask(self, call: Call[T]) -> T:
        return run(send(self._wire, call))


class Work(View[R], Asking, Generic[R]):
    """A piece of work of the service, and what can be done with it."""

    def __init__(self, wire: BlockingWire, noun: Noun[R], latest: R) -> None:
        super().__init__(wire)
        self._noun, self.latest = noun, latest

    def refresh(self) -> Self:
        """Look at it again."""
        return self._see(nouns.show(self._noun, self.id))

    def wait(self, *, on_progress: OnProgress | None = None, timeout: float | None = None) -> Self:
        """Wait until it has succeeded.

        Args:
            on_progress: Told whenever it was looked at, every 0.2 to 2 seconds.
            timeout: Seconds after which to give up waiting; the work goes on. Default: never.

        Raises:
            WorkFailedError: If it failed; of a job a `JobFailedError`, and likewise.
            WorkCancelledError: If it was cancelled.
            WaitTimeoutError: If it takes too long.
        """
        self.latest = run(wait(self._wire, self._noun, str(self.id), on_progress=on_progress, seconds=timeout))
        return self

    def events(self, *, after: int = 0) -> Iterator[EventRead]:
        """What happens to it, as it happens, until it has ended; broken connections are gone on with."""
        return iterate(follow(self._wire, f"{self._noun.at(self.id)}/events", after=after))

    def logs(self, *, since: int = 0) -> Iterator[LineRead]:
        """What was logged so far, after the line with this number."""
        return iterate(read_log(self._wire, self._noun, str(self.id), since))

    def cancel(self) -> Self:
        """Have it stopped."""
        return self._see(nouns.cancel(self._noun, self.id))

    def retry(self) -> Self:
        """Have it done again, if it failed or was cancelled."""
        return self._see(nouns.retry(self._noun, self.id))

    def delete(self) -> None:
        """Delete it with its files; it must have ended."""
        self._ask(nouns.delete(self._noun, self.id))

    def _see(self, call: Call[R]) -> Self:
        self.latest = self._ask(call)
        return self


class FiledWork(Work[R], Generic[R]):
    """Work that makes files."""

    def artifacts(self) -> Sequence[ArtifactLink]:
        """Its files; there are none before it has succeeded."""
        return self._ask(nouns.artifacts(self._noun, self.id)).items

    def download_artifact(self, name: str, path: str | Path, *, on_bytes: OnBytes | None = None) -> Path:
        """Bring one of its files here, under this name or into this folder.

        What came of it is kept where the connection breaks, and the next call goes on from there.

        Raises:
            DamagedDownloadError: If it is not the file whose checksum was announced.
        """
        target = target_of(path, name)
        return run(download(self._wire, nouns.artifact(self._noun, self.id, name), target, on_bytes=on_bytes))

    def read_artifact(self, name: str) -> bytes:
        """One of its files, in memory."""
        return self._ask(nouns.artifact_content(self._noun, self.id, name))


class Dataset(DatasetView, Work[DatasetRead]):
    """A dataset of the service."""

    def describe(self, patch: DatasetPatch | None = None, /, **settings: object) -> Self:
        """Change its ``tags`` or ``metadata``."""
        return self._see(nouns.describe(self._noun, self.id, patch, settings))


class Distance(DistanceView, FiledWork[DistanceRead]):
    """A distance of the service; what is between several datasets makes files."""


class Selection(SelectionView, FiledWork[SelectionRead]):
    """A selection of the service."""

    def manifest(self) -> Manifest:
        """The chosen samples."""
        return Manifest.model_validate_json(self.read_artifact(MANIFEST_JSON))

    def to_frame(self) -> "DataFrame":
        """The chosen samples, as a table to fill labels into."""
        return table_frame(self.read_artifact(MANIFEST_CSV))


class Job(JobView, FiledWork[JobRead]):
    """A job of the service."""

    def describe(self, patch: JobPatch | None = None, /, **settings: object) -> Self:
        """Change its ``name``, ``tags`` or ``metadata``."""
        return self._see(nouns.describe(self._noun, self.id, patch, settings))

    def download(self, path: str | Path, *, on_bytes: OnBytes | None = None) -> Path:
        """Bring the checkpoint here, under this name or into this folder; see `download_artifact`."""
        return self.download_artifact(CHECKPOINT, path, on_bytes=on_bytes)

    def metrics(self) -> MetricsRead:
        """What the latest attempt has measured so far."""
        return self._ask(nouns.metrics(self.id))

    def curves(self) -> "DataFrame":
        """Every epoch of every training so far."""
        return curves_frame(self.metrics())

    def predictions(self) -> "DataFrame":
        """What the network says of every test sample."""
        return table_frame(self.read_artifact(PREDICTIONS))

    def samples(self) -> "DataFrame":
        """Which samples each seed was trained on, and why."""
        return table_frame(self.read_artifact(SAMPLES))

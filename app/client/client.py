"""The client that waits for each answer."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar
from uuid import UUID

import httpx2

from app.client import nouns
from app.client.calls import Call
from app.client.downloads import OnBytes
from app.client.flows import turn_pages
from app.client.nouns import DATASETS, DISTANCES, JOBS, SELECTIONS, Noun, Page
from app.client.packing import format_of
from app.client.settings import ATTEMPTS, SECONDS, address_of, http_arguments
from app.client.uploads import upload
from app.client.wire import BlockingWire, iterate, run
from app.client.work import Asking, Dataset, Distance, Job, Selection
from app.schemas.backbones import BackboneList
from app.schemas.datasets import DatasetCreateBase, DatasetRead
from app.schemas.distances import DistanceCreateBase, DistanceRead, DistanceSummary
from app.schemas.health import Health
from app.schemas.jobs import JobCreate, JobRead, JobSummary
from app.schemas.keys import KeyCreate, KeyIssued, KeyRead
from app.schemas.selections import SelectionCreate, SelectionRead, SelectionSummary
from app.schemas.uploads import UploadRead
from app.schemas.webhooks import DeliveryRead, WebhookCreate, WebhookIssued, WebhookRead, WebhookUpdate
from app.schemas.work import Preview, Submission, WorkRead
from ot3l_core.names import DatasetFormat

Q = TypeVar("Q", bound=Submission)
R = TypeVar("R", bound=WorkRead)
S = TypeVar("S", bound=WorkRead)
W = TypeVar("W")


class Collection(Asking, Generic[Q, R, S, W]):
    """All work of one noun: asked for by ``Q``, read as ``R``, listed as ``S``, handled as ``W``."""

    def __init__(
        self,
        wire: BlockingWire,
        noun: Noun[R],
        page: Callable[[dict[str, object]], Call[Page[S]]],
        handle: Callable[[BlockingWire, Noun[R], R], W],
    ) -> None:
        super().__init__(wire)
        self._noun, self._page, self._handle = noun, page, handle

    def create(self, request: Q | None = None, /, **settings: object) -> W:
        """Ask for work, by a body of the wire, by single settings, or by both."""
        return self._handle(self._wire, self._noun, self._ask(nouns.submit(self._noun, request, settings)))

    def preview(self, request: Q | None = None, /, **settings: object) -> Preview:
        """Check such a request, and say what it would cost."""
        return self._ask(nouns.preview(self._noun, request, settings))

    def get(self, name: UUID | str) -> W:
        """One of them by its id; a dataset also by its name."""
        return self._handle(self._wire, self._noun, self._ask(nouns.show(self._noun, name)))

    def list(self, **query: object) -> Iterator[S]:
        """All that the query asks for, without results, fetched page by page: see docs/api.md, lists."""
        return iterate(turn_pages(self._wire, self._page, query))


class Distances(Collection[DistanceCreateBase, DistanceRead, DistanceSummary, Distance]):
    """How far datasets lie from each other: ``create(source=..., target=...)``, or ``create(datasets=[...])``."""


class Selections(Collection[SelectionCreate, SelectionRead, SelectionSummary, Selection]):
    """Which samples are worth a label: ``create(target=...)``."""


class Jobs(Collection[JobCreate, JobRead, JobSummary, Job]):
    """What is fine-tuned: ``create(target=...)``."""


class Datasets(Collection[DatasetCreateBase, DatasetRead, DatasetRead, Dataset]):
    """What images the service knows: ``create(format="zip", path=...)``, or ``upload(...)``."""

    def upload(
        self,
        path: str | Path,
        *,
        format: DatasetFormat | str | None = None,  # noqa: A002 - as the API calls it
        on_bytes: OnBytes | None = None,
        **settings: object,
    ) -> Dataset:
        """Bring a file or folder of this machine to the service, and register it.

        An upload of the same bytes that was begun within a day goes on: parts that have arrived are not sent again.

        Args:
            path: A file of any format, or a folder, which is packed into a temporary zip.
            format: What it is; default: by its name, and of a folder an image folder.
            on_bytes: Told after each part.
            settings: As for ``create``.

        Raises:
            NotUploadableError: If nothing is there, or its name does not say what it is.
        """
        found = DatasetFormat(format) if format else format_of(Path(path))
        brought = run(upload(self._wire, Path(path), on_bytes=on_bytes))
        return self.create(format=found, upload=brought.id, **settings)


class Uploads(Asking):
    """Files on their way in."""

    def create(self, path: str | Path, *, on_bytes: OnBytes | None = None) -> UploadRead:
        """Bring a file, or a folder as a zip; what was begun with the same bytes within a day goes on."""
        return run(upload(self._wire, Path(path), on_bytes=on_bytes))

    def get(self, upload_id: UUID) -> UploadRead:
        """Which parts of it have arrived."""
        return self._ask(nouns.show_upload(upload_id))

    def delete(self, upload_id: UUID) -> None:
        """Delete what no dataset uses."""
        self._ask(nouns.delete_upload(upload_id))


class Keys(Asking):
    """Keys of the same owner; they take the scope ``admin``."""

    def create(self, request: KeyCreate) -> KeyIssued:
        """Make a key; its ``secret`` is shown this once."""
        return self._ask(nouns.create_key(request))

    def list(self, **query: object) -> Iterator[KeyRead]:
        """All keys, newest first."""
        return iterate(turn_pages(self._wire, nouns.list_keys, query))

    def get(self, key_id: UUID | str) -> KeyRead:
        """One key, without its secret."""
        return self._ask(nouns.show_key(key_id))

    def rotate(self, key_id: UUID | str, *, grace_seconds: float = 0.0) -> KeyIssued:
        """Replace a key by a new one; the old one goes on for so long."""
        return self._ask(nouns.rotate_key(key_id, grace_seconds))

    def revoke(self, key_id: UUID | str) -> KeyRead:
        """End a key."""
        return self._ask(nouns.revoke_key(key_id))


class Webhooks(Asking):
    """Who is told when work ends."""

    def create(self, request: WebhookCreate) -> WebhookIssued:
        """Have ends of work told to an address; the ``secret`` is shown this once."""
        return self._ask(nouns.create_webhook(request))

    def list(self) -> Sequence[WebhookRead]:
        """All webhooks, newest first."""
        return self._ask(nouns.list_webhooks()).items

    def get(self, webhook_id: UUID | str) -> WebhookRead:
        """One webhook."""
        return self._ask(nouns.show_webhook(webhook_id))

    def update(self, webhook_id: UUID | str, change: WebhookUpdate) -> WebhookRead:
        """Change what it is told of, or whether it is told anything."""
        return self._ask(nouns.update_webhook(webhook_id, change))

    def delete(self, webhook_id: UUID | str) -> None:
        """Delete one, with its deliveries."""
        self._ask(nouns.delete_webhook(webhook_id))

    def rotate(self, webhook_id: UUID | str) -> WebhookIssued:
        """Take a new secret."""
        return self._ask(nouns.rotate_webhook(webhook_id))

    def ping(self, webhook_id: UUID | str) -> DeliveryRead:
        """Have a message sent that tells of nothing."""
        return self._ask(nouns.ping_webhook(webhook_id))

    def deliveries(self, webhook_id: UUID | str) -> Iterator[DeliveryRead]:
        """What was sent to it, newest first."""
        return iterate(turn_pages(self._wire, lambda query: nouns.list_deliveries(webhook_id, query), {}))


class Client(Asking):
    """A service, as Python sees it.

    ::

        with Client() as client:
            job = client.jobs.create(target="flowers", strategy="fitted", budget=200)
            print(job.wait().to_frame())
            job.download("flowers.safetensors")

    It may be used by several threads.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        key: str | None = None,
        attempts: int = ATTEMPTS,
        timeout: float = SECONDS,
        http: httpx2.Client | None = None,
    ) -> None:
        """Prepare to ask; nothing is sent yet.

        Args:
            url: Where the service is; default: ``OT3L_URL``, or http://127.0.0.1:8000.
            key: By what right it is asked; default: ``OT3L_API_KEY``, or none.
            attempts: How often a request is sent before its error is told.
            timeout: Seconds to wait for a connection, or for the next bytes.
            http: A client to send by, which stays the caller's to close.
        """
        address = address_of(os.environ, url, key, attempts=attempts, seconds=timeout)
        self._owned = httpx2.Client(**http_arguments(address)) if http is None else None
        super().__init__(BlockingWire(address, http or self._owned or httpx2.Client()))
        self.datasets = Datasets(self._wire, DATASETS, nouns.list_datasets, Dataset)
        self.distances = Distances(self._wire, DISTANCES, nouns.list_distances, Distance)
        self.selections = Selections(self._wire, SELECTIONS, nouns.list_selections, Selection)
        self.jobs = Jobs(self._wire, JOBS, nouns.list_jobs, Job)
        self.uploads = Uploads(self._wire)
        self.keys = Keys(self._wire)
        self.webhooks = Webhooks(self._wire)

    @property
    def url(self) -> str:
        """Where the service is."""
        return self._wire.address.url

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End its connections."""
        if self._owned is not None:
            self._owned.close()

    def backbones(self) -> BackboneList:
        """The networks that a job can start from."""
        return self._ask(nouns.list_backbones())

    def health(self) -> Health:
        """Whether the service's database, broker and store answer.

        Raises:
            ServiceFailedError: If one of them does not.
        """
        return self._ask(nouns.health())

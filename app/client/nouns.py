"""The calls of the API, noun by noun; docs/api.md is their tour."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar
from urllib.parse import quote
from uuid import UUID, uuid5

from app.client.calls import KEY_HEADER, Call, Request, body_of, call, read_bytes, read_nothing, reading, reading_lines
from app.client.errors import (
    DatasetFailedError,
    DistanceFailedError,
    JobFailedError,
    SelectionFailedError,
    WorkFailedError,
)
from app.schemas.backbones import BackboneList
from app.schemas.datasets import DatasetList, DatasetRead
from app.schemas.distances import DistanceList, DistanceRead, DistanceSummary
from app.schemas.events import ArtifactList, LineRead, MetricsRead
from app.schemas.health import Health
from app.schemas.jobs import JobList, JobRead, JobSummary
from app.schemas.keys import KeyCreate, KeyIssued, KeyList, KeyRead
from app.schemas.selections import SelectionList, SelectionRead, SelectionSummary
from app.schemas.uploads import UploadCreate, UploadRead
from app.schemas.webhooks import (
    DeliveryList,
    DeliveryRead,
    WebhookCreate,
    WebhookIssued,
    WebhookList,
    WebhookRead,
    WebhookUpdate,
)
from app.schemas.work import Preview, WorkRead
from app.schemas.work import Reply as Body
from app.schemas.work import Request as RequestBody

R = TypeVar("R", bound=WorkRead)
S = TypeVar("S", bound=Body)
S_co = TypeVar("S_co", bound=Body, covariant=True)


class Page(Protocol[S_co]):
    """One page of a list."""

    @property
    def items(self) -> Sequence[S_co]:
        """What is on it."""

    @property
    def next(self) -> str | UUID | None:
        """Where the next page begins; None on the last."""


@dataclass(frozen=True, slots=True)
class Noun(Generic[R]):
    """Something that is work.

    Attributes:
        word: What one is called.
        read: How one looks.
        failed: The error of one that failed.
    """

    word: str
    read: type[R]
    failed: type[WorkFailedError]

    @property
    def path(self) -> str:
        """Of all of them."""
        return f"/{self.word}s"

    def at(self, name: UUID | str) -> str:
        """Of one of them."""
        return f"{self.path}/{quote(str(name), safe='')}"


DATASETS: Final = Noun("dataset", DatasetRead, DatasetFailedError)
DISTANCES: Final = Noun("distance", DistanceRead, DistanceFailedError)
SELECTIONS: Final = Noun("selection", SelectionRead, SelectionFailedError)
JOBS: Final = Noun("job", JobRead, JobFailedError)


# --- What all work has in common


def submit(noun: Noun[R], request: RequestBody | None, settings: dict[str, object]) -> Call[R]:
    """Ask for work."""
    return call("POST", noun.path, reading(noun.read), body=body_of(request, settings) | {"validate_only": False})


def preview(noun: Noun[R], request: RequestBody | None, settings: dict[str, object]) -> Call[Preview]:
    """Ask what work would be and cost."""
    return call("POST", noun.path, reading(Preview), body=body_of(request, settings) | {"validate_only": True})


def show(noun: Noun[R], name: UUID | str) -> Call[R]:
    """Read one."""
    return call("GET", noun.at(name), reading(noun.read))


def describe(noun: Noun[R], name: UUID | str, patch: RequestBody | None, settings: dict[str, object]) -> Call[R]:
    """Change what is written on one."""
    return call("PATCH", noun.at(name), reading(noun.read), body=body_of(patch, settings))


def delete(noun: Noun[R], name: UUID | str) -> Call[None]:
    """Delete one, with its files."""
    return call("DELETE", noun.at(name), read_nothing)


def cancel(noun: Noun[R], name: UUID | str) -> Call[R]:
    """Stop one."""
    return call("POST", f"{noun.at(name)}/cancel", reading(noun.read))


def retry(noun: Noun[R], name: UUID | str) -> Call[R]:
    """Do one again that failed or was cancelled."""
    return call("POST", f"{noun.at(name)}/retry", reading(noun.read))


def logs(noun: Noun[R], name: UUID | str, *, since: int, limit: int) -> Call[list[LineRead]]:
    """Read the lines of its log after a number."""
    asked = call("GET", f"{noun.at(name)}/logs", reading_lines(LineRead), query={"since": since, "limit": limit})
    return Call(asked.request.with_header("Accept", "application/x-ndjson"), asked.read)


def artifacts(noun: Noun[R], name: UUID | str) -> Call[ArtifactList]:
    """List its files."""
    return call("GET", f"{noun.at(name)}/artifacts", reading(ArtifactList))


def artifact(noun: Noun[R], name: UUID | str, file: str) -> str:
    """Where one of its files is."""
    return f"{noun.at(name)}/artifacts/{quote(file, safe='')}"


def artifact_content(noun: Noun[R], name: UUID | str, file: str) -> Call[bytes]:
    """Read a small one of its files."""
    return Call(Request("GET", artifact(noun, name, file)), read_bytes)


def metrics(job: UUID | str) -> Call[MetricsRead]:
    """Read what a job's latest attempt has measured so far."""
    return call("GET", f"{JOBS.at(job)}/metrics", reading(MetricsRead))


# --- Lists


def list_jobs(query: dict[str, object]) -> Call[Page[JobSummary]]:
    """Read a page of jobs."""
    return call("GET", JOBS.path, reading(JobList), query=query)


def list_datasets(query: dict[str, object]) -> Call[Page[DatasetRead]]:
    """Read a page of datasets."""
    return call("GET", DATASETS.path, reading(DatasetList), query=query)


def list_distances(query: dict[str, object]) -> Call[Page[DistanceSummary]]:
    """Read a page of distances."""
    return call("GET", DISTANCES.path, reading(DistanceList), query=query)


def list_selections(query: dict[str, object]) -> Call[Page[SelectionSummary]]:
    """Read a page of selections."""
    return call("GET", SELECTIONS.path, reading(SelectionList), query=query)


# --- Uploads

_UPLOADS: Final = UUID("5b0f7a0e-6d0c-5f1c-9a57-1f1d9b6e2a43")


def begin_upload(upload: UploadCreate) -> Call[UploadRead]:
    """Announce a file."""
    return call("POST", "/uploads", reading(UploadRead), body=upload.model_dump(exclude_none=True))


def go_on_with_upload(upload: UploadCreate) -> Call[UploadRead]:
    """Announce a file under a key that follows from it: what was begun for it within a day is the answer."""
    begin = begin_upload(upload)
    key = uuid5(_UPLOADS, begin.request.content.decode())
    return Call(begin.request.with_header(KEY_HEADER, str(key)), begin.read)


def show_upload(upload: UUID) -> Call[UploadRead]:
    """Read which of its parts have arrived."""
    return call("GET", f"/uploads/{upload}", reading(UploadRead))


def send_part(upload: UUID, number: int, part: bytes, digest: str) -> Call[None]:
    """Send one part, with its sha256 in base64."""
    headers = {"Content-Type": "application/octet-stream", "Content-Digest": f"sha-256=:{digest}:"}
    return Call(Request("PUT", f"/uploads/{upload}/parts/{number}", headers, part), read_nothing)


def complete_upload(upload: UUID) -> Call[UploadRead]:
    """End it once all parts are there."""
    return call("POST", f"/uploads/{upload}/complete", reading(UploadRead))


def delete_upload(upload: UUID) -> Call[None]:
    """Delete what no dataset uses."""
    return call("DELETE", f"/uploads/{upload}", read_nothing)


# --- Keys


def create_key(key: KeyCreate) -> Call[KeyIssued]:
    """Make a key."""
    return call("POST", "/keys", reading(KeyIssued), body=key)


def list_keys(query: dict[str, object]) -> Call[Page[KeyRead]]:
    """Read a page of keys."""
    return call("GET", "/keys", reading(KeyList), query=query)


def show_key(key: UUID | str) -> Call[KeyRead]:
    """Read one key."""
    return call("GET", f"/keys/{_part(key)}", reading(KeyRead))


def rotate_key(key: UUID | str, grace_seconds: float) -> Call[KeyIssued]:
    """Replace a key."""
    return call("POST", f"/keys/{_part(key)}/rotate", reading(KeyIssued), body={"grace_seconds": grace_seconds})


def revoke_key(key: UUID | str) -> Call[KeyRead]:
    """End a key."""
    return call("POST", f"/keys/{_part(key)}/revoke", reading(KeyRead))


# --- Webhooks


def create_webhook(webhook: WebhookCreate) -> Call[WebhookIssued]:
    """Have ends of work told to an address."""
    return call("POST", "/webhooks", reading(WebhookIssued), body=webhook)


def list_webhooks() -> Call[WebhookList]:
    """Read all webhooks."""
    return call("GET", "/webhooks", reading(WebhookList))


def show_webhook(webhook: UUID | str) -> Call[WebhookRead]:
    """Read one webhook."""
    return call("GET", f"/webhooks/{_part(webhook)}", reading(WebhookRead))


def update_webhook(webhook: UUID | str, change: WebhookUpdate) -> Call[WebhookRead]:
    """Change what it is told of, or whether it is told anything."""
    return call("PATCH", f"/webhooks/{_part(webhook)}", reading(WebhookRead), body=body_of(change, {}))


def delete_webhook(webhook: UUID | str) -> Call[None]:
    """Delete one, with its deliveries."""
    return call("DELETE", f"/webhooks/{_part(webhook)}", read_nothing)


def rotate_webhook(webhook: UUID | str) -> Call[WebhookIssued]:
    """Take a new secret."""
    return call("POST", f"/webhooks/{_part(webhook)}/rotate", reading(WebhookIssued))


def ping_webhook(webhook: UUID | str) -> Call[DeliveryRead]:
    """Have a message sent that tells of nothing."""
    return call("POST", f"/webhooks/{_part(webhook)}/test", reading(DeliveryRead))


def list_deliveries(webhook: UUID | str, query: dict[str, object]) -> Call[Page[DeliveryRead]]:
    """Read a page of what was sent to one."""
    return call("GET", f"/webhooks/{_part(webhook)}/deliveries", reading(DeliveryList), query=query)


# --- The service itself


def list_backbones() -> Call[BackboneList]:
    """Read which networks a job can start from."""
    return call("GET", "/backbones", reading(BackboneList))


def health() -> Call[Health]:
    """Ask whether database, broker and store answer."""
    return call("GET", "/health/ready", reading(Health))


def _part(name: UUID | str) -> str:
    return quote(str(name), safe="")

"""What every use case works with."""

from dataclasses import dataclass

from app.queue import JobQueue
from app.settings import Settings
from app.store.blobs import BlobStore
from app.store.jobs import Origin
from app.store.sessions import Session


@dataclass(frozen=True, slots=True)
class Context:
    """The service's parts, and on whose behalf they are used.

    Attributes:
        session: One transaction; a use case that writes commits it once.
        queue: The way to the workers.
        blobs: Where artifacts lie.
        settings: The operator's.
        owner: Whose things are seen and made.
        request_id: Of the HTTP request; work and its logs carry it on.
    """

    session: Session
    queue: JobQueue
    blobs: BlobStore
    settings: Settings
    owner: str
    request_id: str | None = None

    @property
    def origin(self) -> Origin:
        """Where the work comes from that this request makes."""
        return Origin(self.owner, self.request_id)

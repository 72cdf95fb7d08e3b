"""Keys of any owner, on the database itself: for whoever runs the service, and needs no key for it."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from app.errors import UnavailableError
from app.schemas.keys import KeyCreate, KeyIssued, KeyRead
from app.services.keys import Issued, create_key, end_key, rotate_key
from app.settings import read_settings
from app.store.keys import list_keys
from app.store.records import KeyRecord
from app.store.sessions import Database, open_database

PAGE = 200


class OwnedKey(KeyRead):
    """A key, and whose it is."""

    owner: str


class OwnedKeyIssued(KeyIssued, OwnedKey):
    """The same with its secret."""


@dataclass(frozen=True, slots=True)
class DirectKeys:
    """What ``app.client.client.Keys`` does over HTTP.

    Attributes:
        database: That of the settings.
        owner: Whose keys are made, or listed; None for everybody's.
    """

    database: Database
    owner: str | None

    def create(self, request: KeyCreate, /) -> KeyIssued:
        """Make a key of the owner.

        Raises:
            ValueError: If none is named.
        """
        if self.owner is None:
            raise ValueError("name the owner of the key: --owner")
        with self.database.writing() as session:
            issued = create_key(
                session, self.owner, name=request.name, scopes=set(request.scopes), expires_in=request.expires_in
            )
            session.commit()
            return _shown(issued)

    def list(self) -> Iterator[KeyRead]:
        """Keys, newest first."""
        before: UUID | None = None
        with self.database.reading() as session:
            while page := list_keys(session, self.owner, before=before, limit=PAGE):
                yield from (OwnedKey.model_validate(record) for record in page)
                before = page[-1].id

    def rotate(self, key_id: UUID, /, *, grace_seconds: float = 0.0) -> KeyIssued:
        """Replace a key, whoever's it is."""
        with self.database.writing() as session:
            issued = rotate_key(session, None, key_id, grace_seconds=grace_seconds)
            session.commit()
            return _shown(issued)

    def revoke(self, key_id: UUID, /) -> KeyRead:
        """End a key, whoever's it is."""
        with self.database.writing() as session:
            record = end_key(session, None, key_id)
            session.commit()
            return OwnedKey.model_validate(record)


def open_direct_keys(owner: str | None) -> DirectKeys:
    """Keys on the database of the settings; close it in the end.

    Raises:
        UnavailableError: If it does not answer, or has no tables.
    """
    database = open_database(read_settings().resolved_database_url)
    try:
        database.ping()
    except Exception as error:
        database.close()
        raise UnavailableError(
            "The database does not answer, or has no tables yet: start the service once, or run `alembic upgrade head`."
        ) from error
    return DirectKeys(database, owner)


def _shown(issued: Issued) -> KeyIssued:
    record: KeyRecord = issued.record
    return OwnedKeyIssued(**OwnedKey.model_validate(record).model_dump(), secret=issued.secret)

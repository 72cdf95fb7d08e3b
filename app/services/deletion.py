"""Deleting work that has ended, with its files."""

import logging

from app.errors import InUseError, NotDeletableError, NotFoundError
from app.services.context import Context
from app.services.reading import NOUN
from app.services.uploads import discard_blobs
from app.store import deletion
from app.store.blobs import BlobStore, BlobStoreError
from app.store.records import DatasetRecord, WorkRecord
from app.store.uploads import remove_upload

log = logging.getLogger(__name__)


def delete_work(context: Context, record: WorkRecord) -> None:
    """Delete a record, its events and its files; of a dataset, its upload too where no other dataset uses it.

    The record goes first, and in one transaction. Files that a crash, or a store that does not answer, then leaves
    behind belong to nothing, and are collected later (``app/services/upkeep.py``).

    Raises:
        NotFoundError: If somebody else has just deleted it.
        NotDeletableError: If it has not ended.
        InUseError: If something refers to it.
    """
    kind, noun = type(record), NOUN[type(record)]
    state = deletion.hold(context.session, kind, record.id)
    if state is None:
        raise NotFoundError(f"There is no {noun} {record.id}.")
    if not state.is_terminal:
        raise NotDeletableError(f"The {noun} is {state.value}: cancel it, and delete it once it has ended.")
    uses = deletion.count_uses(context.session, kind, record.id)
    if uses:
        users = " and ".join(f"{count} {NOUN[user]}{'s' if count > 1 else ''}" for user, count in uses.items())
        raise InUseError(f"The {noun} is used by {users}: delete first what uses it.")
    deletion.remove_work(context.session, kind, record.id)
    upload_id = record.upload_id if isinstance(record, DatasetRecord) else None
    unused = upload_id is not None and remove_upload(context.session, upload_id)
    context.session.commit()
    _discard(context.blobs, f"{kind.__tablename__}/{record.id}/")
    if upload_id is not None and unused:
        discard_blobs(context.blobs, [upload_id])


def _discard(blobs: BlobStore, prefix: str) -> None:
    try:
        blobs.delete([found.key for found in blobs.list_below(prefix)])
    except (BlobStoreError, OSError):
        log.warning("blobs below %s are left to be collected later", prefix, exc_info=True)

"""Cursors: where the next page of a list begins, as clients carry it about."""

import base64
import binascii
import datetime as dt
import hashlib
import struct
from typing import Final
from uuid import UUID

from app.errors import InvalidCursorError
from app.store.listing import Position

_FORMAT: Final = struct.Struct(">B8sq16s")
_VERSION: Final = 1
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND: Final = dt.timedelta(microseconds=1)


def write_cursor(query: str, position: Position) -> str:
    """A cursor for the page behind a position.

    Args:
        query: What the list was asked for, but for the page; the cursor is good for this alone.
        position: The last record of the page before.
    """
    packed = _FORMAT.pack(_VERSION, _mark(query), (position.at - _EPOCH) // _MICROSECOND, position.id.bytes)
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def read_cursor(query: str, cursor: str) -> Position:
    """The position that a cursor of the same query was written for.

    Raises:
        InvalidCursorError: If it is none of ours, or of another query.
    """
    try:
        packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        version, mark, microseconds, work_id = _FORMAT.unpack(packed)
        position = Position(_EPOCH + microseconds * _MICROSECOND, UUID(bytes=work_id))
    except (binascii.Error, struct.error, ValueError, OverflowError) as error:
        raise _refusal("is none of ours") from error
    if version != _VERSION:
        raise _refusal("is none of ours")
    if mark != _mark(query):
        raise _refusal("belongs to a list with other filters, or another sort")
    return position


def _mark(query: str) -> bytes:
    return hashlib.sha256(query.encode()).digest()[:8]


def _refusal(reason: str) -> InvalidCursorError:
    return InvalidCursorError.of_field(
        "cursor", f"{reason}: pass `next` of the page before, with the same filters and sort, or begin without one"
    )

"""The tables of who may do what, and of requests that were made before."""

import datetime as dt
from uuid import UUID

from sqlalchemy import Index, String, Uuid
from sqlalchemy.orm import Mapped, mapped_column
from uuid6 import uuid7

from app.store.clock import UtcDateTime, now_plus
from app.store.records.base import Document, Record


class KeyRecord(Record):
    """An API key; of its secret only a digest is kept."""

    __tablename__ = "api_keys"
    __table_args__ = (Index(None, "owner", "id"),)

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, default=uuid7)
    owner: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(200))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    hint: Mapped[str] = mapped_column(String(16))
    scopes: Mapped[list[str]] = mapped_column(Document)
    created_at: Mapped[dt.datetime] = mapped_column(UtcDateTime, default=now_plus())
    expires_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    last_used_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)


class IdempotencyRecord(Record):
    """What a request with an Idempotency-Key made, so that the same request makes it once."""

    __tablename__ = "idempotency_keys"

    owner: Mapped[str] = mapped_column(String(64), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    subject_id: Mapped[UUID] = mapped_column(Uuid)
    created_at: Mapped[dt.datetime] = mapped_column(UtcDateTime, default=now_plus(), index=True)

"""The tables of who is told that work has ended."""

import datetime as dt
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Uuid
from sqlalchemy.orm import Mapped, mapped_column
from uuid6 import uuid7

from app.states import DeliveryState
from app.store.clock import UtcDateTime, now_plus
from app.store.records.base import Document, Record


class WebhookRecord(Record):
    """An address that is told when an owner's work ends."""

    __tablename__ = "webhooks"
    __table_args__ = (Index(None, "owner", "id"),)

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, default=uuid7)
    owner: Mapped[str] = mapped_column(String(64))
    url: Mapped[str] = mapped_column(String(2000))
    secret: Mapped[str] = mapped_column(String(200))
    old_secret: Mapped[str | None] = mapped_column(String(200))
    old_secret_until: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    events: Mapped[list[str]] = mapped_column(Document)
    enabled: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[dt.datetime] = mapped_column(UtcDateTime, default=now_plus())


class DeliveryRecord(Record):
    """One message to one webhook, made in the transaction that ended the work; ``next_attempt_at`` while it is due."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (Index(None, "webhook_id", "id"),)

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, default=uuid7)
    webhook_id: Mapped[UUID] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    event: Mapped[str] = mapped_column(String(40))
    subject_id: Mapped[UUID] = mapped_column(Uuid)
    payload: Mapped[dict[str, Any]] = mapped_column(Document)
    n_attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime, index=True)
    status_code: Mapped[int | None]
    error: Mapped[str | None] = mapped_column(String(300))
    created_at: Mapped[dt.datetime] = mapped_column(UtcDateTime, default=now_plus(), index=True)
    delivered_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)

    @property
    def state(self) -> DeliveryState:
        """Whether it was taken, is still being tried, or was given up."""
        if self.delivered_at is not None:
            return DeliveryState.DELIVERED
        return DeliveryState.FAILED if self.next_attempt_at is None else DeliveryState.PENDING

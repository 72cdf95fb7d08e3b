"""The tables of files on their way in."""

import datetime as dt
import math
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, String, Uuid
from sqlalchemy.orm import Mapped, mapped_column, relationship
from uuid6 import uuid7

from app.store.clock import UtcDateTime, now_plus
from app.store.records.base import Record


class UploadRecord(Record):
    """A file that a client sends in parts; its bytes lie in the blob store, part by part."""

    __tablename__ = "uploads"
    __table_args__ = (Index(None, "owner", "id"),)

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, default=uuid7)
    owner: Mapped[str] = mapped_column(String(64))
    filename: Mapped[str] = mapped_column(String(255))
    size: Mapped[int] = mapped_column(BigInteger)
    part_size: Mapped[int]
    sha256: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[dt.datetime] = mapped_column(UtcDateTime, default=now_plus())
    expires_at: Mapped[dt.datetime] = mapped_column(UtcDateTime, index=True)
    completed_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    parts: Mapped[list["UploadPartRecord"]] = relationship(
        order_by="UploadPartRecord.number", lazy="selectin", cascade="all, delete-orphan"
    )

    @property
    def n_parts(self) -> int:
        """In how many parts it comes."""
        return math.ceil(self.size / self.part_size)

    def size_of_part(self, number: int) -> int:
        """Bytes of one of the parts, which count from 1; only the last may be smaller than the others."""
        return min(self.part_size, self.size - (number - 1) * self.part_size)


class UploadPartRecord(Record):
    """A part that has arrived. One that the client put into the store itself is known by its ``e_tag`` there."""

    __tablename__ = "upload_parts"

    upload_id: Mapped[UUID] = mapped_column(ForeignKey("uploads.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    key: Mapped[str] = mapped_column(String(300))
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str | None] = mapped_column(String(64))
    e_tag: Mapped[str | None] = mapped_column(String(200))

"""The table of chores that one process at a time does."""

import datetime as dt

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from app.store.clock import UtcDateTime
from app.store.records.base import Record


class ChoreRecord(Record):
    """A chore and when it is due again; whoever moves that moment does it."""

    __tablename__ = "chores"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    due_at: Mapped[dt.datetime] = mapped_column(UtcDateTime)

"""Webhooks and what is on its way to them: an outbox, written in the transactions that end work.

A message is committed together with the end that it tells of, so none is lost. Whoever sends it first moves the moment
at which it is due again, by one conditional UPDATE: a sender that dies leaves it to the next, and a message may
arrive twice, with the same id, but not never.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, null, select, update
from sqlalchemy.orm import Session

from app.store.clock import now_plus
from app.store.records import DatasetRecord, DeliveryRecord, JobRecord, WebhookRecord, WorkRecord

EVERYTHING: Final = "*"
PING: Final = "ping"
MAX_ERROR: Final = 300
SWITCHED_OFF: Final = "the webhook was switched off before this was delivered"


@dataclass(frozen=True, slots=True)
class Due:
    """A message that one sender has taken, for as long as it may need.

    Attributes:
        id: The same for every attempt.
        webhook_id: Where it goes.
        attempt: Counts the senders, from 1; what is written of the outcome names it.
        payload: What to send.
        url: Where to.
        secrets: What to sign with: the present one and, for a while, the one before.
        enabled: Whether the webhook still wants it.
    """

    id: UUID
    webhook_id: UUID
    attempt: int
    payload: dict[str, Any]
    url: str
    secrets: tuple[str, ...]
    enabled: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt.

    Attributes:
        delivered: Whether it was taken.
        status_code: Of the answer, if there was one.
        error: What was wrong, for the owner to read.
        retry_seconds: When to try again; None: not at all.
        gone: Whether the receiver said that it wants no more.
    """

    delivered: bool
    status_code: int | None = None
    error: str | None = None
    retry_seconds: float | None = None
    gone: bool = False


# --- The outbox


def announce(session: Session, kind: type[WorkRecord], ids: Collection[UUID]) -> None:
    """Leave a message for every webhook that is to be told of the end of this work; call it where work ends.

    Args:
        session: The transaction in which the work ended.
        kind: What has ended.
        ids: Which of them.
    """
    if not ids:
        return
    name = kind.name if issubclass(kind, DatasetRecord | JobRecord) else null()
    told = (
        select(kind.id, kind.state, kind.error, kind.finished_at, name.label("name"), WebhookRecord)
        .join(WebhookRecord, WebhookRecord.owner == kind.owner)
        .where(kind.id.in_(ids), WebhookRecord.enabled)
        # Nobody deletes the webhook before this is committed: a message to nowhere would undo the end of the work.
        .with_for_update(read=True, key_share=True, of=WebhookRecord)
    )
    noun = kind.__tablename__.removesuffix("s")
    for row in session.execute(told):
        event = f"{noun}.{row.state}"
        if wants(row.WebhookRecord.events, event):
            data = {"id": str(row.id), "kind": noun, "state": row.state, "name": row.name, "error": row.error}
            data["url"] = f"/{kind.__tablename__}/{row.id}"
            add_delivery(session, row.WebhookRecord, event, row.id, at=row.finished_at.isoformat(), data=data)


def wants(patterns: Sequence[str], event: str) -> bool:
    """Whether an event like ``job.failed`` is among ``*``, ``job.*`` or ``job.failed``."""
    noun = event.partition(".")[0]
    return not {EVERYTHING, f"{noun}.*", event}.isdisjoint(patterns)


def add_delivery(
    session: Session, webhook: WebhookRecord, event: str, subject_id: UUID, *, at: str, data: dict[str, Any]
) -> DeliveryRecord:
    """Put a message into the outbox; it is due at once."""
    record = DeliveryRecord(
        webhook_id=webhook.id,
        event=event,
        subject_id=subject_id,
        payload={"type": event, "timestamp": at, "data": data},
        next_attempt_at=now_plus(),
    )
    session.add(record)
    session.flush()
    return record


def any_due(session: Session) -> bool:
    """Whether there is anything to send: a look that takes no lock."""
    return bool(session.execute(select(select(DeliveryRecord.id).where(_is_due()).exists())).scalar_one())


def claim_due(
    session: Session, *, busy: Collection[UUID], limit: int, limit_each: int, lease_seconds: float
) -> list[Due]:
    """Take messages that are due, the oldest of each webhook, so that nobody else sends them for a while.

    Args:
        session: To be committed before anything is sent.
        busy: Webhooks that the caller is sending to already: one that hangs must not take up all senders.
        limit: How many at the most.
        limit_each: How many at the most for one webhook.
        lease_seconds: How long to leave them alone; after that the sender counts as lost.
    """
    place = func.row_number().over(
        partition_by=DeliveryRecord.webhook_id, order_by=(DeliveryRecord.next_attempt_at, DeliveryRecord.id)
    )
    places = select(DeliveryRecord.id, place.label("place")).where(_is_due(), DeliveryRecord.webhook_id.not_in(busy))
    ranked = places.subquery()
    free = (
        select(DeliveryRecord.id)
        .where(DeliveryRecord.id.in_(select(ranked.c.id).where(ranked.c.place <= limit_each)), _is_due())
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    taken = session.execute(
        update(DeliveryRecord)
        .where(DeliveryRecord.id.in_(free))
        .values(n_attempts=DeliveryRecord.n_attempts + 1, next_attempt_at=now_plus(lease_seconds))
        .returning(DeliveryRecord.id)
        .execution_options(synchronize_session=False)
    ).scalars()
    found = (
        select(DeliveryRecord, WebhookRecord, WebhookRecord.old_secret_until > now_plus())
        .join(WebhookRecord, WebhookRecord.id == DeliveryRecord.webhook_id)
        .where(DeliveryRecord.id.in_(list(taken)))
        .order_by(DeliveryRecord.id)
        .execution_options(populate_existing=True)
    )
    return [_due(delivery, webhook, both=bool(both)) for delivery, webhook, both in session.execute(found)]


def settle(session: Session, due: Due, outcome: Outcome) -> None:
    """Write what came of an attempt, unless another one has begun since."""
    retry = outcome.retry_seconds
    session.execute(
        update(DeliveryRecord)
        .where(DeliveryRecord.id == due.id, DeliveryRecord.n_attempts == due.attempt)
        .values(
            status_code=outcome.status_code,
            error=outcome.error and outcome.error[:MAX_ERROR],
            delivered_at=now_plus() if outcome.delivered else None,
            next_attempt_at=None if retry is None else now_plus(retry),
        )
    )
    if outcome.gone:
        switch_off(session, due.webhook_id)


def send_again(session: Session, delivery_id: UUID) -> None:
    """Make a message due at once, with all its attempts before it."""
    anew = {"n_attempts": 0, "delivered_at": None, "next_attempt_at": now_plus()}
    session.execute(update(DeliveryRecord).where(DeliveryRecord.id == delivery_id).values(**anew))


def _is_due() -> ColumnElement[bool]:
    return DeliveryRecord.next_attempt_at <= now_plus()


def _due(delivery: DeliveryRecord, webhook: WebhookRecord, *, both: bool) -> Due:
    return Due(
        id=delivery.id,
        webhook_id=webhook.id,
        attempt=delivery.n_attempts,
        payload=delivery.payload,
        url=webhook.url,
        secrets=(webhook.secret, webhook.old_secret) if both and webhook.old_secret else (webhook.secret,),
        enabled=webhook.enabled,
    )


# --- Webhooks


def add_webhook(session: Session, *, owner: str, url: str, secret: str, events: list[str]) -> WebhookRecord:
    """Add a webhook."""
    record = WebhookRecord(owner=owner, url=url, secret=secret, events=events)
    session.add(record)
    session.flush()
    return record


def find_webhook(session: Session, owner: str, webhook_id: UUID) -> WebhookRecord | None:
    """The owner's webhook with this id."""
    theirs = select(WebhookRecord).where(WebhookRecord.id == webhook_id, WebhookRecord.owner == owner)
    return session.scalars(theirs).one_or_none()


def list_webhooks(session: Session, owner: str) -> list[WebhookRecord]:
    """The owner's webhooks, newest first."""
    return list(
        session.scalars(select(WebhookRecord).where(WebhookRecord.owner == owner).order_by(WebhookRecord.id.desc()))
    )


def replace_secret(session: Session, webhook: WebhookRecord, secret: str, *, grace_seconds: float) -> None:
    """Sign with a new secret, and for a while with the present one too."""
    session.execute(
        update(WebhookRecord)
        .where(WebhookRecord.id == webhook.id)
        .values(old_secret=WebhookRecord.secret, old_secret_until=now_plus(grace_seconds), secret=secret)
    )


def switch_off(session: Session, webhook_id: UUID) -> None:
    """Send nothing more to a webhook; what still waits is given up and can be sent again by hand."""
    session.execute(update(WebhookRecord).where(WebhookRecord.id == webhook_id).values(enabled=False))
    session.execute(
        update(DeliveryRecord)
        .where(DeliveryRecord.webhook_id == webhook_id, DeliveryRecord.next_attempt_at.is_not(None))
        .values(next_attempt_at=None, error=SWITCHED_OFF)
    )


def remove_webhook(session: Session, webhook_id: UUID) -> None:
    """Delete a webhook; the database deletes its deliveries with it."""
    session.execute(delete(WebhookRecord).where(WebhookRecord.id == webhook_id))


def find_delivery(session: Session, webhook_id: UUID, delivery_id: UUID) -> DeliveryRecord | None:
    """The webhook's delivery with this id."""
    theirs = select(DeliveryRecord).where(DeliveryRecord.id == delivery_id, DeliveryRecord.webhook_id == webhook_id)
    return session.scalars(theirs).one_or_none()


def list_deliveries(session: Session, webhook_id: UUID, *, before: UUID | None, limit: int) -> list[DeliveryRecord]:
    """The webhook's deliveries, newest first, those older than ``before``."""
    theirs = select(DeliveryRecord).where(DeliveryRecord.webhook_id == webhook_id)
    newest_first = theirs.order_by(DeliveryRecord.id.desc()).limit(limit)
    return list(session.scalars(newest_first if before is None else newest_first.where(DeliveryRecord.id < before)))

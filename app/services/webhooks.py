"""Webhooks: whom an owner wants to be told when work ends."""

import asyncio
import base64
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from app.errors import InvalidRequestError, NotFoundError, QuotaExceededError, WebhookDisabledError
from app.schemas.webhooks import WebhookCreate, WebhookUpdate
from app.services.context import Context
from app.services.idempotency import Asked, Done, once
from app.services.targets import TargetRefusedError, require_public, require_target, resolve
from app.store import webhooks
from app.store.records import DeliveryRecord, WebhookRecord
from app.store.usage import take_turns

MAX_WEBHOOKS: Final = 20
"""How many an owner may have: each is a row for every piece of work that ends."""
LOOK_UP_SECONDS: Final = 3.0
SECRET_BYTES: Final = 32
OLD_SECRET_SECONDS: Final = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Issued:
    """A webhook and its new secret; None where an earlier request was given it."""

    record: WebhookRecord
    secret: str | None


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """Some deliveries, newest first, and where the next ones begin."""

    items: list[DeliveryRecord]
    next: UUID | None


async def check_target(url: str, *, private: bool) -> None:
    """Refuse an address that nothing would be sent to; it is looked at again whenever something is sent.

    Args:
        url: Where to POST to.
        private: Whether the operator lets webhooks point anywhere.

    Raises:
        InvalidRequestError: If nothing would be sent there. A name that is not known yet passes.
    """
    try:
        host, port = require_target(url, private=private)
        if not private:
            require_public(host, await _addresses(host, port))
    except TargetRefusedError as error:
        raise InvalidRequestError.of_field("url", str(error)) from error


def register_webhook(context: Context, asked: Asked | None, request: WebhookCreate) -> Issued:
    """Store a webhook whose address was checked.

    Raises:
        QuotaExceededError: If the owner has too many.
        IdempotencyKeyReusedError: If the request's key came with another one before.
    """

    def make() -> WebhookRecord:
        take_turns(context.session, context.owner)
        used = len(read_webhooks(context))
        if used >= MAX_WEBHOOKS:
            raise QuotaExceededError("Delete a webhook first.", used=used, allowed=MAX_WEBHOOKS)
        url, events = str(request.url), list(request.events)
        return webhooks.add_webhook(context.session, owner=context.owner, url=url, secret=_new_secret(), events=events)

    return _issue(context, once(context, asked, make))


def read_webhooks(context: Context) -> list[WebhookRecord]:
    """All webhooks, newest first."""
    return webhooks.list_webhooks(context.session, context.owner)


def read_webhook(context: Context, webhook_id: UUID) -> WebhookRecord:
    """The webhook with this id.

    Raises:
        NotFoundError: If there is none.
    """
    record = webhooks.find_webhook(context.session, context.owner, webhook_id)
    if record is None:
        raise NotFoundError(f"There is no webhook {webhook_id}.")
    return record


def update_webhook(context: Context, webhook_id: UUID, request: WebhookUpdate) -> WebhookRecord:
    """Change what a webhook is told of, or whether it is told anything.

    Raises:
        NotFoundError: If there is none.
    """
    record = read_webhook(context, webhook_id)
    if request.events is not None:
        record.events = list(request.events)
    if request.enabled is False:
        webhooks.switch_off(context.session, record.id)
    elif request.enabled:
        record.enabled = True
    context.session.commit()
    context.session.refresh(record)
    return record


def delete_webhook(context: Context, webhook_id: UUID) -> None:
    """Forget a webhook, and with it its deliveries.

    Raises:
        NotFoundError: If there is none.
    """
    webhooks.remove_webhook(context.session, read_webhook(context, webhook_id).id)
    context.session.commit()


def rotate_secret(context: Context, asked: Asked | None, webhook_id: UUID) -> Issued:
    """Give a webhook a new secret; for a day messages are signed with the old one as well.

    Raises:
        NotFoundError: If there is no such webhook.
        IdempotencyKeyReusedError: If the request's key came with another one before.
    """

    def make() -> WebhookRecord:
        record = read_webhook(context, webhook_id)
        webhooks.replace_secret(context.session, record, _new_secret(), grace_seconds=OLD_SECRET_SECONDS)
        return record

    return _issue(context, once(context, asked, make, about=webhook_id))


def send_ping(context: Context, asked: Asked | None, webhook_id: UUID) -> Done[DeliveryRecord]:
    """Send a message that tells nothing, to see whether it arrives.

    Raises:
        NotFoundError: If there is no such webhook.
        WebhookDisabledError: If it is switched off.
        IdempotencyKeyReusedError: If the request's key came with another one before.
    """

    def make() -> DeliveryRecord:
        record = _require_enabled(context, webhook_id)
        now = datetime.now(UTC).isoformat()
        data = {"id": str(record.id), "kind": "webhook"}
        return webhooks.add_delivery(context.session, record, webhooks.PING, record.id, at=now, data=data)

    return _done(context, once(context, asked, make))


def send_again(context: Context, asked: Asked | None, webhook_id: UUID, delivery_id: UUID) -> Done[DeliveryRecord]:
    """Send a message again, whatever came of it before.

    Raises:
        NotFoundError: If there is no such webhook or delivery.
        WebhookDisabledError: If the webhook is switched off.
        IdempotencyKeyReusedError: If the request's key came with another one before.
    """

    def make() -> DeliveryRecord:
        _require_enabled(context, webhook_id)
        record = read_delivery(context, webhook_id, delivery_id)
        webhooks.send_again(context.session, record.id)
        return record

    return _done(context, once(context, asked, make, about=delivery_id))


def read_delivery(context: Context, webhook_id: UUID, delivery_id: UUID) -> DeliveryRecord:
    """A message to one of the owner's webhooks.

    Raises:
        NotFoundError: If there is no such webhook or delivery.
    """
    record = webhooks.find_delivery(context.session, read_webhook(context, webhook_id).id, delivery_id)
    if record is None:
        raise NotFoundError(f"The webhook has no delivery {delivery_id}.")
    return record


def read_deliveries(context: Context, webhook_id: UUID, *, cursor: UUID | None, limit: int) -> DeliveryPage:
    """One page of the messages to one of the owner's webhooks, newest first.

    Raises:
        NotFoundError: If there is no such webhook.
    """
    found = read_webhook(context, webhook_id)
    items = webhooks.list_deliveries(context.session, found.id, before=cursor, limit=limit + 1)
    return DeliveryPage(items=items[:limit], next=items[limit - 1].id if len(items) > limit else None)


async def _addresses(host: str, port: int) -> list[str]:
    try:
        async with asyncio.timeout(LOOK_UP_SECONDS):
            return await resolve(host, port)
    except (OSError, UnicodeError):
        return []


def _issue(context: Context, done: Done[WebhookRecord]) -> Issued:
    context.session.commit()
    if done.fresh is None:
        return Issued(read_webhook(context, done.subject_id), None)
    context.session.refresh(done.fresh)
    return Issued(done.fresh, done.fresh.secret)


def _done(context: Context, done: Done[DeliveryRecord]) -> Done[DeliveryRecord]:
    context.session.commit()
    if done.fresh is not None:
        context.session.refresh(done.fresh)
    return done


def _require_enabled(context: Context, webhook_id: UUID) -> WebhookRecord:
    record = read_webhook(context, webhook_id)
    if not record.enabled:
        raise WebhookDisabledError("The webhook is switched off: PATCH it with enabled true first.")
    return record


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()

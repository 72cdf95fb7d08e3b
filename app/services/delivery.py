"""Sending what lies in the outbox: signed, at least once, and again where it was not taken.

Signatures are those of the Standard Webhooks specification. The ``webhook-id`` of a message is the same for every
attempt, so that a receiver can tell a second copy.
"""

import asyncio
import json
import logging
import random
import ssl
from collections.abc import Collection
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from itertools import groupby
from typing import Final
from uuid import UUID

import httpcore2
from standardwebhooks import Webhook

from app.observing.metrics import DELIVERIES
from app.services.targets import Outlet, TargetRefusedError, open_outlet
from app.store.sessions import Database
from app.store.webhooks import SWITCHED_OFF, Due, Outcome, any_due, claim_due, settle

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 1.0
SEND_SECONDS: Final = 10.0
LEASE_SECONDS: Final = 60.0
"""Longer than sending and writing the outcome take, so that only what a dead sender left is sent by another."""
N_SENDERS: Final = 64
N_EACH: Final = 8
RETRY_SECONDS: Final = (5.0, 30.0, 120.0, 600.0, 3600.0, 21600.0)
JITTER: Final = 0.2

OK: Final = range(200, 300)
GONE: Final = 410

_TOO_LATE: Final = f"no answer within {SEND_SECONDS:g} seconds"
_REASONS: Final[dict[type[Exception], str]] = {
    TimeoutError: _TOO_LATE,
    httpcore2.TimeoutException: _TOO_LATE,
    httpcore2.ConnectError: "no connection: the name is not known, or nobody listens there",
    httpcore2.NetworkError: "the connection broke before there was an answer",
    httpcore2.ProtocolError: "the answer is no HTTP",
}


async def deliver_forever(database: Database, *, private: bool) -> None:
    """Send what is due, as soon as it is.

    Args:
        database: Where the outbox is.
        private: Whether the operator lets webhooks point anywhere.
    """
    sending: dict[UUID, asyncio.Task[None]] = {}
    async with open_outlet(private=private) as outlet, asyncio.TaskGroup() as tasks:
        while True:
            try:
                n_due = await start_due(database, outlet, tasks, sending)
            except Exception:
                log.exception("webhooks: the outbox cannot be read; it is tried again in %.0f s", POLL_SECONDS)
                n_due = 0
            if n_due == 0:
                await asyncio.sleep(POLL_SECONDS)


async def start_due(
    database: Database, outlet: Outlet, tasks: asyncio.TaskGroup, sending: dict[UUID, asyncio.Task[None]]
) -> int:
    """Begin to send what is due now.

    Args:
        database: Where the outbox is.
        outlet: The way to receivers.
        tasks: Gets a task for each receiver.
        sending: These tasks while they run: what else is due for their receivers waits, so that one that hangs does
            not keep the others waiting.

    Returns:
        How many messages.
    """
    limit = N_SENDERS - N_EACH * len(sending)
    due = await asyncio.to_thread(_claim, database, set(sending), limit) if limit > 0 else []
    for webhook_id, messages in groupby(sorted(due, key=lambda message: message.webhook_id), _receiver):
        task = tasks.create_task(_send_all(database, outlet, list(messages)))
        sending[webhook_id] = task
        task.add_done_callback(lambda _, done=webhook_id: sending.pop(done))  # type: ignore[misc]
    return len(due)


def judge(status_code: int, retry_after: str, attempt: int) -> Outcome:
    """What an answer means: 2xx is taken, 410 is the last one, everything else is tried again, if not for ever.

    Args:
        status_code: Of the answer.
        retry_after: The header of this name; empty if there is none.
        attempt: Which attempt it answers, from 1.
    """
    if status_code in OK:
        return Outcome(delivered=True, status_code=status_code)
    error = f"the receiver answered {status_code}, where 2xx means that it has the message"
    if status_code == GONE:
        return Outcome(delivered=False, status_code=status_code, error=error, gone=True)
    return Outcome(
        delivered=False, status_code=status_code, error=error, retry_seconds=retry_in(attempt, _seconds(retry_after))
    )


def retry_in(attempt: int, asked: float = 0.0) -> float | None:
    """Seconds to wait after an attempt that failed, from 1; None after the last one.

    Args:
        attempt: Which one failed.
        asked: What the receiver would like at least; more than the longest of our own waits is too much.
    """
    if attempt > len(RETRY_SECONDS):
        return None
    # So that a receiver that was away is not met by everybody at once.
    own = RETRY_SECONDS[attempt - 1] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret
    return max(own, min(asked, RETRY_SECONDS[-1]))


def sign(message: Due, now: datetime) -> tuple[dict[str, str], bytes]:
    """The headers and the body of a message that is sent now; two signatures while an old secret is still used."""
    body = json.dumps(message.payload, separators=(",", ":"))
    signatures = (Webhook(secret).sign(str(message.id), now, body) for secret in message.secrets)
    headers = {
        "content-type": "application/json",
        "user-agent": f"ot3l/{version('ot3l')}",
        "webhook-id": str(message.id),
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
    return headers, body.encode()


def _receiver(message: Due) -> UUID:
    return message.webhook_id


def _claim(database: Database, busy: Collection[UUID], limit: int) -> list[Due]:
    # Mostly there is nothing to do, and finding that out should keep nobody from writing.
    with database.reading() as session:
        if not any_due(session):
            return []
    with database.writing() as session:
        due = claim_due(session, busy=busy, limit=limit, limit_each=N_EACH, lease_seconds=LEASE_SECONDS)
        session.commit()
    return due


async def _send_all(database: Database, outlet: Outlet, messages: list[Due]) -> None:
    await asyncio.gather(*(_send(database, outlet, message) for message in messages))


async def _send(database: Database, outlet: Outlet, message: Due) -> None:
    try:
        outcome = await _attempt(outlet, message) if message.enabled else Outcome(delivered=False, error=SWITCHED_OFF)
    except Exception as error:
        if not isinstance(error, (TargetRefusedError, *_REASONS)):
            log.exception("webhooks: delivery %s", message.id)
        outcome = Outcome(delivered=False, error=_explain(error), retry_seconds=retry_in(message.attempt))
    try:
        await asyncio.to_thread(_settle, database, message, outcome)
    except Exception:
        log.exception("webhooks: delivery %s is sent again, for its outcome cannot be written", message.id)


async def _attempt(outlet: Outlet, message: Due) -> Outcome:
    headers, body = sign(message, datetime.now(UTC))
    async with asyncio.timeout(SEND_SECONDS):
        status_code, told = await outlet.post(message.url, headers=headers, body=body)
    return judge(status_code, told.get("retry-after", ""), message.attempt)


def _settle(database: Database, message: Due, outcome: Outcome) -> None:
    with database.writing() as session:
        settle(session, message, outcome)
        session.commit()
    tried_again = outcome.retry_seconds is not None
    DELIVERIES.labels("delivered" if outcome.delivered else "retried" if tried_again else "given_up").inc()


def _explain(error: Exception) -> str:
    if isinstance(error, TargetRefusedError):
        return str(error)
    if isinstance(error.__cause__ or error.__context__, ssl.SSLError):
        return "no connection: there is no TLS, or the certificate is not valid"
    for kind, reason in _REASONS.items():
        if isinstance(error, kind):
            return reason
    return "this service made a mistake"


def _seconds(retry_after: str) -> float:
    """What a Retry-After header asks for, a number or a date; 0 where it means nothing."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:9])
    try:
        return (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds()
    except (TypeError, ValueError):
        return 0.0

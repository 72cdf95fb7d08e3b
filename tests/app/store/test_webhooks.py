"""The outbox: what ends is announced in the same transaction, and sent by one at a time; on both databases."""

import threading

import pytest
from sqlalchemy import select, update

from app.states import DeliveryState, WorkState
from app.store import webhooks, work
from app.store.clock import now_plus
from app.store.datasets import add_dataset
from app.store.jobs import Origin
from app.store.records import DatasetRecord, DeliveryRecord, WebhookRecord
from app.store.webhooks import Outcome

SECRETS = ("whsec_AAAA", "whsec_BBBB", "whsec_CCCC")
FAILURE = {"code": "corrupt_image", "message": "...", "field": None}


@pytest.fixture
def session(database):
    with database.writing() as opened:
        yield opened
        opened.commit()


def add_webhook(session, *events, owner="ann"):
    hook = webhooks.add_webhook(session, owner=owner, url="https://a.b/", secret=SECRETS[0], events=list(events))
    session.commit()
    return hook


def add_work(session, name, owner="ann"):
    record = add_dataset(session, Origin(owner), name=name, request={})
    session.commit()
    return record.id


def end(session, work_id, state, **values):
    held = work.claim(session, DatasetRecord, work_id, lease_seconds=60)
    assert work.finish(session, held, state, **values)
    session.commit()


def announced(session, hook):
    found = session.scalars(select(DeliveryRecord).where(DeliveryRecord.webhook_id == hook.id))
    return sorted((message.event, message.payload["data"]["name"]) for message in found)


def take(session, *, busy=(), limit=100, limit_each=100, lease_seconds=60.0):
    taken = webhooks.claim_due(session, busy=busy, limit=limit, limit_each=limit_each, lease_seconds=lease_seconds)
    session.commit()
    return taken


def read(session, message):
    session.expire_all()
    return session.get(DeliveryRecord, message.id)


def test_every_end_is_told_to_those_who_want_it(session):
    everything, failures = add_webhook(session, "*"), add_webhook(session, "job.*", "dataset.failed")
    jobs_only, somebody_else = add_webhook(session, "job.failed"), add_webhook(session, "*", owner="bob")
    off = add_webhook(session, "*")
    webhooks.switch_off(session, off.id)
    end(session, add_work(session, "good"), WorkState.SUCCEEDED)
    end(session, add_work(session, "bad"), WorkState.FAILED, error=FAILURE)
    assert work.cancel(session, DatasetRecord, add_work(session, "unwanted"))
    lost = add_work(session, "lost")
    work.claim(session, DatasetRecord, lost, lease_seconds=-1)
    work.give_up(session, DatasetRecord, max_attempts=1, error=FAILURE)
    session.commit()
    assert announced(session, failures) == [("dataset.failed", "bad"), ("dataset.failed", "lost")]
    assert announced(session, everything) == sorted(
        [*announced(session, failures), ("dataset.succeeded", "good"), ("dataset.cancelled", "unwanted")]
    )
    assert [announced(session, hook) for hook in (jobs_only, somebody_else, off)] == [[], [], []]


def test_what_has_not_ended_is_not_told(session):
    hook = add_webhook(session, "*")
    work_id = add_work(session, "digits")
    held = work.claim(session, DatasetRecord, work_id, lease_seconds=60)
    assert work.cancel(session, DatasetRecord, work_id)
    session.commit()
    assert announced(session, hook) == []
    assert work.finish(session, held, WorkState.CANCELLED)
    assert not work.finish(session, held, WorkState.SUCCEEDED)
    session.commit()
    assert announced(session, hook) == [("dataset.cancelled", "digits")]


def test_an_end_that_is_taken_back_was_never_told(session):
    hook = add_webhook(session, "*")
    work_id = add_work(session, "digits")
    held = work.claim(session, DatasetRecord, work_id, lease_seconds=60)
    session.commit()
    work.finish(session, held, WorkState.SUCCEEDED)
    session.rollback()
    assert announced(session, hook) == []


def test_a_message_says_what_has_ended_and_not_more(session):
    add_webhook(session, "*")
    work_id = add_work(session, "digits")
    end(session, work_id, WorkState.FAILED, error=FAILURE, result={"classes": ["a" * 100]})
    [message] = take(session)
    finished_at = session.get(DatasetRecord, work_id).finished_at
    assert message.payload == {
        "type": "dataset.failed",
        "timestamp": finished_at.isoformat(),
        "data": {
            "id": str(work_id),
            "kind": "dataset",
            "state": "failed",
            "name": "digits",
            "error": FAILURE,
            "url": f"/datasets/{work_id}",
        },
    }


def test_a_message_is_sent_by_one(database, session):
    hook = add_webhook(session, "*")
    for number in range(40):
        webhooks.add_delivery(session, hook, "ping", hook.id, at="", data={"number": number})
    session.commit()
    taken = []

    def send():
        with database.writing() as own:
            while due := take(own, limit=3):
                taken.extend(message.id for message in due)

    senders = [threading.Thread(target=send) for _ in range(4)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert (len(taken), len(set(taken))) == (40, 40)
    assert not webhooks.any_due(session)


def test_what_a_dead_sender_took_is_sent_by_the_next(session):
    hook = add_webhook(session, "*")
    webhooks.add_delivery(session, hook, "ping", hook.id, at="", data={})
    session.commit()
    [first] = take(session, lease_seconds=-1)
    assert webhooks.any_due(session)
    [second] = take(session)
    assert (second.id, second.attempt) == (first.id, 2)
    # The first one was only slow: what it has to say comes too late.
    webhooks.settle(session, first, Outcome(delivered=False, error="slow", retry_seconds=5))
    assert read(session, first).error is None
    webhooks.settle(session, second, Outcome(delivered=True, status_code=204))
    found = read(session, first)
    assert (found.state, found.status_code, found.n_attempts) == (DeliveryState.DELIVERED, 204, 2)
    assert not webhooks.any_due(session)


def test_a_webhook_that_hangs_leaves_senders_to_others(session):
    slow, quick = add_webhook(session, "*"), add_webhook(session, "*", owner="bob")
    for hook in [slow] * 20 + [quick]:
        webhooks.add_delivery(session, hook, "ping", hook.id, at="", data={})
    session.commit()
    taken = take(session, limit_each=3)
    assert [message.webhook_id for message in taken].count(slow.id) == 3
    assert quick.id in {message.webhook_id for message in taken}
    assert take(session, busy={slow.id}) == []


def test_a_failed_message_waits_and_is_given_up_in_the_end(session):
    hook = add_webhook(session, "*")
    webhooks.add_delivery(session, hook, "ping", hook.id, at="", data={})
    session.commit()
    [message] = take(session)
    webhooks.settle(session, message, Outcome(delivered=False, status_code=500, error="x" * 999, retry_seconds=60))
    found = read(session, message)
    assert (found.state, found.status_code, len(found.error)) == (DeliveryState.PENDING, 500, webhooks.MAX_ERROR)
    assert take(session) == []
    session.execute(update(DeliveryRecord).values(next_attempt_at=now_plus()))
    [again] = take(session)
    webhooks.settle(session, again, Outcome(delivered=False, error="no answer"))
    found = read(session, message)
    assert (found.state, found.status_code, found.error) == (DeliveryState.FAILED, None, "no answer")
    webhooks.send_again(session, message.id)
    assert take(session)[0].attempt == 1


def test_switching_off_gives_up_what_waits(session):
    hook = add_webhook(session, "*")
    for _ in range(2):
        webhooks.add_delivery(session, hook, "ping", hook.id, at="", data={})
    session.commit()
    [first] = take(session, limit=1)
    webhooks.settle(session, first, Outcome(delivered=False, status_code=410, gone=True))
    states = {found.state for found in webhooks.list_deliveries(session, hook.id, before=None, limit=9)}
    assert states == {DeliveryState.FAILED}
    session.expire_all()
    assert not session.get(WebhookRecord, hook.id).enabled
    # A message that was being announced at that moment is not sent either.
    webhooks.add_delivery(session, hook, "ping", hook.id, at="", data={})
    assert [message.enabled for message in take(session)] == [False]


def test_a_secret_that_was_replaced_signs_for_a_while(session):
    hook = add_webhook(session, "*")
    for grace_seconds, expected in ((60, (SECRETS[1], SECRETS[0])), (-1, (SECRETS[2],))):
        webhooks.replace_secret(session, hook, expected[0], grace_seconds=grace_seconds)
        webhooks.add_delivery(session, hook, "ping", hook.id, at="", data={})
        session.commit()
        assert [message.secrets for message in take(session)] == [expected]


def test_a_webhook_goes_with_its_deliveries_even_while_work_ends(database, session):
    hook = add_webhook(session, "*")
    work_id = add_work(session, "digits")
    held = work.claim(session, DatasetRecord, work_id, lease_seconds=60)
    session.commit()
    work.finish(session, held, WorkState.SUCCEEDED)

    def remove():
        with database.writing() as own:
            webhooks.remove_webhook(own, hook.id)
            own.commit()

    removing = threading.Thread(target=remove)
    removing.start()
    session.commit()
    removing.join()
    session.expire_all()
    assert session.get(DatasetRecord, work_id).state == WorkState.SUCCEEDED
    assert session.scalars(select(DeliveryRecord)).all() == []

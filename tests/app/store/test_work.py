"""Claims, leases and fences, on both databases."""

import datetime as dt
import threading
import time
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from app.states import EventKind, WorkState
from app.store import work
from app.store.datasets import add_dataset, find_dataset
from app.store.events import News, read_page
from app.store.jobs import Origin
from app.store.records import DatasetRecord, EventRecord
from app.store.work import Waiting

ORIGIN = Origin("local")

LONG = 60.0


@pytest.fixture
def dataset_id(database):
    with database.writing() as session:
        record = add_dataset(session, ORIGIN, name="digits", request={"format": "builtin"})
        session.commit()
        return record.id


def claim(database, work_id, lease_seconds=LONG):
    with database.writing() as session:
        held = work.claim(session, DatasetRecord, work_id, lease_seconds=lease_seconds)
        session.commit()
        return held


def read(database, work_id):
    with database.reading() as session:
        return session.get(DatasetRecord, work_id)


def renew(database, held, progress=0.5):
    with database.writing() as session:
        answer = work.renew(session, held, lease_seconds=LONG, phase="reading", progress=progress)
        session.commit()
        return answer


def finish(database, held, state=WorkState.SUCCEEDED, **values):
    with database.writing() as session:
        ended = work.finish(session, held, state, **values)
        session.commit()
        return ended


def cancel(database, work_id):
    with database.writing() as session:
        answer = work.cancel(session, DatasetRecord, work_id)
        session.commit()
        return answer


def test_a_second_claim_finds_nothing_to_take(database, dataset_id):
    assert claim(database, dataset_id).attempt == 1
    assert claim(database, dataset_id) is None


def test_of_many_simultaneous_claims_exactly_one_wins(database, dataset_id):
    gate, claims = threading.Barrier(8), []

    def compete():
        gate.wait()
        claims.append(claim(database, dataset_id))

    threads = [threading.Thread(target=compete) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(held is not None for held in claims) == 1


def test_an_expired_lease_is_taken_over_and_fences_the_first_worker(database, dataset_id):
    first = claim(database, dataset_id, lease_seconds=0.01)
    time.sleep(0.05)
    second = claim(database, dataset_id)
    assert (first.attempt, second.attempt) == (1, 2)
    assert renew(database, first) is None
    assert not finish(database, first, result={"from": "first"})
    assert finish(database, second, result={"from": "second"})
    assert read(database, dataset_id).result == {"from": "second"}


def test_a_running_lease_is_not_released_and_an_expired_one_is(database, dataset_id):
    held = claim(database, dataset_id)
    with database.writing() as session:
        assert work.release_expired(session, DatasetRecord) == []
    assert finish(database, held)
    with database.writing() as session:
        other = add_dataset(session, ORIGIN, name="other", request={})
        session.commit()
    claim(database, other.id, lease_seconds=0.01)
    time.sleep(0.05)
    with database.writing() as session:
        assert work.release_expired(session, DatasetRecord) == [Waiting(other.id, 5)]
        session.commit()
    assert read(database, other.id).state == WorkState.QUEUED


def test_renewing_reports_progress_and_moves_the_lease(database, dataset_id):
    held = claim(database, dataset_id, lease_seconds=1.0)
    before = read(database, dataset_id)
    assert renew(database, held, progress=0.25) is False
    after = read(database, dataset_id)
    assert (after.phase, after.progress) == ("reading", 0.25)
    assert after.lease_expires_at > before.lease_expires_at


def test_nothing_leaves_a_terminal_state(database, dataset_id):
    held = claim(database, dataset_id)
    assert finish(database, held, WorkState.FAILED, error={"code": "x"})
    assert claim(database, dataset_id) is None
    assert renew(database, held) is None
    assert not finish(database, held)
    assert not cancel(database, dataset_id)
    assert read(database, dataset_id).state == WorkState.FAILED


def test_cancelling_queued_work_ends_it(database, dataset_id):
    assert cancel(database, dataset_id)
    record = read(database, dataset_id)
    assert record.state == WorkState.CANCELLED
    assert record.finished_at is not None
    assert claim(database, dataset_id) is None


def test_cancelling_running_work_asks_its_worker(database, dataset_id):
    held = claim(database, dataset_id)
    assert cancel(database, dataset_id)
    assert read(database, dataset_id).state == WorkState.RUNNING
    assert renew(database, held) is True


def test_only_old_messages_are_sent_again(database, dataset_id):
    def stale(limit=10):
        with database.writing() as session:
            found = work.touch_stale(session, DatasetRecord, older_than=LONG, limit=limit)
            session.commit()
            return found

    assert stale() == []
    with database.writing() as session:
        session.get(DatasetRecord, dataset_id).enqueued_at -= dt.timedelta(seconds=2 * LONG)
        session.commit()
    assert stale(limit=0) == []
    assert stale() == [Waiting(dataset_id, 5)]
    assert stale() == []


def test_moments_are_aware_and_ordered(database, dataset_id):
    claim(database, dataset_id)
    record = read(database, dataset_id)
    assert record.created_at.utcoffset().total_seconds() == 0
    assert record.created_at <= record.started_at < record.lease_expires_at
    assert abs((record.lease_expires_at - record.started_at).total_seconds() - LONG) < 1.0


def test_a_name_is_given_once(database, dataset_id):
    with database.writing() as session:
        assert add_dataset(session, ORIGIN, name="digits", request={}) is None
        assert add_dataset(session, ORIGIN, name="other", request={}) is not None
        session.commit()


def test_work_that_costs_worker_after_worker_fails_in_the_end(database, dataset_id):
    error = {"code": "worker_lost", "message": "lost"}

    def give_up():
        with database.writing() as session:
            work.give_up(session, DatasetRecord, max_attempts=2, error=error)
            session.commit()
        return read(database, dataset_id).state

    claim(database, dataset_id, lease_seconds=0.01)
    time.sleep(0.05)
    assert give_up() == WorkState.RUNNING
    claim(database, dataset_id, lease_seconds=LONG)
    assert give_up() == WorkState.RUNNING
    with database.writing() as session:
        session.get(DatasetRecord, dataset_id).lease_expires_at = read(database, dataset_id).created_at
        session.commit()
    assert give_up() == WorkState.FAILED
    assert read(database, dataset_id).error == error


def test_success_is_all_of_the_work(database, dataset_id):
    finish(database, claim(database, dataset_id))
    assert read(database, dataset_id).progress == 1.0


def test_a_dataset_that_failed_gives_its_name_away_and_writes_nothing_more(database, dataset_id):
    late = claim(database, dataset_id, lease_seconds=0.01)
    time.sleep(0.05)
    with database.writing() as session:
        work.give_up(session, DatasetRecord, max_attempts=1, error={"code": "x"})
        again = add_dataset(session, ORIGIN, name="digits", request={"format": "npz"})
        session.commit()
    assert again.id != dataset_id
    assert claim(database, again.id).attempt == 1
    assert not finish(database, late, result={"from": "late"})
    assert read(database, dataset_id) is None
    assert read(database, again.id).result is None


def test_cancelled_work_of_a_lost_worker_does_not_begin_again(database, dataset_id):
    claim(database, dataset_id, lease_seconds=0.01)
    assert cancel(database, dataset_id)
    time.sleep(0.05)
    with database.writing() as session:
        work.give_up(session, DatasetRecord, max_attempts=5, error={})
        assert work.release_expired(session, DatasetRecord) == []
        session.commit()
    assert read(database, dataset_id).state == WorkState.CANCELLED


def test_a_name_cannot_shadow_an_id(database, dataset_id):
    with database.writing() as session:
        add_dataset(session, ORIGIN, name=str(dataset_id), request={})
        session.commit()
        assert find_dataset(session, "local", str(dataset_id)).id == dataset_id


def change(database, function, *arguments, **named):
    with database.writing() as session:
        answer = function(session, *arguments, **named)
        session.commit()
        return answer


def events_of(database, work_id, after=0, limit=1000):
    with database.reading() as session:
        return read_page(session, DatasetRecord, work_id, after=after, limit=limit)


def retry(database, work_id):
    return change(database, work.retry, DatasetRecord, work_id)


@pytest.mark.parametrize("state", [WorkState.FAILED, WorkState.CANCELLED])
def test_what_did_not_end_well_begins_again_as_if_new(database, dataset_id, state):
    finish(database, claim(database, dataset_id), state, error={"code": "x"}, timings={"reading": 1.0}, phase="reading")
    assert retry(database, dataset_id)
    record = read(database, dataset_id)
    assert (record.state, record.attempt, record.forgiven) == (WorkState.QUEUED, 1, 1)
    assert (record.error, record.timings, record.phase, record.finished_at) == (None, None, None, None)
    assert claim(database, dataset_id).attempt == 2


def test_only_what_did_not_end_well_begins_again(database, dataset_id):
    assert not retry(database, dataset_id)
    held = claim(database, dataset_id)
    assert not retry(database, dataset_id)
    finish(database, held)
    assert not retry(database, dataset_id)


def test_after_a_retry_the_former_worker_writes_nothing(database, dataset_id):
    first = claim(database, dataset_id, lease_seconds=0.01)
    time.sleep(0.05)
    change(database, work.give_up, DatasetRecord, max_attempts=1, error={"code": "x"})
    assert retry(database, dataset_id)
    assert renew(database, first) is None
    assert not finish(database, first)


def test_attempts_that_are_forgiven_do_not_count(database, dataset_id):
    for _ in range(3):
        assert change(database, work.hand_over, claim(database, dataset_id), forgive=True)
    claim(database, dataset_id, lease_seconds=0.01)
    time.sleep(0.05)
    change(database, work.give_up, DatasetRecord, max_attempts=2, error={"code": "x"})
    assert read(database, dataset_id).state == WorkState.RUNNING
    change(database, work.give_up, DatasetRecord, max_attempts=1, error={"code": "x"})
    assert read(database, dataset_id).state == WorkState.FAILED


def test_what_is_handed_over_after_a_cancel_is_cancelled(database, dataset_id):
    held = claim(database, dataset_id)
    cancel(database, dataset_id)
    assert change(database, work.hand_over, held, forgive=True)
    record = read(database, dataset_id)
    assert record.state == WorkState.CANCELLED
    assert record.finished_at is not None


def test_cancelling_again_tells_nothing_new(database, dataset_id):
    claim(database, dataset_id)
    assert cancel(database, dataset_id)
    told = events_of(database, dataset_id)
    assert cancel(database, dataset_id)
    assert events_of(database, dataset_id) == told
    assert told.events[-1].body == {"state": "running", "cancel_requested": True}


STEPS = ("claim", "renew", "finish", "hand over", "cancel", "retry", "give up", "release")


def do_step(database, dataset_id, step, held, *, n_news, lease_seconds):
    """One of the things that can happen, at whatever moment."""
    news = [News(EventKind.LOG, {"message": str(number)}) for number in range(n_news)]
    told = {"lease_seconds": lease_seconds, "phase": "reading", "progress": 0.1, "news": news}
    match step:
        case "renew" if held:
            change(database, work.renew, held, **told)
        case "finish" if held:
            change(database, work.finish, held, WorkState.FAILED, news=news, error={"code": "x"})
        case "hand over" if held:
            change(database, work.hand_over, held, news=news, forgive=n_news > 1)
        case "cancel":
            cancel(database, dataset_id)
        case "retry":
            retry(database, dataset_id)
        case "give up":
            change(database, work.give_up, DatasetRecord, max_attempts=4, error={"code": "x"})
        case "release":
            change(database, work.release_expired, DatasetRecord)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_happens_events_have_no_gap_and_no_double_and_end_with_the_state(database, data):
    with database.writing() as session:
        name = f"d{uuid4().hex}"
        dataset_id = add_dataset(session, ORIGIN, name=name, request={}).id
        session.commit()
    claims = []
    for step in data.draw(st.lists(st.sampled_from(STEPS), min_size=10, max_size=30)):
        lease_seconds = data.draw(st.sampled_from([0.0, LONG]))
        if step == "claim":
            taken = claim(database, dataset_id, lease_seconds=lease_seconds)
            claims += [taken] if taken else []
        else:
            held = data.draw(st.sampled_from(claims)) if claims else None
            do_step(database, dataset_id, step, held, n_news=data.draw(st.integers(0, 3)), lease_seconds=lease_seconds)
    page, record = events_of(database, dataset_id), read(database, dataset_id)
    assert [event.number for event in page.events] == list(range(1, record.last_event + 1))
    states = [event for event in page.events if event.kind is EventKind.STATE]
    assert states[-1].body["state"] == record.state
    assert page.is_last == (record.finished_at is not None) == WorkState(record.state).is_terminal
    assert [event.attempt for event in page.events] == sorted(event.attempt for event in page.events)
    # Read page by page they are the same.
    after, pieces = 0, []
    while (piece := events_of(database, dataset_id, after=after, limit=3)).events:
        pieces += piece.events
        after = piece.end
    assert tuple(pieces) == page.events


def test_the_end_is_told_when_events_have_gone_with_age(database, dataset_id):
    finish(database, claim(database, dataset_id), WorkState.FAILED, error={"code": "x"})
    whole = events_of(database, dataset_id)
    with database.writing() as session:
        session.execute(delete(EventRecord))
        session.commit()
    left = events_of(database, dataset_id)
    assert [(event.number, event.body) for event in left.events] == [
        (event.number, event.body) for event in (whole.events[0], whole.events[-1])
    ]
    assert left.is_last

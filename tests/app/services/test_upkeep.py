"""Chores, on both databases: what is old goes, and what nothing refers to, but not what is about to be recorded."""

import threading
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update
from uuid6 import uuid7

from app.services import upkeep
from app.services.upkeep import Premises, collect_orphans, keep_up
from app.settings import Settings
from app.states import EventKind, WorkState
from app.store import upkeep as stored
from app.store import webhooks, work
from app.store.blobs import open_blobs
from app.store.clock import now_plus
from app.store.datasets import add_dataset
from app.store.events import News
from app.store.idempotency import take_key
from app.store.jobs import Origin, add_selection
from app.store.records import (
    ChoreRecord,
    DatasetArtifactRecord,
    DatasetRecord,
    DeliveryRecord,
    EventRecord,
    IdempotencyRecord,
    SelectionArtifactRecord,
    SelectionRecord,
    UploadRecord,
)
from app.store.uploads import add_upload, remove_upload

DAY = 24 * 3600.0
ORIGIN = Origin("ann")
STEPS = ("put", "put", "record", "lose", "claim", "fail", "retry")


@pytest.fixture
def premises(database, tmp_path):
    # Whatever is a moment old is old enough: what is kept is kept for a better reason than its age.
    return Premises(
        database,
        open_blobs((tmp_path / "blobs").as_uri()),
        Settings(data_dir=tmp_path, orphan_seconds=1e-6),
        threading.Event(),
    )


@pytest.fixture
def target(database):
    with database.writing() as session:
        dataset = add_dataset(session, ORIGIN, name="digits", request={})
        session.commit()
        return dataset


def submit(database, target):
    with database.writing() as session:
        record = add_selection(session, ORIGIN, target=session.merge(target, load=False), source=None, request={})
        session.commit()
        return record.id


def claim(database, work_id, lease_seconds=60.0):
    with database.writing() as session:
        held = work.claim(session, SelectionRecord, work_id, lease_seconds=lease_seconds)
        session.commit()
        return held


def put(premises, work_id, name):
    key = f"selections/{work_id}/{name}"
    premises.blobs.put(key, b"content")
    return key


def record(database, held, *keys, state=WorkState.SUCCEEDED):
    """End the work and record its files, as a worker does; False where the claim no longer holds."""
    with database.writing() as session:
        ended = work.finish(session, held, state)
        if ended:
            told = {"size": 7, "sha256": "0" * 64, "media_type": "text/csv"}
            session.add_all(
                SelectionArtifactRecord(selection_id=held.id, name=key.rpartition("/")[2], key=key, **told)
                for key in keys
            )
        session.commit()
        return ended


def keys_in(premises):
    return sorted(found.key for found in premises.blobs.list_below(""))


def test_what_nothing_refers_to_goes_and_all_else_stays(premises, target):
    ended, failed = submit(premises.database, target), submit(premises.database, target)
    kept = put(premises, ended, "manifest.csv")
    put(premises, ended, "of an attempt that lost its lease")
    record(premises.database, claim(premises.database, ended), kept)
    put(premises, failed, "of an attempt that failed")
    record(premises.database, claim(premises.database, failed), state=WorkState.FAILED)
    put(premises, uuid7(), "of work that was deleted")
    others = ["backup/database.dump", "selections/notes.txt", f"selections/{UUID(int=5).hex}/x", f"jobs/{uuid7()}"]
    for key in others:
        premises.blobs.put(key, b"not ours")
    assert collect_orphans(premises) == 3
    assert keys_in(premises) == sorted([kept, *others])
    assert collect_orphans(premises) == 0


def test_what_a_slow_attempt_is_about_to_record_stays(premises, target):
    work_id = submit(premises.database, target)
    key = put(premises, work_id, "left by an attempt before it was queued again")
    assert collect_orphans(premises) == 0
    held = claim(premises.database, work_id)
    keys = [key, put(premises, work_id, "manifest.csv")]
    assert collect_orphans(premises) == 0
    assert record(premises.database, held, *keys)
    assert collect_orphans(premises) == 0
    assert keys_in(premises) == sorted(keys)


def test_an_attempt_that_lost_its_lease_may_store_what_it_likes(premises, target):
    work_id = submit(premises.database, target)
    slow = claim(premises.database, work_id, lease_seconds=-1)
    key = put(premises, work_id, "manifest.csv")
    assert record(premises.database, claim(premises.database, work_id), key)
    late = [put(premises, work_id, "manifest.csv"), put(premises, work_id, "other.csv")]
    assert not record(premises.database, slow, *late)
    assert collect_orphans(premises) == 1
    assert keys_in(premises) == [key]


def test_a_retry_waits_until_the_blobs_of_the_end_before_are_gone(premises, target):
    """Else the second run could store a blob and record it between the look and the deletion."""
    work_id = submit(premises.database, target)
    key = put(premises, work_id, "manifest.csv")
    assert record(premises.database, claim(premises.database, work_id), state=WorkState.FAILED)
    done = []

    def run_again():
        with premises.database.writing() as session:
            assert work.retry(session, SelectionRecord, work_id)
            session.commit()
        held = claim(premises.database, work_id)
        put(premises, work_id, "manifest.csv")
        done.append(record(premises.database, held, key))

    running = threading.Thread(target=run_again)
    with premises.database.writing() as session:
        garbage = stored.hold_garbage(session, [key])
        running.start()
        # However long the deletion takes, nothing is begun meanwhile.
        running.join(0.2)
        assert done == []
        premises.blobs.delete(sorted(garbage))
        session.commit()
    running.join(30)
    assert (garbage, done) == ({key}, [True])
    assert collect_orphans(premises) == 0
    assert keys_in(premises) == [key]


def test_blobs_of_an_upload_go_when_the_upload_has(premises):
    with premises.database.writing() as session:
        columns = {"owner": "ann", "filename": "a.zip", "size": 9, "part_size": 3}
        upload = add_upload(session, lasts=upkeep.timedelta(hours=1), **columns)
        session.commit()
        for number in (1, 2):
            premises.blobs.put(f"uploads/{upload.id}/{number}", b"abc")
        assert collect_orphans(premises) == 0
        assert remove_upload(session, upload.id)
        session.commit()
    assert collect_orphans(premises) == 2
    assert keys_in(premises) == []


def test_young_blobs_and_unfinished_files_stay(premises, tmp_path):
    put(premises, uuid7(), "of work that was deleted")
    unfinished = tmp_path / "blobs" / "selections" / "manifest.csv#1"
    unfinished.write_bytes(b"half")
    patient = Premises(premises.database, premises.blobs, Settings(orphan_seconds=3600), premises.stop)
    assert collect_orphans(patient) == 0
    assert unfinished.exists()
    assert collect_orphans(premises) == 2
    assert [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == []


def test_a_long_list_is_worked_off(premises, monkeypatch):
    monkeypatch.setattr(upkeep, "KEYS_AT_ONCE", 20)
    monkeypatch.setattr(upkeep, "HELD_AT_ONCE", 7)
    for _ in range(90):
        put(premises, uuid7(), "of work that was deleted")
    premises.stop.set()
    assert collect_orphans(premises) == 0
    premises.stop.clear()
    assert collect_orphans(premises) == 90
    assert keys_in(premises) == []


def test_files_of_datasets_are_looked_after_too(premises, target):
    kept, lost, gone = (f"datasets/{place}" for place in (f"{target.id}/a", f"{target.id}/b", f"{uuid7()}/c"))
    for key in (kept, lost, gone):
        premises.blobs.put(key, b"content")
    # While the inspection runs it may be about to record what it has stored.
    assert collect_orphans(premises) == 1
    assert keys_in(premises) == [kept, lost]
    with premises.database.writing() as session:
        held = work.claim(session, DatasetRecord, target.id, lease_seconds=60)
        assert work.finish(session, held, WorkState.SUCCEEDED)
        told = {"name": "a", "key": kept, "size": 7, "sha256": "0" * 64, "media_type": "image/webp"}
        session.add(DatasetArtifactRecord(dataset_id=target.id, **told))
        session.commit()
    assert collect_orphans(premises) == 1
    assert keys_in(premises) == [kept]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(STEPS), min_size=2, max_size=9))
def test_whatever_happens_what_is_recorded_is_there(premises, target, steps):
    """After any history, with a collection after every step of it, each artifact row has its blob."""
    work_id = submit(premises.database, target)
    held, stored_keys = [claim(premises.database, work_id)], []
    for number, step in enumerate(steps):
        if step == "claim":
            found = claim(premises.database, work_id)
            held += [found] if found else []
        elif step == "lose":
            with premises.database.writing() as session:
                session.execute(update(SelectionRecord).values(lease_expires_at=now_plus(-1)))
                session.commit()
        elif step == "put":
            stored_keys.append(put(premises, work_id, str(number)))
        elif step == "retry":
            with premises.database.writing() as session:
                work.retry(session, SelectionRecord, work_id)
                session.commit()
            # What the next attempt records it stores itself.
            stored_keys.clear()
        elif step in {"record", "fail"}:
            state = WorkState.SUCCEEDED if step == "record" else WorkState.FAILED
            record(premises.database, held[-1], *(stored_keys if step == "record" else ()), state=state)
        collect_orphans(premises)
    with premises.database.reading() as session:
        recorded = set(session.scalars(select(SelectionArtifactRecord.key)))
    assert recorded <= set(keys_in(premises))


def test_what_is_old_is_forgotten(premises, target):
    with premises.database.writing() as session:
        hook = webhooks.add_webhook(session, owner="ann", url="https://a.b/", secret="whsec_AAAA", events=["*"])  # noqa: S106
        for number in range(3):
            webhooks.add_delivery(session, hook, "ping", hook.id, at="", data={"n": number})
            take_key(session, "ann", f"key {number}", "0" * 64, hook.id)
        session.commit()
        held = work.claim(session, SelectionRecord, submit_in(session, target), lease_seconds=60)
        news = [News(EventKind.LOG, {"line": str(number)}) for number in range(5)]
        work.renew(session, held, lease_seconds=60, phase=None, progress=0, news=news)
        session.commit()
        age(session, EventRecord.at, EventRecord.number.in_([2, 4]), 31 * DAY)
        age(session, IdempotencyRecord.created_at, IdempotencyRecord.key == "key 1", 1.1 * DAY)
        age(session, DeliveryRecord.created_at, DeliveryRecord.id.is_not(None), 31 * DAY)
        over = session.scalars(select(DeliveryRecord)).first()
        over.next_attempt_at = None
        session.commit()
    assert keep_up(premises) == {"uploads": 0, "requests": 1, "events": 2, "deliveries": 1, "orphans": 0}
    with premises.database.reading() as session:
        assert sorted(session.scalars(select(EventRecord.number))) == [3, 5, 6, 7]
        assert sorted(session.scalars(select(IdempotencyRecord.key))) == ["key 0", "key 2"]
        left = session.scalars(select(DeliveryRecord)).all()
        assert (len(left), over.id in {message.id for message in left}) == (2, False)


def submit_in(session, target):
    made = add_selection(session, ORIGIN, target=session.merge(target, load=False), source=None, request={})
    session.commit()
    return made.id


def age(session, column, which, seconds):
    session.execute(update(column.class_).where(which).values({column.key: now_plus(-seconds)}))


def test_a_chore_is_done_once_when_it_is_due(premises):
    everybody = [Premises(premises.database, premises.blobs, Settings(), premises.stop) for _ in range(4)]
    done = []
    threads = [threading.Thread(target=lambda each=each: done.extend(keep_up(each))) for each in everybody]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = [chore.name for chore in upkeep.chores(Settings())]
    assert sorted(done) == sorted(names)
    assert keep_up(everybody[0]) == {}
    with premises.database.writing() as session:
        session.execute(update(ChoreRecord).where(ChoreRecord.name == "events").values(due_at=now_plus(-1)))
        session.commit()
    assert keep_up(everybody[0]) == {"events": 0}


def test_a_chore_that_fails_keeps_no_other_from_being_done(premises, monkeypatch, caplog):
    def fail(_session, **_):
        raise RuntimeError("out of order")

    monkeypatch.setattr(stored, "forget_events", fail)
    assert set(keep_up(premises)) == {"uploads", "requests", "deliveries", "orphans"}
    assert "out of order" in caplog.text


def test_uploads_that_were_abandoned_go(premises):
    with premises.database.writing() as session:
        columns = {"owner": "ann", "filename": "a.zip", "size": 9, "part_size": 3}
        for hours in (-1, 1):
            upload = add_upload(session, lasts=upkeep.timedelta(hours=hours), **columns)
            premises.blobs.put(f"uploads/{upload.id}/1", b"abc")
        session.commit()
    assert keep_up(premises)["uploads"] == 1
    assert keys_in(premises) == [f"uploads/{upload.id}/1"]
    with premises.database.reading() as session:
        assert list(session.scalars(select(UploadRecord.id))) == [upload.id]

"""The rules of uploads, on both databases."""

import datetime as dt
import threading

import pytest

from app.store import uploads
from app.store.datasets import add_dataset
from app.store.jobs import Origin
from app.store.records import UploadPartRecord

DAY = dt.timedelta(days=1)
PAST = dt.timedelta(days=-1)
SHA256 = "0" * 64


@pytest.fixture
def begin(database):
    def add(owner="local", lasts=DAY, size=25):
        with database.writing() as session:
            columns = {"filename": "a.zip", "size": size, "part_size": 10, "sha256": None}
            record = uploads.add_upload(session, lasts=lasts, owner=owner, **columns)
            session.commit()
            return record.id

    return add


def part(upload_id, number, key):
    return UploadPartRecord(upload_id=upload_id, number=number, key=key, size=10, sha256=SHA256)


def test_parts_divide_the_size(database, begin):
    ids = begin(size=25), begin(size=20)
    with database.reading() as session:
        ragged, even = (uploads.get_upload(session, upload_id) for upload_id in ids)
    assert [ragged.size_of_part(number + 1) for number in range(ragged.n_parts)] == [10, 10, 5]
    assert [even.size_of_part(number + 1) for number in range(even.n_parts)] == [10, 10]


def test_an_upload_is_its_owners(database, begin):
    upload_id = begin("somebody")
    with database.reading() as session:
        assert uploads.find_upload(session, "local", upload_id) is None
        assert uploads.find_upload(session, "somebody", upload_id).id == upload_id


def test_a_part_that_comes_again_replaces_the_first(database, begin):
    upload_id = begin()
    with database.writing() as session:
        assert uploads.touch_unfinished(session, upload_id, lasts=DAY)
        assert uploads.put_part(session, part(upload_id, 2, "first")) is None
        assert uploads.put_part(session, part(upload_id, 2, "second")) == "first"
        assert uploads.withdraw_part(session, upload_id, 3) is None
        session.commit()
    with database.reading() as session:
        assert [found.key for found in uploads.get_upload(session, upload_id).parts] == ["second"]


def test_many_that_send_the_same_part_are_told_what_they_replace(database, begin):
    upload_id, replaced = begin(), []

    def put(key):
        with database.writing() as session:
            assert uploads.touch_unfinished(session, upload_id, lasts=DAY)
            replaced.append(uploads.put_part(session, part(upload_id, 1, key)))
            session.commit()

    keys = [f"key-{number}" for number in range(6)]
    threads = [threading.Thread(target=put, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.reading() as session:
        (left,) = uploads.get_upload(session, upload_id).parts
    assert sorted([*filter(None, replaced), left.key]) == keys


def test_what_is_complete_changes_no_more(database, begin):
    upload_id = begin()
    with database.writing() as session:
        assert not uploads.touch_complete(session, upload_id, lasts=DAY)
        assert uploads.put_part(session, part(upload_id, 1, "noted")) is None
        record = uploads.find_upload(session, "local", upload_id)
        listed = [part(upload_id, number, f"listed-{number}") for number in (1, 2)]
        assert uploads.complete(session, record, listed)
        assert [found.key for found in record.parts] == ["noted", "listed-2"]
        session.commit()
    with database.writing() as session:
        record = uploads.find_upload(session, "local", upload_id)
        assert not uploads.complete(session, record, [])
        assert not uploads.touch_unfinished(session, upload_id, lasts=DAY)
        assert uploads.touch_complete(session, upload_id, lasts=DAY)


def test_a_checksum_is_written_down_once(database, begin):
    upload_id = begin()
    with database.writing() as session:
        uploads.name_content(session, upload_id, SHA256)
        uploads.name_content(session, upload_id, "1" * 64)
        session.commit()
        assert uploads.get_upload(session, upload_id).sha256 == SHA256


def test_what_nobody_uses_expires(database, begin):
    old, used, kept = begin(lasts=PAST), begin(lasts=PAST), begin()
    with database.writing() as session:
        uploads.put_part(session, part(old, 1, "old"))
        request = {"format": "zip"}
        assert add_dataset(session, Origin("local"), name="d", request=request, described={"upload_id": used})
        session.commit()
    with database.writing() as session:
        assert not uploads.remove_upload(session, used)
        assert uploads.remove_expired(session) == [old]
        assert uploads.remove_expired(session) == []
        session.commit()
    with database.reading() as session:
        assert uploads.get_upload(session, old) is None
        assert all(uploads.get_upload(session, upload_id) for upload_id in (used, kept))


def test_what_is_touched_at_that_moment_stays(database, begin):
    upload_id = begin(lasts=PAST)
    with database.writing() as session:
        assert uploads.touch_unfinished(session, upload_id, lasts=DAY)
        session.commit()
    with database.writing() as session:
        assert uploads.remove_expired(session) == []
        session.commit()
        assert uploads.remove_upload(session, upload_id)

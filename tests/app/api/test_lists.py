"""Lists over HTTP: pages, filters, and what is refused."""

import base64
import datetime as dt
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidCursorError
from app.services.cursors import read_cursor, write_cursor
from app.states import WorkState
from app.store.listing import Position
from app.store.records import JobRecord


@pytest.fixture
def jobs(client, register):
    """Five jobs, oldest first."""
    register("target")
    register("other")
    made = []
    for number in range(5):
        body = {"target": "target" if number else "other", "strategy": "uniform" if number % 2 else "coverage"}
        body |= {"name": f"trial {number}", "tags": ["odd" if number % 2 else "even", "all"]}
        reply = client.post("/jobs", json=body)
        assert reply.status_code == 202, reply.text
        made.append(reply.json()["id"])
    return made


def ids(reply):
    assert reply.status_code == 200, reply.text
    return [item["id"] for item in reply.json()["items"]]


def refused(reply):
    assert reply.status_code == 422, reply.text
    (error,) = reply.json()["errors"]
    return reply.json()["type"], error["field"]


def test_following_next_covers_a_list_once(client, jobs):
    for limit in (1, 2, 5, 200):
        seen, address = [], f"/jobs?limit={limit}&tag=all"
        while address:
            page = client.get(address)
            seen += ids(page)
            address = page.links["next"]["url"] if "next" in page.links else None
            assert (page.json()["next"] is None) == (address is None)
            assert address is None or "tag=all" in address
        assert seen == jobs[::-1]


def test_a_page_begins_where_the_one_before_ended_whatever_was_made_meanwhile(client, jobs):
    first = client.get("/jobs", params={"limit": 2}).json()
    assert client.post("/jobs", json={"target": "target", "strategy": "uniform"}).status_code == 202
    rest = client.get("/jobs", params={"cursor": first["next"]})
    assert [item["id"] for item in first["items"]] + ids(rest) == jobs[::-1]


CHOSEN = [
    ("sort=created", [0, 1, 2, 3, 4]),
    ("tag=odd", [3, 1]),
    ("tag=odd&tag=all", [3, 1]),
    ("tag=odd&tag=even", []),
    ("strategy=coverage", [4, 2, 0]),
    ("target=other", [0]),
    ("target=target&tag=even", [4, 2]),
    ("name=trial%203", [3]),
    ("name=trial", [4, 3, 2, 1, 0]),
    ("name=TRIAL", []),
    ("state=queued&state=failed", [4, 3, 2, 1, 0]),
    ("state=failed", []),
    ("sort=finished", []),
    ("created_after=2000-01-01T00:00:00Z&created_before=9000-01-01T00:00:00%2B02:00", [4, 3, 2, 1, 0]),
    ("created_before=2000-01-01T00:00:00Z", []),
]


def test_filters_and_sorts_choose_what_they_say(client, jobs):
    for asked, places in CHOSEN:
        assert ids(client.get(f"/jobs?{asked}")) == [jobs[place] for place in places], asked


def test_by_finished_comes_what_ended_first_or_last(client, jobs, finish):
    for place, state in ((3, WorkState.SUCCEEDED), (0, WorkState.FAILED), (2, WorkState.SUCCEEDED)):
        finish(JobRecord, UUID(jobs[place]), state)
    assert ids(client.get("/jobs?sort=finished")) == [jobs[place] for place in (3, 0, 2)]
    assert ids(client.get("/jobs?sort=-finished&state=succeeded")) == [jobs[place] for place in (2, 3)]


def test_the_other_lists_have_their_filters_too(client, register, jobs):
    both = client.post("/distances", json={"datasets": ["target", "other"]}).json()["id"]
    pair = client.post("/distances", json={"source": "target", "target": "target"}).json()["id"]
    assert ids(client.get("/distances?dataset=target")) == [pair, both]
    assert ids(client.get("/distances?dataset=other&state=queued")) == [both]
    chosen = client.post("/selections", json={"target": "target", "strategy": "uniform"}).json()["id"]
    assert ids(client.get("/selections?target=target")) == [chosen]
    assert ids(client.get("/selections?target=other")) == []
    assert [item["name"] for item in client.get("/datasets?name=o").json()["items"]] == ["other"]
    assert len(ids(client.get("/datasets?state=succeeded&sort=-finished"))) == 2


SENSELESS = [
    ("limit=0", "limit"),
    ("limit=201", "limit"),
    ("before=1", "before"),
    ("sort=name", "sort"),
    ("state=asleep", "state.0"),
    ("target=nothing", "target"),
    ("strategy=best", "strategy"),
    ("tag=", "tag.0"),
    ("tag=%00", "tag.0"),
    ("name=%00", "name"),
    ("created_after=yesterday", "created_after"),
    ("created_after=2025-01-01T00:00:00", "created_after"),
    ("created_after=0001-01-01T00:00:00%2B14:00", "created_after"),
    ("created_before=9999-12-31T23:59:59-14:00", "created_before"),
    ("cursor=" + "a" * 201, "cursor"),
]


def test_what_no_list_can_be_asked_for_names_its_parameter(client):
    for asked, field in SENSELESS:
        assert refused(client.get(f"/jobs?{asked}")) == ("invalid_request", field), asked


def test_a_cursor_that_is_none_of_ours_is_refused(client):
    for cursor in ("", "a", "=", "ä", "AAAA", str(UUID(int=7)), base64.b64encode(b"x" * 33).decode()):
        reply = client.get("/jobs", params={"cursor": cursor})
        assert refused(reply) == ("invalid_cursor", "cursor")
        assert "`next`" in reply.json()["detail"]


def test_a_cursor_of_another_list_is_refused(client, jobs):
    cursor = client.get("/jobs?limit=2").json()["next"]
    for other in ("/jobs?tag=odd&", "/jobs?sort=created&", "/jobs?state=queued&", "/selections?", "/datasets?"):
        assert refused(client.get(f"{other}cursor={cursor}")) == ("invalid_cursor", "cursor")
    assert ids(client.get(f"/jobs?limit=200&cursor={cursor}")) == jobs[2::-1]


moments = st.datetimes(timezones=st.just(dt.UTC))


@given(moment=moments, work_id=st.uuids(), query=st.text(), other=st.text())
def test_a_cursor_leads_back_to_its_position_and_to_nothing_else(moment, work_id, query, other):
    position = Position(moment, work_id)
    cursor = write_cursor(query, position)
    assert cursor.isascii()
    assert cursor.replace("-", "").replace("_", "").isalnum()
    assert read_cursor(query, cursor) == position
    if other != query:
        with pytest.raises(InvalidCursorError):
            read_cursor(other, cursor)


@given(cursor=st.text(max_size=60) | st.binary(max_size=40).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_whatever_is_sent_as_a_cursor_is_read_or_refused(cursor):
    with pytest.raises(InvalidCursorError):
        read_cursor("", cursor)

"""Keys from the command line: the operator's way on the database, and an owner's over HTTP."""

import re

import pytest
from starlette.testclient import TestClient

from app.main import create_app
from app.settings import read_settings
from app.store.sessions import open_database
from tests.loopback import serving

SECRET = re.compile(r"ot3l_[0-9A-Za-z]{43}\n")


@pytest.fixture
def direct(ot3l, settings, monkeypatch):
    """The command over the service's database."""
    monkeypatch.setenv("OT3L_DATABASE_URL", settings.resolved_database_url)
    read_settings.cache_clear()
    yield lambda command, *arguments: ot3l("keys", command, "--direct", *arguments)
    read_settings.cache_clear()


def id_in(text):
    return text.split()[0]


def test_the_first_key_starts_the_service(direct, keyed_settings, queue):
    scopes = ["--scope", "read", "--scope", "write", "--scope", "admin"]
    made = direct("create", "--owner", "anna", *scopes, "--days", "30")
    assert made.status == 0
    assert SECRET.fullmatch(made.out)
    assert made.out.strip() not in made.err
    headers = {"Authorization": f"Bearer {made.out.strip()}"}
    with TestClient(create_app(keyed_settings, queue=queue), base_url="http://localhost") as client:
        (shown,) = client.get("/keys", headers=headers).json()["items"]
    assert (shown["id"], shown["scopes"]) == (id_in(made.err), ["admin", "read", "write"])
    assert shown["expires_at"] is not None


def test_keys_are_listed_rotated_and_revoked(direct):
    made = {owner: direct("create", "--owner", owner, "--scope", "read", "--name", "ci") for owner in ("anna", "ben")}
    assert len(direct("list").out.splitlines()) == 2
    (line,) = direct("list", "--owner", "anna").out.splitlines()
    assert line.split()[:4] == [id_in(made["anna"].err), "anna", made["anna"].out[:9], "read"]
    rotated = direct("rotate", id_in(line), "--grace", "60")
    assert (rotated.status, rotated.out != made["anna"].out) == (0, True)
    assert "expires" in direct("list", "--owner", "anna").out.splitlines()[1]
    revoked = direct("revoke", id_in(rotated.err))
    assert (revoked.status, revoked.out, "revoked" in revoked.err) == (0, "", True)
    listed = direct("list")
    assert made["ben"].out.strip() not in listed.out
    assert [key["owner"] for key in direct("list", "--json").json] == ["anna", "ben", "anna"]


def test_what_makes_no_sense_is_refused(direct, ot3l):
    for line in (
        "create --owner Anna! --scope read",
        "create --scope read",
        "create --owner anna",
        "create --owner anna --scope root",
        "create --owner anna --scope read --days 0",
        "create --owner anna --scope read --days nan",
        "rotate 1",
        "rotate 00000000-0000-0000-0000-000000000000 --grace nan",
    ):
        refused = direct(*line.split())
        assert (refused.status, refused.out) == (2, ""), line
        assert "Traceback" not in refused.err
    assert ot3l("keys", "list", "--owner", "anna").status == 2


def test_what_cannot_be_done_is_said_in_a_line(direct, tmp_path, monkeypatch):
    ended = direct("revoke", "00000000-0000-0000-0000-000000000000")
    assert (ended.status, ended.out) == (1, "")
    assert ended.err == "There is no key 00000000-0000-0000-0000-000000000000.\n"
    monkeypatch.setenv("OT3L_DATABASE_URL", f"sqlite:///{tmp_path / 'empty.db'}")
    read_settings.cache_clear()
    ended = direct("list")
    assert (ended.status, ended.out) == (1, "")
    assert "alembic upgrade head" in ended.err
    assert len(ended.err.splitlines()) == 1


def test_a_key_is_of_the_owner_that_is_named(direct, settings):
    direct("create", "--owner", "local", "--scope", "read")
    database = open_database(settings.resolved_database_url)
    with database.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT owner FROM api_keys").scalars().all() == ["local"]
    database.close()


def test_an_owner_sees_to_keys_over_http(ot3l, keyed_settings, queue, make_key):
    admin = make_key("anna")["Authorization"].removeprefix("Bearer ")
    with serving(create_app(keyed_settings, queue=queue)) as url:

        def there(*arguments):
            return ot3l("--url", url, "--key", admin, "keys", *arguments)

        made = there("create", "--scope", "read", "--name", "[red]ci", "--days", "1", "--json").json
        assert made["secret"].startswith("ot3l_")
        assert SECRET.fullmatch(there("rotate", made["id"], "--grace", "60").out)
        listed = there("list").out.splitlines()
        assert [line.partition(" ")[0] for line in listed][1:][0] == made["id"]
        assert "'[red]ci'" in listed[1]
        assert there("revoke", made["id"], "--json").json["revoked_at"] is not None
        refused = ot3l("--url", url, "--key", made["secret"], "keys", "list")
        assert (refused.status, "unauthorized" in refused.err) == (1, True)

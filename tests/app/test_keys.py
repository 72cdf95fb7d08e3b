"""Keys from the command line."""

import re

import pytest
from starlette.testclient import TestClient

from app import keys
from app.main import create_app
from app.settings import read_settings
from app.store.sessions import open_database

SECRET = re.compile(r"ot3l_[0-9A-Za-z]{43}\n")


@pytest.fixture
def run(settings, monkeypatch, capsys):
    """The command over the service's database; gives status, standard output and standard error."""
    monkeypatch.setenv("OT3L_DATABASE_URL", settings.resolved_database_url)
    read_settings.cache_clear()

    def run(*arguments):
        status = keys.main(list(arguments))
        said = capsys.readouterr()
        return status, said.out, said.err

    yield run
    read_settings.cache_clear()


def id_in(text):
    return text.split()[0]


def test_the_first_key_starts_the_service(run, keyed_settings, queue):
    scopes = ["--scope", "read", "--scope", "write", "--scope", "admin"]
    status, secret, told = run("create", "--owner", "anna", *scopes, "--days", "30")
    assert status == 0
    assert SECRET.fullmatch(secret)
    assert secret.strip() not in told
    headers = {"Authorization": f"Bearer {secret.strip()}"}
    with TestClient(create_app(keyed_settings, queue=queue), base_url="http://localhost") as client:
        (shown,) = client.get("/keys", headers=headers).json()["items"]
    assert (shown["id"], shown["scopes"]) == (id_in(told), ["admin", "read", "write"])
    assert shown["expires_at"] is not None


def test_keys_are_listed_rotated_and_revoked(run):
    made = {owner: run("create", "--owner", owner, "--scope", "read", "--name", "ci") for owner in ("anna", "ben")}
    assert len(run("list")[1].splitlines()) == 2
    (line,) = run("list", "--owner", "anna")[1].splitlines()
    assert line.split()[:4] == [id_in(made["anna"][2]), "anna", made["anna"][1][:9], "read"]
    status, secret, told = run("rotate", id_in(line), "--grace", "60")
    assert (status, secret != made["anna"][1]) == (0, True)
    assert "expires" in run("list", "--owner", "anna")[1].splitlines()[1]
    status, out, told = run("revoke", id_in(told))
    assert (status, out, "revoked" in told) == (0, "", True)
    assert made["ben"][1].strip() not in run("list")[1]


def test_what_makes_no_sense_is_refused(run):
    for line in (
        "",
        "create --owner Anna! --scope read",
        "create --owner anna",
        "create --owner anna --scope root",
        "create --owner anna --scope read --days 0",
        "rotate 1",
        "rotate 00000000-0000-0000-0000-000000000000 --grace nan",
    ):
        with pytest.raises(SystemExit) as left:
            run(*line.split())
        assert left.value.code == 2, line


def test_what_cannot_be_done_is_said_in_a_line(run, tmp_path, monkeypatch):
    status, out, told = run("revoke", "00000000-0000-0000-0000-000000000000")
    assert (status, out) == (1, "")
    assert told == "There is no key 00000000-0000-0000-0000-000000000000.\n"
    monkeypatch.setenv("OT3L_DATABASE_URL", f"sqlite:///{tmp_path / 'empty.db'}")
    read_settings.cache_clear()
    status, out, told = run("list")
    assert (status, out) == (1, "")
    assert "alembic upgrade head" in told
    assert len(told.splitlines()) == 1


def test_a_key_is_of_the_owner_that_is_named(run, settings):
    run("create", "--owner", "local", "--scope", "read")
    database = open_database(settings.resolved_database_url)
    with database.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT owner FROM api_keys").scalars().all() == ["local"]
    database.close()

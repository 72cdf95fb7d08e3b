"""The servers from wheels: they ask for their key, and what they were told survives SIGKILL."""

import socket
from dataclasses import replace

import obstore
import psycopg
import pytest
from obstore.store import S3Store
from redis import AuthenticationError, Redis

from app.local import parts
from app.local.children import StartError, Supervisor

WRONG = "0" * 48


@pytest.fixture
def key(tmp_path):
    return parts.local_key(tmp_path)


@pytest.fixture
def supervisor(tmp_path):
    with Supervisor(tmp_path / "logs") as entered:
        yield entered


def test_the_key_is_made_once_and_for_its_owner(tmp_path):
    key = parts.local_key(tmp_path)
    assert parts.local_key(tmp_path) == key
    assert len(key) == 48
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_ports_are_free_and_different():
    ports = parts.free_ports(20)
    assert len(set(ports)) == 20
    for port in ports:
        socket.create_server((parts.HOST, port)).close()


def test_the_broker_keeps_nothing_and_asks_for_its_key(supervisor, tmp_path, key):
    [port] = parts.free_ports(1)
    supervisor.start(parts.valkey(tmp_path / "broker", port, key))
    with pytest.raises(AuthenticationError), Redis(port=port, password=WRONG) as stranger:
        stranger.ping()
    with Redis.from_url(parts.valkey_url(port, key)) as client:
        client.set("a", "b")
        child = supervisor.children["broker"]
        child.end()
        child.start()
        child.await_ready()
        assert client.get("a") is None
    assert (tmp_path / "broker" / "valkey.conf").stat().st_mode & 0o777 == 0o600


def test_the_database_keeps_what_it_committed_and_asks_for_its_key(supervisor, tmp_path, key):
    [port] = parts.free_ports(1)
    supervisor.start(parts.postgres(tmp_path / "postgres", port, key))
    url = parts.postgres_url(port, key)
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(url.replace(key, WRONG))
    with psycopg.connect(url) as connection:
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
        assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)
        connection.execute("CREATE TABLE kept AS SELECT 1 AS a")
    supervisor.children["postgres"].end()
    # On another port, as after the next start of a service.
    [port] = parts.free_ports(1)
    supervisor.start(replace(parts.postgres(tmp_path / "postgres", port, key), name="again"))
    with psycopg.connect(parts.postgres_url(port, key)) as connection:
        assert connection.execute("SELECT a FROM kept").fetchone() == (1,)


def test_a_database_that_cannot_be_made_says_why_and_leaves_no_half_of_it(tmp_path, key):
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "new").touch()
    with pytest.raises(StartError, match="could not be made"):
        parts.postgres(tmp_path / "postgres", 1, key)
    assert not (tmp_path / "postgres" / "data").exists()


def test_the_store_keeps_what_it_was_given_and_asks_for_its_key(supervisor, tmp_path, key):
    ports = parts.free_ports(8)
    supervisor.start(parts.seaweedfs(tmp_path / "s3", key, ports))
    content = bytes(range(256)) * 20_000
    with pytest.raises(obstore.exceptions.PermissionDeniedError):
        obstore.put(bucket(ports[0], WRONG), "a/b", content)
    obstore.put(bucket(ports[0], key), "a/b", content)
    child = supervisor.children["s3"]
    child.end()
    assert not [path for path in child.part.leftovers if path.exists()]
    ports = parts.free_ports(8)
    supervisor.start(replace(parts.seaweedfs(tmp_path / "s3", key, ports), name="again"))
    assert obstore.get(bucket(ports[0], key), "a/b").bytes() == content


def bucket(port, key):
    return S3Store(
        parts.USER,
        access_key_id=parts.USER,
        secret_access_key=key,
        endpoint=f"http://{parts.HOST}:{port}",
        client_options={"allow_http": True},
    )

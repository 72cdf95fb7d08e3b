"""What many tests need: real servers, both databases, migrated, and settings that point at temporary folders."""

import os
import shutil
import uuid
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import create_engine, make_url, text

from app.local import parts as local
from app.local.children import Supervisor
from app.settings import Settings
from app.store.migrations import migrate
from app.store.sessions import open_database


@pytest.fixture(scope="session")
def parts(tmp_path_factory):
    """Real servers, each started for the first test that asks for it."""
    with Supervisor(tmp_path_factory.mktemp("logs")) as supervisor:
        yield supervisor


@pytest.fixture(scope="session")
def key(tmp_path_factory):
    """What the servers ask for."""
    return local.local_key(tmp_path_factory.mktemp("key"))


@pytest.fixture(scope="session")
def postgres_url(request, tmp_path_factory, key):
    """PostgreSQL 18, or the server that OT3L_TEST_DATABASE_URL names: tests make databases of their own on it."""
    if own := os.environ.get("OT3L_TEST_DATABASE_URL"):
        return own
    [port] = local.free_ports(1)
    part = local.postgres(tmp_path_factory.mktemp("postgres"), port, key)
    # Nobody reads it after a power cut.
    request.getfixturevalue("parts").start(replace(part, command=(*part.command, "-c", "fsync=off")))
    return local.postgres_url(port, key)


@pytest.fixture(scope="session")
def broker_url(request, tmp_path_factory, key):
    """Valkey 9, or the server that OT3L_TEST_BROKER_URL names."""
    if own := os.environ.get("OT3L_TEST_BROKER_URL"):
        return own
    [port] = local.free_ports(1)
    request.getfixturevalue("parts").start(local.valkey(tmp_path_factory.mktemp("broker"), port, key))
    return local.valkey_url(port, key)


@pytest.fixture(scope="session")
def s3_url(request, tmp_path_factory, key):
    """A bucket of SeaweedFS, or the one that OT3L_TEST_BLOB_URL names; AWS_* are in the environment, as in production.

    Tests share it: each works below a prefix of its own.
    """
    if own := os.environ.get("OT3L_TEST_BLOB_URL"):
        yield own
        return
    ports = local.free_ports(8)
    request.getfixturevalue("parts").start(local.seaweedfs(tmp_path_factory.mktemp("s3"), key, ports))
    with pytest.MonkeyPatch.context() as environment:
        variables = dict(local.seaweedfs_settings(ports[0], key))
        url = variables.pop("OT3L_BLOB_URL")
        for name, value in variables.items():
            environment.setenv(name, value)
        yield url


@contextmanager
def made_database(server_url, template="template1"):
    """A database of its own on a PostgreSQL server, made like ``template``."""
    admin = create_engine(make_url(server_url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    name = f"ot3l_{uuid.uuid4().hex}"
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    yield admin.url.set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory):
    """A migrated database to copy: most tests are shorter than migrating takes."""
    path = tmp_path_factory.mktemp("template") / "ot3l.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres_url):
    """The name of one on PostgreSQL."""
    with made_database(postgres_url) as url:
        migrate(url)
        yield make_url(url).database


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request, tmp_path):
    """A database without tables, once of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'ot3l.db'}"
        return
    with made_database(request.getfixturevalue("postgres_url")) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    """A migrated database, once of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{shutil.copy(request.getfixturevalue('migrated_sqlite'), tmp_path / 'ot3l.db')}"
        return
    template = request.getfixturevalue("migrated_postgres")
    with made_database(request.getfixturevalue("postgres_url"), template) as url:
        yield url


@pytest.fixture
def database(database_url):
    opened = open_database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def settings(tmp_path, migrated_sqlite):
    """Settings of a service below a temporary folder, over SQLite."""
    made = Settings(data_dir=tmp_path / "data", dataset_roots=(tmp_path / "datasets",), sweep_seconds=3600)
    made.data_dir.mkdir()
    (tmp_path / "datasets").mkdir()
    shutil.copy(migrated_sqlite, made.data_dir / "ot3l.db")
    return made

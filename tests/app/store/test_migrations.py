"""The migrations make what the records say, and take it back."""

from sqlalchemy import create_engine, inspect

from alembic import command
from app.store.migrations import migrate, migration_config


def tables_of(url):
    engine = create_engine(url)
    names = set(inspect(engine).get_table_names()) - {"alembic_version"}
    engine.dispose()
    return names


def test_upgrading_makes_exactly_the_records(empty_database_url):
    migrate(empty_database_url)
    command.check(migration_config(empty_database_url))
    assert tables_of(empty_database_url) == {"datasets", "distances", "jobs", "artifacts"}


def test_downgrading_leaves_nothing_and_upgrading_again_works(empty_database_url):
    migrate(empty_database_url)
    command.downgrade(migration_config(empty_database_url), "base")
    assert tables_of(empty_database_url) == set()
    migrate(empty_database_url)
    command.check(migration_config(empty_database_url))


def test_migrating_twice_changes_nothing(empty_database_url):
    migrate(empty_database_url)
    migrate(empty_database_url)
    assert "jobs" in tables_of(empty_database_url)

"""Run migrations against the service's own database settings."""

from alembic import context
from app.settings import read_settings
from app.store.records import Record
from app.store.sessions import open_database

database_url = context.config.attributes.get("database_url") or read_settings().resolved_database_url


def run() -> None:
    """Migrate in one transaction, where the database can."""
    database = open_database(database_url)
    with database.writing.kw["bind"].connect() as connection:
        if connection.dialect.name == "sqlite":
            # SQLite alters a table by making it again, which it only does while nobody watches what refers to it. It
            # takes this word outside of a transaction alone.
            connection.connection.driver_connection.execute("PRAGMA foreign_keys=OFF")
        context.configure(
            connection=connection,
            target_metadata=Record.metadata,
            render_as_batch=True,
            compare_type=True,
        )
        with context.begin_transaction():
            context.run_migrations()
            if connection.dialect.name == "sqlite" and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                raise RuntimeError("the migration would leave rows that refer to nothing; nothing was changed")
        connection.commit()
    database.close()


run()

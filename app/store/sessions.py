"""Connections to the database, for reading and for writing."""

import select
from dataclasses import dataclass
from typing import Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, IsolationLevel
from sqlalchemy.exc import IntegrityError, InterfaceError, InvalidatePoolError, OperationalError, TimeoutError  # noqa: A004
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

__all__ = ["DATABASE_DOWN", "REFERENT_GONE", "Database", "Session", "begin", "open_database"]

DATABASE_DOWN = (OperationalError, InterfaceError, TimeoutError)
"""What is raised when the database does not answer."""
REFERENT_GONE = (IntegrityError,)
"""What is raised when something that a new record refers to is deleted at the same moment."""
N_CONNECTIONS = 10
"""Of each process to PostgreSQL, for reading and for writing each; opened when they are needed, then kept."""
_ISOLATION: Final = "READ COMMITTED"
# Seconds. A host that is gone is found out by the kernel within half a minute.
_KEEPALIVES = {"keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 30_000}


@dataclass(frozen=True, slots=True)
class Database:
    """One database.

    Attributes:
        engine: For health checks and migrations.
        reading: Sessions that only read.
        writing: Sessions that write. On SQLite their transactions take the write lock at the start: one that
            reads first and writes later would fail whenever another writer came between.
        submitting: Sessions that read and then write a row. On PostgreSQL each statement is a transaction of its own,
            which saves two trips in four, until ``begin`` makes one of those that come.
    """

    engine: Engine
    reading: sessionmaker[Session]
    writing: sessionmaker[Session]
    submitting: sessionmaker[Session]

    def ping(self) -> None:
        """Read from a table; raises what the database raises when it does not answer, or was never migrated."""
        with self.engine.connect() as connection:
            connection.exec_driver_sql("SELECT 1 FROM datasets LIMIT 1")

    def close(self) -> None:
        """Close every connection."""
        for engine in {self.engine, self.reading.kw["bind"]}:
            engine.dispose()


def open_database(url: str) -> Database:
    """Open the database at ``url``; nothing is created or migrated."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        engine = _open_postgres(parsed, _ISOLATION)
        # Each statement sees what is committed by then, in a transaction or not: two trips less for each request.
        reading = _open_postgres(parsed, "AUTOCOMMIT")
        submitting = reading
    else:
        engine = create_engine(parsed, connect_args={"timeout": 30.0})
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        reading = engine
        submitting = engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")
    writing = engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")
    return Database(
        engine=engine,
        reading=sessionmaker(reading, expire_on_commit=False),
        writing=sessionmaker(writing, expire_on_commit=False),
        submitting=sessionmaker(submitting, expire_on_commit=False),
    )


def begin(session: Session) -> None:
    """Make one transaction of all that a ``submitting`` session does from here to its commit."""
    if session.get_bind().dialect.name == "postgresql":
        session.commit()
        session.connection(execution_options={"isolation_level": _ISOLATION})


def _open_postgres(url: URL, isolation_level: IsolationLevel) -> Engine:
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        isolation_level=isolation_level,
        connect_args=_KEEPALIVES,
        # All of them are kept: to open one costs more than most requests.
        pool_size=N_CONNECTIONS,
        max_overflow=0,
    )
    event.listen(engine, "checkout", _refuse_ended)
    return engine


def _refuse_ended(connection: DBAPIConnection, _entry: ConnectionPoolEntry, _proxy: PoolProxiedConnection) -> None:
    """Take another connection where the server has ended this one; a ping would cost every request a trip.

    Nobody is asked for anything, so whatever there is to read is a farewell: a restart, or the kernel's keepalives.
    """
    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLIN)
    if waiting.poll(0):
        raise InvalidatePoolError


def _configure_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    # The driver's own transaction control would begin late and commit on its own.
    connection.isolation_level = None
    cursor = connection.cursor()
    # A commit that was answered must survive a power cut: hence FULL.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))

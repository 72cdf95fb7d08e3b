"""Time as the database tells it, so that leases do not depend on the clocks of the workers."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, Double, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """A moment; always aware and in UTC, also on databases that store no zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive moments; SQLite gets the UTC wall time."""
        if value is None:
            return None
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Give every moment its zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class now_plus(FunctionElement[datetime]):  # noqa: N801 - reads as the SQL function that it is
    """The database's present moment, plus some seconds."""

    inherit_cache = True
    type = UtcDateTime()

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__(*([literal(float(seconds), Double)] if seconds else []))


@compiles(now_plus, "sqlite")
def _sqlite(element: now_plus, compiler: SQLCompiler, **how: Any) -> str:  # noqa: ANN401
    later = "".join(f", printf('%+.3f seconds', {compiler.process(each, **how)})" for each in element.clauses)
    # Three more digits give the six that SQLAlchemy writes, so that moments compare as text.
    return f"(strftime('%Y-%m-%d %H:%M:%f', 'now'{later}) || '000')"


@compiles(now_plus, "postgresql")
def _postgresql(element: now_plus, compiler: SQLCompiler, **how: Any) -> str:  # noqa: ANN401
    later = "".join(f" + make_interval(secs => {compiler.process(each, **how)})" for each in element.clauses)
    return f"(clock_timestamp(){later})"

"""The least that a service of this kind can do: FastAPI, one statement, the product's own database and pool.

Served by ``uvicorn benchmarks.api.bare:app``; the database is that of ``OT3L_DATABASE_URL``.
"""

from typing import Any
from uuid import UUID

from fastapi import FastAPI, HTTPException
from sqlalchemy import insert, select
from uuid6 import uuid7

from app.settings import read_settings
from app.store.records import JobRecord
from app.store.sessions import open_database
from benchmarks.api.filling import ROWS

JOBS = JobRecord.__table__
database = open_database(read_settings().resolved_database_url)
app = FastAPI(openapi_url=None)


@app.get("/rows/{row_id}")
def read_row(row_id: UUID) -> dict[str, Any]:
    """One job, as it lies in its table."""
    with database.reading() as session:
        row = session.execute(select(JOBS).where(JOBS.c.id == row_id)).mappings().one_or_none()
    if row is None:
        raise HTTPException(404)
    return dict(row)


@app.post("/rows", status_code=201)
def add_row(body: dict[str, Any]) -> dict[str, UUID]:
    """Another row."""
    row_id = uuid7()
    with database.writing() as session:
        session.execute(insert(ROWS).values(id=row_id, body=body))
        session.commit()
    return {"id": row_id}

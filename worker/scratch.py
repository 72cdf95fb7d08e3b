"""Where the temporary files of an attempt lie, so that none outlives it for long, however it ends."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import UUID

from app.states import WorkState
from app.store.jobs import get_work
from app.store.records import DatasetRecord, DistanceRecord, JobRecord, SelectionRecord, WorkRecord
from app.store.sessions import DATABASE_DOWN, Database, Session
from app.store.work import Claim

_KINDS: dict[str, type[WorkRecord]] = {
    kind.__tablename__: kind for kind in (DatasetRecord, DistanceRecord, SelectionRecord, JobRecord)
}


@contextmanager
def scratch_folder(root: Path, held: Claim) -> Iterator[Path]:
    """A folder below ``root`` for what this process, libraries included, makes with ``tempfile`` meanwhile.

    It is the attempt's own: an earlier one that does not know yet that it has lost must not write into it. What such
    attempts have left is deleted.
    """
    before = tempfile.tempdir
    name = f"{held.kind.__tablename__}.{held.id}"
    for left in root.glob(f"{name}.*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = root / f"{name}.{held.attempt}"
    folder.mkdir(parents=True)
    tempfile.tempdir = str(folder)
    try:
        yield folder
    finally:
        tempfile.tempdir = before
        shutil.rmtree(folder, ignore_errors=True)


def discard_scratch(root: Path, database: Database) -> None:
    """Delete what was left behind by attempts that nobody makes any more, of all workers that share the folder."""
    left = [folder for folder in root.glob("*.*.*") if folder.is_dir()]
    # With the database away they wait for the next process.
    with suppress(*DATABASE_DOWN), database.reading() as session:
        for folder in left:
            if not _is_under_way(session, folder.name):
                shutil.rmtree(folder, ignore_errors=True)


def _is_under_way(session: Session, name: str) -> bool:
    table, work_id, attempt = name.split(".")
    record = get_work(session, _KINDS[table], UUID(work_id))
    return record is not None and record.state == WorkState.RUNNING and record.attempt == int(attempt)

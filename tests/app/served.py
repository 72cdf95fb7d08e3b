"""The application over real connections, for clients that open some."""

import hashlib
from uuid import UUID

from app.states import EventKind
from app.store import work
from app.store.events import News
from app.store.records import JobArtifactRecord, JobRecord

RESULT = {
    "classes": ["1", "NA"],
    "phases": [
        {
            "phase": name,
            "accuracy": {"mean": mean, "std": None, "interval": None, "values": [mean]},
            "macro_f1": {"mean": mean, "std": None, "interval": None, "values": [mean]},
            "calibration_error": {"mean": 0.1, "std": None, "interval": None, "values": [0.1]},
            "per_class_recall": [1.0, 0.5],
            "confusion": [[5, 0], [2, 3]],
        }
        for name, mean in (("zero_shot_nearest", 0.5), ("uniform", 0.75))
    ],
    "selection": {"size": 10, "shortfall": 0, "per_class": [5, 5]},
    "training": [],
    "checkpoint": {"seed": 0, "accuracy": 0.75, "n_correct": 15, "n_test": 20},
    "class_distances": [],
    "n_pool": 80,
    "n_test": 20,
    "n_source": 0,
}
PREDICTIONS = b"sample,label,predicted,confidence\n0007.jpg,1,NA,0.5\n0008.jpg,NA,1,0.75\n"
EPOCH = {"phase": "training", "seed": 0, "alpha": None, "train_loss": 0.5, "validation_loss": None}
NEWS = [
    News(EventKind.PHASE, {"phase": "reading", "timings": {"reading": 0.0}}),
    News(EventKind.LOG, {"level": "WARNING", "logger": "ot3l_core", "message": "3 images [bold]are\u2028grey"}),
    News(EventKind.PHASE, {"phase": "training", "timings": {"reading": 1.5, "training": 0.0}}),
    News(EventKind.EPOCH, EPOCH | {"epoch": 1, "validation_accuracy": None}),
    News(EventKind.EPOCH, EPOCH | {"epoch": 2, "validation_accuracy": 0.5}),
    News(EventKind.PROGRESS, {"phase": "training", "progress": 0.5}),
]


def begin(database, job_id: UUID, news=NEWS):
    """Do what a worker would: claim a job and tell the news."""
    with database.writing() as session:
        held = work.claim(session, JobRecord, job_id, lease_seconds=60)
        assert work.renew(session, held, lease_seconds=60, phase="training", progress=0.5, news=news) is not None
        session.commit()
    return held


def end(database, held, state, files=(), **values):
    """End it, with its files."""
    with database.writing() as session:
        assert work.finish(session, held, state, **values)
        session.add_all(files)
        session.commit()


def file_of(job_id: UUID, name: str, content: bytes, blobs, folder) -> JobArtifactRecord:
    """Store a file of a job; its row is not yet written."""
    path = folder / name
    path.write_bytes(content)
    key = f"jobs/{job_id}/{name}"
    blobs.put_file(key, path)
    facts = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return JobArtifactRecord(job_id=job_id, name=name, key=key, media_type="application/octet-stream", **facts)

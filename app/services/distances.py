"""Measuring distances between datasets."""

from app.queue import JobQueue
from app.schemas.distances import DistanceCreate
from app.services.datasets import require_dataset, require_measurable
from app.services.dispatch import commit_and_enqueue
from app.store.jobs import add_distance
from app.store.records import DistanceRecord
from app.store.sessions import Session


def submit_distance(session: Session, queue: JobQueue, request: DistanceCreate) -> DistanceRecord:
    """Store a distance to be measured, and have a worker measure it."""
    source = require_dataset(session, request.source, field="source")
    target = require_dataset(session, request.target, field="target")
    for field, dataset in (("source", source), ("target", target)):
        require_measurable(dataset, field=field, size=request.max_samples, size_field="max_samples")
    body = request.model_dump(mode="json") | {"source": source.name, "target": target.name}
    record = add_distance(session, source=source, target=target, request=body)
    commit_and_enqueue(session, queue, record)
    return record

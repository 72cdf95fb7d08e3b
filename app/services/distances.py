"""Measuring distances between datasets."""

from app.errors import InvalidRequestError
from app.queue import JobQueue
from app.schemas.distances import DistanceCreate, PairDistanceCreate
from app.services.datasets import require_dataset, require_measurable, require_weights
from app.services.dispatch import commit_and_enqueue
from app.settings import Settings
from app.store.jobs import add_distance
from app.store.records import DatasetRecord, DistanceRecord
from app.store.sessions import Session


def submit_distance(session: Session, queue: JobQueue, settings: Settings, request: DistanceCreate) -> DistanceRecord:
    """Store a pair or a list of datasets to be measured, and have a worker measure it.

    Raises:
        InvalidRequestError: If a dataset is unknown, cannot be measured, or stands in the list twice; or if the
            weights are not there.
        NotReadyError: If a dataset is not inspected yet.
    """
    require_weights(request, settings)
    if isinstance(request, PairDistanceCreate):
        source = _find(session, request.source, "source", request)
        target = _find(session, request.target, "target", request)
        datasets = [source, target]
        named: dict[str, object] = {"source": source.name, "target": target.name}
    else:
        datasets = [_find(session, name, f"datasets.{place}", request) for place, name in enumerate(request.datasets)]
        _require_distinct(datasets)
        named = {"datasets": [dataset.name for dataset in datasets]}
    body = request.model_dump(mode="json") | named
    record = add_distance(session, kind=request.kind, datasets=datasets, request=body)
    commit_and_enqueue(session, queue, record)
    return record


def _find(session: Session, name_or_id: str, field: str, request: DistanceCreate) -> DatasetRecord:
    dataset = require_dataset(session, name_or_id, field=field)
    require_measurable(dataset, field=field, size=request.max_samples, size_field="max_samples")
    return dataset


def _require_distinct(datasets: list[DatasetRecord]) -> None:
    # Names may differ where datasets do not: one by its name, one by its id.
    for place, dataset in enumerate(datasets):
        first = datasets.index(dataset)
        if first < place:
            raise InvalidRequestError.of_field(
                f"datasets.{place}", f"{dataset.name!r} is already at place {first}: name each dataset once"
            )

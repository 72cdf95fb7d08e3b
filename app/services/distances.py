"""Measuring distances between datasets."""

from typing import Any

from app.errors import InvalidRequestError
from app.schemas.distances import DistanceCreate, PairDistanceCreate
from app.services.context import Context
from app.services.datasets import drawn_from, require_datasets, require_measurable, require_weights
from app.services.estimates import Sizes
from app.services.submission import Plan
from app.store.jobs import add_distance
from app.store.records import DatasetRecord, DistanceRecord


def plan_distance(context: Context, request: DistanceCreate) -> Plan[DistanceRecord]:
    """Check a distance: a pair, or a list of datasets.

    Raises:
        InvalidRequestError: If a dataset is unknown, cannot be measured, or stands in the list twice; or if the
            weights are not there.
        NotReadyError: If a dataset is not inspected yet.
    """
    require_weights(context, request)
    if isinstance(request, PairDistanceCreate):
        asked = {"source": request.source, "target": request.target}
    else:
        asked = {f"datasets.{place}": name for place, name in enumerate(request.datasets)}
    found = require_datasets(context, asked)
    for field, dataset in found.items():
        require_measurable(dataset, field=field, size=request.max_samples, size_field="max_samples")
    datasets = list(found.values())
    named: dict[str, Any] = {field: dataset.name for field, dataset in found.items()}
    if not isinstance(request, PairDistanceCreate):
        _require_distinct(datasets)
        named = {"datasets": [dataset.name for dataset in datasets]}
    body = request.settings() | named
    return Plan(
        DistanceRecord,
        body,
        datasets=tuple(datasets),
        sizes=Sizes(each=tuple(drawn_from(dataset, request.max_samples) for dataset in datasets)),
        add=lambda origin: add_distance(context.session, origin, kind=request.kind, datasets=datasets, request=body),
    )


def _require_distinct(datasets: list[DatasetRecord]) -> None:
    # Names may differ where datasets do not: one by its name, one by its id.
    for place, dataset in enumerate(datasets):
        first = datasets.index(dataset)
        if first < place:
            raise InvalidRequestError.of_field(
                f"datasets.{place}", f"{dataset.name!r} is already at place {first}: name each dataset once"
            )

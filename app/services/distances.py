"""Measuring distances between datasets."""

from app.errors import InvalidRequestError
from app.schemas.distances import DistanceCreate, PairDistanceCreate
from app.services.context import Context
from app.services.datasets import drawn_from, require_dataset, require_measurable, require_weights
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
        source = _find(context, request.source, "source", request)
        target = _find(context, request.target, "target", request)
        datasets = [source, target]
        named: dict[str, object] = {"source": source.name, "target": target.name}
    else:
        datasets = [_find(context, name, f"datasets.{place}", request) for place, name in enumerate(request.datasets)]
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


def _find(context: Context, name_or_id: str, field: str, request: DistanceCreate) -> DatasetRecord:
    dataset = require_dataset(context, name_or_id, field=field)
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

"""Choosing the samples that are worth a label."""

from app.errors import InvalidRequestError
from app.schemas.jobs import JobCreate
from app.schemas.selections import SelectionCreate
from app.services.context import Context
from app.services.datasets import drawn_from, require_datasets, require_measurable, require_weights
from app.services.estimates import Sizes
from app.services.submission import Plan
from app.store.jobs import add_selection
from app.store.records import DatasetRecord, SelectionRecord
from ot3l_core.names import PoolLabels


def plan_selection(context: Context, request: SelectionCreate) -> Plan[SelectionRecord]:
    """Check a selection.

    Raises:
        InvalidRequestError: If the selection could not succeed on these datasets, or its weights are not there.
        NotReadyError: If a dataset is not inspected yet.
    """
    require_weights(context, request)
    target, source = find_pair(context, request)
    pool_labels = request.pool_labels or _default_labels(target, request, measured=source is not None)
    if pool_labels is PoolLabels.GIVEN:
        _require_labels(target, request)
    else:
        _require_enough(target, request)
    body = request.settings() | {
        "target": target.name,
        "source": source.name if source else None,
        "pool_labels": pool_labels,
    }
    return Plan(
        SelectionRecord,
        body,
        datasets=(target, source),
        sizes=Sizes(
            pool=drawn_from(target, request.pool_size),
            source=drawn_from(source, request.source_size) if source else 0,
        ),
        add=lambda origin: add_selection(context.session, origin, target=target, source=source, request=body),
    )


def find_pair(context: Context, request: SelectionCreate | JobCreate) -> tuple[DatasetRecord, DatasetRecord | None]:
    """The target, and what to measure from: the source that is named, or the service's own where one is needed.

    Raises:
        InvalidRequestError: If there is no such dataset, or no source and the strategy needs one, or it cannot be
            measured.
        NotReadyError: If one is not inspected yet.
    """
    needed = request.strategy.needs_scores
    named = request.source or (context.settings.default_source if needed else None)
    asked = {"target": request.target} | ({} if named is None else {"source": named})
    found = require_datasets(context, asked)
    source = found.get("source")
    if source is not None:
        require_measurable(source, field="source", size=request.source_size, size_field="source_size")
    elif needed:
        raise InvalidRequestError.of_field(
            "source",
            f"the strategy {request.strategy.value!r} measures from a source and this service has no default: name one",
        )
    return found["target"], source


def _default_labels(target: DatasetRecord, request: SelectionCreate, *, measured: bool) -> PoolLabels | None:
    """What stands for classes; None where there are none and nobody asks for any."""
    if target.labelled:
        return PoolLabels.GIVEN
    asked = request.strategy.needs_labels or measured or request.n_classes is not None
    return PoolLabels.CLUSTERS if asked else None


def _require_labels(target: DatasetRecord, request: SelectionCreate) -> None:
    if not target.labelled:
        raise InvalidRequestError.of_field(
            "pool_labels", f"the samples of {target.name!r} have no labels: choose 'clusters' or 'predictions'"
        )
    if request.n_classes is not None:
        raise InvalidRequestError.of_field(
            "n_classes", "is for pseudo-classes: leave it out, or set pool_labels to 'clusters' or 'predictions'"
        )
    require_measurable(target, field="target", size=request.pool_size, size_field="pool_size")


def _require_enough(target: DatasetRecord, request: SelectionCreate) -> None:
    size = drawn_from(target, request.pool_size)
    if request.n_classes is not None and request.n_classes > size:
        raise InvalidRequestError.of_field("n_classes", f"must be at most {size}, the samples to choose from")

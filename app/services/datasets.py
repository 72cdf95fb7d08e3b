"""Registering datasets."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.errors import ConflictError, InvalidRequestError, NameTakenError, NotFoundError, NotReadyError
from app.places import bucket_place, is_remote, places_below
from app.schemas.datasets import DatasetCreateBase, name_from
from app.schemas.features import FeatureRequest
from app.services.context import Context
from app.services.estimates import Sizes
from app.services.submission import Plan
from app.services.uploads import hold_upload, require_complete
from app.settings import Settings
from app.states import WorkState
from app.store.datasets import add_dataset, find_dataset, find_datasets, is_name_taken
from app.store.jobs import Origin
from app.store.records import DatasetRecord
from ot3l_core.names import DatasetFormat

PATH_FIELDS = ("path", "root", "test_path", "annotations")
REMOTE_FORMATS = frozenset(
    {
        DatasetFormat.IMAGE_FOLDER,
        DatasetFormat.ZIP,
        DatasetFormat.PARQUET,
        DatasetFormat.HUGGINGFACE,
        DatasetFormat.NPZ,
    }
)
"""What is whole in one folder or one file, and so can be copied from elsewhere."""


def plan_dataset(context: Context, request: DatasetCreateBase) -> Plan[DatasetRecord]:
    """Check a dataset that is to be registered.

    Raises:
        InvalidRequestError: If a path lies outside the dataset roots, or nothing is there; or if there is no such
            upload, or it is not complete.
        NameTakenError: If another dataset has the name.
    """
    upload = None if request.uploaded is None else require_complete(context, request.uploaded)
    name = request.name or request.default_name or name_from(upload.filename if upload else "")
    body = request.settings() | {"name": name}
    located = {
        field: _locate(body, field, context.settings) for field in PATH_FIELDS if upload is None and body.get(field)
    }
    if is_name_taken(context.session, context.owner, name):
        raise _name_taken(name)

    def add(origin: Origin) -> DatasetRecord:
        held = {} if upload is None else {"upload_id": hold_upload(context, upload.id)}
        columns = request.columns | held
        record = add_dataset(context.session, origin, name=name, request=body | located, described=columns)
        if record is None:
            # Somebody was faster.
            raise _name_taken(name)
        return record

    return Plan(DatasetRecord, body, datasets=(), sizes=Sizes(), add=add)


def _locate(body: dict[str, Any], field: str, settings: Settings) -> str:
    if is_remote(body[field]):
        return _locate_remote(body, field, settings)
    return locate(body[field], field=field, roots=settings.dataset_roots, settled=not body.get("download"))


def _locate_remote(body: dict[str, Any], field: str, settings: Settings) -> str:
    """Whether something is there is seen by a worker: no request waits for a store of others."""
    if field != "path" or body["format"] not in REMOTE_FORMATS:
        raise InvalidRequestError.of_field(
            field, f"must be on the server: from S3 come the paths of {', '.join(sorted(REMOTE_FORMATS))}"
        )
    try:
        place = bucket_place(body[field])
    except ValueError as error:
        raise InvalidRequestError.of_field(field, str(error)) from error
    if not any(place.is_below(allowed) for allowed in settings.dataset_buckets):
        raise InvalidRequestError.of_field(
            field, "must lie below a prefix that the operator of this service allows (OT3L_DATASET_BUCKETS)"
        )
    return str(place)


def _name_taken(name: str) -> NameTakenError:
    return NameTakenError(f"A dataset named {name!r} is registered already: give this one another name.")


def locate(path: str, *, field: str, roots: tuple[Path, ...], settled: bool = True) -> str:
    """Resolve a path that a client sent; relative ones are looked for below each root.

    Args:
        path: What the client sent.
        field: Its field, for the message.
        roots: Where datasets may be read from.
        settled: Whether something must be there already.

    Raises:
        InvalidRequestError: If it leads outside the roots, or nothing is there.
    """
    try:
        places = places_below(path, roots)
    except ValueError as error:
        raise InvalidRequestError.of_field(field, "is not a path") from error
    if not places:
        raise InvalidRequestError.of_field(
            field, "must lie below a dataset root of this service (OT3L_DATASET_ROOTS; `make serve ROOTS=...`)"
        )
    if settled and not places[0].exists():
        raise InvalidRequestError.of_field(field, "there is nothing at this path below the service's dataset roots")
    return str(places[0])


def require_weights(context: Context, request: FeatureRequest) -> None:
    """Refuse weights that are not there; the request keeps their path as the client wrote it.

    Raises:
        InvalidRequestError: If it leads outside the dataset roots, or nothing is there.
    """
    if request.weights is not None:
        locate(request.weights, field="weights", roots=context.settings.dataset_roots)


def require_dataset(context: Context, name_or_id: str, *, field: str) -> DatasetRecord:
    """The inspected dataset that a request names; as ``require_datasets``."""
    return require_datasets(context, {field: name_or_id})[field]


def require_datasets(context: Context, named: Mapping[str, str]) -> dict[str, DatasetRecord]:
    """The inspected datasets that a request names, by its fields.

    Args:
        context: On whose behalf.
        named: The name or id that each field gives.

    Raises:
        InvalidRequestError: If no dataset has such a name or id.
        NotReadyError: If the inspection of one has not succeeded.
    """
    found = find_datasets(context.session, context.owner, named.values())
    return {field: _require_ready(found.get(name_or_id), name_or_id, field) for field, name_or_id in named.items()}


def _require_ready(record: DatasetRecord | None, name_or_id: str, field: str) -> DatasetRecord:
    if record is None:
        raise InvalidRequestError.of_field(
            field, f"no dataset is named {name_or_id!r}: register it with POST /datasets, or see GET /datasets"
        )
    if record.state == WorkState.SUCCEEDED:
        return record
    if record.error is not None:
        raise NotReadyError.of_field(field, f"the dataset {record.name!r} cannot be used: {record.error['message']}")
    raise NotReadyError.of_field(field, f"the dataset {record.name!r} is {record.state}: wait until it has succeeded")


def summary_of(record: DatasetRecord) -> dict[str, Any]:
    """What inspection found in a dataset that is ready."""
    if record.result is None:
        raise ConflictError(f"The dataset {record.name!r} has not been inspected.")
    return record.result


def drawn_from(record: DatasetRecord, size: int | None, *, split: str = "n_pool") -> int:
    """How many samples of a dataset are computed on, where at most ``size`` are asked for; None for all."""
    n_samples: int = summary_of(record)[split]
    return n_samples if size is None else min(n_samples, size)


def require_measurable(record: DatasetRecord, *, field: str, size: int | None, size_field: str) -> None:
    """Refuse a dataset without classes, or some of whose classes would have no samples.

    Args:
        record: A dataset that is ready.
        field: The request's field that names it.
        size: How many samples are to be drawn from its pool; None for all.
        size_field: The request's field that says so.

    Raises:
        InvalidRequestError: If there are no labels, or a class is empty, or would be after drawing.
    """
    if not record.labelled:
        raise InvalidRequestError.of_field(
            field,
            f"the samples of {record.name!r} have no labels: choose some with POST /selections, label them, and post "
            "a job with that selection and the labels",
        )
    classes = summary_of(record)["classes"]
    empty = [entry["name"] for entry in classes if entry["pool"] == 0]
    if empty:
        raise InvalidRequestError.of_field(
            field, f"{record.name!r} has no pool samples of {', '.join(map(repr, empty[:5]))}: add some"
        )
    if size is not None and size < len(classes):
        raise InvalidRequestError.of_field(
            size_field, f"must be at least {len(classes)}, one for each class of {record.name!r}"
        )


def read_dataset(context: Context, name_or_id: str) -> DatasetRecord:
    """The dataset with this name or id.

    Raises:
        NotFoundError: If there is none.
    """
    record = find_dataset(context.session, context.owner, name_or_id)
    if record is None:
        raise NotFoundError(f"There is no dataset {name_or_id!r}.")
    return record

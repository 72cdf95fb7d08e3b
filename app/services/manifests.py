"""Jobs that train on the samples of a selection, under labels that came after it."""

import csv
import io
from collections.abc import Iterable
from uuid import UUID

from app.errors import InvalidRequestError, NotReadyError, UnavailableError
from app.schemas.jobs import JobCreate
from app.schemas.selecting import SELECTING_FIELDS
from app.schemas.selections import MANIFEST_CSV, MANIFEST_JSON, Manifest
from app.services.context import Context
from app.services.datasets import drawn_from, require_dataset, summary_of
from app.services.estimates import Sizes
from app.services.reading import read_artifact
from app.services.submission import Plan
from app.states import WorkState
from app.store.blobs import BlobStoreError
from app.store.jobs import add_job, find_work
from app.store.records import DatasetRecord, JobManifestRecord, JobRecord, SelectionRecord

_NEED_A_SELECTION = ("labels", "labels_csv", "test")


def refuse_manifest_fields(request: JobCreate) -> None:
    """Refuse what means nothing in a job that chooses its own samples.

    Raises:
        InvalidRequestError: If labels or a test dataset are given.
    """
    for field in _NEED_A_SELECTION:
        if getattr(request, field) is not None:
            raise InvalidRequestError.of_field(field, "belongs to a selection: name it too, or leave this out")


def plan_manifest_job(
    context: Context, request: JobCreate, *, selection_id: UUID, target: DatasetRecord
) -> Plan[JobRecord]:
    """Check a job that trains on exactly what a selection chose.

    How the samples were chosen is the selection's, and stands in the job as if it had asked for it.

    Raises:
        InvalidRequestError: If selection, labels and datasets do not fit each other.
        NotReadyError: If the selection or the test dataset is not ready.
        UnavailableError: If the blob store does not give the manifest.
    """
    for field in SELECTING_FIELDS:
        if field in request.model_fields_set:
            raise InvalidRequestError.of_field(field, "is the selection's: leave it out where a selection is given")
    selection = _require_selection(context, selection_id, target)
    labels = _read_labels(request)
    if labels is not None:
        _require_chosen(labels, read_manifest(context, selection), field=_field_of_labels(request))
    test = _find_test(context, request, target, labels)
    body = request.settings() | {field: selection.request[field] for field in SELECTING_FIELDS}
    body |= {"target": target.name, "test": test.name if test else None}
    n_labelled = body["budget"] if labels is None else len(labels)
    return Plan(
        JobRecord,
        body,
        datasets=(target, selection.source, test),
        sizes=Sizes(pool=drawn_from(target, n_labelled), test=_test_size(test or target, request)),
        labels=labels,
        add=lambda origin: add_job(
            context.session,
            origin,
            target=target,
            source=selection.source,
            request=body,
            manifest=JobManifestRecord(selection=selection, test=test, labels=labels),
            described=request.columns,
        ),
    )


def _test_size(test: DatasetRecord, request: JobCreate) -> int:
    return drawn_from(test, request.test_size, split="n_test") or drawn_from(test, request.test_size)


def read_manifest(context: Context, selection: SelectionRecord) -> Manifest:
    """What a selection chose.

    Raises:
        UnavailableError: If the blob store does not give it.
    """
    artifact = read_artifact(context, SelectionRecord, selection.id, MANIFEST_JSON)
    try:
        return Manifest.model_validate_json(context.blobs.read(artifact.key, artifact.size))
    except (BlobStoreError, OSError) as error:
        raise UnavailableError("The blob store does not give the manifest: try again in a while.") from error


def _require_selection(context: Context, selection_id: UUID, target: DatasetRecord) -> SelectionRecord:
    selection = find_work(context.session, SelectionRecord, context.owner, selection_id)
    if selection is None:
        raise InvalidRequestError.of_field(
            "selection", "there is no such selection: make one with POST /selections, or see GET /selections"
        )
    if selection.target_id != target.id:
        raise InvalidRequestError.of_field(
            "selection", f"it was made from {selection.target.name!r}: name that dataset as the target"
        )
    if selection.state == WorkState.SUCCEEDED:
        return selection
    if selection.error is not None:
        raise NotReadyError.of_field("selection", f"it failed: {selection.error['message']}")
    raise NotReadyError.of_field("selection", f"it is {selection.state}: wait until it has succeeded")


def _read_labels(request: JobCreate) -> dict[str, str] | None:
    """The class of each labelled sample; None where the dataset's own labels are meant."""
    if request.labels is not None and request.labels_csv is not None:
        raise InvalidRequestError.of_field("labels_csv", "says the same as labels: give one of the two")
    found = request.labels if request.labels_csv is None else parse_labels(request.labels_csv)
    if found is None:
        return None
    labels = {sample: name.strip() for sample, name in found.items() if name.strip()}
    if len(set(labels.values())) < 2:
        raise InvalidRequestError.of_field(
            _field_of_labels(request),
            f"{len(labels)} samples have a label, of {len(set(labels.values()))} classes: at least 2 are needed",
        )
    return labels


def _field_of_labels(request: JobCreate) -> str:
    return "labels" if request.labels_csv is None else "labels_csv"


def parse_labels(text: str) -> dict[str, str]:
    """The labels in a manifest that somebody has filled in, as spreadsheets write it.

    Args:
        text: A table with the columns ``id`` and ``label``, among others; divided by commas, semicolons or tabs.

    Returns:
        The label of each id, empty where it was not filled in.

    Raises:
        InvalidRequestError: If it is no such table, or an id stands in it twice.
    """
    text = text.removeprefix("\ufeff")
    head = text.partition("\n")[0]
    try:
        table = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count), strict=True)
        rows = list(table)
    except csv.Error as error:
        raise InvalidRequestError.of_field("labels_csv", f"is no CSV: {error}") from error
    missing = {"id", "label"} - set(table.fieldnames or ())
    if missing:
        raise InvalidRequestError.of_field(
            "labels_csv", f"has no column {min(missing)!r}: keep the columns of {MANIFEST_CSV}"
        )
    labels: dict[str, str] = {}
    for row in rows:
        # What a short row lacks is None.
        sample, label = row["id"] or "", row["label"] or ""
        if labels.setdefault(sample, label) != label:
            raise InvalidRequestError.of_field("labels_csv", f"gives {sample!r} two labels: keep one row")
    return labels


def _require_chosen(labels: dict[str, str], manifest: Manifest, *, field: str) -> None:
    unknown = labels.keys() - {sample.id for sample in manifest.samples}
    if unknown:
        raise InvalidRequestError.of_field(
            field,
            f"{len(unknown)} ids are not among the {len(manifest.samples)} samples of the selection: "
            f"{_some(unknown)}; take them from its {MANIFEST_CSV}",
        )


def _find_test(
    context: Context, request: JobCreate, target: DatasetRecord, labels: dict[str, str] | None
) -> DatasetRecord | None:
    """The dataset to evaluate on, where it is not the target."""
    if labels is None and not target.labelled:
        raise InvalidRequestError.of_field(
            "labels", f"the samples of {target.name!r} have no labels: give those of the selection's samples"
        )
    test = target if request.test is None else require_dataset(context, request.test, field="test")
    if not test.labelled:
        raise InvalidRequestError.of_field(
            "test", f"the samples of {test.name!r} have no labels to compare with: name a labelled dataset"
        )
    if test.id == target.id and summary_of(test)["n_test"] == 0:
        raise InvalidRequestError.of_field(
            "test", f"{target.name!r} has no test split: name another dataset, or register it with a test_fraction"
        )
    unknown = (_classes_of(target) if labels is None else set(labels.values())) - _classes_of(test)
    if unknown:
        raise InvalidRequestError.of_field(
            "test" if labels is None else _field_of_labels(request),
            f"{test.name!r}, on which the job is evaluated, has no class {_some(unknown)}: its classes are "
            f"{_some(_classes_of(test))}",
        )
    return None if test.id == target.id else test


def _classes_of(dataset: DatasetRecord) -> set[str]:
    return {entry["name"] for entry in summary_of(dataset)["classes"]}


def _some(names: Iterable[str]) -> str:
    named = sorted(names)
    return ", ".join(map(repr, named[:5])) + (", ..." if len(named) > 5 else "")

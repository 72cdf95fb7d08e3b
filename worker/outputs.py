"""From what the core computed to what the database and the blob store keep."""

import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from app.schemas.distances import ClassDistance, MatrixResult, MergeRead, NearestSource
from app.schemas.selections import GroupRead, Manifest, ManifestResult, ManifestSample
from app.store.blobs import BlobStore
from app.store.records import (
    ArtifactRecord,
    DatasetArtifactRecord,
    DatasetRecord,
    DistanceArtifactRecord,
    DistanceRecord,
    JobArtifactRecord,
    JobRecord,
    SelectionArtifactRecord,
    SelectionRecord,
)
from ot3l_core.data.images import ImageSplit
from ot3l_core.data.samples import LabelledSamples
from ot3l_core.names import PoolLabels
from ot3l_core.otd import DatasetMatrix, Measured
from ot3l_core.selection import Selection

MEDIA_TYPES = {
    ".safetensors": "application/octet-stream",
    ".json": "application/json",
    ".csv": "text/csv; charset=utf-8",
    ".png": "image/png",
    ".webp": "image/webp",
    ".svg": "image/svg+xml",
    ".md": "text/markdown; charset=utf-8",
    ".onnx": "application/octet-stream",
    ".pt2": "application/octet-stream",
    ".zip": "application/zip",
}


def describe_measured(
    measured: Measured | None, source_classes: Sequence[str], target_classes: Sequence[str]
) -> list[ClassDistance]:
    """How far each target class lies; nothing where nothing was measured."""
    if measured is None:
        return []
    return describe_classes(measured.label_distances, measured.class_scores, source_classes, target_classes)


def describe_classes(
    label_distances: Tensor, class_scores: Tensor, source_classes: Sequence[str], target_classes: Sequence[str]
) -> list[ClassDistance]:
    """Each target class with its score and its nearest source class."""
    nearest = label_distances.min(dim=0)
    rows = zip(target_classes, class_scores.tolist(), nearest.indices.tolist(), nearest.values.tolist(), strict=True)
    return [
        ClassDistance(name=name, score=score, nearest_source=source_classes[index], nearest_distance=distance)
        for name, score, index, distance in rows
    ]


def describe_choice(
    selection: Selection,
    *,
    measured: Measured | None,
    pool: LabelledSamples,
    source: LabelledSamples | None,
    pool_labels: PoolLabels | None,
) -> ManifestResult:
    """A selection's result as the service keeps it.

    Args:
        selection: What was chosen from the pool.
        measured: How far the pool is.
        pool: What it was chosen from, with the classes or pseudo-classes that the choice went by.
        source: What the pool was measured from.
        pool_labels: What these classes are; None where they are nothing that anybody asked for.
    """
    chosen = pool.take(selection.indices).class_counts.tolist()
    counts = zip(pool.classes, pool.class_counts.tolist(), chosen, strict=True) if pool_labels else ()
    return ManifestResult(
        pool_labels=pool_labels,
        n_pool=len(pool),
        n_source=len(source) if source else 0,
        size=len(selection.indices),
        shortfall=selection.shortfall,
        groups=[GroupRead(name=name, pool=there, chosen=taken) for name, there, taken in counts],
        quantisation_error=selection.quantisation_error,
        class_distances=describe_measured(measured, source.classes if source else (), pool.classes),
    )


def list_samples(
    selection: Selection, images: ImageSplit, pool: LabelledSamples, *, pool_labels: PoolLabels | None
) -> list[ManifestSample]:
    """The chosen samples in the order of the pool; labels only where the choice went by them."""
    indices = selection.indices.tolist()
    scores, shares = column(selection.scores, len(indices)), column(selection.shares, len(indices))
    groups = [pool.classes[label] for label in pool.labels[selection.indices].tolist()]
    return [
        ManifestSample(
            id=images.sample_ids[index],
            file=images.file_names[index] if images.file_names else None,
            reason=reason,
            score=score,
            group=group if pool_labels else None,
            weight=share,
            label=group if pool_labels is PoolLabels.GIVEN else None,
        )
        for index, reason, score, share, group in zip(indices, selection.reasons, scores, shares, groups, strict=True)
    ]


def column(values: Tensor | None, size: int) -> list[float | None]:
    """Values for a table; empty cells where there are none."""
    return [None] * size if values is None else values.tolist()


def write_manifest(as_json: Path, as_csv: Path, manifest: Manifest) -> None:
    """The same samples for programs, and as a table to fill labels into."""
    as_json.write_text(manifest.model_dump_json(indent=1), encoding="utf-8")
    columns = tuple(ManifestSample.model_fields)
    write_rows(as_csv, columns, ([getattr(sample, name) for name in columns] for sample in manifest.samples))


def write_rows(path: Path, header: Sequence[str], rows: Any) -> None:  # noqa: ANN401 - whatever csv takes
    """A table; text that is no UTF-8 is escaped."""
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def describe_matrix(found: DatasetMatrix, names: Sequence[str], n_samples: Sequence[int]) -> MatrixResult:
    """The distances between many datasets as the service keeps them."""
    nearest = [
        NearestSource(
            name=names[own],
            nearest=names[entry.index],
            distance=float(found.upper[own, entry.index]),
            settled=entry.settled,
        )
        for own, entry in enumerate(found.nearest)
    ]
    return MatrixResult(
        datasets=list(names),
        n_samples=list(n_samples),
        upper=found.upper.tolist(),
        lower=found.lower.tolist(),
        gap_percent=found.gap_percent.tolist(),
        converged=found.converged.tolist(),
        order=list(found.order),
        merges=[MergeRead.model_validate(merge) for merge in found.merges],
        nearest=nearest,
    )


def write_matrix(path: Path, names: Sequence[str], values: Sequence[Sequence[float]]) -> None:
    """A table with the datasets' names above and before the values, which keep every digit."""
    rows = [(name, *row) for name, row in zip(names, values, strict=True)]
    write_rows(path, ("dataset", *names), rows)


def store_artifact(
    owner: JobRecord | DistanceRecord | SelectionRecord | DatasetRecord, path: Path, blobs: BlobStore
) -> ArtifactRecord:
    """Put a file into the blob store, under a key made of its content.

    Two attempts at the same work write equal bytes to equal keys, so that neither can harm the other.
    """
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    key = f"{owner.__tablename__}/{owner.id}/{sha256}{path.suffix}"
    blobs.put_file(key, path, media_type=MEDIA_TYPES[path.suffix])
    told: dict[str, Any] = {
        "name": path.name,
        "key": key,
        "size": path.stat().st_size,
        "sha256": sha256,
        "media_type": MEDIA_TYPES[path.suffix],
    }
    match owner:
        case JobRecord():
            return JobArtifactRecord(job_id=owner.id, **told)
        case DistanceRecord():
            return DistanceArtifactRecord(distance_id=owner.id, **told)
        case SelectionRecord():
            return SelectionArtifactRecord(selection_id=owner.id, **told)
        case DatasetRecord():
            return DatasetArtifactRecord(dataset_id=owner.id, **told)

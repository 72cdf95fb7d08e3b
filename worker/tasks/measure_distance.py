"""Measure the distances between registered datasets."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

from celery import shared_task
from pydantic import TypeAdapter

from app.queue import TaskName
from app.schemas.distances import (
    CertifiedDistance,
    ClassMapRead,
    DistanceCreate,
    MatrixDistanceCreate,
    MatrixResult,
    PairDistanceCreate,
    PairResult,
    RankStabilityRead,
)
from app.store.records import ArtifactRecord, DatasetRecord, DistanceRecord
from ot3l_core.data.samples import LabelledSamples
from ot3l_core.names import ClassScore, Phase
from ot3l_core.otd import (
    class_map,
    class_scores,
    dataset_distance,
    dataset_matrix,
    label_distances,
    rank_stability,
    scale_features,
)
from ot3l_core.progress import OnProgress, portion
from worker.figures import draw_heatmap
from worker.inputs import draw, embed_split, open_backbone, open_registered
from worker.lifecycle import Lifecycle, Outcome
from worker.outputs import describe_classes, describe_matrix, store_artifact, write_matrix
from worker.resources import Resources, resources
from worker.telling import Reporter

REQUEST: TypeAdapter[PairDistanceCreate | MatrixDistanceCreate] = TypeAdapter(DistanceCreate)


@shared_task(name=TaskName.MEASURE_DISTANCE)
def measure_distance(work_id: str) -> None:
    """Measure one distance, or all distances of a list."""
    here = resources()
    Lifecycle(here.database, here.settings, DistanceRecord, partial(_compute, here=here)).run(UUID(work_id))


def _compute(record: DistanceRecord, reporter: Reporter, here: Resources) -> Outcome:
    request = REQUEST.validate_python(record.request)
    samples = scale_features(*_embed(record.datasets, request, here, reporter), scaling=request.scaling)
    on_progress = reporter.enter(Phase.MEASURING)
    if isinstance(request, PairDistanceCreate):
        pair = measure(*samples, request=request, on_progress=on_progress)
        return Outcome({"result": pair.model_dump(mode="json")})
    matrix = measure_all(samples, [dataset.name for dataset in record.datasets], request, on_progress)
    artifacts = _save(record, matrix, request, here, reporter.enter(Phase.SAVING))
    return Outcome({"result": matrix.model_dump(mode="json")}, artifacts)


def _embed(
    records: Sequence[DatasetRecord], request: DistanceCreate, here: Resources, reporter: Reporter
) -> list[LabelledSamples]:
    """The features of every dataset; its images and the backbone are let go."""
    reporter.enter(Phase.READING)
    backbone = open_backbone(request, here)
    on_progress = reporter.enter(Phase.EMBEDDING)
    embedded = []
    for number, record in enumerate(records):
        on_part = portion(on_progress, number / len(records), (number + 1) / len(records))
        dataset = open_registered(record, here, on_part)
        embedded.append(
            embed_split(
                draw(dataset.pool, request.max_samples),
                dataset.classes,
                backbone=backbone,
                request=request,
                resources=here,
                on_progress=on_part,
            )
        )
    return embedded


def measure(
    source: LabelledSamples, target: LabelledSamples, *, request: PairDistanceCreate, on_progress: OnProgress
) -> PairResult:
    """Every distance between two scaled datasets that a request asks for."""
    distances = label_distances(
        source, target, method=request.method, seed=request.seed, on_progress=portion(on_progress, 0.0, 0.3)
    )
    whole = dataset_distance(
        source,
        target,
        label_cost=distances.square(),
        method=request.transport,
        seed=request.seed,
        on_progress=portion(on_progress, 0.3, 0.7),
    )
    scores = class_scores(distances, class_score=request.class_score, class_plan=whole.class_plan)
    stability = None
    if request.class_score is not ClassScore.PLAN:
        stability = rank_stability(
            source,
            target,
            method=request.method,
            class_score=request.class_score,
            seed=request.seed,
            on_progress=portion(on_progress, 0.7, 1.0),
        )
    drawn = class_map(source, target)
    return PairResult(
        dataset_distance=CertifiedDistance.model_validate(whole),
        source_classes=list(source.classes),
        target_classes=list(target.classes),
        label_distances=distances.tolist(),
        classes=describe_classes(distances, scores, source.classes, target.classes),
        rank_stability=RankStabilityRead.model_validate(stability) if stability else None,
        class_map=ClassMapRead(source=drawn.source.tolist(), target=drawn.target.tolist(), explained=drawn.explained),
        n_source=len(source),
        n_target=len(target),
    )


def measure_all(
    samples: Sequence[LabelledSamples], names: Sequence[str], request: MatrixDistanceCreate, on_progress: OnProgress
) -> MatrixResult:
    """All distances between scaled datasets."""
    found = dataset_matrix(
        samples, method=request.method, transport=request.transport, seed=request.seed, on_progress=on_progress
    )
    return describe_matrix(found, names, [len(drawn) for drawn in samples])


def _save(
    record: DistanceRecord,
    result: MatrixResult,
    request: MatrixDistanceCreate,
    here: Resources,
    on_progress: OnProgress,
) -> list[ArtifactRecord]:
    caption = f"{request.backbone} features, {request.method} label distances, {request.transport} transport"
    with TemporaryDirectory(prefix="ot3l-") as folder:
        upper, lower, png, svg = (
            Path(folder) / name for name in ("matrix.csv", "matrix_lower.csv", "heatmap.png", "heatmap.svg")
        )
        write_matrix(upper, result.datasets, result.upper)
        write_matrix(lower, result.datasets, result.lower)
        on_progress(0.2)
        draw_heatmap((png, svg), result, caption=caption)
        on_progress(0.8)
        return [store_artifact(record, path, here.blobs) for path in (upper, lower, png, svg)]

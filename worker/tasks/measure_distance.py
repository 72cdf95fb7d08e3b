"""Measure the distance between two registered datasets."""

from functools import partial
from uuid import UUID

from celery import shared_task

from app.queue import TaskName
from app.schemas.distances import (
    CertifiedDistance,
    DistanceCreate,
    DistanceResult,
    RankStabilityRead,
)
from app.store.records import DatasetRecord, DistanceRecord
from ot3l_core.data.samples import LabelledSamples
from ot3l_core.finetune.backbones import Backbone
from ot3l_core.names import ClassScore, Phase
from ot3l_core.otd import class_scores, dataset_distance, label_distances, rank_stability, scale_features
from ot3l_core.progress import OnProgress, portion
from worker.inputs import draw, embed_split, open_backbone, open_registered
from worker.lifecycle import Lifecycle, Outcome, Reporter
from worker.outputs import describe_classes
from worker.resources import Resources, resources


@shared_task(name=TaskName.MEASURE_DISTANCE)
def measure_distance(work_id: str) -> None:
    """Measure one distance."""
    here = resources()
    Lifecycle(here.database, here.settings, DistanceRecord, partial(_compute, here=here)).run(UUID(work_id))


def _compute(record: DistanceRecord, reporter: Reporter, here: Resources) -> Outcome:
    request = DistanceCreate.model_validate(record.request)
    reporter.enter(Phase.READING)
    backbone = open_backbone(request, here)
    on_progress = reporter.enter(Phase.EMBEDDING)
    source = _embed(record.source, request, backbone, here, portion(on_progress, 0.0, 0.5))
    target = _embed(record.target, request, backbone, here, portion(on_progress, 0.5, 1.0))
    result = measure(source, target, request, reporter.enter(Phase.MEASURING))
    return Outcome({"result": result.model_dump(mode="json")})


def _embed(
    record: DatasetRecord, request: DistanceCreate, backbone: Backbone, here: Resources, on_progress: OnProgress
) -> LabelledSamples:
    dataset = open_registered(record)
    drawn = draw(dataset.pool, request.max_samples)
    return embed_split(
        drawn, dataset.classes, backbone=backbone, request=request, resources=here, on_progress=on_progress
    )


def measure(
    source: LabelledSamples, target: LabelledSamples, request: DistanceCreate, on_progress: OnProgress
) -> DistanceResult:
    """Every distance that a request asks for."""
    source, target = scale_features(source, target, scaling=request.scaling)
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
    return DistanceResult(
        dataset_distance=CertifiedDistance.model_validate(whole),
        source_classes=list(source.classes),
        target_classes=list(target.classes),
        label_distances=distances.tolist(),
        classes=describe_classes(distances, scores, source.classes, target.classes),
        rank_stability=RankStabilityRead.model_validate(stability) if stability else None,
        n_source=len(source),
        n_target=len(target),
    )

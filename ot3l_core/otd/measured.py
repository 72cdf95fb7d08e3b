"""Everything that selection wants to know of how far a target's pool lies from a source."""

from dataclasses import dataclass

from torch import Tensor

from ot3l_core.data.samples import LabelledSamples
from ot3l_core.names import ClassScore, FeatureScaling, LabelDistanceMethod
from ot3l_core.otd.dataset_distance import dataset_distance
from ot3l_core.otd.label_distances import label_distances
from ot3l_core.otd.scaling import scale_features
from ot3l_core.otd.scores import class_scores
from ot3l_core.progress import OnProgress, ignore_progress, portion


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Distances from the source to the target's pool.

    Attributes:
        label_distances: W2 in feature units, shape ``(K, L)``.
        class_scores: How far each target class is, shape ``(L,)``.
        sample_scores: Each pool sample's share of the transport cost, shape ``(M,)``; None where nothing asked for it.
    """

    label_distances: Tensor
    class_scores: Tensor
    sample_scores: Tensor | None


def measure(
    source: LabelledSamples,
    pool: LabelledSamples,
    *,
    label_distance: LabelDistanceMethod,
    class_score: ClassScore,
    scaling: FeatureScaling,
    with_sample_scores: bool,
    seed: int,
    on_progress: OnProgress = ignore_progress,
) -> Measured:
    """Measure class by class and, where a score needs the transport plan, as a whole.

    Args:
        source: Features of K classes.
        pool: Features of L classes.
        label_distance: Distance between the features of two classes.
        class_score: How a class's distances become its score; ``plan`` needs the transport plan.
        scaling: How features are brought to one scale.
        with_sample_scores: Whether every sample's share is wanted; needs the plan, too.
        seed: Of the methods that draw.
        on_progress: Told the finished share; may raise to stop.

    Raises:
        MissingClassError: If a class has no samples.
    """
    source.require_every_class("source")
    pool.require_every_class("target")
    source, pool = scale_features(source, pool, scaling=scaling)
    distances = label_distances(
        source, pool, method=label_distance, seed=seed, on_progress=portion(on_progress, 0.0, 0.5)
    )
    if class_score is not ClassScore.PLAN and not with_sample_scores:
        return Measured(distances, class_scores(distances, class_score=class_score), None)
    whole = dataset_distance(
        source, pool, label_cost=distances.square(), seed=seed, on_progress=portion(on_progress, 0.5, 1.0)
    )
    scores = class_scores(distances, class_score=class_score, class_plan=whole.class_plan)
    return Measured(distances, scores, whole.sample_scores)

"""Which target classes are far from the source, and how far to trust the ranking."""

from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ot3l_core.data.samples import LabelledSamples
from ot3l_core.errors import InvalidSettingError, MissingClassError
from ot3l_core.names import ClassScore, LabelDistanceMethod
from ot3l_core.otd.label_distances import label_distances
from ot3l_core.progress import OnProgress, ignore_progress


@dataclass(frozen=True, slots=True)
class RankStability:
    """How well class rankings from resampled data agree.

    Attributes:
        mean: Mean Spearman correlation over all pairs of resamples, in [-1, 1].
        spread: Its standard deviation over the pairs.
        n_resamples: Rankings compared.
    """

    mean: float
    spread: float
    n_resamples: int


def class_scores(label_distances: Tensor, *, class_score: ClassScore, class_plan: Tensor | None = None) -> Tensor:
    """How far each target class is from the source.

    Args:
        label_distances: Distance between source class k and target class l, shape ``(K, L)``.
        class_score: ``mean`` or ``nearest`` over the source classes, or their average under the plan.
        class_plan: Mass moved between classes, shape ``(K, L)``; read by ``plan`` only.

    Returns:
        Shape ``(L,)``, in feature units; higher is farther.

    Raises:
        InvalidSettingError: If ``plan`` is asked for without a plan.
        MissingClassError: If the plan moves nothing onto a class.

    Source:
        METHOD section 2.
    """
    match class_score:
        case ClassScore.MEAN:
            return label_distances.mean(0)
        case ClassScore.NEAREST:
            return label_distances.amin(0)
        case ClassScore.PLAN:
            if class_plan is None:
                raise InvalidSettingError(
                    "the class score 'plan' needs the class_plan of a dataset distance: pass it or use 'mean'",
                    field="class_score",
                )
            received = class_plan.sum(0)
            if not (received > 0).all():
                unreached = torch.nonzero(received <= 0).flatten().tolist()
                raise MissingClassError(
                    f"the plan moves nothing onto the target classes with labels {unreached[:5]}: "
                    "give these classes samples or leave them out",
                    field="class_plan",
                )
            return (class_plan * label_distances).sum(0) / received


def rank_stability(
    source: LabelledSamples,
    target: LabelledSamples,
    *,
    method: LabelDistanceMethod,
    class_score: ClassScore,
    n_resamples: int = 10,
    seed: int = 0,
    on_progress: OnProgress = ignore_progress,
) -> RankStability:
    """Rank the target classes on bootstrap resamples and compare the rankings.

    Samples are redrawn with replacement inside each class of both datasets. Two rankings that are both constant (one
    class, or equal scores) agree, at 1; a constant one says nothing about another, at 0.

    Args:
        source: Samples of K classes.
        target: Samples of L classes with the same features.
        method: Distance between two classes.
        class_score: ``mean`` or ``nearest``.
        n_resamples: Rankings to compare, at least 2.
        seed: Draws the resamples.
        on_progress: Called throughout.

    Raises:
        InvalidSettingError: If there are fewer than 2 resamples or the score is ``plan``.
        ShapeMismatchError: If the feature dimensions differ.
        DataError: If a class has no samples or a feature is not finite.

    Source:
        efron1979bootstrap.
    """
    if n_resamples < 2:
        raise InvalidSettingError(f"n_resamples must be at least 2: got {n_resamples}", field="n_resamples")
    if class_score is ClassScore.PLAN:
        raise InvalidSettingError(
            "rank stability is defined for the class scores 'mean' and 'nearest', not for 'plan'", field="class_score"
        )
    generator = torch.Generator().manual_seed(seed)
    rankings = []
    for index in range(n_resamples):
        distances = label_distances(
            _resample(source, generator),
            _resample(target, generator),
            method=method,
            seed=seed,
            on_progress=partial(_report_part, on_progress, index, n_resamples),
        )
        rankings.append(_ranks(class_scores(distances, class_score=class_score)))
    agreements = np.array([_correlation(one, other) for one, other in combinations(rankings, 2)])
    return RankStability(float(agreements.mean()), float(agreements.std()), n_resamples)


def _report_part(on_progress: OnProgress, n_done: int, n_parts: int, share: float) -> None:
    on_progress((n_done + share) / n_parts)


def _resample(samples: LabelledSamples, generator: torch.Generator) -> LabelledSamples:
    """As many samples of each class, redrawn with replacement."""
    labels = samples.labels.cpu()
    chosen = torch.empty_like(labels)
    for k in sorted(set(labels.tolist())):
        members = torch.nonzero(labels == k).flatten()
        chosen[members] = members[torch.randint(len(members), (len(members),), generator=generator)]
    return samples.take(chosen.to(samples.labels.device))


def _ranks(scores: Tensor) -> npt.NDArray[np.float64]:
    """Ranks, shared by ties; scores within 1e-9 of each other are ties, for they differ by rounding."""
    from scipy.stats import rankdata  # noqa: PLC0415 - keeps importing this package light

    values = scores.cpu().numpy()
    tie = 1e-9 * max(float(np.abs(values).max()), np.finfo(np.float64).tiny)
    return np.asarray(rankdata(np.round(values / tie)), dtype=np.float64)


def _correlation(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    """Spearman's correlation, defined for constant rankings too."""
    one, other = one - one.mean(), other - other.mean()
    norms = float(np.linalg.norm(one)), float(np.linalg.norm(other))
    if not any(norms):
        return 1.0
    return float(one @ other) / (norms[0] * norms[1]) if all(norms) else 0.0

"""Which samples of a pool to train on, by every strategy there is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from ot3l_core.data.samples import LabelledSamples
from ot3l_core.errors import InvalidSettingError, ShapeMismatchError, TooFewSamplesError
from ot3l_core.names import Strategy, Unit
from ot3l_core.progress import OnProgress, ignore_progress
from ot3l_core.selection.draws import UNIFORM, Indices, Labels, Scores, draw, even_quotas, stratified
from ot3l_core.selection.far_and_near import far_and_near
from ot3l_core.selection.fitting import fit_greedily
from ot3l_core.selection.geometry import selection_space
from ot3l_core.selection.quantisation import medoids, quantise
from ot3l_core.selection.settings import SelectionSettings

_Picks: TypeAlias = tuple[tuple[str, Indices], ...]

# ``fitted`` spends half of its budget on medoids, less this many a class, and the rest where it teaches the head most.
_FITTED_FIRST = 5


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """The samples to train on.

    Attributes:
        indices: Their places in the pool, ascending and unique, int64, shape ``(n,)``.
        reasons: Why each was taken: ``far``, ``near``, ``uniform``, ``stratified``, ``medoid``, ``fitted`` or ``all``.
        scores: The score that each was ranked by, its own or its class's, shape ``(n,)``; where samples are ranked.
        shortfall: How many fewer than the budget there were to take.
        shares: Share of the pool that each stands for, shape ``(n,)``; only from ``coverage`` and ``medoids``, where
            samples of another class are stood for by nobody.
        quantisation_error: Optimal transport distance from the pool to the weighted selection, in units of the
            selection space; with the shares.
    """

    indices: Tensor
    reasons: tuple[str, ...]
    scores: Tensor | None
    shortfall: int
    shares: Tensor | None = None
    quantisation_error: float | None = None


def select(  # noqa: PLR0911 - one line a strategy
    pool: LabelledSamples,
    *,
    settings: SelectionSettings,
    class_scores: Tensor | None = None,
    sample_scores: Tensor | None = None,
    seed: int,
    on_progress: OnProgress = ignore_progress,
) -> Selection:
    """Choose samples from a pool.

    - ``set_difference``: random samples of the farthest classes, or the farthest samples;
    - ``random_selection``: random samples of the nearest classes, or the nearest samples;
    - ``mixed``: ``round(alpha budget)`` from the first and the rest from the second, none twice; at 1 and 0 it is the
      first and the second. In between, a side that runs out is made up for by the other;
    - ``uniform``: random; ``stratified``: equally many per class as far as they last; ``extended``: all;
    - ``coverage``: the samples nearest to the centres of k-means over the whole pool; no label is read;
    - ``medoids``: the same inside each class, equally many per class as far as they last;
    - ``fitted``: those from which a least-squares head learns the labels of the whole pool best, after medoids of each
      class for half of the budget, less five a class.

    Ties go to the lower index. The draws depend on ``seed`` alone, on every device and version of numpy; k-means starts
    from scikit-learn's.

    Args:
        pool: N samples, L classes; classes without samples never count.
        settings: What to choose.
        class_scores: Shape ``(L,)``, higher is farther; needed for the unit ``class``.
        sample_scores: Shape ``(N,)``, higher is farther; needed for the unit ``sample``.
        seed: Draws the samples.
        on_progress: Called while ``fitted`` chooses; what it raises stops the work.

    Raises:
        TooFewSamplesError: If the pool is empty.
        InvalidSettingError: If the strategy needs scores that are not there, or that are not finite.
        ShapeMismatchError: If the scores do not fit the pool.

    Source:
        METHOD section 3.
    """
    if len(pool) == 0:
        raise TooFewSamplesError("the pool to select from has no samples: at least one is needed", field="target")
    labels: Labels = pool.labels.cpu().numpy()
    match settings.strategy:
        case Strategy.EXTENDED:
            return _as_selection((("all", np.arange(len(pool))),), settings)
        case Strategy.UNIFORM:
            return _as_selection((("uniform", draw(len(pool), seed, UNIFORM)[: settings.budget]),), settings)
        case Strategy.STRATIFIED:
            return _as_selection((("stratified", stratified(labels, pool.n_classes, settings.budget, seed)),), settings)
        case Strategy.SET_DIFFERENCE | Strategy.RANDOM_SELECTION | Strategy.MIXED:
            scores = _scores_by_sample(pool, settings, class_scores, sample_scores)
            return _as_selection(far_and_near(labels, scores, settings, seed), settings, scores)
        case Strategy.COVERAGE:
            return _medoids(pool, [(torch.arange(len(pool)), settings.budget)], settings, seed)
        case Strategy.MEDOIDS:
            return _medoids(pool, _members_and_quotas(pool, settings.budget, seed), settings, seed)
        case Strategy.FITTED:
            return _fitted(pool, settings, seed, on_progress)


def _as_selection(picks: _Picks, settings: SelectionSettings, scores: Scores | None = None) -> Selection:
    indices = np.concatenate([taken for _, taken in picks])
    reasons = [reason for reason, taken in picks for _ in taken]
    order = np.argsort(indices)
    chosen = indices[order].astype(np.int64)
    is_limited = settings.strategy is not Strategy.EXTENDED
    return Selection(
        indices=torch.from_numpy(chosen),
        reasons=tuple(reasons[place] for place in order),
        scores=None if scores is None else torch.from_numpy(scores[chosen]),
        shortfall=max(0, settings.budget - len(chosen)) if is_limited else 0,
    )


def _medoids(
    pool: LabelledSamples, parts: Sequence[tuple[Tensor, int]], settings: SelectionSettings, seed: int
) -> Selection:
    """So many medoids of each part of the pool, and what they stand for there."""
    points = selection_space(pool.features)
    indices, shares, squared_error = [], [], 0.0
    for members, quota in parts:
        found = quantise(points[members], medoids(points[members], quota, seed=seed))
        weight = len(members) / len(pool)
        indices.append(members[found.indices])
        shares.append(found.shares * weight)
        squared_error += found.error**2 * weight
    order = torch.cat(indices).argsort()
    chosen = torch.cat(indices)[order]
    shortfall = max(0, settings.budget - len(chosen))
    return Selection(chosen, ("medoid",) * len(chosen), None, shortfall, torch.cat(shares)[order], squared_error**0.5)


def _fitted(pool: LabelledSamples, settings: SelectionSettings, seed: int, on_progress: OnProgress) -> Selection:
    points = selection_space(pool.features)
    size = min(settings.budget, len(pool))
    n_first = max(0, size // 2 - _FITTED_FIRST * int((pool.class_counts > 0).sum()))
    first = [
        members[medoids(points[members], quota, seed=seed)]
        for members, quota in _members_and_quotas(pool, n_first, seed)
    ]
    start = torch.cat(first) if first else torch.arange(0)
    taken = fit_greedily(
        points, pool.labels.cpu(), n_classes=pool.n_classes, size=size, start=start, on_progress=on_progress
    ).numpy()
    return _as_selection((("medoid", taken[:n_first]), ("fitted", taken[n_first:])), settings)


def _members_and_quotas(pool: LabelledSamples, budget: int, seed: int) -> list[tuple[Tensor, int]]:
    """Places of each class's samples and how many of them to take, for the classes that give any."""
    labels = pool.labels.cpu()
    quotas = even_quotas(labels.numpy(), pool.n_classes, budget, seed).tolist()
    return [(torch.nonzero(labels == label).flatten(), quota) for label, quota in enumerate(quotas) if quota]


def _scores_by_sample(
    pool: LabelledSamples, settings: SelectionSettings, class_scores: Tensor | None, sample_scores: Tensor | None
) -> Scores:
    """The score that decides about each sample, shape ``(N,)``."""
    by_class = settings.unit is Unit.CLASS
    given, name, size = (
        (class_scores, "class_scores", pool.n_classes) if by_class else (sample_scores, "sample_scores", len(pool))
    )
    if given is None:
        raise InvalidSettingError(
            f"the strategy {settings.strategy.value!r} by {settings.unit.value} needs {name}: measure the distance "
            "to a source first, or choose a strategy that reads none, such as 'medoids' or 'coverage'",
            field="strategy",
        )
    if tuple(given.shape) != (size,):
        raise ShapeMismatchError(f"{name} must have shape ({size},): got {tuple(given.shape)}")
    values = given.detach().cpu().double().numpy()
    scores: Scores = values[pool.labels.cpu().numpy()] if by_class else values
    if not np.isfinite(scores).all():
        raise InvalidSettingError(f"{name} must be finite: {int((~np.isfinite(scores)).sum())} are not", field=name)
    return scores

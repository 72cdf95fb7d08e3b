"""The paper's strategies and the baselines to hold them against."""

from dataclasses import dataclass
from math import ceil
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ot3l_core.errors import InvalidSettingError, ShapeMismatchError, TooFewSamplesError
from ot3l_core.names import Strategy, Unit
from ot3l_core.selection.settings import SelectionSettings

_Labels: TypeAlias = npt.NDArray[np.int64]
_Scores: TypeAlias = npt.NDArray[np.float64]
_Indices: TypeAlias = npt.NDArray[np.intp]
_Picks: TypeAlias = tuple[tuple[str, _Indices], ...]

# One stream of random bits for each purpose: ``mixed`` draws the same far samples as ``set_difference``.
_FAR, _NEAR, _UNIFORM, _STRATIFIED, _REMAINDER = range(5)


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """The samples to train on.

    Attributes:
        indices: Their places in the pool, ascending and unique, int64, shape ``(n,)``.
        reasons: Why each was taken: ``far``, ``near``, ``uniform``, ``stratified`` or ``all``.
        scores: The score that each was ranked by, its own or its class's, shape ``(n,)``; none for the baselines.
        shortfall: How many fewer than the budget there were to take.
    """

    indices: Tensor
    reasons: tuple[str, ...]
    scores: Tensor | None
    shortfall: int


def select(
    labels: Tensor,
    *,
    n_classes: int,
    settings: SelectionSettings,
    class_scores: Tensor | None,
    sample_scores: Tensor | None,
    seed: int,
) -> Selection:
    """Choose samples from a pool.

    - ``set_difference``: random samples of the farthest classes, or the farthest samples;
    - ``random_selection``: random samples of the nearest classes, or the nearest samples;
    - ``mixed``: ``round(alpha budget)`` from the first and the rest from the second, none twice; at 1 and 0 it is the
      first and the second. In between, a side that runs out is made up for by the other;
    - ``uniform``: random; ``stratified``: equally many per class as far as they last; ``extended``: all.

    Ties go to the lower index. The draws depend on ``seed`` alone, on every device and version of numpy.

    Args:
        labels: Class of each sample of the pool, shape ``(N,)``.
        n_classes: L; classes without samples never count.
        settings: What to choose.
        class_scores: Shape ``(L,)``, higher is farther; needed for the unit ``class``.
        sample_scores: Shape ``(N,)``, higher is farther; needed for the unit ``sample``.
        seed: Draws the samples.

    Raises:
        TooFewSamplesError: If the pool is empty.
        InvalidSettingError: If the strategy needs scores that are not there, or that are not finite.
        ShapeMismatchError: If the scores do not fit the labels.

    Source:
        METHOD section 3.
    """
    pool = labels.cpu().numpy()
    if len(pool) == 0:
        raise TooFewSamplesError("the pool to select from has no samples: at least one is needed", field="target")
    scores: _Scores | None = None
    match settings.strategy:
        case Strategy.EXTENDED:
            picks: _Picks = (("all", np.arange(len(pool))),)
        case Strategy.UNIFORM:
            picks = (("uniform", _draw(len(pool), seed, _UNIFORM)[: settings.budget]),)
        case Strategy.STRATIFIED:
            picks = (("stratified", _stratified(pool, n_classes, settings.budget, seed)),)
        case Strategy.SET_DIFFERENCE | Strategy.RANDOM_SELECTION | Strategy.MIXED:
            scores = _scores_by_sample(pool, n_classes, settings, class_scores, sample_scores)
            far, near = (_queue(pool, scores, settings, seed, stream) for stream in (_FAR, _NEAR))
            picks = _far_and_near(far, near, settings)
    return _as_selection(picks, scores, settings)


def _as_selection(picks: _Picks, scores: _Scores | None, settings: SelectionSettings) -> Selection:
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


def _scores_by_sample(
    pool: _Labels,
    n_classes: int,
    settings: SelectionSettings,
    class_scores: Tensor | None,
    sample_scores: Tensor | None,
) -> _Scores:
    """The score that decides about each sample, shape ``(N,)``."""
    by_class = settings.unit is Unit.CLASS
    given, name, size = (
        (class_scores, "class_scores", n_classes) if by_class else (sample_scores, "sample_scores", len(pool))
    )
    if given is None:
        raise InvalidSettingError(
            f"the strategy {settings.strategy.value!r} by {settings.unit.value} needs {name}: measure the distance "
            "to a source first, or choose 'uniform' or 'stratified'",
            field="strategy",
        )
    if tuple(given.shape) != (size,):
        raise ShapeMismatchError(f"{name} must have shape ({size},): got {tuple(given.shape)}")
    values = given.detach().cpu().double().numpy()
    scores = values[pool] if by_class else values
    if not np.isfinite(scores).all():
        raise InvalidSettingError(f"{name} must be finite: {int((~np.isfinite(scores)).sum())} are not", field=name)
    return scores


def _far_and_near(far: _Indices, near: _Indices, settings: SelectionSettings) -> _Picks:
    """Take from two queues, each sample once."""
    alpha = {Strategy.SET_DIFFERENCE: 1.0, Strategy.RANDOM_SELECTION: 0.0}.get(settings.strategy, settings.alpha)
    if alpha == 1:
        return (("far", far[: settings.budget]),)
    if alpha == 0:
        return (("near", near[: settings.budget]),)
    n_far = round(alpha * settings.budget)
    from_far, spare_far = far[:n_far], far[n_far:]
    from_near = near[~np.isin(near, from_far)][: settings.budget - len(from_far)]
    n_missing = settings.budget - len(from_far) - len(from_near)
    made_up = spare_far[~np.isin(spare_far, from_near)][:n_missing]
    return (("far", from_far), ("near", from_near), ("far", made_up))


def _queue(pool: _Labels, scores: _Scores, settings: SelectionSettings, seed: int, stream: int) -> _Indices:
    """Samples in the order in which a side gives them away."""
    farness = scores if stream == _FAR else -scores
    if settings.unit is Unit.SAMPLE:
        return np.argsort(-farness, kind="stable")
    present, first_places = np.unique(pool, return_index=True)
    # A product like 0.07 * 100 lies a last digit above 7 and must not count as more.
    n_chosen = max(1, ceil(settings.class_fraction * len(present) - 1e-9))
    chosen = present[np.argsort(-farness[first_places], kind="stable")[:n_chosen]]
    order = _draw(len(pool), seed, stream)
    return order[np.isin(pool[order], chosen)]


def _stratified(pool: _Labels, n_classes: int, budget: int, seed: int) -> _Indices:
    """As many of each class as fill the budget evenly; the remainder goes to classes drawn at random."""
    counts = np.bincount(pool, minlength=n_classes)
    quotas = np.zeros_like(counts)
    missing = min(budget, len(pool))
    while missing >= (n_open := int((quotas < counts).sum())) > 0:
        quotas += np.minimum(counts - quotas, missing // n_open)
        missing = min(budget, len(pool)) - int(quotas.sum())
    drawn = _draw(n_classes, seed, _REMAINDER)
    quotas[drawn[quotas[drawn] < counts[drawn]][:missing]] += 1
    order = _draw(len(pool), seed, _STRATIFIED)
    return np.concatenate([order[pool[order] == k][: quotas[k]] for k in range(n_classes)])


def _draw(n: int, seed: int, stream: int) -> _Indices:
    """A random order of ``n`` things, from raw bits: numpy keeps these, but not its permutations, for ever."""
    bits = np.random.PCG64(np.random.SeedSequence([seed % 2**64, stream])).random_raw(n)
    return np.argsort(bits, kind="stable")

"""The paper's strategies: samples far from the source, samples near to it, and a mix of both."""

from math import ceil

import numpy as np

from ot3l_core.names import Strategy, Unit
from ot3l_core.selection.draws import FAR, NEAR, Indices, Labels, Scores, draw
from ot3l_core.selection.settings import SelectionSettings


def far_and_near(
    pool: Labels, scores: Scores, settings: SelectionSettings, seed: int
) -> tuple[tuple[str, Indices], ...]:
    """Take from the far queue and from the near one, each sample once.

    Args:
        pool: Class of each sample, shape ``(n,)``.
        scores: How far each sample, or its class, is, shape ``(n,)``.
        settings: Strategy, alpha, budget, class fraction and unit.
        seed: Draws the samples of the chosen classes.

    Returns:
        Places of the samples taken, with the reason.

    Source:
        METHOD section 3.
    """
    far, near = (_queue(pool, scores, settings, seed, stream) for stream in (FAR, NEAR))
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


def _queue(pool: Labels, scores: Scores, settings: SelectionSettings, seed: int, stream: int) -> Indices:
    """Samples in the order in which a side gives them away."""
    farness = scores if stream == FAR else -scores
    if settings.unit is Unit.SAMPLE:
        return np.argsort(-farness, kind="stable")
    present, first_places = np.unique(pool, return_index=True)
    # A product like 0.07 * 100 lies a last digit above 7 and must not count as more.
    n_chosen = max(1, ceil(settings.class_fraction * len(present) - 1e-9))
    chosen = present[np.argsort(-farness[first_places], kind="stable")[:n_chosen]]
    order = draw(len(pool), seed, stream)
    return order[np.isin(pool[order], chosen)]

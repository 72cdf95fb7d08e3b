"""Choosing the mixing coefficient on validation data."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor

from ot3l_core.data.samples import LabelledSamples
from ot3l_core.errors import TooFewSamplesError
from ot3l_core.finetune.backbones import Backbone
from ot3l_core.finetune.evaluation import Evaluation, evaluate
from ot3l_core.finetune.heads import Head
from ot3l_core.finetune.training import TrainingSettings, train_head
from ot3l_core.finetune.validation import validation_split
from ot3l_core.names import Phase
from ot3l_core.progress import NOBODY, Listener
from ot3l_core.selection import Selection

_HELD_OUT: Final = 0.2


@dataclass(frozen=True, slots=True)
class AlphaPoint:
    """One mixing coefficient.

    Attributes:
        alpha: Share of far samples.
        validation: Of each seed's head on the samples held out for the choice.
        test: Of the same heads on the test split; for the reader, it has no say.
    """

    alpha: float
    validation: tuple[Evaluation, ...]
    test: tuple[Evaluation, ...]


@dataclass(frozen=True, slots=True)
class AlphaSweep:
    """How a mixing coefficient was chosen.

    Attributes:
        points: One for each alpha, ascending.
        chosen: The alpha with the highest mean validation accuracy; of equals, the one with the lowest mean log loss.
        n_labels: How many labelled samples the choice took, for the seed that took most: more than the budget.
    """

    points: tuple[AlphaPoint, ...]
    chosen: float
    n_labels: int


def sweep_alpha(
    selections: Mapping[float, Sequence[Selection]],
    *,
    backbone: Backbone,
    pool: LabelledSamples,
    test: LabelledSamples,
    training: TrainingSettings,
    seeds: Sequence[int],
    listener: Listener = NOBODY,
) -> AlphaSweep:
    """Train a head for every alpha and seed, and compare them on samples that none of a seed's heads was trained on.

    Each alpha selects other classes, so that a validation split of its own would make the one that sees the fewest look
    best. One split is therefore cut, for each seed, from all that any alpha selects; it leaves every training set.

    Args:
        selections: For each alpha what it selects from the pool, one selection for each seed.
        backbone: As for ``train_head``.
        pool: What was selected from.
        test: Evaluated on for the reader.
        training: How to train; nothing more is held out.
        seeds: Of the trainings and the splits.
        listener: Told the finished share, and of each epoch with the alpha that it is for.

    Raises:
        TooFewSamplesError: If too few samples are selected to hold any out.
    """
    training = replace(training, validation_fraction=0.0)
    validation: dict[float, list[Evaluation]] = {alpha: [] for alpha in sorted(selections)}
    tested: dict[float, list[Evaluation]] = {alpha: [] for alpha in validation}
    n_runs, n_labels, done = len(seeds) * len(selections), 0, 0
    for number, seed in enumerate(seeds):
        chosen = {alpha: selections[alpha][number].indices for alpha in validation}
        held_out, n_seen = _hold_out(pool, list(chosen.values()), seed)
        n_labels = max(n_labels, n_seen)
        for alpha, indices in chosen.items():
            head = train_head(
                pool.features[indices[~torch.isin(indices, held_out)]].to(backbone.device),
                pool.labels[indices[~torch.isin(indices, held_out)]],
                n_classes=pool.n_classes,
                settings=training,
                seed=seed,
                start=backbone.penultimate,
                listener=_trying(alpha, listener.portion(done / n_runs, (done + 1) / n_runs)),
            ).head
            done += 1
            validation[alpha].append(_evaluate(head, pool.take(held_out), backbone))
            tested[alpha].append(_evaluate(head, test, backbone))
    points = tuple(AlphaPoint(alpha, tuple(validation[alpha]), tuple(tested[alpha])) for alpha in validation)
    return AlphaSweep(points, max(points, key=_merit).alpha, n_labels)


def _trying(alpha: float, listener: Listener) -> Listener:
    """Tell epochs as those of the sweep, not of the training that follows it."""
    return replace(
        listener, on_epoch=lambda report: listener.on_epoch(replace(report, phase=Phase.SWEEPING, alpha=alpha))
    )


def _evaluate(head: Head, samples: LabelledSamples, backbone: Backbone) -> Evaluation:
    return evaluate(head.probabilities(samples.features.to(backbone.device)), samples.labels)


def _hold_out(pool: LabelledSamples, selections: Sequence[Tensor], seed: int) -> tuple[Tensor, int]:
    """Places in the pool of the validation samples, and how many samples there were to cut them from."""
    together = torch.cat(list(selections)).unique()  # type: ignore[no-untyped-call]
    _, held_out = validation_split(pool.labels[together], _HELD_OUT, seed=seed)
    if not len(held_out):
        raise TooFewSamplesError(
            f"all alphas together select {len(together)} samples, too few to compare them on a fifth: raise the "
            "budget, or give one alpha",
            field="budget",
        )
    return together[held_out], len(together)


def _merit(point: AlphaPoint) -> tuple[float, float]:
    accuracies = [evaluation.accuracy for evaluation in point.validation]
    return math.fsum(accuracies), -math.fsum(evaluation.log_loss for evaluation in point.validation)

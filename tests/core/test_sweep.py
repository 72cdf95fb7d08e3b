"""Choosing alpha: what decides, what must not, and what it costs in labels."""

from dataclasses import replace

import pytest
import torch

from ot3l_core.data.samples import LabelledSamples
from ot3l_core.errors import Cancelled, TooFewSamplesError
from ot3l_core.finetune.backbones import load_backbone
from ot3l_core.finetune.training import TrainingSettings
from ot3l_core.names import Phase
from ot3l_core.progress import Listener
from ot3l_core.selection import Selection
from ot3l_core.sweep import sweep_alpha

N_CLASSES = 3
TRAINING = TrainingSettings(hidden=8, epochs=6, learning_rate=3e-3, batch_size=32)


@pytest.fixture(scope="module")
def backbone():
    return load_backbone("efficientnet_lite0", input_size=32)


def samples(n, *, seed, noise=1.0):
    """Classes that overlap a little."""
    centres = 0.12 * torch.randn(N_CLASSES, 1280, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(n) % N_CLASSES
    drawn = torch.randn(n, 1280, generator=torch.Generator().manual_seed(seed))
    return LabelledSamples(centres[labels] + noise * drawn, labels, tuple("abc"))


POOL, TEST = samples(600, seed=1), samples(60, seed=2)
EVERYTHING = torch.arange(len(POOL))


def chosen(places):
    return Selection(places, ("far",) * len(places), None, 0)


def of_class(*labels):
    return chosen(torch.nonzero(torch.isin(POOL.labels, torch.tensor(labels))).flatten())


SELECTIONS = {1.0: [of_class(0)] * 2, 0.5: [chosen(EVERYTHING[:300])] * 2, 0.0: [of_class(1)] * 2}


def sweep(backbone, selections=SELECTIONS, *, pool=POOL, test=TEST, seeds=(0, 1), **more):
    return sweep_alpha(selections, backbone=backbone, pool=pool, test=test, training=TRAINING, seeds=seeds, **more)


def test_what_covers_every_class_beats_what_is_sure_of_one(backbone):
    found = sweep(backbone)
    assert [point.alpha for point in found.points] == [0.0, 0.5, 1.0]
    assert found.chosen == 0.5
    accuracies = [sum(evaluation.accuracy for evaluation in point.validation) for point in found.points]
    assert accuracies[1] == max(accuracies)


def test_the_test_split_has_no_say(backbone):
    spoilt = LabelledSamples(TEST.features, (TEST.labels + 1) % N_CLASSES, TEST.classes)
    honest, misled = sweep(backbone), sweep(backbone, test=spoilt)
    assert honest.chosen == misled.chosen
    for one, other in zip(honest.points, misled.points, strict=True):
        assert one.validation == other.validation
        assert one.test != other.test


def test_all_alphas_are_judged_on_the_same_samples_of_all_that_any_selects(backbone):
    found = sweep(backbone)
    everything = torch.cat([selections[0].indices for selections in SELECTIONS.values()]).unique()
    assert found.n_labels == len(everything)
    for number in range(2):
        tallies = {tuple(map(sum, point.validation[number].confusion)) for point in found.points}
        assert len(tallies) == 1
        assert sum(tallies.pop()) == pytest.approx(len(everything) / 5, abs=N_CLASSES)


def test_of_equals_the_one_with_the_lowest_loss_is_taken(backbone):
    alike = [chosen(EVERYTHING[:300])]
    few = [chosen(EVERYTHING[:270])]
    found = sweep(backbone, {0.25: alike, 0.75: alike, 0.5: few}, seeds=(0,))
    losses = {point.alpha: point.validation[0].log_loss for point in found.points}
    accuracies = {point.alpha: point.validation[0].accuracy for point in found.points}
    best = max(accuracies, key=lambda alpha: (accuracies[alpha], -losses[alpha]))
    assert losses[0.25] == losses[0.75]
    assert found.chosen in {best, 0.25, 0.75}
    assert (accuracies[found.chosen], losses[found.chosen]) == (accuracies[best], losses[best])


def test_the_same_again_is_the_same(backbone):
    assert sweep(backbone) == sweep(backbone)


def test_too_few_samples_name_the_budget(backbone):
    with pytest.raises(TooFewSamplesError, match="fifth") as caught:
        sweep(backbone, {0.0: [chosen(EVERYTHING[:30])], 1.0: [chosen(EVERYTHING[30:60])]}, seeds=(0,))
    assert caught.value.field == "budget"


def test_progress_rises_to_the_end_and_can_stop_the_work(backbone):
    shares = []
    sweep(backbone, listener=Listener(shares.append))
    assert shares == sorted(shares)
    assert shares[-1] == 1.0

    def stop(share):
        if share > 0.5:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        sweep(backbone, listener=Listener(stop))


def test_every_epoch_is_told_with_the_alpha_that_it_is_for(backbone):
    told, swapped = [], []
    assert sweep(backbone, listener=Listener(on_epoch=told.append)) == sweep(backbone)
    places = [(report.seed, report.alpha, report.epoch) for report in told]
    epochs = range(1, TRAINING.epochs + 1)
    assert places == [(seed, alpha, epoch) for seed in (0, 1) for alpha in (0.0, 0.5, 1.0) for epoch in epochs]
    assert {report.phase for report in told} == {Phase.SWEEPING}
    mirrored = {1.0 - alpha: selections for alpha, selections in SELECTIONS.items()}
    sweep(backbone, mirrored, listener=Listener(on_epoch=swapped.append))
    assert {replace(report, alpha=1.0 - report.alpha) for report in swapped} == set(told)
    assert len({report.train_loss for report in told}) == len(told)

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import cross_entropy

from ot3l_core.errors import Cancelled, InvalidSettingError, ShapeMismatchError, TooFewSamplesError
from ot3l_core.finetune.heads import extend_pretrained, measure_scale, unfold_scale
from ot3l_core.finetune.training import TrainingSettings, train_head
from ot3l_core.finetune.validation import validation_split
from ot3l_core.names import Phase
from ot3l_core.progress import Listener

QUICK = TrainingSettings(hidden=16, epochs=8, learning_rate=3e-3)


def blobs(n, n_classes=3, dim=10, spread=0.3, seed=0):
    """Classes around the axes, far from 0 and on a scale of their own."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % n_classes
    features = torch.eye(dim)[labels] + spread * torch.randn(n, dim, generator=generator)
    return 50 + 7 * features, labels


def weights_of(trained):
    return torch.cat([tensor.flatten() for tensor in trained.head.state_dict().values()])


def test_separable_classes_are_learned():
    features, labels = blobs(600, spread=0.1)
    trained = train_head(features, labels, n_classes=3, settings=QUICK, seed=0)
    unseen, truth = blobs(300, spread=0.1, seed=1)
    assert (trained.head.probabilities(unseen).argmax(dim=1) == truth).all()
    assert trained.history[trained.best_epoch - 1].validation_accuracy == 1.0
    assert trained.history[-1].train_loss < trained.history[0].train_loss


def test_the_same_seed_gives_the_same_bits_whatever_the_global_generator_does():
    features, labels = blobs(600)
    torch.manual_seed(1)
    first = train_head(features, labels, n_classes=3, settings=QUICK, seed=5)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    second = train_head(features, labels, n_classes=3, settings=QUICK, seed=5)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(weights_of(first), weights_of(second))
    assert first.history == second.history
    other = train_head(features, labels, n_classes=3, settings=QUICK, seed=6)
    assert not torch.equal(weights_of(first), weights_of(other))


def test_shifting_and_stretching_all_features_changes_no_prediction():
    features, labels = blobs(200)
    plain = train_head(features, labels, n_classes=3, settings=QUICK, seed=0)
    moved = train_head(features * 64 - 1000, labels, n_classes=3, settings=QUICK, seed=0)
    torch.testing.assert_close(
        moved.head.probabilities(features * 64 - 1000), plain.head.probabilities(features), rtol=1e-2, atol=1e-3
    )


def test_the_best_epoch_has_the_lowest_validation_loss_and_patience_ends_the_rest():
    features, labels = blobs(600, spread=2.0)
    settings = TrainingSettings(hidden=64, epochs=60, learning_rate=1e-2, patience=3)
    trained = train_head(features, labels, n_classes=3, settings=settings, seed=0)
    losses = [epoch.validation_loss for epoch in trained.history]
    assert trained.best_epoch == int(np.argmin(losses)) + 1
    assert trained.best_loss == min(losses)
    assert trained.epochs_run == trained.best_epoch + 3 < 60
    _, held_out = validation_split(labels, settings.validation_fraction, seed=0)
    logits = trained.head(features[held_out]).detach()
    uncalibrated = cross_entropy(logits * trained.temperature, labels[held_out])
    assert uncalibrated.item() == pytest.approx(trained.best_loss, rel=1e-4)
    assert cross_entropy(logits, labels[held_out]) < uncalibrated


def test_a_batch_is_a_sixteenth_of_the_samples_within_bounds():
    sizes = [TrainingSettings().batch_size_for(n) for n in (1, 50, 160, 1000, 100_000)]
    assert sizes == [4, 4, 10, 62, 64]
    assert TrainingSettings(batch_size=7).batch_size_for(1000) == 7


def test_a_few_labels_get_enough_steps_to_be_learned():
    features, labels = blobs(48)
    few_steps = TrainingSettings(batch_size=64)
    losses = [
        train_head(features, labels, n_classes=3, settings=settings, seed=0).history[-1].train_loss
        for settings in (few_steps, TrainingSettings())
    ]
    assert losses[1] < losses[0] / 2


@pytest.mark.parametrize(("n", "fraction"), [(60, 0.1), (600, 0.0)])
def test_without_a_validation_split_all_epochs_are_run(n, fraction):
    features, labels = blobs(n, spread=2.0)
    settings = TrainingSettings(hidden=16, epochs=6, patience=1, validation_fraction=fraction)
    trained = train_head(features, labels, n_classes=3, settings=settings, seed=0)
    assert trained.epochs_run == trained.best_epoch == 6
    assert trained.best_loss == trained.history[-1].train_loss
    assert trained.history[-1].validation_loss is None


def test_a_pretrained_start_is_where_training_begins():
    features, labels = blobs(60)
    start = nn.Sequential(nn.Linear(10, 12), nn.Hardswish())
    still = TrainingSettings(epochs=1, learning_rate=1e-12)
    trained = train_head(features, labels, n_classes=3, settings=still, seed=0, start=start)
    torch.testing.assert_close(trained.head.penultimate(features), start[0](features), rtol=1e-3, atol=1e-3)
    assert trained.head.layout.hidden == 12


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Hardswish, nn.Tanh])
def test_one_step_is_adamws_on_the_gradient_of_autograd(activation):
    features, labels = blobs(60)
    start = nn.Sequential(nn.Linear(10, 12), activation())
    one = TrainingSettings(epochs=1, batch_size=60, learning_rate=1e-3)
    trained = train_head(features, labels, n_classes=3, settings=one, seed=0, start=start).head

    scale = measure_scale(features)
    head = unfold_scale(extend_pretrained(start, 3, seed=0), scale)
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-3, weight_decay=one.weight_decay)
    nn.functional.cross_entropy(head(scale.apply(features)), labels).backward()
    optimizer.step()
    torch.testing.assert_close(trained(features), head(scale.apply(features)), rtol=1e-4, atol=1e-4)


def test_one_sample_is_enough_and_absent_classes_come_out_improbable():
    features, _ = blobs(1)
    trained = train_head(features, torch.tensor([1]), n_classes=4, settings=QUICK, seed=0)
    assert trained.head.probabilities(features).argmax().item() == 1


def test_progress_rises_to_one_and_can_stop_the_work():
    features, labels = blobs(300)
    shares = []
    train_head(features, labels, n_classes=3, settings=QUICK, seed=0, listener=Listener(shares.append))
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)

    def stop(share):
        if share > 0.5:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        train_head(features, labels, n_classes=3, settings=QUICK, seed=0, listener=Listener(stop))


@settings(deadline=None, max_examples=20)
@given(
    n=st.sampled_from([60, 600]),
    epochs=st.integers(1, 6),
    patience=st.integers(1, 3),
    learning_rate=st.sampled_from([1e-3, 3e-2]),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_epoch_is_told_once_as_it_stands_in_the_history(n, epochs, patience, learning_rate, seed):
    features, labels = blobs(n, spread=2.0)
    asked = TrainingSettings(hidden=8, epochs=epochs, patience=patience, learning_rate=learning_rate)
    told = []
    trained = train_head(
        features, labels, n_classes=3, settings=asked, seed=seed, listener=Listener(on_epoch=told.append)
    )
    expected = [
        epoch.report(number, phase=Phase.TRAINING, seed=seed) for number, epoch in enumerate(trained.history, 1)
    ]
    assert told == expected
    unheard = train_head(features, labels, n_classes=3, settings=asked, seed=seed)
    assert torch.equal(weights_of(trained), weights_of(unheard))


def test_an_epoch_is_told_before_the_next_one_begins_and_can_stop_the_work():
    features, labels = blobs(300)
    heard = []

    def stop(report):
        heard.append(report)
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        train_head(features, labels, n_classes=3, settings=QUICK, seed=0, listener=Listener(heard.append, stop))
    *shares, report = heard
    assert max(shares) < 1 / QUICK.epochs
    assert report.epoch == 1


def test_an_epoch_that_diverges_is_not_told():
    features, labels = blobs(60)
    features[3] = torch.nan
    told = []
    with pytest.raises(InvalidSettingError):
        train_head(features, labels, n_classes=3, settings=QUICK, seed=0, listener=Listener(on_epoch=told.append))
    assert not told


def test_features_that_are_no_numbers_end_training_with_a_reason():
    features, labels = blobs(60)
    features[3] = torch.nan
    with pytest.raises(InvalidSettingError, match="diverged in epoch 1") as caught:
        train_head(features, labels, n_classes=3, settings=QUICK, seed=0)
    assert caught.value.field == "learning_rate"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden", 0),
        ("epochs", 0),
        ("batch_size", 0),
        ("patience", 0),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("weight_decay", -1.0),
        ("validation_fraction", 0.6),
    ],
)
def test_settings_outside_their_domain_are_refused_by_name(name, value):
    with pytest.raises(InvalidSettingError) as caught:
        TrainingSettings(**{name: value})
    assert caught.value.field == name


def test_inputs_that_do_not_fit_are_refused():
    features, labels = blobs(60)
    with pytest.raises(ShapeMismatchError):
        train_head(features, labels[1:], n_classes=3, settings=QUICK, seed=0)
    with pytest.raises(ShapeMismatchError):
        train_head(features, labels, n_classes=2, settings=QUICK, seed=0)
    with pytest.raises(ShapeMismatchError):
        train_head(
            features, labels, n_classes=3, settings=QUICK, seed=0, start=nn.Sequential(nn.Linear(9, 4), nn.ReLU())
        )
    with pytest.raises(TooFewSamplesError):
        train_head(features[:0], labels[:0], n_classes=3, settings=QUICK, seed=0)


@settings(deadline=None, max_examples=60)
@given(
    counts=st.lists(st.integers(0, 400), min_size=1, max_size=8).filter(any),
    fraction=st.floats(0, 0.5),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_validation_split_is_a_stratified_part(counts, fraction, seed):
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    chosen, held_out = validation_split(labels, fraction, seed=seed)
    assert torch.equal(torch.cat([chosen, held_out]).sort().values, torch.arange(len(labels)))
    left = torch.bincount(labels[chosen], minlength=len(counts))
    assert ((left > 0) == (torch.tensor(counts) > 0)).all()
    if len(held_out):
        assert 50 - len(counts) <= len(held_out) <= round(fraction * len(labels))
        out = torch.bincount(labels[held_out], minlength=len(counts))
        share = round(fraction * len(labels)) / len(labels)
        assert (out - share * torch.tensor(counts)).abs().max() <= 1
    again = validation_split(labels, fraction, seed=seed)
    assert torch.equal(again[1], held_out)

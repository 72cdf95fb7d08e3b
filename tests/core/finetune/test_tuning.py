import os
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import nn

from ot3l_core.data.features import embed
from ot3l_core.data.images import ArrayImages, ImageSplit
from ot3l_core.errors import Cancelled, InvalidSettingError, ShapeMismatchError, TooFewSamplesError
from ot3l_core.finetune.augmentation import Augmentation
from ot3l_core.finetune.blocks import list_blocks
from ot3l_core.finetune.checkpoints import CheckpointMetadata, load_checkpoint, save_checkpoint
from ot3l_core.finetune.course import Course
from ot3l_core.finetune.heads import HeadLayout, build_head
from ot3l_core.finetune.training import TrainingSettings, train_head
from ot3l_core.finetune.tuning import tune
from ot3l_core.finetune.tuning_settings import TuningSettings
from ot3l_core.finetune.validation import validation_split
from ot3l_core.finetune.weights import digest_of
from ot3l_core.names import Phase, Precision
from ot3l_core.progress import Listener

from . import tuning_process

CPU = torch.device("cpu")
VARIED = Augmentation(0.6, flip=True, colour_jitter=0.1)
QUICK = TuningSettings(blocks=1, epochs=3, augmentation=VARIED, validation_fraction=0.0)


def striped_split(n, n_classes=3, seed=0, noise=60):
    """Pictures whose classes differ in the direction and width of their stripes."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % n_classes
    waves = np.stack([np.indices((12, 12)).sum(axis=0), *np.indices((12, 12))])[labels % 3] * (
        1 + labels[:, None, None] // 3
    )
    pixels = np.clip(128 + 80 * np.sin(waves) + rng.normal(0, noise, waves.shape), 0, 255).astype(np.uint8)
    return ImageSplit(ArrayImages(pixels), labels.astype(np.int64), tuple(map(str, range(n))))


def trained_head(backbone, split, seed=0, epochs=10):
    settings = TrainingSettings(hidden=16, epochs=epochs, learning_rate=3e-3, validation_fraction=0.0)
    features = embed(split, backbone, device=CPU, precision=Precision.FLOAT32)
    return train_head(features, torch.from_numpy(split.labels), n_classes=3, settings=settings, seed=seed).head


def probabilities(tuned, split):
    return tuned.head.probabilities(embed(split, tuned.backbone, device=CPU, precision=Precision.FLOAT32))


def log_loss(tuned, split):
    chosen = probabilities(tuned, split).gather(1, torch.from_numpy(split.labels)[:, None])
    return -chosen.log().mean().item()


def reports(tuned, seed):
    curve = enumerate((tuned.start, *tuned.history))
    return [epoch.report(number, phase=Phase.TUNING, seed=seed) for number, epoch in curve]


def bits(tuned):
    return digest_of(digest_of("", tuned.backbone.network.state_dict()), tuned.head.state_dict())


@pytest.fixture(scope="module")
def pictures():
    return striped_split(36)


@pytest.fixture(scope="module")
def head(small, pictures):
    return trained_head(small, pictures, epochs=3)


@pytest.fixture(scope="module")
def small():
    """Two convolutions, one of which is the last block."""
    return tuning_process.small_backbone()


def test_tuning_learns_what_the_head_alone_could_not_and_gives_the_best_epoch_back(backbone):
    split = striped_split(120, noise=30)
    head = trained_head(backbone, split, epochs=2)
    settings = replace(
        QUICK, blocks=None, augmentation=Augmentation(1.0), backbone_learning_rate=1e-3, validation_fraction=0.45
    )
    tuned = tune(backbone, head, split, settings=settings, seed=0)
    losses = [epoch.validation_loss for epoch in (tuned.start, *tuned.history)]
    assert tuned.best_epoch == int(np.argmin(losses)) > 0
    _, held_out = validation_split(torch.from_numpy(split.labels), 0.45, seed=0)
    unseen = split.take(held_out.numpy())
    assert log_loss(tuned, unseen) == pytest.approx(min(losses), rel=1e-4)
    assert log_loss(replace(tuned, backbone=backbone, head=head), unseen) == pytest.approx(losses[0], rel=1e-4)
    assert min(losses) < 0.9 * losses[0]
    assert tuned.backbone.digest != backbone.digest


@pytest.mark.parametrize("blocks", [1, 4])
def test_only_the_last_blocks_and_the_head_move_and_nothing_of_the_callers(backbone, pictures, blocks):
    head = build_head(HeadLayout(576, 16, 3), seed=0)
    given = digest_of("", backbone.network.state_dict()), digest_of("", head.state_dict())
    tuned = tune(backbone, head, pictures, settings=replace(QUICK, blocks=blocks, epochs=1), seed=0)
    assert (digest_of("", backbone.network.state_dict()), digest_of("", head.state_dict())) == given
    assert not any(parameter.requires_grad for parameter in backbone.network.parameters())
    old, new = backbone.network.state_dict(), tuned.backbone.network.state_dict()
    moved = {name for name in old if not torch.equal(old[name], new[name])}
    assert moved == {name for block in list_blocks(backbone.network)[-blocks:] for name in block.parameters}
    assert not any(layer.training for layer in (*tuned.backbone.network.modules(), *tuned.head.modules()))
    assert not any(parameter.requires_grad for parameter in tuned.backbone.network.parameters())


def test_the_same_seed_gives_the_same_bits_and_moves_no_global_generator(small, head, pictures):
    torch.manual_seed(1)
    first = tune(small, head, pictures, settings=QUICK, seed=3)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    second = tune(small, head, pictures, settings=QUICK, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    assert bits(first) == bits(second)
    assert (first.history, first.backbone.digest) == (second.history, second.backbone.digest)
    assert bits(tune(small, head, pictures, settings=QUICK, seed=4)) != bits(first)


def test_pictures_do_not_depend_on_how_many_threads_decode_them_or_where_one_begins(small, pictures):
    course = Course(pictures, np.arange(30), np.arange(30, 36), 8, VARIED, seed=5)
    second = [*course.training(2), *course.validation()]
    whole = [*course.training(1), *course.validation(), *second]
    expected = list(course.load(whole, small.preprocessing, threads=1))[-len(second) :]
    for found, wanted in zip(course.load(second, small.preprocessing, threads=4), expected, strict=True):
        assert all(torch.equal(one, other) for one, other in zip(found, wanted, strict=True))


def test_an_epoch_shows_every_picture_once_in_batches_as_equal_as_can_be(pictures):
    course = Course(pictures, np.arange(33), np.arange(33, 36), 16, VARIED, seed=5)
    first, second = (np.concatenate([batch.positions for batch in course.training(epoch)]) for epoch in (1, 2))
    assert sorted(first) == sorted(second) == list(range(33))
    assert first.tolist() != second.tolist()
    assert [len(batch.positions) for batch in course.training(1)] == [11, 11, 11]
    assert [len(batch.positions) for batch in course.validation()] == [3]


def test_where_nothing_is_better_than_the_start_the_start_comes_back_after_the_patience(small):
    split = striped_split(120, noise=10)
    head = trained_head(small, split, epochs=30)
    harmful = TuningSettings(
        blocks=1,
        epochs=9,
        patience=2,
        validation_fraction=0.45,
        learning_rate=1.0,
        backbone_learning_rate=1.0,
        warmup_fraction=0.0,
    )
    tuned = tune(small, head, split, settings=harmful, seed=0)
    assert (tuned.best_epoch, len(tuned.history)) == (0, 2)
    assert bits(tuned) == bits(replace(tuned, backbone=small, head=head))
    assert tuned.backbone.digest == small.digest


@dataclass
class Stop:
    """Raises at the n-th report."""

    reports_left: int

    def __call__(self, _):
        self.reports_left -= 1
        if self.reports_left < 0:
            raise Cancelled("enough")


@pytest.mark.parametrize("seed", [0, 1])
def test_a_training_stopped_anywhere_ends_with_the_same_bits(small, head, pictures, tmp_path, seed):
    settings = replace(QUICK, batch_size=12)
    undisturbed = tune(small, head, pictures, settings=settings, seed=seed)
    file, stops, rng = tmp_path / "state", 0, np.random.default_rng(seed)
    while True:
        told = []
        try:
            resumed = tune(
                small,
                head,
                pictures,
                settings=settings,
                seed=seed,
                state=file,
                listener=Listener(Stop(int(rng.integers(3, 7))), told.append),
            )
        except Cancelled:
            stops += 1
            assert told == reports(undisturbed, seed)[: len(told)]
        else:
            break
    assert stops >= 2
    assert bits(resumed) == bits(undisturbed)
    assert (resumed.history, resumed.start) == (undisturbed.history, undisturbed.start)
    assert told == reports(undisturbed, seed)
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
    shares, told = [], []
    listener = Listener(shares.append, told.append)
    again = tune(small, head, pictures, settings=settings, seed=seed, state=file, listener=listener)
    assert shares == [1.0]
    assert told == reports(undisturbed, seed)
    assert bits(again) == bits(undisturbed)


def test_the_best_weights_outlive_a_stop(small, tmp_path):
    faint = striped_split(120, noise=450)
    head = build_head(HeadLayout(small.feature_dim, 16, 3), seed=0)
    settings = TuningSettings(
        blocks=1,
        epochs=6,
        learning_rate=1e-2,
        backbone_learning_rate=1e-2,
        augmentation=Augmentation(1.0),
        validation_fraction=0.45,
        patience=3,
    )
    undisturbed = tune(small, head, faint, settings=settings, seed=0)
    assert (undisturbed.best_epoch, len(undisturbed.history)) == (1, 4)
    _, held_out = validation_split(torch.from_numpy(faint.labels), 0.45, seed=0)
    best_loss = undisturbed.history[0].validation_loss
    assert log_loss(undisturbed, faint.take(held_out.numpy())) == pytest.approx(best_loss, rel=1e-4)
    batches = 3 + 2
    stop = Stop(batches + 3 * batches + 1)
    with pytest.raises(Cancelled):
        tune(small, head, faint, settings=settings, seed=0, state=tmp_path / "state", listener=Listener(stop))
    assert bits(tune(small, head, faint, settings=settings, seed=0, state=tmp_path / "state")) == bits(undisturbed)


def test_an_epoch_is_kept_before_it_is_told(small, head, pictures, tmp_path):
    undisturbed = tune(small, head, pictures, settings=QUICK, seed=0)
    told = []

    def hear_one(report):
        told.append(report)
        if report.epoch == 1:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        tune(
            small,
            head,
            pictures,
            settings=QUICK,
            seed=0,
            state=tmp_path / "state",
            listener=Listener(on_epoch=hear_one),
        )
    assert told == reports(undisturbed, 0)[:2]
    shares, told = [], []
    listener = Listener(shares.append, told.append)
    resumed = tune(small, head, pictures, settings=QUICK, seed=0, state=tmp_path / "state", listener=listener)
    assert min(shares) > 1 / QUICK.epochs
    assert told == reports(undisturbed, 0)
    assert bits(resumed) == bits(undisturbed)


@pytest.mark.parametrize("spoil", ["seed", "settings", "pictures", "head", "damage", "truncation", "noise"])
def test_a_state_that_is_damaged_or_of_other_work_is_replaced(small, head, pictures, tmp_path, spoil):
    file, short = tmp_path / "state", replace(QUICK, epochs=1)
    other = {
        "seed": (head, pictures, short, 1),
        "settings": (head, pictures, replace(short, label_smoothing=0.1), 0),
        "pictures": (head, striped_split(36, seed=9), short, 0),
        "head": (build_head(HeadLayout(1152, 16, 3), seed=1), pictures, short, 0),
    }.get(spoil, (head, pictures, short, 0))
    tune(small, other[0], other[1], settings=other[2], seed=other[3], state=file)
    content = bytearray(file.read_bytes())
    if spoil == "damage":
        content[-9] ^= 1
    spoiled = {"truncation": content[:-100], "noise": b"no safetensors"}.get(spoil, content)
    file.write_bytes(spoiled)
    found = tune(small, head, pictures, settings=short, seed=0, state=file)
    assert bits(found) == bits(tune(small, head, pictures, settings=short, seed=0))
    assert file.read_bytes() != spoiled


def test_the_state_is_tensors_of_what_learns_and_no_pickle(small, head, pictures, tmp_path):
    tune(small, head, pictures, settings=replace(QUICK, blocks=1, epochs=1), seed=0, state=tmp_path / "state")
    with safe_open(tmp_path / "state", framework="pt") as stored:
        names = set(stored.keys())
    assert {name.split(".")[0] for name in names} == {"weights", "moments", "scale"}
    weights = {name.removeprefix("weights.backbone.") for name in names if name.startswith("weights.backbone.")}
    assert weights == set(list_blocks(small.network)[-1].parameters)


@pytest.mark.slow
def test_a_killed_process_is_continued_to_the_same_bits(tmp_path):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, tuning_process.__file__, str(tmp_path / "state"), "6"]
    killed = subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=300)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    resumed = tuning_process.tune_small(tmp_path / "state")
    undisturbed = tuning_process.tune_small(None)
    assert bits(resumed) == bits(undisturbed)
    assert resumed.history == undisturbed.history


def test_progress_rises_to_one(small, head, pictures):
    shares = []
    tune(small, head, pictures, settings=replace(QUICK, epochs=2), seed=0, listener=Listener(shares.append))
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert len(shares) == 2 + 2 * 2 + 1


def test_a_tuned_network_goes_into_a_checkpoint_like_any_other(backbone, pictures, tmp_path):
    head = build_head(HeadLayout(576, 16, 3), seed=0)
    tuned = tune(backbone, head, pictures, settings=replace(QUICK, epochs=1), seed=0)
    metadata = CheckpointMetadata(("a", "b", "c"), "job", "0" * 64, {})
    save_checkpoint(tmp_path / "network.safetensors", tuned.backbone, tuned.head, metadata)
    loaded = load_checkpoint(tmp_path / "network.safetensors")
    found = loaded.predict([pictures.images.picture(index) for index in range(len(pictures))])
    torch.testing.assert_close(found, probabilities(tuned, pictures), rtol=1e-4, atol=1e-5)
    assert loaded.backbone_digest == tuned.backbone.digest


def test_bfloat16_trains_float32_weights(small, head, pictures):
    settings = replace(QUICK, epochs=1, precision=Precision.BFLOAT16)
    tuned, plain = (tune(small, head, pictures, settings=each, seed=0) for each in (settings, replace(QUICK, epochs=1)))
    assert {parameter.dtype for parameter in (*tuned.backbone.network.parameters(), *tuned.head.parameters())} == {
        torch.float32
    }
    assert tuned.history[0].train_loss == pytest.approx(plain.history[0].train_loss, rel=0.1)
    assert bits(tuned) != bits(plain)


def test_norms_and_biases_do_not_decay(backbone, pictures):
    head = build_head(HeadLayout(576, 16, 3), seed=0)
    settings = replace(QUICK, epochs=1, blocks=1, learning_rate=1e-9, backbone_learning_rate=1e-9, weight_decay=1e6)
    tuned = tune(backbone, head, pictures, settings=settings, seed=0)
    for name, parameter in tuned.backbone.network.named_parameters():
        before = backbone.network.get_parameter(name)
        if name == "features.12.0.weight":
            assert parameter.norm() < 0.999 * before.norm()
        else:
            torch.testing.assert_close(parameter.data, before.data)


def test_one_picture_is_enough(small, head):
    tuned = tune(small, head, striped_split(1), settings=replace(QUICK, epochs=1), seed=0)
    assert all(torch.isfinite(parameter).all() for parameter in tuned.head.parameters())


def test_a_training_that_diverges_says_so(small, pictures, head):
    broken = build_head(head.layout, seed=0)
    nn.init.constant_(broken.output.weight, torch.nan)
    with pytest.raises(InvalidSettingError, match="diverged in epoch 1") as caught:
        tune(small, broken, pictures, settings=QUICK, seed=0)
    assert caught.value.field == "learning_rate"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("blocks", 0),
        ("epochs", 0),
        ("batch_size", 0),
        ("patience", 0),
        ("learning_rate", 0.0),
        ("backbone_learning_rate", float("nan")),
        ("weight_decay", -1.0),
        ("warmup_fraction", 1.0),
        ("label_smoothing", 1.0),
        ("validation_fraction", 0.6),
    ],
)
def test_settings_outside_their_domain_are_refused_by_name(name, value):
    with pytest.raises(InvalidSettingError) as caught:
        TuningSettings(**{name: value})
    assert caught.value.field == name


def test_inputs_that_do_not_fit_are_refused(small, head, pictures):
    with pytest.raises(ShapeMismatchError, match="1152"):
        tune(small, build_head(HeadLayout(9, 4, 3), seed=0), pictures, settings=QUICK, seed=0)
    with pytest.raises(ShapeMismatchError, match="labels"):
        tune(small, build_head(HeadLayout(1152, 4, 2), seed=0), pictures, settings=QUICK, seed=0)
    with pytest.raises(TooFewSamplesError):
        tune(small, head, pictures.take(np.arange(0)), settings=QUICK, seed=0)
    with pytest.raises(InvalidSettingError, match="blocks"):
        tune(small, head, pictures, settings=replace(QUICK, blocks=99), seed=0)

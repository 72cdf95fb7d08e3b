"""Runs of a transfer whose network is tuned further, on real pictures."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from ot3l_core.data.features import embed
from ot3l_core.data.images import ArrayImages, ImageSplit
from ot3l_core.data.samples import LabelledSamples
from ot3l_core.errors import Cancelled
from ot3l_core.extended import tune_run
from ot3l_core.finetune.augmentation import Augmentation
from ot3l_core.finetune.backbones import load_backbone
from ot3l_core.finetune.evaluation import evaluate
from ot3l_core.finetune.training import TrainingSettings
from ot3l_core.finetune.tuning_settings import TuningSettings
from ot3l_core.names import FeatureScaling, LabelDistanceMethod, Phase, Precision, Strategy
from ot3l_core.progress import NOBODY, Listener, ignore_progress
from ot3l_core.selection import SelectionSettings
from ot3l_core.transfer import TransferSettings, run_transfer

SETTINGS = TuningSettings(blocks=1, epochs=2, learning_rate=3e-3, augmentation=Augmentation(crop_scale=1.0))


@pytest.fixture(scope="module")
def backbone():
    return load_backbone("efficientnet_lite0", input_size=32)


def digits(part):
    found = load_digits()
    pixels = (found.images[part] * 15).astype(np.uint8)
    ids = tuple(map(str, range(len(pixels))))
    return ImageSplit(ArrayImages(pixels), found.target[part].astype(np.int64), ids)


POOL, TEST = digits(slice(0, 120)), digits(slice(200, 260))


@pytest.fixture(scope="module")
def run(backbone):
    def samples(split):
        features = embed(split, backbone, device=backbone.device, precision=Precision.FLOAT32)
        return LabelledSamples(features, torch.from_numpy(split.labels), tuple("0123456789"))

    settings = TransferSettings(
        selection=SelectionSettings(strategy=Strategy.STRATIFIED, budget=60),
        training=TrainingSettings(hidden=16, epochs=10, learning_rate=3e-3),
        label_distance=LabelDistanceMethod.GAUSSIAN,
        scaling=FeatureScaling.UNIT,
        seeds=(7,),
    )
    return run_transfer(
        backbone,
        source=None,
        pool=samples(POOL),
        test=samples(TEST),
        settings=settings,
        enter=lambda _: ignore_progress,
    ).chosen


def tuned(backbone, run, *, settings=SETTINGS, pool=POOL, test=TEST, state=None, listener=NOBODY):
    return tune_run(
        backbone,
        run,
        pool=pool,
        test=test,
        settings=settings,
        precision=Precision.FLOAT32,
        state=state,
        listener=listener,
    )


def test_what_is_evaluated_is_the_network_that_is_given_back(backbone, run):
    found = tuned(backbone, run)
    features = embed(TEST, found.tuned.backbone, device=backbone.device, precision=Precision.FLOAT32)
    assert torch.equal(found.probabilities, found.tuned.head.probabilities(features))
    assert found.evaluation == evaluate(found.probabilities, torch.from_numpy(TEST.labels))
    assert found.run is run
    assert found.tuned.backbone.digest != backbone.digest


def test_only_what_was_selected_is_trained_on(backbone, run):
    labels = POOL.labels.copy()
    others = np.setdiff1d(np.arange(len(POOL)), run.selection.indices.numpy())
    labels[others] = (labels[others] + 1) % 10
    spoilt = ImageSplit(POOL.images, labels, POOL.sample_ids)
    assert torch.equal(tuned(backbone, run).probabilities, tuned(backbone, run, pool=spoilt).probabilities)


def test_the_test_split_has_no_say_in_the_weights(backbone, run):
    spoilt = ImageSplit(TEST.images, (TEST.labels + 1) % 10, TEST.sample_ids)
    honest, misled = tuned(backbone, run), tuned(backbone, run, test=spoilt)
    assert honest.tuned.backbone.digest == misled.tuned.backbone.digest
    assert honest.evaluation != misled.evaluation


def test_work_that_was_stopped_goes_on_to_the_same_bits(backbone, run, tmp_path):
    state = tmp_path / "state.safetensors"

    def stop(share):
        if state.exists() and share > 0.5:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        tuned(backbone, run, state=state, listener=Listener(stop))
    assert state.exists()
    shares, told = [], []
    resumed = tuned(backbone, run, state=state, listener=Listener(shares.append, told.append))
    assert min(shares) > 0
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    curve = (resumed.tuned.start, *resumed.tuned.history)
    assert told == [epoch.report(number, phase=Phase.TUNING, seed=run.seed) for number, epoch in enumerate(curve)]
    assert torch.equal(resumed.probabilities, tuned(backbone, run).probabilities)

"""A job as the worker does it, without the service around it: every step calls the core."""

import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.job.setting import BACKBONE, INPUT_SIZE, PRECISION, Setting, open_splits
from ot3l_core.data.features import FeatureCache, cached_features
from ot3l_core.data.images import ImageSplit
from ot3l_core.data.samples import LabelledSamples
from ot3l_core.finetune.backbones import Backbone, load_backbone
from ot3l_core.finetune.checkpoints import CheckpointMetadata, save_checkpoint
from ot3l_core.finetune.training import TrainingSettings
from ot3l_core.names import FeatureScaling, LabelDistanceMethod, Phase, Strategy
from ot3l_core.progress import OnProgress, ignore_progress
from ot3l_core.selection import SelectionSettings
from ot3l_core.transfer import TransferSettings, run_transfer

CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class JobRun:
    """One job.

    Attributes:
        phases: Seconds of each phase, by its name.
        accuracies: On the test split, one for each seed.
        selected: Positions in the pool that each seed chose.
    """

    phases: dict[str, float]
    accuracies: tuple[float, ...]
    selected: tuple[Tensor, ...]

    @property
    def seconds(self) -> float:
        """The whole job."""
        return sum(self.phases.values())


class _Clock:
    """Seconds of each phase: one ends where the next one begins."""

    def __init__(self) -> None:
        self.phases: dict[str, float] = {}
        self._current = ""
        self._since = time.perf_counter()

    def enter(self, phase: Phase) -> OnProgress:
        """Begin a phase."""
        self.stop()
        self._current = phase.value
        return ignore_progress

    def stop(self) -> None:
        """End the current phase."""
        now = time.perf_counter()
        if self._current:
            self.phases[self._current] = self.phases.get(self._current, 0.0) + now - self._since
        self._since = now


def run_job(setting: Setting, cache: FeatureCache, checkpoint: Path) -> JobRun:
    """Read, check the digest, embed or find the features, select at random, train a head a seed, evaluate, save."""
    clock = _Clock()
    clock.enter(Phase.READING)
    dataset, pool, test = open_splits(setting.spec, setting.sizes)
    digest = dataset.digest
    clock.enter(Phase.EMBEDDING)
    backbone = load_backbone(BACKBONE, input_size=INPUT_SIZE)
    samples = [_samples(split, dataset.classes, backbone, cache) for split in (pool, test)]
    result = run_transfer(
        backbone, source=None, pool=samples[0], test=samples[1], settings=_settings(setting), enter=clock.enter
    )
    clock.enter(Phase.SAVING)
    metadata = CheckpointMetadata(classes=dataset.classes, job="benchmark", dataset_digest=digest, metrics={})
    save_checkpoint(checkpoint, backbone, result.chosen.trained.head, metadata)
    clock.stop()
    return JobRun(
        phases=clock.phases,
        accuracies=tuple(run.evaluation.accuracy for run in result.runs),
        selected=tuple(run.selection.indices for run in result.runs),
    )


def _samples(split: ImageSplit, classes: tuple[str, ...], backbone: Backbone, cache: FeatureCache) -> LabelledSamples:
    features = cached_features(split, backbone, cache=cache, device=CPU, precision=PRECISION)
    return LabelledSamples(features, torch.from_numpy(split.labels), classes)


def _settings(setting: Setting) -> TransferSettings:
    return TransferSettings(
        selection=SelectionSettings(strategy=Strategy.UNIFORM, budget=setting.sizes.budget),
        training=TrainingSettings(),
        label_distance=LabelDistanceMethod.GAUSSIAN,
        scaling=FeatureScaling.UNIT,
        seeds=setting.sizes.seeds,
    )

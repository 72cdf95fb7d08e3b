"""Extended fine-tuning of what a transfer selected: the heads it trained, together with layers of the backbone."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ot3l_core.data.features import embed
from ot3l_core.data.images import ImageSplit
from ot3l_core.finetune.backbones import Backbone
from ot3l_core.finetune.calibration import fit_temperature
from ot3l_core.finetune.evaluation import Evaluation, evaluate
from ot3l_core.finetune.heads import Head, fold_temperature
from ot3l_core.finetune.tuning import TunedNetwork, tune
from ot3l_core.finetune.tuning_settings import TuningSettings
from ot3l_core.finetune.validation import validation_split
from ot3l_core.names import Precision
from ot3l_core.progress import Listener
from ot3l_core.transfer import Run

# Of the progress of one run: an epoch over the selected samples costs far more than a pass over the test split.
_TUNING_SHARE = 0.9


@dataclass(frozen=True, slots=True, eq=False)
class TunedRun:
    """A run whose network was fine-tuned.

    Attributes:
        run: What it began with.
        tuned: How tuning went; its head is not calibrated.
        head: Calibrated anew.
        temperature: What its logits were divided by, as part of the output layer.
        probabilities: Of the test split, shape ``(n, L)``.
        evaluation: Of these.
    """

    run: Run
    tuned: TunedNetwork
    head: Head
    temperature: float
    probabilities: Tensor
    evaluation: Evaluation


def tune_run(
    backbone: Backbone,
    run: Run,
    *,
    pool: ImageSplit,
    test: ImageSplit,
    settings: TuningSettings,
    precision: Precision,
    state: Path | None,
    listener: Listener,
) -> TunedRun:
    """Fine-tune one run's head and the backbone's last blocks on its selection, and evaluate both on the test split.

    Args:
        backbone: What the run's head reads; stays as it is.
        run: A run of a transfer on features of ``pool`` and ``test``.
        pool: The pictures that it selected from.
        test: The pictures that it was evaluated on.
        settings: How to tune.
        precision: Of the forward pass over the test split.
        state: A file from which an interrupted call goes on, to the same bits; None to keep nothing.
        listener: Told the finished share, and of every epoch from the start of tuning on.

    Raises:
        InvalidSettingError: If the backbone has fewer blocks than the settings name, or the loss stops being a number.
        DataError: If a picture cannot be read.
    """
    chosen = pool.take(run.selection.indices.numpy())
    tuned = tune(
        backbone,
        run.trained.head,
        chosen,
        settings=settings,
        seed=run.seed,
        state=state,
        listener=listener.portion(0.0, _TUNING_SHARE),
    )
    head, temperature = tuned.head, run.trained.temperature
    if tuned.best_epoch > 0:
        _, held_out = validation_split(torch.from_numpy(chosen.labels), settings.validation_fraction, seed=run.seed)
        head, temperature = _calibrate(tuned, chosen.take(held_out.numpy()), precision)
    features = embed(
        test,
        tuned.backbone,
        device=backbone.device,
        precision=precision,
        on_progress=listener.portion(_TUNING_SHARE, 1.0).on_progress,
    )
    probabilities = head.probabilities(features.to(backbone.device)).cpu()
    evaluation = evaluate(probabilities, torch.from_numpy(test.labels))
    return TunedRun(run, tuned, head, temperature, probabilities, evaluation)


@torch.no_grad()
def _calibrate(tuned: TunedNetwork, held_out: ImageSplit, precision: Precision) -> tuple[Head, float]:
    """Fit the temperature to the samples that chose the best epoch; 1 where there are none."""
    device = tuned.backbone.device
    features = embed(held_out, tuned.backbone, device=device, precision=precision).to(device)
    temperature = fit_temperature(tuned.head(features), torch.from_numpy(held_out.labels).to(device))
    return fold_temperature(tuned.head, temperature).eval(), temperature

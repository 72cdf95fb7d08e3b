"""Extended fine-tuning of a job's runs, and what it leaves on the worker's disk so that it can go on after a loss."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from torch import Tensor

from app.schemas.jobs import FineTuneCreate
from app.states import WorkState
from app.store.jobs import get_work
from app.store.records import JobRecord
from app.store.sessions import DATABASE_DOWN, Database
from ot3l_core.errors import InvalidSettingError
from ot3l_core.extended import TunedRun, tune_run
from ot3l_core.finetune.augmentation import Augmentation
from ot3l_core.finetune.backbones import Backbone
from ot3l_core.finetune.blocks import last_blocks
from ot3l_core.finetune.evaluation import Evaluation
from ot3l_core.finetune.heads import Head
from ot3l_core.finetune.training import Epoch
from ot3l_core.finetune.tuning_settings import TuningSettings
from ot3l_core.names import Precision
from ot3l_core.progress import Listener, OnEpoch, OnProgress, ignore_epoch
from ot3l_core.transfer import Run, TransferResult
from worker.inputs import JobImages

_VARIATIONS = ("crop_scale", "flip", "colour_jitter")


@dataclass(frozen=True, slots=True)
class TuningCourse:
    """How one seed's tuning went.

    Attributes:
        seed: Whose.
        best_epoch: Whose weights were taken, 0 for those it began with.
        epochs: From before the first one on.
    """

    seed: int
    best_epoch: int
    epochs: tuple[Epoch, ...]

    @property
    def best_loss(self) -> float:
        """Validation loss of the best epoch; its training loss where nothing was held out."""
        return self.epochs[self.best_epoch].judged_loss


@dataclass(frozen=True, slots=True, eq=False)
class Tuning:
    """What extended fine-tuning made of all runs.

    Attributes:
        blocks: How many of the backbone's last blocks learned; None for all.
        courses: One for each seed.
        evaluations: Of each seed's network on the test split.
        chosen: The run with the best validation loss; the networks of the others are let go.
    """

    blocks: int | None
    courses: tuple[TuningCourse, ...]
    evaluations: tuple[Evaluation, ...]
    chosen: TunedRun


@dataclass(frozen=True, slots=True, eq=False)
class ChosenNetwork:
    """The one network of a job that goes into its checkpoint, with its test probabilities, shape ``(n, L)``."""

    seed: int
    n_selected: int
    backbone: Backbone
    head: Head
    temperature: float
    probabilities: Tensor
    evaluation: Evaluation


def chosen_network(backbone: Backbone, result: TransferResult, tuning: Tuning | None) -> ChosenNetwork:
    """That of the best run; where there was fine-tuning, of the best tuned run."""
    if tuning is None:
        run = result.chosen
        head, temperature = run.trained.head, run.trained.temperature
        probabilities, evaluation = run.probabilities, run.evaluation
    else:
        run, backbone = tuning.chosen.run, tuning.chosen.tuned.backbone
        head, temperature = tuning.chosen.head, tuning.chosen.temperature
        probabilities, evaluation = tuning.chosen.probabilities, tuning.chosen.evaluation
    return ChosenNetwork(run.seed, len(run.selection.indices), backbone, head, temperature, probabilities, evaluation)


def require_blocks(backbone: Backbone, request: FineTuneCreate) -> None:
    """Refuse to tune more blocks than there are, before anything long has begun.

    Raises:
        InvalidSettingError: If the backbone has fewer.
    """
    with _blamed():
        last_blocks(backbone.network, request.blocks)


def tune_runs(
    backbone: Backbone,
    runs: Sequence[Run],
    *,
    images: JobImages,
    request: FineTuneCreate,
    precision: Precision,
    states: Path,
    on_progress: OnProgress,
    on_epoch: OnEpoch = ignore_epoch,
) -> Tuning:
    """Tune every run's head together with the last blocks of the backbone, on the pictures that it selected.

    Args:
        backbone: Where all begin.
        runs: What was selected and trained, one for each seed.
        images: What was selected from, and what is evaluated on.
        request: How to tune.
        precision: Of the forward pass over the test split.
        states: The job's own folder, made here; an interrupted call goes on from the files in it, to the same bits.
        on_progress: Told the finished share; may raise to stop.
        on_epoch: Told of every epoch, from before the first one on; of all again where an interrupted call goes on.

    Raises:
        InvalidSettingError: If the backbone has fewer blocks than are asked for, or the loss stops being a number.
    """
    states.mkdir(parents=True, exist_ok=True)
    listener = Listener(on_progress, on_epoch)
    settings = tuning_settings(request)
    courses: list[TuningCourse] = []
    evaluations: list[Evaluation] = []
    chosen: TunedRun | None = None
    for number, run in enumerate(runs):
        with _blamed():
            tuned = tune_run(
                backbone,
                run,
                pool=images.pool,
                test=images.test,
                settings=settings,
                precision=precision,
                state=states / f"{run.seed}.safetensors",
                listener=listener.portion(number / len(runs), (number + 1) / len(runs)),
            )
        course = TuningCourse(run.seed, tuned.tuned.best_epoch, (tuned.tuned.start, *tuned.tuned.history))
        if chosen is None or course.best_loss < min(other.best_loss for other in courses):
            chosen = tuned
        courses.append(course)
        evaluations.append(tuned.evaluation)
    if chosen is None:
        raise ValueError("there is no run to tune")
    return Tuning(request.blocks, tuple(courses), tuple(evaluations), chosen)


def tuning_settings(request: FineTuneCreate) -> TuningSettings:
    """How to tune, as the core knows it."""
    told = request.model_dump()
    augmentation = Augmentation(**{name: told.pop(name) for name in _VARIATIONS})
    return TuningSettings(**told, augmentation=augmentation)


def discard_states(folder: Path, database: Database) -> None:
    """Delete what was kept for jobs that have ended, however and wherever they did."""
    kept = list(folder.iterdir()) if folder.is_dir() else []
    # With the database away they wait for the next job.
    with suppress(*DATABASE_DOWN), database.reading() as session:
        for path in kept:
            if _has_ended(get_work(session, JobRecord, UUID(path.name))):
                shutil.rmtree(path, ignore_errors=True)


def _has_ended(record: JobRecord | None) -> bool:
    return record is None or record.state not in {WorkState.QUEUED, WorkState.RUNNING}


@contextmanager
def _blamed() -> Iterator[None]:
    """The core knows a setting by its own name, the request by its place."""
    try:
        yield
    except InvalidSettingError as error:
        if error.field is not None:
            error.field = f"fine_tune.{error.field}"
        raise

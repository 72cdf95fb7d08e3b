"""The files of a job."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from app.schemas.jobs import JobCreate, JobResult
from app.schemas.mlflow import WITHOUT_EFFECT
from app.store.records import JobRecord
from ot3l_core.finetune.checkpoints import CheckpointMetadata, load_checkpoint
from ot3l_core.finetune.evaluation import Spread
from ot3l_core.finetune.exports import export_onnx, export_program
from ot3l_core.finetune.hub import FIGURE, SCRIPT, WEIGHTS, export_hub
from ot3l_core.finetune.model_card import ModelCardFacts, write_model_card
from ot3l_core.names import ExportFormat, Strategy
from ot3l_core.progress import OnProgress
from ot3l_core.transfer import Run
from worker.inputs import JobImages
from worker.outputs import column, write_rows
from worker.report_figure import draw_report
from worker.tuning import ChosenNetwork

CHECKPOINT = "checkpoint.safetensors"
EXPORTS = {ExportFormat.PROGRAM: ("program.pt2", export_program), ExportFormat.ONNX: ("network.onnx", export_onnx)}
HUB = "hub.zip"
_PICTURES_TO_CHECK = 32


def metadata_of(record: JobRecord, images: JobImages, described: JobResult) -> CheckpointMetadata:
    """What a job's checkpoint says of where it comes from."""
    return CheckpointMetadata(
        classes=images.classes,
        # The request and not the id: equal jobs make equal bytes, whoever ran them and however often.
        job=json.dumps({n: v for n, v in record.request.items() if n not in WITHOUT_EFFECT}, sort_keys=True),
        dataset_digest=images.digest,
        metrics=described.checkpoint.model_dump(),
        temperature=described.checkpoint.temperature,
    )


def write_exports(
    checkpoint: Path, formats: Sequence[ExportFormat], images: JobImages, on_progress: OnProgress
) -> list[Path]:
    """The checkpoint's network in other forms, each compared with it on test pictures.

    The folder for the hub is not among them: it has the checkpoint itself, and the report, which comes later.

    Raises:
        ExportError: If the network cannot be written in a form, or would predict otherwise there.
    """
    converted = [export_format for export_format in formats if export_format in EXPORTS]
    if not converted:
        return []
    paths: list[Path] = []
    loaded = load_checkpoint(checkpoint)
    pictures = [images.test.images.picture(index) for index in range(min(_PICTURES_TO_CHECK, len(images.test)))]
    for number, export_format in enumerate(converted):
        on_progress(number / len(converted))
        name, export = EXPORTS[export_format]
        export(checkpoint.with_name(name), loaded, pictures)
        paths.append(checkpoint.with_name(name))
    return paths


def write_report(
    folder: Path,
    record: JobRecord,
    request: JobCreate,
    images: JobImages,
    network: ChosenNetwork,
    described: JobResult,
    runs: Sequence[Run],
    metadata: CheckpointMetadata,
) -> list[Path]:
    """Tables, the model card and the figure, for people; where it was asked for, the folder for the hub."""
    selection, predictions, card, *figures = (
        folder / name for name in ("selection.csv", "predictions.csv", "model_card.md", "report.png", "report.svg")
    )
    classes = images.classes
    pool_labels, test_labels = ([classes[label] for label in split.labels] for split in (images.pool, images.test))
    write_selection(selection, runs, images.pool.sample_ids, pool_labels)
    write_predictions(predictions, network.probabilities, images.test.sample_ids, test_labels, classes)
    facts = _facts(record, request, network, described, metadata)
    card.write_text(write_model_card(facts), encoding="utf-8")
    size = network.backbone.preprocessing.input_size
    chosen = f"{network.n_selected} samples by {request.strategy}"
    caption = f"{record.target.name}: {chosen}, {request.backbone} at {size} px"
    draw_report(figures, described, caption=caption)
    hub = [write_hub(folder, facts, figures[0])] if ExportFormat.HUB in request.exports else []
    return [selection, predictions, card, *figures, *hub]


def write_hub(folder: Path, facts: ModelCardFacts, figure: Path) -> Path:
    """The folder for the hub, whose card names what is in it and nothing else."""
    path = folder / HUB
    own = replace(facts, checkpoint=WEIGHTS, program=None, onnx=None, figure=FIGURE, script=SCRIPT)
    export_hub(path, checkpoint=folder / facts.checkpoint, card=write_model_card(own), figure=figure)
    return path


def _facts(
    record: JobRecord,
    request: JobCreate,
    network: ChosenNetwork,
    described: JobResult,
    metadata: CheckpointMetadata,
) -> ModelCardFacts:
    accuracy = described.phases[-1].accuracy
    forms = {form: EXPORTS[form][0] for form in request.exports if form in EXPORTS}
    alpha = described.alpha_sweep.chosen if described.alpha_sweep else request.alpha
    return ModelCardFacts(
        title=f"{record.target.name} classifier",
        backbone=network.backbone.name,
        architecture=network.backbone.architecture,
        head=network.head.layout,
        preprocessing=network.backbone.preprocessing,
        classes=metadata.classes,
        dataset=record.target.name,
        dataset_digest=metadata.dataset_digest,
        strategy=request.strategy,
        budget=network.n_selected,
        alpha=alpha if request.strategy is Strategy.MIXED and isinstance(alpha, float) else None,
        seed=network.seed,
        seeds=tuple(course.seed for course in described.training),
        evaluation=network.evaluation,
        accuracies=Spread(accuracy.mean, accuracy.std, accuracy.interval),
        temperature=network.temperature,
        versions=metadata.versions,
        program=forms.get(ExportFormat.PROGRAM),
        onnx=forms.get(ExportFormat.ONNX),
        test_dataset=record.manifest.test.name if record.manifest and record.manifest.test else None,
        tuned_blocks=_tuned_blocks(request),
    )


def _tuned_blocks(request: JobCreate) -> str | None:
    if request.fine_tune is None:
        return None
    return "all" if request.fine_tune.blocks is None else f"the last {request.fine_tune.blocks}"


def write_selection(path: Path, runs: Sequence[Run], sample_ids: Sequence[str], labels: Sequence[str]) -> None:
    """Which samples each seed selected, why and, where the strategy says so, the share of the pool each stands for."""
    has_shares = any(run.selection.shares is not None for run in runs)
    rows: list[tuple[object, ...]] = []
    for run in runs:
        indices = run.selection.indices.tolist()
        scores, shares = column(run.selection.scores, len(indices)), column(run.selection.shares, len(indices))
        picked = zip(indices, run.selection.reasons, scores, shares, strict=True)
        rows += [
            (run.seed, sample_ids[index], labels[index], reason, score, *((share,) if has_shares else ()))
            for index, reason, score, share in picked
        ]
    write_rows(path, ("seed", "sample", "label", "reason", "score", *(("share",) if has_shares else ())), rows)


def write_predictions(
    path: Path, probabilities: Tensor, sample_ids: Sequence[str], labels: Sequence[str], classes: Sequence[str]
) -> None:
    """What the checkpoint's network says of every test sample."""
    best = probabilities.max(dim=1)
    predicted = [classes[index] for index in best.indices.tolist()]
    rows = zip(sample_ids, labels, predicted, best.values.tolist(), strict=True)
    write_rows(path, ("sample", "label", "predicted", "confidence"), rows)

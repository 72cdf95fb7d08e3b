"""What is measured of a job, and what must be reached."""

# ruff: noqa: RUF001 - the sign of multiplication is meant

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median
from tempfile import TemporaryDirectory

import torch

from benchmarks.job.bare import prepared_batches, seconds_of_a_pass
from benchmarks.job.jpeg import measure_memory, seconds_of_embedding, write_jpegs
from benchmarks.job.product import JobRun, run_job
from benchmarks.job.recipe import RecipeRun, run_recipe
from benchmarks.job.setting import BACKBONE, INPUT_SIZE, Setting, open_splits
from benchmarks.judging import Verdict
from ot3l_core.data.features import FeatureCache
from ot3l_core.finetune.backbones import Backbone, load_backbone

COLD_RATIO = 1.15
WARM_SHARE = 0.10
RECIPE_RATIO = 10.0
THROUGHPUT_SHARE = 0.95
MEMORY_GROWTH = 0.10


@dataclass(frozen=True, slots=True)
class Measured:
    """All that is known of a case when it is over.

    Attributes:
        name: Of the case.
        title: What it is, for the reader.
        seconds: Of every round, by who ran; rounds took turns.
        verdicts: Targets beside measured.
        notes: What else was seen, a sentence each.
    """

    name: str
    title: str
    seconds: Mapping[str, Sequence[float]]
    verdicts: Sequence[Verdict]
    notes: Sequence[str] = field(default_factory=tuple)


Case = Callable[[Setting], Measured]


def measure_job(setting: Setting) -> Measured:
    """A job with and without its features at hand, against one bare forward pass over the same pictures."""
    backbone, splits = _backbone(), open_splits(setting.spec, setting.sizes)[1:]
    batches = prepared_batches(splits, backbone, setting.threads)
    seconds_of_a_pass(batches[:2], backbone)
    runs: dict[str, list[JobRun]] = {"job": [], "job, features at hand": []}
    bare = []
    for _ in range(setting.sizes.rounds):
        bare.append(seconds_of_a_pass(batches, backbone))
        with _jobs(setting) as run:
            for made in runs.values():
                made.append(run())
    seconds = {name: [run.seconds for run in made] for name, made in runs.items()}
    cold, warm = (_ratio(taken, bare) for taken in seconds.values())
    return Measured(
        "job",
        f"a job of {len(splits[0])} + {len(splits[1])} pictures, {setting.sizes.budget} labels, "
        f"{len(setting.sizes.seeds)} seeds, against one bare forward pass",
        {"bare forward pass": bare, **seconds},
        (
            Verdict(f"job ≤ {COLD_RATIO}× the bare pass", f"{cold:.3f}×", cold <= COLD_RATIO),
            Verdict(f"repeated job ≤ {WARM_SHARE:.0%} of the bare pass", f"{warm:.1%}", warm <= WARM_SHARE),
        ),
        tuple(f"{name}: {_phases(made)}" for name, made in runs.items()),
    )


def measure_recipe(setting: Setting) -> Measured:
    """The job against the usual recipe, run once for each seed of the job, on the samples that the job selected."""
    backbone = _backbone()
    dataset, pool, test = open_splits(setting.spec, setting.sizes)
    with _jobs(setting) as run:
        job = run()
    recipes: list[RecipeRun] = []
    for seed, selected in zip(setting.sizes.seeds, job.selected, strict=True):
        chosen = pool.take(selected.numpy())
        recipes.append(
            run_recipe(
                chosen,
                test,
                backbone,
                n_classes=len(dataset.classes),
                epochs=setting.sizes.epochs,
                workers=setting.threads,
                seed=seed,
            )
        )
    ours, theirs = fmean(job.accuracies), fmean(recipe.accuracy for recipe in recipes)
    ratio = sum(recipe.seconds for recipe in recipes) / job.seconds
    return Measured(
        "recipe",
        f"a job against the usual recipe: frozen backbone in float32, {setting.sizes.epochs} epochs over the selected "
        f"{len(job.selected[0])}, evaluation on {len(test)} each epoch",
        {"job, all seeds": [job.seconds], "recipe, one for each seed": [recipe.seconds for recipe in recipes]},
        (
            Verdict(
                f"≥ {RECIPE_RATIO:g}× the recipe, for the same {len(recipes)} seeds",
                f"{ratio:.1f}×",
                ratio >= RECIPE_RATIO,
            ),
            Verdict("accuracy at least the recipe's", f"{ours:.2%} against {theirs:.2%}", ours >= theirs),
        ),
        (f"one run of the recipe takes {recipes[0].seconds / job.seconds:.1f}× the whole job",),
    )


def measure_jpeg(setting: Setting) -> Measured:
    """Embedding from JPEG files against the bare forward pass, and what it needs of memory."""
    backbone, pool = _backbone(), open_splits(setting.spec, setting.sizes)[1]
    files = write_jpegs(pool, setting.folder / "jpeg", setting.sizes.files)
    batches = prepared_batches([files], backbone, setting.threads)
    seconds_of_a_pass(batches[:2], backbone)
    seconds_of_embedding(files, backbone, first=64)
    bare, embedding = [], []
    for _ in range(setting.sizes.rounds):
        bare.append(seconds_of_a_pass(batches, backbone))
        embedding.append(seconds_of_embedding(files, backbone))
    throughput = _ratio(bare, embedding)
    n = len(files)
    small, large = (measure_memory(setting.folder / "jpeg", count) for count in (n // 4, n))
    growth = (large - small) / small
    return Measured(
        "jpeg",
        f"embedding {n} JPEG files of the pictures' own size against the bare forward pass over the same pixels",
        {"bare forward pass": bare, "embedding from JPEG": embedding},
        (
            Verdict(f"throughput ≥ {THROUGHPUT_SHARE:.0%}", f"{throughput:.1%}", throughput >= THROUGHPUT_SHARE),
            Verdict(
                f"memory grows ≤ {MEMORY_GROWTH:.0%} from {n // 4} to {n} pictures, their features aside",
                f"{growth:+.1%} ({small / 1e6:.0f} MB, {large / 1e6:.0f} MB)",
                growth <= MEMORY_GROWTH,
            ),
        ),
        (f"{n / median(embedding):.0f} pictures a second from JPEG, {n / median(bare):.0f} bare",),
    )


def measure_gpu(setting: Setting) -> Measured:
    """Pictures a second on a GPU, from the dataset and from tensors that are already there."""
    backbone, splits = _backbone().to("cuda"), open_splits(setting.spec, setting.sizes)[1:]
    batches = [batch.to("cuda") for batch in prepared_batches(splits, backbone, setting.threads)]
    n = sum(map(len, splits))
    seconds_of_a_pass(batches, backbone)
    seconds_of_embedding(splits[1], backbone)
    bare, embedding = [], []
    for _ in range(setting.sizes.rounds):
        bare.append(seconds_of_a_pass(batches, backbone))
        embedding.append(sum(seconds_of_embedding(split, backbone) for split in splits))
    measured = f"{n / median(embedding):.0f} pictures a second against {n / median(bare):.0f} on resident tensors"
    return Measured(
        "gpu",
        f"embedding {n} pictures on {torch.cuda.get_device_name()}",
        {"resident tensors": bare, "embedding": embedding},
        (Verdict("no target: pictures a second", measured, None),),
    )


def all_cases() -> dict[str, Case]:
    """By name, in the order in which they run."""
    cases: dict[str, Case] = {"job": measure_job, "recipe": measure_recipe, "jpeg": measure_jpeg}
    return cases | ({"gpu": measure_gpu} if torch.cuda.is_available() else {})


@contextmanager
def _jobs(setting: Setting) -> Iterator[Callable[[], JobRun]]:
    """Runs jobs that share one cache of features, which is empty at first."""
    with TemporaryDirectory(dir=setting.folder) as folder:
        place = Path(folder)
        yield lambda: run_job(setting, FeatureCache(place / "features"), place / "checkpoint.safetensors")


def _backbone() -> Backbone:
    return load_backbone(BACKBONE, input_size=INPUT_SIZE)


def _ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """Median over the rounds, whose two parts ran one after the other."""
    return median(one / other for one, other in zip(above, below, strict=True))


def _phases(runs: Sequence[JobRun]) -> str:
    names = runs[0].phases
    return ", ".join(f"{name} {median(run.phases[name] for run in runs):.2f} s" for name in names)

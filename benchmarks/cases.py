"""The table of cases: what is measured, who takes part, and what must be reached."""

# ruff: noqa: RUF001 - the sign of multiplication is meant

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import isnan
from pathlib import Path
from typing import TypeAlias

from benchmarks.features import made_up, real
from benchmarks.floors import Floor, dataset_floor, exact_floor, gaussian_floor, iteration_floor
from benchmarks.judging import (
    OURS,
    Judged,
    Verdict,
    cost_error,
    equally_exact,
    faster,
    judge_dataset,
    judge_iteration,
    judge_labels,
    judge_large,
    label_error,
    ours_at,
)
from benchmarks.problem import Problem
from benchmarks.running import Contender, Result

Judge: TypeAlias = Callable[[Sequence[Result], Sequence[float]], list[Verdict]]
ErrorOf: TypeAlias = Callable[[Result, Result], float]

GEOMLOSS_REGS = (0.01, 0.004, 0.001)
POT_RATIOS = (4.0, 9.0)
OTT_SETTINGS = (
    (0.01, "plain"),
    (0.01, "momentum"),
    (0.005, "plain"),
    (0.005, "momentum"),
    (0.005, "annealed"),
    (0.0025, "momentum"),
    (0.0025, "lehmann"),
    (0.0025, "annealed"),
)
_OTT = "ott_jax:sinkhorn"
_OTT_THRESHOLD = 0.01
_N_FEATURES = 512
_REAL_FEATURES = 1280
_OTT_KEPT = 2
_ITERATION_REG = 0.01


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the cases are."""

    label_classes: tuple[int, int] = (1000, 100)
    class_sizes: tuple[int, int] = (50, 40)
    dataset_classes: tuple[int, int] = (100, 10)
    datasets: tuple[int, ...] = (5_000, 10_000)
    large: int = 20_000
    iteration: int = 10_000
    real: int = 5_000
    sample_seconds: float = 15.0
    sample_share: float = 0.2
    ott_settings: tuple[tuple[float, str], ...] = OTT_SETTINGS
    growth_samples: tuple[int, ...] = (1_000, 2_000, 5_000, 10_000, 20_000)
    growth_features: tuple[int, ...] = (64, 256, 512, 1024, 2048)
    growth_classes: tuple[int, ...] = (10, 30, 100, 300, 1000)


QUICK = Sizes(
    label_classes=(12, 6),
    class_sizes=(20, 16),
    dataset_classes=(10, 5),
    datasets=(300,),
    large=500,
    iteration=500,
    real=400,
    sample_seconds=0.3,
    ott_settings=OTT_SETTINGS[:1],
    growth_samples=(100, 200),
    growth_features=(),
    growth_classes=(),
)


@dataclass(frozen=True, slots=True)
class Setting:
    """What holds for the whole run."""

    sizes: Sizes
    threads: int
    device: str
    data: Path | None
    cache: Path

    @property
    def thread_counts(self) -> tuple[int, ...]:
        """One and all; on another device than the CPU the engine has no use for one."""
        return (self.threads,) if self.threads == 1 or self.device != "cpu" else (1, self.threads)


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table.

    Attributes:
        name: Short, for the command line.
        title: For the reader.
        problem: Makes what all contenders are given.
        contenders: Who takes part, given the cases that are over.
        reference: The run whose values are taken as true, by its name's beginning; none where empty.
        error: How a result is compared with it.
        judge: Targets beside measured.
        floor: The least work.
    """

    name: str
    title: str
    problem: Callable[[], Problem]
    contenders: Callable[[Sequence[Judged]], list[Contender]]
    judge: Judge
    floor: Callable[[Sequence[Result]], Floor]
    reference: str = ""
    error: ErrorOf = label_error


def all_cases(setting: Setting) -> list[Case]:
    """In the order in which they run."""
    sizes = setting.sizes
    equal = (sizes.class_sizes[0], sizes.class_sizes[0])
    made = [
        _gaussian_case("labels-gaussian", "made-up features", setting, sizes.label_classes, equal),
        _exact_case("labels-exact", "made-up features", setting, sizes.label_classes, equal),
        _unequal_case(setting),
        *(
            _dataset_case(n, f"dataset-{n}", setting, ratio)
            for n, ratio in zip(sizes.datasets, POT_RATIOS, strict=False)
        ),
        _large_case(setting),
        _iteration_case(setting),
    ]
    return made + (_real_cases(setting) if setting.data is not None else [])


def _gaussian_case(
    name: str,
    origin: str,
    setting: Setting,
    n_classes: tuple[int, int],
    class_sizes: tuple[int, int],
    problem: Callable[[], Problem] | None = None,
) -> Case:
    seconds = {"seconds": setting.sizes.sample_seconds}
    contenders = [
        *_ours("labels", setting, method="gaussian"),
        *(Contender("torch svdvals, one batch", "bures:svdvals", n) for n in setting.thread_counts),
        *_pool("torch svdvals, batches on a pool", "bures:svdvals", setting, pool=True),
        Contender("torch Bures by eigh", "bures:eigen", setting.threads, seconds),
        Contender("POT bures_wasserstein_distance", "bures:pot", setting.threads, seconds),
    ]
    return Case(
        name,
        f"C, gaussian: {n_classes[0]} × {n_classes[1]} class pairs, {class_sizes[0]} a class, {origin}",
        problem or partial(_made_up_labels, n_classes, class_sizes),
        lambda _: contenders,
        partial(judge_labels, ratios={"POT": 10.0, "torch Bures": 10.0, "torch svdvals, one batch": 2.5}),
        lambda _: gaussian_floor(n_classes, class_sizes, _n_features(problem)),
        "torch svdvals, one batch",
    )


def _exact_case(
    name: str,
    origin: str,
    setting: Setting,
    n_classes: tuple[int, int],
    class_sizes: tuple[int, int],
    problem: Callable[[], Problem] | None = None,
) -> Case:
    contenders = [
        *_ours("labels", setting, method="exact"),
        Contender("SciPy assignment, loop", "loops:assignment", 1),
        *_pool("SciPy assignment, loop on threads", "loops:assignment", setting, workers="threads"),
        Contender("POT emd2, loop", "loops:emd2", 1),
        *_pool("POT emd2, loop on processes", "loops:emd2", setting, workers="processes"),
    ]
    return Case(
        name,
        f"C, exact: {n_classes[0]} × {n_classes[1]} class pairs, {class_sizes[0]} a class, {origin}",
        problem or partial(_made_up_labels, n_classes, class_sizes),
        lambda _: contenders,
        partial(judge_labels, ratios={"POT emd2": 5.0, "SciPy": 3.0}),
        lambda _: exact_floor(n_classes, class_sizes, _n_features(problem)),
        "SciPy assignment, loop",
    )


def _unequal_case(setting: Setting) -> Case:
    n_classes, class_sizes = setting.sizes.label_classes, setting.sizes.class_sizes
    share = {"sample": setting.sizes.sample_share}
    contenders = [
        *_ours("labels", setting, method="exact"),
        Contender("POT emd2, loop", "loops:emd2", 1, share),
        *_pool("POT emd2, loop on processes", "loops:emd2", setting, workers="processes", **share),
    ]
    return Case(
        "labels-unequal",
        f"C, exact, unequal classes: {n_classes[0]} × {n_classes[1]} class pairs, {class_sizes[0]} against "
        f"{class_sizes[1]} a class, made-up features",
        partial(_made_up_labels, n_classes, class_sizes),
        lambda _: contenders,
        _judge_nothing,
        lambda _: exact_floor(n_classes, class_sizes, _N_FEATURES),
        "POT emd2, loop",
    )


def _dataset_case(
    n: int, name: str, setting: Setting, pot_ratio: float, problem: Callable[[], Problem] | None = None
) -> Case:
    origin = "made-up features" if problem is None else f"real features ({name})"
    return Case(
        name,
        f"dataset distance, n = {n}, {origin}",
        problem or partial(made_up, setting.sizes.dataset_classes, (n, n)),
        partial(_dataset_contenders, setting),
        partial(judge_dataset, pot_ratio=pot_ratio),
        lambda results: dataset_floor(n, n, _n_features(problem), int(results[0].facts.get("iterations", 0))),
        "POT emd2",
        cost_error,
    )


def _dataset_contenders(setting: Setting, done: Sequence[Judged]) -> list[Contender]:
    """Every setting of ott-jax the first time; later the ones that were fastest at equal error, or closest to it."""
    return [
        Contender(OURS, "engine:dataset", setting.threads),
        Contender(f"{OURS}, exact", "engine:dataset", setting.threads, {"transport": "exact"}),
        Contender("POT emd2", "simplex:emd2", setting.threads),
        *(
            Contender(f"geomloss, reg {reg:g}", "geomloss_samples:samples_loss", setting.threads, {"reg": reg})
            for reg in GEOMLOSS_REGS
        ),
        *_ott_contenders(setting, done),
    ]


def _ott_contenders(setting: Setting, done: Sequence[Judged]) -> list[Contender]:
    earlier = next((judged for judged in done if judged.name.startswith("dataset")), None)
    if earlier is None:
        return [
            Contender(
                f"ott-jax, reg {reg:g}, {variant}",
                _OTT,
                setting.threads,
                {"reg": reg, "threshold": _OTT_THRESHOLD, "variant": variant},
            )
            for reg, variant in setting.sizes.ott_settings
        ]
    pairs = list(zip(earlier.results, earlier.errors, strict=True))
    our_error = next(error for result, error in pairs if result.contender.is_ours)
    closest = [(result, error) for result, error in pairs if result.contender.run == _OTT and not isnan(error)]
    ranked = equally_exact(pairs, our_error) + [result for result, _ in sorted(closest, key=lambda pair: pair[1])]
    return list({result.contender.name: result.contender for result in ranked}.values())[:_OTT_KEPT]


def _large_case(setting: Setting) -> Case:
    n = setting.sizes.large
    return Case(
        f"dataset-{n}",
        f"dataset distance, n = {n}, made-up features",
        partial(made_up, setting.sizes.dataset_classes, (n, n)),
        lambda _: [Contender(OURS, "engine:dataset", setting.threads)],
        lambda results, _: judge_large(results[0]),
        lambda results: dataset_floor(n, n, _N_FEATURES, int(results[0].facts.get("iterations", 0))),
    )


def _iteration_case(setting: Setting) -> Case:
    n = setting.sizes.iteration
    readers = [Contender("torch.sum", "memory:torch_sum", setting.threads)]
    if setting.device == "cpu":
        readers.append(Contender("compiled sum", "memory:compiled", setting.threads))
    return Case(
        "iteration",
        f"one full Sinkhorn iteration, n = {n}",
        partial(made_up, setting.sizes.dataset_classes, (n, n)),
        lambda _: [Contender(OURS, "engine:iteration", setting.threads, {"reg": _ITERATION_REG}), *readers],
        lambda results, _: judge_iteration(results),
        lambda _: iteration_floor(n, n),
    )


def _real_cases(setting: Setting) -> list[Case]:
    sizes, folder = setting.sizes, setting.data or Path()
    size = sizes.class_sizes[0]
    classes = (202, 100)
    labels = partial(real, folder, "cifar100", cache=setting.cache, class_size=size, n_samples=None)
    origin = "Tiny-ImageNet to CIFAR-100"
    return [
        _gaussian_case("real-labels-gaussian", origin, setting, classes, (size, size), labels),
        _exact_case("real-labels-exact", origin, setting, classes, (size, size), labels),
        *(
            _dataset_case(
                sizes.real,
                f"real-dataset-{target}",
                setting,
                4,
                partial(real, folder, target, cache=setting.cache, class_size=None, n_samples=sizes.real),
            )
            for target in ("cifar100", "fashion-mnist")
        ),
    ]


def _n_features(real_problem: Callable[[], Problem] | None) -> int:
    """Of the made-up features, or of EfficientNet-lite0."""
    return _N_FEATURES if real_problem is None else _REAL_FEATURES


def _made_up_labels(n_classes: tuple[int, int], class_sizes: tuple[int, int]) -> Problem:
    n_source, n_target = (n * size for n, size in zip(n_classes, class_sizes, strict=True))
    return made_up(n_classes, (n_source, n_target), n_features=_N_FEATURES)


def _ours(function: str, setting: Setting, **settings: str) -> list[Contender]:
    return [Contender(OURS, f"engine:{function}", n, dict(settings)) for n in setting.thread_counts]


def _pool(name: str, run: str, setting: Setting, **settings: object) -> list[Contender]:
    """The same on workers of its own, each with one thread; nothing where there is one thread for all."""
    if setting.threads == 1:
        return []
    return [Contender(name, run, setting.threads, dict(settings), inner_threads=1)]


def _judge_nothing(results: Sequence[Result], _errors: Sequence[float]) -> list[Verdict]:
    """Ratios for the reader."""
    return [
        Verdict("(no target)", f"{verdict.target.removeprefix('≥ 0× ')}: {verdict.measured}", None)
        for verdict in (faster(ours_at(results, peer), peer, 0) for peer in results if not peer.contender.is_ours)
    ]

"""One selection, one training, one accuracy; measured once and kept."""

import hashlib
import json
import pickle
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits

import ot3l_core
from benchmarks.selection.contenders import CONTENDERS, Contender
from benchmarks.selection.embedding import Embedded, draw_pool
from benchmarks.selection.setting import SHARE
from ot3l_core.finetune.evaluation import evaluate
from ot3l_core.finetune.training import TrainingSettings, train_head
from ot3l_core.selection.quantisation import quantise

_VERSION = 1
_CORE = Path(ot3l_core.__file__).parent
# What decides about a cell beside its settings: another line of these, and it is measured anew.
_CODE = (
    *sorted((_CORE / "selection").glob("*.py")),
    *(_CORE / "finetune" / f"{name}.py" for name in ("training", "heads", "validation", "evaluation")),
    *(Path(__file__).with_name(f"{name}.py") for name in ("candidates", "cells", "contenders", "embedding")),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """What came of one choice.

    Attributes:
        contender: Who chose.
        budget: How many.
        seed: Of the drawn pool, the selection and the training.
        accuracy: On the test split, in percent.
        distance: W2 from the drawn pool to the selection with its best weights, in units of the selection space.
    """

    contender: str
    budget: int
    seed: int
    accuracy: float
    distance: float


def measure(
    embedded: Embedded,
    *,
    contenders: Sequence[Contender],
    budgets: Sequence[int],
    seeds: Sequence[int],
    kept: Path,
    n_processes: int,
) -> Iterator[list[Cell]]:
    """Measure what is not kept already; a process computes with one thread, so that their number changes no bit.

    Args:
        embedded: The data set.
        contenders: Who chooses.
        budgets: At most half of what a seed draws.
        seeds: Each draws its own part of the pool.
        kept: Folder of finished cells.
        n_processes: How many work at a time.

    Yields:
        The cells of one contender and seed, in no order.
    """
    packed = pickle.dumps(embedded)
    with ProcessPoolExecutor(n_processes, get_context("spawn"), torch.set_num_threads, (1,)) as workers:
        waiting: list[Future[list[Cell]]] = []
        for seed in seeds:
            for contender in contenders:
                affordable = [budget for budget in budgets if contender.most is None or budget <= contender.most]
                found = [_load(kept, _key(embedded, contender.name, budget, seed)) for budget in affordable]
                missing = [budget for budget, cell in zip(affordable, found, strict=True) if cell is None]
                yield [cell for cell in found if cell is not None]
                if missing:
                    waiting.append(workers.submit(measure_packed, packed, contender.name, missing, seed, kept))
        try:
            for done in as_completed(waiting):
                yield done.result()
        finally:
            workers.shutdown(wait=False, cancel_futures=True)


def measure_packed(packed: bytes, contender: str, budgets: Sequence[int], seed: int, kept: Path) -> list[Cell]:
    """The cells of one contender and seed; each is kept as soon as it is known."""
    embedded: Embedded = pickle.loads(packed)  # noqa: S301 - what the parent process packed
    drawn = draw_pool(embedded, seed)
    cells = []
    with threadpool_limits(1):
        choose = CONTENDERS[contender].begin(drawn, seed, max(budgets))
        for budget in budgets:
            indices = choose(budget).sort().values
            chosen = drawn.pool.take(indices)
            trained = train_head(
                chosen.features,
                chosen.labels,
                n_classes=chosen.n_classes,
                settings=TrainingSettings(),
                seed=seed,
            )
            probabilities = trained.head.probabilities(embedded.test.features)
            accuracy = 100 * evaluate(probabilities, embedded.test.labels).accuracy
            cells.append(Cell(contender, budget, seed, accuracy, quantise(drawn.points, indices).error))
            _keep(kept, _key(embedded, contender, budget, seed), cells[-1])
    return cells


def _key(embedded: Embedded, contender: str, budget: int, seed: int) -> str:
    settings = [_VERSION, embedded.digest, contender, budget, seed, SHARE, asdict(TrainingSettings()), _code_digest()]
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


@cache
def _code_digest() -> str:
    return hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in _CODE)).hexdigest()


def _load(kept: Path, key: str) -> Cell | None:
    try:
        return Cell(**json.loads((kept / f"{key}.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _keep(kept: Path, key: str, cell: Cell) -> None:
    kept.mkdir(parents=True, exist_ok=True)
    beside = kept / f".{key}.part"
    beside.write_text(json.dumps(asdict(cell)))
    beside.replace(kept / f"{key}.json")

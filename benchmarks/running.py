"""Sending contenders, one after the other, each into a process of its own."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.problem import Fact, Floats

_ROOT = Path(__file__).parents[1]
_TIME_LIMIT = 600.0
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Contender:
    """Who runs, how, and on how many cores.

    Attributes:
        name: What the tables call it.
        run: Module and function in ``benchmarks.contenders``.
        threads: Cores it may use.
        settings: What the function is given.
        inner_threads: Threads of the linear algebra beneath it; 1 where it brings workers of its own.
    """

    name: str
    run: str
    threads: int
    settings: dict[str, Any] = field(default_factory=dict)
    inner_threads: int | None = None

    @property
    def is_ours(self) -> bool:
        """Whether it is the engine."""
        return self.run.startswith("engine:")


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What one contender did on one problem.

    Attributes:
        contender: Who.
        seconds: Of every repeat, after the warm-up.
        values: What it found.
        rows: Source classes it was run on, where not all.
        columns: Target classes it was run on, where not all.
        peak_bytes: The most memory its process ever held.
        held_bytes: What the process held when the clock started.
        facts: What else it said.
        sampled: Whether the seconds are scaled up from a sample of pairs.
        failure: Why there is no result.
    """

    contender: Contender
    seconds: tuple[float, ...] = ()
    values: Floats = field(default_factory=lambda: np.zeros(0))
    rows: npt.NDArray[np.int64] | None = None
    columns: npt.NDArray[np.int64] | None = None
    peak_bytes: int = 0
    held_bytes: int = 0
    facts: dict[str, Fact] = field(default_factory=dict)
    sampled: bool = False
    failure: str | None = None

    @property
    def median(self) -> float:
        """Median of the repeats; infinite where it failed."""
        return median(self.seconds) if self.seconds else float("inf")

    @property
    def value(self) -> float:
        """The one value, where there is one."""
        return float(self.values) if self.values.ndim == 0 else float("nan")

    @property
    def n_nan(self) -> int:
        """Values that are no numbers."""
        return int(np.isnan(self.values).sum())


def run_contender(contender: Contender, problem: Path, device: str) -> Result:
    """Run one contender on a stored problem; what goes wrong with it is a result too."""
    answer = problem.with_name("answer.npz")
    on_device = device if contender.is_ours or contender.run in _DEVICE_RUNS else "cpu"
    request = {
        "run": contender.run,
        "problem": str(problem),
        "answer": str(answer),
        "threads": contender.threads,
        "library_threads": contender.inner_threads or contender.threads,
        "settings": contender.settings,
        "device": on_device,
    }
    try:
        found = _ask(request)
    except subprocess.TimeoutExpired:
        return Result(contender, failure=f"not finished after {_TIME_LIMIT:.0f} s")
    except subprocess.CalledProcessError as error:
        lines = (error.stderr or "").strip().splitlines()
        return Result(contender, failure=lines[-1] if lines else f"exit code {error.returncode}")
    with np.load(answer) as stored:
        arrays = dict(stored)
    return Result(
        contender,
        tuple(found["seconds"]),
        arrays["values"],
        arrays.get("rows"),
        arrays.get("columns"),
        found["peak_bytes"],
        found["held_bytes"],
        found["facts"],
        found["sampled"],
    )


_DEVICE_RUNS = frozenset({"bures:eigen", "bures:svdvals", "geomloss_samples:samples_loss", "memory:torch_sum"})


def measure_machine(threads: int, device: str) -> tuple[dict[str, float], dict[str, str]]:
    """Ceilings and versions, in a process like those of the contenders."""
    found = _ask({"run": "ceilings", "threads": threads, "library_threads": threads, "device": device})
    return found["ceilings"], found["versions"]


def _ask(request: dict[str, Any]) -> dict[str, Any]:
    # What the Makefile sets for machines that are shared would slow down those who wait for each other often.
    inherited = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment = inherited | dict.fromkeys(_THREAD_VARIABLES, str(request["library_threads"]))
    environment |= {"NUMBA_NUM_THREADS": str(request["threads"]), "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-m", "benchmarks.child", json.dumps(request)]
    done = subprocess.run(  # noqa: S603 - our own module
        command, cwd=_ROOT, env=environment, check=True, capture_output=True, text=True, timeout=_TIME_LIMIT
    )
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer

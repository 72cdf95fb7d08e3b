"""One contender on one problem, in a process of its own: a request on the command line, one JSON line as answer."""

import json
import os
import sys

REQUEST = json.loads(sys.argv[1]) if __name__ == "__main__" else {}
if REQUEST and hasattr(os, "sched_setaffinity"):
    # Before any library counts the cores: each must see as many as it may use.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: REQUEST["threads"]])

import time  # noqa: E402
from importlib import import_module, metadata  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402

from benchmarks.machine import ceilings, held_bytes, peak_bytes  # noqa: E402
from benchmarks.problem import Answer, Run, load  # noqa: E402

_PACKAGES = ("torch", "numpy", "scipy", "POT", "numba", "geomloss", "ott-jax", "jax")
_SPENT_SECONDS = 20.0
_SHORT_SECONDS = 0.5
_REPEATS = 4
_SHORT_REPEATS = 11


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Warm up, repeat, and say what came out.

    Runs until twenty seconds are spent, at most four times (eleven if short); the first run warms up, where there are
    others.
    """
    device = torch.device(request["device"])
    torch.set_num_threads(request["library_threads"])
    module, _, name = request["run"].partition(":")
    prepare = getattr(import_module(f"benchmarks.contenders.{module}"), name)
    problem = load(Path(request["problem"])).to(device)
    settings = request["settings"]
    prepare(problem.tiny(), request["threads"], **settings)()
    run = prepare(problem, request["threads"], **settings)
    held = held_bytes()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    answer, seconds = _repeat(run, device)
    peak = torch.cuda.max_memory_allocated() if device.type == "cuda" else peak_bytes()
    np.savez(request["answer"], values=answer.values, **_sample(answer))
    return {
        "seconds": seconds,
        "peak_bytes": peak,
        "held_bytes": held,
        "facts": answer.facts | (answer.later() if answer.later is not None else {}),
        "sampled": answer.seconds is not None,
        "nan": int(np.isnan(answer.values).sum()),
        "value": float(answer.values) if answer.values.ndim == 0 else None,
    }


def _repeat(run: Run, device: torch.device) -> tuple[Answer, list[float]]:
    seconds: list[float] = []
    elapsed: list[float] = []
    while True:
        start = time.perf_counter()
        answer = run()
        if device.type == "cuda":
            torch.cuda.synchronize()
        elapsed.append(time.perf_counter() - start)
        seconds.append(elapsed[-1] if answer.seconds is None else answer.seconds)
        enough = len(seconds) == (_REPEATS if elapsed[0] > _SHORT_SECONDS else _SHORT_REPEATS)
        if enough or sum(elapsed) > _SPENT_SECONDS or answer.seconds is not None:
            return answer, seconds[1:] or seconds


def _sample(answer: Answer) -> dict[str, np.ndarray[Any, np.dtype[np.int64]]]:
    parts = {"rows": answer.rows, "columns": answer.columns}
    return {name: part for name, part in parts.items() if part is not None}


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def main() -> None:
    """Answer the request."""
    if REQUEST["run"] == "ceilings":
        torch.set_num_threads(REQUEST["library_threads"])
        answer = {"ceilings": ceilings(REQUEST["device"]), "versions": _versions()}
    else:
        answer = measure(REQUEST)
    sys.stdout.flush()
    print(json.dumps(answer))


if __name__ == "__main__":
    main()

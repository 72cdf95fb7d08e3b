"""The machine: what it is, and how fast it can read and multiply at best."""

import os
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import torch

_REPEATS = 5
_SIDE = 2048
_DEVICE_SIDE = 8192
_READ_ELEMENTS = 1 << 27


def describe(threads: int, device: str) -> dict[str, str | int | float]:
    """What a reader must know to judge the figures."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "memory_gib": round(_memory_bytes() / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "threads": threads,
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
    }


def ceilings(device: str) -> dict[str, float]:
    """Flops a second of a matrix product in float32 and float64, and bytes a second of reading memory once."""
    side = _SIDE if device == "cpu" else _DEVICE_SIDE
    found = {}
    for name, dtype in (("flops_float32", torch.float32), ("flops_float64", torch.float64)):
        left, right = (torch.rand(side, side, dtype=dtype, device=device) for _ in range(2))
        found[name] = 2 * side**3 / _best(lambda a=left, b=right: torch.mm(a, b), device)
    memory = torch.rand(_READ_ELEMENTS, device=device)
    seconds = _best(memory.sum, device)
    if device == "cpu":
        from benchmarks.contenders.memory import compiled_sum  # noqa: PLC0415 - Numba is slow to load

        array = memory.numpy().reshape(-1, 1024)
        seconds = min(seconds, _best(lambda: compiled_sum(array), device))
    found["bytes"] = memory.numel() * memory.element_size() / seconds
    return found


def peak_bytes() -> int:
    """The most memory this process ever held.

    The counter of ``getrusage`` begins, on Linux, with what the parent held when it started the child.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource  # noqa: PLC0415 - absent on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def held_bytes() -> int:
    """The memory this process holds now."""
    pages = Path("/proc/self/statm")
    return int(pages.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if pages.exists() else peak_bytes()


def _best(call: Callable[[], object], device: str) -> float:
    call()
    seconds = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        call()
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

"""When and on how many cores the compiled kernels run."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor

_PIECES_PER_THREAD = 8


@cache
def _has_numba() -> bool:
    return find_spec("numba") is not None


def runs_compiled(data: Tensor) -> bool:
    """Whether kernels can work on this tensor: it is in main memory, and Numba is installed."""
    return data.device.type == "cpu" and _has_numba()


def on_all_cores(work: Callable[[int, int], None], n_items: int, *, multiple: int = 1) -> None:
    """Call ``work(start, stop)`` for pieces of ``range(n_items)`` on as many threads as torch uses.

    Args:
        work: Lets go of the interpreter's lock, as kernels do, and writes to places of its own.
        n_items: How many items there are.
        multiple: Pieces start at multiples of it.
    """
    n_threads = torch.get_num_threads()
    if n_threads == 1 or n_items <= multiple:
        work(0, n_items)
        return
    step = max(1, -(-n_items // (n_threads * _PIECES_PER_THREAD * multiple))) * multiple
    starts = range(0, n_items, step)
    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(work, starts, (min(start + step, n_items) for start in starts)))

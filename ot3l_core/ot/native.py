"""When and on how many cores the compiled kernels run."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from threading import local
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from ot3l_core.progress import OnProgress, ignore_progress

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

Item = TypeVar("Item")

_PIECES_PER_THREAD = 8
_thread = local()


@cache
def _has_numba() -> bool:
    return find_spec("numba") is not None


def runs_compiled(data: Tensor) -> bool:
    """Whether kernels can work on this tensor: it is in main memory, and Numba is installed."""
    return data.device.type == "cpu" and _has_numba()


def reads_compiled(cost: Tensor) -> bool:
    """Whether kernels can pass over this cost."""
    return runs_compiled(cost) and cost.dtype == torch.float32 and cost.is_contiguous()


def on_all_cores(work: Callable[[int, int], None], n_items: int, *, multiple: int = 1) -> None:
    """Call ``work(start, stop)`` for pieces of ``range(n_items)`` on as many threads as torch uses.

    Args:
        work: Lets go of the interpreter's lock, as kernels do, and writes to places of its own.
        n_items: How many items there are.
        multiple: Pieces start at multiples of it.
    """
    n_threads = _free_threads()
    if n_threads == 1 or n_items <= multiple:
        work(0, n_items)
        return
    step = max(1, -(-n_items // (n_threads * _PIECES_PER_THREAD * multiple))) * multiple
    pieces = [(start, min(start + step, n_items)) for start in range(0, n_items, step)]
    _spread(lambda piece: work(*piece), pieces, n_threads, ignore_progress)


def each_on_a_core(
    work: Callable[[Item], None], items: Sequence[Item], data: Tensor, on_progress: OnProgress = ignore_progress
) -> None:
    """Call ``work`` for every item, as many side by side as torch uses threads, each on one core.

    Where kernels cannot work on ``data``, items come one after the other and spread by themselves.

    What ``work`` calls in turn, matrix products of NumPy included, stays on that core: threads that wait for each other
    at every product lose more than they gain where cores are shared.

    Args:
        work: Lets go of the interpreter's lock, and writes to places of its own.
        items: What there is to do.
        data: What is worked on.
        on_progress: Called after every item; where it raises, items that were not begun are left.
    """
    n_threads = min(_free_threads(), len(items)) if runs_compiled(data) else 1
    if n_threads <= 1:
        for done, item in enumerate(items, 1):
            work(item)
            on_progress(done / len(items))
        return
    with _products_on_one_core():
        _spread(work, items, n_threads, on_progress)


def _spread(work: Callable[[Item], None], items: Sequence[Item], n_threads: int, on_progress: OnProgress) -> None:
    with ThreadPoolExecutor(n_threads, initializer=_enter) as pool:
        running = [pool.submit(work, item) for item in items]
        try:
            for done, finished in enumerate(as_completed(running), 1):
                finished.result()
                on_progress(done / len(items))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _enter() -> None:
    _thread.is_ours = True


def _free_threads() -> int:
    """One inside of work that is already spread over the cores."""
    return 1 if getattr(_thread, "is_ours", False) else torch.get_num_threads()


@cache
def _controller() -> "ThreadpoolController | None":
    if find_spec("threadpoolctl") is None:
        return None
    from threadpoolctl import ThreadpoolController  # noqa: PLC0415 - optional

    return ThreadpoolController()


@contextmanager
def _products_on_one_core() -> Iterator[None]:
    controller = _controller()
    if controller is None:
        yield
    else:
        with controller.limit(limits=1, user_api="blas"):
            yield

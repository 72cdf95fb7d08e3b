"""Work that several threads do ahead of the one that needs it."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Final, TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

DECODING_THREADS: Final = min(8, os.cpu_count() or 1)


def compute_ahead(
    compute: Callable[[Item], Result], items: Iterable[Item], *, threads: int = DECODING_THREADS, cores_each: int = 1
) -> Generator[Result, None, None]:
    """Results in the order of their items, a bounded number of them computed before they are asked for.

    Args:
        compute: Called from several threads; what it raises is raised where its result is due.
        items: May be endless.
        threads: How many.
        cores_each: How many cores torch may use in each: teams of threads on the same cores wait for each other.
    """
    waiting: deque[Future[Result]] = deque()
    remaining = iter(items)
    own_parallelism = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, "ahead", torch.set_num_threads, (cores_each,)) as pool:
            try:
                waiting.extend(pool.submit(compute, item) for item in islice(remaining, threads + 2))
                while waiting:
                    yield waiting.popleft().result()
                    waiting.extend(pool.submit(compute, item) for item in islice(remaining, 1))
            finally:
                for future in waiting:
                    future.cancel()
    finally:
        # What one thread sets for itself is also what later threads start with.
        torch.set_num_threads(own_parallelism)

"""Passing over a large matrix in rows that fit the cache."""

from collections.abc import Iterator

from torch import Tensor

_CACHE_BYTES = 1 << 20
_DEVICE_BYTES = 1 << 28


def row_blocks(matrix: Tensor) -> Iterator[slice]:
    """Consecutive rows of ``matrix`` that are worth one pass: a core's cache on a CPU, a large launch elsewhere."""
    n_rows, n_columns = matrix.shape
    block_bytes = _CACHE_BYTES if matrix.device.type == "cpu" else _DEVICE_BYTES
    step = max(1, block_bytes // max(1, n_columns * matrix.element_size()))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))

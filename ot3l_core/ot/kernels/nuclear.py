"""Sums of singular values of many small matrices, eight at a time.

Source:
    golub1965calculating; trefethen2014trapezoidal.
"""

from typing import NamedTuple

import numpy as np

from ot3l_core.ot.kernels.compiled import Doubles, Floats, inlined, kernel
from ot3l_core.ot.kernels.lanes import WIDTH, Lanes, fma, if_less, load, splat, sqrt, store, with_sign
from ot3l_core.ot.quadrature import BEYOND, NODES, WEIGHT

_NODES = np.array(NODES)
_TINY = 1e-290


class _Matrices(NamedTuple):
    """Eight matrices side by side, entry by entry.

    Attributes:
        entries: Shape ``(n m WIDTH,)``.
        n: Rows, at least as many as columns.
        m: Columns.
    """

    entries: Doubles
    n: int
    m: int


class _Bidiagonal(NamedTuple):
    """What is left of them.

    Attributes:
        diagonal: Shape ``(m WIDTH,)``.
        above: The entries beside it; the last are zero.
    """

    diagonal: Doubles
    above: Doubles


class _Vectors(NamedTuple):
    """Of the present step.

    Attributes:
        left: The reflector of columns, shape ``(n WIDTH,)``.
        right: The reflector of rows, shape ``(m WIDTH,)``.
        sums: ``left^T A``, shape ``(m WIDTH,)``.
    """

    left: Doubles
    right: Doubles
    sums: Doubles


@kernel
def nuclear_norms(products: Doubles | Floats, shape: tuple[int, int], norms: Doubles, start: int, stop: int) -> None:
    """Write the nuclear norms of some blocks of a matrix.

    Args:
        products: Blocks of ``n`` rows and ``m`` columns side by side, shape ``(K n, L m)``.
        shape: ``(n, m)``.
        norms: Written at ``[start, stop)``, shape ``(K L,)``.
        start: First block, counted along the rows of blocks.
        stop: Behind the last.
    """
    n, m = max(shape), min(shape)
    matrices = _Matrices(np.empty(n * m * WIDTH), n, m)
    bidiagonal = _Bidiagonal(np.zeros(m * WIDTH), np.zeros(m * WIDTH))
    vectors = _Vectors(np.empty(n * WIDTH), np.empty(m * WIDTH), np.empty(m * WIDTH))
    states, roots = np.empty(3 * len(_NODES) * WIDTH), np.empty(WIDTH)
    for first in range(start, stop, WIDTH):
        _gather(products, shape, first, stop, matrices.entries)
        for k in range(m):
            _step(matrices, bidiagonal, vectors, k)
        store(roots, 0, _sum_of_roots(bidiagonal, m, states))
        for lane in range(min(WIDTH, stop - first)):
            norms[first + lane] = roots[lane]


@kernel
def _gather(products: Doubles | Floats, shape: tuple[int, int], first: int, stop: int, entries: Doubles) -> None:
    """Lay eight blocks side by side, higher than wide; where there are fewer, the last fills up."""
    n, m = shape
    in_row, in_column = (m, 1) if n >= m else (1, n)
    n_across = products.shape[1] // m
    for i in range(n):
        for j in range(m):
            at = (i * in_row + j * in_column) * WIDTH
            for lane in range(WIDTH):
                block = min(first + lane, stop - 1)
                entries[at + lane] = products[(block // n_across) * n + i, (block % n_across) * m + j]


@inlined
def _reflection(head: Lanes, squared: Lanes) -> tuple[Lanes, Lanes, Lanes]:
    """Of a vector with this first entry and squared length: its image, the reflector's first entry and its factor."""
    image = splat(0.0) - with_sign(sqrt(squared), head)
    half = squared - head * image
    tiny = splat(_TINY)
    return image, head - image, splat(1.0) / if_less(half, tiny, tiny, half)


@kernel
def _step(matrices: _Matrices, bidiagonal: _Bidiagonal, vectors: _Vectors, k: int) -> None:
    """Clear column k below the diagonal and row k beyond its neighbour."""
    entries, n, m = matrices
    squared = splat(0.0)
    for i in range(k, n):
        entry = load(entries, (i * m + k) * WIDTH)
        store(vectors.left, i * WIDTH, entry)
        squared = fma(entry, entry, squared)
    image, head, factor = _reflection(load(vectors.left, k * WIDTH), squared)
    store(bidiagonal.diagonal, k * WIDTH, image)
    store(vectors.left, k * WIDTH, head)
    if k + 1 == m:
        return
    _project(matrices, vectors, k)
    squared = splat(0.0)
    for j in range(k + 1, m):
        share = splat(0.0) - factor * load(vectors.sums, j * WIDTH)
        store(vectors.sums, j * WIDTH, share)
        entry = fma(head, share, load(entries, (k * m + j) * WIDTH))
        store(vectors.right, j * WIDTH, entry)
        squared = fma(entry, entry, squared)
    image, head, factor = _reflection(load(vectors.right, (k + 1) * WIDTH), squared)
    store(bidiagonal.above, k * WIDTH, image)
    store(vectors.right, (k + 1) * WIDTH, head)
    _reflect(matrices, vectors, k, splat(0.0) - factor)


@inlined
def _project(matrices: _Matrices, vectors: _Vectors, k: int) -> None:
    """``left^T A`` over rows from k and columns beyond, four rows at a time to spare the sums' way to memory."""
    entries, n, m = matrices
    left, _, sums = vectors
    for j in range(k + 1, m):
        store(sums, j * WIDTH, splat(0.0))
    row = m * WIDTH
    i = k
    while i + 3 < n:
        a, b = load(left, i * WIDTH), load(left, (i + 1) * WIDTH)
        c, d = load(left, (i + 2) * WIDTH), load(left, (i + 3) * WIDTH)
        for j in range(k + 1, m):
            at = i * row + j * WIDTH
            total = fma(a, load(entries, at), fma(b, load(entries, at + row), load(sums, j * WIDTH)))
            total = fma(c, load(entries, at + 2 * row), fma(d, load(entries, at + 3 * row), total))
            store(sums, j * WIDTH, total)
        i += 4
    while i < n:
        a = load(left, i * WIDTH)
        for j in range(k + 1, m):
            store(sums, j * WIDTH, fma(a, load(entries, i * row + j * WIDTH), load(sums, j * WIDTH)))
        i += 1


@inlined
def _reflect(matrices: _Matrices, vectors: _Vectors, k: int, factor: Lanes) -> None:
    """Both reflections of the rows below k, two at a time: each is in cache for the second when the first is done."""
    entries, n, m = matrices
    left, right, shares = vectors
    row = m * WIDTH
    for i in range(k + 1, n, 2):
        # An odd last row is paired with itself and written once more, from the values before.
        below = min(i + 1, n - 1) * row
        at = i * row
        a, b = load(left, i * WIDTH), load(left, below // m)
        along_a, along_b = splat(0.0), splat(0.0)
        for j in range(k + 1, m):
            share, direction = load(shares, j * WIDTH), load(right, j * WIDTH)
            x = fma(a, share, load(entries, at + j * WIDTH))
            y = fma(b, share, load(entries, below + j * WIDTH))
            store(entries, at + j * WIDTH, x)
            store(entries, below + j * WIDTH, y)
            along_a, along_b = fma(x, direction, along_a), fma(y, direction, along_b)
        along_a, along_b = along_a * factor, along_b * factor
        for j in range(k + 1, m):
            direction = load(right, j * WIDTH)
            x = fma(along_a, direction, load(entries, at + j * WIDTH))
            y = fma(along_b, direction, load(entries, below + j * WIDTH))
            store(entries, at + j * WIDTH, x)
            store(entries, below + j * WIDTH, y)


@inlined
def _sum_of_roots(bidiagonal: _Bidiagonal, m: int, states: Doubles) -> Lanes:
    """The sum of the singular values of bidiagonal matrices ``B``, from ``tr T (T + s)^-1`` at the nodes ``s = u^2``.

    ``T + s = L D L^T`` is never formed: pivots ``q_i + t_i``, their shares ``t_i`` and ``r_i = t_i - s dt_i/ds``
    follow from sums and products of positive numbers, so that every trace keeps all its digits.
    """
    squared = splat(0.0)
    for i in range(m):
        q, e = load(bidiagonal.diagonal, i * WIDTH), load(bidiagonal.above, i * WIDTH)
        squared = fma(q, q, fma(e, e, squared))
    tiny = splat(_TINY)
    unit = splat(1.0) / if_less(squared, tiny, tiny, squared)
    for node in range(len(_NODES)):
        store(states, 3 * node * WIDTH, splat(_NODES[node] * _NODES[node]))
        store(states, (3 * node + 1) * WIDTH, splat(0.0))
        store(states, (3 * node + 2) * WIDTH, splat(0.0))
    for i in range(m):
        q, e = load(bidiagonal.diagonal, i * WIDTH), load(bidiagonal.above, i * WIDTH)
        q, e = q * q * unit, e * e * unit
        for node in range(len(_NODES)):
            at = 3 * node * WIDTH
            t, r, trace = load(states, at), load(states, at + WIDTH), load(states, at + 2 * WIDTH)
            inverse = splat(1.0) / (q + t)
            share = t * inverse
            store(states, at, fma(e, share, splat(_NODES[node] * _NODES[node])))
            store(states, at + WIDTH, e * inverse * fma(t - r, share, r))
            store(states, at + 2 * WIDTH, fma(q + r, inverse, trace))
    # Normalised, T has trace 1.
    total = splat(BEYOND)
    for node in range(len(_NODES)):
        total = fma(splat(_NODES[node]), load(states, (3 * node + 2) * WIDTH), total)
    return splat(WEIGHT) * total * sqrt(squared)

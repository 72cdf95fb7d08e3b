"""Nuclear norms of many small matrices at once, on any device, without a loop over them.

Source:
    golub1965calculating; trefethen2014trapezoidal.
"""

import torch
from torch import Tensor

from ot3l_core.ot.native import on_all_cores, runs_compiled
from ot3l_core.ot.quadrature import BEYOND, NODES, WEIGHT

_LANES = 8
# Eight matrices side by side should stay in a core's own cache, about a megabyte.
_MOST_ENTRIES = 1 << 14


def nuclear_norms(blocks: Tensor) -> Tensor:
    """Sums of singular values.

    Small matrices on a CPU go to a compiled kernel, eight at a time; large ones to LAPACK, one by one; those on other
    devices are all bidiagonalised in step.

    Args:
        blocks: K x L matrices that lie side by side, ``(K, n, L, m)``, contiguous.

    Returns:
        Shape ``(K, L)``, float64; within 1e-13 of each norm.
    """
    n_down, n, n_across, m = blocks.shape
    if blocks.device.type == "cpu" and n * m > _MOST_ENTRIES:
        singular_values: Tensor = torch.linalg.svdvals(squared_up(blocks.transpose(1, 2).double()))
        return singular_values.sum(-1)
    if runs_compiled(blocks):
        from ot3l_core.ot.kernels import nuclear  # noqa: PLC0415 - Numba is optional

        norms = torch.empty(n_down * n_across, dtype=torch.float64)
        host, written = blocks.reshape(n_down * n, n_across * m).numpy(), norms.numpy()
        on_all_cores(
            lambda start, stop: nuclear.nuclear_norms(host, (n, m), written, start, stop),
            len(norms),
            multiple=_LANES,
        )
        return norms.view(n_down, n_across)
    matrices = blocks.transpose(1, 2).flatten(0, 1).double()
    return nuclear_norms_in_step(matrices if n >= m else matrices.mT).view(n_down, n_across)


def nuclear_norms_in_step(matrices: Tensor) -> Tensor:
    """Bidiagonalise by Householder reflections, then sum the singular values by quadrature.

    Args:
        matrices: At least as high as wide, shape ``(P, n, m)``, float64.

    Returns:
        Shape ``(P,)``.
    """
    n_columns = matrices.shape[2]
    rest = matrices.clone(memory_format=torch.contiguous_format)
    diagonal, above = rest.new_zeros(len(rest), n_columns), rest.new_zeros(len(rest), n_columns)
    for column in range(n_columns):
        diagonal[:, column], left, factor = _reflection(rest[:, :, 0])
        if column + 1 == n_columns:
            break
        rest = rest[:, :, 1:]
        rest -= (factor * left)[:, :, None] * (left[:, None] @ rest)
        above[:, column], right, factor = _reflection(rest[:, 0])
        rest = rest[:, 1:]
        rest -= (rest @ right[:, :, None]) * (factor * right)[:, None]
    return _sums_of_roots(diagonal, above)


def _reflection(vectors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The vectors' images on the first axis, and ``v`` and ``2 / |v|^2`` of the reflections that take them there."""
    squared = vectors.square().sum(1)
    image = -torch.copysign(squared.sqrt(), vectors[:, 0])
    reflector = vectors.clone()
    reflector[:, 0] -= image
    half = squared - vectors[:, 0] * image
    return image, reflector, (1 / half.clamp(min=torch.finfo(half.dtype).tiny))[:, None]


def _sums_of_roots(diagonal: Tensor, above: Tensor) -> Tensor:
    """``tr T^(1/2)`` of ``T = B^T B`` for bidiagonal B, from ``tr T (T + s)^-1`` at the nodes ``s = u^2``.

    The pivots ``q_i + t_i`` of ``T + s``, their shares ``t_i`` and ``r_i = t_i - s dt_i/ds`` follow from sums and
    products of positive numbers, so every trace keeps all its digits.
    """
    nodes = diagonal.new_tensor(NODES)
    shifts = nodes.square()
    squared = diagonal.square().sum(1) + above.square().sum(1)
    scale = squared.clamp(min=torch.finfo(squared.dtype).tiny)[:, None]
    q, e = diagonal.square() / scale, above.square() / scale
    t, r, traces = shifts.expand(len(q), -1), nodes.new_zeros(()), nodes.new_zeros(())
    for i in range(q.shape[1]):
        inverse = 1 / (q[:, i, None] + t)
        traces = traces + (q[:, i, None] + r) * inverse
        share = t * inverse
        r = e[:, i, None] * inverse * (r + (t - r) * share)
        t = shifts + e[:, i, None] * share
    # Normalised, T has trace 1.
    return WEIGHT * (traces @ nodes + BEYOND) * squared.sqrt()


def squared_up(matrices: Tensor) -> Tensor:
    """Square matrices with the same singular values, where one side is much longer than the other."""
    rows, columns = matrices.shape[-2:]
    if max(rows, columns) <= 2 * min(rows, columns):
        return matrices
    factor: Tensor = torch.linalg.qr(matrices if rows > columns else matrices.mT, mode="r").R
    return factor

"""How much of two centred clouds lies on top of each other, in many pairs at once.

With both clouds centred, the squared 2-Wasserstein distance splits into the distance of the means and what the
shapes contribute::

    W2^2(x, y) = |mean x - mean y|^2 + overlap(x, x) + overlap(y, y) - 2 overlap(x, y),
    overlap(x, y) = max over plans P of sum_ij P_ij <x_i, y_j>,

because ``|x_i - y_j|^2 = |x_i|^2 + |y_j|^2 - 2 <x_i, y_j>`` and a plan does not change the first two terms. So all
that a solver reads is the matrix of products ``<x_i, y_j>``, and the products of every pair of clouds come from one
large matrix product. Here are the overlaps under three notions of a plan. On a CPU compiled kernels take the pairs in
turn; on other devices all pairs advance in step.

Every function takes the products of K with L clouds as blocks that lie side by side, ``(K, n, L, m)``, contiguous;
smaller clouds are filled up by zeros.
"""

import torch
from torch import Tensor

from ot3l_core.ot.in_step import transport_values_in_step
from ot3l_core.ot.native import on_all_cores, runs_compiled
from ot3l_core.ot.nuclear import nuclear_norms

_MARGINAL_ERROR = 1e-10
_MAX_ABSORPTIONS = 100
_PLAIN_ABSORPTIONS = 5
# A sweep changes a scaling by at most a factor of the number of points: ten stay far from float64's limits.
_SWEEPS_PER_ABSORPTION = 10
_LEAST_EXPONENT = -300.0


def exact_overlaps(blocks: Tensor, row_counts: Tensor, column_counts: Tensor) -> Tensor:
    """The maximum over all plans between equal masses.

    Args:
        blocks: Products of centred points, shape ``(K, n, L, m)``.
        row_counts: Points of each source cloud, shape ``(K,)``.
        column_counts: Points of each target cloud, shape ``(L,)``.

    Returns:
        Shape ``(K, L)``, float64.

    Source:
        peyre2019computational, remark 2.19.
    """
    n_down, n, n_across, m = blocks.shape
    if runs_compiled(blocks):
        from ot3l_core.ot.kernels import exact  # noqa: PLC0415 - Numba is optional

        overlaps = torch.empty(n_down * n_across, dtype=torch.float64)
        host, written = blocks.view(n_down * n, n_across * m).numpy(), overlaps.numpy()
        counts = row_counts.numpy(), column_counts.numpy()
        on_all_cores(
            lambda start, stop: exact.exact_overlaps(host, (n, m), counts, written, start, stop), len(overlaps)
        )
        return overlaps.view(n_down, n_across)
    costs = -blocks.transpose(1, 2).flatten(0, 1).double()
    values = transport_values_in_step(costs, row_counts.repeat_interleave(n_across), column_counts.repeat(n_down))
    return -values.view(n_down, n_across)


def gaussian_overlaps(blocks: Tensor, row_counts: Tensor, column_counts: Tensor) -> Tensor:
    """The overlap of the Gaussians with the clouds' (1/n) covariances: ``|B|_* / sqrt(n m)``.

    The trace of ``(A^1/2 B A^1/2)^1/2`` is the nuclear norm of ``X Y^T / sqrt(n m)`` for any factors
    ``A = X^T X / n`` and ``B = Y^T Y / m``, so no covariance and no matrix root is formed, and rank-deficient
    covariances need no care.

    Args:
        blocks: Products of centred points or of factors, shape ``(K, n, L, m)``.
        row_counts: Points of each source cloud, shape ``(K,)``.
        column_counts: Points of each target cloud, shape ``(L,)``.

    Returns:
        Shape ``(K, L)``, float64.

    Source:
        dowson1982frechet; olkin1982distance.
    """
    return nuclear_norms(blocks) / torch.outer(row_counts, column_counts).double().sqrt()


def entropic_overlaps(blocks: Tensor, row_counts: Tensor, column_counts: Tensor, *, reg: float) -> Tensor:
    """The maximum of ``<P, B> - reg / 2 KL(P | a b^T)`` for each block B.

    With it, the identity above is the debiased Sinkhorn divergence for the cost ``|x - y|^2``.

    Args:
        blocks: Products of centred points, shape ``(K, n, L, m)``.
        row_counts: Points of each source cloud, shape ``(K,)``.
        column_counts: Points of each target cloud, shape ``(L,)``.
        reg: Entropic strength in units of the squared distance.

    Returns:
        Shape ``(K, L)``.

    Source:
        feydy2019interpolating.
    """
    cross = blocks.transpose(1, 2).double()
    n_rows, n_columns = cross.shape[2:]
    exponents = _repeat_last(cross, row_counts, column_counts).flatten(0, 1) * (2 / reg)
    a = _padded_masses(row_counts, n_rows).repeat_interleave(len(column_counts), 0)[:, :, None]
    b = _padded_masses(column_counts, n_columns).repeat(len(row_counts), 1)[:, None, :]
    f = -exponents.amax(2, keepdim=True)
    g = -(exponents + f).amax(1, keepdim=True)
    active = torch.arange(len(exponents), device=cross.device)
    for absorption in range(_MAX_ABSORPTIONS):
        with_newton = absorption >= _PLAIN_ABSORPTIONS
        f[active], g[active], missed = _sharpen(
            exponents[active], f[active], g[active], a[active], b[active], with_newton=with_newton
        )
        # Each pair stops on its own, so its value does not depend on the pairs beside it.
        active = active[missed > _MARGINAL_ERROR]
        if len(active) == 0:
            break
    return (-(reg / 2) * ((a * f).sum((1, 2)) + (b * g).sum((1, 2)))).view(cross.shape[:2])


def _sharpen(
    exponents: Tensor, f: Tensor, g: Tensor, a: Tensor, b: Tensor, *, with_newton: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Some Sinkhorn iterations with the potentials absorbed in the kernel, and a Newton step before them.

    Where a plan is nearly a permutation, iterations alone take exponentially long in the spacing of the points.

    Returns:
        Potentials that meet the column masses, and the mass by which the rows miss theirs, shape ``(P,)``.

    Source:
        schmitzer2019stabilized; brauer2017newton.
    """
    if with_newton:
        f = f + _newton_step((exponents + f + g).clamp_(min=_LEAST_EXPONENT).exp_(), a, b)
    kernel = (exponents + f + g).clamp_(min=_LEAST_EXPONENT).exp_()
    u = torch.ones_like(f)
    v = 1 / (a.mT @ kernel)
    for _ in range(_SWEEPS_PER_ABSORPTION):
        u = 1 / (kernel @ (b * v).mT)
        v = 1 / ((a * u).mT @ kernel)
    missed = (a * (u * (kernel @ (b * v).mT) - 1).abs()).sum((1, 2))
    return f + u.log(), g + v.log(), missed


def _newton_step(kernel: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The change of ``f`` that would meet the row masses if ``g`` followed, at most 1 anywhere.

    The columns have their masses already, so eliminating ``g`` leaves ``diag(P 1) - P diag(1/b) P^T``.
    """
    plan = a * kernel * b
    sent = plan.sum(2)
    curvature = torch.diag_embed(sent) - plan @ (a * kernel).mT
    # A constant changes nothing, nor do points without mass: keep both in place.
    fixed = a @ a.mT + torch.diag_embed((a[..., 0] == 0).to(a.dtype) + torch.finfo(a.dtype).eps)
    step: Tensor = torch.linalg.solve(curvature + fixed, a - sent[..., None])
    return step / step.abs().amax(1, keepdim=True).clamp(min=1)


def _repeat_last(cross: Tensor, row_counts: Tensor, column_counts: Tensor) -> Tensor:
    """Pad by copies of the last point, which behave like it whatever their mass."""
    rows = torch.arange(cross.shape[2], device=cross.device).minimum(row_counts[:, None] - 1)
    columns = torch.arange(cross.shape[3], device=cross.device).minimum(column_counts[:, None] - 1)
    return cross.take_along_dim(rows[:, None, :, None], 2).take_along_dim(columns[None, :, None, :], 3)


def _padded_masses(counts: Tensor, length: int) -> Tensor:
    """Equal masses on the first points of each cloud and none on its padding, shape ``(K, length)``."""
    is_point = torch.arange(length, device=counts.device) < counts[:, None]
    return is_point.double() / counts[:, None]

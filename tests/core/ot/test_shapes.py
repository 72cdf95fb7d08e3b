"""Closed forms of the overlaps: Gaussian, sliced and entropic."""

import numpy as np
import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from ot3l_core.ot.gaussian import gaussian_squared_distance, triangular_factor
from ot3l_core.ot.overlap import entropic_overlaps, exact_overlaps
from ot3l_core.ot.sliced import sliced_directions, sorted_overlaps

seeds = st.integers(0, 2**32)


def cloud(n, d, seed):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def bures(x, y):
    """The textbook formula through matrix roots."""
    a, b = (np.atleast_2d(np.cov(points.numpy().T, bias=True)) for points in (x, y))
    root = sqrtm(a)
    cross = sqrtm(root @ b @ root)
    return float((x.mean(0) - y.mean(0)).square().sum()) + float(np.trace(a + b - 2 * np.real(cross)))


@given(d=st.integers(1, 6), extra=st.integers(1, 30), seed=seeds)
@settings(deadline=None, max_examples=40)
def test_gaussian_distance_is_the_closed_form(d, extra, seed):
    x = cloud(d + extra, d, seed)
    y = cloud(d + 2 * extra, d, seed + 1) @ cloud(d, d, seed + 2) + 1
    assert gaussian_squared_distance(x, y) == pytest.approx(bures(x, y), rel=1e-6, abs=1e-8)


@given(n=st.integers(1, 6), m=st.integers(1, 6), seed=seeds)
@settings(deadline=None, max_examples=40)
def test_gaussian_distance_is_a_lower_bound_of_the_exact_one_when_covariances_are_singular(n, m, seed):
    x, y = cloud(n, 10, seed), cloud(m, 10, seed + 1) + 0.3
    exact = ot.emd2(np.full(n, 1 / n), np.full(m, 1 / m), ot.dist(x.numpy(), y.numpy()))
    gaussian = gaussian_squared_distance(x, y)
    assert 0 <= gaussian <= exact * (1 + 1e-9)
    assert gaussian >= float((x.mean(0) - y.mean(0)).square().sum()) * (1 - 1e-9)


def test_a_factor_read_in_chunks_has_the_moments_of_the_whole():
    x = cloud(9_000, 3, 0)
    factor = triangular_factor(x)
    assert factor.shape == (3, 3)
    torch.testing.assert_close(factor.T @ factor, x.T @ x)


@given(n=st.integers(1, 9), m=st.integers(1, 9), seed=seeds)
@settings(deadline=None, max_examples=60)
def test_sorted_overlap_is_the_optimum_on_a_line(n, m, seed):
    x, y = cloud(n, 1, seed), cloud(m, 1, seed + 1)
    overlap = float(sorted_overlaps(x.sort(0).values[None], y.sort(0).values[None]))
    squared = float(x.square().mean() + y.square().mean()) - 2 * overlap
    expected = ot.emd2_1d(x.numpy().ravel(), y.numpy().ravel(), metric="sqeuclidean")
    assert squared == pytest.approx(float(expected), abs=1e-9)


@pytest.mark.parametrize("d", [1, 3, 256, 300])
def test_directions_are_orthonormal_sets_and_repeat_with_their_seed(d):
    directions = sliced_directions(d, seed=5)
    width = min(d, 256)
    first = directions[:, :width]
    torch.testing.assert_close(first.T @ first, torch.eye(width, dtype=torch.float64))
    assert directions.shape[1] >= 256
    assert torch.equal(directions, sliced_directions(d, seed=5))
    assert d == 1 or not torch.equal(directions, sliced_directions(d, seed=6))


@pytest.mark.parametrize("reg", [0.5, 2.0])
def test_entropic_overlap_is_pots_entropic_cost(reg):
    x, y = cloud(7, 2, 0), cloud(5, 2, 1)
    counts = torch.tensor([7]), torch.tensor([5])
    overlap = float(entropic_overlaps((x @ y.T)[None, :, None], *counts, reg=reg))
    a, b = np.full(7, 1 / 7), np.full(5, 1 / 5)
    plan = ot.sinkhorn(a, b, -2 * (x @ y.T).numpy(), reg, method="sinkhorn_log", stopThr=1e-12, numItermax=10_000)
    entropy = float((plan * np.log(plan / np.outer(a, b))).sum())
    assert overlap == pytest.approx(float((plan * (x @ y.T).numpy()).sum()) - reg / 2 * entropy, abs=1e-8)


def test_entropic_overlap_reaches_the_exact_one_where_plans_become_permutations():
    x, y = cloud(6, 2, 0), cloud(6, 2, 1)
    counts = torch.tensor([6]), torch.tensor([6])
    sharp = entropic_overlaps((x @ y.T)[None, :, None], *counts, reg=0.02)
    entropy_of_a_permutation = torch.tensor(6.0).log()
    expected = _exact_overlap(x, y) - 0.01 * entropy_of_a_permutation
    assert float(sharp) == pytest.approx(float(expected), rel=2e-3)
    flipped = entropic_overlaps((y @ x.T)[None, :, None], *counts, reg=0.02)
    assert float(flipped) == pytest.approx(float(sharp), rel=1e-9)


def test_an_outlier_in_both_clouds_makes_no_nan():
    x, y = cloud(6, 2, 0), cloud(5, 2, 1)
    x[0], y[0] = 300.0, 300.0
    overlap = entropic_overlaps((x @ y.T)[None, :, None], torch.tensor([6]), torch.tensor([5]), reg=0.5)
    assert float(overlap) == pytest.approx(_exact_overlap(x, y), rel=1e-3)


def test_padding_does_not_change_the_entropic_overlap():
    x, y = cloud(4, 2, 0), cloud(6, 2, 1)
    alone = entropic_overlaps((x @ y.T)[None, :, None], torch.tensor([4]), torch.tensor([6]), reg=1.0)
    padded = torch.zeros(1, 9, 1, 8, dtype=torch.float64)
    padded[0, :4, 0, :6] = x @ y.T
    torch.testing.assert_close(entropic_overlaps(padded, torch.tensor([4]), torch.tensor([6]), reg=1.0), alone)


def _exact_overlap(x, y):
    counts = torch.tensor([len(x)]), torch.tensor([len(y)])
    return float(exact_overlaps((x @ y.T)[None, :, None], *counts))

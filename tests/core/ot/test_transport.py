"""Laws of the transport solvers, against POT and closed forms."""

import numpy as np
import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ot3l_core.errors import Cancelled, ShapeMismatchError
from ot3l_core.ot import (
    exact_transport,
    sinkhorn_transport,
    squared_distances,
    tally,
    uniform_marginals,
)

SOLVERS = {"exact": exact_transport, "sinkhorn": sinkhorn_transport}
shapes = st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(1, 6))
seeds = st.integers(0, 2**32)


def clouds(shape, seed):
    """Two clouds with some points in common and some duplicates."""
    n, m, d = shape
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, generator=generator, dtype=torch.float64)
    y = torch.randn(m, d, generator=generator, dtype=torch.float64) * 2 + 1
    y[: m // 3] = x[torch.randint(n, (m // 3,), generator=generator)]
    return x, y


def random_masses(n, seed):
    masses = torch.rand(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 0.1
    return masses / masses.sum()


@given(shape=shapes, seed=seeds)
@settings(deadline=None, max_examples=60)
def test_squared_distances_agree_with_differences(shape, seed):
    x, y = clouds(shape, seed)
    expected = (x[:, None] - y[None]).square().sum(-1)
    torch.testing.assert_close(squared_distances(x, y), expected, rtol=1e-7, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_identical_rows_are_at_exactly_zero_far_from_the_origin(dtype):
    x = torch.randn(50, 64, generator=torch.Generator().manual_seed(0), dtype=dtype) + 1e3
    assert squared_distances(x, x[:20])[:20].diagonal().abs().max() == 0
    assert squared_distances(x, x).fill_diagonal_(1).min() > 0


def test_points_close_together_keep_their_distance_in_float32():
    x = torch.randn(30, 64, generator=torch.Generator().manual_seed(0))
    near = x + 1e-3 * torch.randn(30, 64, generator=torch.Generator().manual_seed(1))
    expected = (x.double() - near.double()).square().sum(1)
    torch.testing.assert_close(squared_distances(x, near).diagonal().double(), expected, rtol=1e-4, atol=0)


def test_clouds_of_different_dimension_are_refused():
    with pytest.raises(ShapeMismatchError, match="4 and 3"):
        squared_distances(torch.zeros(2, 4), torch.zeros(2, 3))


def test_exact_agrees_with_the_network_simplex_on_hundreds_of_problems():
    for seed in range(300):
        rng = np.random.default_rng(seed)
        shape = tuple(int(size) for size in rng.integers(1, [25, 25, 8]))
        x, y = clouds(shape, seed)
        cost = squared_distances(x, y)
        uniform = seed % 2 == 0
        masses = (
            uniform_marginals(cost) if uniform else (random_masses(shape[0], seed), random_masses(shape[1], ~seed % 99))
        )
        solved = exact_transport(cost, None if uniform else masses)
        expected = ot.emd2(masses[0].numpy(), masses[1].numpy(), cost.numpy())
        assert solved.value == pytest.approx(expected, rel=1e-9, abs=1e-12)
        assert solved.certificate.lower == pytest.approx(expected, rel=1e-9, abs=1e-9)
        assert solved.certificate.gap_percent < 1e-6


@pytest.mark.parametrize("solver", SOLVERS)
@given(shape=shapes, seed=seeds, weighted=st.booleans())
@settings(deadline=None, max_examples=40)
def test_every_answer_proves_itself(solver, shape, seed, weighted):
    x, y = clouds(shape, seed)
    cost = squared_distances(x, y)
    masses = (random_masses(len(x), 1), random_masses(len(y), 2)) if weighted else uniform_marginals(cost)
    solved = SOLVERS[solver](cost, masses)
    plan, (f, g) = solved.plan[:], solved.potentials

    assert plan.min() >= 0
    torch.testing.assert_close(plan.sum(1), masses[0], rtol=0, atol=1e-12)
    torch.testing.assert_close(plan.sum(0), masses[1], rtol=0, atol=1e-12)
    assert (f[:, None] + g - cost).max() <= 1e-9
    assert float((plan * cost).sum()) == pytest.approx(solved.certificate.upper, abs=1e-9)
    assert float(masses[0] @ f + masses[1] @ g) == pytest.approx(solved.certificate.lower, abs=1e-9)

    optimum = exact_transport(cost, masses).value
    assert solved.certificate.lower <= optimum + 1e-9
    assert optimum <= solved.certificate.upper + 1e-9
    one_group = [torch.zeros(n, dtype=torch.int64) for n in cost.shape]
    sums = tally(solved.plan, cost, *one_group, shape=(1, 1))
    assert float(sums.by_row.sum()) == pytest.approx(solved.value, abs=1e-9)
    torch.testing.assert_close(sums.by_column, (plan * cost).sum(0), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("tolerance", [0.1, 0.01, 0.002])
def test_sinkhorn_reaches_the_gap_it_is_asked_for(tolerance):
    generator = torch.Generator().manual_seed(3)
    x, y = torch.randn(150, 8, generator=generator), torch.randn(90, 8, generator=generator) + 0.5
    cost = squared_distances(x.double(), y.double())
    solved = sinkhorn_transport(cost, tolerance=tolerance)
    assert solved.certificate.gap_percent <= 100 * tolerance
    assert solved.value <= exact_transport(cost).value * (1 + tolerance / (1 - tolerance))


def test_over_relaxation_saves_sweeps_where_they_converge_slowly():
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(200, 2, generator=generator, dtype=torch.float64) for _ in range(2))
    assert sinkhorn_transport(squared_distances(x, y + 0.5), tolerance=0.02).n_iterations < 250


def test_sinkhorn_in_float32_stays_honest_about_what_it_reached():
    generator = torch.Generator().manual_seed(3)
    cost = squared_distances(torch.randn(80, 4, generator=generator), torch.randn(70, 4, generator=generator))
    solved = sinkhorn_transport(cost, tolerance=0.01)
    assert solved.certificate.lower <= exact_transport(cost).value <= solved.certificate.upper
    assert solved.certificate.gap_percent <= 1


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_cloud_is_at_zero_from_itself_in_any_order(solver):
    x = torch.randn(60, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = torch.cat([x, x[:7]])
    solved = SOLVERS[solver](squared_distances(x, x.flip(0)))
    assert solved.value <= 1e-10 * solved.certificate.scale
    assert solved.certificate.gap_percent <= 1


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("outlier", [1e3, 1e6])
def test_an_outlier_makes_no_nan(solver, outlier):
    x = torch.randn(20, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = x * 1.1
    y[0] = outlier
    certificate = SOLVERS[solver](squared_distances(x, y)).certificate
    assert 0 < certificate.lower <= certificate.upper < float("inf")


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_cost_of_zero_is_solved(solver):
    certificate = SOLVERS[solver](torch.zeros(4, 6, dtype=torch.float64)).certificate
    assert (certificate.lower, certificate.upper, certificate.gap_percent) == (0, 0, 0)


def test_sinkhorn_stops_when_told():
    def refuse(share):
        raise Cancelled(f"stopped at {share}")

    with pytest.raises(Cancelled):
        sinkhorn_transport(torch.rand(9, 8, generator=torch.Generator().manual_seed(0)).double(), on_progress=refuse)


def test_sinkhorn_reports_rising_shares():
    shares = []
    cost = torch.rand(30, 20, generator=torch.Generator().manual_seed(0)).double()
    sinkhorn_transport(cost, on_progress=shares.append)
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] == 1


def test_a_tally_counts_the_mass_between_groups():
    plan = torch.tensor([[0.1, 0.2], [0.3, 0.0], [0.0, 0.4]], dtype=torch.float64)
    sums = tally(plan, torch.ones(3, 2), torch.tensor([2, 0, 2]), torch.tensor([1, 0]), shape=(3, 2))
    expected = torch.tensor([[0.0, 0.3], [0.0, 0.0], [0.6, 0.1]], dtype=torch.float64)
    torch.testing.assert_close(sums.by_group, expected)

"""The optimum on both sides of the size from which solvers start warm, against POT."""

import ot
import pytest
import torch

from ot3l_core.errors import Cancelled
from ot3l_core.ot import exact_transport, squared_distances, uniform_marginals

pytestmark = pytest.mark.usefixtures("engine")

SIZES = [(1, 1), (1, 40), (40, 1), (90, 90), (255, 255), (256, 256), (300, 280), (300, 300), (30, 400)]


def cost_of(n, m, kind="random", seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 4, generator=generator, dtype=torch.float64)
    y = torch.randn(m, 4, generator=generator, dtype=torch.float64) + 0.3
    match kind:
        case "integers":
            x, y = x.round(), y.round()
        case "duplicates":
            x = x[torch.randint(1 + n // 5, (n,), generator=generator)]
            y = y[torch.randint(1 + m // 5, (m,), generator=generator)]
        case "clusters":
            x, y = x.sign() * 10 + x / 10, y.sign() * 10 + y / 10
        case "line":
            x, y = x[:, :1], y[:, :1]
    return squared_distances(x, y)


def random_masses(n, seed, orders=1):
    masses = 10 ** (orders * torch.rand(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))
    return masses / masses.sum()


def assert_optimal(cost, masses, solved):
    expected = ot.emd2(masses[0].numpy(), masses[1].numpy(), cost.numpy(), numItermax=10**7)
    plan, (f, g) = solved.plan[:], solved.potentials
    scale = float(cost.mean())
    assert solved.value == pytest.approx(expected, rel=1e-9, abs=1e-12 * scale)
    assert solved.certificate.lower == pytest.approx(expected, rel=1e-9, abs=1e-9 * scale)
    assert plan.min() >= 0
    torch.testing.assert_close(plan.sum(1), masses[0], rtol=1e-9, atol=1e-13)
    torch.testing.assert_close(plan.sum(0), masses[1], rtol=1e-9, atol=1e-13)
    assert float((plan * cost).sum()) == pytest.approx(solved.value, rel=1e-12)
    assert (f[:, None] + g - cost).max() <= 1e-12 * float(cost.max())


@pytest.mark.parametrize("sizes", SIZES)
def test_uniform_masses(sizes):
    cost = cost_of(*sizes)
    assert_optimal(cost, uniform_marginals(cost), exact_transport(cost))


@pytest.mark.parametrize("kind", ["integers", "duplicates", "clusters", "line"])
@pytest.mark.parametrize("sizes", [(60, 60), (60, 45), (270, 270), (280, 260)])
def test_ties_duplicates_clusters_and_lines(kind, sizes):
    cost = cost_of(*sizes, kind)
    assert_optimal(cost, uniform_marginals(cost), exact_transport(cost))


@pytest.mark.parametrize("sizes", [(50, 50), (260, 260), (300, 257)])
@pytest.mark.parametrize("orders", [1, 4])
def test_masses_of_any_size(sizes, orders):
    cost = cost_of(*sizes)
    masses = random_masses(sizes[0], 1, orders), random_masses(sizes[1], 2, orders)
    assert_optimal(cost, masses, exact_transport(cost, masses))


@pytest.mark.parametrize("n", [40, 270])
def test_float32_costs_are_solved_as_they_are(n):
    cost = cost_of(n, n).float()
    assert_optimal(cost.double(), uniform_marginals(cost), exact_transport(cost))


@pytest.mark.parametrize("n", [60, 270])
def test_a_shuffled_cloud_costs_nothing(n):
    x = torch.randn(n, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    solved = exact_transport(squared_distances(x, x.flip(0)))
    assert solved.value == 0
    assert solved.certificate.lower >= -1e-12


@pytest.mark.parametrize("sizes", [(60, 60), (60, 50), (270, 260)])
@pytest.mark.parametrize("factor", [1e-24, 1e-12, 1e12])
def test_the_unit_of_the_cost_does_not_matter(sizes, factor):
    cost = cost_of(*sizes)
    solved = exact_transport(cost * factor)
    assert solved.value == pytest.approx(exact_transport(cost).value * factor, rel=1e-9)
    assert solved.certificate.gap_percent < 1e-6


def test_a_large_problem_stops_when_told_before_its_solver_starts():
    def refuse(share):
        raise Cancelled(f"stopped at {share}")

    with pytest.raises(Cancelled):
        exact_transport(cost_of(260, 260), on_progress=refuse)

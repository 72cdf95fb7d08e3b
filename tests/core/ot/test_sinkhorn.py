"""Laws of the certified iteration, in both precisions and both implementations."""

from functools import cache

import ot
import pytest
import torch

from ot3l_core.errors import Cancelled
from ot3l_core.ot import exact_transport, sinkhorn_transport, squared_distances, tally, uniform_marginals
from ot3l_core.ot.certificate import dual_bound
from ot3l_core.ot.gibbs import Gibbs
from ot3l_core.ot.sinkhorn import sweep

pytestmark = pytest.mark.usefixtures("engine")

DTYPES = (torch.float32, torch.float64)


def cloud(n, d, seed):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def picked(n, among, seed):
    return torch.randint(among, (n,), generator=torch.Generator().manual_seed(seed))


def clustered():
    centres = 10 * cloud(5, 4, 4)
    return tuple(centres[picked(100, 5, seed)] + 0.1 * cloud(100, 4, seed + 2) for seed in (5, 6))


def unevenly_clustered():
    """Clusters of which one cloud has more than the other: little mass goes far."""
    members = picked(200, 5, 3)
    return tuple(
        10 * cloud(5, 4, 4)[own] + 0.1 * cloud(100, 4, seed) for own, seed in ((members[:100], 5), (members[100:], 6))
    )


def with_outlier(size):
    x, y = cloud(80, 3, 0), cloud(70, 3, 1)
    y[0] = size
    return x, y


CLOUDS = {
    "easy": (cloud(150, 8, 0), cloud(90, 8, 1) + 0.5),
    "line": (cloud(120, 1, 0), cloud(100, 1, 1) + 0.5),
    "clusters": clustered(),
    "uneven clusters": unevenly_clustered(),
    "pair of clusters": tuple(torch.cat([cloud(n, 2, n), cloud(m, 2, m) + 1000]) for n, m in ((50, 51), (30, 71))),
    "outlier": with_outlier(1e3),
    "far outlier": with_outlier(1e6),
    "duplicates": (cloud(10, 3, 0)[picked(90, 10, 1)], cloud(10, 3, 0)[picked(60, 10, 2)]),
    "wide": (cloud(30, 6, 0), cloud(1000, 6, 1)),
    "high": (cloud(1000, 6, 0), cloud(30, 6, 1)),
    "near copies": (cloud(100, 6, 0), cloud(100, 6, 0) + 1e-3 * cloud(100, 6, 1)),
    "grid": (torch.arange(40.0)[:, None], torch.arange(40.0)[:, None] + 0.5),
    "far": (cloud(60, 4, 0), cloud(60, 4, 1) + 1e4),
    "constant": (torch.ones(30, 4), torch.ones(40, 4)),
    "two points": (torch.ones(30, 4), torch.zeros(40, 4)),
    "one to many": (cloud(1, 4, 0), cloud(50, 4, 1)),
    "many to one": (cloud(50, 4, 0), torch.zeros(20, 4)),
    "single": (cloud(1, 4, 0), cloud(1, 4, 1)),
    "tiny": (1e-6 * cloud(60, 4, 0), 1e-6 * cloud(50, 4, 1)),
    "huge": (1e12 * cloud(60, 4, 0), 1e12 * cloud(50, 4, 1)),
}


@cache
def cost_of(name, dtype):
    x, y = CLOUDS[name]
    return squared_distances(x.to(dtype), y.to(dtype))


def masses_over_six_orders(cost):
    masses = [
        10 ** (6 * torch.rand(n, generator=torch.Generator().manual_seed(n), dtype=torch.float64)) for n in cost.shape
    ]
    return masses[0] / masses[0].sum(), masses[1] / masses[1].sum()


def optimum(cost, masses):
    """POT's, at a scale that its fixed tolerances suit."""
    scale = float(cost.double().mean()) or 1.0
    a, b = masses
    return scale * ot.emd2(a.numpy(), b.numpy(), (cost.double() / scale).numpy(), numItermax=10**7)


def assert_proven(cost, masses, solved):
    """The bounds hold POT's optimum, and are what the potentials and the plan say."""
    single = cost.dtype == torch.float32
    rounding = 3e-6 if single else 1e-11
    precise, certificate = cost.double(), solved.certificate
    plan, (f, g) = solved.plan[:], solved.potentials
    scale = float(precise.mean())
    slack = rounding * 1e-3 * scale
    expected = optimum(cost, masses)
    assert torch.isfinite(plan).all()
    assert plan.min() >= 0
    assert certificate.lower <= expected * (1 + rounding) + slack
    assert expected <= certificate.upper * (1 + rounding) + slack
    assert (f[:, None] + g - precise).max() <= 1e-12 * float(precise.max())
    assert float(masses[0] @ f + masses[1] @ g) >= certificate.lower - 1e-11 * scale
    assert float((plan * precise).sum()) == pytest.approx(certificate.upper, rel=2 * rounding, abs=slack)
    # What is left over after rounding counts from sixteen last digits on, and is shared out among the rest.
    for axis, own in ((1, masses[0]), (0, masses[1])):
        torch.testing.assert_close(plan.sum(axis), own, rtol=1e-5 if single else 1e-12, atol=1e-6 if single else 0)
        assert (plan.sum(axis) - own).abs().sum() <= 2 * rounding


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CLOUDS)
def test_bounds_hold_the_optimum_and_the_plan_its_marginals(name, dtype):
    cost = cost_of(name, dtype)
    assert_proven(cost, uniform_marginals(cost), sinkhorn_transport(cost))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CLOUDS)
def test_the_same_with_masses_over_six_orders(name, dtype):
    cost = cost_of(name, dtype)
    masses = masses_over_six_orders(cost)
    solved = sinkhorn_transport(cost, masses)
    assert_proven(cost, masses, solved)
    assert solved.certificate.gap_percent <= 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["easy", "wide", "near copies"])
def test_a_tight_plan_has_its_marginals_too(name, dtype):
    cost = cost_of(name, dtype)
    assert_proven(cost, uniform_marginals(cost), sinkhorn_transport(cost, tolerance=0.001))


@pytest.mark.parametrize("tolerance", [0.1, 0.01, 0.001])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CLOUDS)
def test_the_gap_asked_for_is_reached(name, dtype, tolerance):
    certificate = sinkhorn_transport(cost_of(name, dtype), tolerance=tolerance).certificate
    assert certificate.gap_percent <= 100 * tolerance
    assert certificate.upper - certificate.lower <= tolerance * certificate.upper + 1e-10 * certificate.scale


@pytest.mark.parametrize("name", ["easy", "grid", "near copies"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_lower_bound_never_exceeds_the_upper_one(name, dtype):
    for tolerance in (0.1, 0.01, 0.001):
        certificate = sinkhorn_transport(cost_of(name, dtype), tolerance=tolerance).certificate
        assert certificate.lower <= certificate.upper


@pytest.mark.parametrize("name", ["easy", "near copies", "duplicates"])
def test_who_asks_for_more_does_not_get_less(name):
    cost = cost_of(name, torch.float64)
    masses = masses_over_six_orders(cost)
    loose, tight = (sinkhorn_transport(cost, masses, tolerance=own).certificate for own in (0.01, 0.001))
    assert tight.gap_percent <= max(0.1, loose.gap_percent)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["easy", "clusters", "outlier", "wide", "high", "one to many"])
def test_a_tally_sums_up_the_rows_of_the_plan(name, dtype):
    cost = cost_of(name, dtype)
    solved = sinkhorn_transport(cost, tolerance=0.05)
    row_groups, column_groups = picked(cost.shape[0], 4, 1), picked(cost.shape[1], 3, 2)
    sums = tally(solved.plan, cost, row_groups, column_groups, shape=(4, 3))
    plan, spent = solved.plan[:], solved.plan[:] * cost
    digits = {"rtol": 2e-6 if dtype == torch.float32 else 1e-11, "atol": 1e-9 * float(cost.mean()) / len(cost)}
    torch.testing.assert_close(sums.by_row, spent.sum(1), **digits)
    torch.testing.assert_close(sums.by_column, spent.sum(0), **digits)
    expected = torch.zeros(4, 3, dtype=torch.float64)
    expected.index_put_((row_groups[:, None], column_groups[None]), plan, accumulate=True)
    torch.testing.assert_close(sums.by_group, expected, rtol=2e-6, atol=1e-9)
    assert float(sums.by_group.sum()) == pytest.approx(1, rel=2e-6)


@pytest.mark.parametrize("name", ["easy", "line", "outlier", "wide", "high", "one to many", "single"])
@pytest.mark.parametrize("reg", [1.0, 0.1, 0.01])
@pytest.mark.parametrize("relaxation", [1.0, 1.5])
def test_one_sweep_in_float32_is_that_in_float64(name, reg, relaxation):
    cost = cost_of(name, torch.float32)
    masses = masses_over_six_orders(cost)
    strength = reg * float(cost.mean())
    start, _ = dual_bound(cost, torch.zeros_like(masses[1]), masses)
    (f, g), missed = sweep(cost, start, strength, masses, relaxation)
    (f_precise, g_precise), missed_precise = sweep(cost.double(), start, strength, masses, relaxation)
    torch.testing.assert_close(f / strength, f_precise / strength, rtol=1e-6, atol=5e-5)
    torch.testing.assert_close(g / strength, g_precise / strength, rtol=1e-6, atol=5e-5)
    assert missed == pytest.approx(missed_precise, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("reg", [0.1, 1e-3, 1e-4, 1e-10])
def test_every_pass_means_the_same_entries(reg):
    """Otherwise rows scaled to their mass would not have it."""
    cost = cost_of("easy", torch.float32)
    masses = uniform_marginals(cost)
    potentials, _ = dual_bound(cost, torch.zeros_like(masses[1]), masses)
    strength = reg * float(cost.mean())
    gibbs = Gibbs(cost, potentials, strength, masses)
    entries = gibbs[:]
    assert torch.equal(entries, torch.cat([gibbs[start : start + 7] for start in range(0, len(cost), 7)]))
    sent, received = gibbs.balance(1.0)
    ones, nothing = torch.ones_like(masses[1]), torch.zeros_like(masses[1])
    mass, price, rest_price = gibbs.price(ones, ones)
    torch.testing.assert_close(sent, entries.sum(1), rtol=2e-6, atol=0)
    torch.testing.assert_close(mass, entries.sum(1), rtol=2e-6, atol=0)
    torch.testing.assert_close(received, (masses[0] / sent) @ entries, rtol=2e-6, atol=0)
    torch.testing.assert_close(price, (entries * cost).sum(1), rtol=2e-6, atol=0)
    torch.testing.assert_close(rest_price, cost.double().sum(1), rtol=2e-6, atol=0)
    assert gibbs.price(nothing, nothing)[0].abs().max() == 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["easy", "wide", "high"])
def test_the_number_of_threads_changes_no_bit(name, dtype):
    cost = cost_of(name, dtype)
    groups = [torch.zeros(n, dtype=torch.int64) for n in cost.shape]
    n_threads = torch.get_num_threads()
    found = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            solved = sinkhorn_transport(cost, tolerance=0.05)
            found.append((solved, tally(solved.plan, cost, *groups, shape=(1, 1))))
    finally:
        torch.set_num_threads(n_threads)
    (one, one_tally), (two, two_tally) = found
    assert one.certificate == two.certificate
    assert torch.equal(one.plan[:], two.plan[:])
    assert all(torch.equal(*pair) for pair in zip(one.potentials, two.potentials, strict=True))
    assert torch.equal(one_tally.by_row, two_tally.by_row)
    assert torch.equal(one_tally.by_column, two_tally.by_column)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_transposed_cost_is_read_as_it_lies(dtype):
    cost = cost_of("easy", dtype)
    found = sinkhorn_transport(cost.T, tolerance=0.01)
    dense = sinkhorn_transport(cost.T.contiguous(), tolerance=0.01)
    assert found.value == pytest.approx(dense.value, rel=1e-3)
    assert found.certificate.lower == pytest.approx(dense.certificate.lower, rel=1e-3)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["easy", "line", "duplicates"])
def test_equal_clouds_in_any_order_are_at_zero_without_a_sweep(name, dtype):
    x = CLOUDS[name][0].to(dtype)
    solved = sinkhorn_transport(squared_distances(x, x.flip(0)), tolerance=0.001)
    assert solved.n_iterations == 0
    assert solved.value <= 1e-10 * solved.certificate.scale
    assert solved.certificate.gap_percent <= 0.1


@pytest.mark.parametrize("dtype", DTYPES)
def test_it_stops_when_told_at_any_sweep(dtype):
    calls = []

    def refuse_later(share):
        calls.append(share)
        if len(calls) == 7:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        sinkhorn_transport(cost_of("easy", dtype), tolerance=0.001, on_progress=refuse_later)
    assert len(calls) == 7
    assert calls == sorted(calls)


def test_the_exact_solver_agrees_with_what_was_proven():
    cost = cost_of("wide", torch.float32)
    certificate = sinkhorn_transport(cost).certificate
    assert certificate.lower * (1 - 1e-6) <= exact_transport(cost).value <= certificate.upper * (1 + 1e-6)

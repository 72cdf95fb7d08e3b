"""Greedy choice of the samples that teach a least-squares head most."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ot3l_core.errors import Cancelled
from ot3l_core.selection.fitting import _RIDGE, fit_greedily

seeds = st.integers(0, 999)


def pool(seed, n, n_classes=3, d=4):
    """Samples of which one in ten lies so far out that its leverage is high."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(n_classes, (n,), generator=generator)
    points = torch.randn(n, d, generator=generator) + torch.randn(n_classes, d, generator=generator)[labels]
    return points * (1 + 15 * (torch.rand(n, 1, generator=generator) < 0.1)), labels


def error_of(points, labels, chosen, n_classes=3):
    """Squared error on all samples of a ridge head refitted to some, its constant penalised like the rest."""
    x = points.double() / points.double().square().mean().sqrt()
    x = torch.cat([x, torch.ones(len(x), 1)], dim=1)
    y = torch.eye(n_classes, dtype=torch.float64)[labels]
    y = y - y.mean(dim=0)
    gram = x[chosen].T @ x[chosen] + _RIDGE * torch.eye(x.shape[1])
    return float((y - x @ torch.linalg.solve(gram, x[chosen].T @ y[chosen])).square().sum())


@given(seed=seeds, sizes=st.sampled_from([(40, 5), (200, 0), (200, 180)]))
@settings(deadline=None, max_examples=15)
def test_each_sample_taken_is_the_best_by_a_refit_with_every_other(seed, sizes):
    n, n_start = sizes
    points, labels = pool(seed, n)
    start = torch.randperm(n, generator=torch.Generator().manual_seed(seed))[:n_start]
    taken = fit_greedily(points, labels, n_classes=3, size=n_start + 5, start=start).tolist()
    for step in range(n_start, len(taken)):
        free = sorted(set(range(n)) - set(taken[:step]))
        errors = {j: error_of(points, labels, [*taken[:step], j]) for j in free}
        assert errors[taken[step]] <= min(errors.values()) * (1 + 1e-10)


@given(seed=seeds, n=st.integers(2, 40), data=st.data())
@settings(deadline=None, max_examples=40)
def test_it_extends_what_was_chosen_by_samples_that_were_not(seed, n, data):
    points, labels = pool(seed, n)
    n_start = data.draw(st.integers(0, n))
    size = data.draw(st.integers(max(n_start, 1), n))
    start = torch.randperm(n, generator=torch.Generator().manual_seed(seed))[:n_start]
    taken = fit_greedily(points, labels, n_classes=3, size=size, start=start)
    assert taken.dtype == torch.int64
    assert torch.equal(taken[:n_start], start)
    assert len(set(taken.tolist())) == len(taken) == size
    assert torch.equal(taken, fit_greedily(points, labels, n_classes=3, size=size, start=start))


@given(seed=seeds)
@settings(deadline=None, max_examples=20)
def test_a_longer_choice_begins_like_a_shorter_one(seed):
    points, labels = pool(seed, 50)
    short, long = (fit_greedily(points, labels, n_classes=3, size=size, start=torch.tensor([7])) for size in (10, 25))
    assert torch.equal(long[:10], short)


@given(seed=seeds, factor=st.sampled_from([2.0**-20, 0.5, 1024.0]))
@settings(deadline=None, max_examples=20)
def test_the_unit_of_the_features_does_not_matter(seed, factor):
    points, labels = pool(seed, 50)
    one, other = (
        fit_greedily(scaled, labels, n_classes=3, size=15, start=torch.arange(0))
        for scaled in (points, factor * points)
    )
    assert torch.equal(one, other)


def test_ties_go_to_the_lower_index():
    taken = fit_greedily(
        torch.randn(6, 2), torch.zeros(6, dtype=torch.int64), n_classes=1, size=4, start=torch.tensor([1])
    )
    assert taken.tolist() == [1, 0, 2, 3]


def test_features_that_are_all_zero_are_no_obstacle():
    taken = fit_greedily(
        torch.zeros(6, 2), torch.tensor([0, 0, 0, 0, 1, 1]), n_classes=2, size=6, start=torch.arange(0)
    )
    assert sorted(taken.tolist()) == [0, 1, 2, 3, 4, 5]


def test_it_reports_and_stops_when_told_to():
    points, labels = pool(0, 60)
    shares = []
    fit_greedily(points, labels, n_classes=3, size=50, start=torch.arange(3), on_progress=shares.append)
    assert shares == sorted(shares)
    assert (len(shares) > 2, shares[-1]) == (True, 1)

    def cancel(share):
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        fit_greedily(points, labels, n_classes=3, size=50, start=torch.arange(3), on_progress=cancel)

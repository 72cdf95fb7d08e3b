"""The space in which samples are compared."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ot3l_core.selection.geometry import selection_space

seeds = st.integers(0, 999)


def features(seed, n=30, d=8):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def squares(points):
    """Squared distances between all pairs, without cancellation."""
    return (points[:, None] - points).square().sum(dim=2)


def close(one, other):
    return torch.allclose(one, other, rtol=0, atol=1e-9)


@given(seed=seeds)
@settings(deadline=None)
def test_neither_scale_nor_offset_nor_order_of_the_dimensions_changes_a_distance(seed):
    rows = features(seed)
    generator = torch.Generator().manual_seed(seed)
    factors, offsets = torch.randn(2, 8, generator=generator, dtype=torch.float64)
    changed = (rows * factors.sign() * (factors.abs() + 0.1) + 10 * offsets)[:, torch.randperm(8, generator=generator)]
    assert close(squares(selection_space(changed)), squares(selection_space(rows)))


@given(seed=seeds)
@settings(deadline=None)
def test_few_dimensions_keep_the_distances_of_standardised_unit_rows(seed):
    rows = features(seed)
    rows = (rows - rows.mean(dim=0)) / rows.std(dim=0, correction=0)
    points = selection_space(features(seed))
    assert points.shape == (30, 8)
    assert close(squares(points), squares(rows / rows.norm(dim=1, keepdim=True)))


@given(seed=seeds, offset=st.floats(-1e3, 1e3), n=st.integers(2, 40))
@settings(deadline=None)
def test_a_dimension_in_which_nothing_varies_counts_for_nothing(seed, offset, n):
    rows = features(seed, n)
    constant = torch.full((n, 1), offset, dtype=torch.float64)
    assert close(squares(selection_space(torch.cat([rows, constant], dim=1))), squares(selection_space(rows)))


@given(seed=seeds)
@settings(deadline=None, max_examples=20)
def test_many_dimensions_become_the_64_in_which_the_pool_varies_most(seed):
    points = selection_space(features(seed, 90, 100))
    rows = features(seed, 90, 100)
    rows = (rows - rows.mean(dim=0)) / rows.std(dim=0, correction=0)
    rows = rows / rows.norm(dim=1, keepdim=True)
    strongest = torch.linalg.svdvals(rows - rows.mean(dim=0))[:64]
    assert points.shape == (90, 64)
    assert close(points.norm(dim=0), strongest)
    assert (squares(points) <= squares(rows) + 1e-9).all()


@given(seed=seeds)
@settings(deadline=None)
def test_the_points_are_centred_float64_and_in_the_order_of_the_samples(seed):
    rows = features(seed)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(seed))
    points = selection_space(rows)
    assert points.dtype == torch.float64
    assert float(points.mean(dim=0).abs().max()) < 1e-12
    assert close(squares(selection_space(rows[order])), squares(points)[order][:, order])


@pytest.mark.parametrize("rows", [torch.ones(1, 5), torch.zeros(4, 3), torch.full((3, 70), 0.1)])
def test_samples_that_do_not_differ_are_one_place(rows):
    points = selection_space(rows)
    assert points.shape == (len(rows), min(64, rows.shape[1]))
    assert float(points.abs().max()) < 1e-12


@pytest.mark.parametrize("seed", range(4))
def test_a_thousand_dead_dimensions_are_no_obstacle(seed):
    alive = features(seed, 48, 60).clamp(min=0)
    rows = torch.zeros(48, 1280, dtype=torch.float64)
    rows[:, torch.randperm(1280, generator=torch.Generator().manual_seed(seed))[:60]] = alive
    assert close(squares(selection_space(rows)), squares(selection_space(alive)))

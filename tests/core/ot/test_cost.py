"""Squared distances in both precisions, against differences in float64."""

import pytest
import torch

from ot3l_core.ot import GroupCost, squared_distances

pytestmark = pytest.mark.usefixtures("engine")

DTYPES = (torch.float32, torch.float64)


def points(n, d, seed, dtype):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def by_differences(x, y):
    return (x.double()[:, None] - y.double()[None]).square().sum(-1)


def groups(n, m, dtype=torch.float64):
    generator = torch.Generator().manual_seed(9)
    between = torch.rand(5, 3, generator=generator, dtype=dtype)
    return torch.randint(5, (n,), generator=generator), torch.randint(3, (m,), generator=generator), between


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 5, 1), (33, 17, 9), (130, 3, 64), (4, 200, 300)])
def test_distances_are_those_of_the_differences(shape, dtype):
    n, m, d = shape
    x, y = points(n, d, 0, dtype), points(m, d, 1, dtype) + 1
    found = squared_distances(x, y)
    assert found.dtype == dtype
    rounding = 16 * torch.finfo(dtype).eps
    torch.testing.assert_close(found.double(), by_differences(x, y), rtol=0, atol=rounding * (9 * d + 9))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("step", [1e-1, 1e-3, 1e-5])
def test_near_copies_keep_their_distance_and_copies_are_at_exactly_zero(step, dtype):
    x = points(60, 20, 0, dtype)
    near = torch.cat([x + step * points(60, 20, 1, dtype), x])
    found = squared_distances(x, near)
    expected = by_differences(x, near)
    close = expected < 100 * step**2
    # Half of the digits are left where products are trusted; of near points, what rounding about a centre leaves.
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(found.double()[close], expected[close], rtol=4 * max(eps**0.5, eps / step), atol=0)
    assert found[:, 60:].diagonal().abs().max() == 0


def test_mixed_precision_is_as_precise_as_the_wider():
    x, y = points(20, 6, 0, torch.float32), points(30, 6, 1, torch.float64)
    for left, right in ((x, y), (y, x)):
        found = squared_distances(left, right)
        assert found.dtype == torch.float64
        torch.testing.assert_close(found, by_differences(left, right), rtol=1e-12, atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_groups_cost_is_added_to_the_last_bit(dtype):
    x, y = points(40, 6, 0, dtype), points(25, 6, 1, dtype)
    y[:10] = x[:10]
    row_groups, column_groups, between = groups(40, 25)
    found = squared_distances(x, y, extra=GroupCost(row_groups, column_groups, between))
    added = between.to(dtype)[row_groups][:, column_groups]
    assert torch.equal(found, squared_distances(x, y) + added)
    assert torch.equal(found[:10, :10].diagonal(), added[:10, :10].diagonal())


def test_strided_inputs_are_read_as_they_are():
    x, y = points(12, 8, 0, torch.float32), points(9, 8, 1, torch.float32)
    row_groups, column_groups, between = groups(12, 9)
    extra = GroupCost(row_groups, column_groups, between.T.contiguous().T)
    left, right = x[:, ::2], y.T[::2].T[:, :4]
    dense = squared_distances(left.contiguous(), right.contiguous(), extra=extra)
    torch.testing.assert_close(squared_distances(left, right, extra=extra), dense)


@pytest.mark.parametrize("dtype", DTYPES)
def test_constant_points_are_nowhere_from_themselves(dtype):
    same = torch.full((6, 3), 0.1, dtype=dtype)
    assert squared_distances(same, same[:4]).abs().max() == 0


def test_the_number_of_threads_changes_nothing():
    x, y = points(200, 6, 0, torch.float32), points(90, 6, 1, torch.float32)
    y[:50] = x[:50]
    n_threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = squared_distances(x, y)
        torch.set_num_threads(2)
        torch.testing.assert_close(squared_distances(x, y), one, rtol=1e-6, atol=1e-6)
    finally:
        torch.set_num_threads(n_threads)

"""Sums of singular values, against LAPACK."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ot3l_core.ot.nuclear import nuclear_norms

pytestmark = pytest.mark.usefixtures("engine")


def random_blocks(shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def with_singular_values(values, seed):
    """One block, turned at random on both sides."""
    left, right = (torch.linalg.qr(random_blocks((len(values), len(values)), seed + side)).Q for side in (0, 1))
    return (left * torch.as_tensor(values) @ right)[None, :, None].contiguous()


def assert_norms(blocks):
    """Within 1e-13 of each norm, which LAPACK is itself only to its own rounding."""
    expected = torch.linalg.svdvals(blocks.transpose(1, 2).double()).sum(-1)
    torch.testing.assert_close(nuclear_norms(blocks), expected, rtol=2e-13, atol=0)


@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 24), st.integers(1, 5), st.integers(1, 24)),
    seed=st.integers(0, 2**32),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
@settings(deadline=None, max_examples=40)
def test_blocks_of_any_shape_and_number(shape, seed, dtype):
    assert_norms(random_blocks(shape, seed).to(dtype))


@pytest.mark.parametrize("shape", [(2, 50, 3, 50), (1, 64, 3, 3), (1, 3, 3, 64), (1, 130, 1, 130), (1, 400, 2, 50)])
def test_sizes_on_both_sides_of_the_way_to_lapack(shape):
    assert_norms(random_blocks(shape, 0))


@pytest.mark.parametrize("least", [1e-4, 1e-8, 1e-16, 1e-30])
def test_singular_values_of_every_size_count(least):
    values = np.geomspace(1, least, 14)
    norm = float(nuclear_norms(with_singular_values(values, 0)))
    assert norm == pytest.approx(values.sum(), rel=1e-13)


@pytest.mark.parametrize("rank", [1, 2, 5])
def test_missing_rank_adds_nothing(rank):
    values = np.r_[np.arange(1.0, rank + 1), np.zeros(12 - rank)]
    assert float(nuclear_norms(with_singular_values(values, 3))) == pytest.approx(values.sum(), rel=1e-13)


@pytest.mark.parametrize("scale", [1e-120, 1e-60, 1e-20, 1e20, 1e120])
def test_norms_scale_with_their_matrices(scale):
    blocks = random_blocks((2, 7, 3, 5), 0)
    torch.testing.assert_close(nuclear_norms(blocks * scale), nuclear_norms(blocks) * scale, rtol=1e-13, atol=0)


def test_padding_by_zeros_changes_nothing_and_nothing_is_zero():
    small = random_blocks((2, 4, 3, 6), 0)
    filled = torch.zeros(2, 9, 3, 8, dtype=torch.float64)
    filled[:, :4, :, :6] = small
    torch.testing.assert_close(nuclear_norms(filled), nuclear_norms(small), rtol=1e-13, atol=0)
    assert nuclear_norms(torch.zeros(2, 3, 2, 4)).abs().max() == 0


def test_matrices_that_need_no_reflection():
    eye = torch.eye(8, dtype=torch.float64)[None, :, None]
    assert float(nuclear_norms(eye)) == pytest.approx(8, rel=1e-13)
    one_column = torch.zeros(1, 6, 1, 6, dtype=torch.float64)
    one_column[0, :, 0, 4] = 2
    assert float(nuclear_norms(one_column)) == pytest.approx(2 * 6**0.5, rel=1e-13)
    assert float(nuclear_norms(torch.ones(1, 9, 1, 4))) == pytest.approx(6, rel=1e-13)

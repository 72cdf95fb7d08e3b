"""The best plans of many small problems, against POT and SciPy."""

import numpy as np
import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from ot3l_core.ot.overlap import exact_overlaps

pytestmark = pytest.mark.usefixtures("engine")

KINDS = ("random", "integers", "duplicates", "equal", "single")


def block_of(rng, n, m, kind):
    products = rng.standard_normal((n, m))
    match kind:
        case "integers":
            return np.round(2 * products)
        case "duplicates":
            return products[rng.integers(n, size=n)][:, rng.integers(m, size=m)]
        case "equal":
            return np.full((n, m), products[0, 0])
        case "single":
            return products.astype(np.float32).astype(np.float64)
        case _:
            return products


def pots_overlap(products):
    """POT wants costs of one sign."""
    n, m = products.shape
    most = products.max() + 1
    return most - ot.emd2(np.full(n, 1 / n), np.full(m, 1 / m), most - products)


def overlap(products, dtype=torch.float64):
    n, m = products.shape
    blocks = torch.from_numpy(products)[None, :, None].to(dtype).contiguous()
    return float(exact_overlaps(blocks, torch.tensor([n]), torch.tensor([m])))


def test_the_optimum_on_hundreds_of_problems_of_every_kind():
    for seed in range(200):
        rng = np.random.default_rng(seed)
        kind = KINDS[seed % len(KINDS)]
        n, m = (int(size) for size in rng.integers(1, 18, 2))
        sizes = ((n, n), (n, m), (n, n * int(rng.integers(1, 4))), (1, m), (m, 1), (n, n + 1))[seed % 6]
        products = block_of(rng, *sizes, kind)
        dtype = torch.float32 if kind == "single" else torch.float64
        assert overlap(products, dtype) == pytest.approx(pots_overlap(products), rel=1e-11, abs=1e-11), (seed, sizes)


@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 16, 40])
@pytest.mark.parametrize("kind", KINDS)
def test_equally_many_points_are_assigned(n, kind):
    products = block_of(np.random.default_rng(n), n, n, kind)
    rows, columns = linear_sum_assignment(products, maximize=True)
    assert overlap(products) == pytest.approx(products[rows, columns].mean(), rel=1e-12, abs=1e-12)


@given(
    row_counts=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    column_counts=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    extra=st.integers(0, 3),
    seed=st.integers(0, 2**32),
    kind=st.sampled_from(KINDS),
)
@settings(deadline=None, max_examples=30)
def test_what_pads_a_block_is_not_seen(row_counts, column_counts, extra, seed, kind):
    rng = np.random.default_rng(seed)
    height, width = max(row_counts) + extra, max(column_counts) + extra
    # What pads is better than anything else, so that reading it would show.
    blocks = np.full((len(row_counts), height, len(column_counts), width), 1e3)
    expected = np.empty((len(row_counts), len(column_counts)))
    for k, n in enumerate(row_counts):
        for other, m in enumerate(column_counts):
            blocks[k, :n, other, :m] = block_of(rng, n, m, kind)
            expected[k, other] = pots_overlap(blocks[k, :n, other, :m])
    found = exact_overlaps(torch.from_numpy(blocks), torch.tensor(row_counts), torch.tensor(column_counts))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("sizes", [(9, 9), (9, 4), (12, 4), (7, 1)])
def test_transposing_a_problem_changes_nothing_and_shifting_it_adds_the_shift(sizes):
    products = np.random.default_rng(0).standard_normal(sizes)
    found = overlap(products)
    assert overlap(products.T) == pytest.approx(found, rel=1e-13)
    assert overlap(products + 5) == pytest.approx(found + 5, rel=1e-13)
    assert overlap(products * 1e-30) == pytest.approx(found * 1e-30, rel=1e-13)


def test_the_number_of_threads_changes_no_bit():
    rng = np.random.default_rng(0)
    blocks = torch.from_numpy(rng.standard_normal((5, 6, 7, 9)))
    counts = torch.tensor([6, 3, 1, 5, 6]), torch.tensor([9, 6, 1, 2, 9, 4, 7])
    n_threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = exact_overlaps(blocks, *counts)
        torch.set_num_threads(2)
        assert torch.equal(exact_overlaps(blocks, *counts), one)
    finally:
        torch.set_num_threads(n_threads)

"""The few samples that stand for many."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ot3l_core.selection.quantisation import cluster, medoids, quantise

seeds = st.integers(0, 999)


def cloud(seed, n=60, d=4):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def blobs(seed, count=6, size=9):
    """Clusters of radius about 1, in random order, 100 apart; with the blob of each point."""
    which = torch.arange(count * size)[torch.randperm(count * size, generator=torch.Generator().manual_seed(seed))]
    return cloud(seed, count * size) + 100 * torch.eye(count, 4)[which % count] * (1 + which % count)[:, None], (
        which % count
    )


def some(n, size, seed):
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed))[:size].sort().values


@given(seed=seeds, n=st.integers(1, 40), size=st.integers(1, 50))
@settings(deadline=None)
def test_medoids_are_ascending_unique_and_as_many_as_asked_for(seed, n, size):
    # Rounded, so that there are copies.
    points = cloud(seed, n, 2).round()
    found = medoids(points, size, seed=seed)
    assert found.dtype == torch.int64
    assert found.tolist() == sorted(set(found.tolist()))
    assert len(found) == min(size, n)
    assert 0 <= int(found.min()) <= int(found.max()) < n
    assert torch.equal(found, medoids(points, size, seed=seed))


@given(seed=seeds)
@settings(deadline=None, max_examples=40)
def test_well_separated_blobs_give_one_medoid_each(seed):
    points, blob = blobs(seed, count=4)
    found = medoids(points, 4, seed=seed)
    assert sorted(blob[found].tolist()) == [0, 1, 2, 3]
    for place in found.tolist():
        own = points[blob == blob[place]]
        to_centre = (own - own.mean(dim=0)).norm(dim=1)
        assert float((points[place] - own.mean(dim=0)).norm()) == pytest.approx(float(to_centre.min()))


@given(seed=seeds)
@settings(deadline=None, max_examples=20)
def test_well_separated_blobs_are_the_clusters(seed):
    points, blob = blobs(seed, count=4)
    found = cluster(points, 4, seed=seed)
    assert found.dtype == torch.int64
    assert len({(int(a), int(b)) for a, b in zip(found, blob, strict=True)}) == 4


@given(seed=seeds, size=st.integers(1, 60))
@settings(deadline=None)
def test_every_sample_is_stood_for_by_a_nearest_one_and_the_chosen_by_themselves(seed, size):
    points, indices = cloud(seed), some(60, size, seed)
    found = quantise(points, indices)
    distances = (points[:, None] - points[indices]).norm(dim=2)
    taken = distances.gather(1, found.nearest[:, None]).flatten()
    assert torch.allclose(taken, distances.min(dim=1).values, rtol=1e-6, atol=1e-7)
    assert torch.equal(indices[found.nearest[indices]], indices)
    assert found.shares.tolist() == pytest.approx((torch.bincount(found.nearest, minlength=size) / 60).tolist())
    assert found.error == pytest.approx(float(taken.square().mean().sqrt()), rel=1e-6, abs=1e-7)


@given(seed=seeds, size=st.integers(2, 59))
@settings(deadline=None)
def test_one_sample_more_never_stands_for_the_pool_less_well(seed, size):
    points, indices = cloud(seed), some(60, size, seed)
    assert quantise(points, indices).error <= quantise(points, indices[:-1]).error + 1e-12
    assert quantise(points, torch.arange(60)).error == 0


def test_copies_stand_each_for_itself():
    found = quantise(torch.zeros(5, 2), torch.tensor([1, 3]))
    assert found.nearest[[1, 3]].tolist() == [0, 1]
    assert found.error == 0
    assert float(found.shares.sum()) == pytest.approx(1)


@given(seed=seeds, size=st.integers(2, 30))
@settings(deadline=None, max_examples=40)
def test_medoids_stand_for_the_pool_better_than_random_samples_do(seed, size):
    points = cloud(seed)
    at_random = [quantise(points, some(60, size, draw)).error for draw in range(20)]
    assert quantise(points, medoids(points, size, seed=seed)).error < sum(at_random) / 20


def test_medoids_are_nearly_the_best_subset_there_is():
    points = cloud(3, n=12, d=2)
    best = min(quantise(points, subset).error for subset in torch.combinations(torch.arange(12), 4))
    found = min(quantise(points, medoids(points, 4, seed=seed)).error for seed in range(10))
    assert best <= found <= 1.05 * best

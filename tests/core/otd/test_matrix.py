"""Laws of the distances between all of many datasets."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ot3l_core.data.samples import LabelledSamples
from ot3l_core.errors import (
    Cancelled,
    DataError,
    InvalidSettingError,
    MissingClassError,
    ShapeMismatchError,
    TooFewSamplesError,
)
from ot3l_core.names import FeatureScaling, LabelDistanceMethod, TransportMethod
from ot3l_core.otd import dataset_distance, dataset_matrix, label_distances, scale_features

seeds = st.integers(0, 2**32)
FAST = {"method": LabelDistanceMethod.MEANS, "transport": TransportMethod.EXACT}


def dataset(n, seed, *, n_classes=3, d=4, at=0.0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.cat([torch.arange(n_classes), torch.randint(n_classes, (n - n_classes,), generator=generator)])
    centres = torch.randn(n_classes, d, generator=generator, dtype=torch.float64)
    features = at + centres[labels] + torch.randn(n, d, generator=generator, dtype=torch.float64)
    return LabelledSamples(features, labels, tuple(str(k) for k in range(n_classes)))


def several(count, seed):
    return [dataset(9 + 2 * number, seed + number, n_classes=2 + number % 3) for number in range(count)]


def on_a_line(*places):
    """Copies of one dataset: two of them are as far apart as their places."""
    one = dataset(12, 0)
    step = torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    return [replace(one, features=one.features + place * step) for place in places]


@pytest.mark.parametrize("transport", TransportMethod)
@pytest.mark.parametrize("method", LabelDistanceMethod)
def test_every_entry_is_the_distance_of_its_pair(method, transport):
    datasets = several(3, seed=1)
    found = dataset_matrix(datasets, method=method, transport=transport, tolerance=1e-3, seed=5)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        between = label_distances(datasets[i], datasets[j], method=method, seed=5).square()
        pair = dataset_distance(datasets[i], datasets[j], label_cost=between, method=transport, tolerance=1e-3, seed=5)
        for row, column in ((i, j), (j, i)):
            assert float(found.lower[row, column]) == pair.lower
            assert float(found.upper[row, column]) == pair.value
            assert float(found.gap_percent[row, column]) == pair.gap_percent
            assert bool(found.converged[row, column]) == pair.converged


def test_two_datasets_have_one_distance_and_each_other():
    found = dataset_matrix(several(2, seed=3), **FAST)
    assert sorted(found.order) == [0, 1]
    (merge,) = found.merges
    assert ({merge.first, merge.second}, merge.size) == ({0, 1}, 2)
    assert merge.height == float(found.upper[0, 1])
    assert [(entry.index, entry.settled) for entry in found.nearest] == [(1, True), (0, True)]


@given(seed=seeds, count=st.integers(2, 7))
@settings(deadline=None, max_examples=15)
def test_a_matrix_is_symmetric_certified_and_zero_on_its_diagonal(seed, count):
    found = dataset_matrix(several(count, seed), method=LabelDistanceMethod.MEANS)
    for matrix in (found.lower, found.upper, found.gap_percent, found.converged):
        assert matrix.shape == (count, count)
        assert torch.equal(matrix, matrix.T)
    for matrix in (found.lower, found.upper, found.gap_percent):
        assert matrix.dtype == torch.float64
        assert not matrix.diagonal().any()
    assert found.converged.diagonal().all()
    assert (found.lower <= found.upper).all()
    assert ((found.gap_percent <= 1) == found.converged).all()


@given(seed=seeds, permutation=st.permutations(range(5)))
@settings(deadline=None, max_examples=15)
def test_permuting_the_list_permutes_everything(seed, permutation):
    datasets = several(5, seed)
    found = dataset_matrix(datasets, **FAST)
    moved = dataset_matrix([datasets[number] for number in permutation], **FAST)
    new = torch.tensor(permutation)
    for name in ("lower", "upper", "gap_percent", "converged"):
        torch.testing.assert_close(getattr(moved, name), getattr(found, name)[new[:, None], new])
    back = [permutation[leaf] for leaf in moved.order]
    assert back in (list(found.order), list(reversed(found.order)))
    heights = torch.tensor([[merge.height for merge in matrix.merges] for matrix in (found, moved)])
    torch.testing.assert_close(heights[0], heights[1])
    for place, number in enumerate(permutation):
        assert permutation[moved.nearest[place].index] == found.nearest[number].index
        assert moved.nearest[place].settled == found.nearest[number].settled


@given(seed=seeds, count=st.integers(2, 8))
@settings(deadline=None, max_examples=15)
def test_the_dendrogram_joins_neighbours_of_the_order_at_their_mean_distance(seed, count):
    found = dataset_matrix(several(count, seed), **FAST)
    place = {leaf: position for position, leaf in enumerate(found.order)}
    assert sorted(place) == list(range(count))
    groups = [[leaf] for leaf in range(count)]
    for merge in found.merges:
        first, second = groups[merge.first], groups[merge.second]
        height = found.upper[torch.tensor(first)[:, None], torch.tensor(second)].mean()
        assert merge.height == pytest.approx(float(height))
        groups.append(first + second)
        assert merge.size == len(groups[-1])
        assert [place[leaf] for leaf in groups[-1]] == list(range(place[first[0]], place[first[0]] + merge.size))
    heights = [merge.height for merge in found.merges]
    assert heights == sorted(heights)


def test_datasets_on_a_line_come_back_in_its_order():
    places = [0.0, 9.0, 2.0, 30.0, 3.0]
    found = dataset_matrix(on_a_line(*places), **FAST)
    line = torch.tensor(places, dtype=torch.float64)
    torch.testing.assert_close(found.upper, (line[:, None] - line).abs() * 2**0.5, rtol=1e-6, atol=1e-6)
    assert found.order in ((0, 2, 4, 1, 3), (3, 1, 4, 2, 0))
    assert [entry.index for entry in found.nearest] == [2, 4, 4, 1, 2]
    assert all(entry.settled for entry in found.nearest)


def test_a_loose_certificate_settles_nothing():
    datasets = several(4, seed=11)
    loose = dataset_matrix(datasets, method=LabelDistanceMethod.MEANS, transport=TransportMethod.MINIBATCH)
    for own, entry in enumerate(loose.nearest):
        rivals = [other for other in range(4) if other not in {own, entry.index}]
        assert float(loose.upper[own, entry.index]) <= min(float(loose.upper[own, other]) for other in rivals)
        proven = all(float(loose.upper[own, entry.index]) < float(loose.lower[own, other]) for other in rivals)
        assert entry.settled == proven
    assert not all(entry.settled for entry in loose.nearest)


def test_equals_are_at_zero_and_neither_is_proven_nearer():
    one, far = on_a_line(0.0, 5.0)
    found = dataset_matrix([one, far, one], **FAST)
    assert float(found.upper[0, 2]) <= 1e-5
    assert [entry.index for entry in found.nearest] == [2, 0, 0]
    assert [entry.settled for entry in found.nearest] == [True, False, True]


def test_a_first_row_is_what_pairs_scaled_by_the_first_dataset_give():
    datasets = [dataset(12, 0), dataset(9, 1, at=2.0), dataset(15, 2, at=-1.0)]
    found = dataset_matrix(scale_features(*datasets, scaling=FeatureScaling.UNIT), **FAST)
    for number in (1, 2):
        pair = scale_features(datasets[0], datasets[number], scaling=FeatureScaling.UNIT)
        between = label_distances(*pair, method=LabelDistanceMethod.MEANS).square()
        value = dataset_distance(*pair, label_cost=between, method=TransportMethod.EXACT).value
        assert float(found.upper[0, number]) == value


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_datasets_are_refused(count):
    with pytest.raises(TooFewSamplesError) as caught:
        dataset_matrix(several(2, seed=0)[:count], **FAST)
    assert caught.value.field == "datasets"


def test_the_dataset_to_blame_is_named():
    good = dataset(9, 0)
    broken = replace(good, features=good.features.clone())
    broken.features[4, 0] = torch.nan
    cases = [
        (dataset(9, 1, d=5), ShapeMismatchError),
        (good.take(torch.tensor([], dtype=torch.int64)), TooFewSamplesError),
        (good.take(torch.nonzero(good.labels != 1).flatten()), MissingClassError),
        (broken, DataError),
    ]
    for bad, error in cases:
        with pytest.raises(error, match="dataset 2") as caught:
            dataset_matrix([good, good, bad], **FAST)
        assert caught.value.field == "datasets.2"
    with pytest.raises(InvalidSettingError):
        dataset_matrix([good, good], tolerance=0.0, **FAST)


def test_progress_rises_to_one_and_stops_the_work():
    shares = []
    dataset_matrix(several(4, seed=0), method=LabelDistanceMethod.EXACT, on_progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert len(shares) >= 6

    def refuse(share):
        if share > 0.5:
            raise Cancelled(f"stopped at {share}")

    with pytest.raises(Cancelled):
        dataset_matrix(several(4, seed=0), method=LabelDistanceMethod.EXACT, on_progress=refuse)

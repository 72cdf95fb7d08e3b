"""Laws of the distances between classes."""

import numpy as np
import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ot3l_core.data.samples import LabelledSamples
from ot3l_core.errors import Cancelled, DataError, MissingClassError, ShapeMismatchError, TooFewSamplesError
from ot3l_core.names import FeatureScaling, LabelDistanceMethod
from ot3l_core.otd import label_distances, scale_features

METHODS = tuple(LabelDistanceMethod)
seeds = st.integers(0, 2**32)
odd_sizes = st.lists(st.integers(1, 9), min_size=1, max_size=4)
odd_data = {"sizes": odd_sizes, "other_sizes": odd_sizes, "d": st.integers(1, 7), "seed": seeds}


def dataset(sizes, d, seed, dtype=torch.float64):
    """Classes of given sizes in mixed order, with a constant feature and duplicate samples."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    labels = labels[torch.randperm(len(labels), generator=generator)]
    centres = torch.randn(len(sizes), d, generator=generator, dtype=dtype)
    features = centres[labels] + torch.randn(len(labels), d, generator=generator, dtype=dtype)
    features[:, 0] = 0.1
    features[labels == 0] = torch.where(
        torch.arange(int((labels == 0).sum()))[:, None] % 2 == 0, features[labels == 0], features[labels == 0][:1]
    )
    return LabelledSamples(features, labels, tuple(str(k) for k in range(len(sizes))))


@pytest.mark.parametrize("method", METHODS)
@given(**odd_data)
@settings(deadline=None, max_examples=15)
def test_distances_are_finite_non_negative_and_symmetric(method, sizes, other_sizes, d, seed):
    source, target = dataset(sizes, d, seed), dataset(other_sizes, d, seed + 1)
    distances = label_distances(source, target, method=method)
    assert distances.shape == (len(sizes), len(other_sizes))
    assert distances.dtype == torch.float64
    assert torch.isfinite(distances).all()
    assert distances.min() >= 0
    torch.testing.assert_close(distances, label_distances(target, source, method=method).T, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
@given(sizes=odd_sizes, d=st.integers(1, 7), seed=seeds)
@settings(deadline=None, max_examples=15)
def test_a_class_is_at_zero_from_itself_and_at_the_step_from_its_translate(method, sizes, d, seed):
    source = dataset(sizes, d, seed)
    itself = label_distances(source, source, method=method).diagonal()
    assert itself.max() <= 1e-5 * source.features.std(correction=0).clamp(min=1e-3)

    step = torch.randn(d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    moved = LabelledSamples(source.features + step, source.labels, source.classes)
    between = label_distances(source, moved, method=method).diagonal()
    torch.testing.assert_close(between, step.norm().expand_as(between), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
@given(**odd_data, factor=st.sampled_from([1e-4, 0.5, 3.0, 1e4]))
@settings(deadline=None, max_examples=10)
def test_distances_scale_with_the_features(method, sizes, other_sizes, d, seed, factor):
    pair = dataset(sizes, d, seed), dataset(other_sizes, d, seed + 1)
    scaled = [LabelledSamples(one.features * factor, one.labels, one.classes) for one in pair]
    expected = label_distances(*pair, method=method) * factor
    torch.testing.assert_close(label_distances(*scaled, method=method), expected, rtol=1e-5, atol=1e-5 * factor)


@given(**odd_data)
@settings(deadline=None, max_examples=30)
def test_exact_is_pots_optimum_and_bounds_the_others(sizes, other_sizes, d, seed):
    source, target = dataset(sizes, d, seed), dataset(other_sizes, d, seed + 1)
    exact = label_distances(source, target, method=LabelDistanceMethod.EXACT)
    for k, n in enumerate(sizes):
        for other, m in enumerate(other_sizes):
            x, y = source.features[source.labels == k].numpy(), target.features[target.labels == other].numpy()
            expected = ot.emd2(np.full(n, 1 / n), np.full(m, 1 / m), ot.dist(x, y)) ** 0.5
            assert float(exact[k, other]) == pytest.approx(expected, rel=1e-6, abs=1e-6)
    for lower in (LabelDistanceMethod.GAUSSIAN, LabelDistanceMethod.SLICED, LabelDistanceMethod.MEANS):
        assert (label_distances(source, target, method=lower) <= exact + 1e-6).all()


def test_sinkhorn_is_near_exact_and_sliced_equals_it_in_one_dimension():
    source, target = dataset([12, 30, 5], 6, 0), dataset([20, 9], 6, 1)
    exact = label_distances(source, target, method=LabelDistanceMethod.EXACT)
    torch.testing.assert_close(
        label_distances(source, target, method=LabelDistanceMethod.SINKHORN), exact, rtol=0.1, atol=0
    )
    flat, other = [LabelledSamples(s.features[:, 1:2], s.labels, s.classes) for s in (source, target)]
    torch.testing.assert_close(
        label_distances(flat, other, method=LabelDistanceMethod.SLICED),
        label_distances(flat, other, method=LabelDistanceMethod.EXACT),
    )


@pytest.mark.parametrize("method", METHODS)
def test_the_memory_budget_changes_nothing_but_the_number_of_blocks(method):
    source, target = dataset([3, 11, 1, 6, 6], 4, 0), dataset([5, 2, 9], 4, 1)
    shares, few = [], []
    small = label_distances(source, target, method=method, memory_budget=1, on_progress=shares.append)
    large = label_distances(source, target, method=method, on_progress=few.append)
    torch.testing.assert_close(small, large, rtol=1e-6, atol=0)
    assert shares == sorted(shares)
    assert shares[-1] == few[-1] == 1
    assert method is LabelDistanceMethod.MEANS or len(shares) > len(few)


@pytest.mark.parametrize("method", METHODS)
def test_float32_far_from_the_origin_gives_the_float64_answer(method):
    exact = dataset([5, 8], 6, 0)
    source = LabelledSamples((exact.features + 100).float(), exact.labels, exact.classes)
    rounded = LabelledSamples(source.features.double(), exact.labels, exact.classes)
    torch.testing.assert_close(
        label_distances(source, source, method=method), label_distances(rounded, rounded, method=method)
    )


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_samples_does_not_matter(method):
    source, target = dataset([4, 7], 3, 0), dataset([6, 6, 2], 3, 1)
    shuffled = source.take(torch.randperm(len(source), generator=torch.Generator().manual_seed(2)))
    torch.testing.assert_close(
        label_distances(source, target, method=method), label_distances(shuffled, target, method=method)
    )


def test_sliced_is_drawn_by_its_seed():
    source, target = dataset([9, 7], 5, 0), dataset([8], 5, 1)
    one, same, other = (
        label_distances(source, target, method=LabelDistanceMethod.SLICED, seed=seed) for seed in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("method", METHODS)
def test_work_stops_when_told(method):
    def refuse(share):
        raise Cancelled(f"stopped at {share}")

    with pytest.raises(Cancelled):
        label_distances(dataset([3], 2, 0), dataset([3], 2, 1), method=method, on_progress=refuse)


def test_a_class_without_samples_is_named():
    source = LabelledSamples(torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64), ("cat", "dog"))
    with pytest.raises(MissingClassError, match="dog") as caught:
        label_distances(dataset([2], 3, 0), source, method=LabelDistanceMethod.MEANS)
    assert caught.value.field == "target"


def test_features_that_cannot_be_compared_are_refused():
    source = dataset([3], 3, 0)
    with pytest.raises(ShapeMismatchError, match="3 and 4"):
        label_distances(source, dataset([3], 4, 0), method=LabelDistanceMethod.MEANS)
    broken = LabelledSamples(source.features.clone(), source.labels, source.classes)
    broken.features[1, 2] = float("nan")
    with pytest.raises(DataError, match="index 1") as caught:
        label_distances(source, broken, method=LabelDistanceMethod.MEANS)
    assert caught.value.field == "target"
    with pytest.raises(TooFewSamplesError):
        label_distances(source, source.take(torch.tensor([], dtype=torch.int64)), method=LabelDistanceMethod.MEANS)


@given(sizes=odd_sizes, d=st.integers(2, 7), seed=seeds)
@settings(deadline=None, max_examples=20)
def test_unit_scaling_standardises_by_the_source_and_leaves_constant_features_centred(sizes, d, seed):
    source, target = dataset(sizes, d, seed, torch.float32), dataset([4], d, seed + 1, torch.float32)
    target.features[:, 0] += 3
    scaled, onto = scale_features(source, target, scaling=FeatureScaling.UNIT)
    assert scaled.features.dtype == torch.float32
    assert torch.isfinite(scaled.features).all()
    assert scaled.features[:, 0].abs().max() == 0
    assert (onto.features[:, 0] > 0).all()
    torch.testing.assert_close(onto.features.norm(dim=1), torch.ones(4))
    lengths = scaled.features.norm(dim=1)
    assert ((lengths - 1).abs() < 1e-5).logical_or(lengths == 0).all()


def test_unit_scaling_by_hand():
    source = LabelledSamples(torch.tensor([[0.0, 1.0], [4.0, 1.0]]), torch.tensor([0, 0]), ("a",))
    target = LabelledSamples(torch.tensor([[8.0, 5.0], [2.0, 1.0]]), torch.tensor([0, 0]), ("b",))
    scaled, onto = scale_features(source, target, scaling=FeatureScaling.UNIT)
    assert scaled.features.tolist() == [[-1.0, 0.0], [1.0, 0.0]]
    torch.testing.assert_close(onto.features, torch.tensor([[0.6, 0.8], [0.0, 0.0]]))


@pytest.mark.parametrize("n", range(1, 20))
def test_equal_samples_are_left_at_the_origin_whatever_their_mean_rounds_to(n):
    source = LabelledSamples(torch.full((n, 2), 0.1, dtype=torch.float64), torch.zeros(n).long(), ("a",))
    scaled, onto = scale_features(source, source, scaling=FeatureScaling.UNIT)
    assert scaled.features.abs().max() == onto.features.abs().max() == 0


def test_a_feature_that_varies_by_rounding_only_is_not_divided_by_it():
    last_digit = torch.finfo(torch.float32).eps * (torch.arange(8) % 2)
    features = torch.stack([1 + last_digit, torch.arange(8.0)], dim=1)
    source = LabelledSamples(features, torch.zeros(8).long(), ("a",))
    scaled, _ = scale_features(source, source, scaling=FeatureScaling.UNIT)
    assert scaled.features[:, 0].abs().max() < 1e-5


def test_raw_scaling_changes_nothing():
    source, target = dataset([3, 2], 4, 0), dataset([5], 4, 1)
    assert scale_features(source, target, scaling=FeatureScaling.RAW) == (source, target)

"""Distances in every precision, with and without compiled kernels, for any block and any number of threads."""

import numpy as np
import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ot3l_core.data.samples import LabelledSamples
from ot3l_core.errors import Cancelled
from ot3l_core.names import LabelDistanceMethod, TransportMethod
from ot3l_core.ot import exact_transport
from ot3l_core.otd import dataset_distance, ground_cost, label_distances

pytestmark = pytest.mark.usefixtures("engine")

METHODS = tuple(LabelDistanceMethod)
SOLVED = (TransportMethod.EXACT, TransportMethod.SINKHORN)
SHAPES = {
    "n > d": ([20, 12, 26], [15, 22], 5),
    "n < d": ([4, 9, 3], [6, 2], 30),
    "unequal": ([1, 24, 8, 2], [15, 1, 9], 12),
    "one each": ([1, 1, 1], [1, 1], 6),
    "one feature": ([9, 30], [12, 4], 1),
}


def dataset(sizes, d, seed, *, spread=0.7):
    """Features that float32 holds, with one that is constant and a sample that occurs twice."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    labels = labels[torch.randperm(len(labels), generator=generator)]
    centres = spread * torch.randn(len(sizes), d, generator=generator)
    features = centres[labels] + torch.randn(len(labels), d, generator=generator)
    if d > 1:
        features[:, 0] = 0.1
    features[-1] = features[labels == labels[-1]][0]
    return LabelledSamples(features, labels, tuple(str(k) for k in range(len(sizes))))


def pair(name):
    sizes, other_sizes, d = SHAPES[name]
    return dataset(sizes, d, 0), dataset(other_sizes, d, 1)


def double(samples):
    return LabelledSamples(samples.features.double(), samples.labels, samples.classes)


def pots_distance(x, y):
    """Between clouds, at a scale that POT's fixed tolerances suit."""
    costs = ot.dist(x, y)
    return ot.emd2(np.full(len(x), 1 / len(x)), np.full(len(y), 1 / len(y)), costs, numItermax=10**7) ** 0.5


def clouds_of(samples):
    return [samples.features[samples.labels == k].double().numpy() for k in range(samples.n_classes)]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", SHAPES)
def test_float32_float64_and_mixed_features_give_the_same_distances(name, method):
    source, target = pair(name)
    expected = label_distances(double(source), double(target), method=method)
    for left, right in ((source, target), (double(source), target), (source, double(target))):
        torch.testing.assert_close(label_distances(left, right, method=method), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("step", [0.0, 1e-4, 1e-2])
@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_classes_that_are_nearly_equal_keep_their_distance_in_float32(name, method, step, offset):
    source, other = pair(name)[0], dataset(*SHAPES[name][::2], 7)
    source.features.add_(offset)
    moved = LabelledSamples(source.features + step * other.features, source.labels, source.classes)
    found = label_distances(source, moved, method=method)
    expected = label_distances(double(source), double(moved), method=method)
    # A square root makes 1e-6 of rounding in float64.
    rounding = 2e-6 * float(source.features.std(correction=0))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=rounding)
    if step == 0:
        assert found.diagonal().max() <= rounding


@pytest.mark.parametrize("name", SHAPES)
def test_exact_is_pots_and_gaussian_the_textbook_formula_in_float32(name):
    source, target = pair(name)
    exact = label_distances(source, target, method=LabelDistanceMethod.EXACT)
    gaussian = label_distances(source, target, method=LabelDistanceMethod.GAUSSIAN)
    for k, x in enumerate(clouds_of(source)):
        for other, y in enumerate(clouds_of(target)):
            assert float(exact[k, other]) == pytest.approx(pots_distance(x, y), rel=1e-6)
            bound = gaussian_reference(x, y)
            assert float(gaussian[k, other]) == pytest.approx(bound, rel=1e-6)


def gaussian_reference(x, y):
    """The closed form through singular values, which takes singular covariances."""
    centred = [(points - points.mean(0)) / len(points) ** 0.5 for points in (x, y)]
    overlap = np.linalg.svd(centred[0] @ centred[1].T, compute_uv=False).sum()
    between = np.sum((x.mean(0) - y.mean(0)) ** 2)
    return (between + np.sum(centred[0] ** 2) + np.sum(centred[1] ** 2) - 2 * overlap) ** 0.5


def pots_bures(*moments):
    try:
        return ot.gaussian.bures_wasserstein_distance(*moments)
    except np.linalg.LinAlgError:
        return np.nan


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_where_pots_formula_has_no_number_there_is_the_right_one():
    """A root of a singular covariance may lie outside the reals, by rounding."""
    rng = np.random.default_rng(0)
    n_nan = 0
    for seed in range(30):
        x, y = rng.standard_normal((3, 12)), rng.standard_normal((2, 12))
        a, b = (np.cov(points.T, bias=True) for points in (x, y))
        n_nan += not np.isfinite(pots_bures(x.mean(0), y.mean(0), a, b))
        pairs = [
            LabelledSamples(torch.from_numpy(points), torch.zeros(len(points)).long(), ("a",)) for points in (x, y)
        ]
        found = float(label_distances(*pairs, method=LabelDistanceMethod.GAUSSIAN))
        assert found == pytest.approx(gaussian_reference(x, y), rel=1e-9), seed
    assert n_nan > 0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("double_features", [False, True])
def test_no_block_size_and_no_number_of_threads_matters(method, double_features):
    source, target = pair("unequal")
    if double_features:
        source, target = double(source), double(target)
    expected = label_distances(source, target, method=method)
    n_threads = torch.get_num_threads()
    try:
        for threads, budget in ((1, 1), (2, 1 << 30), (2, 100_000)):
            torch.set_num_threads(threads)
            found = label_distances(source, target, method=method, memory_budget=budget)
            torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)
    finally:
        torch.set_num_threads(n_threads)


@pytest.mark.parametrize("method", [own for own in METHODS if own is not LabelDistanceMethod.SINKHORN])
def test_a_thousand_classes_on_either_side(engine, method):
    rng = np.random.default_rng(0)
    # Without kernels a million pairs take a minute.
    n_classes = 1000 if engine == "compiled" else 100
    source, target = (dataset(rng.integers(1, 4, n_classes).tolist(), 6, seed) for seed in (0, 1))
    found = label_distances(source, target, method=method)
    assert found.shape == (n_classes, n_classes)
    assert torch.isfinite(found).all()
    assert found.min() >= 0
    some = sorted(rng.choice(n_classes, 4, replace=False).tolist())
    few = [picked_classes(samples, some) for samples in (source, target)]
    own = label_distances(*few, method=method)
    torch.testing.assert_close(found[some][:, some], own, rtol=1e-6, atol=1e-7)


def picked_classes(samples, chosen):
    rows = torch.isin(samples.labels, torch.tensor(chosen))
    labels = torch.searchsorted(torch.tensor(chosen), samples.labels[rows])
    return LabelledSamples(samples.features[rows], labels, tuple(str(k) for k in chosen))


@pytest.mark.parametrize("method", METHODS)
def test_label_distances_stop_at_any_block_and_report_rising_shares(method):
    source, target = pair("unequal")
    shares = []
    label_distances(source, target, method=method, memory_budget=1, on_progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1

    def refuse_later(share):
        if share >= shares[len(shares) // 2]:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        label_distances(source, target, method=method, memory_budget=1, on_progress=refuse_later)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("method", SOLVED)
def test_the_dataset_distance_holds_pots_optimum_in_every_precision(name, method):
    source, target = pair(name)
    between = label_distances(source, target, method=LabelDistanceMethod.EXACT).square()
    cost = ground_cost(double(source), double(target), label_cost=between)
    optimum = exact_transport(cost).value ** 0.5
    assert optimum == pytest.approx(
        ot.emd2(*(np.full(n, 1 / n) for n in cost.shape), cost.numpy(), numItermax=10**7) ** 0.5, rel=1e-9
    )
    for left, right in ((source, target), (double(source), double(target)), (source, double(target))):
        found = dataset_distance(left, right, label_cost=between, method=method)
        assert found.lower <= optimum * (1 + 1e-6)
        assert optimum <= found.upper * (1 + 1e-6)
        assert found.converged
        assert float(found.sample_scores.mean()) == pytest.approx(found.value**2, rel=5e-6)
        shares = target.class_counts.double() / len(target)
        torch.testing.assert_close(found.class_plan.sum(0), shares, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", SOLVED)
@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    d=st.integers(1, 9),
    seed=st.integers(0, 2**32),
    label_method=st.sampled_from([LabelDistanceMethod.EXACT, LabelDistanceMethod.GAUSSIAN]),
    double_features=st.booleans(),
)
@settings(deadline=None, max_examples=20)
def test_a_dataset_is_at_zero_from_itself_shuffled(method, sizes, d, seed, label_method, double_features):
    source = dataset(sizes, d, seed)
    source = double(source) if double_features else source
    order = torch.randperm(len(source), generator=torch.Generator().manual_seed(seed))
    other = source.take(order)
    between = label_distances(source, other, method=label_method).square()
    found = dataset_distance(source, other, label_cost=between, method=method)
    # Of the typical distance between two samples.
    assert found.value <= 1e-5 * (1 + float(source.features.std(correction=0)))
    assert found.converged


@pytest.mark.parametrize("method", SOLVED)
def test_neither_the_order_of_samples_nor_that_of_the_datasets_matters_in_float32(method):
    source, target = pair("n > d")
    between = label_distances(source, target, method=LabelDistanceMethod.EXACT).square()
    found = dataset_distance(source, target, label_cost=between, method=method)
    generator = torch.Generator().manual_seed(5)
    shuffled = source.take(torch.randperm(len(source), generator=generator))
    again = dataset_distance(shuffled, target, label_cost=between, method=method)
    back = dataset_distance(target, source, label_cost=between.T, method=method)
    # Both orders prove bounds about the same optimum; they need not find the same plan.
    rounding = 1e-6 if method is TransportMethod.EXACT else 1e-4
    for other in (again, back):
        assert other.value == pytest.approx(found.value, rel=rounding)
        assert other.lower == pytest.approx(found.lower, rel=rounding)

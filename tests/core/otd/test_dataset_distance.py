"""Laws of the distance between datasets and of the scores read off it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ot3l_core.data.samples import LabelledSamples
from ot3l_core.errors import Cancelled, InvalidSettingError, MissingClassError, ShapeMismatchError
from ot3l_core.names import ClassScore, LabelDistanceMethod, TransportMethod
from ot3l_core.ot import exact_transport
from ot3l_core.otd import class_scores, dataset_distance, ground_cost, label_distances, rank_stability
from ot3l_core.otd.minibatch import minibatch_coupling

METHODS = tuple(TransportMethod)
seeds = st.integers(0, 2**32)


def dataset(n, d, n_classes, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.cat([torch.arange(n_classes), torch.randint(n_classes, (n - n_classes,), generator=generator)])
    centres = torch.randn(n_classes, d, generator=generator, dtype=dtype)
    features = centres[labels] + torch.randn(n, d, generator=generator, dtype=dtype)
    return LabelledSamples(features, labels, tuple(str(k) for k in range(n_classes)))


def label_cost(source, target):
    return label_distances(source, target, method=LabelDistanceMethod.EXACT).square()


@given(seed=seeds, n=st.integers(3, 9), m=st.integers(2, 9), d=st.integers(1, 4))
@settings(deadline=None, max_examples=30)
def test_the_ground_cost_is_its_definition_and_transposes_with_its_datasets(seed, n, m, d):
    source, target = dataset(n, d, 3, seed), dataset(m, d, 2, seed + 1)
    between = label_cost(source, target)
    cost = ground_cost(source, target, label_cost=between)
    for i in range(n):
        for j in range(m):
            apart = (source.features[i] - target.features[j]).square().sum()
            assert float(cost[i, j]) == pytest.approx(float(apart + between[source.labels[i], target.labels[j]]))
    torch.testing.assert_close(ground_cost(target, source, label_cost=between.T), cost.T)


def test_a_label_cost_of_the_wrong_shape_is_refused():
    source, target = dataset(5, 2, 3, 0), dataset(4, 2, 2, 1)
    with pytest.raises(ShapeMismatchError, match=r"\(3, 2\)"):
        ground_cost(source, target, label_cost=torch.zeros(2, 3))


@pytest.mark.parametrize("method", METHODS)
@given(seed=seeds, n=st.integers(3, 40), m=st.integers(2, 40), d=st.integers(1, 6))
@settings(deadline=None, max_examples=12)
def test_the_distance_is_certified_symmetric_and_adds_up(method, seed, n, m, d):
    source, target = dataset(n, d, 3, seed), dataset(m, d, 2, seed + 1)
    between = label_cost(source, target)
    found = dataset_distance(source, target, label_cost=between, method=method)
    optimum = exact_transport(ground_cost(source, target, label_cost=between)).value ** 0.5
    assert found.lower <= optimum + 1e-9
    assert optimum <= found.value + 1e-9
    assert found.value == found.upper
    assert found.gap_percent == pytest.approx(100 * (1 - (found.lower / found.upper) ** 2), abs=1e-6)
    assert found.converged == (found.gap_percent <= 1)
    assert (found.spread is not None) == (method is TransportMethod.MINIBATCH)

    assert found.sample_scores.shape == (m,)
    assert float(found.sample_scores.mean()) == pytest.approx(found.value**2)
    torch.testing.assert_close(found.class_plan.sum(0), target.class_counts / m, check_dtype=False)
    torch.testing.assert_close(found.class_plan.sum(1), source.class_counts / n, check_dtype=False)

    back = dataset_distance(target, source, label_cost=between.T, method=method)
    assert back.value == pytest.approx(found.value, rel=1e-9)
    torch.testing.assert_close(back.class_plan.T, found.class_plan)


@pytest.mark.parametrize("method", [TransportMethod.EXACT, TransportMethod.SINKHORN])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_dataset_is_at_zero_from_itself_in_any_order(method, dtype):
    source = dataset(80, 2, 4, 0, dtype)
    shuffled = source.take(torch.randperm(80, generator=torch.Generator().manual_seed(1)))
    found = dataset_distance(source, shuffled, label_cost=label_cost(source, shuffled), method=method)
    assert found.value <= 1e-5 * float(source.features.std())
    assert found.converged


@pytest.mark.parametrize("method", [TransportMethod.EXACT, TransportMethod.SINKHORN])
def test_the_order_of_samples_does_not_matter(method):
    source, target = dataset(60, 3, 4, 0), dataset(45, 3, 3, 1)
    between = label_cost(source, target)
    order = torch.randperm(45, generator=torch.Generator().manual_seed(2))
    found = dataset_distance(source, target, label_cost=between, method=method)
    again = dataset_distance(source, target.take(order), label_cost=between, method=method)
    assert again.value == pytest.approx(found.value, rel=1e-6)
    torch.testing.assert_close(again.sample_scores, found.sample_scores[order], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_moving_a_dataset_far_away_costs_the_step(method):
    source = dataset(50, 3, 4, 0)
    step = torch.tensor([30.0, -40.0, 0.0], dtype=torch.float64)
    moved = LabelledSamples(source.features + step, source.labels, source.classes)
    found = dataset_distance(source, moved, label_cost=torch.zeros(4, 4), method=method, tolerance=1e-6)
    assert found.value == pytest.approx(50, rel=1e-4)
    assert found.lower == pytest.approx(50, rel=1e-4)


def test_batches_make_one_plan_and_larger_ones_a_cheaper_one():
    source, target = dataset(97, 3, 4, 0), dataset(61, 3, 3, 1)
    between = label_cost(source, target)
    optimum = exact_transport(ground_cost(source, target, label_cost=between)).value
    small, large = (
        minibatch_coupling(source, target, label_cost=between, seed=0, batch_size=size) for size in (10, 50)
    )
    assert small.certificate.lower <= optimum <= large.certificate.upper <= small.certificate.upper
    assert (small.n_iterations, large.n_iterations) == (10, 2)
    assert small.spread > 0
    torch.testing.assert_close(small.class_plan.sum(0), target.class_counts / 61, check_dtype=False)
    torch.testing.assert_close(small.class_plan.sum(1), source.class_counts / 97, check_dtype=False)
    for scores in (small.first_scores, small.second_scores):
        assert float(scores.mean()) == pytest.approx(small.certificate.upper)
    again = minibatch_coupling(source, target, label_cost=between, seed=0, batch_size=10)
    other = minibatch_coupling(source, target, label_cost=between, seed=1, batch_size=10)
    assert again.certificate == small.certificate != other.certificate


def test_a_far_sample_scores_highest():
    source, target = dataset(30, 2, 2, 0), dataset(20, 2, 2, 1)
    target.features[13] += 100
    scores = dataset_distance(source, target, label_cost=torch.zeros(2, 2)).sample_scores
    assert int(scores.argmax()) == 13


@pytest.mark.parametrize("tolerance", [0.0, -1.0, float("nan")])
def test_a_tolerance_that_cannot_be_met_is_refused(tolerance):
    source = dataset(4, 2, 2, 0)
    with pytest.raises(InvalidSettingError) as caught:
        dataset_distance(source, source, label_cost=torch.zeros(2, 2), tolerance=tolerance)
    assert caught.value.field == "tolerance"


@pytest.mark.parametrize("method", METHODS)
def test_work_stops_when_told(method):
    def refuse(share):
        raise Cancelled(f"stopped at {share}")

    source, target = dataset(9, 2, 2, 0), dataset(8, 2, 2, 1)
    with pytest.raises(Cancelled):
        dataset_distance(source, target, label_cost=torch.ones(2, 2), method=method, on_progress=refuse)


def test_class_scores_by_hand():
    distances = torch.tensor([[1.0, 4.0], [3.0, 2.0]], dtype=torch.float64)
    plan = torch.tensor([[0.1, 0.0], [0.4, 0.5]], dtype=torch.float64)
    assert class_scores(distances, class_score=ClassScore.MEAN).tolist() == [2, 3]
    assert class_scores(distances, class_score=ClassScore.NEAREST).tolist() == [1, 2]
    by_plan = class_scores(distances, class_score=ClassScore.PLAN, class_plan=plan)
    torch.testing.assert_close(by_plan, torch.tensor([2.6, 2.0], dtype=torch.float64))


def test_the_plan_score_needs_a_plan_that_reaches_every_class():
    distances = torch.ones(2, 2, dtype=torch.float64)
    with pytest.raises(InvalidSettingError) as caught:
        class_scores(distances, class_score=ClassScore.PLAN)
    assert caught.value.field == "class_score"
    with pytest.raises(MissingClassError, match=r"\[1\]"):
        class_scores(distances, class_score=ClassScore.PLAN, class_plan=torch.tensor([[0.5, 0.0], [0.5, 0.0]]))


def stability(source, target, **changes):
    chosen = {"method": LabelDistanceMethod.GAUSSIAN, "class_score": ClassScore.MEAN, "n_resamples": 4} | changes
    return rank_stability(source, target, **chosen)


def test_classes_far_apart_rank_the_same_in_every_resample():
    target = dataset(40, 2, 5, 0)
    target.features.add_(100.0 * target.labels[:, None])
    found = stability(dataset(40, 2, 3, 1), target)
    assert (found.mean, found.spread, found.n_resamples) == (pytest.approx(1), pytest.approx(0, abs=1e-12), 4)


def test_classes_alike_rank_by_chance_and_the_draws_follow_the_seed():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(60, 3, generator=generator, dtype=torch.float64)
    target = LabelledSamples(features, torch.arange(60) % 6, tuple("abcdef"))
    found = stability(dataset(40, 3, 3, 1), target)
    assert -1 <= found.mean < 0.95
    assert found.spread > 0
    assert found == stability(dataset(40, 3, 3, 1), target)
    assert found != stability(dataset(40, 3, 3, 1), target, seed=1)


def test_rankings_without_an_order_agree():
    one_class = LabelledSamples(torch.randn(5, 2, generator=torch.Generator()), torch.zeros(5).long(), ("a",))
    assert stability(dataset(9, 2, 2, 0), one_class).mean == 1
    equal = LabelledSamples(torch.ones(6, 2), torch.arange(6) % 3, ("a", "b", "c"))
    assert stability(dataset(9, 2, 2, 0), equal).mean == 1


def test_settings_without_meaning_are_refused():
    source = dataset(9, 2, 2, 0)
    with pytest.raises(InvalidSettingError) as caught:
        stability(source, source, n_resamples=1)
    assert caught.value.field == "n_resamples"
    with pytest.raises(InvalidSettingError) as caught:
        stability(source, source, class_score=ClassScore.PLAN)
    assert caught.value.field == "class_score"


def test_rank_stability_reports_rising_shares():
    shares = []
    stability(dataset(9, 2, 2, 0), dataset(9, 2, 2, 1), on_progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1

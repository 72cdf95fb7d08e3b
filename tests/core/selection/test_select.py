"""Laws of the selection strategies."""

from collections import Counter

import numpy as np
import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ot3l_core.data.samples import LabelledSamples
from ot3l_core.errors import Cancelled, InvalidSettingError, ShapeMismatchError, TooFewSamplesError
from ot3l_core.names import Strategy, Unit
from ot3l_core.selection import SelectionSettings, select
from ot3l_core.selection.geometry import selection_space

SCORED = [strategy for strategy in Strategy if strategy.needs_scores]
BLIND = [strategy for strategy in Strategy if not strategy.needs_labels]
QUANTISING = [Strategy.COVERAGE, Strategy.MEDOIDS]
pools = st.lists(st.integers(0, 5), min_size=1, max_size=60)
budgets = st.integers(1, 80)
units = st.sampled_from(Unit)
fractions = st.floats(0.01, 1)
alphas = st.floats(0, 1)


def samples(labels, n_classes=6, features=None):
    """A pool in which many samples are copies of each other, unless features are given."""
    if features is None:
        features = torch.from_numpy(np.random.default_rng(len(labels)).integers(0, 3, (len(labels), 2))).float()
    classes = tuple(f"class {k}" for k in range(n_classes))
    return LabelledSamples(features, torch.tensor(labels, dtype=torch.int64), classes)


def spread_out(n, n_classes, seed=0):
    """A pool of which no two samples are equal, its classes of unequal sizes."""
    draws = np.random.default_rng(seed)
    labels = np.sort(draws.integers(0, n_classes, n)) if n_classes > 1 else np.zeros(n, int)
    features = draws.normal(size=(n, 5)) + 2 * draws.normal(size=(n_classes, 5))[labels]
    return samples(labels.tolist(), n_classes, torch.from_numpy(features).float())


def chosen(pool, *, seed=0, class_scores=None, sample_scores=None, n_classes=6, **changes):
    """A selection with ties among the default scores."""
    by_class = torch.tensor([3.0, 1.0, 2.0, 2.0, 5.0, 0.0]) if class_scores is None else torch.tensor(class_scores)
    by_sample = torch.arange(len(pool)) % 7 if sample_scores is None else torch.tensor(sample_scores)
    return select(
        samples(pool, n_classes),
        settings=SelectionSettings(**changes),
        class_scores=by_class,
        sample_scores=by_sample,
        seed=seed,
    )


@given(pool=pools, budget=budgets, unit=units, fraction=fractions, alpha=alphas, strategy=st.sampled_from(Strategy))
@settings(deadline=None, max_examples=150)
def test_a_selection_is_sorted_unique_repeatable_and_counts_its_shortfall(
    pool, budget, unit, fraction, alpha, strategy
):
    changes = {"budget": budget, "unit": unit, "class_fraction": fraction, "alpha": alpha, "strategy": strategy}
    found = chosen(pool, **changes)
    assert found.indices.dtype == torch.int64
    assert found.indices.tolist() == sorted(set(found.indices.tolist()))
    assert set(found.indices.tolist()) <= set(range(len(pool)))
    assert len(found.reasons) == len(found.indices) > 0
    if strategy is Strategy.EXTENDED:
        assert (len(found.indices), found.shortfall) == (len(pool), 0)
    else:
        assert len(found.indices) + found.shortfall == budget
    again = chosen(pool, **changes)
    assert torch.equal(found.indices, again.indices)
    assert found.reasons == again.reasons
    assert found.quantisation_error == again.quantisation_error


@given(pool=pools, budget=budgets, unit=units, fraction=fractions, seed=st.integers(0, 99))
@settings(deadline=None, max_examples=80)
def test_mixed_at_one_is_the_set_difference_and_at_zero_the_random_selection(pool, budget, unit, fraction, seed):
    changes = {"budget": budget, "unit": unit, "class_fraction": fraction, "seed": seed}
    for alpha, strategy in ((1, Strategy.SET_DIFFERENCE), (0, Strategy.RANDOM_SELECTION)):
        mixed = chosen(pool, strategy=Strategy.MIXED, alpha=alpha, **changes)
        pure = chosen(pool, strategy=strategy, **changes)
        assert torch.equal(mixed.indices, pure.indices)
        assert mixed.reasons == pure.reasons
        assert mixed.shortfall == pure.shortfall


@given(pool=pools, budget=budgets, fraction=fractions, seed=st.integers(0, 99))
@settings(deadline=None, max_examples=80)
def test_selection_stays_inside_the_chosen_classes(pool, budget, fraction, seed):
    scores = [3.0, 1.0, 2.0, 2.5, 5.0, 0.0]
    present = sorted(set(pool), key=lambda k: -scores[k])
    n_chosen = max(1, -int(-fraction * len(present) // 1))
    for strategy, classes in (
        (Strategy.SET_DIFFERENCE, present[:n_chosen]),
        (Strategy.RANDOM_SELECTION, present[-n_chosen:]),
    ):
        found = chosen(pool, class_scores=scores, strategy=strategy, budget=budget, class_fraction=fraction, seed=seed)
        assert {pool[index] for index in found.indices.tolist()} <= set(classes)
        assert len(found.indices) == min(budget, sum(pool.count(k) for k in classes))
        assert found.scores.tolist() == [scores[pool[index]] for index in found.indices.tolist()]


@given(pool=pools, budget=budgets, alpha=alphas, unit=units)
@settings(deadline=None, max_examples=80)
def test_mixed_takes_its_share_from_far_and_fills_up_from_the_other_side(pool, budget, alpha, unit):
    found = chosen(pool, strategy=Strategy.MIXED, budget=budget, alpha=alpha, unit=unit, class_fraction=1.0)
    assert found.shortfall == max(0, budget - len(pool))
    if budget <= len(pool):
        assert Counter(found.reasons)["far"] == round(alpha * budget)


def test_far_samples_that_run_out_are_made_up_for_by_near_ones():
    pool = [0] * 3 + [1] * 20
    found = chosen(pool, class_scores=[2.0, 1.0], n_classes=2, budget=10, class_fraction=0.5)
    assert Counter(found.reasons) == {"far": 3, "near": 7}
    found = chosen(pool, class_scores=[1.0, 2.0], n_classes=2, budget=10, class_fraction=0.5)
    assert Counter(found.reasons) == {"far": 7, "near": 3}


def test_by_sample_the_extremes_are_taken_and_ties_go_to_the_lower_index():
    pool, scores = [0] * 6, [1.0, 5.0, 3.0, 5.0, 1.0, 5.0]
    far = chosen(pool, sample_scores=scores, strategy=Strategy.SET_DIFFERENCE, unit=Unit.SAMPLE, budget=2)
    near = chosen(pool, sample_scores=scores, strategy=Strategy.RANDOM_SELECTION, unit=Unit.SAMPLE, budget=3)
    assert far.indices.tolist() == [1, 3]
    assert near.indices.tolist() == [0, 2, 4]
    assert near.scores.tolist() == [1, 3, 1]
    assert set(near.reasons) == {"near"}


def test_tied_classes_go_to_the_lower_index_and_the_fraction_is_rounded_up():
    pool = [0, 1, 2, 3, 4]
    for strategy in (Strategy.SET_DIFFERENCE, Strategy.RANDOM_SELECTION):
        found = chosen(pool, class_scores=[1.0] * 6, strategy=strategy, class_fraction=0.41, budget=5)
        assert found.indices.tolist() == [0, 1, 2]
        assert found.shortfall == 2


def test_a_fraction_that_divides_evenly_is_not_rounded_up():
    found = chosen(
        list(range(100)),
        class_scores=list(range(100)),
        n_classes=100,
        strategy=Strategy.SET_DIFFERENCE,
        class_fraction=0.07,
    )
    assert found.indices.tolist() == list(range(93, 100))


def test_classes_without_samples_never_count():
    found = chosen([1, 1, 3], class_scores=[9.0, 1.0, float("nan"), 2.0, 0.0, 0.0], class_fraction=0.5, alpha=1)
    assert found.indices.tolist() == [2]


@given(
    pool=pools,
    budget=budgets,
    seed=st.integers(0, 99),
    strategy=st.sampled_from([Strategy.STRATIFIED, Strategy.MEDOIDS]),
)
@settings(deadline=None, max_examples=80)
def test_equally_many_of_each_class_are_taken_as_far_as_they_last(pool, budget, seed, strategy):
    found = chosen(pool, strategy=strategy, budget=budget, seed=seed)
    taken = Counter(pool[index] for index in found.indices.tolist())
    most = max(taken.values())
    for k, count in Counter(pool).items():
        assert taken[k] >= min(count, most - 1)
    assert len(found.indices) == min(budget, len(pool))
    assert found.scores is None


def test_the_remainder_of_stratified_goes_to_classes_at_random():
    lucky = {
        tuple(chosen([0, 0, 1, 1, 2, 2], strategy=Strategy.STRATIFIED, budget=4, seed=seed).indices.tolist())
        for seed in range(20)
    }
    assert len({tuple(index // 2 for index in indices) for indices in lucky}) == 3


def test_uniform_draws_every_sample_equally_often():
    times = Counter(
        index
        for seed in range(600)
        for index in chosen([0] * 10, strategy=Strategy.UNIFORM, budget=3, seed=seed).indices.tolist()
    )
    assert all(120 < times[index] < 240 for index in range(10))


def test_the_draw_never_changes_between_versions():
    found = chosen([0] * 1000, strategy=Strategy.UNIFORM, budget=5, seed=7)
    assert found.indices.tolist() == [277, 514, 552, 790, 818]
    assert found.reasons == ("uniform",) * 5


@pytest.mark.parametrize("strategy", SCORED)
@pytest.mark.parametrize("unit", Unit)
def test_strategies_by_distance_need_their_scores(strategy, unit):
    with pytest.raises(InvalidSettingError, match=f"{unit.value}_scores") as caught:
        select(samples([0, 1]), settings=SelectionSettings(strategy=strategy, unit=unit), seed=0)
    assert caught.value.field == "strategy"


@pytest.mark.parametrize("strategy", [strategy for strategy in Strategy if strategy not in SCORED])
def test_other_strategies_need_no_scores(strategy):
    found = select(samples([0, 1]), settings=SelectionSettings(strategy=strategy, budget=2), seed=0)
    assert found.indices.tolist() == [0, 1]


@pytest.mark.parametrize("strategy", [s for s in Strategy if not s.needs_scores])
def test_a_strategy_reads_labels_exactly_if_it_says_so(strategy):
    pool = spread_out(60, 3)
    settings = SelectionSettings(strategy=strategy, budget=21)
    found = [
        select(LabelledSamples(pool.features, labels, pool.classes), settings=settings, seed=0).indices.tolist()
        for labels in (pool.labels, pool.labels.flip(0), torch.arange(60) % 3, torch.zeros(60, dtype=torch.int64))
    ]
    assert (len(set(map(tuple, found))) > 1) == strategy.needs_labels


@given(seed=st.integers(0, 99), budget=st.integers(1, 50))
@settings(deadline=None, max_examples=30)
def test_coverage_is_wholly_blind_to_labels(seed, budget):
    pool = spread_out(40, 4, seed)
    settings = SelectionSettings(strategy=Strategy.COVERAGE, budget=budget)
    one, other = (
        select(LabelledSamples(pool.features, labels, pool.classes), settings=settings, seed=seed)
        for labels in (pool.labels, torch.from_numpy(np.random.default_rng(seed).integers(0, 4, 40)))
    )
    assert torch.equal(one.indices, other.indices)
    assert torch.equal(one.shares, other.shares)
    assert one.quantisation_error == other.quantisation_error


def transport_cost(points, places, shares):
    """POT's exact squared W2 between a uniform cloud and a weighted part of it."""
    cost = torch.cdist(points, points[places]).square().numpy()
    return ot.emd2(np.full(len(points), 1 / len(points)), (shares / shares.sum()).numpy(), cost)


@given(seed=st.integers(0, 999), budget=st.integers(1, 40), n_classes=st.integers(1, 3))
@settings(deadline=None, max_examples=40)
@pytest.mark.parametrize("strategy", QUANTISING)
def test_the_quantisation_error_is_the_transport_distance_to_the_weighted_selection(strategy, seed, budget, n_classes):
    pool = spread_out(50, n_classes, seed)
    found = select(pool, settings=SelectionSettings(strategy=strategy, budget=budget), seed=seed)
    points = selection_space(pool.features)
    groups = torch.zeros(50, dtype=torch.int64) if strategy is Strategy.COVERAGE else pool.labels
    covered, expected = 0, 0.0
    for group in groups[found.indices].unique():
        members, own = groups == group, groups[found.indices] == group
        places = torch.cumsum(members, dim=0)[found.indices[own]] - 1
        weight = int(members.sum()) / 50
        assert float(found.shares[own].sum()) == pytest.approx(weight)
        expected += weight * transport_cost(points[members], places, found.shares[own])
        covered += weight
    assert found.quantisation_error == pytest.approx(expected**0.5, abs=1e-7)
    assert float(found.shares.sum()) == pytest.approx(covered)
    assert (found.shares > 0).all()
    if budget >= n_classes:
        assert float(found.shares.sum()) == pytest.approx(1)


@pytest.mark.parametrize("strategy", QUANTISING)
def test_a_pool_taken_whole_stands_for_itself(strategy):
    pool = samples([0, 0, 0, 1, 1], 2, torch.tensor([[0.0], [0.0], [1.0], [1.0], [2.0]]))
    found = select(pool, settings=SelectionSettings(strategy=strategy, budget=7), seed=0)
    assert found.indices.tolist() == [0, 1, 2, 3, 4]
    assert found.shares.tolist() == pytest.approx([0.2] * 5)
    assert (found.quantisation_error, found.shortfall) == (0, 2)
    assert found.reasons == ("medoid",) * 5


def test_only_quantisation_has_shares():
    for strategy in set(Strategy) - set(QUANTISING):
        found = chosen([0, 1, 2], strategy=strategy, budget=2)
        assert (found.shares, found.quantisation_error) == (None, None)


def test_fitted_begins_with_medoids_for_half_of_the_budget_less_five_a_class():
    pool = spread_out(120, 2)
    fitted = select(pool, settings=SelectionSettings(strategy=Strategy.FITTED, budget=40), seed=3)
    medoids = select(pool, settings=SelectionSettings(strategy=Strategy.MEDOIDS, budget=10), seed=3)
    first = [index for index, why in zip(fitted.indices.tolist(), fitted.reasons, strict=True) if why == "medoid"]
    assert first == medoids.indices.tolist()
    assert Counter(fitted.reasons) == {"medoid": 10, "fitted": 30}
    small = select(pool, settings=SelectionSettings(strategy=Strategy.FITTED, budget=20), seed=3)
    assert Counter(small.reasons) == {"fitted": 20}


def test_fitted_reports_and_stops_when_told_to():
    pool, settings = spread_out(60, 2), SelectionSettings(strategy=Strategy.FITTED, budget=50)
    shares = []
    select(pool, settings=settings, seed=0, on_progress=shares.append)
    assert shares == sorted(shares)
    assert (len(shares) > 2, shares[-1]) == (True, 1)

    def cancel(share):
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        select(pool, settings=settings, seed=0, on_progress=cancel)


def test_scores_that_do_not_fit_or_are_not_finite_are_refused():
    with pytest.raises(ShapeMismatchError, match="class_scores"):
        chosen([0, 1], class_scores=[1.0])
    with pytest.raises(ShapeMismatchError, match="sample_scores"):
        chosen([0, 1], sample_scores=[1.0], unit=Unit.SAMPLE)
    with pytest.raises(InvalidSettingError, match="finite"):
        chosen([0, 1], class_scores=[1.0, float("nan"), 0.0, 0.0, 0.0, 0.0])


def test_an_empty_pool_is_refused():
    with pytest.raises(TooFewSamplesError):
        chosen([], strategy=Strategy.UNIFORM)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("alpha", -0.01),
        ("alpha", 1.5),
        ("alpha", float("nan")),
        ("budget", 0),
        ("class_fraction", 0.0),
        ("class_fraction", 1.01),
        ("class_fraction", float("nan")),
    ],
)
def test_settings_outside_their_domain_name_their_field(field, value):
    with pytest.raises(InvalidSettingError) as caught:
        SelectionSettings(**{field: value})
    assert caught.value.field == field

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics
from torch.nn.functional import one_hot

from ot3l_core.errors import ShapeMismatchError, TooFewSamplesError
from ot3l_core.finetune.evaluation import accuracy_interval, evaluate, summarise

seeds = st.integers(0, 2**32 - 1)


@settings(deadline=None, max_examples=40)
@given(seed=seeds, n=st.integers(1, 60), n_classes=st.integers(2, 6))
def test_it_agrees_with_scikit_learn(seed, n, n_classes):
    generator = torch.Generator().manual_seed(seed)
    probabilities = (2 * torch.randn(n, n_classes, generator=generator)).softmax(dim=1)
    labels = torch.randint(0, n_classes, (n,), generator=generator)
    found, predicted = evaluate(probabilities, labels), probabilities.argmax(dim=1)
    present = labels.unique().tolist()
    assert found.n == n
    assert found.accuracy == metrics.accuracy_score(labels, predicted)
    f1 = metrics.f1_score(labels, predicted, labels=present, average="macro", zero_division=0)
    assert found.macro_f1 == pytest.approx(f1)
    recalls = metrics.recall_score(labels, predicted, labels=present, average=None, zero_division=0)
    assert [found.per_class_recall[label] for label in present] == pytest.approx(recalls.tolist())
    assert [label for label, recall in enumerate(found.per_class_recall) if recall is not None] == present
    expected = metrics.confusion_matrix(labels, predicted, labels=range(n_classes))
    assert torch.equal(torch.tensor(found.confusion), torch.from_numpy(expected))
    assert sum(map(sum, found.confusion)) == n
    chosen = range(n_classes)
    doubles = probabilities.double()
    normed = (doubles / doubles.sum(dim=1, keepdim=True)).numpy()
    assert found.log_loss == pytest.approx(metrics.log_loss(labels, normed, labels=chosen), rel=1e-5)
    distances = (doubles - one_hot(labels, n_classes)).square().sum(dim=1)
    assert found.brier_loss == pytest.approx(float(distances.mean()), abs=1e-9)


@settings(deadline=None, max_examples=40)
@given(seed=seeds, n=st.integers(1, 60))
def test_the_bins_hold_every_sample_and_tell_the_calibration_error(seed, n):
    generator = torch.Generator().manual_seed(seed)
    probabilities = (3 * torch.randn(n, 3, generator=generator)).softmax(dim=1)
    labels = torch.randint(0, 3, (n,), generator=generator)
    found = evaluate(probabilities, labels)
    full = [(number, part) for number, part in enumerate(found.reliability) if part.count]
    assert len(found.reliability) == 15
    assert sum(part.count for _, part in full) == n
    assert sum(part.count * part.accuracy for _, part in full) == pytest.approx(n * found.accuracy)
    assert all(number / 15 - 1e-9 <= part.confidence <= (number + 1) / 15 + 1e-9 for number, part in full)
    gaps = sum(part.count * abs(part.confidence - part.accuracy) for _, part in full)
    assert found.calibration_error == pytest.approx(gaps / n)
    empty = {(part.confidence, part.accuracy) for part in found.reliability if not part.count}
    assert empty == {(None, None)}


@pytest.mark.parametrize(("correct", "confidence"), [(7, 0.7), (9, 0.9), (10, 1.0)])
def test_confidence_that_equals_the_share_of_hits_is_calibrated(correct, confidence):
    labels = torch.tensor([0] * correct + [1] * (10 - correct))
    probabilities = torch.tensor([[confidence, 1 - confidence]], dtype=torch.float64).expand(10, 2)
    assert evaluate(probabilities, labels).calibration_error == pytest.approx(0, abs=1e-12)


def test_calibration_error_is_the_gap_in_each_bin_weighted_by_its_size():
    confidences = torch.tensor([0.92, 0.92, 0.92, 0.61], dtype=torch.float64)
    labels = torch.tensor([0, 0, 1, 1])
    found = evaluate(torch.stack([confidences, 1 - confidences], dim=1), labels)
    assert found.calibration_error == pytest.approx(0.75 * (0.92 - 2 / 3) + 0.25 * 0.61)


def test_certainty_and_truth_are_perfect():
    labels = torch.tensor([0, 1, 2, 2])
    found = evaluate(one_hot(labels, 4).float(), labels)
    assert (found.accuracy, found.macro_f1, found.calibration_error) == (1.0, 1.0, 0.0)
    assert found.per_class_recall == (1.0, 1.0, 1.0, None)
    assert (found.log_loss, found.brier_loss) == (0.0, 0.0)


def test_a_certain_error_costs_much_but_finitely():
    found = evaluate(torch.tensor([[1.0, 0.0]]), torch.tensor([1]))
    assert found.brier_loss == 2
    assert 80 < found.log_loss < 100


@given(n=st.integers(1, 2000), share=st.floats(0, 1))
def test_the_interval_of_an_accuracy_is_wilsons(n, share):
    hits = round(share * n)
    expected = stats.binomtest(hits, n).proportion_ci(method="wilson")
    assert accuracy_interval(hits / n, n) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_what_cannot_be_evaluated_is_refused():
    with pytest.raises(TooFewSamplesError):
        evaluate(torch.ones(0, 3), torch.ones(0, dtype=torch.int64))
    with pytest.raises(ShapeMismatchError):
        evaluate(torch.ones(2, 3), torch.ones(3, dtype=torch.int64))


@given(values=st.lists(st.floats(0, 1), min_size=2, max_size=9))
def test_the_spread_is_students_interval(values):
    found = summarise(values)
    assert found.mean == pytest.approx(sum(values) / len(values))
    assert found.std == pytest.approx(torch.tensor(values, dtype=torch.float64).std().item(), abs=1e-12)
    quantile = stats.t.ppf(0.975, len(values) - 1)
    assert found.half_width == pytest.approx(quantile * found.std / math.sqrt(len(values)), abs=1e-12)


def test_one_seed_has_no_spread_and_none_has_no_mean():
    assert (summarise([0.5]).mean, summarise([0.5]).std, summarise([0.5]).half_width) == (0.5, None, None)
    with pytest.raises(TooFewSamplesError):
        summarise([])

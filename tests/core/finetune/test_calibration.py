import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from ot3l_core.errors import ShapeMismatchError
from ot3l_core.finetune.calibration import fit_temperature
from ot3l_core.finetune.evaluation import evaluate
from ot3l_core.finetune.heads import HeadLayout, build_head, fold_temperature

seeds = st.integers(0, 2**32 - 1)
temperatures = st.floats(0.4, 3)


def calibrated(seed, n=400, n_classes=4):
    """Logits, and labels that are drawn from the softmax of them."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, n_classes, generator=generator)
    return logits, torch.multinomial(logits.softmax(dim=1), 1, generator=generator).squeeze(1)


def loss(logits, labels, temperature):
    return float(cross_entropy(logits.double() / temperature, labels))


def test_logits_that_mean_what_they_say_have_temperature_one():
    assert fit_temperature(*calibrated(0, n=40_000)) == pytest.approx(1, abs=0.02)


@settings(deadline=None, max_examples=25)
@given(seed=seeds, factor=temperatures)
def test_scaled_logits_scale_the_temperature(seed, factor):
    logits, labels = calibrated(seed)
    assert fit_temperature(factor * logits, labels) == pytest.approx(factor * fit_temperature(logits, labels), rel=1e-5)


@settings(deadline=None, max_examples=25)
@given(seed=seeds, n=st.integers(1, 40), factor=st.floats(0.01, 100))
def test_no_other_temperature_is_likelier(seed, n, factor):
    logits, labels = calibrated(seed, n)
    fitted = fit_temperature(factor * logits, labels)
    assert 0.05 <= fitted <= 20
    found = loss(factor * logits, labels, fitted)
    assert found <= loss(factor * logits, labels, 1) + 1e-9
    assume(not torch.equal(logits.argmax(dim=1), labels))
    for other in (0.05, 0.9 * fitted, 1.1 * fitted, 20):
        assert found <= loss(factor * logits, labels, min(max(other, 0.05), 20)) + 1e-9


@settings(deadline=None, max_examples=25)
@given(seed=seeds, n=st.integers(1, 40))
def test_constants_and_the_order_of_classes_do_not_matter(seed, n):
    logits, labels = calibrated(seed, n)
    expected = fit_temperature(logits, labels)
    assert fit_temperature(logits + torch.arange(n)[:, None] % 7, labels) == pytest.approx(expected, rel=1e-4)
    assert fit_temperature(logits.flip(1), 3 - labels) == pytest.approx(expected, rel=1e-9)


def test_without_samples_or_without_errors_there_is_nothing_to_fit():
    logits, _ = calibrated(0)
    assert fit_temperature(logits, logits.argmax(dim=1)) == 1
    assert fit_temperature(logits[:0], torch.zeros(0, dtype=torch.int64)) == 1


def test_nothing_but_errors_is_as_unsure_as_can_be():
    logits, _ = calibrated(0)
    assert fit_temperature(logits, logits.argmin(dim=1)) == 20


def test_shapes_that_do_not_fit_are_refused():
    logits, labels = calibrated(0)
    with pytest.raises(ShapeMismatchError):
        fit_temperature(logits, labels[1:])
    with pytest.raises(ShapeMismatchError):
        fit_temperature(logits[0], labels)


@settings(deadline=None, max_examples=25)
@given(seed=seeds, temperature=temperatures)
def test_a_folded_temperature_divides_the_logits_and_moves_no_prediction(seed, temperature):
    head = build_head(HeadLayout(12, 7, 3), seed=seed)
    features = torch.randn(50, 12, generator=torch.Generator().manual_seed(seed))
    folded = fold_temperature(head, temperature)
    torch.testing.assert_close(folded(features), head(features) / temperature, rtol=1e-5, atol=1e-6)
    best, second = head.probabilities(features).topk(2).values.T
    sure = best - second > 1e-5
    assert torch.equal(folded(features).argmax(dim=1)[sure], head(features).argmax(dim=1)[sure])


def test_a_fitted_temperature_mends_the_calibration_of_samples_it_has_not_seen():
    logits, labels = calibrated(1, n=4000)
    overconfident = 3 * logits
    temperature = fit_temperature(overconfident[:2000], labels[:2000])
    before, after = (
        evaluate((overconfident[2000:] / scale).softmax(dim=1), labels[2000:]) for scale in (1.0, temperature)
    )
    assert after.calibration_error < before.calibration_error / 2
    assert after.log_loss < before.log_loss
    assert after.accuracy == before.accuracy

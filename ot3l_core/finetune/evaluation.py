"""How good predictions are, and how far seeds disagree."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import torch
from torch import Tensor

from ot3l_core.errors import ShapeMismatchError, TooFewSamplesError

_CALIBRATION_BINS: Final = 15
# The least positive probability in single precision with all its digits: a certain error costs 87 and not infinity.
_LEAST_PROBABILITY: Final = torch.finfo(torch.float32).tiny


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Test samples whose confidence lies in one of 15 intervals of equal width; JSON-able.

    Attributes:
        count: How many; none of them, and the other two are None.
        confidence: Their mean confidence.
        accuracy: Share of them that is right; equal to the confidence where probabilities mean what they say.
    """

    count: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Predictions of n test samples against their labels; JSON-able.

    Attributes:
        n: How many samples.
        accuracy: Share that is right.
        macro_f1: Mean F1 over the classes that have test samples.
        per_class_recall: Share of each class that is found, L of them; None where a class has no test samples.
        confusion: ``confusion[true][predicted]``, counts, ``L x L``.
        calibration_error: Expected gap between confidence and accuracy over the bins of ``reliability``.
        log_loss: Mean negative log-likelihood of the labels, in nats.
        brier_loss: Mean squared distance, in [0, 2], from the probabilities to the certain truth.
        reliability: 15 bins, from the least confidence to the greatest.
    """

    n: int
    accuracy: float
    macro_f1: float
    per_class_recall: tuple[float | None, ...]
    confusion: tuple[tuple[int, ...], ...]
    calibration_error: float
    log_loss: float
    brier_loss: float
    reliability: tuple[ReliabilityBin, ...]


@dataclass(frozen=True, slots=True)
class Spread:
    """A value over seeds; a single seed has neither deviation nor interval.

    Attributes:
        mean: Over seeds.
        std: Sample standard deviation, divided by one less than the number of seeds.
        half_width: Half of the 95% confidence interval of the mean.
    """

    mean: float
    std: float | None
    half_width: float | None


def evaluate(probabilities: Tensor, labels: Tensor) -> Evaluation:
    """Compare predictions with labels.

    Args:
        probabilities: Of each class, shape ``(n, L)``; the highest one, the first of equals, is the prediction.
        labels: int64 in ``[0, L)``, shape ``(n,)``.

    Raises:
        ShapeMismatchError: If the shapes do not fit each other.
        TooFewSamplesError: If there are no samples.

    Source:
        guo2017calibration.
    """
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1]:
        raise ShapeMismatchError(
            f"probabilities must be (n, L) and labels (n,): got {tuple(probabilities.shape)} and {tuple(labels.shape)}"
        )
    if not len(labels):
        raise TooFewSamplesError("there are no test samples to evaluate on", field="target")
    probabilities, labels = probabilities.detach().cpu().double(), labels.cpu()
    n, n_classes = probabilities.shape
    confidence, predicted = probabilities.max(dim=1)
    confusion = torch.bincount(labels * n_classes + predicted, minlength=n_classes**2).view(n_classes, n_classes)
    hits, true, found = confusion.diagonal().double(), confusion.sum(dim=1), confusion.sum(dim=0)
    present = true > 0
    f1 = 2 * hits / (true + found).clamp(min=1)
    recall = hits / true.clamp(min=1)
    granted = probabilities.gather(1, labels[:, None]).squeeze(1)
    reliability = _reliability(confidence, predicted == labels)
    return Evaluation(
        n=n,
        accuracy=int(confusion.diagonal().sum()) / n,
        macro_f1=float(f1[present].mean()),
        per_class_recall=tuple(
            value if there else None for value, there in zip(recall.tolist(), present.tolist(), strict=True)
        ),
        confusion=tuple(map(tuple, confusion.tolist())),
        calibration_error=_calibration_error(reliability, n),
        log_loss=float(-granted.clamp(min=_LEAST_PROBABILITY).log().mean()),
        brier_loss=float((probabilities.square().sum(dim=1) - 2 * granted + 1).mean()),
        reliability=reliability,
    )


def accuracy_interval(accuracy: float, n: int) -> tuple[float, float]:
    """Wilson's 95% score interval of a share that was counted on n test samples.

    It holds for one network on samples drawn like these; what another seed would have given is in ``summarise``.

    Args:
        accuracy: The share that was right, in [0, 1].
        n: Of how many samples.
    """
    z = NormalDist().inv_cdf(0.975)
    centre = (accuracy + z**2 / (2 * n)) / (1 + z**2 / n)
    half_width = z / (1 + z**2 / n) * math.sqrt(accuracy * (1 - accuracy) / n + (z / (2 * n)) ** 2)
    return max(centre - half_width, 0.0), min(centre + half_width, 1.0)


def summarise(values: Sequence[float]) -> Spread:
    """Mean and spread over seeds.

    Args:
        values: One for each seed.

    Returns:
        The spread; the interval is Student's t, which assumes that seeds are independent and values near normal.

    Raises:
        TooFewSamplesError: If there are no values.
    """
    from scipy.special import stdtrit  # noqa: PLC0415 - a third of a second, for one quantile

    if not values:
        raise TooFewSamplesError("there are no values to summarise: give one seed at least", field="seeds")
    n = len(values)
    mean = math.fsum(values) / n
    if n == 1:
        return Spread(mean, None, None)
    std = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    return Spread(mean, std, float(stdtrit(n - 1, 0.975)) * std / math.sqrt(n))


def _reliability(confidence: Tensor, correct: Tensor) -> tuple[ReliabilityBin, ...]:
    bins = (confidence * _CALIBRATION_BINS).long().clamp(max=_CALIBRATION_BINS - 1)
    counts = torch.bincount(bins, minlength=_CALIBRATION_BINS)
    confidences, hits = (
        torch.zeros(_CALIBRATION_BINS, dtype=torch.float64).index_add_(0, bins, values.double())
        for values in (confidence, correct)
    )
    rows = zip(counts.tolist(), confidences.tolist(), hits.tolist(), strict=True)
    return tuple(
        ReliabilityBin(count, total / count, right / count) if count else ReliabilityBin(0, None, None)
        for count, total, right in rows
    )


def _calibration_error(reliability: Sequence[ReliabilityBin], n: int) -> float:
    return (
        math.fsum(
            part.count * abs(part.confidence - part.accuracy)
            for part in reliability
            if part.confidence is not None and part.accuracy is not None
        )
        / n
    )

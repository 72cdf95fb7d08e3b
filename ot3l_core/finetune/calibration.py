"""Probabilities that mean what they say: one temperature, fitted on samples that training held out."""

import math
from typing import Final

from torch import Tensor

from ot3l_core.errors import ShapeMismatchError

_COLDEST: Final = 0.05
_HOTTEST: Final = 20.0


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature T under which ``softmax(logits / T)`` is likeliest to have given these labels.

    The mean negative log-likelihood is convex in 1 / T, so its slope has one root at most. Predictions stay as they
    are, and the likelihood of these labels never falls.

    Args:
        logits: Of held-out samples, shape ``(n, L)``; fitted on training samples T would come out too low.
        labels: Their classes, int64 in ``[0, L)``, shape ``(n,)``.

    Returns:
        T in [0.05, 20]; 1 where nothing can be fitted: there are no samples, or each of them is predicted rightly, so
        that every lower temperature would be likelier still.

    Raises:
        ShapeMismatchError: If the shapes do not fit each other.

    Source:
        guo2017calibration.
    """
    from scipy.optimize import brentq  # noqa: PLC0415 - half a second, for one root

    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ShapeMismatchError(
            f"logits must be (n, L) and labels (n,): got {tuple(logits.shape)} and {tuple(labels.shape)}"
        )
    scores, labels = logits.detach().cpu().double(), labels.cpu()
    scores = scores - scores.gather(1, labels[:, None])
    if bool((scores <= 0).all()):
        return 1.0

    def slope(log_temperature: float) -> float:
        weights = (scores / math.exp(log_temperature)).softmax(dim=1)
        return float((weights * scores).sum(dim=1).mean())

    coldest, hottest = math.log(_COLDEST), math.log(_HOTTEST)
    if slope(coldest) <= 0:
        return _COLDEST
    if slope(hottest) >= 0:
        return _HOTTEST
    return math.exp(brentq(slope, coldest, hottest, xtol=1e-12))

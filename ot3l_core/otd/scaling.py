"""Features of several datasets on one scale."""

from dataclasses import replace

import torch
from torch import Tensor

from ot3l_core.data.samples import LabelledSamples
from ot3l_core.names import FeatureScaling
from ot3l_core.otd.validation import require_comparable

_CONSTANT = 1e-7


def scale_features(
    source: LabelledSamples, *others: LabelledSamples, scaling: FeatureScaling
) -> tuple[LabelledSamples, ...]:
    """Standardise by the source's statistics, then scale every sample to unit length.

    Features that do not vary in the source are centred only. A sample that is left at the origin stays there. What
    becomes of a dataset depends on the source and on itself, not on the others it is scaled with.

    Args:
        source: N labelled samples; their mean and (1/n) standard deviation are used for all.
        *others: Labelled samples with the same D features.
        scaling: ``unit`` as above, ``raw`` for the features as they are.

    Returns:
        The source and the others, in this order and in their own dtypes.

    Raises:
        ShapeMismatchError: If the feature dimensions differ.
        DataError: If a feature is not finite.
        TooFewSamplesError: If a dataset has no samples.
    """
    datasets = (source, *others)
    for samples in datasets:
        require_comparable(source, samples)
    if scaling is FeatureScaling.RAW:
        return datasets
    reference = source.features.double()
    mean, spread = reference.mean(0), reference.std(0, correction=0)
    varies = spread > _CONSTANT * mean.abs()
    # The mean of equal numbers may differ from them by rounding, which unit length would blow up.
    centre, divisor = torch.where(varies, mean, reference[0]), torch.where(varies, spread, 1.0)
    return tuple(_scaled(samples, centre, divisor) for samples in datasets)


def _scaled(samples: LabelledSamples, centre: Tensor, divisor: Tensor) -> LabelledSamples:
    standardised = (samples.features - centre) / divisor
    lengths = torch.linalg.vector_norm(standardised, dim=1, keepdim=True)
    unit = standardised / torch.where(lengths > 0, lengths, 1.0)
    return replace(samples, features=unit.to(samples.features.dtype))

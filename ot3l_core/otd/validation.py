"""What two datasets must satisfy before distances between them mean anything."""

import torch

from ot3l_core.data.samples import LabelledSamples
from ot3l_core.errors import DataError, ShapeMismatchError, TooFewSamplesError


def require_comparable(source: LabelledSamples, target: LabelledSamples) -> None:
    """Refuse datasets that are empty, of different dimension or not finite.

    Raises:
        ShapeMismatchError: If the feature dimensions differ.
        TooFewSamplesError: If either has no samples.
        DataError: If a feature is not finite.
    """
    if source.n_features != target.n_features:
        raise ShapeMismatchError(
            "source and target must have the same number of features (use the same backbone for both): "
            f"got {source.n_features} and {target.n_features}"
        )
    for role, samples in (("source", source), ("target", target)):
        if len(samples) == 0:
            raise TooFewSamplesError(f"the {role} has no samples: at least one is needed", field=role)
        finite_rows = torch.isfinite(samples.features).all(1)
        if not finite_rows.all():
            first = int(torch.nonzero(~finite_rows)[0])
            raise DataError(
                f"features must be finite: those of {int((~finite_rows).sum())} {role} samples are not, "
                f"the first at index {first}",
                field=role,
            )

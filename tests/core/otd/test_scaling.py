"""Bringing several datasets to one scale."""

from dataclasses import replace

import pytest
import torch

from ot3l_core.data.samples import LabelledSamples
from ot3l_core.errors import DataError, ShapeMismatchError, TooFewSamplesError
from ot3l_core.names import FeatureScaling
from ot3l_core.otd import scale_features


def dataset(n, seed, d=4):
    generator = torch.Generator().manual_seed(seed)
    return LabelledSamples(torch.randn(n, d, generator=generator) * (1 + seed), torch.arange(n) % 2, ("a", "b"))


def test_each_is_scaled_by_the_first_whatever_else_is_in_the_list():
    datasets = [dataset(9, 0), dataset(7, 1), dataset(5, 2)]
    together = scale_features(*datasets, scaling=FeatureScaling.UNIT)
    assert len(together) == 3
    for one, scaled in zip(datasets, together, strict=True):
        _, alone = scale_features(datasets[0], one, scaling=FeatureScaling.UNIT)
        assert torch.equal(scaled.features, alone.features)
        assert scaled.classes == one.classes
    others = scale_features(*datasets[::-1], scaling=FeatureScaling.UNIT)[::-1]
    assert not torch.allclose(others[1].features, together[1].features)


def test_a_lone_dataset_is_scaled_by_itself():
    one = dataset(9, 0)
    (scaled,) = scale_features(one, scaling=FeatureScaling.UNIT)
    torch.testing.assert_close(scaled.features.norm(dim=1), torch.ones(9))
    assert scale_features(one, scaling=FeatureScaling.RAW) == (one,)


@pytest.mark.parametrize("scaling", FeatureScaling)
def test_every_dataset_of_the_list_is_checked(scaling):
    good = dataset(9, 0)
    broken = replace(good, features=good.features / 0)
    nothing = good.take(torch.tensor([], dtype=torch.int64))
    for bad, error in ((dataset(9, 0, d=5), ShapeMismatchError), (broken, DataError), (nothing, TooFewSamplesError)):
        with pytest.raises(error):
            scale_features(good, good, bad, scaling=scaling)
    with pytest.raises(TooFewSamplesError):
        scale_features(nothing, scaling=scaling)

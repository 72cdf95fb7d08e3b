"""The images that need no download."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from ot3l_core.data.reading import open_dataset
from ot3l_core.data.spec import DatasetSpec
from ot3l_core.errors import InvalidSettingError
from ot3l_core.names import BuiltinDataset, DatasetFormat


@pytest.mark.parametrize(
    ("name", "count", "side"), [(BuiltinDataset.DIGITS, 1797, 8), (BuiltinDataset.MNIST_5K, 5000, 28)]
)
def test_the_digits_are_all_there(name, count, side):
    dataset = open_dataset(DatasetSpec(DatasetFormat.BUILTIN, dataset=name))
    assert dataset.classes == tuple("0123456789")
    assert len(dataset.pool) + len(dataset.test) == count
    assert np.bincount(dataset.pool.labels).min() > 0.07 * count
    picture = np.asarray(dataset.pool.images.picture(0))
    assert picture.shape == (side, side, 3)
    assert picture.max() > 200


def test_digits_use_the_whole_range():
    dataset = open_dataset(DatasetSpec(DatasetFormat.BUILTIN, dataset="digits", test_fraction=0))
    assert dataset.pool.labels.tolist() == load_digits().target.tolist()
    pixels = np.stack([np.asarray(dataset.pool.images.picture(i))[..., 0] for i in range(len(dataset.pool))])
    assert np.abs(pixels - load_digits().images * 255 / 16).max() <= 0.5


def test_an_unknown_name_is_told_the_known_ones():
    with pytest.raises(InvalidSettingError, match="digits, mnist-5k") as refusal:
        open_dataset(DatasetSpec(DatasetFormat.BUILTIN, dataset="cifar"))
    assert refusal.value.field == "dataset"

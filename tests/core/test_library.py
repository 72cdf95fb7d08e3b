"""The core in ten lines."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

import ot3l_core.library as ot3l
from ot3l_core.data.images import ImageDataset
from ot3l_core.data.reading import open_dataset
from ot3l_core.errors import DatasetLayoutError, DatasetNotFoundError, InvalidSettingError
from tests.generators.pictures import separable_tree, write_image_folder, write_npz, write_zip

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.fixture(scope="module")
def backbone():
    return ot3l.load_backbone("efficientnet_lite0", input_size=32)


@pytest.fixture
def a_quarter(monkeypatch):
    """Real images, but only every fourth of them: the example would take a quarter of a minute on all."""

    def thin(spec):
        found = open_dataset(spec)
        splits = (split.take(np.arange(0, len(split), 4)) for split in (found.pool, found.test))
        return ImageDataset(found.classes, *splits)

    monkeypatch.setattr(ot3l, "open_dataset", thin)


def test_the_example_runs_and_learns(capsys, a_quarter):
    told = runpy.run_path(str(EXAMPLES / "library.py"))
    assert told["found"].accuracy > 0.6
    assert "from 100 labels" in capsys.readouterr().out


def test_a_folder_a_zip_and_arrays_give_the_same_features(backbone, tmp_path):
    splits = {"train": separable_tree({"a": 4, "b": 4}), "test": separable_tree({"a": 2, "b": 2}, seed=1)}
    places = [
        write_image_folder(tmp_path / "pictures", splits),
        write_zip(tmp_path / "pictures.zip", splits),
    ]
    folder, zipped = (ot3l.embed_dataset(place, backbone) for place in places)
    assert folder.pool.classes == ("a", "b")
    assert (len(folder.pool), len(folder.test)) == (8, 4)
    assert torch.equal(folder.pool.features, zipped.pool.features)
    arrays = ot3l.embed_dataset(write_npz(tmp_path / "arrays.npz", splits), backbone, cache=tmp_path / "kept")
    assert sorted(arrays.pool.features[:, 0].tolist()) == sorted(folder.pool.features[:, 0].tolist())
    assert list((tmp_path / "kept").rglob("*"))


def test_a_dataset_may_hold_nothing_out(backbone, tmp_path):
    place = write_image_folder(tmp_path / "pictures", {"train": separable_tree({"a": 2, "b": 2})})
    spec = ot3l.DatasetSpec(ot3l.DatasetFormat.IMAGE_FOLDER, path=place, test_fraction=0)
    found = ot3l.embed_dataset(spec, backbone)
    assert (len(found.pool), len(found.test)) == (4, 0)
    assert found.test.features.shape == (0, backbone.feature_dim)


def test_what_is_no_dataset_is_refused(backbone, tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    for dataset, error in (
        (tmp_path / "none", DatasetNotFoundError),
        (tmp_path / "notes.txt", DatasetLayoutError),
        ("flowers", InvalidSettingError),
    ):
        with pytest.raises(error):
            ot3l.embed_dataset(dataset, backbone)

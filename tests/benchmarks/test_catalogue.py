"""Data sets are found where they are, and only there."""

import numpy as np
import pytest
from pydantic import TypeAdapter

from app.schemas.datasets import DatasetCreate
from benchmarks.paper.catalogue import SOURCE, TARGETS, look
from ot3l_core.data.reading import open_dataset
from worker.inputs import spec_of

EVERYTHING = (SOURCE, *TARGETS)
LAYOUTS = [(data_set, layout) for data_set in EVERYTHING for layout in data_set.layouts]


def put(folder, need):
    """Something that a pattern matches."""
    path = folder / need.replace("[iI]", "I").replace("[nN]", "N").replace("*", "x")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def test_there_are_eight():
    assert len({data_set.name for data_set in EVERYTHING}) == 8


@pytest.mark.parametrize("data_set", EVERYTHING, ids=lambda data_set: data_set.name)
def test_nothing_is_invented(tmp_path, data_set):
    for folder in (tmp_path, tmp_path / "absent"):
        found, missing = look(folder, [data_set])
        assert (found, missing) == ([], [data_set])
    assert all(need in data_set.looked_for for layout in data_set.layouts for need in layout.needs)


@pytest.mark.parametrize(("data_set", "layout"), LAYOUTS)
def test_every_layout_is_found_by_what_it_needs_and_makes_a_request(tmp_path, data_set, layout):
    for need in layout.needs:
        assert look(tmp_path, [data_set])[0] == []
        put(tmp_path, need)
    [found], missing = look(tmp_path, [data_set])
    assert missing == []
    request = TypeAdapter(DatasetCreate).validate_python(found.body)
    assert request.name == data_set.name
    assert request.format == layout.body["format"]
    path = found.body.get("path") or found.body["root"]
    assert (tmp_path / path).exists()
    assert not path.startswith("/")


def test_the_first_layout_that_fits_is_taken(tmp_path):
    put(tmp_path, "cifar10/train.parquet")
    put(tmp_path, "cifar10/cifar-10-batches-py/x")
    [found], _ = look(tmp_path, TARGETS)
    assert (found.body["format"], found.place) == ("torchvision", "cifar10/CIFAR10")


def test_what_was_found_opens(tmp_path):
    pixels, labels = np.zeros((20, 8, 8), np.uint8), np.arange(20) % 2
    np.savez(tmp_path / "mnist.npz", x=pixels, y=labels)
    [found], _ = look(tmp_path, TARGETS)
    request = TypeAdapter(DatasetCreate).validate_python(found.body).model_dump(mode="json")
    opened = open_dataset(spec_of(request | {"path": str(tmp_path / found.place)}))
    assert (len(opened.classes), len(opened.pool), len(opened.test)) == (2, 16, 4)

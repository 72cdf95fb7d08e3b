"""Distances between many datasets over HTTP, on real features."""

import csv
import hashlib
import io
import itertools
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from tests.generators.pictures import random_tree, separable_tree, write_image_folder, write_npz

MEASURED = {"input_size": 32, "max_samples": 60}
NAMES = ["digits", "noise", "shades"]


@pytest.fixture(scope="module")
def datasets(service, uploads):
    write_image_folder(uploads / "noise", {"": random_tree({"ant": 12, "bee": 9}, shape=(16, 16, 3))})
    write_npz(uploads / "shades.npz", {"": separable_tree({"dark": 10, "mid": 10, "light": 10})})
    service.run("/datasets", {"format": "image_folder", "path": "noise"})
    service.run("/datasets", {"format": "npz", "path": "shades.npz"})


@pytest.fixture(scope="module")
def matrix(service, datasets):
    return service.run("/distances", {**MEASURED, "datasets": NAMES})


def artifact(service, work, name):
    return service.client.get(f"/distances/{work['id']}/artifacts/{name}").raise_for_status()


def test_the_result_is_a_certified_symmetric_matrix(matrix):
    result = matrix["result"]
    assert (result["kind"], result["datasets"], matrix["datasets"]) == ("matrix", NAMES, NAMES)
    assert result["n_samples"] == [60, 17, 24]
    upper, lower = np.array(result["upper"]), np.array(result["lower"])
    for values in (upper, lower):
        assert values.shape == (3, 3)
        assert (values == values.T).all()
        assert (values.diagonal() == 0).all()
    assert (upper >= lower).all()
    apart = upper[np.triu_indices(3, 1)]
    assert (apart > 0).all()
    assert sorted(result["order"]) == [0, 1, 2]
    assert result["merges"][0]["height"] == apart.min()
    for row, entry in zip(upper, result["nearest"], strict=True):
        assert entry["distance"] == sorted(row)[1] == row[NAMES.index(entry["nearest"])]
    assert set(matrix["timings"]) == {"reading", "embedding", "measuring", "saving"}


def test_the_first_row_is_what_requests_for_pairs_give(service, matrix):
    for column, target in list(enumerate(NAMES))[1:]:
        pair = service.run("/distances", {**MEASURED, "source": "digits", "target": target})
        whole = pair["result"]["dataset_distance"]
        assert pair["artifacts"] == []
        for bound in ("lower", "upper"):
            assert matrix["result"][bound][0][column] == pytest.approx(whole[bound], rel=1e-9)


def test_a_pair_may_come_as_a_list(service, matrix):
    two = service.run("/distances", {**MEASURED, "datasets": NAMES[:2]})["result"]
    assert two["upper"][0][1] == pytest.approx(matrix["result"]["upper"][0][1], rel=1e-9)
    assert [entry["nearest"] for entry in two["nearest"]] == ["noise", "digits"]


def test_the_tables_hold_what_the_result_says(service, matrix):
    for name, bound in (("matrix.csv", "upper"), ("matrix_lower.csv", "lower")):
        reply = artifact(service, matrix, name)
        assert reply.headers["Content-Type"] == "text/csv; charset=utf-8"
        header, *rows = csv.reader(io.StringIO(reply.text))
        assert header == ["dataset", *NAMES]
        assert [row[0] for row in rows] == NAMES
        assert [[float(value) for value in row[1:]] for row in rows] == matrix["result"][bound]


def test_the_pictures_open_and_are_whole(service, matrix):
    assert [entry["name"] for entry in matrix["artifacts"]] == [
        "heatmap.png",
        "heatmap.svg",
        "matrix.csv",
        "matrix_lower.csv",
    ]
    png, svg = (artifact(service, matrix, name) for name in ("heatmap.png", "heatmap.svg"))
    assert (png.headers["Content-Type"], svg.headers["Content-Type"]) == ("image/png", "image/svg+xml")
    with Image.open(io.BytesIO(png.content)) as picture:
        picture.load()
        assert min(picture.size) > 300
    assert ET.fromstring(svg.content).tag.endswith("}svg")  # noqa: S314 - our own file
    for entry in matrix["artifacts"]:
        content = artifact(service, matrix, entry["name"])
        assert hashlib.sha256(content.content).hexdigest() == entry["sha256"]
        assert content.headers["ETag"] == f'"{entry["sha256"]}"'


def test_the_order_of_the_list_changes_the_scale_and_not_the_bytes_of_a_repetition(service, matrix):
    again = service.run("/distances", {**MEASURED, "datasets": NAMES, "reuse": False})
    digests = [{entry["name"]: entry["sha256"] for entry in work["artifacts"]} for work in (matrix, again)]
    assert digests[0] == digests[1]
    assert again["result"] == matrix["result"]
    raw = {**MEASURED, "scaling": "raw"}
    turned = [service.run("/distances", {**raw, "datasets": names})["result"] for names in (NAMES, NAMES[::-1])]
    for i, j in itertools.product(range(3), repeat=2):
        assert turned[1]["upper"][2 - i][2 - j] == pytest.approx(turned[0]["upper"][i][j], rel=1e-6)


def test_a_dataset_that_changed_fails_the_whole_and_leaves_no_files(service, uploads, datasets):
    write_npz(uploads / "fading.npz", {"": separable_tree({"dark": 8, "light": 8})})
    service.run("/datasets", {"format": "npz", "path": "fading.npz"})
    write_npz(uploads / "fading.npz", {"": separable_tree({"dark": 8, "light": 8}, seed=1)})
    work = service.wait(service.post("/distances", {**MEASURED, "datasets": ["digits", "fading"]}))
    assert (work["state"], work["error"]["code"]) == ("failed", "dataset_changed")
    assert "'fading'" in work["error"]["message"]
    assert (work["result"], work["artifacts"]) == (None, [])

"""Heatmaps that open, say what they show, and are the same every time."""

import re
from xml.etree import ElementTree as ET

import pytest
from PIL import Image

from app.schemas.distances import MatrixResult
from worker.figures import draw_heatmap

CAPTION = "some_backbone features"


def matrix(names, *, step=1.0, converged=True):
    """Datasets on a line, ``step`` apart: their dendrogram joins each to those before it."""
    count = len(names)
    upper = [[step * abs(row - column) for column in range(count)] for row in range(count)]
    merges = [{"first": 0, "second": 1, "height": step, "size": 2}]
    merges += [
        {"first": count + number - 2, "second": number, "height": step * (number + 1) / 2, "size": number + 1}
        for number in range(2, count)
    ]
    return MatrixResult.model_validate(
        {
            "datasets": names,
            "n_samples": [10] * count,
            "upper": upper,
            "lower": upper,
            "gap_percent": [[0.0] * count] * count,
            "converged": [[row == column or converged for column in range(count)] for row in range(count)],
            "order": list(range(count)),
            "merges": merges,
            "nearest": [],
        }
    )


def draw(folder, result):
    folder.mkdir(exist_ok=True)
    paths = [folder / "heatmap.png", folder / "heatmap.svg"]
    draw_heatmap(paths, result, caption=CAPTION)
    return paths


def texts(svg):
    """Matplotlib writes each text as a comment before its outlines; runs of hyphens are set apart."""
    return [text.replace("- ", "-") for text in re.findall(r"<!-- (.*?) -->", svg.read_text(), re.DOTALL)]


@pytest.mark.parametrize("count", [2, 3, 17])
def test_both_pictures_open_and_grow_with_the_list(tmp_path, count):
    png, svg = draw(tmp_path, matrix([f"set-{number}" for number in range(count)]))
    with Image.open(png) as picture:
        picture.load()
        width, height = picture.size
        assert len(picture.convert("RGB").getcolors(1 << 24)) > count
    assert width > 150 * 0.42 * count
    assert height > 150 * 0.42 * count
    root = ET.fromstring(svg.read_bytes())  # noqa: S314 - written above
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert float(root.get("width").removesuffix("pt")) * 150 / 72 == pytest.approx(width, abs=1)


def test_every_name_and_value_is_there_in_the_order_of_the_dendrogram(tmp_path):
    result = matrix(["b", "c--d", "a"]).model_copy(update={"order": [2, 1, 0]})
    found = texts(draw(tmp_path, result)[1])
    assert [text for text in found if text in {"a", "b", "c--d"}] == ["a", "c--d", "b"] * 2
    assert found.count("1.00") >= 4
    assert found.count("2.00") >= 2
    assert CAPTION in found
    assert "optimal transport distance" in " ".join(found)


def test_what_did_not_converge_is_marked(tmp_path):
    found = texts(draw(tmp_path, matrix(["a", "b"], converged=False))[1])
    assert found.count("1.00*") == 2
    assert f"{CAPTION}; * not converged" in found


@pytest.mark.parametrize(
    ("step", "shown"), [(0.0, "0"), (1e-9, "1.0e-09"), (0.0512, "0.0512"), (734.2, "734"), (2e7, "2.0e+07")]
)
def test_values_of_any_size_are_written_with_a_few_digits(tmp_path, step, shown):
    assert texts(draw(tmp_path, matrix(["a", "b"], step=step))[1]).count(shown) >= 2


def test_a_long_name_is_shortened_in_its_middle(tmp_path):
    found = texts(draw(tmp_path, matrix(["a" * 100 + "z", "$b$_c"]))[1])
    assert "a" * 16 + "…" + "a" * 14 + "z" in found
    assert "$b$_c" in found


def test_equal_results_make_equal_bytes(tmp_path):
    result = matrix(["a", "b", "c", "d"])
    first, again = draw(tmp_path / "first", result), draw(tmp_path / "again", result)
    for one, other in zip(first, again, strict=True):
        assert one.read_bytes() == other.read_bytes()
    other = draw(tmp_path / "other", matrix(["a", "b", "c", "e"]))
    assert all(one.read_bytes() != another.read_bytes() for one, another in zip(first, other, strict=True))

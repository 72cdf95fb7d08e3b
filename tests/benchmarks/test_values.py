"""What is known of the paper, and what a user adds to it."""

import json

import pytest

from benchmarks.paper.values import KNOWN, PaperValues, PaperValuesError, as_json, with_file


def written(folder, content):
    path = folder / "values.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_only_what_is_known_is_claimed():
    assert as_json(KNOWN) == {
        "table_2": {},
        "table_3": {
            "fashion-mnist": {"set_difference": 77.3, "random_selection": 74.9, "mixed": 82.9},
            "cifar10": {"set_difference": 80.1, "random_selection": 76.9, "mixed": 84.9},
        },
        "table_4": {},
        "figure_2": {},
    }


def test_a_file_adds_to_what_is_known_and_decides(tmp_path):
    more = {"table_3": {"cifar10": {"mixed": 85}, "mnist": {"mixed": 99.5}}, "figure_2": {"imagenet": {"mnist": 3}}}
    found = with_file(KNOWN, written(tmp_path, more))
    assert found.table_3["cifar10"] == {"set_difference": 80.1, "random_selection": 76.9, "mixed": 85}
    assert found.table_3["mnist"] == {"mixed": 99.5}
    assert found.table_3["fashion-mnist"] == KNOWN.table_3["fashion-mnist"]
    assert found.figure_2 == {frozenset({"mnist", "imagenet"}): 3}


def test_what_is_written_is_what_was_read(tmp_path):
    values = PaperValues(
        {"coco": 40.0},
        KNOWN.table_3,
        {"mnist": 99.0},
        {frozenset({"mnist", "kmnist"}): 1.0, frozenset({"coco", "mnist"}): 2.0},
    )
    assert with_file(PaperValues(), written(tmp_path, as_json(values))) == values


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("{", "values.json"),
        ([], "the file"),
        ({"table_5": {}}, "'table_5'"),
        ({"table_2": {"cifar": 1}}, "'cifar'"),
        ({"table_2": {"mnist": "99"}}, "mnist must be a number"),
        ({"table_2": {"mnist": True}}, "mnist must be a number"),
        ('{"table_2": {"mnist": NaN}}', "mnist must be a number"),
        ({"table_3": {"mnist": {"uniform": 1}}}, "'uniform'"),
        ({"table_3": {"mnist": 1}}, "table_3 of mnist"),
        ({"figure_2": {"mnist": {"mnist": 0}}}, "'mnist'"),
    ],
)
def test_a_file_that_is_not_understood_is_refused(tmp_path, content, named):
    with pytest.raises(PaperValuesError, match=named):
        with_file(KNOWN, written(tmp_path, content))


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(PaperValuesError, match=r"none\.json"):
        with_file(KNOWN, tmp_path / "none.json")

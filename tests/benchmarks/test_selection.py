"""What strategies gain over random choice: the data sets, who chooses, and what is measured and kept."""

import json
import pickle

import numpy as np
import pytest
import torch

from benchmarks.selection.__main__ import main
from benchmarks.selection.cells import measure, measure_packed
from benchmarks.selection.contenders import CONTENDERS, FITTED, UNIFORM
from benchmarks.selection.embedding import Drawn, Embedded, draw_pool
from benchmarks.selection.setting import Setting
from benchmarks.selection.subjects import find_source, find_subjects
from ot3l_core.data.reading import open_dataset
from ot3l_core.data.samples import LabelledSamples
from ot3l_core.errors import DatasetNotFoundError
from ot3l_core.selection.quantisation import quantise
from tests.generators.pictures import random_tree, separable_tree, write_image_folder, write_npz, write_zip

BUDGETS = (6, 12, 20)
TREE = random_tree({"a": 12, "b": 12})
ALL = pytest.mark.parametrize("name", CONTENDERS)


def samples(n, n_classes, seed, d=12):
    """Samples around a corner for each class."""
    draws = np.random.default_rng(seed)
    labels = draws.integers(0, n_classes, n)
    features = draws.normal(size=(n, d)) + 3 * np.eye(n_classes, d)[labels]
    classes = tuple(f"class {label}" for label in range(n_classes))
    return LabelledSamples(torch.from_numpy(features).float(), torch.from_numpy(labels), classes)


@pytest.fixture(scope="module")
def embedded():
    return Embedded(samples(100, 3, 0), samples(40, 3, 1), samples(40, 4, 2), "some digest")


def choices(embedded, name, seed=0, labels=None):
    drawn = draw_pool(embedded, seed)
    if labels is not None:
        pool = LabelledSamples(drawn.pool.features, labels, drawn.pool.classes)
        drawn = Drawn(pool, drawn.source)
    choose = CONTENDERS[name].begin(drawn, seed, max(BUDGETS))
    return {budget: choose(budget).tolist() for budget in BUDGETS}


def test_data_sets_of_the_paper_and_others_are_found_and_the_source_is_none_of_them(tmp_path):
    write_npz(tmp_path / "mnist.npz", {"": TREE})
    write_npz(tmp_path / "cells.npz", {"": TREE})
    write_zip(tmp_path / "leaves.zip", {"": TREE})
    write_zip(tmp_path / "tiny-imagenet.zip", {"": TREE})
    write_image_folder(tmp_path / "birds", {"": TREE})
    write_image_folder(tmp_path / "split", {"train": random_tree({"a": 2, "b": 2}), "test": TREE})
    (tmp_path / "notes").mkdir()
    (tmp_path / "README.md").touch()
    found = find_subjects(tmp_path)
    assert [subject.name for subject in found] == ["mnist", "birds", "cells", "leaves", "split"]
    assert [subject.in_development for subject in found] == [True, False, False, False, False]
    assert all(len(open_dataset(subject.spec).classes) == 2 for subject in found)
    assert find_source(tmp_path).required_path.name == "tiny-imagenet.zip"


@pytest.mark.parametrize("write", [write_npz, write_zip, write_image_folder])
def test_one_data_set_may_be_named_itself(tmp_path, write):
    path = tmp_path / {write_npz: "cells.npz", write_zip: "cells.zip", write_image_folder: "cells"}[write]
    write(path, {"": TREE})
    [subject] = find_subjects(path)
    assert subject.name == "cells"
    assert len(open_dataset(subject.spec).classes) == 2


def test_nothing_is_invented(tmp_path):
    assert find_subjects(tmp_path) == []
    assert find_source(tmp_path) is None
    with pytest.raises(DatasetNotFoundError, match="absent"):
        find_subjects(tmp_path / "absent")


def test_a_seed_draws_four_fifths_of_the_pool_whatever_the_labels(embedded):
    drawn = [draw_pool(embedded, seed).pool for seed in range(3)]
    assert [len(pool) for pool in drawn] == [80] * 3
    assert not torch.equal(drawn[0].features, drawn[1].features)
    other = LabelledSamples(embedded.pool.features, embedded.pool.labels.flip(0), embedded.pool.classes)
    again = draw_pool(Embedded(other, embedded.test, None, ""), 0).pool
    assert torch.equal(again.features, drawn[0].features)
    assert len({tuple(row) for row in drawn[0].features.tolist()}) == 80


def test_budgets_leave_something_to_choose():
    assert Setting(budgets=(50, 100, 200)).budgets_for(250) == (50, 100)
    assert Setting(budgets=(50, 100, 200)).budgets_for(100) == ()


@ALL
def test_every_contender_fills_every_budget_with_different_samples(embedded, name):
    found = choices(embedded, name)
    for budget, places in found.items():
        assert len(set(places)) == len(places) == budget
        assert set(places) <= set(range(80))
    assert found == choices(embedded, name)


@ALL
def test_who_is_said_to_read_no_labels_reads_none(embedded, name):
    strange = torch.from_numpy(np.random.default_rng(5).integers(0, 3, 80))
    same = choices(embedded, name) == choices(embedded, name, labels=strange)
    assert same != CONTENDERS[name].reads_labels


@pytest.mark.parametrize("name", ["k_centre", "facility_location"])
def test_greedy_choices_for_few_begin_those_for_many(embedded, name):
    found = choices(embedded, name)
    drawn = draw_pool(embedded, 0)
    assert found[20][:6] == found[6] == CONTENDERS[name].begin(drawn, 0, 6)(6).tolist()


def test_the_k_centre_taken_next_is_the_farthest_from_all_taken(embedded):
    taken = choices(embedded, "k_centre")[20]
    distances = torch.cdist(draw_pool(embedded, 0).points, draw_pool(embedded, 0).points)
    for count in range(1, 20):
        nearest = distances[:, taken[:count]].min(dim=1).values
        assert float(nearest[taken[count]]) == pytest.approx(float(nearest.max()))


def test_the_facility_taken_next_lowers_the_quantisation_error_most(embedded):
    taken, points = choices(embedded, "facility_location")[6], draw_pool(embedded, 0).points
    for count in range(6):
        errors = {
            place: quantise(points, torch.tensor(sorted([*taken[:count], place]))).error
            for place in range(80)
            if place not in taken[:count]
        }
        assert errors[taken[count]] == pytest.approx(min(errors.values()))


@pytest.mark.parametrize("name", [name for name in CONTENDERS if name.startswith(("medoids", "balanced"))])
def test_choices_inside_classes_are_equally_many(embedded, name):
    labels = draw_pool(embedded, 0).pool.labels
    for budget, places in choices(embedded, name).items():
        counts = torch.bincount(labels[places], minlength=3)
        assert int(counts.max() - counts.min()) <= (1 if budget % 3 else 0)


def test_balanced_clusters_go_where_the_mass_is_and_plain_ones_where_the_spread_is():
    crowd = torch.randn(16, 4, generator=torch.Generator().manual_seed(0)) / 100
    features = torch.cat([crowd, 10 * torch.eye(4)])
    drawn = Drawn(LabelledSamples(features, torch.zeros(20, dtype=torch.int64), ("only",)), None)
    plain, balanced = (CONTENDERS[name].begin(drawn, 0, 4)(4) for name in ("medoids", "balanced_ot"))
    assert int((plain < 16).sum()) == 1
    assert int((balanced < 16).sum()) == 3


def test_weights_by_distance_need_a_source(embedded):
    drawn = draw_pool(Embedded(embedded.pool, embedded.test, None, ""), 0)
    with pytest.raises(ValueError, match="source"):
        CONTENDERS["medoids_far"].begin(drawn, 0, 6)


def test_what_was_measured_is_kept_until_something_changes(embedded, tmp_path):
    packed = pickle.dumps(embedded)
    both, seeds = [UNIFORM, FITTED], range(2)
    made = {
        (cell.contender, cell.budget, cell.seed): cell
        for contender in both
        for seed in seeds
        for cell in measure_packed(packed, contender.name, (6, 12), seed, tmp_path)
    }
    assert len(made) == 8
    assert all(0 <= cell.accuracy <= 100 and cell.distance > 0 for cell in made.values())
    found = [
        cell
        for cells in measure(embedded, contenders=both, budgets=(6, 12), seeds=seeds, kept=tmp_path, n_processes=1)
        for cell in cells
    ]
    assert {(cell.contender, cell.budget, cell.seed): cell for cell in found} == made
    again = measure_packed(packed, "fitted", (12,), 1, tmp_path / "elsewhere")
    assert again == [made["fitted", 12, 1]]
    assert len(list(tmp_path.glob("*.json"))) == 8
    other = Embedded(embedded.pool, embedded.test, embedded.source, "another digest")
    measure_packed(pickle.dumps(other), "uniform", (6,), 0, tmp_path)
    assert len(list(tmp_path.glob("*.json"))) == 9


def test_test_labels_have_no_say_in_what_is_chosen(embedded, tmp_path):
    blind = LabelledSamples(embedded.test.features, embedded.test.labels.flip(0), embedded.test.classes)
    other = Embedded(embedded.pool, blind, embedded.source, "another digest")
    [one], [two] = (measure_packed(pickle.dumps(made), "fitted", (12,), 0, tmp_path) for made in (embedded, other))
    assert one.distance == two.distance
    assert one.accuracy != two.accuracy


def test_a_run_is_repeated_from_what_it_kept(tmp_path):
    write_npz(tmp_path / "data.npz", {"": separable_tree({"dark": 60, "bright": 60})})
    arguments = ["--data", str(tmp_path / "data.npz"), "--keep", str(tmp_path / "kept"), "--processes", "1"]
    sizes = ["--pool", "60", "--test", "20", "--budgets", "8", "--seeds", "1", "--input-size", "32"]
    # One data set and one seed are fewer than the goal asks for.
    assert main([*arguments, *sizes, "--output", str(tmp_path / "one")]) == 1
    assert len(list((tmp_path / "kept" / "cells").glob("*.json"))) == 5
    assert main([*arguments, *sizes, "--output", str(tmp_path / "two")]) == 1
    one, two = (json.loads((tmp_path / name / "selection.json").read_text()) for name in ("one", "two"))
    assert one["data_sets"] == two["data_sets"]
    assert len(one["data_sets"][0]["cells"]) == 5
    assert str(tmp_path) not in json.dumps(one)
    names = {path.name for path in (tmp_path / "one").iterdir()}
    assert names == {f"selection.{suffix}" for suffix in ("md", "json", "png", "svg")}


def test_what_cannot_be_measured_is_said(tmp_path, capsys):
    write_npz(tmp_path / "cells.npz", {"": TREE})
    assert main(["--data", str(tmp_path), "--dataset", "absent"]) == 2
    assert "there are: cells" in " ".join(capsys.readouterr().out.split())

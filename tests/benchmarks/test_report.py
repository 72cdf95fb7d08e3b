"""Tables, figures and files say what was found, and nothing else."""

# ruff: noqa: RUF001 - the signs of minus and dash are meant

import json
import re
from dataclasses import replace
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from benchmarks.paper.figures import draw_selections
from benchmarks.paper.plan import PRESETS
from benchmarks.paper.report import Circumstances, as_markdown, write
from benchmarks.paper.tables import distances_table, extended_table, selection_table, wilson, zero_shot_table
from benchmarks.paper.values import KNOWN
from tests.benchmarks.conftest import target

MACHINE = {"date": "2026-01-01", "processor": "some processor", "cores": 2, "memory_gib": 8.0}
QUICK = PRESETS["quick"]
CIRCUMSTANCES = Circumstances("make paper DATA=data", "quick", QUICK, KNOWN, MACHINE, own_service=True)


def rows(lines):
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_tables_are_rectangular(findings):
    for lines in (
        zero_shot_table(findings, KNOWN),
        selection_table(findings, KNOWN),
        extended_table(findings, KNOWN, QUICK),
        distances_table(findings, KNOWN),
    ):
        assert len({len(row) for row in rows(lines)}) == 1
        assert "nan" not in "\n".join(lines)


def test_our_values_stand_above_those_of_the_paper(findings):
    heading, _, ours, theirs, failed, unknown = rows(selection_table(findings, KNOWN))
    place = heading.index("MS")
    assert (ours[place], theirs[place]) == ("85.0 ± 2.5", "84.9")
    assert (failed[place], unknown[place]) == ("failed", "–")
    place = heading.index("MS − RS")
    assert (ours[place], theirs[place]) == ("**+7.0 ± 0.0**", "+8.0")


def test_zero_shot_comes_with_an_interval_over_the_test_images(findings):
    _, _, found, failed = rows(zero_shot_table(findings, KNOWN))
    assert found[2:] == ["50.0 (46.9 to 53.1)", "25.0 (22.4 to 27.8)", "–"]
    assert failed[2:] == ["failed", "failed", "–"]


def test_seconds_leave_out_the_features_that_all_jobs_share(findings):
    heading, _, found, _ = rows(extended_table(findings, KNOWN, QUICK))
    assert found[heading.index("MS, s")] == "3"


def test_fine_tuning_that_was_left_out_is_no_failure(findings):
    heading, _, found, _ = rows(extended_table(findings, KNOWN, replace(QUICK, fine_tuning=None)))
    assert found[heading.index("all, fine-tuned")] == "not run"


def test_distances_go_from_near_to_far(findings):
    _, _, near, far = rows(distances_table(findings, KNOWN))
    assert (near[1], near[3], near[5]) == ("CIFAR-10", "1.4000 to 1.5000", "yes")
    assert (far[1], far[5]) == ("MNIST", "")


@given(hits=st.integers(0, 500), n=st.integers(1, 500))
def test_wilson_s_ends_are_shares_at_which_the_seen_one_is_just_plausible(hits, n):
    share = min(hits, n) / n
    for end in wilson(share, n):
        assert -1e-9 <= end <= 1 + 1e-9
        assert abs(share - end) == pytest.approx(1.959964 * sqrt(max(end * (1 - end), 0) / n), abs=1e-7)


def test_the_report_lists_what_is_missing_and_what_failed(findings):
    text = as_markdown(findings, CIRCUMSTANCES, [])
    assert "| KMNIST | **missing** | looked for `KMNIST/raw/train-images-idx3-ubyte`" in text
    assert "| MNIST: MS | out of memory \\| or so |" in text
    assert "| pool size | 2,000 | all |" in text


def test_files_are_whole_and_hold_every_figure(tmp_path, findings):
    verdicts = write(findings, CIRCUMSTANCES, tmp_path / "results")
    names = {path.name for path in (tmp_path / "results").iterdir()}
    assert names == {"paper.md", "paper.json", "table3.png", "table3.svg", "figure2.png", "figure2.svg"}
    kept = json.loads((tmp_path / "results" / "paper.json").read_text())
    assert [one["verdict"] for one in kept["verdicts"]] == [one.verdict for one in verdicts]
    phase = kept["targets"]["cifar10"]["jobs"]["mixed"]["phases"][-1]
    assert phase["accuracy"]["values"] == [0.84, 0.85, 0.86]
    assert kept["missing"][0]["name"] == "kmnist"
    assert str(tmp_path) not in json.dumps(kept)


def test_a_run_of_which_nothing_succeeded_is_reported_too(tmp_path, findings):
    nothing = replace(findings, targets=[target("mnist")], distances=None, heatmaps={})
    write(nothing, CIRCUMSTANCES, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"paper.md", "paper.json"}


def test_the_figure_opens_names_everything_and_is_the_same_every_time(tmp_path, findings):
    one, again = ([tmp_path / f"{name}{suffix}" for suffix in (".png", ".svg")] for name in ("one", "again"))
    for paths in (one, again):
        draw_selections(paths, findings.targets, KNOWN, caption="some $caption_1")
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in again]
    with Image.open(one[0]) as picture:
        picture.load()
        assert picture.width > 1000
    texts = set(re.findall(r"<!-- (.*?) -->", one[1].read_text()))
    assert {"CIFAR-10", "MNIST", "MS − SD", "stratified", "some $caption_1"} <= texts

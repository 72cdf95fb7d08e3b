"""What the strategies must reach, judged on made-up accuracies, and the report of it."""

# ruff: noqa: RUF001 - the sign of minus is meant

import json
import re
from dataclasses import replace

import pytest
from PIL import Image

from benchmarks.selection.cells import Cell
from benchmarks.selection.contenders import BALANCED, CONTENDERS, COVERAGE, FITTED, MEDOIDS, UNIFORM
from benchmarks.selection.figure import draw
from benchmarks.selection.findings import Measured, mean_gain, uniform_at, wins
from benchmarks.selection.goals import LABEL_FREE, LABELLED, judge
from benchmarks.selection.report import Report, as_markdown, write
from benchmarks.selection.setting import Setting
from benchmarks.selection.subjects import Subject
from ot3l_core.data.spec import DatasetSpec
from ot3l_core.names import BuiltinDataset, DatasetFormat

SPEC = DatasetSpec(DatasetFormat.BUILTIN, dataset=BuiltinDataset.DIGITS)
BASE = {50: 50.0, 100: 60.0, 200: 70.0, 450: 74.0, 500: 75.0, 1000: 78.0}
MACHINE = {"date": "2026-01-01", "processor": "some processor", "cores": 2, "memory_gib": 8.0}
NAMES = ("mnist", "cifar10", "birds", "leaves")


def measured(name, gains, base=BASE, n_seeds=5):
    """A data set on which contenders gain these points over random choice, whose seeds differ by a point each."""
    arms = {UNIFORM: dict.fromkeys(base, 0.0)} | gains
    cells = {
        (contender.name, budget, seed): Cell(contender.name, budget, seed, base[budget] + seed + gain, 0.5)
        for contender, by_budget in arms.items()
        for budget, gain in by_budget.items()
        for seed in range(n_seeds)
    }
    return Measured(Subject(name, name.title(), SPEC), 10, 8000, 2000, tuple(base), cells)


def as_asked(more=0.0):
    """Gains that just reach every goal, and so many points more."""
    fitted = {budget: goal + more for budget, goal in LABELLED.items()} | {450: 4.0 + more}
    return {FITTED: fitted, COVERAGE: {budget: goal + more for budget, goal in LABEL_FREE.items()}}


def verdicts(*sets):
    return {verdict.target: verdict for verdict in judge(sets)}


def missed(*sets):
    return [verdict.target for verdict in judge(sets) if verdict.met is False]


def test_goals_that_are_just_reached_hold_and_just_missed_do_not():
    assert missed(*(measured(name, as_asked()) for name in NAMES)) == []
    just_less = missed(*(measured(name, as_asked(-0.01)) for name in NAMES))
    assert len(just_less) == len(LABELLED) + len(LABEL_FREE) + 1


def test_gains_are_means_over_the_data_sets():
    sets = [measured(name, as_asked(more)) for name, more in zip(NAMES, (-1, 1, -0.4, 0.4), strict=True)]
    assert missed(*sets) == []
    assert verdicts(*sets)["`fitted` at 50: mean gain ≥ 16 points"].measured == "+16.0 ± 0.0 over 4 data sets"


def test_every_data_set_must_gain_for_certain_by_itself():
    lost = as_asked() | {FITTED: as_asked()[FITTED] | {200: -0.1}}
    sets = [measured("birds", lost), *(measured(name, as_asked(5)) for name in ("mnist", "cifar10", "leaves"))]
    assert missed(*sets) == ["`fitted` at 200: each data set's 95% interval above 0"]
    found = verdicts(*sets)["`fitted` at 200: each data set's 95% interval above 0"]
    assert found.measured == "3 of 4; not Birds (−0.1 ± 0.0)"


def test_an_interval_that_reaches_below_0_is_no_gain():
    whole = [measured(name, as_asked()) for name in NAMES]
    key = (FITTED.name, 1000, 0)
    odd = whole[0].cells[key]
    shaken = replace(whole[0], cells=whole[0].cells | {key: replace(odd, accuracy=odd.accuracy + 30)})
    assert missed(shaken, *whole[1:]) == ["`fitted` at 1000: each data set's 95% interval above 0"]


def test_few_labels_for_the_accuracy_of_many():
    target = "`fitted` at 450 reaches random choice at 1000, mean over the data sets"
    behind = as_asked() | {FITTED: as_asked()[FITTED] | {450: 3.0}}
    ahead = as_asked() | {FITTED: as_asked()[FITTED] | {450: 5.0}}
    held = verdicts(measured("mnist", behind), measured("birds", ahead))[target]
    assert held.met
    assert held.measured == "80.0 against 80.0, +0.0 ± 0.0; reached on 1 of 2; not Mnist (−1.0 ± 0.0)"
    assert not verdicts(measured("mnist", behind), measured("birds", as_asked()))[target].met


def test_fewer_sets_or_seeds_than_asked_for_settle_nothing():
    breadth = "at least 4 data sets and 5 seeds"
    assert missed(*(measured(name, as_asked()) for name in NAMES[:3])) == [breadth]
    assert missed(*(measured(name, as_asked(), n_seeds=4) for name in NAMES)) == [breadth]
    single = missed(*(measured(name, as_asked(), n_seeds=1) for name in NAMES))
    assert "`fitted` at 50: each data set's 95% interval above 0" in single


def test_budgets_that_did_not_run_are_not_judged():
    small = {50: 50.0, 100: 60.0}
    gains = {FITTED: {50: 20.0, 100: 10.0}, COVERAGE: {50: 20.0, 100: 10.0}}
    sets = [measured(name, gains, base=small) for name in NAMES]
    assert missed(*sets) == []
    assert not any(re.search("200|500|1000", target) for target in verdicts(*sets))
    found = verdicts(*sets, measured("large", as_asked()))["`fitted` at 500: mean gain ≥ 2.5 points"]
    assert found.measured == "+2.5 ± 0.0 over 1 data sets"
    assert judge([]) == []


def test_what_no_goal_asks_for_is_reported_beside():
    gains = as_asked() | {MEDOIDS: dict.fromkeys(BASE, 1.0), BALANCED: dict.fromkeys(BASE, 0.25)}
    found = verdicts(*(measured(name, gains) for name in NAMES))
    medoids = found["`medoids` at 50: mean gain ≥ 16 points"]
    transport = found["at 50: balanced optimal transport − plain quantisation (`medoids`)"]
    assert (medoids.met, medoids.measured) == (None, "+1.0 ± 0.0 over 4 data sets")
    assert (transport.met, transport.measured) == (None, "−0.8 ± 0.0")


def test_gains_are_paired_by_seed_and_wins_are_counted():
    one, other = measured("mnist", as_asked()), measured("birds", {FITTED: {50: 0.0}})
    arm, base = (FITTED, 50), uniform_at(50)
    assert one.gains(arm, base) == pytest.approx([16.0] * 5)
    assert wins([one, other], arm, base) == (5, 10)
    assert mean_gain([one, other], arm, base).mean == pytest.approx(8)
    assert mean_gain([other], (FITTED, 100), uniform_at(100)) is None


@pytest.fixture
def report():
    small = measured("birds", {FITTED: {50: 3.0}}, base={50: 50.0})
    gains = as_asked() | {MEDOIDS: dict.fromkeys(BASE, 1.0)}
    sets = [measured("mnist", gains), small, measured("leaves", gains)]
    who = list(CONTENDERS.values())
    return Report("make bench-selection", MACHINE, Setting(), who, sets, {"Rocks": "no | pictures"})


def tables(text):
    found = re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE)
    return [[re.split(r"(?<!\\)\|", line)[1:-1] for line in part.splitlines()] for part in found]


def test_tables_are_rectangular_and_say_everything(report):
    text = as_markdown(report)
    for rows in tables(text):
        assert len({len(row) for row in rows}) == 1
    assert "nan" not in text
    assert "| `fitted` (*labels*) | 68.0 ± 2.0; +16.0 ± 0.0 (5/5) |" in text
    assert "| `fitted` (*labels*) | 55.0 ± 2.0; +3.0 ± 0.0 (5/5) |" in text
    assert "| Rocks | no \\| pictures |" in text
    assert "strategies were developed on it" in text
    assert "no strategy was developed on it" in text


def test_a_single_seed_has_no_interval(report):
    text = as_markdown(replace(report, measured=[measured("mnist", as_asked(), n_seeds=1)]))
    assert "| `fitted` (*labels*) | 66.0; +16.0 (1/1) |" in text


def test_files_hold_every_value_and_no_part_is_left(report, tmp_path):
    write(report, tmp_path / "results")
    names = {path.name for path in (tmp_path / "results").iterdir()}
    assert names == {f"selection.{suffix}" for suffix in ("md", "json", "png", "svg")}
    kept = json.loads((tmp_path / "results" / "selection.json").read_text())
    assert [one["name"] for one in kept["data_sets"]] == ["mnist", "birds", "leaves"]
    cell = {"contender": "fitted", "budget": 50, "seed": 0, "accuracy": 53.0, "distance": 0.5}
    assert cell in kept["data_sets"][1]["cells"]
    assert len(kept["verdicts"]) == len(report.verdicts)


def test_a_run_without_a_data_set_large_enough_is_reported_too(report, tmp_path):
    nothing = replace(report.measured[0], budgets=(), cells={})
    write(replace(report, measured=[nothing]), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"selection.md", "selection.json"}


def test_the_figure_opens_names_everything_and_is_the_same_every_time(report, tmp_path):
    one, again = ([tmp_path / f"{name}{suffix}" for suffix in (".png", ".svg")] for name in ("one", "again"))
    for paths in (one, again):
        draw(paths, report.measured, caption="some $caption_1")
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in again]
    with Image.open(one[0]) as picture:
        picture.load()
        assert picture.width > 1000
    texts = set(re.findall(r"<!-- (.*?) -->", one[1].read_text()))
    assert {"Mnist", "Birds, not developed on", "some $caption_1", "fitted", "coverage", "1000"} <= texts
    assert "450" not in texts

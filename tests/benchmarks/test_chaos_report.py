"""The report has the table that was asked for, and names whatever is wrong."""

import json
from dataclasses import replace

from benchmarks.chaos.judge import Harm, Offence
from benchmarks.chaos.plan import Fault, ShapeName
from benchmarks.chaos.report import Report, as_markdown, write

MACHINE = {
    "date": "2026-01-01",
    "processor": "some processor",
    "cores": 2,
    "memory_gib": 8.0,
    "system": "Linux",
    "python": "3.11",
}
GOOD = Report(
    machine=MACHINE,
    shape=ShapeName.PRODUCTION,
    seed=7,
    faults={Fault.WORKER_KILLED: 3, Fault.STORE_DOWN: 2},
    failures=(),
    jobs={"succeeded": 9, "cancelled": 1},
    attempts=14,
    posts=12,
    offences=(),
    storm_seconds=60.0,
    seconds=90.0,
)
BAD = replace(GOOD, offences=(Offence(Harm.WRONG, "job-1", "other metrics"), Offence(Harm.LOST, "job-2", "is gone")))


def test_the_table_has_faults_by_kind_then_jobs_then_harms():
    assert GOOD.rows == [
        (Fault.WORKER_KILLED.value, 3),
        (Fault.STORE_DOWN.value, 2),
        ("faults", 5),
        ("jobs", 10),
        ("lost", 0),
        ("duplicated", 0),
        ("wrong", 0),
    ]
    assert dict(BAD.rows) | {"lost": 1, "wrong": 1} == dict(BAD.rows)


def test_only_a_run_without_harm_in_which_everything_was_done_is_good():
    assert GOOD.is_good
    assert not BAD.is_good
    assert not replace(GOOD, failures=("S3 down: could not be done",)).is_good


def test_what_is_kept_names_seed_and_offenders(tmp_path):
    write(BAD, tmp_path)
    kept = json.loads((tmp_path / "chaos.json").read_text())
    assert (kept["seed"], kept["machine"], kept["storm_seconds"]) == (7, MACHINE, 60.0)
    assert [offence["subject"] for offence in kept["offences"]] == ["job-1", "job-2"]
    text = (tmp_path / "chaos.md").read_text()
    assert text == as_markdown(BAD)
    assert "| lost | 1 |" in text
    assert "`job-1`: other metrics" in text
    assert "--seed 7" in text

"""Faults drawn at random, some of every kind: a short form of `make chaos`."""

import pytest

from benchmarks.chaos.field import can_fill_disks
from benchmarks.chaos.judge import judge
from benchmarks.chaos.plan import ShapeName, draw_plan, faults_of
from benchmarks.chaos.run import run_plan

SPECS = ("uniform", "fine-tuned")


@pytest.mark.parametrize(
    ("shape", "n_faults", "n_jobs"),
    [(ShapeName.EMBEDDED, 12, 6), pytest.param(ShapeName.PRODUCTION, 40, 20, marks=pytest.mark.slow)],
)
def test_whatever_happens_nothing_is_lost_duplicated_or_wrong(tmp_path, shape, n_faults, n_jobs):
    faults = faults_of(shape, can_fill_disks=can_fill_disks(tmp_path))
    plan = draw_plan(0, faults=faults, specs=SPECS, n_faults=n_faults, n_jobs=n_jobs, gap_seconds=1.0)
    run = run_plan(plan, shape=shape, folder=tmp_path)
    assert run.storm.failures == ()
    assert len(run.storm.injected) == n_faults
    assert judge(run.facts) == []

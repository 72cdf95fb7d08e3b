"""A run is drawn whole from its seed, and has what was asked for."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.chaos.plan import NEEDS_SERVERS, Fault, ShapeName, draw_plan, faults_of
from benchmarks.chaos.specs import SPECS

PRODUCTION = faults_of(ShapeName.PRODUCTION, can_fill_disks=True)
seeds = st.integers(min_value=0, max_value=2**31 - 1)


def plan_of(seed, *, faults=PRODUCTION, n_faults=500, n_jobs=200, gap_seconds=3.0):
    return draw_plan(seed, faults=faults, specs=tuple(SPECS), n_faults=n_faults, n_jobs=n_jobs, gap_seconds=gap_seconds)


@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_equal_seeds_give_equal_plans(seed):
    assert plan_of(seed) == plan_of(seed)
    assert plan_of(seed) != plan_of(seed + 1)


@settings(max_examples=20, deadline=None)
@given(seed=seeds, n_faults=st.integers(0, 600), n_jobs=st.integers(0, 300))
def test_a_plan_has_as_many_faults_and_jobs_as_were_asked_for(seed, n_faults, n_jobs):
    plan = plan_of(seed, n_faults=n_faults, n_jobs=n_jobs)
    assert (len(plan.strikes), len(plan.submissions)) == (n_faults, n_jobs)
    times = [action.at for action in plan.actions]
    assert times == sorted(times)
    assert all(0 <= time <= n_faults * 3.0 for time in times)


@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_every_fault_comes_at_least_ten_times_in_a_whole_run(seed):
    counts = Counter(strike.fault for strike in plan_of(seed).strikes)
    assert set(counts) == set(Fault)
    assert min(counts.values()) >= 10


@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_every_spec_is_asked_for_and_every_key_is_its_own(seed):
    submissions = plan_of(seed).submissions
    counts = Counter(submission.spec for submission in submissions)
    assert set(counts) == set(SPECS)
    assert max(counts.values()) - min(counts.values()) <= 1
    assert len({submission.key for submission in submissions}) == len(submissions)


def test_whoever_is_struck_is_drawn_too():
    strikes = plan_of(0).strikes
    assert all(0 <= strike.whom < 1 for strike in strikes)
    assert min(strike.whom for strike in strikes) < 0.1
    assert max(strike.whom for strike in strikes) > 0.9


@pytest.mark.parametrize("can_fill_disks", [True, False])
def test_only_what_can_be_done_is_drawn(can_fill_disks):
    faults = faults_of(ShapeName.EMBEDDED, can_fill_disks=can_fill_disks)
    assert not NEEDS_SERVERS & set(faults)
    assert (Fault.DISK_FULL in faults) == can_fill_disks
    drawn = {strike.fault for strike in plan_of(0, faults=faults).strikes}
    assert drawn == set(faults)

"""What is asked of the service is what it understands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from app.schemas.distances import DistanceCreate
from app.schemas.jobs import JobCreate
from benchmarks.paper.__main__ import command_of, parse, plan_of
from benchmarks.paper.plan import EXTENDED, PRESETS, budget_for, distance_body, job_body
from ot3l_core.names import Precision

NAMES = {"source": "imagenet", "target": "cifar10", "budget": 1000}


@pytest.mark.parametrize("preset", PRESETS)
def test_every_body_is_a_request(preset):
    plan = PRESETS[preset]
    for arm in plan.arms:
        body = job_body(plan, arm, **NAMES)
        tuning = body.pop("fine_tune", None)
        assert (tuning is not None) == (arm is EXTENDED)
        request = JobCreate.model_validate(body)
        assert request.strategy is arm.strategy
        assert (request.source is not None) == arm.strategy.needs_scores
        assert request.pool_size == plan.pool_size
        assert request.seeds == (plan.seeds[: plan.fine_tuning.n_seeds] if arm.tunes else plan.seeds)
    matrix = TypeAdapter(DistanceCreate).validate_python(distance_body(plan, ["a", "b"], n_classes=100))
    assert matrix.datasets == ("a", "b")


def test_distances_are_measured_on_the_samples_that_jobs_select_from():
    plan = PRESETS["quick"]
    assert distance_body(plan, ["a", "b"], n_classes=10)["max_samples"] == plan.pool_size
    assert distance_body(plan, ["a", "b"], n_classes=5000)["max_samples"] == 5000


@given(n_pool=st.integers(2, 10**6), pool_size=st.none() | st.integers(2, 10**6))
def test_a_budget_leaves_something_to_choose(n_pool, pool_size):
    given = [] if pool_size is None else ["--pool-size", str(pool_size)]
    plan = plan_of(parse(["--data", "data", "--preset", "full", *given]))
    drawn = min(n_pool, pool_size or n_pool)
    assert budget_for(plan, n_pool) == min(plan.budget, drawn // 2)


def test_without_options_the_plan_is_the_preset():
    assert plan_of(parse(["--data", "data"])) == PRESETS["quick"]
    assert plan_of(parse(["--data", "data", "--preset", "full"])) == PRESETS["full"]


def test_options_change_what_they_name():
    sizes = ["--seeds", "2", "--pool-size", "all", "--input-size", "64", "--precision", "bfloat16", "--alpha", "0.25"]
    plan = plan_of(parse(["--data", "data", *sizes, "--epochs", "7"]))
    assert (plan.seeds, plan.pool_size, plan.input_size, plan.alpha) == ((0, 1), None, 64, 0.25)
    assert plan.precision is Precision.BFLOAT16
    assert (plan.fine_tuning.blocks, plan.fine_tuning.epochs) == (PRESETS["quick"].fine_tuning.blocks, 7)


@pytest.mark.parametrize(("given", "blocks"), [("all", None), ("3", 3)])
def test_blocks_to_fine_tune(given, blocks):
    plan = plan_of(parse(["--data", "data", "--blocks", given]))
    assert plan.fine_tuning.blocks == blocks
    assert job_body(plan, EXTENDED, **NAMES)["fine_tune"]["blocks"] == blocks


def test_fine_tuning_can_be_left_out():
    plan = plan_of(parse(["--data", "data", "--blocks", "none"]))
    assert plan.fine_tuning is None
    assert EXTENDED not in plan.arms


def test_the_command_names_no_place_of_this_machine():
    given = ["--data", "/somewhere", "--seeds", "2", "--output=/elsewhere", "--url", "http://host", "--target", "mnist"]
    assert command_of(given) == "make paper DATA=data ARGS='--seeds 2 --target mnist'"
    assert command_of(["--data", "/somewhere"]) == "make paper DATA=data"

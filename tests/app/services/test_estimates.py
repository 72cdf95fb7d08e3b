"""Estimates by their laws: more work costs no less, and history is what they are made of."""

import math

from hypothesis import given
from hypothesis import strategies as st

from app.schemas.distances import PairDistanceCreate
from app.schemas.jobs import JobCreate
from app.schemas.selections import SelectionCreate
from app.services.estimates import History, Past, Sizes, estimate, load_of
from app.services.network_sizes import SIZES
from ot3l_core.catalogue import CATALOGUE
from ot3l_core.names import Phase

NONE = History()
counts = st.integers(0, 100_000)


def job(pool=5000, test=1000, source=0, **body):
    request = JobCreate(target="a", **body).settings()
    return load_of("jobs", request, Sizes(pool=pool, test=test, source=source))


def cost(load, history=NONE):
    told = estimate(load, history)
    assert math.isclose(told.seconds, sum(told.seconds_by_phase.values()), rel_tol=1e-3, abs_tol=0.01)
    return told.seconds, told.memory_bytes


def grows(small, large):
    return all(one <= other + 0.02 for one, other in zip(cost(small), cost(large), strict=True))


@given(pools=st.tuples(counts, counts), tests=st.tuples(counts, counts), sources=st.tuples(counts, counts))
def test_more_images_cost_no_less(pools, tests, sources):
    assert grows(job(*map(min, (pools, tests, sources))), job(*map(max, (pools, tests, sources))))


@given(
    seeds=st.integers(1, 19),
    epochs=st.integers(1, 500),
    budget=st.integers(2, 9000),
    size=st.integers(32, 500),
    more=st.integers(1, 9),
)
def test_more_of_anything_costs_no_less(seeds, epochs, budget, size, more):
    def of(seeds=seeds, epochs=epochs, budget=budget, size=size, **body):
        return job(budget=budget, seeds=range(seeds), input_size=size, training={"epochs": epochs}, **body)

    assert grows(of(), of(seeds=seeds + 1))
    assert grows(of(), of(epochs=epochs + more))
    assert grows(of(), of(budget=budget + more))
    assert grows(of(), of(size=size + more))
    assert grows(of(), of(alpha="auto"))
    assert grows(of(), of(fine_tune={"epochs": more}))
    assert grows(of(fine_tune={"epochs": more}), of(fine_tune={"epochs": more + 1}))
    assert grows(of(), of(exports=["onnx"]))


def test_seeds_and_epochs_cost_in_proportion_where_they_are_what_costs():
    one = estimate(job(), NONE).seconds_by_phase[Phase.TRAINING]
    assert math.isclose(estimate(job(seeds=range(6)), NONE).seconds_by_phase[Phase.TRAINING], 2 * one, rel_tol=1e-3)
    longer = job(training={"epochs": 120})
    assert math.isclose(estimate(longer, NONE).seconds_by_phase[Phase.TRAINING], 3 * one, rel_tol=1e-3)


timings = st.fixed_dictionaries({phase: st.floats(0.1, 1e4) for phase in Phase})


@given(
    past=st.lists(st.tuples(timings, st.integers(10, 9000)), min_size=1, max_size=4),
    factor=st.integers(2, 50),
    pool=st.integers(10, 9000),
)
def test_history_scales_an_estimate(past, factor, pool):
    body = {"alpha": "auto", "fine_tune": {}, "exports": ["onnx"]}
    load = job(pool=pool, source=100, **body)

    def of(scale):
        return History(
            tuple(Past(job(pool=n, source=100, **body), {p: scale * s for p, s in took.items()}) for took, n in past)
        )

    once, scaled = estimate(load, of(1)), estimate(load, of(factor))
    assert math.isclose(scaled.seconds, factor * once.seconds, rel_tol=1e-3, abs_tol=0.01 * factor)
    assert scaled.memory_bytes == once.memory_bytes
    assert scaled.basis == once.basis
    assert f"measured on {len(past)} " in once.basis
    assert "rough" not in once.basis


@given(took=timings, pool=st.integers(10, 9000))
def test_equal_work_is_expected_to_cost_what_it_has_cost(took, pool):
    load = job(pool=pool, source=100, alpha="auto", fine_tune={}, exports=["onnx"])
    told = estimate(load, History((Past(load, took),))).seconds_by_phase
    assert all(math.isclose(told[phase], seconds, abs_tol=0.001) for phase, seconds in took.items())


def test_features_that_were_kept_are_no_measure_of_embedding():
    load = job()
    fresh, kept = ({Phase.EMBEDDING: seconds} for seconds in (60.0, 0.1))
    history = History((Past(load, kept), Past(load, fresh), Past(load, kept)))
    assert estimate(load, history).seconds_by_phase[Phase.EMBEDDING] == 60.0


def test_other_networks_and_other_kinds_are_no_measure():
    took = dict.fromkeys(Phase, 1e6)
    others = [
        job(backbone="resnet18"),
        job(input_size=64),
        job(precision="bfloat16"),
    ]
    for other in others:
        assert estimate(job(), History((Past(other, took),))) == estimate(job(), NONE)
    selection = load_of("selections", SelectionCreate(target="a").settings(), Sizes(pool=5000))
    told = estimate(job(), History((Past(selection, took),))).seconds_by_phase
    rough = estimate(job(), NONE).seconds_by_phase
    assert told[Phase.EMBEDDING] > rough[Phase.EMBEDDING]
    assert told[Phase.SELECTING] == rough[Phase.SELECTING]


@given(sizes=st.lists(st.integers(10, 5000), min_size=2, max_size=6), more=st.integers(1, 5000))
def test_a_distance_costs_by_its_pairs(sizes, more):
    request = PairDistanceCreate(source="a", target="b").settings()
    small, large, longer = (
        load_of("distances", request, Sizes(each=tuple(each)))
        for each in (sizes, [*sizes[1:], sizes[0] + more], [*sizes, 10])
    )
    assert grows(small, large)
    assert grows(small, longer)


def test_every_backbone_of_the_catalogue_has_a_size():
    assert list(SIZES) == [entry.name for entry in CATALOGUE]
    for entry in CATALOGUE:
        seconds, memory = cost(job(backbone=entry.name))
        assert 1 < seconds < 1e6
        assert 1 << 28 < memory < 1 << 36
    assert cost(job(backbone="vit_h_14")) > cost(job(backbone="mobilenet_v3_small"))

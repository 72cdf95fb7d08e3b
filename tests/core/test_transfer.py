"""The method as a whole, on features that are made up."""

import pytest
import torch

from ot3l_core.data.samples import LabelledSamples
from ot3l_core.errors import Cancelled, InvalidSettingError, MissingClassError
from ot3l_core.finetune.backbones import load_backbone
from ot3l_core.finetune.training import TrainingSettings
from ot3l_core.names import ClassScore, FeatureScaling, LabelDistanceMethod, Phase, Strategy, Unit
from ot3l_core.progress import ignore_epoch, ignore_progress
from ot3l_core.selection import Selection, SelectionSettings
from ot3l_core.transfer import TransferSettings, run_transfer


@pytest.fixture(scope="module")
def backbone():
    return load_backbone("efficientnet_lite0", input_size=32)


def clusters(n_classes, per_class, *, seed, shift=0.0):
    """Classes around centres that do not depend on the seed."""
    centres = torch.randn(n_classes, 1280, generator=torch.Generator().manual_seed(n_classes)).abs()
    noise = torch.randn(n_classes * per_class, 1280, generator=torch.Generator().manual_seed(seed))
    labels = torch.arange(n_classes).repeat_interleave(per_class)
    return LabelledSamples(centres[labels] + 0.5 * noise + shift, labels, tuple(map(str, range(n_classes))))


SOURCE = clusters(4, 12, seed=1, shift=0.1)
POOL = clusters(3, 30, seed=2)
TEST = clusters(3, 10, seed=3)


def transfer(
    backbone,
    *,
    source=SOURCE,
    pool=POOL,
    test=TEST,
    seeds=(0, 1),
    enter=lambda _: ignore_progress,
    given=None,
    alphas=(),
    on_epoch=ignore_epoch,
    **selection,
):
    settings = TransferSettings(
        selection=SelectionSettings(**({"budget": 30} | selection)),
        training=TrainingSettings(hidden=16, epochs=5, learning_rate=3e-3),
        label_distance=LabelDistanceMethod.GAUSSIAN,
        scaling=FeatureScaling.UNIT,
        seeds=seeds,
        alphas=alphas,
    )
    return run_transfer(
        backbone,
        source=source,
        pool=pool,
        test=test,
        settings=settings,
        enter=enter,
        given=given,
        on_epoch=on_epoch,
    )


def weights(run):
    return torch.cat([tensor.flatten() for tensor in run.trained.head.state_dict().values()])


def test_what_can_be_learned_is_learned(backbone):
    result = transfer(backbone, strategy=Strategy.UNIFORM)
    assert all(run.evaluation.accuracy > 0.9 for run in result.runs)


def test_the_test_split_has_no_say_in_anything_but_the_evaluation(backbone):
    mislabelled = LabelledSamples(TEST.features.flip(0) * 2, (TEST.labels + 1) % 3, TEST.classes)
    for one, other in zip(transfer(backbone).runs, transfer(backbone, test=mislabelled).runs, strict=True):
        assert torch.equal(one.selection.indices, other.selection.indices)
        assert torch.equal(weights(one), weights(other))
        assert one.evaluation != other.evaluation


def test_the_same_again_is_the_same_to_the_bit(backbone):
    first, second = transfer(backbone), transfer(backbone)
    assert [torch.equal(weights(a), weights(b)) for a, b in zip(first.runs, second.runs, strict=True)] == [True, True]
    assert first.zero_shot == second.zero_shot
    assert not torch.equal(weights(first.runs[0]), weights(first.runs[1]))


def test_the_checkpoints_run_is_the_one_with_the_best_loss(backbone):
    result = transfer(backbone, seeds=(0, 1, 2))
    assert result.chosen.trained.best_loss == min(run.trained.best_loss for run in result.runs)


@pytest.mark.parametrize("unit", list(Unit))
@pytest.mark.parametrize("class_score", list(ClassScore))
def test_every_unit_and_score_selects_within_the_budget(backbone, unit, class_score):
    result = transfer(backbone, unit=unit, class_score=class_score, class_fraction=0.5, seeds=(0,))
    assert len(result.chosen.selection.indices) == 30
    assert result.measured.label_distances.shape == (4, 3)
    assert (result.measured.sample_scores is not None) == (unit is Unit.SAMPLE or class_score is ClassScore.PLAN)


def test_without_a_source_there_are_no_distances(backbone):
    result = transfer(backbone, source=None, strategy=Strategy.STRATIFIED)
    assert result.measured is None
    assert list(result.zero_shot) == ["zero_shot_conditional"]
    with pytest.raises(InvalidSettingError, match="class_scores"):
        transfer(backbone, source=None, strategy=Strategy.MIXED)


def test_a_class_without_samples_is_named(backbone):
    gap = POOL.take(torch.nonzero(POOL.labels != 1).flatten())
    with pytest.raises(MissingClassError, match="'1'"):
        transfer(backbone, pool=gap, strategy=Strategy.UNIFORM)


def test_what_was_chosen_before_is_trained_on_as_it_is(backbone):
    chosen = transfer(backbone, strategy=Strategy.MEDOIDS, seeds=(0,)).chosen
    gap = LabelledSamples(POOL.features, POOL.labels, (*POOL.classes, "never seen"))
    wider = LabelledSamples(TEST.features, TEST.labels, gap.classes)
    result = transfer(backbone, source=None, pool=gap, test=wider, given=chosen.selection)
    assert all(run.selection is chosen.selection for run in result.runs)
    assert (result.measured, result.sweep) == (None, None)
    assert not torch.equal(weights(result.runs[0]), weights(result.runs[1]))
    same = transfer(backbone, given=chosen.selection, seeds=(0,))
    assert torch.equal(weights(same.chosen), weights(chosen))


def test_a_strategy_that_covers_the_pool_reads_no_source(backbone):
    with_source, without = (transfer(backbone, source=source, strategy=Strategy.COVERAGE) for source in (SOURCE, None))
    for one, other in zip(with_source.runs, without.runs, strict=True):
        assert torch.equal(one.selection.indices, other.selection.indices)
        assert float(one.selection.shares.sum()) == pytest.approx(1.0)


def test_the_alpha_that_is_chosen_selects_as_if_it_had_been_given(backbone):
    pool = clusters(3, 130, seed=2)
    swept = transfer(backbone, pool=pool, budget=200, alphas=(0.0, 0.5, 1.0))
    assert [point.alpha for point in swept.sweep.points] == [0.0, 0.5, 1.0]
    given = transfer(backbone, pool=pool, budget=200, alpha=swept.sweep.chosen)
    assert given.sweep is None
    for one, other in zip(swept.runs, given.runs, strict=True):
        assert torch.equal(one.selection.indices, other.selection.indices)
        assert torch.equal(weights(one), weights(other))


def test_only_what_mixes_has_alphas_to_choose_among(backbone):
    with pytest.raises(InvalidSettingError, match="mixed") as caught:
        transfer(backbone, strategy=Strategy.UNIFORM, alphas=(0.0, 1.0))
    assert caught.value.field == "alpha"


def test_phases_come_in_order_and_each_can_stop_the_work(backbone):
    entered = []

    def enter(phase):
        entered.append(phase)
        return ignore_progress

    transfer(backbone, enter=enter)
    assert entered == [Phase.MEASURING, Phase.SELECTING, Phase.TRAINING, Phase.EVALUATING]
    entered.clear()
    transfer(backbone, pool=clusters(3, 130, seed=2), budget=200, alphas=(0.0, 1.0), enter=enter)
    measured = [Phase.MEASURING, Phase.SELECTING, Phase.SWEEPING]
    assert entered == [*measured, Phase.TRAINING, Phase.EVALUATING]
    entered.clear()
    every = Selection(torch.arange(len(POOL)), ("all",) * len(POOL), None, 0)
    transfer(backbone, source=None, given=every, enter=enter)
    assert entered == [Phase.TRAINING, Phase.EVALUATING]

    def stop(_share):
        raise Cancelled("stop")

    for last in (Phase.MEASURING, Phase.TRAINING):
        with pytest.raises(Cancelled):
            transfer(backbone, enter=lambda phase, last=last: stop if phase is last else ignore_progress)


@pytest.mark.parametrize("alphas", [(), (0.0, 1.0)])
def test_the_reports_of_a_seed_are_the_curves_of_its_result(backbone, alphas):
    entered, told = [], []

    def enter(phase):
        entered.append(phase)
        return ignore_progress

    def listen(report):
        assert report.phase is entered[-1]
        told.append(report)

    result = transfer(backbone, pool=clusters(3, 200, seed=2), budget=520, alphas=alphas, enter=enter, on_epoch=listen)
    trained = [report for report in told if report.phase is Phase.TRAINING]
    assert trained == [
        epoch.report(number, phase=Phase.TRAINING, seed=run.seed)
        for run in result.runs
        for number, epoch in enumerate(run.trained.history, 1)
    ]
    assert all(report.validation_loss is not None for report in trained)
    swept = [report for report in told if report.phase is Phase.SWEEPING]
    assert {report.alpha for report in swept} == set(alphas)
    assert [*swept, *trained] == told
    assert len({(report.phase, report.seed, report.alpha, report.epoch) for report in told}) == len(told)

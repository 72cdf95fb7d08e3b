"""Reports that open, show all that was measured, and are the same every time."""

import re

import pytest
from PIL import Image

from app.schemas.jobs import JobResult
from worker.report_figure import draw_report

CAPTION = "flowers: 90 samples by mixed, some_backbone at 64 px"


def spread(mean, seeds=3):
    return {"mean": mean, "std": 0.01, "interval": 0.02 if seeds > 1 else None, "values": [mean] * seeds}


def confusion(n_classes):
    """Everything right, but for every seventh pair of classes."""
    return [
        [60 if true == found else (true * found + found) % 7 // 6 * (1 + found % 8) for found in range(n_classes)]
        for true in range(n_classes)
    ]


def course(seed, n_epochs, *, held_out=True):
    losses = [2.3 * 0.8**epoch + 0.05 * seed for epoch in range(n_epochs)]
    validation = [loss + 0.01 * epoch for epoch, loss in enumerate(losses)] if held_out else []
    return {
        "seed": seed,
        "best_epoch": n_epochs - 2 if held_out else n_epochs,
        "train_loss": losses,
        "validation_loss": validation,
        "validation_accuracy": [0.7] * len(validation),
    }


def result(n_classes=4, *, tuned=False, swept=False, held_out=True, seeds=3, name="mixed"):
    bins = [{"count": 0, "confidence": None, "accuracy": None}] * 4
    bins += [{"count": 5 * place, "confidence": place / 15 + 0.03, "accuracy": place / 16} for place in range(4, 15)]
    phase = {
        "phase": name,
        **dict.fromkeys(("accuracy", "macro_f1", "calibration_error", "log_loss", "brier_loss"), spread(0.8, seeds)),
        "reliability": bins,
        "per_class_recall": [0.8] * n_classes,
        "confusion": confusion(n_classes),
    }
    points = [
        {"alpha": alpha, "validation_accuracy": spread(0.8 - abs(alpha - 0.25)), "test_accuracy": spread(0.7)}
        for alpha in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    trained = [course(seed, 20, held_out=held_out) for seed in range(seeds)]
    return JobResult.model_validate(
        {
            "classes": [f"class-{number}" for number in range(n_classes)],
            "phases": [phase],
            "alpha_sweep": {"points": points, "chosen": 0.25, "n_labels": 150} if swept else None,
            "selection": {"size": 90, "shortfall": 0, "per_class": [9] * n_classes},
            "training": [one | {"n_selected": 90, "n_epochs": 20} for one in trained],
            "tuning": [course(seed, 8) | {"blocks": 2, "n_epochs": 7} for seed in range(seeds)] if tuned else [],
            "checkpoint": {"seed": 0, "accuracy": 0.8, "n_correct": 80, "n_test": 100},
            "class_distances": [],
            "n_pool": 500,
            "n_test": 100,
            "n_source": 0,
        }
    )


def draw(folder, described):
    folder.mkdir(exist_ok=True)
    paths = [folder / "report.png", folder / "report.svg"]
    draw_report(paths, described, caption=CAPTION)
    return paths


def texts(svg):
    """Matplotlib writes each text as a comment before its outlines; runs of hyphens are set apart."""
    return [text.replace("- ", "-") for text in re.findall(r"<!-- (.*?) -->", svg.read_text(), re.DOTALL)]


def test_every_class_is_named_and_every_count_is_there(tmp_path):
    described = result(4)
    found = texts(draw(tmp_path, described)[1])
    assert [text for text in found if text.startswith("class-")] == described.classes * 2
    counts = [str(count) for row in described.phases[-1].confusion for count in row if count]
    assert all(found.count(count) >= counts.count(count) for count in counts)
    assert CAPTION in found
    assert (
        "accuracy 80.0% ± 2.0% (95% interval of the mean over 3 seeds), macro F1 0.800, calibration error 0.800"
        in found
    )


@pytest.mark.parametrize(("tuned", "swept"), [(False, False), (True, False), (False, True), (True, True)])
def test_there_is_a_panel_for_all_that_was_done(tmp_path, tuned, swept):
    found = texts(draw(tmp_path, result(tuned=tuned, swept=swept))[1])
    assert {"Reliability (bars: share of the samples)", "Training of the head"} <= set(found)
    assert ("Extended fine-tuning" in found) == tuned
    assert ("Choice of alpha, with 95% intervals" in found) == swept


def test_one_seed_without_validation_has_neither_interval_nor_validation_curve(tmp_path):
    found = texts(draw(tmp_path, result(held_out=False, seeds=1))[1])
    assert "validation" not in found
    assert "accuracy 80.0%, macro F1 0.800, calibration error 0.800" in found


@pytest.mark.parametrize("n_classes", [2, 100, 101])
def test_names_stand_clear_of_each_other_as_far_as_there_are_any(tmp_path, n_classes):
    png, svg = draw(tmp_path, result(n_classes))
    named = [text for text in texts(svg) if text.startswith("class-")]
    assert len(named) == (2 * n_classes if n_classes <= 100 else 0)
    with Image.open(png) as picture:
        picture.load()
        assert max(picture.size) < 3500


def test_equal_results_make_equal_bytes(tmp_path):
    first, again = (draw(tmp_path / name, result(tuned=True, swept=True)) for name in ("first", "again"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    other = draw(tmp_path / "other", result(tuned=True, swept=True, name="uniform"))
    assert all(one.read_bytes() != another.read_bytes() for one, another in zip(first, other, strict=True))

"""Results as people read them."""

from typing import TYPE_CHECKING

from app.cli.output import out, percent, print_facts, print_table

if TYPE_CHECKING:
    from app.schemas.datasets import DatasetRead
    from app.schemas.distances import MatrixResult, PairResult
    from app.schemas.jobs import JobRead, JobResult
    from app.schemas.selections import SelectionRead
    from app.schemas.work import Preview


def show_dataset(dataset: "DatasetRead") -> None:
    """One dataset, and its classes."""
    found = dataset.result
    print_facts(
        {
            "name": dataset.name,
            "id": dataset.id,
            "format": dataset.format.value,
            "state": dataset.state.value,
            "error": dataset.error.message if dataset.error else None,
            "to select from": found.n_pool if found else None,
            "to test on": found.n_test if found else None,
            "tags": dataset.tags or None,
            "digest": dataset.digest,
            "created": dataset.created_at,
        }
    )
    if found and found.classes:
        out().print()
        rows = [(one.name, one.pool, one.test) for one in found.classes]
        print_table(("class", "pool", "test"), rows, right=("pool", "test"))


def show_distance(result: "PairResult | MatrixResult") -> None:
    """What was measured between two datasets, or between several."""
    from app.schemas.distances import MatrixResult

    if isinstance(result, MatrixResult):
        _show_matrix(result)
    else:
        _show_pair(result)


def _show_pair(result: "PairResult") -> None:
    """The distance of a pair, and its classes from the farthest."""
    whole = result.dataset_distance
    print_facts(
        {
            "distance": f"{whole.value:.4f}",
            "certified": f"between {whole.lower:.4f} and {whole.upper:.4f} (gap {whole.gap_percent:.2f}%)",
            "samples": f"{result.n_source} and {result.n_target}",
        }
    )
    out().print()
    ranked = sorted(result.classes, key=lambda one: -one.score)
    print_table(
        ("class", "score", "nearest source class", "distance"),
        [(one.name, f"{one.score:.4f}", one.nearest_source, f"{one.nearest_distance:.4f}") for one in ranked],
        right=("score", "distance"),
    )


def _show_matrix(result: "MatrixResult") -> None:
    """All distances between several datasets, and the recommended source of each."""
    rows = [(name, *(f"{value:.3f}" for value in row)) for name, row in zip(result.datasets, result.upper, strict=True)]
    print_table(("", *result.datasets), rows, right=result.datasets)
    out().print()
    print_table(
        ("dataset", "nearest", "distance", "proven"),
        [(one.name, one.nearest, f"{one.distance:.3f}", "yes" if one.settled else "no") for one in result.nearest],
        right=("distance",),
    )


def show_results(result: "JobResult") -> None:
    """One row for each way of classifying the test split, in percent."""
    rows = [
        (
            phase.phase,
            percent(phase.accuracy.mean),
            percent(phase.accuracy.interval),
            percent(phase.macro_f1.mean),
            percent(phase.calibration_error.mean),
            len(phase.accuracy.values),
        )
        for phase in result.phases
    ]
    headings = ("phase", "accuracy %", "95% ±", "macro F1 %", "ECE %", "seeds")
    print_table(headings, rows, right=headings[1:])
    kept = result.checkpoint
    out().print(
        f"\ncheckpoint: {kept.n_correct} of {kept.n_test} correct ({percent(kept.accuracy, 2)}%, seed {kept.seed}), "
        f"trained on {result.selection.size} of {result.n_pool} samples",
        soft_wrap=True,
    )


def show_job(job: "JobRead") -> None:
    """One job, and its results."""
    print_facts(
        {
            "id": job.id,
            "name": job.name,
            "state": job.state.value,
            "phase": f"{job.phase.value} ({percent(job.progress, 0)}%)" if job.phase and not job.finished_at else None,
            "error": f"{job.error.message} ({job.error.code})" if job.error else None,
            "target": job.target,
            "source": job.source,
            "strategy": job.strategy.value,
            "alpha": job.alpha if job.strategy.needs_scores else None,
            "budget": job.request.get("budget"),
            "backbone": job.request.get("backbone"),
            "tags": job.tags or None,
            "created": job.created_at,
            "finished": job.finished_at,
            "seconds": f"{sum(job.timings.values()):.1f}" if job.timings else None,
            "files": [file.name for file in job.artifacts] or None,
        }
    )
    if job.result:
        out().print()
        show_results(job.result)


def show_selection(selection: "SelectionRead") -> None:
    """What was chosen, in numbers."""
    result = selection.result
    if result is None:
        return
    print_facts(
        {
            "id": selection.id,
            "chosen": f"{result.size} of {result.n_pool}",
            "shortfall": result.shortfall or None,
            "distance to the pool": result.quantisation_error,
        }
    )
    if result.groups:
        out().print()
        rows = [(one.name, one.pool, one.chosen) for one in result.groups]
        print_table(("class", "pool", "chosen"), rows, right=("pool", "chosen"))


def show_preview(preview: "Preview") -> None:
    """What a request would cost."""
    cost = preview.estimate
    phases = [(phase.value, f"{seconds:.1f}") for phase, seconds in cost.seconds_by_phase.items() if seconds]
    print_facts(
        {
            "seconds": f"about {cost.seconds:.0f}",
            "memory": f"about {cost.memory_bytes / 2**20:.0f} MiB",
            "basis": cost.basis,
            "would be answered by": preview.would_reuse,
        }
    )
    out().print()
    print_table(("phase", "seconds"), phases, right=("seconds",))

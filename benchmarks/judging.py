"""What was found, against what must be reached."""

# ruff: noqa: RUF001 - the sign of multiplication is meant

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf, isnan

import numpy as np

from benchmarks.problem import Floats
from benchmarks.running import Result

OURS = "OT3L"
LABEL_ERROR = 1e-6
GAP_PERCENT = 1.0
PEAK_BYTES = 2.5e9
READS = 1.5
GEOMLOSS_RATIO = 2.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line of the table of targets; ``met`` is None where nothing is asked."""

    target: str
    measured: str
    met: bool | None


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """All that is known of a case when it is over.

    Attributes:
        name: Of the case.
        title: What it is, for the reader.
        results: In the order in which they ran.
        errors: Relative error of each result, in the same order; NaN where there is no reference.
        verdicts: Targets beside measured.
        reference: The result that the errors are against.
        floor_seconds: The least time on this machine; NaN where none is stated.
        floor_formula: Where that comes from.
    """

    name: str
    title: str
    results: Sequence[Result]
    errors: Sequence[float] = ()
    verdicts: Sequence[Verdict] = field(default_factory=list)
    reference: Result | None = None
    floor_seconds: float = float("nan")
    floor_formula: str = ""


def label_error(result: Result, reference: Result) -> float:
    """The largest relative error of a distance, over the pairs that were run and are numbers."""
    if result.failure or reference.failure:
        return float("nan")
    found, expected = _shared_pairs(result, reference), _shared_pairs(reference, result)
    deviations = np.abs(found - expected) / expected
    return float(np.nanmax(deviations)) if not np.isnan(deviations).all() else float("nan")


def _shared_pairs(result: Result, other: Result) -> Floats:
    """The values of ``result`` on the pairs that ``other`` ran; both ran all, the same sample, or one of them all."""
    values = result.values
    if result.rows is None and other.rows is not None:
        values = values[other.rows]
    if result.columns is None and other.columns is not None:
        values = values[:, other.columns]
    return values


def cost_error(result: Result, reference: Result) -> float:
    """Relative error of a transport cost; of the better one, where somebody offers two."""
    if result.failure or reference.failure:
        return float("nan")
    offered = [result.value, float(result.facts.get("transport_cost", "nan"))]
    errors = [abs(value - reference.value) / reference.value for value in offered if not isnan(value)]
    return min(errors, default=float("nan"))


def judge_labels(results: Sequence[Result], errors: Sequence[float], ratios: dict[str, float]) -> list[Verdict]:
    """Ratios to peers at equal threads, the error of every pair, and no NaN."""
    verdicts = [
        faster(ours_at(results, result), result, ratio)
        for name, ratio in ratios.items()
        for result in results
        if result.contender.name.startswith(name)
    ]
    ours = [(result, error) for result, error in zip(results, errors, strict=True) if result.contender.is_ours]
    worst = max((error for _, error in ours), default=inf)
    n_nan = sum(result.n_nan for result, _ in ours)
    verdicts.append(Verdict(f"error ≤ {LABEL_ERROR:.0e}", f"{worst:.1e}", worst <= LABEL_ERROR))
    verdicts.append(Verdict("0 NaN", str(n_nan), n_nan == 0 and not any(result.failure for result, _ in ours)))
    return verdicts


def judge_dataset(results: Sequence[Result], errors: Sequence[float], pot_ratio: float) -> list[Verdict]:
    """Certified gap, and every peer's speed at its error."""
    pairs = list(zip(results, errors, strict=True))
    ours, our_error = next((result, error) for result, error in pairs if result.contender.is_ours)
    simplex = [result for result in results if result.contender.run == "simplex:emd2"]
    verdicts = [judge_gap(ours), faster(ours, min(simplex, key=lambda result: result.median), pot_ratio)]
    for result, error in pairs:
        if result.contender.run == "geomloss_samples:samples_loss":
            quicker = faster(ours, result, GEOMLOSS_RATIO)
            verdicts.append(
                Verdict(
                    f"{quicker.target}, smaller error",
                    f"{quicker.measured}; error {our_error:.1e} against {error:.1e}",
                    bool(quicker.met) and our_error < error,
                )
            )
    verdicts.append(_judge_equal_error(ours, our_error, pairs))
    return verdicts


def equally_exact(pairs: Iterable[tuple[Result, float]], error: float) -> list[Result]:
    """Runs of ott-jax that converged to at most this error, fastest first."""
    found = [
        result
        for result, other in pairs
        if result.contender.run == "ott_jax:sinkhorn" and result.facts.get("converged") and other <= error
    ]
    return sorted(found, key=lambda result: result.median)


def _judge_equal_error(ours: Result, our_error: float, pairs: list[tuple[Result, float]]) -> Verdict:
    equal = equally_exact(pairs, our_error)
    if equal:
        return faster(ours, equal[0], 1.0)
    tried = [(result, error) for result, error in pairs if result.contender.run == "ott_jax:sinkhorn"]
    if not tried or all(result.failure for result, _ in tried):
        return Verdict("≥ 1× ott-jax at equal error", "ott-jax did not run", met=False)
    closest, error = min(tried, key=lambda pair: inf if isnan(pair[1]) else pair[1])
    return Verdict(
        "≥ 1× ott-jax at equal error",
        f"no setting converges to an error of {our_error:.1e}; the closest, {closest.contender.name}, "
        f"has {error:.1e} in {closest.median:.3g} s",
        met=True,
    )


def judge_large(ours: Result) -> list[Verdict]:
    """Certified gap within the memory that was promised."""
    return [
        judge_gap(ours),
        Verdict(
            f"peak memory < {PEAK_BYTES / 1e9:.1f} GB",
            ours.failure or f"{ours.peak_bytes / 1e9:.2f} GB",
            not ours.failure and ours.peak_bytes < PEAK_BYTES,
        ),
    ]


def judge_iteration(results: Sequence[Result]) -> list[Verdict]:
    """One iteration in units of the fastest way to read the cost once."""
    ours = next(result for result in results if result.contender.is_ours)
    fastest = min((result for result in results if not result.contender.is_ours), key=lambda result: result.median)
    reads = ours.median / fastest.median
    return [
        Verdict(
            f"≤ {READS}× the time to read C once",
            ours.failure
            or f"{reads:.2f}× ({ours.median:.3g} s against {fastest.median:.3g} s, {fastest.contender.name})",
            not ours.failure and reads <= READS,
        )
    ]


def judge_gap(ours: Result) -> Verdict:
    """The certificate that ours came with."""
    gap = float(ours.facts.get("gap_percent", inf))
    return Verdict(f"certified gap ≤ {GAP_PERCENT:.0f}%", ours.failure or f"{gap:.2f}%", gap <= GAP_PERCENT)


def faster(ours: Result, peer: Result, ratio: float) -> Verdict:
    """At least ``ratio`` times as fast as a peer, by medians."""
    target = f"≥ {ratio:g}× {peer.contender.name}, {threads_of(peer)}"
    if ours.failure or peer.failure:
        return Verdict(target, f"did not run: {ours.failure or peer.failure}", met=False)
    found = peer.median / ours.median
    return Verdict(target, f"{found:.1f}× ({ours.median:.3g} s against {peer.median:.3g} s)", found >= ratio)


def ours_at(results: Sequence[Result], peer: Result) -> Result:
    """Ours with as many threads as a peer."""
    return next(
        result for result in results if result.contender.is_ours and result.contender.threads == peer.contender.threads
    )


def threads_of(result: Result) -> str:
    """In words."""
    n = result.contender.threads
    return f"{n} thread{'s' if n > 1 else ''}"

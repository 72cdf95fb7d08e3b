"""What must be reached, and whether it was."""

# ruff: noqa: RUF001 - the sign of multiplication is meant

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from benchmarks.api.load import Load
from benchmarks.judging import Verdict

READ_SHARE = 0.7
WRITE_SHARE = 0.4
GROWTH = 1.5
DOWNLOAD_SHARE = 0.7
STREAM_BYTES = 150_000
MORE_BYTES = 20_000
EVENT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Measured:
    """All that is known of a case when it is over.

    Attributes:
        name: Of the case.
        title: What it is, for the reader.
        verdicts: Targets beside measured.
        headings: Of the table.
        rows: Of the table.
        notes: What else was seen, a sentence each.
        raw: Every round.
    """

    name: str
    title: str
    verdicts: Sequence[Verdict]
    headings: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    notes: Sequence[str] = ()
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Told:
    """How long it took until all streams had an event, and the memory of the API afterwards.

    Attributes:
        n_told: How many streams had it.
        seconds: Until the last of them had.
        bytes: Held then.
    """

    n_told: int
    seconds: float
    bytes: int


@dataclass(frozen=True, slots=True)
class Streams:
    """What became of many streams.

    Attributes:
        count: How many were asked for.
        before: Bytes that the API held before.
        told: Each event in turn.
        n_errors: Streams that were refused, or ended before their work had.
    """

    count: int
    before: int
    told: Sequence[Told]
    n_errors: int


def shares(ours: Sequence[Load], peers: Sequence[Load]) -> list[float]:
    """Of the peer's rate, round by round."""
    return [one.rate / other.rate for one, other in zip(ours, peers, strict=True)]


def judge_rate(what: str, least: float, ours: Sequence[Load], peers: Sequence[Load], peer: str) -> Verdict:
    """At least so much of the peer's rate, by the median of the rounds."""
    found = shares(ours, peers)
    share = median(found)
    return Verdict(f"{what} ≥ {least:g} of {peer}", f"{share:.2f} ({_range(found)})", share >= least)


def judge_growth(medians: Mapping[str, tuple[float, float]]) -> list[Verdict]:
    """Seconds at an empty and at a full table, by what was asked."""
    verdicts = []
    for question, (empty, full) in medians.items():
        ratio = full / empty
        measured = f"{ratio:.2f}× ({1e3 * full:.1f} ms against {1e3 * empty:.1f} ms)"
        verdicts.append(Verdict(f"{question} ≤ {GROWTH:g}× an empty table", measured, ratio <= GROWTH))
    return verdicts


def judge_streams(found: Streams) -> list[Verdict]:
    """Everybody is told, soon, in bounded memory."""
    first, last = found.told[0], found.told[-1]
    slowest = max(told.seconds for told in found.told)
    fewest = min(told.n_told for told in found.told)
    each, more = (first.bytes - found.before) / found.count, (last.bytes - first.bytes) / found.count
    return [
        Verdict(f"all {found.count} streams are told", f"{fewest} at least", fewest == found.count),
        Verdict(f"within {EVENT_SECONDS:g} s", f"{slowest:.1f} s at most", slowest <= EVENT_SECONDS),
        Verdict(f"memory ≤ {STREAM_BYTES / 1e3:.0f} kB a stream", f"{each / 1e3:.0f} kB", each <= STREAM_BYTES),
        Verdict(
            f"≤ {MORE_BYTES / 1e3:.0f} kB more after {len(found.told) - 1} further events",
            f"{more / 1e3:.0f} kB",
            more <= MORE_BYTES,
        ),
    ]


def judge_errors(n_errors: int, n_requests: int) -> Verdict:
    """Nothing may fail; and nothing at all is no success."""
    return Verdict("0 errors", f"{n_errors} of {n_requests:,}", n_errors == 0 and n_requests > 0)


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.2f} to {max(values):.2f}"

"""What is going to happen: every fault and every request of a run, drawn from its seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np


class ShapeName(StrEnum):
    """What the service stands on."""

    EMBEDDED = "embedded"
    PRODUCTION = "production"


class Fault(StrEnum):
    """What is done to the service."""

    WORKER_KILLED = "kill -9 of a worker's parent"
    CHILD_KILLED = "kill -9 of a worker's pool child"
    API_KILLED = "kill -9 of an API process"
    BROKER_KILLED = "kill -9 of the broker, data kept"
    BROKER_LOST = "kill -9 of the broker, data lost"
    POSTGRES_KILLED = "kill -9 of PostgreSQL"
    STORE_DOWN = "S3 down"
    STORE_SLOW = "S3 slow"
    DISK_FULL = "disk full on a worker"
    LINK_CUT = "network between workers and broker cut"
    LINK_SILENT = "network between workers and broker silent"
    CLOCK_JUMP = "clock jumps past every lease"
    DUPLICATES = "messages delivered twice"
    DISORDER = "messages delivered out of order"
    WORKER_DEPLOYED = "SIGTERM and replacement of a worker"
    API_DEPLOYED = "SIGTERM and replacement of the API"
    WORKER_FROZEN = "worker frozen for longer than its lease"


NEEDS_SERVERS = frozenset({Fault.POSTGRES_KILLED, Fault.STORE_DOWN, Fault.STORE_SLOW})
"""What can only be done to servers that the embedded shape does not have."""

# How often each is drawn beyond its share of the minimum: what costs the service little comes more often.
_WEIGHTS = {
    Fault.WORKER_KILLED: 5,
    Fault.CHILD_KILLED: 10,
    Fault.API_KILLED: 5,
    Fault.BROKER_KILLED: 4,
    Fault.BROKER_LOST: 4,
    Fault.POSTGRES_KILLED: 4,
    Fault.STORE_DOWN: 1,
    Fault.STORE_SLOW: 3,
    Fault.DISK_FULL: 3,
    Fault.LINK_CUT: 5,
    Fault.LINK_SILENT: 2,
    Fault.CLOCK_JUMP: 6,
    Fault.DUPLICATES: 6,
    Fault.DISORDER: 5,
    Fault.WORKER_DEPLOYED: 2,
    Fault.API_DEPLOYED: 1,
    Fault.WORKER_FROZEN: 1,
}
# Seconds that a lasting fault lasts.
_LASTS = {
    Fault.STORE_DOWN: (0.5, 4.0),
    Fault.STORE_SLOW: (2.0, 8.0),
    Fault.DISK_FULL: (2.0, 8.0),
    Fault.LINK_CUT: (0.2, 4.0),
    Fault.LINK_SILENT: (1.0, 8.0),
    Fault.WORKER_FROZEN: (1.0, 3.0),
}
_LEAST = 10
_CANCELLED, _TWICE, _UNHEARD, _DELETED = 0.1, 0.15, 0.1, 0.05
_CANCEL_SECONDS, _AGAIN_SECONDS = 6.0, 20.0
_BURST, _BURST_SECONDS = 8, 3.0


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault.

    Attributes:
        at: Seconds after the beginning.
        fault: What is done.
        whom: From 0 up to 1: which of those that it can be done to.
        seconds: How long it lasts, where it lasts.
    """

    at: float
    fault: Fault
    whom: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Submission:
    """One job that a client wants.

    Attributes:
        at: Seconds after the beginning.
        spec: The name of what it asks for.
        key: Its Idempotency-Key.
        unheard: Whether the client hangs up before the first answer.
        again_after: Seconds after its acceptance when it is posted once more, if at all.
        cancel_after: Seconds after its acceptance when it is cancelled, if at all.
        is_deleted: Whether the client deletes it once it has ended.
    """

    at: float
    spec: str
    key: str
    unheard: bool
    again_after: float | None
    cancel_after: float | None
    is_deleted: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """A run, in the order of time."""

    seed: int
    strikes: tuple[Strike, ...]
    submissions: tuple[Submission, ...]

    @property
    def actions(self) -> list[Strike | Submission]:
        """Everything together."""
        return sorted((*self.strikes, *self.submissions), key=lambda action: action.at)


def faults_of(shape: ShapeName, *, can_fill_disks: bool) -> tuple[Fault, ...]:
    """What can be done to a service of this shape, on this machine."""
    impossible = NEEDS_SERVERS if shape is ShapeName.EMBEDDED else frozenset()
    return tuple(
        fault for fault in Fault if fault not in impossible and (can_fill_disks or fault is not Fault.DISK_FULL)
    )


def draw_plan(
    seed: int, *, faults: Sequence[Fault], specs: Sequence[str], n_faults: int, n_jobs: int, gap_seconds: float
) -> Plan:
    """Draw a run.

    Args:
        seed: Equal seeds give equal plans.
        faults: Which may be drawn; each comes at least ten times, where there are enough of them for that.
        specs: What may be asked for; all about equally often.
        n_faults: How many in all.
        n_jobs: How many jobs.
        gap_seconds: Mean time from one fault to the next.
    """
    random = np.random.default_rng(seed)
    span = n_faults * gap_seconds
    return Plan(
        seed,
        tuple(_draw_strike(random, fault, span) for fault in _draw_kinds(random, faults, n_faults)),
        tuple(
            _draw_submission(random, f"chaos-{seed}-{number}", specs[number % len(specs)], at)
            for number, at in enumerate(_draw_arrivals(random, n_jobs, span))
        ),
    )


def _draw_kinds(random: np.random.Generator, faults: Sequence[Fault], count: int) -> list[Fault]:
    least = min(_LEAST, count // (2 * len(faults)))
    weights = np.array([_WEIGHTS[fault] for fault in faults], dtype=np.float64)
    drawn = random.choice(len(faults), size=count - least * len(faults), p=weights / weights.sum())
    return [*faults] * least + [faults[index] for index in drawn.tolist()]


def _draw_strike(random: np.random.Generator, fault: Fault, span: float) -> Strike:
    shortest, longest = _LASTS.get(fault, (0.0, 0.0))
    return Strike(
        at=float(random.uniform(0, span)),
        fault=fault,
        whom=float(random.random()),
        seconds=float(random.uniform(shortest, longest)),
    )


def _draw_arrivals(random: np.random.Generator, count: int, span: float) -> list[float]:
    """In bursts, so that there is a queue for faults to meet; between them, workers are idle for a while."""
    bursts = random.uniform(0, span, size=-(-count // _BURST))
    chosen: list[int] = random.integers(len(bursts), size=count).tolist() if count else []
    return [min(float(bursts[burst]) + float(random.uniform(0, _BURST_SECONDS)), span) for burst in chosen]


def _draw_submission(random: np.random.Generator, key: str, spec: str, at: float) -> Submission:
    is_cancelled, is_twice, is_unheard, is_deleted = (
        random.random(4) < (_CANCELLED, _TWICE, _UNHEARD, _DELETED)
    ).tolist()
    cancel_after, again_after = (random.random(2) * (_CANCEL_SECONDS, _AGAIN_SECONDS)).tolist()
    return Submission(
        at=at,
        spec=spec,
        key=key,
        unheard=is_unheard,
        again_after=again_after if is_twice else None,
        cancel_after=cancel_after if is_cancelled else None,
        is_deleted=is_deleted,
    )

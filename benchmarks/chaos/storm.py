"""Doing what was planned: faults and requests, each at its time, several at once."""

import json
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from benchmarks.chaos.clients import Wish, fulfil
from benchmarks.chaos.faults import Injected, inject
from benchmarks.chaos.field import Field
from benchmarks.chaos.plan import Plan, Strike, Submission

log = logging.getLogger(__name__)

_FAULTS_AT_ONCE = 6
_CLIENTS_AT_ONCE = 64
_TELL_EVERY = 25
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Storm:
    """What was done.

    Attributes:
        injected: The faults that were done.
        failures: The faults that could not be done, in words.
        wishes: What clients wanted, and were told.
        seconds: How long it all took.
    """

    injected: tuple[Injected, ...]
    failures: tuple[str, ...]
    wishes: tuple[Wish, ...]
    seconds: float


def blow(field: Field, plan: Plan, journal: Path) -> Storm:
    """Do everything that was planned; its times are kept unless too much is going on at once.

    Args:
        field: The service.
        plan: What to do.
        journal: A file for a line about each fault, as soon as it is over.
    """
    began = time.monotonic()
    wishes = {submission: Wish(submission) for submission in plan.submissions}
    stop = threading.Event()
    struck: list[Future[Injected | str]] = []
    asked: list[Future[None]] = []
    with (
        journal.open("w", buffering=1) as lines,
        ThreadPoolExecutor(_FAULTS_AT_ONCE, "fault") as faults,
        ThreadPoolExecutor(_CLIENTS_AT_ONCE, "client") as clients,
    ):
        try:
            for action in _in_time(plan.actions, struck):
                if isinstance(action, Strike):
                    struck.append(faults.submit(_strike, field, action, began, lines))
                else:
                    asked.append(clients.submit(fulfil, field.service.url, wishes[action], stop))
            results = [future.result() for future in struck]
            for answered in asked:
                answered.result()
        except BaseException:
            stop.set()
            for pool in (faults, clients):
                pool.shutdown(wait=False, cancel_futures=True)
            raise
    return Storm(
        tuple(result for result in results if isinstance(result, Injected)),
        tuple(result for result in results if isinstance(result, str)),
        tuple(wishes.values()),
        time.monotonic() - began,
    )


def _in_time(
    actions: Sequence[Strike | Submission], struck: Sequence[Future[Injected | str]]
) -> Iterator[Strike | Submission]:
    """Each action at its time. While as many faults as may overlap go on, all that is still to come is put off."""
    started = began = time.monotonic()
    n_strikes = sum(isinstance(action, Strike) for action in actions)
    for action in actions:
        time.sleep(max(began + action.at - time.monotonic(), 0.0))
        while sum(not future.done() for future in struck) >= _FAULTS_AT_ONCE:
            time.sleep(_LOOK_SECONDS)
        began = max(began, time.monotonic() - action.at)
        yield action
        if isinstance(action, Strike) and len(struck) % _TELL_EVERY == 0:
            log.info("%4.0f s: %d of %d faults", time.monotonic() - started, len(struck), n_strikes)


def _strike(field: Field, strike: Strike, began: float, lines: IO[str]) -> Injected | str:
    started = time.monotonic() - began
    try:
        result: Injected | str = inject(field, strike)
    except Exception as error:
        log.exception("%s could not be done", strike.fault)
        result = f"{strike.fault}: {error!r}"
    what = result if isinstance(result, str) else result.what
    told = {**asdict(strike), "from": round(started, 2), "to": round(time.monotonic() - began, 2), "what": what}
    lines.write(json.dumps(told) + "\n")
    return result

"""Many event streams at once: who is told, how soon, and what it costs to hold them."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from urllib.parse import urlsplit
from uuid import UUID

import psutil

from app.serve import allow_many_files
from app.states import EventKind, WorkState
from app.store.events import News
from app.store.records import JobRecord
from app.store.sessions import Database
from app.store.work import Claim, claim, finish, renew
from benchmarks.api.filling import add_waiting
from benchmarks.api.goals import Measured, Streams, Told, judge_errors, judge_streams
from benchmarks.api.stage import Stage, api

HEADINGS = ("event", "streams told", "seconds", "API MB")
_HOUR = 3600.0
_PATIENCE = 60.0
_OPENED_TOGETHER = 100


@dataclass(slots=True)
class Listener:
    """One client, on a job of its own.

    Attributes:
        job: Whose events it follows.
        n_events: How many have come.
        ended: Whether the stream ended as it should.
    """

    job: UUID
    n_events: int = 0
    ended: bool = False

    async def listen(self, url: str) -> None:
        """Follow to the end; where it is refused nothing comes."""
        address = urlsplit(url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(f"GET /jobs/{self.job}/events HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
        while line := await reader.readline():
            self.n_events += line.startswith(b"id:")
            if line == b"0\r\n":
                self.ended = True
                break
        writer.close()


@dataclass(frozen=True, slots=True)
class _Crowd:
    """All of them, and the process that they listen to."""

    listeners: Sequence[Listener]
    api: psutil.Process
    told: list[Told] = field(default_factory=list)

    async def have_heard(self, n_events: int, listeners: Sequence[Listener]) -> int:
        """Wait until these have so many events, or patience is over; how many have."""
        deadline = time.monotonic() + _PATIENCE
        while (n_told := sum(one.n_events >= n_events for one in listeners)) < len(listeners):
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(0.02)
        return n_told

    async def hear(self, n_events: int, tell: Callable[[], None]) -> None:
        """Tell everybody something, and note what came of it."""
        await asyncio.to_thread(tell)
        began = time.monotonic()
        n_told = await self.have_heard(n_events, self.listeners)
        self.told.append(Told(n_told, time.monotonic() - began, self.api.memory_info().rss))


def measure_streams(stage: Stage) -> Measured:
    """Open them all, then let every job run, report again and again, and succeed."""
    allow_many_files()
    count, n_events = stage.sizes.n_streams, stage.sizes.n_events
    part, url = api("streams")
    with stage.database() as database, stage.beside(part) as children:
        with database.writing() as session:
            jobs = add_waiting(session, stage.pair, count)
            session.commit()
        crowd = _Crowd([Listener(job) for job in jobs], psutil.Process(children["streams"].pid))
        before = asyncio.run(_listen(crowd, url, database, n_events))
    found = Streams(count, before, crowd.told, sum(not one.ended for one in crowd.listeners))
    occasions = ("running", *["progress"] * n_events, "succeeded")
    return Measured(
        "streams",
        f"{count:,} event streams open at one API process, each on a job of its own",
        [*judge_streams(found), judge_errors(found.n_errors, count)],
        HEADINGS,
        [
            (occasion, str(told.n_told), f"{told.seconds:.2f}", f"{told.bytes / 1e6:.0f}")
            for occasion, told in zip(occasions, crowd.told, strict=True)
        ],
        [
            f"{before / 1e6:.0f} MB before the others came",
            "all jobs move in one transaction each time, and seconds count from its commit to the last client",
        ],
        asdict(found),
    )


async def _listen(crowd: _Crowd, url: str, database: Database, n_events: int) -> int:
    # Whatever is loaded by the first of a kind is not what one more costs.
    first, rest = crowd.listeners[:1], crowd.listeners[1:]
    tasks = [asyncio.create_task(one.listen(url)) for one in first]
    await crowd.have_heard(1, first)
    before: int = crowd.api.memory_info().rss
    for start in range(0, len(rest), _OPENED_TOGETHER):
        together = rest[start : start + _OPENED_TOGETHER]
        tasks += [asyncio.create_task(one.listen(url)) for one in together]
        await crowd.have_heard(1, together)
    claims: list[Claim] = []
    jobs = [one.job for one in crowd.listeners]
    await crowd.hear(2, partial(_claim, database, jobs, claims))
    for number in range(n_events):
        await crowd.hear(3 + number, partial(_report, database, claims, number))
    await crowd.hear(3 + n_events, partial(_succeed, database, claims))
    await asyncio.wait(tasks, timeout=_PATIENCE)
    return before


def _claim(database: Database, jobs: Sequence[UUID], claims: list[Claim]) -> None:
    with database.writing() as session:
        made = [claim(session, JobRecord, job, lease_seconds=_HOUR) for job in jobs]
        session.commit()
    claims += [one for one in made if one is not None]


def _report(database: Database, claims: Sequence[Claim], number: int) -> None:
    news = [News(EventKind.PROGRESS, {"phase": "training", "progress": number / 100})]
    with database.writing() as session:
        for held in claims:
            renew(session, held, lease_seconds=_HOUR, phase="training", progress=number / 100, news=news)
        session.commit()


def _succeed(database: Database, claims: Sequence[Claim]) -> None:
    with database.writing() as session:
        for held in claims:
            finish(session, held, WorkState.SUCCEEDED)
        session.commit()

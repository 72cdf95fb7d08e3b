"""How each fault is done. Every function returns once it is over, and says what it did."""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar
from uuid import UUID

import psutil
from kombu.exceptions import OperationalError
from sqlalchemy import select, update

from app.local.children import Child
from app.queue import QUEUE_NAME, TaskName, build_celery
from app.settings import Settings
from app.states import WorkState
from app.store.clock import now_plus
from app.store.records import JobRecord
from benchmarks.chaos.field import LEASE_SECONDS, WORKERS, Field, NotInjectedError, await_true
from benchmarks.chaos.plan import Fault, Strike

Choice = TypeVar("Choice")

_HOUR = 3600.0
_MOST_MESSAGES = 20


@dataclass(frozen=True, slots=True)
class Departure:
    """How a part that was told to leave did.

    Attributes:
        part: Its name.
        seconds: How long it took.
        allowed: How long it may take.
        left: Whether it ended by itself within that time.
    """

    part: str
    seconds: float
    allowed: float
    left: bool


@dataclass(frozen=True, slots=True)
class Injected:
    """A fault that was done.

    Attributes:
        fault: Which.
        what: What exactly, in words.
        departure: Of a part that was told to leave.
    """

    fault: Fault
    what: str
    departure: Departure | None = None


def inject(field: Field, strike: Strike) -> Injected:
    """Do what was drawn.

    Raises:
        NotInjectedError: If it could not be done.
    """
    done = _INJECTORS[strike.fault](field, strike)
    return Injected(strike.fault, done) if isinstance(done, str) else Injected(strike.fault, str(done), done)


# --- Processes that are killed


def _kill_worker(field: Field, strike: Strike) -> str:
    with _hold(field, _chosen(WORKERS, strike)) as child:
        return _killed_and_back(field, child)


def _kill_child(field: Field, strike: Strike) -> str:
    with _hold(field, _chosen(WORKERS, strike)) as child:
        killed = _kill_one(lambda: _working(child.pid), strike, f"{child.part.name} has a pool child")
        return f"{child.part.name}: pool child {killed}"


def _kill_api(field: Field, strike: Strike) -> str:
    with _hold(field, "api") as child:
        parent = child.pid
        killed = _kill_one(lambda: [psutil.Process(parent), *_working(parent)], strike, "the API runs")
        if killed == parent:
            _await_back(field, child, parent)
        return f"api: process {killed} of {parent}"


def _kill_broker(field: Field, _: Strike) -> str:
    with _hold(field, "broker") as child:
        return _killed_and_back(field, child)


def _lose_broker(field: Field, _: Strike) -> str:
    with _hold(field, "broker") as child:
        child.end()
        kept = sum(path.stat().st_size for path in field.broker_data.rglob("*") if path.is_file())
        shutil.rmtree(field.broker_data)
        field.broker_data.mkdir()
        child.start()
        child.await_ready()
        return f"broker: {kept} bytes of data gone"


def _kill_postgres(field: Field, _: Strike) -> str:
    with _hold(field, "postgres") as child:
        return _killed_and_back(field, child)


# --- What lies between them


def _stop_store(field: Field, strike: Strike) -> str:
    with _hold(field, "s3") as child:
        child.end()
        time.sleep(strike.seconds)
        child.start()
        child.await_ready()
        return f"s3: killed, started again after {strike.seconds:.1f} s"


def _slow_store(field: Field, strike: Strike) -> str:
    if field.store_link is None:
        raise NotInjectedError("there is no S3 store")
    delay = 0.05 + strike.whom
    with _hold_name(field, "store link"):
        field.store_link.slow(delay)
        time.sleep(strike.seconds)
        field.store_link.restore()
    return f"s3: every piece {delay:.2f} s late, for {strike.seconds:.1f} s"


def _cut_link(field: Field, strike: Strike) -> str:
    with _hold_name(field, "link"):
        field.link.cut()
        time.sleep(strike.seconds)
        field.link.restore()
    return f"workers and broker: connections reset and refused for {strike.seconds:.1f} s"


def _silence_link(field: Field, strike: Strike) -> str:
    with _hold_name(field, "link"):
        field.link.silence()
        time.sleep(strike.seconds)
        field.link.restore()
    return f"workers and broker: nothing passes for {strike.seconds:.1f} s"


def _fill_disk(field: Field, strike: Strike) -> str:
    if field.disk is None:
        raise NotInjectedError("this machine does not let us mount a small disk")
    ballast = field.disk / "ballast"
    with _hold_name(field, "disk"):
        try:
            size = _fill(ballast)
            time.sleep(strike.seconds)
        finally:
            ballast.unlink(missing_ok=True)
    return f"{WORKERS[-1]}: disk full for {strike.seconds:.1f} s, by {size >> 20} MiB"


def _fill(ballast: Path) -> int:
    """Write until there is no byte left; how many there were."""
    block, written = bytes(1 << 20), 0
    with ballast.open("wb", buffering=0) as file:
        while block:
            try:
                written += file.write(block)
            except OSError:
                block = block[: len(block) // 2]
    return written


# --- Time and messages


def _jump(field: Field, _: Strike) -> str:
    def jump() -> int:
        with field.database.writing() as session:
            found = session.execute(
                update(JobRecord)
                .where(JobRecord.state == WorkState.RUNNING)
                .values(lease_expires_at=now_plus(-_HOUR))
                .returning(JobRecord.id)
            ).all()
            session.commit()
        return len(found)

    return f"{field.ask_database(jump)} leases ran out an hour ago"


def _duplicate(field: Field, _: Strike) -> str:
    queued = field.ask_broker(lambda: _double_queued(field))
    sent = _send_again(field)
    return f"{queued} waiting messages doubled, {sent} sent again"


def _disorder(field: Field, strike: Strike) -> str:
    _send_again(field)
    moved = field.ask_broker(lambda: _shuffle(field, strike.whom))
    return f"{moved} messages in another order, some of them of work that has long begun or ended"


def _double_queued(field: Field) -> int:
    count = 0
    for name in queue_names(field):
        waiting = field.broker.lrange(name, 0, _MOST_MESSAGES)
        if waiting:
            field.broker.rpush(name, *waiting)
            count += len(waiting)
    return count


def _shuffle(field: Field, share: float) -> int:
    """Turn every queue round, from some place on."""
    count = 0
    for name in queue_names(field):
        with field.broker.pipeline(transaction=True) as pipe:
            pipe.lrange(name, 0, -1)
            pipe.delete(name)
            waiting: list[bytes] = pipe.execute()[0]
        place = int(share * len(waiting))
        disordered = waiting[place:][::-1] + waiting[:place]
        if disordered:
            field.broker.rpush(name, *disordered)
        count += len(disordered)
    return count


def queue_names(field: Field) -> list[str]:
    """The broker's lists of waiting messages: one, or one for each priority."""
    names = [name.decode() if isinstance(name, bytes) else name for name in field.broker.keys(f"{QUEUE_NAME}*")]
    return [name for name in names if field.broker.type(name) == b"list"]


def _send_again(field: Field) -> int:
    """Send messages of the latest jobs once more, the newest first."""
    ids = field.ask_database(lambda: _latest(field))
    celery = build_celery(Settings(broker_url=field.service.variables["OT3L_BROKER_URL"]))

    def send() -> int:
        for job_id in ids:
            celery.send_task(TaskName.TRANSFER, args=[str(job_id)], retry=False)
        return len(ids)

    try:
        return _insist_on_sending(send)
    finally:
        celery.close()


def deliver_unacknowledged(field: Field) -> int:
    """Do now what a broker's clients do after an hour: deliver again what was never acknowledged."""
    held = [json.loads(entry) for entry in field.broker.hvals("unacked")]
    field.broker.delete("unacked", "unacked_index")
    for message, _, queue in held:
        field.broker.rpush(queue, json.dumps(message))
    return len(held)


def _insist_on_sending(send: Callable[[], int]) -> int:
    for _ in range(100):
        with suppress(OperationalError, OSError):
            return send()
        time.sleep(0.2)
    raise NotInjectedError("the broker takes no messages")


def _latest(field: Field) -> Sequence[UUID]:
    with field.database.reading() as session:
        return session.scalars(select(JobRecord.id).order_by(JobRecord.id.desc()).limit(_MOST_MESSAGES // 2)).all()


# --- Parts that are told to leave, or frozen


def _deploy_worker(field: Field, strike: Strike) -> Departure:
    return _deploy(field, _chosen(WORKERS, strike))


def _deploy_api(field: Field, _: Strike) -> Departure:
    return _deploy(field, "api")


def _deploy(field: Field, name: str) -> Departure:
    with _hold(field, name) as child:
        pid, began, allowed = child.pid, time.monotonic(), child.part.patience
        child.ask_to_stop()
        child.await_end(began + allowed)
        seconds, left = time.monotonic() - began, not psutil.pid_exists(pid)
        child.end()
        child.start()
    return Departure(name, round(seconds, 2), allowed, left)


def _freeze(field: Field, strike: Strike) -> str:
    with _hold(field, _chosen(WORKERS, strike)) as child:
        parent = psutil.Process(child.pid)
        frozen = [parent, *parent.children(recursive=True)]
        for process in frozen:
            _signal(process, signal.SIGSTOP)
        seconds = LEASE_SECONDS + strike.seconds
        time.sleep(seconds)
        for process in frozen:
            _signal(process, signal.SIGCONT)
        return f"{child.part.name}: {len(frozen)} processes stood still for {seconds:.1f} s"


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)


# --- What they share


@contextmanager
def _hold_name(field: Field, name: str) -> Iterator[None]:
    with field.locks[name]:
        yield


@contextmanager
def _hold(field: Field, name: str) -> Iterator[Child]:
    with field.locks[name]:
        child = field.child(name)
        await_true(lambda: field.is_running(name), f"{name} runs")
        yield child


def _killed_and_back(field: Field, child: Child) -> str:
    pid = child.pid
    os.kill(pid, signal.SIGKILL)
    _await_back(field, child, pid)
    return f"{child.part.name}: process {pid}"


def _await_back(field: Field, child: Child, killed: int) -> None:
    name = child.part.name
    await_true(lambda: field.is_running(name) and child.pid != killed, f"{name} was started again")
    child.await_ready()


def _kill_one(find: Callable[[], list[psutil.Process]], strike: Strike, what: str) -> int:
    """Kill one of some processes, as soon as there are any; its id."""
    killed: list[int] = []

    def kill() -> bool:
        with suppress(psutil.Error):
            processes = find()
            if not processes:
                return False
            process = _chosen(processes, strike)
            process.kill()
            killed.append(process.pid)
        return bool(killed)

    await_true(kill, what)
    return killed[0]


def _working(parent: int) -> list[psutil.Process]:
    """The children that work: not those by which Python's multiprocessing keeps its books, nor dead ones."""
    found = []
    for child in psutil.Process(parent).children():
        with suppress(psutil.Error):
            if not any("resource_tracker" in part for part in child.cmdline()):
                found.append(child)
    return found


def _chosen(choices: Sequence[Choice], strike: Strike) -> Choice:
    return choices[int(strike.whom * len(choices))]


_INJECTORS: Final[dict[Fault, Callable[[Field, Strike], str | Departure]]] = {
    Fault.WORKER_KILLED: _kill_worker,
    Fault.CHILD_KILLED: _kill_child,
    Fault.API_KILLED: _kill_api,
    Fault.BROKER_KILLED: _kill_broker,
    Fault.BROKER_LOST: _lose_broker,
    Fault.POSTGRES_KILLED: _kill_postgres,
    Fault.STORE_DOWN: _stop_store,
    Fault.STORE_SLOW: _slow_store,
    Fault.DISK_FULL: _fill_disk,
    Fault.LINK_CUT: _cut_link,
    Fault.LINK_SILENT: _silence_link,
    Fault.CLOCK_JUMP: _jump,
    Fault.DUPLICATES: _duplicate,
    Fault.DISORDER: _disorder,
    Fault.WORKER_DEPLOYED: _deploy_worker,
    Fault.API_DEPLOYED: _deploy_api,
    Fault.WORKER_FROZEN: _freeze,
}

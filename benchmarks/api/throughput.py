"""Rates side by side: everybody in turn, several rounds."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median

import psutil

from app.local.children import Child
from app.principals import LOCAL, Scope
from app.services.keys import create_key
from benchmarks.api.filling import SOURCE, TARGET, add_succeeded, add_waiting
from benchmarks.api.goals import READ_SHARE, WRITE_SHARE, Measured, judge_errors, judge_rate
from benchmarks.api.load import GENERATOR, Ask, Load, put_load
from benchmarks.api.setting import Sizes
from benchmarks.api.stage import Stage, api, bare
from benchmarks.judging import Verdict

PEER = "the bare route"
HEADINGS = ("who", "a second", "p50 ms", "p99 ms", "CPU ms", "errors")
_WARM_UP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Contender:
    """Somebody who answers.

    Attributes:
        ask: What is asked of them.
        child: Their process.
    """

    ask: Ask
    child: Child


@dataclass(frozen=True, slots=True)
class Turn:
    """One contender under load.

    Attributes:
        load: What came of it.
        cpu: Seconds of its process, all threads together, for one request.
    """

    load: Load
    cpu: float


def take_turns(contenders: Mapping[str, Contender], sizes: Sizes, *, connections: int) -> dict[str, list[Turn]]:
    """Put each under load in turn, so that what else the machine does hits all of them alike."""
    for contender in contenders.values():
        put_load(contender.ask, connections=connections, seconds=_WARM_UP_SECONDS)
    turns: dict[str, list[Turn]] = {who: [] for who in contenders}
    for _ in range(sizes.rounds):
        for who, contender in contenders.items():
            process = psutil.Process(contender.child.pid)
            before = _cpu_seconds(process)
            load = put_load(contender.ask, connections=connections, seconds=sizes.seconds)
            turns[who].append(Turn(load, (_cpu_seconds(process) - before) / max(load.requests, 1)))
    return turns


def measure_requests(stage: Stage) -> list[Measured]:
    """Polling a job and posting one, with and without keys, beside the bare routes."""
    with stage.database() as database, database.writing() as session:
        [waiting], done = add_waiting(session, stage.pair), add_succeeded(session, stage.pair)
        issued = create_key(session, LOCAL.owner, name="bench", scopes=set(Scope), expires_in=None)
        session.commit()
    keyed, keyed_url = api("keys", auth="on")
    peer, peer_url = bare()
    key = {"Authorization": f"Bearer {issued.secret}"}
    with stage.beside(keyed, peer) as children:
        servers = {
            PEER: _Server(f"{peer_url}/rows", children["bare"]),
            "OT3L": _Server(f"{stage.service.url}/jobs", stage.service.children["api"]),
            "OT3L with keys": _Server(f"{keyed_url}/jobs", children["keys"], key),
        }
        job = json.dumps({"target": TARGET, "source": SOURCE})
        return [
            _compare(stage, servers, exchange)
            for exchange in (
                _Exchange("read", "a job that waits: GET /jobs/{id}", READ_SHARE, path=f"/{waiting}"),
                _Exchange("read results", "a job with its results: GET /jobs/{id}", READ_SHARE, path=f"/{done}"),
                _Exchange("write", "a job accepted and durable: POST /jobs", WRITE_SHARE, body=job),
            )
        ]


@dataclass(frozen=True, slots=True)
class _Server:
    """Where somebody's rows are, and whose process answers."""

    url: str
    child: Child
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Exchange:
    """What is asked of everybody: a row by its id, or to add one; and the least share of the peer's rate."""

    name: str
    title: str
    least: float
    path: str = ""
    body: str = ""


def _compare(stage: Stage, servers: Mapping[str, _Server], exchange: _Exchange) -> Measured:
    method = "POST" if exchange.body else "GET"
    contenders = {
        who: Contender(Ask(server.url + exchange.path, method, exchange.body, server.headers), server.child)
        for who, server in servers.items()
    }
    turns = take_turns(contenders, stage.sizes, connections=stage.sizes.connections)
    peers = [turn.load for turn in turns[PEER]]
    verdicts = [
        judge_rate(who, exchange.least, [turn.load for turn in taken], peers, PEER)
        for who, taken in turns.items()
        if who != PEER
    ]
    return Measured(
        exchange.name,
        exchange.title,
        [*verdicts, errors_of(turns)],
        HEADINGS,
        rows_of(turns),
        [f"{stage.sizes.connections} connections, one API process, load from {GENERATOR}"],
        raw_of(turns),
    )


def errors_of(turns: Mapping[str, Sequence[Turn]]) -> Verdict:
    """Of everybody together: a peer that fails is no peer."""
    loads = [turn.load for taken in turns.values() for turn in taken]
    return judge_errors(sum(load.errors for load in loads), sum(load.requests for load in loads))


def rows_of(turns: Mapping[str, Sequence[Turn]]) -> list[tuple[str, ...]]:
    """Medians of the rounds, as a table."""
    return [(who, *_cells(taken)) for who, taken in turns.items()]


def raw_of(turns: Mapping[str, Sequence[Turn]]) -> dict[str, list[dict[str, float]]]:
    """Every round, for a file."""
    return {who: [asdict(turn.load) | {"cpu": turn.cpu} for turn in taken] for who, taken in turns.items()}


def _cells(turns: Sequence[Turn]) -> tuple[str, ...]:
    rates = [turn.load.rate for turn in turns]
    waits = [[turn.load.p50 for turn in turns], [turn.load.p99 for turn in turns], [turn.cpu for turn in turns]]
    return (
        f"{median(rates):.0f} ({min(rates):.0f} to {max(rates):.0f})",
        *(f"{1e3 * median(values):.2f}" for values in waits),
        str(sum(turn.load.errors for turn in turns)),
    )


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)

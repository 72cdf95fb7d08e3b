"""Whether lists and polls notice how many jobs there are."""

import http.client
import json
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from statistics import median, quantiles
from typing import Any
from urllib.parse import urlencode, urlsplit

from benchmarks.api.filling import ABSENT_TAG, TAGS, TARGET, fill
from benchmarks.api.goals import Measured, judge_errors, judge_growth
from benchmarks.api.stage import Stage, api

HEADINGS = ("question", "empty ms", "p99 ms", "full ms", "p99 ms", "bytes")
N_EMPTY = 102
"""Jobs in the table that counts as empty: as many as the two pages show that are asked of both."""
_WARM_UP = 10
_QUESTIONS = {
    "newest": "/jobs",
    "one state": "/jobs?state=queued",
    "several states": "/jobs?state=succeeded&state=failed",
    "last finished": "/jobs?sort=-finished",
    "target": f"/jobs?target={TARGET}",
    **{f"tag of every {every:,}th": f"/jobs?tag={tag}" for tag, every in TAGS.items()},
    "tag of none": f"/jobs?tag={ABSENT_TAG}",
}


@dataclass(slots=True)
class Asker:
    """One client, whose connection stays open.

    Attributes:
        url: Of the service.
        n_errors: Answers that were refusals.
    """

    url: str
    n_errors: int = 0
    _client: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self._client = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=60)

    def ask(self, path: str) -> tuple[float, bytes]:
        """Seconds until the whole answer was there, and the answer."""
        try:
            return self._ask(path)
        except ConnectionError:
            # Kept waiting for the other one for longer than a connection is kept open.
            self._client.close()
            return self._ask(path)

    def _ask(self, path: str) -> tuple[float, bytes]:
        began = time.perf_counter()
        self._client.request("GET", path)
        reply = self._client.getresponse()
        body = reply.read()
        seconds = time.perf_counter() - began
        self.n_errors += reply.status != HTTPStatus.OK
        return seconds, body

    def paths(self) -> dict[str, str]:
        """Everything that is asked, by the question."""
        first: dict[str, Any] = json.loads(self.ask("/jobs")[1])
        past: dict[str, Any] = json.loads(self.ask("/jobs?state=succeeded")[1])
        page = {"second page": f"/jobs?{urlencode({'cursor': first['next']})}"}
        return _QUESTIONS | page | {"poll": f"/jobs/{past['items'][-1]['id']}"}

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()


def measure_growth(stage: Stage) -> Measured:
    """The same questions to a full table and to one with two pages, in turn, by one client."""
    sizes = stage.sizes
    urls = {"few": stage.new_database("few"), "full": stage.new_database("many")}
    with stage.database(urls["few"]) as database:
        fill(database, n_past=N_EMPTY // 2, n_queued=N_EMPTY // 2, tags=dict.fromkeys(TAGS, 1))
    began = time.perf_counter()
    with stage.database(urls["full"]) as database:
        fill(database, n_past=sizes.n_past, n_queued=sizes.n_queued, tags=TAGS)
    filled = time.perf_counter() - began
    # What waits there has no messages, and the sweep would send them all.
    served = {name: api(name, database_url=url, requeue_seconds="1e6") for name, url in urls.items()}
    with stage.beside(*(part for part, _ in served.values())):
        few, full = (Asker(url) for _, url in served.values())
        asked = {question: (path, full.paths()[question]) for question, path in few.paths().items()}
        taken = {question: _ask_in_turn((few, full), paths, sizes.n_polls) for question, paths in asked.items()}
        for asker in (few, full):
            asker.close()
    medians = {question: (median(one.seconds), median(two.seconds)) for question, (one, two) in taken.items()}
    n_requests = 2 * len(taken) * (sizes.n_polls + _WARM_UP)
    return Measured(
        "growth",
        f"{sizes.n_queued:,} queued and {sizes.n_past:,} past jobs of one owner beside {N_EMPTY} jobs",
        [*judge_growth(medians), judge_errors(few.n_errors + full.n_errors, n_requests)],
        HEADINGS,
        [(question, *_cells(one), *_cells(two), str(two.n_bytes)) for question, (one, two) in taken.items()],
        [
            f"each question {sizes.n_polls} times to both in turn, by one client; pages of 50",
            f"the full table was filled in {filled:.0f} s",
        ],
        {question: {"empty": one.seconds, "full": two.seconds} for question, (one, two) in taken.items()},
    )


@dataclass(frozen=True, slots=True)
class _Taken:
    """Seconds of every answer to a question, and the size of the last."""

    seconds: list[float]
    n_bytes: int


def _ask_in_turn(askers: tuple[Asker, Asker], paths: tuple[str, str], count: int) -> tuple[_Taken, _Taken]:
    few, full = askers
    answers = [(few.ask(paths[0]), full.ask(paths[1])) for _ in range(_WARM_UP + count)][_WARM_UP:]
    seconds = [[pair[place][0] for pair in answers] for place in (0, 1)]
    return _Taken(seconds[0], len(answers[-1][0][1])), _Taken(seconds[1], len(answers[-1][1][1]))


def _cells(taken: _Taken) -> tuple[str, str]:
    return f"{1e3 * median(taken.seconds):.2f}", f"{1e3 * quantiles(taken.seconds, n=100)[98]:.2f}"

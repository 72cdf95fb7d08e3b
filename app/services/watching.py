"""What is under way, as Prometheus asks for it."""

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from app.errors import UnavailableError
from app.queue import JobQueue
from app.store.counts import count_under_way
from app.store.sessions import DATABASE_DOWN, Database


@dataclass(frozen=True, slots=True, eq=False)
class UnderWay(Collector):
    """Read when it is asked for. A part that does not answer is told as such and hides nothing of the others."""

    database: Database
    queue: JobQueue

    def collect(self) -> Iterator[Metric]:
        """The families, each with what could be read."""
        up = GaugeMetricFamily("ot3l_up", "Whether a part that the service needs answers.", labels=("part",))
        work = GaugeMetricFamily("ot3l_work", "Work that waits or runs.", labels=("kind", "state"))
        messages = GaugeMetricFamily("ot3l_queue_messages", "Messages that wait in the broker.")
        try:
            with self.database.reading() as session:
                for (kind, state), count in count_under_way(session).items():
                    work.add_metric((kind, state), count)
            up.add_metric(("database",), 1)
        except DATABASE_DOWN:
            up.add_metric(("database",), 0)
        try:
            messages.add_metric((), self.queue.depth())
            up.add_metric(("broker",), 1)
        except UnavailableError:
            up.add_metric(("broker",), 0)
        yield from (up, work, messages)

"""How much is measured."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of everything.

    Attributes:
        rounds: How often those that are compared take turns.
        seconds: How long each of them is under load.
        connections: Over how many connections at once.
        n_past: Jobs that have ended.
        n_queued: Jobs that wait.
        n_polls: Requests of each kind to each of two tables.
        n_streams: Event streams that are open together.
        n_events: Events that each of them is told, one after another.
        file_bytes: Of the file that is downloaded: a checkpoint of EfficientNet-lite0.
        n_downloads: At once.
    """

    rounds: int = 7
    seconds: float = 5.0
    connections: int = 16
    n_past: int = 1_000_000
    n_queued: int = 10_000
    n_polls: int = 400
    n_streams: int = 1_000
    n_events: int = 20
    file_bytes: int = 19 << 20
    n_downloads: int = 4


QUICK = Sizes(rounds=2, seconds=1.0, n_past=100_000, n_queued=1_000, n_polls=40, n_streams=100, n_events=3)

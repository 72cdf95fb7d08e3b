"""How long work reports on itself and is told to stop."""

from collections.abc import Callable
from typing import TypeAlias

OnProgress: TypeAlias = Callable[[float], None]
"""Called with the finished share of the work, in [0, 1]; may raise ``Cancelled`` to stop it."""


def ignore_progress(share: float) -> None:
    """Report to nobody."""


def portion(on_progress: OnProgress, start: float, stop: float) -> OnProgress:
    """Progress of a part that takes the work from share ``start`` to share ``stop``."""
    return lambda share: on_progress(start + (stop - start) * share)

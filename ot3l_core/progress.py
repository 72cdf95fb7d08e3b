"""How long work reports on itself and is told to stop."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Self, TypeAlias

from ot3l_core.names import Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochReport:
    """A finished epoch as it is told while training goes on, with the numbers of the result's curves.

    Phase, seed, alpha and epoch name it within its job. Work that is done again, or goes on after a loss, tells the
    same again.

    Attributes:
        phase: What is going on: ``sweeping``, ``training`` or ``tuning``.
        seed: Whose training.
        alpha: The mixing coefficient that is tried; None but for ``sweeping``.
        epoch: Its number, from 1; 0 for where ``tuning`` starts from.
        train_loss: Mean over the pass, while the weights move.
        validation_loss: On the held-out samples afterwards; None where nothing was held out.
        validation_accuracy: Likewise.
    """

    phase: Phase
    seed: int
    alpha: float | None
    epoch: int
    train_loss: float
    validation_loss: float | None
    validation_accuracy: float | None


OnProgress: TypeAlias = Callable[[float], None]
"""Called with the finished share of the work, in [0, 1]; may raise ``Cancelled`` to stop it."""

OnEpoch: TypeAlias = Callable[[EpochReport], None]
"""Called once for every finished epoch, in order; may raise ``Cancelled`` to stop the work."""


def ignore_progress(share: float) -> None:
    """Report to nobody."""


def ignore_epoch(report: EpochReport) -> None:
    """Report to nobody."""


def portion(on_progress: OnProgress, start: float, stop: float) -> OnProgress:
    """Progress of a part that takes the work from share ``start`` to share ``stop``."""
    return lambda share: on_progress(start + (stop - start) * share)


@dataclass(frozen=True, slots=True)
class Listener:
    """Who is told how training goes; either callback may raise to stop it.

    Attributes:
        on_progress: Told the finished share.
        on_epoch: Told of every finished epoch.
    """

    on_progress: OnProgress = ignore_progress
    on_epoch: OnEpoch = ignore_epoch

    def portion(self, start: float, stop: float) -> Self:
        """The listener to a part that takes the work from share ``start`` to share ``stop``."""
        return replace(self, on_progress=portion(self.on_progress, start, stop))


NOBODY: Final = Listener()

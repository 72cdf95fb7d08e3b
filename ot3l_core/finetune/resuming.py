"""Everything that training needs to go on after it was killed, in one file.

It holds tensors ``weights.*``, ``best.*`` where they are others, ``moments.*`` and ``scale.mean``, and describes them.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ot3l_core.errors import CheckpointError
from ot3l_core.finetune.described import read_described, write_described
from ot3l_core.finetune.heads import Scale
from ot3l_core.finetune.training import Epoch


@dataclass(frozen=True, slots=True, eq=False)
class TuningState:
    """Where training stands between two epochs.

    Attributes:
        weights: Every tensor that training moves, by its name.
        best: The same after the best epoch.
        moments: What the optimizer remembers of each parameter, by ``<parameter>/<quantity>``.
        scale: Of the features that the head reads.
        start: Before the first epoch.
        history: One for each finished epoch.
    """

    weights: dict[str, Tensor]
    best: dict[str, Tensor]
    moments: dict[str, Tensor]
    scale: Scale
    start: Epoch
    history: tuple[Epoch, ...]

    @property
    def best_epoch(self) -> int:
        """The epoch, 0 for the start, with the lowest validation loss; the last where nothing was held out."""
        losses = [epoch.validation_loss for epoch in (self.start, *self.history)]
        held_out = [loss for loss in losses if loss is not None]
        return held_out.index(min(held_out)) if held_out else len(self.history)


def save_state(path: Path, state: TuningState, *, work: str) -> None:
    """Write a state to one file, wholly or not at all, in place of the one before it.

    Args:
        path: The file; its folder is there.
        state: What to keep.
        work: Digest of all that the state's future depends on.
    """
    tensors = {
        f"{group}.{name}": tensor
        for group, members in (
            ("weights", state.weights),
            ("best", {} if state.best is state.weights else state.best),
            ("moments", state.moments),
            ("scale", {"mean": state.scale.mean}),
        )
        for name, tensor in members.items()
    }
    described = {
        "work": work,
        "spread": state.scale.spread,
        "start": asdict(state.start),
        "history": [asdict(epoch) for epoch in state.history],
    }
    write_described(path, described, tensors)


def load_state(path: Path, *, work: str) -> TuningState | None:
    """What ``save_state`` wrote; None where there is no file, it is damaged, or it belongs to other work."""
    try:
        stored = read_described(path)
    except CheckpointError:
        return None
    described, tensors = stored.description, stored.tensors
    if described.get("work") != work:
        return None
    weights = _group(tensors, "weights.")
    return TuningState(
        weights=weights,
        best=_group(tensors, "best.") or weights,
        moments=_group(tensors, "moments."),
        scale=Scale(tensors["scale.mean"], described["spread"]),
        start=Epoch(**described["start"]),
        history=tuple(Epoch(**epoch) for epoch in described["history"]),
    )


def moments_of(optimizer: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """A copy of what an optimizer remembers, by ``<parameter>/<quantity>``."""
    return {
        f"{name}/{quantity}": value.detach().clone()
        for name, parameter in parameters.items()
        for quantity, value in optimizer.state[parameter].items()
    }


def recall_moments(
    optimizer: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter], moments: Mapping[str, Tensor]
) -> None:
    """Put back what ``moments_of`` copied, laid out in memory as the parameters are, so that the same bits follow."""
    for key, value in moments.items():
        name, _, quantity = key.rpartition("/")
        like = value if quantity == "step" else parameters[name]
        optimizer.state[parameters[name]][quantity] = torch.empty_like(like).copy_(value)


def _group(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}

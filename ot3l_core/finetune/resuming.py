"""Everything that training needs to go on after it was killed, in one file.

The file is safetensors: tensors ``weights.*``, ``best.*`` where they are others, ``moments.*`` and ``scale.mean``, and
a metadata entry ``ot3l-tuning``, a JSON object. Reading one runs no code.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from ot3l_core.finetune.heads import Scale
from ot3l_core.finetune.training import Epoch
from ot3l_core.finetune.weights import digest_of

_ENTRY: Final = "ot3l-tuning"


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
    from safetensors.torch import save_file  # noqa: PLC0415 - optional

    tensors = {
        f"{group}.{name}": tensor.detach().cpu().contiguous()
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
    metadata = {_ENTRY: json.dumps(described), "digest": digest_of(json.dumps(described), tensors)}
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        save_file(tensors, unfinished, metadata=metadata)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def load_state(path: Path, *, work: str) -> TuningState | None:
    """What ``save_state`` wrote; None where there is no file, it is damaged, or it belongs to other work."""
    from safetensors import SafetensorError, safe_open  # noqa: PLC0415 - optional

    try:
        with safe_open(path, framework="pt") as stored:
            entries = stored.metadata() or {}
            tensors: dict[str, Tensor] = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (OSError, SafetensorError):
        return None
    text = entries.get(_ENTRY, "{}")
    if entries.get("digest") != digest_of(text, tensors):
        return None
    described = json.loads(text)
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

"""A network as a sequence of blocks, so that its last ones can be trained and the others left alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import nn

from ot3l_core.errors import InvalidSettingError


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of a network's layers.

    Attributes:
        name: The part that it begins with, such as ``layer4.1``.
        parameters: Names in the network of all that it can learn.
        parts: Names in the network of the modules that compute it, in order.
    """

    name: str
    parameters: tuple[str, ...]
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    module: nn.Module | None
    parameters: tuple[str, ...]
    begins_block: bool


def list_blocks(network: nn.Module) -> tuple[Block, ...]:
    """The blocks of a network, in the order in which they are computed; each parameter belongs to exactly one.

    Sequences of modules are taken apart. So is whatever holds more than half of the weights: it is no block but a
    sequence of them (the encoder of a vision transformer). What is left are the blocks as the network's authors wrote
    them (residual blocks, dense layers of a DenseNet, inceptions, encoder layers) and single layers. Each that has a
    weight matrix begins a block; norms, activations and pooling belong to the block before them.

    Args:
        network: A backbone's layers, or a whole network, whose modules are registered in the order of their use, as
            those of torchvision and EfficientNet-lite are.
    """
    blocks: list[Block] = []
    pending = Block("", (), ())
    most = sum(parameter.numel() for parameter in network.parameters()) / 2
    for part in _parts(network, "", most):
        if part.begins_block:
            if pending.name:
                blocks.append(pending)
            # What comes before the first matrix belongs to the first block.
            pending = Block(part.name, *(((), ()) if pending.name else (pending.parameters, pending.parts)))
        parts = pending.parts if part.module is None else (*pending.parts, part.name)
        pending = Block(pending.name, pending.parameters + part.parameters, parts)
    return (*blocks, pending)


def last_blocks(network: nn.Module, n_blocks: int | None) -> tuple[Block, ...]:
    """The last blocks of a network; all of them for None.

    Raises:
        InvalidSettingError: If it has fewer.
    """
    blocks = list_blocks(network)
    if n_blocks is None:
        return blocks
    if not 1 <= n_blocks <= len(blocks):
        raise InvalidSettingError(
            f"this network has {len(blocks)} blocks, of which 1 to {len(blocks)} can be trained: got {n_blocks}",
            field="blocks",
        )
    return blocks[-n_blocks:]


def release(network: nn.Module, blocks: Sequence[Block]) -> None:
    """Let exactly these blocks learn; gradients are then neither computed nor kept for anything before them."""
    released = {name for block in blocks for name in block.parameters}
    for name, parameter in network.named_parameters():
        parameter.requires_grad = name in released


def _parts(module: nn.Module, prefix: str, most: float) -> Iterator[_Part]:
    own = tuple(prefix + name for name, _ in module.named_parameters(recurse=False))
    if own:
        yield _Part(prefix, None, own, begins_block=False)
    for name, child in module.named_children():
        if _is_sequence(child, most):
            yield from _parts(child, f"{prefix}{name}.", most)
        else:
            parameters = dict(child.named_parameters(f"{prefix}{name}"))
            begins = any(parameter.ndim > 1 for parameter in parameters.values())
            yield _Part(f"{prefix}{name}", child, tuple(parameters), begins)


def _is_sequence(module: nn.Module, most: float) -> bool:
    if isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict):
        return True
    n_weights = sum(parameter.numel() for parameter in module.parameters())
    return n_weights > most and any(True for child in module.children() for _ in child.parameters())

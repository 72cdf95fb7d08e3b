"""Files of pretrained weights: finding, fetching, reading and loading them."""

import re
import struct
from argparse import Namespace
from collections import OrderedDict
from hashlib import sha256
from pathlib import Path
from pickle import UnpicklingError
from typing import Final
from urllib.parse import urlsplit

import torch
from torch import Tensor, nn

from ot3l_core.errors import WeightsUnavailableError

_WRAPPERS: Final = ("state_dict", "model", "model_state_dict")
_AUXILIARY: Final = ("aux1.", "aux2.", "AuxLogits.")
# torchvision's DenseNet files keep names from before module names could hold no dots.
_OLD_DENSENET_NAME: Final = re.compile(r"(denselayer\d+\.(?:norm|conv))\.(\d\.)")

# What a damaged file makes of torch's reader, seen by damaging files.
_UNREADABLE = (
    OSError,
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    UnpicklingError,
    AssertionError,
    AttributeError,
    TypeError,
    OverflowError,
    MemoryError,
    struct.error,
)


def fetch_weights(url: str) -> Path:
    """The file of published weights in torch hub's checkpoints folder, downloaded when it is not there.

    Args:
        url: Where it is published; its name ends in the first digits of its SHA-256, as torch hub has it.

    Raises:
        WeightsUnavailableError: If it is not there and cannot be downloaded whole.
    """
    name = Path(urlsplit(url).path).name
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    if path.is_file():
        return path
    prefix = re.search(r"-([0-9a-f]+)\.", name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), prefix.group(1) if prefix else None, progress=False)
    except (OSError, RuntimeError) as error:
        raise WeightsUnavailableError(
            f"the weights file {name!r} could not be downloaded ({_reason(error)}): put it into torch hub's "
            "checkpoints folder ($TORCH_HOME/hub/checkpoints; TORCH_HOME is ~/.cache/torch unless set)",
            field="backbone",
        ) from error
    return path


def read_weights(path: Path, *, field: str = "backbone") -> dict[str, Tensor]:
    """Read a state dict without running any code that the file may hold.

    Args:
        path: A ``.safetensors`` file, or one that ``torch.save`` wrote: a state dict, or what training scripts keep
            beside one, such as the number of epochs, if it is under ``state_dict``, ``model`` or ``model_state_dict``.
        field: The setting to blame.

    Raises:
        WeightsUnavailableError: If the file is missing, damaged or holds anything but tensors.
    """
    try:
        saved = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
    except FileNotFoundError as error:
        raise WeightsUnavailableError(f"there is no weights file {path.name!r}", field=field) from error
    except _UNREADABLE as error:
        raise WeightsUnavailableError(
            f"the weights file {path.name!r} is damaged, or holds more than tensors and plain values: fetch it again, "
            "or save the state dict alone",
            field=field,
        ) from error
    state = _unwrap(saved)
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsUnavailableError(
            f"the weights file {path.name!r} must hold one state dict of tensors", field=field
        )
    return state


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError  # noqa: PLC0415 - optional
    from safetensors.torch import load_file  # noqa: PLC0415

    try:
        return load_file(path)
    except SafetensorError as error:
        raise UnpicklingError(error) from error


def _read_pickle(path: Path) -> object:
    # torchvision's own training script keeps its arguments, a plain record, beside the weights.
    with torch.serialization.safe_globals([Namespace]):
        saved: object = torch.load(path, map_location="cpu", weights_only=True)
    return saved


def _unwrap(saved: object) -> object:
    if not isinstance(saved, dict):
        return saved
    return next((saved[name] for name in _WRAPPERS if isinstance(saved.get(name), dict)), saved)


def strip_prefix(state: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Take away what wrappers such as ``DataParallel`` put before every name, and what they keep beside the network.

    Args:
        state: What ``read_weights`` gave.
        network: A network of the architecture that the weights should be of.

    Returns:
        The weights below the one prefix under which all of the network's names are found; ``state`` itself where there
        is no such prefix, or more than one.
    """
    own = list(network.state_dict())
    candidates = {name.removesuffix(own[0]) for name in state if name.endswith(f".{own[0]}")}
    prefixes = [prefix for prefix in candidates if all(prefix + name in state for name in own)]
    if len(prefixes) != 1:
        return state
    return {name.removeprefix(prefixes[0]): state[name] for name in state if name.startswith(prefixes[0])}


def load_weights(network: nn.Module, state: dict[str, Tensor], *, file_name: str, field: str = "backbone") -> None:
    """Put pretrained weights into a network; auxiliary classifiers, which only training uses, are left out.

    Args:
        network: A whole, uncut network.
        state: What ``read_weights`` gave.
        file_name: For the message.
        field: The setting to blame.

    Raises:
        WeightsUnavailableError: If the weights are another network's.
    """
    named = {
        _OLD_DENSENET_NAME.sub(r"\1\2", name): tensor
        for name, tensor in state.items()
        if not name.startswith(_AUXILIARY)
    }
    # torch keeps versions of layers beside their tensors; safetensors has none, and MNASNet insists on one.
    own = network.state_dict()._metadata  # type: ignore[attr-defined]  # noqa: SLF001
    versions = getattr(state, "_metadata", None) or own
    versioned = OrderedDict(named)
    versioned._metadata = versions  # type: ignore[attr-defined]  # noqa: SLF001
    try:
        network.load_state_dict(versioned)
    except (RuntimeError, ValueError) as error:
        raise WeightsUnavailableError(
            f"the weights in {file_name!r} are not those of this network: {_reason(error)}", field=field
        ) from error


def copy_weights(network: nn.Module, state: dict[str, Tensor]) -> None:
    """Put exactly these tensors into a network that has exactly these names and shapes.

    Raises:
        ValueError: If a name, shape or type differs; nothing has been copied then.
    """
    own: dict[str, Tensor] = network.state_dict()
    if differing := sorted(own.keys() ^ state.keys()):
        raise ValueError(f"{len(differing)} names differ, such as {differing[0]!r}")
    for name, tensor in own.items():
        if (tensor.shape, tensor.dtype) != (state[name].shape, state[name].dtype):
            raise ValueError(f"{name!r} must be {tensor.dtype} {tuple(tensor.shape)}")
    for name, tensor in own.items():
        tensor.copy_(state[name])


def digest_of(description: str, tensors: dict[str, Tensor]) -> str:
    """SHA-256 over a text and every tensor's name, type, shape and bytes, as 64 hexadecimal digits."""
    digest = sha256(description.encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"\0{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _reason(error: Exception) -> str:
    return str(error).strip().split("\n")[-1].strip() or type(error).__name__

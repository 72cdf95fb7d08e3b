"""Tensors in one file with a description of them, and a digest of both.

The file is safetensors with one metadata entry ``ot3l``, a JSON object. Reading one runs no code.
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from torch import Tensor

from ot3l_core.data.writing import written_beside
from ot3l_core.errors import CheckpointError
from ot3l_core.finetune.weights import digest_of

FORMAT_VERSION: Final = 1
_ENTRY: Final = "ot3l"


@dataclass(frozen=True, slots=True, eq=False)
class DescribedTensors:
    """What such a file holds.

    Attributes:
        description: A JSON object.
        tensors: By their names.
    """

    description: dict[str, Any]
    tensors: dict[str, Tensor]


def write_described(path: Path, description: Mapping[str, object], tensors: Mapping[str, Tensor]) -> None:
    """Write one file, wholly or not at all; equal arguments give equal bytes.

    Raises:
        CheckpointError: If the description is no JSON.
    """
    from safetensors.torch import save_file  # noqa: PLC0415 - optional

    laid_out = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    described = {"format_version": FORMAT_VERSION, **description}
    described["digest"] = digest_of(_to_json(described), laid_out)
    with written_beside(path) as unfinished:
        save_file(laid_out, unfinished, metadata={_ENTRY: _to_json(described)})


def is_described(path: Path) -> bool:
    """Whether a file is of this kind, be it altered or not."""
    from safetensors import SafetensorError, safe_open  # noqa: PLC0415 - optional

    try:
        with safe_open(path, framework="pt") as stored:
            return _ENTRY in (stored.metadata() or {})
    except (SafetensorError, OSError, ValueError):
        return False


def read_described(path: Path) -> DescribedTensors:
    """Read what ``write_described`` wrote.

    Raises:
        CheckpointError: If the file is missing, damaged, altered, of another version, or of another kind.
    """
    text, tensors = _read(path)
    try:
        description = json.loads(text)
        _require_unaltered(description, tensors, path.name)
    except (ValueError, TypeError, LookupError) as error:
        raise CheckpointError(f"{path.name!r} does not describe a network that can be rebuilt: {error}") from error
    return DescribedTensors(description, tensors)


def _read(path: Path) -> tuple[str, dict[str, Tensor]]:
    from safetensors import SafetensorError, safe_open  # noqa: PLC0415 - optional

    try:
        with safe_open(path, framework="pt") as stored:
            entries = stored.metadata() or {}
            if _ENTRY not in entries:
                raise CheckpointError(f"{path.name!r} holds tensors, but not the description of an ot3l checkpoint")
            return entries[_ENTRY], {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - no dict
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no file {path.name!r}") from error
    except (SafetensorError, OSError, ValueError, struct.error) as error:
        raise CheckpointError(f"{path.name!r} is no whole safetensors file: fetch it again") from error


def _require_unaltered(description: dict[str, Any], tensors: dict[str, Tensor], file_name: str) -> None:
    if description["format_version"] != FORMAT_VERSION:
        raise CheckpointError(
            f"{file_name!r} has checkpoint format {description['format_version']!r}, this package reads "
            f"{FORMAT_VERSION}: use the package that wrote it"
        )
    rest = {name: value for name, value in description.items() if name != "digest"}
    if description["digest"] != digest_of(_to_json(rest), tensors):
        raise CheckpointError(f"{file_name!r} was altered after it was written: fetch it again")


def _to_json(description: Mapping[str, object]) -> str:
    try:
        return json.dumps(description, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"metadata must be JSON with finite numbers: {error}") from error

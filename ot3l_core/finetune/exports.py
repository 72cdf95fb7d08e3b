"""Checkpoints as programs that run without this package, and without the library that has the backbone's layers.

Both formats take prepared pictures, float32 ``(b, 3, h, w)`` for any b, to calibrated probabilities ``(b, L)``. Both
carry a JSON object of the class names and the preprocessing: the program in its extra file ``ot3l.json``, ONNX in its
metadata entry ``ot3l``.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Final

import torch
from PIL import Image
from torch import Tensor, nn

from ot3l_core.data.writing import written_beside
from ot3l_core.errors import CoreError, ExportError, TooFewSamplesError
from ot3l_core.finetune.checkpoints import LoadedCheckpoint
from ot3l_core.finetune.preprocessing import prepare

TOLERANCE: Final = 1e-4
_BATCH: Final = 64


def export_program(path: Path, checkpoint: LoadedCheckpoint, pictures: Sequence[Image.Image]) -> float:
    """Write a ``torch.export`` program; ``torch.export.load(path).module()`` runs it with PyTorch alone.

    Args:
        path: Where to; written wholly or not at all, and equal checkpoints give equal bytes.
        checkpoint: What to write.
        pictures: To compare the file's probabilities with the checkpoint's on; at least one.

    Returns:
        The greatest difference found between two probabilities.

    Raises:
        ExportError: If the network cannot be exported, or the difference is above 1e-4.
        TooFewSamplesError: If there are no pictures.
    """
    batches = _prepare(checkpoint, pictures)
    with written_beside(path) as unfinished, _blamed("a torch.export program"):
        with unfinished.open("wb") as file:
            torch.export.save(_capture(checkpoint), file, extra_files={"ot3l.json": _describe(checkpoint)})
        with unfinished.open("rb") as file:
            program = torch.export.load(file).module()
        return _compare(program, checkpoint, batches)


def export_onnx(path: Path, checkpoint: LoadedCheckpoint, pictures: Sequence[Image.Image]) -> float:
    """Write ONNX, input ``pictures`` and output ``probabilities``, with the weights inside.

    Args:
        path: Where to; written wholly or not at all, and equal checkpoints give equal bytes.
        checkpoint: What to write; its weights must take less than 2 GiB, the most that one ONNX file holds.
        pictures: To compare the file's probabilities with the checkpoint's on, in ONNX Runtime; at least one.

    Returns:
        The greatest difference found between two probabilities.

    Raises:
        ExportError: If the network cannot be exported, or the difference is above 1e-4.
        TooFewSamplesError: If there are no pictures.
    """
    batches = _prepare(checkpoint, pictures)
    with written_beside(path) as unfinished, _blamed("ONNX"):
        from onnxruntime import InferenceSession  # noqa: PLC0415 - optional

        exported = torch.onnx.export(
            _capture(checkpoint),
            dynamo=True,
            dynamic_shapes=({0: "batch"},),
            input_names=["pictures"],
            output_names=["probabilities"],
            verbose=False,
        )
        if exported is None:
            raise ExportError("PyTorch gave no ONNX program")
        for node in exported.model.graph.all_nodes():
            node.metadata_props.clear()
        exported.model.metadata_props["ot3l"] = _describe(checkpoint)
        exported.save(unfinished, external_data=False)
        session = InferenceSession(unfinished, providers=["CPUExecutionProvider"])
        return _compare(
            lambda batch: torch.from_numpy(session.run(["probabilities"], {"pictures": batch.numpy()})[0]),
            checkpoint,
            batches,
        )


def _capture(checkpoint: LoadedCheckpoint) -> torch.export.ExportedProgram:
    """The whole network and its softmax as one graph, without the places in source files that its nodes came from."""
    network = nn.Sequential(deepcopy(checkpoint.network).cpu(), nn.Softmax(dim=1))
    network = network.to(memory_format=torch.contiguous_format).eval()
    side = checkpoint.preprocessing.input_size
    # A batch of 1 would be taken for a constant.
    program = torch.export.export(
        network, (torch.zeros(2, 3, side, side),), dynamic_shapes=({0: torch.export.Dim("batch")},)
    )
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    return program


def _describe(checkpoint: LoadedCheckpoint) -> str:
    described = {"classes": checkpoint.metadata.classes, "preprocessing": asdict(checkpoint.preprocessing)}
    return json.dumps(described, sort_keys=True)


def _prepare(checkpoint: LoadedCheckpoint, pictures: Sequence[Image.Image]) -> tuple[Tensor, ...]:
    if not pictures:
        raise TooFewSamplesError("an export is compared with its checkpoint on real pictures: give at least one")
    prepared = torch.stack([prepare(picture, checkpoint.preprocessing) for picture in pictures])
    # The first picture alone: a batch of 1 is what most users will have, and what exporters get wrong.
    return (prepared[:1], *torch.split(prepared[1:], _BATCH)) if len(prepared) > 1 else (prepared,)


@torch.no_grad()
def _compare(exported: Callable[[Tensor], Tensor], checkpoint: LoadedCheckpoint, batches: tuple[Tensor, ...]) -> float:
    found = torch.cat([exported(batch) for batch in batches])
    difference = float((found - torch.cat([checkpoint.probabilities(batch) for batch in batches]).cpu()).abs().max())
    if not difference <= TOLERANCE:
        raise ExportError(
            f"the exported network's probabilities differ by {difference:.1e} from the checkpoint's, more than "
            f"{TOLERANCE:.0e}: use the checkpoint itself"
        )
    return difference


@contextmanager
def _blamed(kind: str) -> Iterator[None]:
    try:
        yield
    except CoreError:
        raise
    except Exception as error:  # exporters raise whatever they meet
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise ExportError(f"this network cannot be written as {kind}: {reason}") from error

"""A checkpoint as a folder in the layout of the Hugging Face hub, packed into one zip.

``model.safetensors`` is the checkpoint itself, byte for byte, so that whatever reads one reads the other.
"""

import json
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from PIL import Image

from ot3l_core.data.writing import written_beside
from ot3l_core.finetune.described import read_described
from ot3l_core.finetune.preprocessing import Preprocessing

WEIGHTS: Final = "model.safetensors"
FIGURE: Final = "report.png"
SCRIPT: Final = "classify.py"
"""Names inside the folder, for the card to refer to."""

_LONG_AGO: Final = (1980, 1, 1, 0, 0, 0)
_REGULAR_FILE: Final = 0o100644 << 16
_UNIX: Final = 3


def export_hub(path: Path, *, checkpoint: Path, card: str, figure: Path) -> None:
    """Write the zip of a folder that can be put onto the hub as it is.

    Args:
        path: Where to; written wholly or not at all, and equal arguments give equal bytes.
        checkpoint: The file that ``save_checkpoint`` wrote.
        card: Markdown with YAML front matter; its names are those of this folder.
        figure: A PNG file of what was measured.

    Raises:
        CheckpointError: If the file is no checkpoint.
    """
    described = read_described(checkpoint).description
    texts = {
        "README.md": card,
        "config.json": _to_json(_config(described)),
        "preprocessor_config.json": _to_json(_preprocessor_config(described["preprocessing"])),
    }
    files = {WEIGHTS: checkpoint, FIGURE: figure, SCRIPT: Path(__file__).with_name(SCRIPT)}
    with written_beside(path) as unfinished, zipfile.ZipFile(unfinished, "w") as packed:
        for name, text in texts.items():
            packed.writestr(_entry(name), text)
        for name, file in files.items():
            with file.open("rb") as source, packed.open(_entry(name), "w", force_zip64=True) as sink:
                shutil.copyfileobj(source, sink)


def _entry(name: str) -> zipfile.ZipInfo:
    """Stored, for weights do not compress, and with nothing in it of the moment or the machine."""
    entry = zipfile.ZipInfo(name, _LONG_AGO)
    entry.create_system = _UNIX
    entry.external_attr = _REGULAR_FILE
    return entry


def _config(described: Mapping[str, Any]) -> dict[str, Any]:
    """What rebuilds the network, with the hub's own words where it has any."""
    classes: list[str] = described["classes"]
    return {
        "model_type": "ot3l",
        "num_labels": len(classes),
        "id2label": {str(index): name for index, name in enumerate(classes)},
        "label2id": {name: index for index, name in enumerate(classes)},
        "num_channels": 3,
        "image_size": described["preprocessing"]["input_size"],
        **{
            name: described[name]
            for name in (
                "architecture",
                "head",
                "preprocessing",
                "backbone",
                "backbone_digest",
                "dataset_digest",
                "metrics",
                "temperature",
                "versions",
            )
        },
    }


def _preprocessor_config(preprocessing: Mapping[str, Any]) -> dict[str, Any]:
    """The preprocessing in the hub's words."""
    how = Preprocessing(**preprocessing)
    return {
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"shortest_edge": how.resize_size},
        "resample": int(Image.Resampling[how.interpolation.upper()]),
        "do_center_crop": True,
        "crop_size": {"height": how.input_size, "width": how.input_size},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(how.mean),
        "image_std": list(how.std),
    }


def _to_json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

"""Where a dataset is and how to read it. Standard library only."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ot3l_core.errors import InvalidSettingError
from ot3l_core.names import DatasetFormat

_Setting = TypeVar("_Setting")

_NAMED = {DatasetFormat.BUILTIN, DatasetFormat.TORCHVISION}
_LABELS_OPTIONAL = {
    DatasetFormat.IMAGE_FOLDER,
    DatasetFormat.ZIP,
    DatasetFormat.PARQUET,
    DatasetFormat.HUGGINGFACE,
    DatasetFormat.NPZ,
}


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """A dataset as its user describes it.

    Attributes:
        format: How the data is stored.
        path: The file or folder; torchvision's root. Every format but ``builtin`` needs it.
        dataset: The one among those of ``builtin`` or ``torchvision``; torchvision's EMNIST is ``EMNIST-digits`` etc.
        annotations: The JSON file of ``coco``, whose pictures lie below ``path``.
        label_column: The label column of ``parquet`` and ``huggingface``, where its name or type leaves a doubt.
        test_path: The test file of ``parquet``, where ``path`` is the training file.
        config: The configuration of ``huggingface``, where there are several.
        download: Whether torchvision may fetch what is missing.
        test_fraction: Share of each class held out, in [0, 1), where the data has no test split of its own; 0 for none.
        min_class_size: Classes with fewer samples in all are dropped, before any splitting.
        labelled: Whether the pictures have classes. Where not, they are one pool, whatever ``test_fraction`` and
            ``min_class_size`` say, and nothing is read that could be a label.

    Raises:
        InvalidSettingError: If a setting is outside its domain, or one that the format needs is absent.
    """

    format: DatasetFormat
    path: Path | None = None
    dataset: str | None = None
    annotations: Path | None = None
    label_column: str | None = None
    test_path: Path | None = None
    config: str | None = None
    download: bool = False
    test_fraction: float = 0.2
    min_class_size: int = 1
    labelled: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.test_fraction < 1:
            raise InvalidSettingError(
                f"test_fraction must lie in [0, 1): got {self.test_fraction}", field="test_fraction"
            )
        if self.min_class_size < 1:
            raise InvalidSettingError(
                f"min_class_size must be at least 1: got {self.min_class_size}", field="min_class_size"
            )
        if self.format in _NAMED:
            self.required_dataset  # noqa: B018 - asked for its refusal
        if self.format is not DatasetFormat.BUILTIN:
            self.required_path  # noqa: B018
        if self.format is DatasetFormat.COCO:
            self.required_annotations  # noqa: B018
        if not self.labelled:
            self._refuse_what_labels_need()

    def _refuse_what_labels_need(self) -> None:
        if self.format not in _LABELS_OPTIONAL:
            raise InvalidSettingError(
                f"the format {self.format.value!r} always has labels: labelled may be false for "
                f"{', '.join(sorted(_LABELS_OPTIONAL))}",
                field="labelled",
            )
        for field in ("label_column", "test_path"):
            if getattr(self, field) is not None:
                raise InvalidSettingError(f"{field} needs labels: leave it out, or set labelled to true", field=field)

    @property
    def required_path(self) -> Path:
        """The path, for a format that has one."""
        return self._required(self.path, "path")

    @property
    def required_dataset(self) -> str:
        """The name, for a format that has one."""
        return self._required(self.dataset, "dataset")

    @property
    def required_annotations(self) -> Path:
        """The annotations, for a format that has them."""
        return self._required(self.annotations, "annotations")

    def _required(self, setting: _Setting | None, field: str) -> _Setting:
        if setting is None:
            raise InvalidSettingError(f"the format {self.format.value!r} needs {field!r}", field=field)
        return setting

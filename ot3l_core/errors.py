"""Every error that the core raises on purpose.

::

    CoreError
    ├── Cancelled                    the caller asked to stop
    ├── InvalidSettingError          a setting is outside its domain
    ├── ShapeMismatchError           two arrays do not fit each other
    ├── DataError
    │   ├── DatasetNotFoundError     nothing is at the place that was named
    │   ├── DatasetLayoutError       something is there, in another layout
    │   ├── DatasetChangedError      the bytes differ from those registered
    │   ├── ChecksumMismatchError    a file is not the one that was announced
    │   ├── UnsafeDataError          reading it could run code or escape its folder
    │   ├── CorruptImageError        a file is no readable image
    │   ├── MissingClassError        a class has no samples
    │   └── TooFewSamplesError       there is too little to work with
    ├── BackboneError
    │   ├── UnknownBackboneError     no such network
    │   └── WeightsUnavailableError  its weights are neither here nor to be fetched
    ├── CheckpointError              a file is no checkpoint of ours
    ├── TrackingUnavailableError     what tells others of a run is not installed
    ├── DiskFullError                what was to be written does not fit
    └── ExportError                  a checkpoint would predict otherwise in another format

Standard library only: the service imports this module without importing torch.
"""

from typing import ClassVar


class CoreError(Exception):
    """Base of the core's errors.

    Attributes:
        code: Stable, machine-readable name; part of the API.
        field: The setting to change, where one is to blame.
    """

    code: ClassVar[str] = "core_error"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class Cancelled(CoreError):  # noqa: N818 - a request, not a fault
    """The caller asked for the work to stop."""

    code = "cancelled"


class InvalidSettingError(CoreError):
    """A setting is outside its domain."""

    code = "invalid_setting"


class ShapeMismatchError(CoreError):
    """Two arrays that must fit each other do not."""

    code = "shape_mismatch"


class DataError(CoreError):
    """Something is wrong with a dataset."""

    code = "data_error"


class DatasetNotFoundError(DataError):
    """Nothing is at the place that was named."""

    code = "dataset_not_found"


class DatasetLayoutError(DataError):
    """The data is there, in another layout than the format asks for."""

    code = "dataset_layout"


class DatasetChangedError(DataError):
    """The bytes differ from those that were registered."""

    code = "dataset_changed"


class ChecksumMismatchError(DataError):
    """A file is not the one whose checksum was announced."""

    code = "checksum_mismatch"


class UnsafeDataError(DataError):
    """Reading the data could run code, escape its folder or exhaust the machine."""

    code = "unsafe_data"


class CorruptImageError(DataError):
    """A file that should be an image cannot be decoded."""

    code = "corrupt_image"


class MissingClassError(DataError):
    """A class that is named or needed has no samples."""

    code = "missing_class"


class TooFewSamplesError(DataError):
    """There are too few samples or classes to work with."""

    code = "too_few_samples"


class BackboneError(CoreError):
    """Something is wrong with a backbone."""

    code = "backbone_error"


class UnknownBackboneError(BackboneError):
    """No network has this name."""

    code = "unknown_backbone"


class WeightsUnavailableError(BackboneError):
    """The pretrained weights are neither on disk nor to be downloaded from here."""

    code = "weights_unavailable"


class CheckpointError(CoreError):
    """A file is not a checkpoint that this package wrote."""

    code = "checkpoint_error"


class TrackingUnavailableError(CoreError):
    """The package that tells a tracking server of a run is not installed."""

    code = "tracking_unavailable"


class DiskFullError(CoreError):
    """What was to be written does not fit on the disk."""

    code = "disk_full"


class ExportError(CoreError):
    """A checkpoint cannot be written in another format, or would predict otherwise there."""

    code = "export_error"

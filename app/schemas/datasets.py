"""Datasets on the wire."""

from pathlib import PurePath
from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, field_validator

from app.schemas.work import Reply, Request, ServerPath, WorkRead
from ot3l_core.names import BuiltinDataset, DatasetFormat


class DatasetCreateBase(Request):
    """What every dataset may say."""

    name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$",
        description="How requests will refer to it; unique. Default: made from what it is read from.",
        examples=["my-flowers"],
    )
    test_fraction: float = Field(
        default=0.2,
        ge=0,
        lt=1,
        description="Share of each class held out for testing where the data has no test split of its own.",
    )
    min_class_size: int = Field(default=1, ge=1, description="Classes with fewer samples are left out.")

    @property
    def default_name(self) -> str:
        """A name, where none is given."""
        raise NotImplementedError


class BuiltinDatasetCreate(DatasetCreateBase):
    """Real images that come with the service."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"format": "builtin", "dataset": "mnist-5k"}]})

    format: Literal[DatasetFormat.BUILTIN]
    dataset: BuiltinDataset

    @property
    def default_name(self) -> str:
        """The built-in's own name."""
        return self.dataset.value


class TorchvisionDatasetCreate(DatasetCreateBase):
    """A torchvision dataset by name, in torchvision's layout below ``root``."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"format": "torchvision", "dataset": "FashionMNIST", "root": "data"}]}
    )

    format: Literal[DatasetFormat.TORCHVISION]
    dataset: str = Field(
        pattern=r"^[A-Za-z0-9-]{1,50}$", description="Class name in torchvision.datasets.", examples=["FashionMNIST"]
    )
    root: ServerPath
    download: bool = Field(default=False, description="Let torchvision fetch what is missing.")

    @property
    def default_name(self) -> str:
        """Torchvision's name."""
        return self.dataset


class PathDatasetCreate(DatasetCreateBase):
    """Anything that is read from one path."""

    path: ServerPath

    @property
    def default_name(self) -> str:
        """The last part of the path, without what a name may not hold."""
        kept = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in PurePath(self.path).stem)
        return kept.lstrip("._-")[:200] or "dataset"


class PoolDatasetCreate(PathDatasetCreate):
    """Anything whose images may have no labels yet."""

    labelled: bool = Field(
        default=True,
        description="false: the images are one pool to select from, without classes and without a test split.",
    )


class ImageFolderDatasetCreate(PoolDatasetCreate):
    """A folder with one folder of images for each class, or such folders below ``train`` and ``test``."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"format": "image_folder", "path": "flowers"}]})

    format: Literal[DatasetFormat.IMAGE_FOLDER]


class ZipDatasetCreate(PoolDatasetCreate):
    """A zip file of an image folder; read in place."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"format": "zip", "path": "flowers.zip", "name": "my-flowers", "test_fraction": 0.2}]
        }
    )

    format: Literal[DatasetFormat.ZIP]


class ParquetDatasetCreate(PoolDatasetCreate):
    """A Hugging Face style parquet file with an image column, or a folder of them."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"format": "parquet", "path": "cifar100", "label_column": "fine_label"}]}
    )

    format: Literal[DatasetFormat.PARQUET]
    test_path: ServerPath | None = Field(default=None, description="The file of the test split, where it is another.")
    label_column: str | None = Field(
        default=None, min_length=1, max_length=200, pattern=r"^\P{C}+$", examples=["fine_label"]
    )


class NpzDatasetCreate(PoolDatasetCreate):
    """A NumPy archive with arrays ``x`` and ``y``, or ``x_train``, ``y_train``, ``x_test`` and ``y_test``."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"format": "npz", "path": "images.npz"}]})

    format: Literal[DatasetFormat.NPZ]


class CocoDatasetCreate(PathDatasetCreate):
    """COCO: a folder of photographs and their annotations; one image per annotated object."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"format": "coco", "path": "val2017", "annotations": "annotations/instances_val2017.json"}]
        }
    )

    format: Literal[DatasetFormat.COCO]
    annotations: ServerPath


DatasetCreate = Annotated[
    BuiltinDatasetCreate
    | TorchvisionDatasetCreate
    | ImageFolderDatasetCreate
    | ZipDatasetCreate
    | ParquetDatasetCreate
    | NpzDatasetCreate
    | CocoDatasetCreate,
    Field(discriminator="format"),
]


class ClassRead(Reply):
    """A class and its samples."""

    name: str
    pool: int = Field(description="Samples to select from.")
    test: int = Field(description="Samples that selection and training never see.")


class DatasetSummary(Reply):
    """What inspection found."""

    classes: list[ClassRead] = Field(description="None where the images have no labels.")
    n_pool: int
    n_test: int


class DatasetRead(WorkRead):
    """A registered dataset."""

    name: str
    format: DatasetFormat = Field(validation_alias="request")
    labelled: bool = Field(description="Whether its images have classes.")
    digest: str | None = Field(description="sha256 over all images and labels; the same for every packaging.")
    result: DatasetSummary | None = Field(description="What inspection found, once it succeeded.")

    @field_validator("format", mode="before")
    @classmethod
    def _format_of_request(cls, request: dict[str, str]) -> str:
        return request["format"]


class DatasetList(Reply):
    """Datasets, newest first."""

    items: list[DatasetRead]
    next: UUID | None = Field(description="Pass as `before` for the next page; empty on the last.")

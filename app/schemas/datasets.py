"""Datasets on the wire."""

from pathlib import PurePath, PurePosixPath
from typing import Annotated, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    AliasChoices,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    ValidationInfo,
    field_validator,
)

from app.schemas.listing import NEXT
from app.schemas.work import (
    PRINTABLE,
    ArtifactRead,
    Described,
    Description,
    DescriptionPatch,
    Reply,
    ServerPath,
    Submission,
    WorkRead,
)
from ot3l_core.names import BuiltinDataset, DatasetFormat


def _inside(path: str) -> str:
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts or "\0" in path:
        raise ValueError("must be a path inside the uploaded archive, without ..")
    return path


PathInside = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_inside)]
Upload = Annotated[
    UUID | None,
    Field(
        description="A complete upload (POST /uploads) in place of a path on the server; a folder is uploaded as a zip "
        "or a tar of it, plain or compressed."
    ),
]


def name_from(filename: str) -> str:
    """A dataset's name from that of a file, without its ending and what a name may not hold."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in PurePath(filename).stem)
    return kept.lstrip("._-")[:200] or "dataset"


def _require_one(path: str | None, info: ValidationInfo) -> str | None:
    """Either a path on the server or an upload; judged only where the upload itself is well-formed."""
    if "upload" in info.data and (path is None) == (info.data["upload"] is None):
        raise ValueError(f"give either {info.field_name} or upload")
    return path


class DatasetCreateBase(Submission, Description):
    """What every dataset may say."""

    name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$",
        description="How requests will refer to it; unique. Default: made from what it is read from.",
        examples=["my-flowers"],
    )
    test_fraction: StrictFloat = Field(
        default=0.2,
        ge=0,
        lt=1,
        description="Share of each class held out for testing where the data has no test split of its own.",
    )
    min_class_size: StrictInt = Field(default=1, ge=1, description="Classes with fewer samples are left out.")

    @property
    def default_name(self) -> str | None:
        """A name, where none is given; None where it is to be made from that of the upload."""
        raise NotImplementedError

    @property
    def uploaded(self) -> UUID | None:
        """The upload that it is to be read from."""
        return None


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
    upload: Upload = None
    root: ServerPath | None = Field(default=None, validate_default=True)
    folder: PathInside | None = Field(default=None, description="The root inside an uploaded archive, if it has one.")
    download: StrictBool = Field(
        default=False, description="Let torchvision fetch what is missing; not into an upload."
    )

    _one_place = field_validator("root")(_require_one)

    @field_validator("download")
    @classmethod
    def _not_into_an_upload(cls, download: bool, info: ValidationInfo) -> bool:  # noqa: FBT001 - pydantic calls it
        if download and info.data.get("upload") is not None:
            raise ValueError("leave it out with an upload, which must have all the files")
        return download

    @property
    def default_name(self) -> str:
        """Torchvision's name."""
        return self.dataset

    @property
    def uploaded(self) -> UUID | None:
        """The upload, if it is one."""
        return self.upload


class PathDatasetCreate(DatasetCreateBase):
    """Anything that is read from one path, or was uploaded."""

    upload: Upload = None
    path: ServerPath | None = Field(
        default=None,
        validate_default=True,
        description="On the server, below one of its dataset roots; or, but for `coco`, `s3://bucket/prefix` below one "
        "of the prefixes that the operator allows.",
    )

    _one_place = field_validator("path")(_require_one)

    @property
    def default_name(self) -> str | None:
        """The last part of the path, without what a name may not hold."""
        return None if self.path is None else name_from(self.path)

    @property
    def uploaded(self) -> UUID | None:
        """The upload, if it is one."""
        return self.upload


class PoolDatasetCreate(PathDatasetCreate):
    """Anything whose images may have no labels yet."""

    labelled: StrictBool = Field(
        default=True,
        description="false: the images are one pool to select from, without classes and without a test split.",
    )


class ImageFolderDatasetCreate(PoolDatasetCreate):
    """A folder with one folder of images for each class, or such folders below ``train`` and ``test``."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"format": "image_folder", "path": "flowers"},
                {"format": "image_folder", "path": "s3://pictures/flowers"},
                {"format": "image_folder", "upload": "0192d3c4-7a31-7cc2-9f0e-5d5c1f1f6b11", "name": "flowers"},
            ]
        }
    )

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
        default=None, min_length=1, max_length=200, pattern=PRINTABLE, examples=["fine_label"]
    )

    @field_validator("test_path")
    @classmethod
    def _not_beside_an_upload(cls, test_path: str | None, info: ValidationInfo) -> str | None:
        if test_path is not None and info.data.get("upload") is not None:
            raise ValueError("leave it out with an upload: pack train.parquet and test.parquet into one archive")
        return test_path


class HuggingfaceDatasetCreate(PoolDatasetCreate):
    """A dataset's folder as it is downloaded from the Hugging Face hub: parquet shards, or pictures in folders."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"format": "huggingface", "path": "beans", "label_column": "labels"}]}
    )

    format: Literal[DatasetFormat.HUGGINGFACE]
    config: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        pattern=PRINTABLE,
        description="The configuration to read, where the dataset has several.",
        examples=["plain_text"],
    )
    label_column: str | None = Field(
        default=None, min_length=1, max_length=200, pattern=PRINTABLE, examples=["fine_label"]
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
    folder: PathInside | None = Field(
        default=None, description="The folder of photographs inside an uploaded archive, if it is not all of it."
    )
    annotations: ServerPath = Field(description="Like `path`; with an upload, inside the archive.")

    @field_validator("annotations")
    @classmethod
    def _where_the_photographs_are(cls, annotations: str, info: ValidationInfo) -> str:
        return annotations if info.data.get("upload") is None else _inside(annotations)


DatasetCreate = Annotated[
    BuiltinDatasetCreate
    | TorchvisionDatasetCreate
    | ImageFolderDatasetCreate
    | ZipDatasetCreate
    | ParquetDatasetCreate
    | HuggingfaceDatasetCreate
    | NpzDatasetCreate
    | CocoDatasetCreate,
    Field(discriminator="format"),
]


class DatasetPatch(DescriptionPatch):
    """What to change of a dataset's description; its name stays, for requests refer to it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"tags": ["flowers"], "metadata": {"licence": "CC0"}}]})


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


class DatasetRead(WorkRead, Described):
    """A registered dataset."""

    name: str
    format: DatasetFormat = Field(validation_alias=AliasChoices("request", "format"))
    labelled: bool = Field(description="Whether its images have classes.")
    upload: UUID | None = Field(
        validation_alias=AliasChoices("upload_id", "upload"), description="What it is read from, if that was uploaded."
    )
    digest: str | None = Field(description="sha256 over all images and labels; the same for every packaging.")
    result: DatasetSummary | None = Field(description="What inspection found, once it succeeded.")
    artifacts: list[ArtifactRead] = Field(description="None where it was inspected before there were galleries.")

    @field_validator("format", mode="before")
    @classmethod
    def _format_of_request(cls, request: dict[str, str] | str) -> str:
        return request if isinstance(request, str) else request["format"]


class DatasetList(Reply):
    """Datasets, in the order that was asked for."""

    items: list[DatasetRead]
    next: str | None = Field(description=NEXT)

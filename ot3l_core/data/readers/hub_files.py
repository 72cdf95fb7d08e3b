"""Which files of a dataset from the Hugging Face hub belong to which split.

As the README's configurations say; otherwise by the names of files and folders, as the hub itself guesses.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from fnmatch import translate
from pathlib import PurePosixPath
from typing import Final, TypeAlias

from ot3l_core.data.limits import MAX_SHARDS, some_of
from ot3l_core.data.readers.front_matter import DEFAULT_CONFIG, Config, FrontMatter, Patterns
from ot3l_core.errors import DatasetLayoutError, DatasetNotFoundError, UnsafeDataError

Splits: TypeAlias = Mapping[str, Sequence[str]]

_SPLIT_OF: Final = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
}
_WORD: Final = re.compile(r"[^\W_]+")
_NUMBERED: Final = re.compile(r"^(.*)-(\d{5})-of-(\d{5})\b")
_DATA_FOLDER: Final = "data"


def files_of_splits(tables: Sequence[str], said: FrontMatter, wanted: str | None) -> tuple[str, Splits]:
    """The configuration that is read, and the files of each of its splits, in order.

    Args:
        tables: Names of all files that can be read, divided by ``/``.
        said: What the README says.
        wanted: The configuration that was asked for.

    Raises:
        DatasetNotFoundError: If there is no such configuration, it has no files, or some of them are missing.
        DatasetLayoutError: If there are several configurations, and none was asked for.
        UnsafeDataError: If there are too many files.
    """
    if len(tables) > MAX_SHARDS:
        raise UnsafeDataError(f"there are {len(tables)} parquet files: at most {MAX_SHARDS} are read", field="path")
    stated = [config for config in said.configs if config.splits]
    if stated:
        name = _choose([config.name for config in stated], wanted, [c.name for c in stated if c.is_default])
        (config,) = [config for config in stated if config.name == name][:1]
        splits: Splits = _matched(tables, config)
    else:
        guessed = _guessed(tables)
        name = _choose(sorted(guessed), wanted, [DEFAULT_CONFIG] if DEFAULT_CONFIG in guessed else [])
        splits = guessed[name]
    for files in splits.values():
        _require_whole(files)
    return name, splits


def split_of(name: str) -> str | None:
    """The split that the name of a file or a folder begins with."""
    word = _WORD.match(name)
    return None if word is None else _SPLIT_OF.get(word[0].lower())


def _choose(names: Sequence[str], wanted: str | None, defaults: Sequence[str]) -> str:
    if wanted is not None:
        if wanted not in names:
            raise DatasetNotFoundError(
                f"the dataset has no configuration {wanted!r}: name one of {some_of(names)}", field="config"
            )
        return wanted
    if len(names) == 1 or defaults:
        return defaults[0] if defaults else names[0]
    raise DatasetLayoutError(f"the dataset has several configurations: name one of {some_of(names)}", field="config")


def _matched(tables: Sequence[str], config: Config) -> Splits:
    splits = {split: _matching(tables, patterns) for split, patterns in config.splits.items()}
    empty = [split for split, files in splits.items() if not files]
    if empty:
        raise DatasetNotFoundError(
            f"no parquet file is there for the split {empty[0][:100]!r} of the configuration {config.name[:100]!r}: "
            "download all files of the dataset",
            field="path",
        )
    return splits


Pattern: TypeAlias = Sequence[re.Pattern[str] | None]
"""What each folder of a path, and then the file, must match; None stands for any number of folders."""


def _matching(names: Sequence[str], patterns: Patterns) -> list[str]:
    compiled: list[Pattern] = [
        [None if part == "**" else re.compile(translate(part)) for part in pattern.split("/")] for pattern in patterns
    ]
    return sorted(name for name in names if any(_matches(name.split("/"), pattern) for pattern in compiled))


def _matches(parts: Sequence[str], pattern: Pattern) -> bool:
    """Whether a path matches, in as many steps as both are long, whatever the pattern."""
    reached = _skipped({0}, pattern)
    for part in parts:
        further = set()
        for place in reached - {len(pattern)}:
            wanted = pattern[place]
            if wanted is None:
                further.add(place)
            elif wanted.match(part):
                further.add(place + 1)
        reached = _skipped(further, pattern)
    return len(pattern) in reached


def _skipped(places: set[int], pattern: Pattern) -> set[int]:
    """Likewise where ``**`` stands for no folder."""
    for place, wanted in enumerate(pattern):
        if wanted is None and place in places:
            places.add(place + 1)
    return places


def _guessed(tables: Sequence[str]) -> dict[str, dict[str, list[str]]]:
    """By configuration and split: ``data/train-*``, ``config/train-*``, ``config/train/*`` or, without a word, all."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    unsaid = []
    for name in sorted(tables):
        *folders, file = PurePosixPath(name).parts
        splits = [split_of(part) for part in (*folders, file)]
        split = next((split for split in reversed(splits) if split is not None), None)
        if split is None:
            unsaid.append(name)
            continue
        own = [folder for folder in folders if folder != _DATA_FOLDER and split_of(folder) is None]
        found["/".join(own) or DEFAULT_CONFIG][split].append(name)
    return found or {DEFAULT_CONFIG: {"train": unsaid}}


def _require_whole(files: Sequence[str]) -> None:
    """Refuse shards of which some are missing: their names say how many there are."""
    numbers: dict[tuple[str, int], set[int]] = defaultdict(set)
    for name in files:
        numbered = _NUMBERED.match(name)
        if numbered is not None:
            numbers[numbered[1], int(numbered[3])].add(int(numbered[2]))
    for (stem, total), there in numbers.items():
        missing = next((number for number in range(total) if number not in there), None)
        if missing is not None:
            raise DatasetNotFoundError(
                f"{stem}-{missing:05d}-of-{total:05d} is missing: download all files of the dataset", field="path"
            )

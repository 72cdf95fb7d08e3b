"""Files that are made to harm whoever reads them, each with the error that it must end in.

``hostile_files()[name].make(folder)`` writes one into an empty folder and returns the body of a request that registers
it as a dataset. ``code`` is the error of the record that it ends in; None where it looks harmful and is not.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from tests.hostile import arrays, folders, hubs, pictures, zips

Body: TypeAlias = Mapping[str, object]
Make: TypeAlias = Callable[[Path], Body]


@dataclass(frozen=True, slots=True)
class Hostile:
    """A file, or a folder of them.

    Attributes:
        code: Of the error that reading it ends in; None where it is read.
        make: Writes it into an empty folder, and gives the request that registers it.
    """

    code: str | None
    make: Make


def hostile_files() -> dict[str, Hostile]:
    """All of them, by name."""
    parts = (zips.ZIPS, pictures.PICTURES, arrays.ARRAYS, folders.FOLDERS, hubs.HUBS)
    return {name: Hostile(code, make) for part in parts for name, (code, make) in part.items()}

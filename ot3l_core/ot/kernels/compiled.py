"""How kernels are compiled."""

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from os import environ
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

Doubles: TypeAlias = npt.NDArray[np.float64]
Floats: TypeAlias = npt.NDArray[np.float32]
Integers: TypeAlias = npt.NDArray[np.int64]

AnyKernel = TypeVar("AnyKernel", bound=Callable[..., Any])
_config = cast("Any", numba.config)
_njit = cast("Callable[..., Callable[[Any], Any]]", numba.njit)
# Sums may be regrouped and products contracted, which vector registers need. Infinities keep their meaning.
_REGROUPED = {"contract", "nsz", "arcp", "reassoc", "nnan"}


def kernel(function: AnyKernel) -> AnyKernel:
    """Compile a function for the machine it runs on; it lets go of the interpreter's lock while it runs.

    The machine code is kept beside the source or in the user's cache, and compiled anew where neither can be written.
    What a kernel calls should be ``inlined``, if it adds: of a kernel in a kernel there are two copies, whose sums are
    grouped differently, and the process that compiled them runs the other one than those that load them.
    """
    given, options = _config.CACHE_DIR, {"nogil": True, "fastmath": _REGROUPED, "error_model": "numpy"}
    for folder in _cache_folders(given):
        _config.CACHE_DIR = str(folder)
        try:
            return cast("AnyKernel", _njit(cache=True, **options)(function))
        except RuntimeError:
            continue
        finally:
            _config.CACHE_DIR = given
    return cast("AnyKernel", _njit(**options)(function))


@cache
def _cache_folders(given: str) -> tuple[Path, ...]:
    """Where machine code may be kept, under a name made of all that is compiled into it."""
    here = Path(__file__).parent
    sources = sorted(here.parent.rglob("*.py"))
    digest = sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    home = environ.get("HOME")
    users = environ.get("XDG_CACHE_HOME") or (home and f"{home}/.cache")
    ours = [here / "__pycache__", *([Path(users) / "ot3l"] if users else [])]
    parents = [Path(given)] if given else ours
    return tuple(parent / f"kernels-{digest}" for parent in parents)


def inlined(function: AnyKernel) -> AnyKernel:
    """Compile a function into the kernels that call it."""
    return cast("AnyKernel", _njit(inline="always", error_model="numpy")(function))

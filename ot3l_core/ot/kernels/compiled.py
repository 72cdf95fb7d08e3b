"""How kernels are compiled."""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

Doubles: TypeAlias = npt.NDArray[np.float64]
Floats: TypeAlias = npt.NDArray[np.float32]
Integers: TypeAlias = npt.NDArray[np.int64]

AnyKernel = TypeVar("AnyKernel", bound=Callable[..., Any])
_njit = cast("Callable[..., Callable[[Any], Any]]", numba.njit)
# Sums may be regrouped and products contracted, which vector registers need. Infinities keep their meaning.
_REGROUPED = {"contract", "nsz", "arcp", "reassoc", "nnan"}


def kernel(function: AnyKernel) -> AnyKernel:
    """Compile a function for the machine it runs on; it lets go of the interpreter's lock while it runs.

    The machine code is kept beside the source or in the user's cache, and compiled anew where neither can be written.
    """
    try:
        compiled = _njit(cache=True, nogil=True, fastmath=_REGROUPED, error_model="numpy")(function)
    except RuntimeError:
        compiled = _njit(nogil=True, fastmath=_REGROUPED, error_model="numpy")(function)
    return cast("AnyKernel", compiled)


def exactly(function: AnyKernel) -> AnyKernel:
    """Compile a function that rounds as it is written, and so alike wherever it is called."""
    return cast("AnyKernel", _njit(nogil=True, error_model="numpy")(function))


def inlined(function: AnyKernel) -> AnyKernel:
    """Compile a function into the kernels that call it."""
    return cast("AnyKernel", _njit(inline="always", error_model="numpy")(function))

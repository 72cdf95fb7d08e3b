"""Powers of two as fast as memory delivers their exponents: a polynomial, and the whole part as bits.

An exponent w comes as ``w + OFFSET``, which is positive, so that its whole part can be cut off.
"""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.polynomial import Chebyshev, Polynomial

from ot3l_core.ot.kernels.compiled import inlined

OFFSET = np.float32(127.5)
# 2^-86 is nothing beside a row's largest entry; below 2^-126 numbers turn denormal, at a hundred times the cost.
_LEAST = np.float32(127.5 - 86)
_MOST = np.float32(127.5 + 126)
_DEGREE = 5
_MANTISSA_BITS = np.int32(23)


def _coefficients() -> tuple[np.float32, ...]:
    """Of the polynomial for ``2^(r - 1/2)`` on [0, 1], which errs by 1e-7."""
    fit = Chebyshev.interpolate(lambda r: 2 ** (r - 0.5), _DEGREE, domain=[0, 1]).convert(kind=Polynomial)
    return tuple(np.float32(value) for value in fit.coef)


_C0, _C1, _C2, _C3, _C4, _C5 = _coefficients()


def _as_float(_typing: object, bits: object) -> Any:  # noqa: ANN401, ARG001
    def emit(_context: object, builder: Any, _signature: object, values: Any) -> Any:  # noqa: ANN401
        return builder.bitcast(values[0], ir.FloatType())

    return types.float32(types.int32), emit


_from_bits = cast("Callable[[np.int32], np.float32]", intrinsic(_as_float))


def _exponent(_typing: object, row: Any, column: Any, steepness: Any, cost: Any) -> Any:  # noqa: ANN401
    def emit(_context: object, builder: Any, _signature: object, values: Any) -> Any:  # noqa: ANN401
        along, across, steep, own = values
        if own.type != steep.type:
            own = builder.fpext(own, steep.type)
        return builder.fma(builder.fneg(steep), own, builder.fadd(along, across))

    return row(row, column, steepness, cost), emit


exponent = cast("Callable[[float, float, float, float], float]", intrinsic(_exponent))
"""``row + column - steepness cost``, in the type of the first three: rounded alike in every kernel, so that all mean
the same plan."""


@inlined
def exp2(shifted: float) -> np.float32:
    """``2^w`` for ``w + OFFSET``; what lies outside [-86, 126] counts as the nearest of these."""
    single = min(max(np.float32(shifted), _LEAST), _MOST)
    whole = np.int32(single)
    rest = single - np.float32(whole)
    power = ((((_C5 * rest + _C4) * rest + _C3) * rest + _C2) * rest + _C1) * rest + _C0
    return power * _from_bits(whole << _MANTISSA_BITS)

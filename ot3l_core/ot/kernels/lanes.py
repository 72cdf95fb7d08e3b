"""Eight float64 numbers that are computed with as one.

LLVM maps them to one register of AVX-512, two of AVX2 or four of NEON. A compiler vectorises sums along one problem;
with lanes a kernel can also solve eight problems side by side, or find a minimum together with its place.
"""

import operator
from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

from ot3l_core.ot.kernels.compiled import Doubles, Floats

WIDTH = 8
_VECTOR = ir.VectorType(ir.DoubleType(), WIDTH)
_PLACES = ir.VectorType(ir.IntType(32), WIDTH)
_ROUNDING = ("contract", "nsz")


class Lanes:
    """Eight numbers, as type checkers see them."""

    def __add__(self, other: "Lanes") -> "Lanes":
        raise NotImplementedError

    def __sub__(self, other: "Lanes") -> "Lanes":
        raise NotImplementedError

    def __mul__(self, other: "Lanes") -> "Lanes":
        raise NotImplementedError

    def __truediv__(self, other: "Lanes") -> "Lanes":
        raise NotImplementedError


class _LanesType(types.Type):
    """Eight numbers, as Numba sees them."""

    def __init__(self) -> None:
        super().__init__(name="Lanes")


class _LanesModel(models.PrimitiveModel):
    """Eight numbers, as LLVM sees them."""

    def __init__(self, manager: object, described: object) -> None:
        super().__init__(manager, described, _VECTOR)


register_model(_LanesType)(_LanesModel)
_lanes = _LanesType()


def _address(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:  # noqa: ANN401
    start = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(start, [index]), _VECTOR.as_pointer())


def _load(_typing: object, array: Any, index: object) -> Any:  # noqa: ANN401, ARG001
    def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:  # noqa: ANN401
        return builder.load(_address(context, builder, signature.args[0], *values), align=8)

    return _lanes(array, types.intp), emit


def _load_single(_typing: object, array: Any, index: object) -> Any:  # noqa: ANN401, ARG001
    def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:  # noqa: ANN401
        singles = ir.VectorType(ir.FloatType(), WIDTH)
        start = context.make_array(signature.args[0])(context, builder, values[0]).data
        address = builder.bitcast(builder.gep(start, [values[1]]), singles.as_pointer())
        return builder.fpext(builder.load(address, align=4), _VECTOR)

    return _lanes(array, types.intp), emit


def _store(_typing: object, array: Any, index: object, value: object) -> Any:  # noqa: ANN401, ARG001
    def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:  # noqa: ANN401
        builder.store(values[2], _address(context, builder, signature.args[0], values[0], values[1]), align=8)
        return context.get_dummy_value()

    return types.void(array, types.intp, _lanes), emit


def _splat(_typing: object, value: object) -> Any:  # noqa: ANN401, ARG001
    def emit(_context: object, builder: Any, _signature: object, values: Any) -> Any:  # noqa: ANN401
        nothing = ir.Constant(_VECTOR, ir.Undefined)
        first = builder.insert_element(nothing, values[0], ir.Constant(ir.IntType(32), 0))
        return builder.shuffle_vector(first, nothing, ir.Constant(_PLACES, [0] * WIDTH))

    return _lanes(types.float64), emit


def _elementwise(name: str, n_arguments: int) -> Any:  # noqa: ANN401
    """An intrinsic of LLVM from lanes to lanes."""

    def emit(_context: object, builder: Any, _signature: object, values: Any) -> Any:  # noqa: ANN401
        kind = ir.FunctionType(_VECTOR, [_VECTOR] * n_arguments)
        function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{WIDTH}f64")
        return builder.call(function, values)

    match n_arguments:
        case 1:
            return intrinsic(lambda _typing, a: (_lanes(a), emit))
        case 2:
            return intrinsic(lambda _typing, a, b: (_lanes(a, b), emit))
        case _:
            return intrinsic(lambda _typing, a, b, c: (_lanes(a, b, c), emit))


def _chosen(comparison: str) -> Any:  # noqa: ANN401
    """An intrinsic that chooses, lane by lane, between ``x`` and ``y`` by comparing ``a`` and ``b``."""

    def emit(_context: object, builder: Any, _signature: object, values: Any) -> Any:  # noqa: ANN401
        a, b, x, y = values
        return builder.select(builder.fcmp_ordered(comparison, a, b), x, y)

    return intrinsic(lambda _typing, a, b, x, y: (_lanes(a, b, x, y), emit))


def _least(_typing: object, value: object) -> Any:  # noqa: ANN401, ARG001
    def emit(_context: object, builder: Any, _signature: object, values: Any) -> Any:  # noqa: ANN401
        kind = ir.FunctionType(ir.DoubleType(), [_VECTOR])
        function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.vector.reduce.fmin.v{WIDTH}f64")
        # Without NaN it is a tree of minima, with them a chain.
        return builder.call(function, values, fastmath=("nnan", "nsz"))

    return types.float64(_lanes), emit


def _operator(python: Callable[..., Any], instruction: str) -> None:
    """Let ``python`` mean ``instruction`` between lanes."""

    def emit(_context: object, builder: Any, _signature: object, values: Any) -> Any:  # noqa: ANN401
        return getattr(builder, instruction)(*values, flags=_ROUNDING)

    compute: Any = intrinsic(lambda _typing, a, b: (_lanes(a, b), emit))
    # Numba compares both parameter lists, annotations included.
    overload(python)(lambda a, b: (lambda a, b: compute(a, b)) if _lanes == a == b else None)  # noqa: PLW0108


_operator(operator.add, "fadd")
_operator(operator.sub, "fsub")
_operator(operator.mul, "fmul")
_operator(operator.truediv, "fdiv")

load = cast("Callable[[Doubles, int], Lanes]", intrinsic(_load))
"""Eight numbers from a place in a contiguous array."""

load_single = cast("Callable[[Floats, int], Lanes]", intrinsic(_load_single))
"""Eight float32 numbers from a place in a contiguous array."""

store = cast("Callable[[Doubles, int, Lanes], None]", intrinsic(_store))
"""Eight numbers to a place in a contiguous array."""

splat = cast("Callable[[float], Lanes]", intrinsic(_splat))
"""One number eight times."""

fma = cast("Callable[[Lanes, Lanes, Lanes], Lanes]", _elementwise("fmuladd", 3))
"""``a b + c``."""

sqrt = cast("Callable[[Lanes], Lanes]", _elementwise("sqrt", 1))
"""Square roots."""

with_sign = cast("Callable[[Lanes, Lanes], Lanes]", _elementwise("copysign", 2))
"""The size of the first with the sign of the second."""

if_less = cast("Callable[[Lanes, Lanes, Lanes, Lanes], Lanes]", _chosen("<"))
"""``x`` where ``a < b``, else ``y``."""

if_equal = cast("Callable[[Lanes, Lanes, Lanes, Lanes], Lanes]", _chosen("=="))
"""``x`` where ``a == b``, else ``y``."""

least = cast("Callable[[Lanes], float]", intrinsic(_least))
"""The least of the eight."""

"""Plain data that somebody pickled, read without unpickling: nothing that a pickle names is imported or called."""

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np

from ot3l_core.data.images import Pixels
from ot3l_core.data.limits import refuse_large_description
from ot3l_core.errors import DatasetLayoutError, UnsafeDataError

Plain: TypeAlias = object
"""None, bool, int, str, bytes, a list, tuple or dictionary of these, an array of uint8, or a name."""

# CIFAR-100 needs 700,000. Each may make an object of a hundred bytes.
_MAX_STEPS: Final = 10_000_000
_RECONSTRUCT: Final = frozenset({"numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct"})
_NAMES: Final = _RECONSTRUCT | {"numpy ndarray", "numpy dtype", "_codecs encode"}


@dataclass(frozen=True, slots=True)
class _Name:
    """What a pickle would import."""

    name: str


@dataclass(slots=True, eq=False)
class _Array:
    """What becomes an array once its content is known."""

    pixels: Pixels | None = None


@dataclass(frozen=True, slots=True)
class _Kind:
    """A type of numbers."""

    name: str


_MARK: Final = object()


def read_plain(path: Path) -> Mapping[str, Plain]:
    """The dictionary of plain data and arrays of uint8 that a pickle holds.

    Args:
        path: Of protocol 2 or later, as Python 2 or 3 wrote it; text of Python 2 is taken for Latin-1.

    Raises:
        DatasetLayoutError: If it is no such pickle, or damaged.
        UnsafeDataError: If it names anything but NumPy's arrays, or is too large.
    """
    refuse_large_description(path.name, path.stat().st_size)
    machine = _Machine(path.name)
    try:
        steps = pickletools.genops(BytesIO(path.read_bytes()))
        for opcode, argument, _ in islice(steps, _MAX_STEPS):
            machine.step(opcode.name, argument)
        content = _settled(machine.stack.pop())
    except (ValueError, LookupError, TypeError, OverflowError, MemoryError) as error:
        raise _unreadable(path) from error
    if machine.stack or not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise _unreadable(path)
    return {key: _settled(value) for key, value in content.items()}


def _unreadable(path: Path) -> DatasetLayoutError:
    return DatasetLayoutError(f"{path.name!r} is damaged, or holds no dictionary of arrays: restore it", field="path")


def _settled(value: Plain) -> Plain:
    return value.pixels if isinstance(value, _Array) else value


@dataclass(slots=True, eq=False)
class _Machine:
    """A pickle's stack and memory, filled with plain data only."""

    file: str
    stack: list[Plain] = field(default_factory=list)
    memory: dict[int, Plain] = field(default_factory=dict)

    def step(self, name: str, argument: Plain) -> None:
        """One instruction.

        Raises:
            UnsafeDataError: If it would run anything.
            ValueError: If it makes no sense.
        """
        if name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif name in _VALUES:
            self.stack.append(argument)
        elif name in _STEPS:
            _STEPS[name](self, argument)
        elif name not in _NOTHING:
            raise self.unsafe(name)

    def unsafe(self, what: str) -> UnsafeDataError:
        """The refusal of a pickle that asks for more than data."""
        return UnsafeDataError(
            f"{self.file!r} is a pickle that asks for {what[:100]!a}, which could run code: restore the published file",
            field="path",
        )

    def since_mark(self) -> list[Plain]:
        """What was pushed after the last mark, taken off with it."""
        taken: list[Plain] = []
        while (value := self.stack.pop()) is not _MARK:
            taken.append(value)
        return taken[::-1]

    def put(self, slot: Plain) -> None:
        """Remember the top of the stack."""
        if not isinstance(slot, int):
            raise TypeError(slot)
        self.memory[slot] = self.stack[-1]

    def get(self, slot: Plain) -> None:
        """Push what was remembered."""
        if not isinstance(slot, int):
            raise TypeError(slot)
        self.stack.append(self.memory[slot])

    def name(self, name: Plain) -> None:
        """Push the name of something to import, if arrays are made with it."""
        if name not in _NAMES:
            raise self.unsafe(str(name))
        self.stack.append(_Name(str(name)))

    def join_name(self) -> None:
        """Push the name whose parts are on the stack."""
        last, first = self.stack.pop(), self.stack.pop()
        self.name(f"{first} {last}")

    def gather(self, count: int) -> None:
        """Make a tuple of the topmost values."""
        taken = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        self.stack.append(tuple(taken))

    def extend(self, values: list[Plain]) -> None:
        """Lengthen the list on the stack."""
        target = self.stack[-1]
        if not isinstance(target, list):
            raise TypeError(target)
        target.extend(values)

    def update(self, values: list[Plain]) -> None:
        """Fill the dictionary on the stack."""
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise TypeError(target)
        target.update(zip(values[::2], values[1::2], strict=True))

    def call(self) -> None:
        """What a call would give, for the three that NumPy's arrays need."""
        arguments, called = self.stack.pop(), self.stack.pop()
        match called, arguments:
            case _Name("numpy dtype"), (str() as kind, *_):
                self.stack.append(_Kind(kind))
            case _Name("_codecs encode"), (str() as text, "latin1"):
                self.stack.append(text.encode("latin-1"))
            case _Name(name), (_Name("numpy ndarray"), *_) if name in _RECONSTRUCT:
                self.stack.append(_Array())
            case _:
                raise self.unsafe(str(called))

    def build(self) -> None:
        """Give an array its content; the order of bytes, a type's state, is nothing to single bytes."""
        state, target = self.stack.pop(), self.stack[-1]
        match target, state:
            case _Array(), (int(), tuple() as shape, _Kind("u1" | "|u1" | "uint8"), False, str() | bytes() as content):
                held = content.encode("latin-1") if isinstance(content, str) else content
                target.pixels = np.frombuffer(held, np.uint8).reshape(shape)
            case _Kind(), _:
                pass
            case _:
                raise self.unsafe("the state of an object")


_NOTHING: Final = frozenset({"PROTO", "FRAME", "STOP"})
_CONSTANTS: Final[Mapping[str, Callable[[], Plain]]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "MARK": lambda: _MARK,
}
_VALUES: Final = frozenset(
    {"BININT", "BININT1", "BININT2", "LONG1", "BINSTRING", "SHORT_BINSTRING", "BINUNICODE", "SHORT_BINUNICODE"}
    | {"BINBYTES", "SHORT_BINBYTES"}
)
_STEPS: Final[Mapping[str, Callable[[_Machine, Plain], None]]] = {
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "MEMOIZE": lambda machine, _: machine.put(len(machine.memory)),
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": lambda machine, _: machine.join_name(),
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.since_mark())),
    "TUPLE1": lambda machine, _: machine.gather(1),
    "TUPLE2": lambda machine, _: machine.gather(2),
    "TUPLE3": lambda machine, _: machine.gather(3),
    "APPEND": lambda machine, _: machine.extend([machine.stack.pop()]),
    "APPENDS": lambda machine, _: machine.extend(machine.since_mark()),
    "SETITEM": lambda machine, _: machine.update([machine.stack.pop(-2), machine.stack.pop()]),
    "SETITEMS": lambda machine, _: machine.update(machine.since_mark()),
    "REDUCE": lambda machine, _: machine.call(),
    "BUILD": lambda machine, _: machine.build(),
}

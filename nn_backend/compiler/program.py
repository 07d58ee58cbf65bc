"""A program: what happens to the arrays of each example, sums over the examples, and what follows from the sums.

A value has rows, and either differs between examples (one column for each) or not. Only operations whose result
IEEE 754 fixes are in the closed set, rounded to nearest even, subnormal numbers kept. A ``mul`` and an ``add`` that
follow each other stay two roundings; where one rounding is meant, the program says ``fma``. `interpret` says what a
program means.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from nn_backend.errors import TraceError

# The shape of a sum over the examples: a tile is cut into rows of lanes. Measured with 8 x 16, 16 x 16 and 8 x 32: what
# small tiles cost (2 to 5 %) they bring back where 300 rows are shared by two threads (1.4 times as fast).
TILE_ROWS, LANES = 8, 16
TILE = TILE_ROWS * LANES
STRIP = 2 * LANES  # examples are stored in strips, each row of a strip contiguous; missing ones of the last are zeros
PAD = 16  # arrays of numbers begin at multiples of this, so that they are read as whole vectors

INTEGER_OF = {"float64": "int64", "float32": "int32"}
KINDS = {  # of each operation: its arguments and its result; f: floating point, i: integer as wide, b: truth value
    "add": "ff f", "sub": "ff f", "mul": "ff f", "div": "ff f", "fma": "fff f",
    "neg": "f f", "abs": "f f", "sqrt": "f f",
    "less": "ff b", "less_equal": "ff b", "equal": "ff b",
    "select": "bff f",
    "to_bits": "f i", "from_bits": "i f",
    "int_add": "ii i", "int_sub": "ii i", "shift_left": "ii i", "shift_right": "ii i",
    "exp": "f f", "log1p": "f f", "max": "ff f", "min": "ff f",  # sequences of the others: see functions.py
}  # fmt: skip
_IN_WORDS = {"f": "a number", "i": "an integer", "b": "the result of a comparison"}


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class Value:
    """The result of one operation on other values; made by a `Builder` only.

    Attributes
    ----------
    operation : str
        A name in `KINDS`, or ``"input"``, ``"constant"``, ``"product"`` (of a matrix with each example's column),
        ``"fold"`` (of an example's rows into one) or ``"sum"`` (over the examples, of one array or of the products of
        two arrays' rows).
    arguments : tuple of Value
        What it is computed from.
    attribute : object
        The name of an input, a constant, whether a product's matrix is transposed, or a fold's operation; that may also
        be ``"argmax"``, the number of the first of the largest rows.
    rows, columns : int
        Its shape; where it varies, it has one column for each example, and ``columns`` is 1.
    kind : str
        ``"f"``, ``"i"`` or ``"b"``, as in `KINDS`.
    varies : bool
        Whether it differs between examples.
    follows : bool
        Whether a sum over the examples has to be known first.
    """

    operation: str
    arguments: tuple["Value", ...]
    attribute: Any
    rows: int
    columns: int
    kind: str
    varies: bool
    follows: bool

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows, self.columns


class Builder:
    """Makes values of one dtype; the same operation on the same values is made once."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype
        self.made: dict[tuple[Any, ...], Value] = {}  # arguments before what is computed from them

    def input(self, name: str, rows: int, columns: int = 1, *, varies: bool) -> Value:
        """Return a named array from outside."""
        return self._make("input", (), name, rows, columns, "f", varies)

    def constant(self, number: float, kind: str = "f") -> Value:
        """Return a constant; a floating-point one is rounded to the dtype."""
        exact = int(number) if kind == "i" else float(np.dtype(self.dtype).type(number))
        return self._make("constant", (), exact, 1, 1, kind, False)

    def apply(self, operation: str, *arguments: Value | float) -> Value:
        """Return the result of an element-wise operation; Python numbers become constants of the kind expected."""
        kinds, result = KINDS[operation].split()
        values = tuple(
            argument if isinstance(argument, Value) else self.constant(argument, "i" if kind == "i" else "f")
            for argument, kind in zip(arguments, kinds, strict=True)
        )
        for value, kind in zip(values, kinds, strict=True):
            if value.kind != kind:
                raise TraceError(
                    f"{operation} of {_IN_WORDS[value.kind]} where {_IN_WORDS[kind]} is expected cannot be recorded"
                )
        if operation in ("mul", "div") and values[1].operation == "constant" and values[1].attribute == 1:
            return values[0]  # which is the product or quotient, to the bit
        rows, columns = max(value.rows for value in values), max(value.columns for value in values)
        return self._make(operation, values, None, rows, columns, result, any(value.varies for value in values))

    def product(self, matrix: Value, x: Value, *, transposed: bool) -> Value:
        """Return matrix @ x in each example, or that of the transposed matrix."""
        return self._make("product", (matrix, x), transposed, matrix.shape[transposed], 1, "f", True)

    def fold(self, operation: str, x: Value) -> Value:
        """Return the rows of x in each example, combined from the first to the last."""
        if x.rows == 1:
            return self.constant(0) if operation == "argmax" else x
        return self._make("fold", (x,), operation, 1, 1, "f", True)

    def sum(self, left: Value, right: Value | None = None) -> Value:
        """Return the sum over the examples of left, or of left's rows times right's rows."""
        arguments = (left,) if right is None else (left, right)
        return self._make("sum", arguments, None, left.rows, 1 if right is None else right.rows, "f", False)

    def _make(
        self,
        operation: str,
        arguments: tuple[Value, ...],
        attribute: Any,
        rows: int,
        columns: int,
        kind: str,
        varies: bool,
    ) -> Value:
        key = (operation, *map(id, arguments), repr(attribute), rows, columns, kind, varies)  # repr tells -0.0 from 0.0
        if key not in self.made:
            follows = operation == "sum" or any(argument.follows for argument in arguments)
            if varies and follows:
                raise TraceError(
                    "a number of each example depends on a sum over the examples; expected one pass over them"
                )
            self.made[key] = Value(operation, arguments, attribute, rows, columns, kind, varies, follows)
        return self.made[key]


class Layout:
    """Where the elements of arrays stand in a row of numbers: the arrays in turn, each from a multiple of ``pad`` on.

    Parameters
    ----------
    shapes : mapping of object to (rows, columns)
        The arrays, by name or by value.
    pad : int
        Multiple at which arrays begin, and the row ends.
    """

    def __init__(self, shapes: Mapping[Any, tuple[int, int]], pad: int = PAD) -> None:
        self.shapes = dict(shapes)
        self.offsets: dict[Hashable, int] = {}
        self.slices: dict[Hashable, slice] = {}  # where an array's elements are, in row-major order
        self.size = 0
        for key, (rows, columns) in self.shapes.items():
            self.offsets[key] = self.size
            self.slices[key] = slice(self.size, self.size + rows * columns)
            self.size += -(-rows * columns // pad) * pad

    @property
    def used(self) -> np.ndarray:
        """Where elements of arrays are, without what pads them."""
        return np.concatenate([np.arange(self.size)[places] for places in self.slices.values()] or [np.arange(0)])

    def pack(self, arrays: Mapping[Any, Any], row: Any) -> None:
        """Write arrays (..., rows, columns), or numbers (...), into rows (..., size) of any array module."""
        for key in self.shapes:
            array = arrays[key]
            if getattr(array, "ndim", 0) > 1:
                row[..., self.slices[key]] = array.reshape(*array.shape[:-2], -1)
            else:
                row[..., self.offsets[key]] = array

    def unpack(self, row: Any) -> dict[Any, Any]:
        """Return the arrays (..., rows, columns) that rows (..., size) hold."""
        return {key: row[..., self.slices[key]].reshape(*row.shape[:-1], *shape) for key, shape in self.shapes.items()}


class Ending(NamedTuple):
    """Truth values by which a step ends the run, and is left undone.

    Attributes
    ----------
    values : tuple of Value
        Arrays that are the same for all examples.
    holds : bool
        Whether the run ends where all their elements are true, or where not all are.
    """

    values: tuple[Value, ...]
    holds: bool


class Program(NamedTuple):
    """What one pass over the examples computes.

    Attributes
    ----------
    dtype : str
        ``"float64"`` or ``"float32"``.
    examples, own, state, numbers : tuple of Value
        The inputs: arrays with a column for each example, those of which each network has its own, arrays that are the
        same for all examples, and numbers.
    values : tuple of Value
        What is computed, in an order that can be executed.
    results : mapping of str to Value
        What is returned. Where it has the names and shapes of ``state``, it is the next state, and the program a step.
    endings : mapping of str to Ending
        What ends a run of steps; where several do, the last.
    """

    dtype: str
    examples: tuple[Value, ...]
    own: tuple[Value, ...]
    state: tuple[Value, ...]
    numbers: tuple[Value, ...]
    values: tuple[Value, ...]
    results: Mapping[str, Value]
    endings: Mapping[str, Ending]

    @property
    def is_step(self) -> bool:
        """Whether the results are the next state."""
        fixed = not any(value.varies for value in self.results.values())
        return fixed and shapes(self.state) == {name: value.shape for name, value in self.results.items()}

    def names(self) -> dict[Value, str]:
        """Return a name for each value: that of an input, v0 … in each example, s0 … for sums, u0 … and r0 … else."""
        names = {value: value.attribute for value in (*self.examples, *self.own, *self.state, *self.numbers)}
        counts = dict.fromkeys("vsur", 0)
        for value in self.values:
            letter = _letter(value)
            names[value] = f"{letter}{counts[letter]}"
            counts[letter] += 1
        return names

    def listing(self) -> str:
        """Return the program as text, one operation a line."""
        names = self.names()

        def text(value: Value) -> str:
            arguments = [names.get(argument) or str(argument.attribute) for argument in value.arguments]
            if value.operation == "product":
                return f"{arguments[0]}{chr(39) * value.attribute} @ {arguments[1]}"
            if value.operation == "sum":
                return f"sum {' '.join(arguments)}{chr(39) * (len(arguments) > 1)}"
            return " ".join([value.operation, *[value.attribute] * (value.operation == "fold"), *arguments])

        def shape(value: Value) -> str:
            return f"[{value.rows}]" if value.varies else f"[{value.rows},{value.columns}]"

        groups = (self.examples, self.own, self.state)
        given = [" ".join(value.attribute + shape(value) for value in group) for group in groups]
        lines = [
            f"program {self.dtype}: examples {given[0]}" + f", own {given[1]}" * bool(self.own),
            f"state {given[2]}, numbers {' '.join(value.attribute for value in self.numbers)}",
        ]
        titles = {"u": "once, before the examples", "v": "in each example"}
        titles |= {"s": "over the examples", "r": "once, after the sums"}
        for letter, title in titles.items():
            values = [value for value in self.values if _letter(value) == letter]
            lines += [f"{title}:"] * bool(values)
            lines += [f"  {names[value] + shape(value):10} = {text(value)}" for value in values]
        for name, ending in self.endings.items():
            truths = " ".join(names[value] for value in ending.values)
            lines.append(f"ends as {name} where {'all' if ending.holds else 'not all'} of {truths}")
        lines.append("results: " + ", ".join(f"{key} = {names[value]}" for key, value in self.results.items()))
        return "\n".join(lines) + "\n"


def _letter(value: Value) -> str:
    if value.operation == "sum":
        return "s"
    return "v" if value.varies else "r" if value.follows else "u"


def in_strips(arrays: Mapping[str, Any], zeros: Callable[..., Any], size: int = STRIP) -> Any:
    """Return arrays (..., rows, m) of one dtype in strips (..., strips, rows of all, size), ended by zeros."""
    first = next(iter(arrays.values()))
    *lead, _, m = first.shape
    whole, rest = divmod(m, size)
    data = zeros((*lead, whole + (rest > 0), sum(array.shape[-2] for array in arrays.values()), size), first.dtype)
    row = 0
    for array in arrays.values():
        rows = slice(row, row + array.shape[-2])
        strips = array[..., : whole * size].reshape(*array.shape[:-1], whole, size)
        data[..., :whole, rows, :] = strips.swapaxes(-3, -2)
        data[..., whole:, rows, :rest] = array[..., None, :, whole * size :]
        row = rows.stop
    return data


def place(networks: int, m: int, spans: np.ndarray | None) -> tuple[np.ndarray, int]:
    """Return where networks find and leave examples, and how many strips all of them leave.

    Rows of first strip, number of examples, first strip of outputs, and a number that is free; from spans (networks, 2)
    or (1, 2) of first example, a multiple of 32, and number of examples. Without spans, all have all m. What networks
    leave lies one after the other.
    """
    places = np.zeros((networks, 4), np.int64)
    places[:, :2] = (0, m) if spans is None else spans
    places[:, 0] //= STRIP
    ends = (-(-places[:, 1] // STRIP)).cumsum()
    places[1:, 2] = ends[:-1]
    return places, int(ends[-1])


def shapes(values: Sequence[Value]) -> dict[str, tuple[int, int]]:
    """Return the shapes of inputs by their names."""
    return {value.attribute: value.shape for value in values}

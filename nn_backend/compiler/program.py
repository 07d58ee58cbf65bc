"""A program: scalar operations for one example, sums over the examples, and what follows from the sums.

`Builder` makes values, `Program` holds and lists them, and `interpret` says what they mean: it runs one operation at a
time in NumPy, and is the definition that every compiled kernel is held to, bit by bit.

Only operations whose result IEEE 754 fixes are in the set, rounded to nearest even, subnormal numbers kept. A ``mul``
and an ``add`` that follow each other stay two roundings; where one rounding is meant, the program says ``fma``.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from nn_backend.errors import DataError, TraceError

TILE_ROWS, LANES = 16, 32
TILE = TILE_ROWS * LANES  # examples in a tile of the reduction

INTEGER_OF = {"float64": "int64", "float32": "int32"}


class Operation(NamedTuple):
    """One of the closed set: the kinds of its arguments, that of its result, and its meaning in NumPy."""

    arguments: tuple[str, ...]
    result: str
    meaning: Callable[..., Any]


class Input(NamedTuple):
    """A number from outside: of each example, or the same for all of them ("uniform")."""

    name: str
    place: int
    varies: bool


@dataclass(frozen=True, eq=False, slots=True)
class Value:
    """The result of one operation on other values; made by a `Builder` only.

    Attributes
    ----------
    operation : str
        A name in `OPERATIONS`, or ``"input"``, ``"constant"`` or ``"sum"`` (over the examples).
    arguments : tuple of Value
        What it is computed from.
    attribute : object
        An `Input`, or the constant.
    kind : str
        ``"float"``, ``"int"`` (of the same width) or ``"bool"``.
    varies : bool
        Whether it differs between examples.
    follows_sum : bool
        Whether a sum over the examples has to be known first.
    """

    builder: "Builder" = field(repr=False)
    operation: str
    arguments: tuple["Value", ...] = field(repr=False)
    attribute: Any
    kind: str
    varies: bool
    follows_sum: bool

    def __add__(self, other: "Value | float") -> "Value":
        return self.builder.apply("add", self, other)

    def __radd__(self, other: float) -> "Value":
        return self.builder.apply("add", other, self)

    def __sub__(self, other: "Value | float") -> "Value":
        return self.builder.apply("sub", self, other)

    def __rsub__(self, other: float) -> "Value":
        return self.builder.apply("sub", other, self)

    def __mul__(self, other: "Value | float") -> "Value":
        return self.builder.apply("mul", self, other)

    def __rmul__(self, other: float) -> "Value":
        return self.builder.apply("mul", other, self)

    def __truediv__(self, other: "Value | float") -> "Value":
        return self.builder.apply("div", self, other)

    def __rtruediv__(self, other: float) -> "Value":
        return self.builder.apply("div", other, self)

    def __neg__(self) -> "Value":
        return self.builder.apply("neg", self)

    def __abs__(self) -> "Value":
        return self.builder.apply("abs", self)

    def __lt__(self, other: "Value | float") -> "Value":
        return self.builder.apply("less", self, other)

    def __gt__(self, other: "Value | float") -> "Value":
        return self.builder.apply("less", other, self)

    def __le__(self, other: "Value | float") -> "Value":
        return self.builder.apply("less_equal", self, other)

    def __ge__(self, other: "Value | float") -> "Value":
        return self.builder.apply("less_equal", other, self)


class Builder:
    """Makes values of one dtype; the same operation on the same values is made once.

    Parameters
    ----------
    dtype : str
        ``"float64"`` or ``"float32"``.
    """

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype
        self._made: dict[tuple[Any, ...], Value] = {}

    @property
    def made(self) -> Sequence[Value]:
        """All values, arguments before what is computed from them."""
        return tuple(self._made.values())

    def input(self, name: str, place: int, *, varies: bool) -> Value:
        """Give a number from outside: row ``place`` of the examples, or entry ``place`` of the uniform numbers."""
        return self._make("input", (), Input(name, place, varies), "float", varies=varies)

    def constant(self, number: float) -> Value:
        """Give a floating-point constant, rounded to the dtype."""
        return self._make("constant", (), float(np.dtype(self.dtype).type(number)), "float")

    def integer(self, number: int) -> Value:
        """Give an integer constant of the dtype's width."""
        return self._make("constant", (), int(number), "int")

    def apply(self, operation: str, *arguments: Value | float) -> Value:
        """Give the result of an operation; Python numbers among the arguments become constants of the kind expected."""
        kinds, result, _ = OPERATIONS[operation]
        values = tuple(
            argument
            if isinstance(argument, Value)
            else (self.integer(int(argument)) if kind == "int" else self.constant(argument))
            for argument, kind in zip(arguments, kinds, strict=True)
        )
        for value, kind in zip(values, kinds, strict=True):
            if value.kind != kind:
                raise TraceError(f"{operation} of a {value.kind} where a {kind} is expected cannot be recorded")
        return self._make(operation, values, None, result)

    def sum(self, value: Value) -> Value:
        """Give the sum of a value over the examples, in the order that `sum_over_examples` defines."""
        if value.kind != "float":
            raise TraceError(f"the sum of a {value.kind} where a float is expected cannot be recorded")
        return self._make("sum", (value,), None, "float", varies=False, follows_sum=True)

    def _make(
        self,
        operation: str,
        arguments: tuple[Value, ...],
        attribute: Any,
        kind: str,
        varies: bool | None = None,
        follows_sum: bool | None = None,
    ) -> Value:
        key = (operation, *map(id, arguments), repr(attribute), kind)  # repr tells -0.0 from 0.0
        if key not in self._made:
            if varies is None:
                varies = any(value.varies for value in arguments)
            if follows_sum is None:
                follows_sum = any(value.follows_sum for value in arguments)
            self._made[key] = Value(self, operation, arguments, attribute, kind, varies, follows_sum)
        return self._made[key]


@dataclass(frozen=True)
class Program:
    """What one pass over the examples computes.

    Attributes
    ----------
    dtype : str
        ``"float64"`` or ``"float32"``.
    rows : tuple of str
        Names of the numbers each example has.
    uniforms : tuple of str
        Names of the numbers that are the same for all examples.
    before, example, after : tuple of Value
        Operations in an order that can be executed: once before the examples, for each example, once after the sums.
    sums : tuple of Value
        The sums over the examples.
    outputs : tuple of Value
        The results.
    """

    dtype: str
    rows: tuple[str, ...]
    uniforms: tuple[str, ...]
    before: tuple[Value, ...]
    example: tuple[Value, ...]
    sums: tuple[Value, ...]
    after: tuple[Value, ...]
    outputs: tuple[Value, ...]

    @property
    def state_size(self) -> int:
        """Numbers that a run keeps: the uniform ones, which its results replace from the first on, or all results."""
        return max(len(self.uniforms), len(self.outputs))

    def listing(self) -> str:
        """Give the program as text, one operation a line."""
        names: dict[Value, str] = {}
        lines = [
            f"program {self.dtype}: {len(self.rows)} numbers per example, {len(self.uniforms)} uniform numbers, "
            f"{len(self.sums)} sums, {len(self.outputs)} results"
        ]

        def name(value: Value) -> str:
            if value.operation == "input":
                return str(value.attribute.name)
            if value.operation == "constant":
                return str(value.attribute)
            return names[value]

        sections = (
            ("once, before the examples", self.before, "u"),
            ("for each example", self.example, "v"),
            ("over the examples", self.sums, "s"),
            ("once, after the sums", self.after, "r"),
        )
        for title, values, letter in sections:
            if values:
                lines.append(f"{title}:")
            for number, value in enumerate(values):
                names[value] = f"{letter}{number}"
                lines.append(f"  {names[value]} = {value.operation} {' '.join(map(name, value.arguments))}")
        lines.append("results:")
        lines.append(f"  {' '.join(map(name, self.outputs))}")
        return "\n".join(lines) + "\n"


def finish(builder: Builder, rows: Sequence[str], uniforms: Sequence[str], outputs: Sequence[Value]) -> Program:
    """Give the program that computes the outputs, in the order the values were made; what none needs is dropped."""
    needed: set[Value] = set()
    waiting = list(outputs)
    while waiting:
        value = waiting.pop()
        if value not in needed:
            needed.add(value)
            waiting.extend(value.arguments)
    computed = [value for value in builder.made if value in needed and value.operation not in ("input", "constant")]
    sums = [value for value in computed if value.operation == "sum"]
    for value in computed:
        if value.varies and value.follows_sum:
            raise TraceError("a number of each example depends on a sum over the examples; expected one pass over them")
    scalar = [value for value in computed if value.operation != "sum" and not value.varies]
    return Program(
        builder.dtype,
        tuple(rows),
        tuple(uniforms),
        before=tuple(value for value in scalar if not value.follows_sum),
        example=tuple(value for value in computed if value.varies),
        sums=tuple(sums),
        after=tuple(value for value in scalar if value.follows_sum),
        outputs=tuple(outputs),
    )


def inputs(values: Iterable[Value]) -> list[Value]:
    """Give the inputs that are among the values or their arguments, each once."""
    read = [read for value in values for read in (value, *value.arguments)]
    return [value for value in dict.fromkeys(read) if value.operation == "input"]


def interpret(program: Program, examples: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    """Run a program one operation at a time: slowly, and by definition rightly.

    Parameters
    ----------
    program : Program
        What to run.
    examples : ndarray (rows, m)
        The numbers of each example, one example per column, in the program's dtype.
    uniforms : ndarray (uniforms,)
        The numbers that are the same for all examples.

    Returns
    -------
    ndarray (outputs,)
        The results.
    """
    dtype = np.dtype(program.dtype)
    if examples.dtype != dtype or uniforms.dtype != dtype:
        raise DataError(f"the numbers are {examples.dtype} and {uniforms.dtype}; the program is {dtype}")
    known: dict[Value, np.ndarray] = {}

    def result(value: Value) -> np.ndarray:
        if value.operation == "input":
            source = value.attribute
            return examples[source.place] if source.varies else uniforms[source.place : source.place + 1]
        if value.operation == "constant":
            return np.array([value.attribute], dtype if value.kind == "float" else INTEGER_OF[program.dtype])
        return known[value]

    with np.errstate(all="ignore"):
        for value in (*program.before, *program.example, *program.sums, *program.after):
            arguments = [result(argument) for argument in value.arguments]
            if value.operation == "sum":
                terms = np.broadcast_to(arguments[0], examples.shape[1:])
                known[value] = sum_over_examples(terms)
            else:
                known[value] = OPERATIONS[value.operation].meaning(*arguments)
        return np.concatenate([result(value) for value in program.outputs])


def sum_over_examples(terms: np.ndarray) -> np.ndarray:
    """Add the terms (m,) of the examples in the one order all devices share, giving an array (1,).

    Notes
    -----
    Tiles of 16 rows of 32 lanes: each lane adds its terms in row order from +0; the lanes of a tile are added by
    halving; the tiles are added as in `add_tree`. A missing term at the end of the last tile is +0, which changes no
    lane's sum, since a sum that starts from +0 is never -0.
    """
    tiles = -(-len(terms) // TILE)
    padded = np.zeros(tiles * TILE, terms.dtype)
    padded[: len(terms)] = terms
    lanes = np.zeros((tiles, LANES), terms.dtype)
    for row in range(TILE_ROWS):
        lanes = lanes + padded.reshape(tiles, TILE_ROWS, LANES)[:, row]
    while lanes.shape[1] > 1:
        half = lanes.shape[1] // 2
        lanes = lanes[:, :half] + lanes[:, half:]
    return add_tree(lanes)


def add_tree(parts: np.ndarray) -> np.ndarray:
    """Add the parts (n, ...) along the first axis in the shape of a binary tree, giving an array (...).

    Notes
    -----
    A tree over n > 1 parts is that over the first k plus that over the others, k the largest power of two below n. So
    the parts may be the sums of tiles, or of equal aligned runs of 2**i tiles (the last run may be shorter).
    """
    parts = parts.copy()
    width = 1
    while width < len(parts):
        right = parts[width :: 2 * width]
        parts[: len(right) * 2 * width : 2 * width] += right
        width *= 2
    total: np.ndarray = parts[0]
    return total


def _fma(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Give a * b + c with one rounding."""
    if a.dtype == np.float32:
        product = a.astype(np.float64) * b.astype(np.float64)  # exact: 24 + 24 bits fit in 53
        addend = c.astype(np.float64)
        total = product + addend
        rest = total - product
        error = (product - (total - rest)) + (addend - rest)
        # Rounding twice is right if the first rounding is to odd: an inexact even sum moves one step towards the error.
        even = (total.view(np.int64) & 1) == 0
        inexact = np.isfinite(total) & (error != 0)
        toward = np.where(error > 0, np.inf, -np.inf)
        return np.where(inexact & even, np.nextafter(total, toward), total).astype(np.float32)
    exact: np.ndarray = _fma_one_by_one(a, b, c).astype(np.float64)
    return exact


def _fma_float64(a: float, b: float, c: float) -> float:
    if np.isinf(c) and np.isfinite((a, b)).all():
        return c  # whatever the size of the product
    rough = a * b + c
    if not np.isfinite((a, b, c)).all():
        return rough
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    if exact == 0:
        return rough  # the sign of zero follows the signs of product and addend
    try:
        return exact.numerator / exact.denominator  # Python rounds the quotient of integers once, correctly
    except OverflowError:
        return float("inf") if exact > 0 else float("-inf")


_fma_one_by_one = np.frompyfunc(_fma_float64, 3, 1)


def _to_bits(a: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(a).view(INTEGER_OF[a.dtype.name])


def _from_bits(a: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(a).view({"int64": "float64", "int32": "float32"}[a.dtype.name])


OPERATIONS = {
    "add": Operation(("float", "float"), "float", np.add),
    "sub": Operation(("float", "float"), "float", np.subtract),
    "mul": Operation(("float", "float"), "float", np.multiply),
    "div": Operation(("float", "float"), "float", np.divide),
    "neg": Operation(("float",), "float", np.negative),
    "abs": Operation(("float",), "float", np.abs),
    "fma": Operation(("float", "float", "float"), "float", _fma),
    "less": Operation(("float", "float"), "bool", np.less),
    "less_equal": Operation(("float", "float"), "bool", np.less_equal),
    "select": Operation(("bool", "float", "float"), "float", np.where),
    "to_bits": Operation(("float",), "int", _to_bits),
    "from_bits": Operation(("int",), "float", _from_bits),
    "int_add": Operation(("int", "int"), "int", np.add),
    "int_sub": Operation(("int", "int"), "int", np.subtract),
    "shift_left": Operation(("int", "int"), "int", np.left_shift),
    "shift_right": Operation(("int", "int"), "int", np.right_shift),  # copies the sign
}

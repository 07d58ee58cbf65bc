"""An array module that records. Functions written for ``xp`` run on it unchanged; what they do becomes a `Program`.

A recorded array knows whether it has one column for each example. Element by element it stands for all of them, and
sums along that axis become sums over the examples.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from nn_backend.compiler.program import KINDS, Builder, Ending, Program, Value
from nn_backend.errors import TraceError

ALLOWED = (
    "+, -, *, /, unary -, @, <, <=, >, >=, ==, xp.exp, xp.log1p, xp.sqrt, xp.abs, xp.maximum, xp.minimum, xp.where, "
    "xp.sum, xp.max, xp.min, xp.argmax, xp.matrix_transpose, and Python numbers"
)


def record(
    function: Callable[..., Mapping[str, "Traced"]],
    *,
    dtype: str,
    examples: Mapping[str, int],
    own: Mapping[str, int] | None = None,
    state: Mapping[str, tuple[int, int]],
    numbers: Sequence[str] = (),
    endings: Mapping[str, bool] | None = None,
) -> Program:
    """Run a function on recorded arrays and return what it did as a program.

    Parameters
    ----------
    function : callable
        Called with ``xp`` and one array for each name; returns recorded arrays by name. Where these have the names and
        shapes of ``state``, they are the next state. Under a name of ``endings``, it returns comparisons.
    dtype : str
        ``"float64"`` or ``"float32"``.
    examples : mapping of str to int
        Names of arrays with one example per column, and how many rows they have.
    own : mapping of str to int, optional
        The same of arrays of which each network has its own.
    state : mapping of str to (rows, columns)
        Names and shapes of arrays that are the same for all examples.
    numbers : sequence of str
        Names of numbers that are the same for all examples.
    endings : mapping of str to bool, optional
        Names of what ends a run, and whether it does so where all of its comparisons hold, or where not all do.

    Raises
    ------
    TraceError
        If the function does what cannot be recorded.
    """
    build = Builder(dtype)
    inputs = (
        tuple(build.input(name, rows, varies=True) for name, rows in examples.items()),
        tuple(build.input(name, rows, varies=True) for name, rows in (own or {}).items()),
        tuple(build.input(name, *shape, varies=False) for name, shape in state.items()),
        tuple(build.input(name, 1, varies=False) for name in numbers),
    )
    arrays = {value.attribute: Traced(build, value) for values in inputs for value in values}
    results = function(xp=Recorder(), **arrays)
    if not isinstance(results, Mapping):
        raise TraceError(f"the function returned {type(results).__name__}; expected arrays by name")
    ends = {name: Ending(_truths(results[name]), holds) for name, holds in (endings or {}).items() if name in results}
    results = {name: result for name, result in results.items() if name not in ends}
    for result in results.values():
        if not isinstance(result, Traced):
            raise TraceError(
                f"the function returned {type(result).__name__}; expected arrays it computed from its arguments"
            )
        if result.value.kind != "f":
            raise TraceError("the function returned the result of a comparison; expected numbers")
        if result.transposed:
            raise TraceError("the function returned a transposed array; expected it as it was computed")
        if result.value.varies and result.value.operation == "input":
            raise TraceError("the function returned examples as they were given; expected what it computed from them")
    names = state if results.keys() == state.keys() else results  # what replaces the state stands in its order
    outputs = {name: results[name].value for name in names}
    values = [*outputs.values(), *(value for ending in ends.values() for value in ending.values)]
    return Program(dtype, *inputs, needed(build, values), outputs, ends)


def _truths(comparisons: Any) -> tuple[Value, ...]:
    values = tuple(comparison.value for comparison in comparisons if isinstance(comparison, Traced))
    if len(values) < len(comparisons) or any(value.kind != "b" or value.varies for value in values):
        raise TraceError("an ending is no comparison, or differs between examples; expected comparisons that do not")
    return values


def needed(build: Builder, outputs: Any) -> tuple[Value, ...]:
    """Return the computed values that the outputs need, in the order they were made."""
    found: set[Value] = set()
    waiting = list(outputs)
    while waiting:
        value = waiting.pop()
        if value not in found:
            found.add(value)
            waiting.extend(value.arguments)
    return tuple(v for v in build.made.values() if v in found and v.operation not in ("input", "constant"))


def _operator(operation: str, *order: int) -> Callable[..., "Traced"]:
    return lambda *operands: apply(operation, *(operands[k] for k in order))


class Traced:
    """A recorded array: a value, perhaps looked at transposed."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, build: Builder, value: Value, transposed: bool = False) -> None:
        self.build = build
        self.value = value
        self.transposed = transposed

    def __str__(self) -> str:
        """Return the shape in words, m standing for the examples."""
        sizes = [str(self.value.rows), "m" if self.value.varies else str(self.value.columns)]
        comparison = " of a comparison" * (self.value.kind == "b")
        return f"({', '.join(reversed(sizes) if self.transposed else sizes)}){comparison}"

    __add__, __radd__ = _operator("add", 0, 1), _operator("add", 1, 0)
    __sub__, __rsub__ = _operator("sub", 0, 1), _operator("sub", 1, 0)
    __mul__, __rmul__ = _operator("mul", 0, 1), _operator("mul", 1, 0)
    __truediv__, __rtruediv__ = _operator("div", 0, 1), _operator("div", 1, 0)
    __lt__, __le__ = _operator("less", 0, 1), _operator("less_equal", 0, 1)
    __gt__, __ge__ = _operator("less", 1, 0), _operator("less_equal", 1, 0)
    __eq__ = _operator("equal", 0, 1)  # type: ignore[assignment]
    __neg__ = _operator("neg", 0)

    def __matmul__(self, other: Any) -> "Traced":
        """Return the matrix product: over examples a sum of products, in each example mul, fma, fma, ... in order."""
        if not isinstance(other, Traced):
            refuse(f"@ with an operand of type {type(other).__name__}")
        a, b = self.value, other.value
        numbers = a.kind + b.kind == "ff"
        if numbers and a.varies and b.varies and other.transposed and not self.transposed:
            return Traced(self.build, self.build.sum(a, b))
        fits = b.varies and not other.transposed and not a.varies and a.shape[not self.transposed] == b.rows
        if not fits or not numbers:
            refuse(f"@ of shapes {self} and {other} (it takes (n, k) and (k, m), or (n, m) and (m, k))")
        return Traced(self.build, self.build.product(a, b, transposed=self.transposed))

    def __getattr__(self, name: str) -> NoReturn:
        refuse(f"the attribute .{name}")


def apply(operation: str, *operands: Any) -> Traced:
    """Record an element-wise operation on arrays and Python numbers."""
    like = next((operand for operand in operands if isinstance(operand, Traced)), None)
    if like is None:
        refuse(f"a function of {', '.join(type(operand).__name__ for operand in operands)}")
    for operand in operands:
        if not isinstance(operand, Traced) and type(operand) not in (int, float):
            refuse(f"an operand of type {type(operand).__name__}")  # NumPy's scalars would decide the dtype elsewhere
    arrays = [operand for operand in operands if isinstance(operand, Traced)]
    values = [array.value for array in arrays]
    rows, columns = max(value.rows for value in values), max(value.columns for value in values)
    varies = any(value.varies for value in values)
    for array in arrays:
        one = array.value.shape == (1, 1)
        fits = array.value.rows in (1, rows) and columns == 1 if varies else array.value.shape == (rows, columns)
        if array.transposed or not (one or fits):
            refuse(f"an operation on the shapes {', '.join(map(str, arrays))}")
    operands = tuple(operand.value if isinstance(operand, Traced) else operand for operand in operands)
    return Traced(like.build, like.build.apply(operation, *operands))


def _refusal(what: str) -> Callable[..., NoReturn]:
    return lambda self, *arguments, **keywords: refuse(what)


for _methods, _what in {
    "bool float int index complex len iter getitem setitem": "a value that is needed while recording",
    "contains round ne": "a value that is needed while recording",
    "pos abs invert and rand or ror xor rxor pow rpow mod rmod floordiv rfloordiv": "this operator",
    "divmod rdivmod lshift rlshift rshift rrshift": "this operator",
    "rmatmul": "@ with an array that is not recorded",
    "iadd isub imul itruediv imatmul ipow imod ifloordiv": "an operator in place (+= and the like)",
    "array array_ufunc array_function dlpack": "conversion to NumPy or a function of NumPy",
}.items():
    for _method in _methods.split():
        setattr(Traced, f"__{_method}__", _refusal(f"{_what} (__{_method}__)"))
for _name in ("__array_struct__", "__array_interface__"):  # NumPy reads these before it calls a method
    setattr(Traced, _name, property(_refusal(f"conversion to NumPy or a function of NumPy ({_name})")))


class Recorder:
    """The array module given to the function."""

    def matrix_transpose(self, x: Any) -> Traced:
        """Return the array looked at the other way round."""
        if not isinstance(x, Traced):
            refuse(f"xp.matrix_transpose of {type(x).__name__}")
        return Traced(x.build, x.value, not x.transposed)

    def sum(self, x: Any, *, axis: Any = None, keepdims: bool = False) -> Traced:
        """Return the sum along the axes: first each example's own rows, in order, then over the examples."""
        rows, examples = self._axes("sum", x, axis, keepdims)
        value = x.build.fold("add", x.value) if rows else x.value
        return Traced(x.build, x.build.sum(value) if examples else value)

    def __getattr__(self, name: str) -> Callable[..., Traced]:
        operations = {"maximum": "max", "minimum": "min", "where": "select"}
        if name in ("max", "min", "argmax"):
            return functools.partial(self._fold, name)
        if name not in (*operations, "exp", "log1p", "sqrt", "abs"):
            refuse(f"xp.{name}")
        return functools.partial(self._apply, name, operations.get(name, name))

    def _apply(self, name: str, operation: str, *operands: Any, **keywords: Any) -> Traced:
        if keywords or len(operands) != len(KINDS[operation].split()[0]):
            refuse(f"xp.{name} of {len(operands)} arrays{''.join(f' and {keyword}' for keyword in keywords)}")
        return apply(operation, *operands)

    def _fold(self, name: str, x: Any, *, axis: Any = None, keepdims: bool = False) -> Traced:
        if self._axes(name, x, axis, keepdims) != (True, False):
            refuse(f"xp.{name} over the examples")
        return Traced(x.build, x.build.fold(name, x.value))

    def _axes(self, name: str, x: Any, axis: Any, keepdims: bool) -> tuple[bool, bool]:
        """Return whether the rows and whether the examples are meant."""
        axes = {-2: (True, False), -1: (False, True), (-2, -1): (True, True)}
        if not isinstance(x, Traced) or x.transposed or not x.value.varies or x.value.kind != "f":
            shape = f"shape {x} (it takes numbers of each example, (n, m))"
            refuse(f"xp.{name} of {shape if isinstance(x, Traced) else type(x).__name__}")
        if axis not in list(axes) or keepdims != (axis != (-2, -1)):
            refuse(f"xp.{name} over axis {axis} of shape {x} (-1 or -2 with keepdims=True, or both, (-2, -1), without)")
        return axes[axis]


def refuse(what: str) -> NoReturn:
    """Raise with what is allowed."""
    raise TraceError(f"{what} cannot be recorded; allowed are {ALLOWED}")

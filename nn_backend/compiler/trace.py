"""An array module that records. Functions written for ``xp`` run on it unchanged; what they do becomes a `Program`.

A recorded array knows which of its axes is that of the examples. Along that axis it holds one value that stands for all
of them: element-wise operations become operations on one example, and sums along it become sums over the examples.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from nn_backend.compiler import functions
from nn_backend.compiler.program import Builder, Program, Value, finish
from nn_backend.errors import TraceError

ALLOWED = (
    "+, -, *, /, unary -, @, <, <=, >, >=, xp.exp, xp.log1p, xp.abs, xp.sum, xp.where, xp.matrix_transpose, "
    "and Python numbers"
)


def record(
    function: Callable[..., Sequence["Traced"]],
    *,
    dtype: str,
    examples: Mapping[str, int],
    uniforms: Mapping[str, tuple[int, ...]],
) -> Program:
    """Run a function on recorded arrays and give what it did as a program.

    Parameters
    ----------
    function : callable
        Called with ``xp`` and one array for each name; gives a sequence of arrays that do not differ between examples.
    dtype : str
        ``"float64"`` or ``"float32"``.
    examples : mapping of str to int
        Names of arrays with one example per column, and how many rows they have.
    uniforms : mapping of str to shape
        Names and shapes of arrays that are the same for all examples; () for a number.

    Returns
    -------
    Program
        Its rows are those of ``examples`` in turn; its uniforms and outputs the arrays' elements in row-major order.

    Raises
    ------
    TraceError
        If the function does what cannot be recorded.
    """
    builder = Builder(dtype)
    arrays: dict[str, Traced] = {}
    rows: list[str] = []
    for name, count in examples.items():
        grid = np.empty((count, 1), object)
        for k in range(count):
            grid[k, 0] = builder.input(f"{name}[{k}]", len(rows), varies=True)
            rows.append(f"{name}[{k}]")
        arrays[name] = Traced(grid, examples_axis=-1)
    numbers: list[str] = []
    for name, shape in uniforms.items():
        grid = np.empty(shape, object)
        for index in np.ndindex(shape):
            label = f"{name}[{','.join(map(str, index))}]" if shape else name
            grid[index] = builder.input(label, len(numbers), varies=False)
            numbers.append(label)
        arrays[name] = Traced(grid)
    outputs: list[Value] = []
    results = function(xp=_Recorder(), **arrays)
    if not isinstance(results, tuple | list):
        raise TraceError(f"the function gave {type(results).__name__}; expected a tuple of arrays")
    for result in results:
        if not isinstance(result, Traced):
            raise TraceError(
                f"the function gave {type(result).__name__}; expected arrays it computed from its arguments"
            )
        if result.examples_axis is not None:
            raise TraceError(
                "the function gave an array with one entry per example; only sums over them can be results"
            )
        if any(value.kind != "float" for value in result.grid.flat):
            raise TraceError("the function gave the result of a comparison; expected numbers")
        outputs.extend(result.grid.flat)
    return finish(builder, rows, numbers, outputs)


class Traced:
    """A recorded array.

    Parameters
    ----------
    grid : ndarray of Value
        One value for each element; length 1 along the axis of the examples.
    examples_axis : int, optional
        -1 or -2, counted from the end.
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, grid: np.ndarray, examples_axis: int | None = None) -> None:
        self.grid = grid
        self.examples_axis = examples_axis

    def __add__(self, other: Any) -> "Traced":
        return _elementwise(lambda a, b: a + b, self, other)

    def __radd__(self, other: Any) -> "Traced":
        return _elementwise(lambda a, b: a + b, other, self)

    def __sub__(self, other: Any) -> "Traced":
        return _elementwise(lambda a, b: a - b, self, other)

    def __rsub__(self, other: Any) -> "Traced":
        return _elementwise(lambda a, b: a - b, other, self)

    def __mul__(self, other: Any) -> "Traced":
        return _elementwise(lambda a, b: a * b, self, other)

    def __rmul__(self, other: Any) -> "Traced":
        return _elementwise(lambda a, b: a * b, other, self)

    def __truediv__(self, other: Any) -> "Traced":
        return _elementwise(lambda a, b: a / b, self, other)

    def __rtruediv__(self, other: Any) -> "Traced":
        return _elementwise(lambda a, b: a / b, other, self)

    def __neg__(self) -> "Traced":
        return _elementwise(lambda a: -a, self)

    def __lt__(self, other: Any) -> "Traced":
        return _elementwise(lambda a, b: a < b, self, other)

    def __le__(self, other: Any) -> "Traced":
        return _elementwise(lambda a, b: a <= b, self, other)

    def __gt__(self, other: Any) -> "Traced":
        return _elementwise(lambda a, b: a > b, self, other)

    def __ge__(self, other: Any) -> "Traced":
        return _elementwise(lambda a, b: a >= b, self, other)

    def __matmul__(self, other: Any) -> "Traced":
        """Give the matrix product: over examples a sum of rounded products, else mul, fma, fma, ... in order."""
        right = _traced(other, self)
        if self.grid.ndim != 2 or right.grid.ndim != 2:
            _refuse(f"@ of arrays with {self.grid.ndim} and {right.grid.ndim} axes; two matrices are allowed")
        over_examples = self.examples_axis == -1
        if over_examples != (right.examples_axis == -2) or self.grid.shape[1] != right.grid.shape[0]:
            _refuse(f"@ of shapes {_shape(self)} and {_shape(right)}")
        if self.examples_axis == -2 and right.examples_axis == -1:
            _refuse("@ with one entry for each pair of examples")
        grid = np.empty((self.grid.shape[0], right.grid.shape[1]), object)
        for i, j in np.ndindex(grid.shape):
            row, column = self.grid[i, :], right.grid[:, j]
            total = row[0] * column[0]
            if over_examples:
                total = total.builder.sum(total)
            for a, b in zip(row[1:], column[1:], strict=True):
                total = a.builder.apply("fma", a, b, total)
            grid[i, j] = total
        axis = -2 if self.examples_axis == -2 else -1 if right.examples_axis == -1 else None
        return Traced(grid, axis)

    def __getattr__(self, name: str) -> NoReturn:
        _refuse(f"the attribute .{name}")


def _refusal(what: str) -> Callable[..., NoReturn]:
    def refuse(self: Traced, *arguments: Any, **keywords: Any) -> NoReturn:
        _refuse(what)

    return refuse


for _methods, _what in {
    "bool float int index complex len iter getitem setitem": "a value that is needed while recording",
    "contains round eq ne": "a value that is needed while recording",
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


class _Recorder:
    """The array module given to the function."""

    def exp(self, x: Traced) -> Traced:
        return _elementwise(functions.exp, x)

    def log1p(self, x: Traced) -> Traced:
        return _elementwise(functions.log1p, x)

    def abs(self, x: Traced) -> Traced:
        return _elementwise(abs, x)

    def where(self, condition: Traced, x: Any, y: Any) -> Traced:
        return _elementwise(lambda c, a, b: c.builder.apply("select", c, a, b), condition, x, y)

    def matrix_transpose(self, x: Traced) -> Traced:
        if not isinstance(x, Traced) or x.grid.ndim < 2:
            _refuse(f"xp.matrix_transpose of {_words(x)}")
        axis = None if x.examples_axis is None else -3 - x.examples_axis
        return Traced(np.matrix_transpose(x.grid), axis)

    def sum(
        self, x: Traced, *, axis: int | tuple[int, ...] | None = None, keepdims: bool = False, **others: Any
    ) -> Traced:
        """Give the sum along the axes: first each example's own, in order, then over the examples."""
        if not isinstance(x, Traced) or others:
            _refuse(f"xp.sum of {type(x).__name__} with {', '.join(others) or 'an axis'}")
        given = axis if isinstance(axis, tuple) else (axis,)
        axes = sorted({a for a in given if isinstance(a, int) and -x.grid.ndim <= a < 0})
        if len(axes) < len(given):
            _refuse(f"xp.sum over axis {axis} of shape {_shape(x)} (axes are named, and count from the end)")
        grid = x.grid
        for a in axes:
            if a != x.examples_axis:
                grid = np.add.reduce(grid, axis=a, keepdims=True)  # NumPy adds objects one by one, from the first
        if x.examples_axis in axes:
            grid = _apply(lambda value: value.builder.sum(value), grid)
        axis_left = None if x.examples_axis in axes else x.examples_axis
        if not keepdims:
            if axis_left == -2 and -1 in axes:
                axis_left = -1
            grid = _as_grid(np.squeeze(grid, axis=tuple(axes)))
        return Traced(grid, axis_left)

    def __getattr__(self, name: str) -> NoReturn:
        _refuse(f"xp.{name}")


def _elementwise(operation: Callable[..., Value], *operands: Any) -> Traced:
    like = next((operand for operand in operands if isinstance(operand, Traced)), None)
    if like is None:
        _refuse(f"a function of {', '.join(type(operand).__name__ for operand in operands)}")
    arrays = [_traced(operand, like) for operand in operands]
    try:
        shape = np.broadcast_shapes(*(array.grid.shape for array in arrays))
    except ValueError:
        _refuse(f"an operation on the shapes {', '.join(map(_shape, arrays))}")
    axes = {array.examples_axis for array in arrays if array.examples_axis is not None}
    if len(axes) > 1 or any(shape[axis] != 1 for axis in axes):
        _refuse(f"an operation on the shapes {', '.join(map(_shape, arrays))}")
    return Traced(_apply(operation, *(array.grid for array in arrays)), axes.pop() if axes else None)


def _apply(operation: Callable[..., Value], *grids: np.ndarray) -> np.ndarray:
    return _as_grid(np.frompyfunc(operation, len(grids), 1)(*grids))


def _as_grid(values: Any) -> np.ndarray:
    """Give an object array also where NumPy gave the one object that it would hold."""
    if isinstance(values, np.ndarray):
        return values
    grid = np.empty((), object)
    grid[()] = values
    return grid


def _traced(operand: Any, like: Traced) -> Traced:
    if isinstance(operand, Traced):
        return operand
    if type(operand) not in (int, float):  # NumPy's scalars would decide the dtype elsewhere
        _refuse(f"an operand of type {type(operand).__name__}")
    return Traced(_as_grid(like.grid.flat[0].builder.constant(operand)))


def _shape(array: Traced) -> str:
    """Give the shape in words, m standing for the examples."""
    sizes = [str(size) for size in array.grid.shape]
    if array.examples_axis is not None:
        sizes[array.examples_axis] = "m"
    return f"({', '.join(sizes)})"


def _words(operand: Any) -> str:
    return f"shape {_shape(operand)}" if isinstance(operand, Traced) else type(operand).__name__


def _refuse(what: str) -> NoReturn:
    raise TraceError(f"{what} cannot be recorded; allowed are {ALLOWED}")

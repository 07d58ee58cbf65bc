"""What a program means: it is run one operation at a time on whole arrays, in NumPy.

This is the definition that every compiled kernel is held to, bit by bit.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from nn_backend.compiler.functions import EXPANSIONS, expansion
from nn_backend.compiler.program import INTEGER_OF, LANES, STRIP, TILE_ROWS, Program, Value
from nn_backend.errors import DataError

Arrays = Mapping[str, np.ndarray]


def interpret(program: Program, examples: Arrays, state: Arrays, numbers: Arrays) -> dict[str, np.ndarray]:
    """Run a program once: slowly, and by definition rightly.

    Parameters
    ----------
    program : Program
        What to run.
    examples : mapping of str to ndarray (rows, m)
        One example per column, in the program's dtype; also those that are a network's own.
    state : mapping of str to ndarray (rows, columns)
        What is the same for all examples.
    numbers : mapping of str to ndarray ()
        Numbers of the program's dtype.

    Returns
    -------
    dict of str to ndarray
        The results, of shape (rows, columns), or (rows, m) where they differ between examples; and, as arrays () of
        bool, whether the run ends, by the name of the ending.
    """
    given = {**examples, **state, **numbers}
    known: dict[Value, np.ndarray] = {}
    m = given[program.examples[0].attribute].shape[1]
    for value in (*program.examples, *program.own, *program.state, *program.numbers):
        array = np.asarray(given[value.attribute])
        if array.dtype != program.dtype:
            raise DataError(f"{value.attribute} is {array.dtype}; the program is {program.dtype}")
        known[value] = array.reshape(value.rows, m if value.varies else value.columns)
    with np.errstate(all="ignore"):
        for value in program.values:
            known[value] = _compute(value, known, program.dtype)
    results = {
        name: np.broadcast_to(known[value], (value.rows, m if value.varies else value.columns)).copy()
        for name, value in program.results.items()
    }
    ends = {name: all(known[v].all() for v in values) == holds for name, (values, holds) in program.endings.items()}
    return results | {name: np.array(end) for name, end in ends.items()}


def _compute(value: Value, known: dict[Value, np.ndarray], dtype: str) -> np.ndarray:
    """Return what an operation on known arguments gives."""
    arrays = []
    for argument in value.arguments:
        if argument.operation == "constant":
            known[argument] = np.full((1, 1), argument.attribute, dtype if argument.kind == "f" else INTEGER_OF[dtype])
        arrays.append(known[argument])
    if value.operation == "product":
        matrix, x = arrays[0].T if value.attribute else arrays[0], arrays[1]
        total: np.ndarray = matrix[:, :1] * x[:1]
        for k in range(1, len(x)):
            total = fma(matrix[:, k : k + 1], x[k : k + 1], total)
        return total
    if value.operation == "fold":
        total, first = arrays[0][:1], np.zeros_like(arrays[0][:1])
        for number, row in enumerate(arrays[0][1:], start=1):
            first = np.where(total < row[None], np.array(number, dtype), first)
            total = apply("max" if value.attribute == "argmax" else value.attribute, dtype, total, row[None])
        return first if value.attribute == "argmax" else total
    if value.operation == "sum":
        return sum_over_examples(*arrays)
    return apply(value.operation, dtype, *arrays)


def apply(operation: str, dtype: str, *arrays: np.ndarray) -> np.ndarray:
    """Return what an element-wise operation gives on arrays of a dtype."""
    if operation not in EXPANSIONS:
        result: np.ndarray = MEANING[operation](*arrays)
        return result
    sequence = expansion(operation, dtype)
    known = dict(zip(sequence.arguments, arrays, strict=True))
    for value in sequence.values:
        known[value] = _compute(value, known, dtype)
    return known[sequence.values[-1]]


def sum_over_examples(left: np.ndarray, right: np.ndarray | None = None) -> np.ndarray:
    """Add in the one order all devices share: left (rows, m), or its rows times those of right (columns, m).

    Notes
    -----
    Tiles of 8 rows of 16 lanes: each lane adds its terms in row order from +0, products by fma; the lanes of a tile
    are added by halving; the tiles are added as in `add_tree`. Examples are stored in whole strips of 32: those missing
    in the last strip are zeros, in both factors, and are added like all others.
    """
    m = left.shape[1]
    lines = -(-m // STRIP) * (STRIP // LANES)

    def cut(array: np.ndarray) -> np.ndarray:
        padded = np.zeros((len(array), lines * LANES), array.dtype)
        padded[:, :m] = array
        return padded.reshape(len(array), lines, LANES)

    a = cut(left)[:, None]
    b = None if right is None else cut(right)[None]
    total = np.zeros((-(-lines // TILE_ROWS), len(left), 1 if right is None else len(right), LANES), left.dtype)
    for row in range(min(TILE_ROWS, lines)):
        terms = np.moveaxis(a[:, :, row::TILE_ROWS], 2, 0)
        lanes = total[: len(terms)]
        if b is None:
            lanes += terms
        else:
            lanes[...] = fma(terms, np.moveaxis(b[:, :, row::TILE_ROWS], 2, 0), lanes)
    while total.shape[-1] > 1:
        half = total.shape[-1] // 2
        total = total[..., :half] + total[..., half:]
    return add_tree(total[..., 0])


def add_tree(parts: np.ndarray) -> np.ndarray:
    """Add the parts (n, ...) along the first axis in the shape of a binary tree; return an array (...).

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


def fma(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Return a * b + c with one rounding.

    Notes
    -----
    Rounding twice is right if the first rounding is to odd. A product of float32 is exact in float64; one of float64 is
    the sum of two numbers (Dekker), unless it is very large or very small: then fractions do it (S. Boldo and
    G. Melquiond, Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd, 2008).
    """
    if a.dtype == np.float32:
        total, error = _two_sum(a.astype(np.float64) * b.astype(np.float64), c.astype(np.float64))
        return _to_odd(total, error).astype(np.float32)
    product = a * b
    (a_high, a_low), (b_high, b_low) = _halves(a), _halves(b)
    error = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low
    low, lowest = _two_sum(error, c)
    high, middle = _two_sum(product, low)
    result: np.ndarray = high + _to_odd(*_two_sum(middle, lowest))
    largest = np.maximum(np.maximum(np.abs(a), np.abs(b)), np.abs(c))
    hard = ~((np.abs(product) > 1e-250) & (np.abs(product) < 1e290) & (largest < 1e150))
    if hard.any():
        result = np.asarray(result)
        *numbers, hard = np.broadcast_arrays(a, b, c, hard)
        result[hard] = [_fma_exactly(*triple) for triple in zip(*(n[hard].tolist() for n in numbers), strict=True)]
    return result


def _two_sum(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rounded sum and its error (Knuth)."""
    total = a + b
    rest = total - a
    return total, (a - (total - rest)) + (b - rest)


def _halves(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut a float64 into two numbers of 26 bits (Veltkamp)."""
    shifted = x * 134217729.0  # 2**27 + 1
    high = shifted - (shifted - x)
    return high, x - high


def _to_odd(total: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Round to odd: an inexact sum whose last bit is even moves one step towards its error."""
    moves = np.isfinite(total) & (error != 0) & ((np.ascontiguousarray(total).view(np.int64) & 1) == 0)
    return np.where(moves, np.nextafter(total, np.where(error > 0, np.inf, -np.inf)), total)


def _fma_exactly(a: float, b: float, c: float) -> float:
    if np.isinf(c) and np.isfinite((a, b)).all():
        return c  # whatever the size of the product
    rough = a * b + c
    if a == 0 or b == 0 or not np.isfinite((a, b, c)).all():
        return rough
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    if exact == 0:
        return rough  # the sign of zero follows the signs of product and addend
    try:
        return exact.numerator / exact.denominator  # Python rounds the quotient of integers once, correctly
    except OverflowError:
        return float("inf") if exact > 0 else float("-inf")


def _view(kinds: Mapping[str, str]) -> Callable[[np.ndarray], np.ndarray]:
    return lambda array: np.ascontiguousarray(array).view(kinds[array.dtype.name])


MEANING: dict[str, Callable[..., Any]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "fma": fma,
    "neg": np.negative,
    "abs": np.abs,
    "sqrt": np.sqrt,
    "less": np.less,
    "less_equal": np.less_equal,
    "equal": np.equal,
    "select": np.where,
    "to_bits": _view(INTEGER_OF),
    "from_bits": _view({integer: real for real, integer in INTEGER_OF.items()}),
    "int_add": np.add,
    "int_sub": np.subtract,
    "shift_left": np.left_shift,
    "shift_right": np.right_shift,  # copies the sign
}

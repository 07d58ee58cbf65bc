"""The interpreter against MPFR's arithmetic, a transcription of the one order of sums, and NumPy."""

import itertools
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gmpy2
import numpy as np
import pytest
from places import assert_same_bits, compute

from nn_backend.compiler.interpreter import MEANING, add_tree, interpret, sum_over_examples
from nn_backend.compiler.program import INTEGER_OF
from nn_backend.compiler.trace import record
from nn_backend.errors import DataError

DTYPES = {"float64": gmpy2.ieee(64), "float32": gmpy2.ieee(32)}  # MPFR's formats, subnormal numbers among them


@pytest.fixture(params=DTYPES)
def dtype(request: pytest.FixtureRequest) -> str:
    return request.param


def run(function: Callable[..., Mapping[str, Any]], **arrays: np.ndarray) -> dict[str, np.ndarray]:
    """Record a function and interpret it; arrays in capitals are examples, the others state."""
    state = {name: arrays.pop(name) for name in [*arrays] if name.islower()}
    rows, shapes = {name: len(x) for name, x in arrays.items()}, {name: x.shape for name, x in state.items()}
    program = record(function, dtype=arrays["X"].dtype.name, examples=rows, state=shapes)
    return interpret(program, arrays, state, {})


def fma_by_definition(a: float, b: float, c: float, dtype: str) -> float:
    return float(DTYPES[dtype].fma(a, b, c))


def assert_same(actual: np.ndarray, expected: Any, dtype: str) -> None:
    assert_same_bits(actual, np.array(expected, dtype))


def draw_bits(dtype: str, count: int, seed: int = 0) -> np.ndarray:
    """Draw numbers of all magnitudes, subnormal, infinite and NaN among them, by their bits."""
    limits = np.iinfo(INTEGER_OF[dtype])
    return np.random.default_rng(seed).integers(limits.min, limits.max, count, limits.dtype, endpoint=True).view(dtype)


def specials(dtype: str) -> list[float]:
    format_ = np.finfo(dtype)
    sizes = [0.0, format_.smallest_subnormal, format_.smallest_normal, 1 - format_.epsneg, 1.0, 1 + format_.eps, 3.0]
    sizes += [2.0 ** (format_.maxexp // 2), format_.max, math.inf]
    return [sign * float(size) for size in sizes for sign in (1, -1)] + [math.nan]


# fma


def fma_cases(kind: str, dtype: str) -> np.ndarray:
    """Return rows of factors and addends."""
    generator, digits, lowest = np.random.default_rng(0), DTYPES[dtype].precision, np.finfo(dtype).minexp
    if kind == "extreme":
        return np.array(list(itertools.product(specials(dtype), repeat=3)), dtype).T
    if kind == "all magnitudes":
        return draw_bits(dtype, 9000).reshape(3, -1)
    if kind == "overlapping":
        a, b, c = generator.standard_normal((3, 3000)).astype(dtype)
        return np.stack([a, b, np.ldexp(c, generator.integers(-2 * digits - 3, 2 * digits + 3, 3000))])
    if kind == "halfway":  # between two numbers, or next to that by less than the format knows
        near, smallest, largest = 2.0 ** (1 - digits), lowest - digits + 1, np.finfo(dtype).maxexp - digits
        places = (smallest, smallest + 1, smallest + 40, -digits, 0, 7, largest - 1, largest)
        wholes = (2 ** (digits - 1), 2 ** (digits - 1) + 1, 2**digits - 2, 2**digits - 1, 1, 2, 3, 0)
        factors = ((1.0, 1.0), (1 + near, 1 - near), (1.0, 1 + near), (1 - near / 2, 1.0), (3.0, 1.0))
        triples = [
            (one * math.ldexp(left, (last - 1) // 2), math.ldexp(right, last // 2), other * math.ldexp(whole, last))
            for last, whole, (left, right), one, other in itertools.product(places, wholes, factors, (1, -1), (1, -1))
        ]
        return np.array(triples, dtype).T
    border = [-985, -830, 498] if dtype == "float64" else [-80, 100]  # beyond it no product is cut in two
    exponents = generator.choice({"cancelling": [0], "subnormal": [lowest + 5], "border": border}[kind], 2000)
    half = exponents // 2 + generator.integers(-3, 4, 2000)
    a, b = generator.uniform(1, 2, (2, 2000)).astype(dtype)
    a, b = np.ldexp(a, half), np.ldexp(b, exponents - half)
    return np.stack([a, b, -a * b + generator.integers(-2, 3, 2000).astype(dtype) * np.spacing(a * b)])


KINDS = ("extreme", "all magnitudes", "overlapping", "halfway", "cancelling", "subnormal", "border")


@pytest.mark.parametrize("kind", KINDS)
def test_fma_is_exact(kind: str, dtype: str) -> None:
    rows = fma_cases(kind, dtype)
    found = compute("fma", *rows)
    assert_same(found, [fma_by_definition(*triple, dtype) for triple in rows.T.tolist()], dtype)
    if kind == "halfway":  # rounding twice is wrong for some of them, also for float32
        a, b, c = rows.astype("float64")
        with np.errstate(over="ignore"):
            twice = (a * b + c).astype(dtype)
        assert (twice != found).sum() > 20


def test_maximum_and_minimum_of_all_pairs(dtype: str) -> None:
    """The larger of NaN and a number is NaN; of two equal numbers, 0 and -0, the first."""
    pairs = list(itertools.product([math.nan, -math.inf, -1.5, -0.0, 0.0, 1.0, math.inf], repeat=2))
    for name, first in (("max", operator.ge), ("min", operator.le)):
        expected = [math.nan if math.isnan(x) or math.isnan(y) else x if first(x, y) else y for x, y in pairs]
        assert_same(compute(name, *np.array(pairs, dtype).T), expected, dtype)


def test_integers_wrap_and_shifts_copy_the_sign(dtype: str) -> None:
    width, bits = int(dtype[-2:]), draw_bits(dtype, 200).view(INTEGER_OF[dtype])
    meanings = {"int_add": operator.add, "int_sub": operator.sub}
    meanings |= {"shift_left": operator.lshift, "shift_right": operator.rshift}
    for name, meaning in meanings.items():
        other = width // 3 if "shift" in name else 2 ** (width - 1) - 1
        wrapped = [(meaning(a, other) + 2 ** (width - 1)) % 2**width - 2 ** (width - 1) for a in bits.tolist()]
        assert MEANING[name](bits, np.array([other], bits.dtype)).tolist() == wrapped, name


# Sums over the examples


def tree_by_definition(parts: Sequence[np.generic]) -> np.generic:
    if len(parts) == 1:
        return parts[0]
    k = 1 << (len(parts) - 1).bit_length() - 1
    return tree_by_definition(parts[:k]) + tree_by_definition(parts[k:])


def sum_by_definition(left: np.ndarray, right: np.ndarray | None = None) -> np.generic:
    """Strips of 32, then tiles of 8 rows of 16 lanes, halving and a tree, one number after the other."""
    dtype, number = left.dtype.name, left.dtype.type
    right = np.ones_like(left) if right is None else right
    a, b = ([*map(float, x), *[0.0] * (-len(left) % 32)] for x in (left, right))
    tiles = []
    for start in range(0, len(a), 128):
        s = [number(0)] * 16
        for j in range(start, min(start + 128, len(a))):
            s[j % 16] = number(fma_by_definition(a[j], b[j], float(s[j % 16]), dtype))
        for h in (8, 4, 2, 1):
            for lane in range(h):
                s[lane] = s[lane] + s[lane + h]
        tiles.append(s[0])
    return tree_by_definition(tiles)


def draw_terms(m: int, dtype: str, rows: int = 1) -> np.ndarray:
    """Draw terms of which another order of adding gives another sum."""
    generator = np.random.default_rng(m)
    return np.ldexp(generator.standard_normal((rows, m)), generator.integers(-20, 20, (rows, m))).astype(dtype)


MANY = (1, 2, 15, 16, 17, 31, 32, 33, 97, 127, 128, 129, 255, 256, 257, 384, 385, 512, 1300, 2048, 17 * 128)


@pytest.mark.parametrize("m", MANY)
def test_sum_is_lanes_tiles_and_a_tree(m: int, dtype: str) -> None:
    """Also where a product underflows to -0, which its lane keeps unless a missing example of the strip adds +0."""
    X, Y, tiny = draw_terms(m, dtype, 7), draw_terms(m, dtype, 11)[7:], np.finfo(dtype).smallest_normal
    X[2], Y[2], X[3] = -tiny, tiny, -0.0
    X[[4, 5, 6], [m // 2, 0, m - 1]] = math.nan, math.inf, -math.inf
    with np.errstate(invalid="ignore"):
        assert_same(sum_over_examples(X), [[sum_by_definition(x)] for x in X], dtype)
        assert_same(sum_over_examples(X, Y), [[sum_by_definition(x, y) for y in Y] for x in X], dtype)


def test_other_orders_give_other_sums(dtype: str) -> None:
    others = [lambda c: np.cumsum(c)[-1], lambda c: np.sum(c), lambda c: sum_over_examples(c[:, ::-1])[0, 0]]
    draws = [draw_terms(m, dtype) for m in range(4991, 5001)]
    for other in [*others, lambda c: tree_by_definition(c[0])]:
        assert sum(sum_over_examples(terms)[0, 0] != other(terms) for terms in draws) >= 5


def test_tree_splits_at_the_largest_power_of_two(dtype: str) -> None:
    for n in range(1, 71):
        parts = draw_terms(3 * n, dtype).reshape(n, 3)
        parts.flags.writeable = False
        assert_same(add_tree(parts), [tree_by_definition(column) for column in parts.T], dtype)


@pytest.mark.parametrize("k", [1, 3, 7])
def test_product_in_an_example_is_mul_then_fma_in_order(k: int, dtype: str) -> None:
    w, X = draw_terms(3 * k, dtype).reshape(3, k), draw_terms(20, dtype, k)
    results = run(lambda xp, X, w, v: {"a": w @ X, "b": xp.matrix_transpose(v) @ X}, X=X, w=w, v=w.T.copy())
    expected = w[:, :1] * X[:1]
    for (i, j), n in itertools.product(np.ndindex(3, 20), range(1, k)):
        expected[i, j] = fma_by_definition(*map(float, (w[i, n], X[n, j], expected[i, j])), dtype)
    assert_same(np.stack([results["a"], results["b"]]), [expected, expected], dtype)


def test_rows_are_folded_from_the_first_to_the_last_and_then_over_the_examples(dtype: str) -> None:
    """The largest is the first of equal ones, and none from NaN on."""

    def folds(xp: Any, X: Any) -> Mapping[str, Any]:
        along = {name: getattr(xp, name)(X, axis=-2, keepdims=True) for name in ("sum", "max", "min", "argmax")}
        return {**along, "total": xp.sum(X, axis=(-2, -1))}

    X = draw_terms(50, dtype, 6)
    rows = np.cumsum(X, axis=0)[-1]
    assert (rows != X[::-1].sum(axis=0)).any()
    results = run(folds, X=X)
    assert_same(results["sum"], [rows], dtype)
    assert_same(results["total"], [[sum_by_definition(rows)]], dtype)
    X[1, 9], X[2, 9], X[0, 11], X[:4, 7], X[4:, 7], X[[1, 3], 12] = math.nan, 99, math.nan, -0.0, 0.0, 999
    results, first = run(folds, X=X), X.argmax(axis=0)
    for name, choose in (("max", np.max), ("min", np.min)):
        assert np.array_equal(results[name], choose(X, axis=0)[None], equal_nan=True)  # NumPy keeps a NaN too
    first[[9, 11]] = 0  # of the numbers before NaN
    assert_same(results["argmax"], [first], dtype)


def test_arrays_of_another_dtype_or_size_are_refused() -> None:
    sizes = {"examples": {"Y": 1, "X": 2}, "state": {"w": (1, 2)}, "numbers": ["m"]}
    program = record(lambda xp, X, Y, w, m: {"r": w @ X + Y + m}, dtype="float32", **sizes)
    shapes = {"X": (2, 4), "Y": (1, 4), "w": (1, 2), "m": ()}
    arrays = {name: np.ones(shape, "float32") for name, shape in shapes.items()}
    assert interpret(program, arrays, {}, {})["r"].tolist() == [[4.0] * 4]
    for other in ("X", "w", "m"):
        with pytest.raises(DataError, match=f"^{other} is float64; the program is float32$"):
            interpret(program, {**arrays, other: arrays[other].astype("float64")}, {}, {})
        with pytest.raises(ValueError, match="cannot reshape"):
            interpret(program, {**arrays, other: np.ones(3, "float32")}, {}, {})

"""The interpreter against rational arithmetic and a transcription of the reduction; listings; what a program keeps."""

import itertools
import math
import string
import struct
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nn_backend.compiler.llvm import _TEMPLATES
from nn_backend.compiler.program import (
    OPERATIONS,
    Builder,
    Program,
    Value,
    add_tree,
    finish,
    interpret,
    sum_over_examples,
)
from nn_backend.errors import DataError, TraceError

DTYPES = ("float64", "float32")
BITS = {"float64": "int64", "float32": "int32"}
DIGITS = {"float64": 53, "float32": 24}
EXPONENTS = {"float64": (-1022, 1023), "float32": (-126, 127)}


def run(dtype: str, compute: Callable[..., Value], *rows: Sequence[float]) -> np.ndarray:
    """Interpret a computation on each column of the rows."""
    builder = Builder(dtype)
    inputs = [builder.input(f"x{place}", place, varies=True) for place in range(len(rows))]
    program = finish(builder, [value.attribute.name for value in inputs], [], [compute(builder, *inputs)])
    return interpret(program, np.array(rows, dtype), np.zeros(0, dtype))


def apply(dtype: str, operation: str, *rows: Sequence[float]) -> np.ndarray:
    return run(dtype, lambda builder, *inputs: builder.apply(operation, *inputs), *rows)


def rounded(exact: Fraction, dtype: str) -> float:
    """Give the nearest number of the format, of two the one whose last bit is 0; in integers alone."""
    digits, (lowest, highest) = DIGITS[dtype], EXPONENTS[dtype]
    size = abs(exact)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    if size < Fraction(2) ** exponent:
        exponent -= 1
    last = max(exponent, lowest) - (digits - 1)  # the exponent of the last bit
    scaled = size / Fraction(2) ** last
    whole, rest = divmod(scaled.numerator, scaled.denominator)
    whole += 2 * rest > scaled.denominator or (2 * rest == scaled.denominator and whole % 2)
    infinite = whole.bit_length() - 1 + last > highest
    return math.copysign(math.inf if infinite else math.ldexp(whole, last), 1 if exact > 0 else -1)


def fma_by_definition(a: float, b: float, c: float, dtype: str) -> float:
    if math.isnan(a) or math.isnan(b) or math.isnan(c):
        return math.nan
    sign = math.copysign(1, a) * math.copysign(1, b)
    if math.isinf(a) or math.isinf(b):
        invalid = a == 0 or b == 0 or c == -sign * math.inf
        return math.nan if invalid else sign * math.inf
    if math.isinf(c):
        return c
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    if exact == 0:  # +0, unless two zeros that are both negative are added
        return -0.0 if sign < 0 and c == 0 and math.copysign(1, c) < 0 and (a == 0 or b == 0) else 0.0
    return rounded(exact, dtype)


def assert_same(actual: np.ndarray, expected: Sequence[float], dtype: str) -> None:
    """Compare bits, the sign of zero included; of a NaN only that it is one."""
    wanted = np.array(expected, dtype)
    assert actual.dtype == wanted.dtype
    assert actual.shape == wanted.shape
    differ = actual.view(BITS[dtype]) != wanted.view(BITS[dtype])
    differ &= ~(np.isnan(actual) & np.isnan(wanted))
    where = np.flatnonzero(differ)
    assert not where.size, f"{where.size} differ, first at {where[0]}: {actual[where[0]]!r}, not {wanted[where[0]]!r}"


def assert_fma(dtype: str, triples: Sequence[tuple[float, float, float]]) -> None:
    rows = np.array(triples, dtype).T
    expected = [fma_by_definition(a, b, c, dtype) for a, b, c in rows.T.tolist()]
    assert_same(apply(dtype, "fma", *rows), expected, dtype)


def draw_bits(dtype: str, count: int, seed: int = 0) -> np.ndarray:
    """Draw numbers of all magnitudes, subnormal, infinite and NaN among them, by their bits."""
    kind = BITS[dtype]
    limits = np.iinfo(kind)
    return np.random.default_rng(seed).integers(limits.min, limits.max, count, kind, endpoint=True).view(dtype)


def specials(dtype: str) -> list[float]:
    format_ = np.finfo(dtype)
    sizes = [0.0, format_.smallest_subnormal, format_.smallest_normal, 1 - format_.epsneg, 1.0, 1 + format_.eps, 3.0]
    sizes += [2.0 ** (EXPONENTS[dtype][1] // 2 + 1), format_.max, math.inf]
    return [sign * float(size) for size in sizes for sign in (1, -1)] + [math.nan]


# Rounding


@pytest.mark.parametrize("dtype", DTYPES)
def test_rounding_of_this_test_is_that_of_the_format(dtype: str) -> None:
    numbers = draw_bits(dtype, 500)
    numbers = numbers[np.isfinite(numbers) & (numbers != 0)]
    assert_same(np.array([rounded(Fraction(float(x)), dtype) for x in numbers], dtype), numbers.tolist(), dtype)
    one, step = Fraction(1), Fraction(2) ** (1 - DIGITS[dtype])
    assert rounded(one + step / 2, dtype) == 1
    assert rounded(one + step * 3 / 2, dtype) == 1 + 2 * step
    assert rounded(-one - step / 2 - Fraction(1, 2**3000), dtype) == -1 - step
    tiny = Fraction(2) ** (EXPONENTS[dtype][0] - DIGITS[dtype] + 1)
    assert [rounded(tiny * k / 4, dtype) / tiny for k in (1, 2, 3, 6)] == [0, 0, 1, 2]
    beyond = Fraction(2) ** (EXPONENTS[dtype][1] + 1)
    assert rounded(-beyond, dtype) == -math.inf
    assert rounded(beyond - beyond * step / 4, dtype) == math.inf
    assert rounded(beyond - beyond * step / 3, dtype) == np.finfo(dtype).max


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("operation", "exactly"),
    [("add", Fraction.__add__), ("sub", Fraction.__sub__), ("mul", Fraction.__mul__), ("div", Fraction.__truediv__)],
)
def test_arithmetic_is_rounded_once(dtype: str, operation: str, exactly: Callable[..., Fraction]) -> None:
    a, b = draw_bits(dtype, 1000), draw_bits(dtype, 1000, seed=1)
    with np.errstate(all="ignore"):
        b[::2] = (a * np.random.default_rng(2).uniform(-2, 2, 1000).astype(dtype))[::2]
    exact = [
        (x, y, exactly(Fraction(x), Fraction(y)))
        for x, y in zip(a.tolist(), b.tolist(), strict=True)
        if math.isfinite(x) and math.isfinite(y) and y != 0
    ]
    exact = [(x, y, result) for x, y, result in exact if result != 0]
    assert len(exact) > 900
    rows = [[x for x, _, _ in exact], [y for _, y, _ in exact]]
    assert_same(apply(dtype, operation, *rows), [rounded(result, dtype) for _, _, result in exact], dtype)


# fma


@pytest.mark.parametrize("dtype", DTYPES)
def test_fma_is_exact_for_numbers_of_all_magnitudes(dtype: str) -> None:
    assert_fma(dtype, draw_bits(dtype, 9000).reshape(-1, 3))


@pytest.mark.parametrize("dtype", DTYPES)
def test_fma_is_exact_where_product_and_addend_overlap(dtype: str) -> None:
    generator = np.random.default_rng(0)
    a, b = generator.standard_normal((2, 3000)).astype(dtype)
    shift = generator.integers(-DIGITS[dtype] - 3, DIGITS[dtype] + 3, 3000)
    c = np.ldexp(generator.standard_normal(3000).astype(dtype), shift)
    assert_fma(dtype, np.stack([a, b, c], axis=1))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", ["middle", "subnormal"])
def test_fma_is_exact_where_product_and_addend_cancel(dtype: str, scale: str) -> None:
    generator = np.random.default_rng(0)
    a, b = generator.uniform(1, 2, (2, 2000)).astype(dtype)
    if scale == "subnormal":  # what is left is below the smallest normal number
        a, b = np.ldexp(a, EXPONENTS[dtype][0] // 2), np.ldexp(b, EXPONENTS[dtype][0] // 2 + 5)
    product = a * b
    c = -product + generator.integers(-2, 2, 2000, endpoint=True).astype(dtype) * np.spacing(product)
    assert_fma(dtype, np.stack([a, b, c], axis=1))


def halfway_cases(dtype: str) -> list[tuple[float, float, float]]:
    """Addends and products whose sum lies halfway between two neighbours, or next to that by less than two formats."""
    digits, (lowest, highest) = DIGITS[dtype], EXPONENTS[dtype]
    near = 2.0 ** (1 - digits)
    triples = []
    smallest, largest = lowest - digits + 1, highest - digits + 1
    for last in (smallest, smallest + 1, smallest + 40, -digits, 0, 7, largest - 1, largest):
        for whole in (2 ** (digits - 1), 2 ** (digits - 1) + 1, 2**digits - 2, 2**digits - 1, 1, 2, 3, 0):
            addend = math.ldexp(whole, last)
            half = (last - 1) // 2, last - 1 - (last - 1) // 2
            for left, right in ((1.0, 1.0), (1 + near, 1 - near), (1.0, 1 + near), (1 - near / 2, 1.0), (3.0, 1.0)):
                for one, other in itertools.product((1, -1), repeat=2):
                    triples.append((one * math.ldexp(left, half[0]), math.ldexp(right, half[1]), other * addend))
    return triples


@pytest.mark.parametrize("dtype", DTYPES)
def test_fma_is_exact_halfway_between_two_numbers(dtype: str) -> None:
    triples = halfway_cases(dtype)
    assert_fma(dtype, triples)
    rows = np.array(triples, dtype).T.astype("float64")
    with np.errstate(over="ignore"):
        twice = (rows[0] * rows[1] + rows[2]).astype(dtype)  # rounds twice, also for float32
    assert (twice != apply(dtype, "fma", *rows)).sum() > 20


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("finite", [True, False])
def test_fma_of_zeros_infinities_and_extremes(finite: bool, dtype: str) -> None:
    triples = itertools.product(specials(dtype), repeat=3)
    assert_fma(dtype, [triple for triple in triples if all(map(math.isfinite, triple)) == finite])


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
@settings(deadline=None)
def test_fma_is_exact(dtype: str, data: st.DataObject) -> None:
    number = st.floats(width=int(dtype[-2:]))
    a, b, c = (data.draw(number) for _ in "abc")
    if data.draw(st.booleans()):  # cancel, up to a few units in the last place
        with np.errstate(all="ignore"):
            near = -(np.array(a, dtype) * np.array(b, dtype))
            c = float(near + np.spacing(near) * np.array(data.draw(st.integers(-3, 3)), dtype))
    assert_fma(dtype, [(a, b, c)])


# The other operations


@pytest.mark.parametrize("dtype", DTYPES)
def test_neg_and_abs_change_only_the_sign(dtype: str) -> None:
    numbers = specials(dtype)[:-1]
    assert_same(apply(dtype, "neg", numbers), [math.copysign(x, -math.copysign(1, x)) for x in numbers], dtype)
    assert_same(apply(dtype, "abs", numbers), [math.copysign(x, 1) for x in numbers], dtype)
    assert np.isnan(apply(dtype, "neg", [math.nan])).all()
    assert np.isnan(apply(dtype, "abs", [math.nan])).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_comparisons_with_nan_are_false(dtype: str) -> None:
    pairs = list(itertools.product([math.nan, -math.inf, -0.0, 0.0, 1.0, math.inf], repeat=2))
    a, b = zip(*pairs, strict=True)
    assert apply(dtype, "less", a, b).tolist() == [x < y for x, y in pairs]
    assert apply(dtype, "less_equal", a, b).tolist() == [x <= y for x, y in pairs]
    for_nan = run(dtype, lambda builder, x: builder.apply("select", x <= math.inf, 1.0, 0.0), [math.nan, 1.0])
    assert for_nan.tolist() == [0, 1]


@pytest.mark.parametrize("dtype", DTYPES)
def test_select_takes_either_with_its_bits(dtype: str) -> None:
    chosen = run(dtype, lambda builder, x, a, b: builder.apply("select", x < 0.0, a, b), [-1, 1], [-0.0, 3], [2, -0.0])
    assert_same(chosen, [-0.0, -0.0], dtype)


@pytest.mark.parametrize(("dtype", "packed"), [("float64", "<dq"), ("float32", "<fi")])
def test_bits_are_those_of_the_format(dtype: str, packed: str) -> None:
    numbers = [0.0, -0.0, 1.0, -2.5, math.inf, float(np.finfo(dtype).smallest_subnormal)]
    bits = [struct.unpack(packed[0] + packed[2], struct.pack(packed[:2], x))[0] for x in numbers]
    result = apply(dtype, "to_bits", numbers)
    assert result.dtype == BITS[dtype]
    assert result.tolist() == bits
    round_trip = run(dtype, lambda builder, x: builder.apply("from_bits", builder.apply("to_bits", x)), numbers)
    assert_same(round_trip, numbers, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_integers_wrap_and_shifts_copy_the_sign(dtype: str) -> None:
    width = int(dtype[-2:])
    numbers = draw_bits(dtype, 200)
    numbers = numbers[~np.isnan(numbers)]
    bits = numbers.view(BITS[dtype]).tolist()

    def wrapped(integer: int) -> int:
        return (integer + 2 ** (width - 1)) % 2**width - 2 ** (width - 1)

    for operation, other, meaning in (
        ("int_add", 2 ** (width - 1) - 1, lambda a, b: a + b),
        ("int_sub", 2 ** (width - 1) - 1, lambda a, b: a - b),
        ("shift_left", width // 3, lambda a, b: a << b),
        ("shift_right", width // 3, lambda a, b: a >> b),
    ):
        result = run(
            dtype,
            lambda builder, x, name=operation, n=other: builder.apply(name, builder.apply("to_bits", x), n),
            numbers,
        )
        assert result.tolist() == [wrapped(meaning(a, other)) for a in bits], operation


def test_every_operation_has_a_template_with_its_arguments() -> None:
    assert set(_TEMPLATES) == set(OPERATIONS)
    for name, template in _TEMPLATES.items():
        fields = {field for _, field, _, _ in string.Formatter().parse(template) if field and field.isdigit()}
        assert fields == {str(place) for place in range(len(OPERATIONS[name].arguments))}, name


# Sums over the examples


def tree_by_definition(parts: Sequence[np.generic]) -> np.generic:
    if len(parts) == 1:
        return parts[0]
    first = 1
    while 2 * first < len(parts):
        first *= 2
    return tree_by_definition(parts[:first]) + tree_by_definition(parts[first:])


def sum_by_definition(terms: np.ndarray) -> np.generic:
    """Lane, tile, tree, word by word as in the design's section on numerics."""
    tiles = []
    for start in range(0, len(terms), 512):
        s = [terms.dtype.type(0)] * 32
        for j in range(start, min(start + 512, len(terms))):
            s[j % 32] = s[j % 32] + terms[j]
        for h in (16, 8, 4, 2, 1):
            for lane in range(h):
                s[lane] = s[lane] + s[lane + h]
        tiles.append(s[0])
    return tree_by_definition(tiles)


def draw_terms(m: int, dtype: str) -> np.ndarray:
    """Draw terms of which another order of adding gives another sum."""
    generator = np.random.default_rng(m)
    return np.ldexp(generator.standard_normal(m), generator.integers(-20, 20, m)).astype(dtype)


MANY = (1, 2, 31, 32, 33, 511, 512, 513, 1023, 1024, 1025, 1536, 1537, 5000, 8192, 17 * 512, 40_001)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("m", MANY)
def test_sum_is_lanes_tiles_and_a_tree(m: int, dtype: str) -> None:
    terms = draw_terms(m, dtype)
    assert_same(sum_over_examples(terms), [sum_by_definition(terms)], dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_other_orders_give_other_sums(dtype: str) -> None:
    draws = [draw_terms(m, dtype) for m in range(4991, 5001)]
    totals = [sum_over_examples(terms)[0] for terms in draws]
    for other in (lambda c: np.cumsum(c)[-1], lambda c: sum_over_examples(c[::-1])[0], tree_by_definition):
        assert sum(total != other(terms) for total, terms in zip(totals, draws, strict=True)) >= 5
    exact = [math.fsum(terms.tolist()) for terms in draws]
    np.testing.assert_allclose(totals, exact, rtol=1e-3 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("m", MANY)
@pytest.mark.parametrize("k", range(5))
def test_runs_of_tiles_are_nodes_of_the_tree(m: int, k: int, dtype: str) -> None:
    terms = draw_terms(m, dtype)
    run_length = 512 << k
    parts = [sum_over_examples(terms[start : start + run_length]) for start in range(0, m, run_length)]
    assert_same(add_tree(np.stack(parts)), sum_over_examples(terms).tolist(), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", range(1, 71))
def test_tree_splits_at_the_largest_power_of_two(n: int, dtype: str) -> None:
    parts = draw_terms(3 * n, dtype).reshape(n, 3)
    before = parts.copy()
    assert_same(add_tree(parts), [tree_by_definition(column) for column in parts.T], dtype)
    assert_same(parts.ravel(), before.ravel().tolist(), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("m", [1, 31, 512, 513])
def test_sum_of_negative_zeros_is_zero(m: int, dtype: str) -> None:
    assert_same(sum_over_examples(np.full(m, -0.0, dtype)), [0.0], dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("place", [0, 31, 499, 512, 599])
def test_sum_keeps_nan_and_infinity(place: int, dtype: str) -> None:
    terms = np.ones(600, dtype)
    for odd in (math.nan, math.inf, -math.inf):
        terms[place] = odd
        assert_same(sum_over_examples(terms), [odd], dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_interpreter_adds_rounded_products(dtype: str) -> None:
    x, y = draw_terms(2 * 1300, dtype).reshape(2, 1300)
    total = run(dtype, lambda builder, a, b: builder.sum(a * b), x, y)
    assert_same(total, [sum_by_definition(x * y)], dtype)


def test_a_number_that_is_the_same_for_all_examples_is_added_for_each() -> None:
    total = run("float64", lambda builder, x: builder.sum(builder.constant(0.1)), range(700))
    assert_same(total, [sum_by_definition(np.full(700, 0.1))], "float64")


# Programs


def small_program() -> Program:
    builder = Builder("float32")
    x = builder.input("X[0]", 0, varies=True)
    w, rate = (builder.input(name, place, varies=False) for place, name in enumerate(("w", "rate")))
    term = builder.apply("fma", w * 2.0, x, 0.1)
    return finish(builder, ["X[0]"], ["w", "rate"], [w - rate * builder.sum(term), w])


LISTING = """\
program float32: 1 numbers per example, 2 uniform numbers, 1 sums, 2 results
once, before the examples:
  u0 = mul w 2.0
for each example:
  v0 = fma u0 X[0] 0.10000000149011612
over the examples:
  s0 = sum v0
once, after the sums:
  r0 = mul rate s0
  r1 = sub w r0
results:
  r1 w
"""


def test_listing_has_one_line_for_each_operation() -> None:
    assert small_program().listing() == LISTING


def test_listing_is_the_same_each_time() -> None:
    kept = [small_program() for _ in range(20)]  # values at twenty different addresses
    assert {program.listing() for program in kept} == {LISTING}


def test_small_program_means_what_it_says() -> None:
    w, rate = np.float32(0.3), np.float32(0.7)
    x = draw_terms(45, "float32")
    terms = [fma_by_definition(float(w * 2), float(one), float(np.float32(0.1)), "float32") for one in x]
    expected = w - rate * sum_by_definition(np.array(terms, np.float32))
    assert_same(interpret(small_program(), x[None], np.array([w, rate])), [expected, w], "float32")


def test_the_same_operation_is_made_once() -> None:
    builder = Builder("float64")
    x, w = builder.input("x", 0, varies=True), builder.input("w", 0, varies=False)
    assert x * w + 1.0 is x * w + 1
    assert builder.sum(x * w) is builder.sum(x * w)
    assert builder.input("x", 0, varies=True) is x
    assert x - w is not w - x
    program = finish(builder, ["x"], ["w"], [builder.sum(x * w), builder.sum((x * w) * (x * w))])
    assert [value.operation for value in program.example] == ["mul", "mul"]


def test_what_no_result_needs_is_dropped() -> None:
    builder = Builder("float64")
    x, w = builder.input("x", 0, varies=True), builder.input("w", 0, varies=False)
    needed = builder.sum(x * w)
    dead = [w + 1.0, x + w, builder.sum(x), builder.sum(x / w) - 1.0]
    program = finish(builder, ["x"], ["w"], [needed])
    kept = [*program.before, *program.example, *program.sums, *program.after]
    assert kept == [x * w, needed]
    assert all(value in builder.made for value in dead)


def test_zeros_of_either_sign_are_two_constants() -> None:
    builder = Builder("float64")
    assert builder.constant(0.0) is not builder.constant(-0.0)
    assert builder.constant(-0.0) is builder.constant(-0.0)
    assert builder.constant(1.0) is not builder.integer(1)
    program = finish(builder, [], [], [builder.constant(0.0), builder.constant(-0.0)])
    assert_same(interpret(program, np.zeros((0, 1)), np.zeros(0)), [0.0, -0.0], "float64")
    assert "0.0 -0.0" in program.listing()


@pytest.mark.parametrize("dtype", DTYPES)
def test_constants_have_the_programs_dtype(dtype: str) -> None:
    assert Builder(dtype).constant(0.1).attribute == float(np.dtype(dtype).type(0.1))


def test_value_knows_whether_it_varies_and_follows_a_sum() -> None:
    builder = Builder("float64")
    x, w = builder.input("x", 0, varies=True), builder.input("w", 0, varies=False)
    total = builder.sum(x)
    assert [(v.varies, v.follows_sum) for v in (x + w, w * 2.0, total, total * w, total * x)] == [
        (True, False),
        (False, False),
        (False, True),
        (False, True),
        (True, True),
    ]


def test_a_second_pass_over_the_examples_is_refused() -> None:
    builder = Builder("float64")
    x = builder.input("x", 0, varies=True)
    mean = builder.sum(x) / 2.0
    with pytest.raises(TraceError) as caught:
        finish(builder, ["x"], [], [builder.sum(x - mean)])
    assert str(caught.value) == (
        "a number of each example depends on a sum over the examples; expected one pass over them"
    )
    assert isinstance(caught.value, TypeError)


@pytest.mark.parametrize(
    ("compute", "message"),
    [
        (lambda build, x: (x < 1.0) + x, "add of a bool where a float is expected cannot be recorded"),
        (lambda build, x: (x < 1.0) < x, "less of a bool where a float is expected cannot be recorded"),
        (lambda build, x: build.apply("select", x, x, x), "select of a float where a bool is expected"),
        (lambda build, x: build.apply("int_add", x, 1), "int_add of a float where a int is expected"),
        (lambda build, x: build.apply("fma", x, x, build.integer(1)), "fma of a int where a float is expected"),
        (lambda build, x: build.sum(x < 1.0), "the sum of a bool where a float is expected cannot be recorded"),
    ],
)
def test_an_argument_of_another_kind_is_refused(compute: Callable[..., Value], message: str) -> None:
    builder = Builder("float64")
    with pytest.raises(TraceError, match=message):
        compute(builder, builder.input("x", 0, varies=True))


@pytest.mark.parametrize(("examples", "uniforms"), [("float64", "float32"), ("float32", "float64"), ("int64", "int64")])
def test_numbers_of_another_dtype_are_refused(examples: str, uniforms: str) -> None:
    with pytest.raises(DataError) as caught:
        interpret(small_program(), np.zeros((1, 4), examples), np.zeros(2, uniforms))
    assert str(caught.value) == f"the numbers are {examples} and {uniforms}; the program is float32"
    assert isinstance(caught.value, ValueError)

"""Recording: what is allowed agrees with NumPy, and what is not is refused by name."""

import contextlib
import copy
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from nn_backend import equations
from nn_backend.compiler.program import Program, interpret
from nn_backend.compiler.trace import Traced, record
from nn_backend.engines.compiled import score_program, training_program
from nn_backend.equations import Params
from nn_backend.errors import TraceError

DTYPES = ("float64", "float32")
EPS = {dtype: float(np.finfo(dtype).eps) for dtype in DTYPES}
ALLOWED = (
    "cannot be recorded; allowed are +, -, *, /, unary -, @, <, <=, >, >=, xp.exp, xp.log1p, xp.abs, xp.sum, xp.where, "
    "xp.matrix_transpose, and Python numbers"
)

Function = Callable[..., Sequence[Any]]
Arrays = Mapping[str, np.ndarray]


def draw(dtype: str, examples: Mapping[str, int], uniforms: Mapping[str, tuple[int, ...]], m: int) -> Arrays:
    generator = np.random.default_rng(m)
    shapes = {name: (count, m) for name, count in examples.items()} | dict(uniforms)
    return {name: np.asarray(generator.standard_normal(shape).astype(dtype)) for name, shape in shapes.items()}


def run(program: Program, examples: Mapping[str, int], arrays: Arrays) -> np.ndarray:
    """Interpret a program on arrays; those not named in ``examples`` are uniform."""
    rows = [arrays[name] for name in examples]
    numbers = [array.ravel() for name, array in arrays.items() if name not in examples]
    dtype = program.dtype
    m = rows[0].shape[1] if rows else 1
    return interpret(
        program, np.concatenate([np.zeros((0, m), dtype), *rows]), np.concatenate([np.zeros(0, dtype), *numbers])
    )


def both(
    function: Function, dtype: str, examples: Mapping[str, int], uniforms: Mapping[str, tuple[int, ...]], m: int
) -> tuple[np.ndarray, np.ndarray]:
    """Give what the recorded function computes, and what NumPy computes."""
    arrays = draw(dtype, examples, uniforms, m)
    recorded = run(record(function, dtype=dtype, examples=examples, uniforms=uniforms), examples, arrays)
    expected = np.concatenate([np.ravel(result) for result in function(xp=np, **arrays)])
    assert recorded.dtype == expected.dtype == dtype
    assert recorded.shape == expected.shape
    assert expected.any()
    return recorded, expected


# What is allowed agrees with NumPy

ELEMENTWISE = {
    "a + b": lambda a, b, xp: a + b,
    "a - b": lambda a, b, xp: a - b,
    "a * b": lambda a, b, xp: a * b,
    "a / b": lambda a, b, xp: a / b,
    "2 + a - b": lambda a, b, xp: 2 + a - b,
    "0.5 - a * b": lambda a, b, xp: 0.5 - a * b,
    "3 * a + b": lambda a, b, xp: 3 * a + b,
    "1 / a + b": lambda a, b, xp: 1 / a + b,
    "a + 2 - b": lambda a, b, xp: a + 2 - b,
    "a * 3 - b": lambda a, b, xp: a * 3 - b,
    "a / 7 + b": lambda a, b, xp: a / 7 + b,
    "a - 0.1 + b": lambda a, b, xp: a - 0.1 + b,
    "-a * b": lambda a, b, xp: -a * b,
    "abs": lambda a, b, xp: xp.abs(a) - xp.abs(b),
    "<": lambda a, b, xp: xp.where(a < b, a, b + 10.0),
    "<=": lambda a, b, xp: xp.where(a <= b, a, 2 * b),
    ">": lambda a, b, xp: xp.where(a > b, a + 5.0, b),
    ">=": lambda a, b, xp: xp.where(a >= b, a - b, b),
    "a < 0.25": lambda a, b, xp: xp.where(a < 0.25, a, b),
    "0.25 < a": lambda a, b, xp: xp.where(0.25 < a, a, b),  # noqa: SIM300
    "where(.., 1, b)": lambda a, b, xp: a + xp.where(a >= b, 1.0, b),
    "where(.., b, 0)": lambda a, b, xp: a - xp.where(a >= b, b, 0),
}

SHAPES = [((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((), (3, 2)), ((4, 1), ()), ((2, 1, 3), (4, 1))]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("left", "right"), SHAPES)
@pytest.mark.parametrize("expression", ELEMENTWISE)
def test_elementwise_is_numpys_bit_for_bit(
    expression: str, left: tuple[int, ...], right: tuple[int, ...], dtype: str
) -> None:
    function = ELEMENTWISE[expression]
    recorded, expected = both(lambda xp, a, b: [function(a, b, xp)], dtype, {}, {"a": left, "b": right}, 1)
    assert recorded.tobytes() == expected.tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("m", [1, 50])
@pytest.mark.parametrize("shape", [(3, 1), (1, 1), (1,), (), "X", "Y", "row"])
@pytest.mark.parametrize("expression", ELEMENTWISE)
def test_elementwise_on_examples_is_numpys(expression: str, shape: tuple[int, ...] | str, m: int, dtype: str) -> None:
    """The rows of X with a uniform array, with themselves, with other rows or with one row; of m = 1 every bit."""
    function = ELEMENTWISE[expression]

    def sums(xp: Any, **arrays: Any) -> Sequence[Any]:
        other = arrays[shape if isinstance(shape, str) else "b"]
        return [0.5 + xp.sum(function(arrays["X"], other, xp), axis=-1)]

    recorded, expected = both(
        sums, dtype, {"X": 3, "Y": 3, "row": 1}, {"b": () if isinstance(shape, str) else shape}, m
    )
    if m == 1:
        assert recorded.tobytes() == expected.tobytes()
    else:
        np.testing.assert_allclose(recorded, expected, rtol=10 * EPS[dtype], atol=50 * m * EPS[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "function",
    [
        lambda xp, a, X: [xp.exp(a), xp.sum(xp.exp(X), axis=-1)],
        lambda xp, a, X: [xp.log1p(xp.abs(a)), xp.sum(xp.log1p(xp.exp(-xp.abs(X))), axis=-1)],
    ],
    ids=["exp", "log1p"],
)
def test_functions_agree_with_numpy(function: Function, dtype: str) -> None:
    recorded, expected = both(function, dtype, {"X": 2}, {"a": (3, 2)}, 20)
    np.testing.assert_allclose(recorded, expected, rtol=8 * EPS[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("m", [1, 7])
@pytest.mark.parametrize(
    "function",
    [
        lambda xp, X, Y, a, b: [a @ b],
        lambda xp, X, Y, a, b: [xp.matrix_transpose(b) @ xp.matrix_transpose(a)],
        lambda xp, X, Y, a, b: [xp.sum(a @ X, axis=-1)],
        lambda xp, X, Y, a, b: [xp.sum(xp.matrix_transpose(X) @ b, axis=-2)],
        lambda xp, X, Y, a, b: [X @ xp.matrix_transpose(Y), Y @ xp.matrix_transpose(X)],
        lambda xp, X, Y, a, b: [X @ xp.matrix_transpose(X)],
        lambda xp, X, Y, a, b: [a @ X @ xp.matrix_transpose(Y), a @ (X @ xp.matrix_transpose(Y))],
        lambda xp, X, Y, a, b: [X @ (xp.matrix_transpose(X) @ b)],
    ],
    ids=["ab", "bTaT", "aX", "XTb", "XYT", "XXT", "aXYT", "XXTb"],
)
def test_matrix_products_agree_with_numpy(function: Function, m: int, dtype: str) -> None:
    recorded, expected = both(function, dtype, {"X": 3, "Y": 2}, {"a": (4, 3), "b": (3, 5)}, m)
    np.testing.assert_allclose(recorded, expected, rtol=20 * EPS[dtype], atol=20 * EPS[dtype])


def test_product_inside_an_example_is_mul_fma_fma_and_then_the_bias() -> None:
    program = record(
        lambda xp, X, w, b: [xp.sum(w @ X + b, axis=-1)],
        dtype="float64",
        examples={"X": 3},
        uniforms={"w": (1, 3), "b": (1, 1)},
    )
    assert [line.strip() for line in program.listing().splitlines()[2:6]] == [
        "v0 = mul w[0,0] X[0]",
        "v1 = fma w[0,1] X[1] v0",
        "v2 = fma w[0,2] X[2] v1",
        "v3 = add v2 b[0,0]",
    ]


def test_product_over_examples_is_a_sum_of_rounded_products() -> None:
    program = record(
        lambda xp, X, y: [X @ xp.matrix_transpose(y)], dtype="float64", examples={"X": 2, "y": 1}, uniforms={}
    )
    assert [line.strip() for line in program.listing().splitlines()[2:]] == [
        "v0 = mul X[0] y[0]",
        "v1 = mul X[1] y[0]",
        "over the examples:",
        "s0 = sum v0",
        "s1 = sum v1",
        "results:",
        "s0 s1",
    ]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [-1, -2, (-1,), (-2,), (-2, -1), (-1, -2)])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("kind", ["examples", "uniform"])
def test_sums_agree_with_numpy(kind: str, transposed: bool, axis: Any, keepdims: bool, dtype: str) -> None:
    """Values and shapes; where the sum leaves the axis of the examples, a second one takes it away."""
    examples_axis = -2 if transposed else -1
    left = kind == "examples" and examples_axis not in (axis if isinstance(axis, tuple) else (axis,))
    m = 9
    shapes = []

    def sums(xp: Any, X: Any, w: Any) -> Sequence[Any]:
        array = X if kind == "examples" else w
        part = xp.sum(xp.matrix_transpose(array) if transposed else array, axis=axis, keepdims=keepdims)
        shapes.append(shape_of(part, m))
        return [xp.sum(part * part, axis=examples_axis if keepdims else -1) if left else part + part]

    recorded, expected = both(sums, dtype, {"X": 3}, {"w": (3, 4)}, m)
    assert shapes[0] == shapes[1]
    np.testing.assert_allclose(recorded, expected, rtol=20 * EPS[dtype], atol=20 * EPS[dtype])


def shape_of(array: Any, m: int) -> tuple[int, ...]:
    if not isinstance(array, Traced):
        return array.shape
    shape = list(array.grid.shape)
    if array.examples_axis is not None:
        assert shape[array.examples_axis] == 1
        shape[array.examples_axis] = m
    return tuple(shape)


def test_rows_are_added_in_order_before_the_examples() -> None:
    program = record(lambda xp, X: [xp.sum(X, axis=(-2, -1))], dtype="float64", examples={"X": 3}, uniforms={})
    assert [line.strip() for line in program.listing().splitlines()[2:6]] == [
        "v0 = add X[0] X[1]",
        "v1 = add v0 X[2]",
        "over the examples:",
        "s0 = sum v1",
    ]


def test_inputs_and_results_stand_in_row_major_order() -> None:
    program = record(
        lambda xp, X, y, w, rate: [w, rate, xp.sum(X, axis=-1)],
        dtype="float32",
        examples={"X": 2, "y": 1},
        uniforms={"w": (2, 2), "rate": ()},
    )
    assert program.rows == ("X[0]", "X[1]", "y[0]")
    assert program.uniforms == ("w[0,0]", "w[0,1]", "w[1,0]", "w[1,1]", "rate")
    X, numbers = np.array([[1, 2], [3, 4], [5, 6]], np.float32), np.array([7, 8, 9, 10, 11], np.float32)
    assert interpret(program, X, numbers).tolist() == [7, 8, 9, 10, 11, 3, 7]


@pytest.mark.parametrize("dtype", DTYPES)
def test_python_numbers_are_rounded_to_the_dtype(dtype: str) -> None:
    program = record(lambda xp, w: [w * 0.1], dtype=dtype, examples={}, uniforms={"w": ()})
    assert run(program, {}, {"w": np.ones((), dtype)}) == np.array(0.1, dtype)


def test_a_float64_of_numpy_is_no_python_number() -> None:
    number = np.float64(0.1)  # elsewhere it would decide the dtype
    refused(lambda xp, w, **others: [w * number], "an operand of type float64")
    refused(lambda xp, w, **others: [number * w], "a function of NumPy", full=False)


def test_a_function_may_be_recorded_twice() -> None:
    first, second = (training_program(3, 4, 1, "float64").listing() for _ in range(2))
    assert first == second


# The equations

SIZES = [(3, 4, 1, 40), (1, 1, 1, 1), (2, 3, 2, 33), (1, 5, 3, 7), (6, 2, 1, 513), (4, 4, 4, 20)]


def draw_network(n0: int, n1: int, n2: int, m: int) -> tuple[Params, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(n0 * 1000 + m)
    params = Params(*(generator.standard_normal(shape) for shape in ((n1, n0), (n1, 1), (n2, n1), (n2, 1))))
    return params, generator.standard_normal((n0, m)), (generator.random((n2, m)) < 0.5).astype(np.float64)


def flat(params: Params, *numbers: float) -> np.ndarray:
    return np.concatenate([*(array.ravel() for array in params), numbers])


@pytest.mark.parametrize(("n0", "n1", "n2", "m"), SIZES)
def test_recorded_training_step_is_numpys(n0: int, n1: int, n2: int, m: int) -> None:
    params, X, y = draw_network(n0, n1, n2, m)
    layers = equations.forward(params, X, xp=np)
    gradients = equations.backward(params, layers, X, y, m, xp=np)
    expected = flat(equations.update(params, gradients, 0.7))
    program = training_program(n0, n1, n2, "float64")
    step = interpret(program, np.concatenate([X, y]), flat(params, m, 0.7))
    np.testing.assert_allclose(step, expected, rtol=1e-12, atol=1e-12)
    assert (step != flat(params)).any()


@pytest.mark.parametrize(("n0", "n1", "n2", "m"), SIZES)
def test_recorded_score_is_numpys(n0: int, n1: int, n2: int, m: int) -> None:
    params, X, y = draw_network(n0, n1, n2, m)
    layers = equations.forward(params, X, xp=np)
    cost, correct = interpret(score_program(n0, n1, n2, "float64"), np.concatenate([X, y]), flat(params, m))
    assert cost == pytest.approx(float(equations.cost(layers.z2, y, m, xp=np)), rel=1e-12)
    assert correct == equations.count_correct(layers.yhat, y, xp=np) == ((layers.yhat >= 0.5) == y).sum()


@pytest.mark.parametrize(("n0", "n1", "n2"), [(3, 4, 1), (1, 1, 1), (2, 5, 3)])
def test_each_gradient_is_one_sum(n0: int, n1: int, n2: int) -> None:
    program = training_program(n0, n1, n2, "float64")
    count = n1 * n0 + n1 + n2 * n1 + n2
    assert len(program.sums) == len(program.outputs) == count
    if (n0, n1, n2) == (3, 4, 1):
        assert count == 21
    products = [value for value in program.sums if value.arguments[0].operation == "mul"]
    assert len(products) == count - n2  # all but db2, whose terms are dz2; db1's end in the product with f1
    assert [value.operation for value in program.example].count("shift_left") == n1 + n2  # one in each exp
    assert [value.operation for value in program.example].count("div") == n1 + n2


# What is refused


def refused(
    function: Function,
    named: str,
    examples: Mapping[str, int] | None = None,
    uniforms: Mapping[str, tuple[int, ...]] | None = None,
    *,
    full: bool = True,
) -> None:
    """Expect a TraceError that names the thing and ends with what is allowed."""
    examples = {"X": 2, "y": 1} if examples is None else examples
    uniforms = {"w": (3, 2), "v": (3, 2), "rate": ()} if uniforms is None else uniforms
    with pytest.raises(TraceError) as caught:
        record(function, dtype="float64", examples=examples, uniforms=uniforms)
    message = str(caught.value)
    assert (f"{named} cannot" if full else named) in message
    assert message.endswith(ALLOWED)


def actions(**changes: Callable[[Any], Any]) -> Any:
    """Give a parametrisation of things done to the array w, by name."""
    return pytest.mark.parametrize("action", [pytest.param(action, id=name) for name, action in changes.items()])


@actions(
    bool=bool,
    not_=lambda w: not w,
    if_=lambda w: 1.0 if w > 0 else 2.0,
    chain=lambda w: 0 < w < 1,
    float=float,
    int=int,
    complex=complex,
    math=math.exp,
    range=range,
    len=len,
    iteration=list,
    unpacking=lambda w: [*w],
    enumerate=lambda w: list(enumerate(w)),
    sum=sum,
    max=max,
    index=lambda w: w[0],
    slice=lambda w: w[:, 0],
    equal=lambda w: w == w,
    equal_number=lambda w: w == 1,
    number_equal=lambda w: 1 == w,  # noqa: SIM300
    not_equal=lambda w: w != w,
    contains=lambda w: 1.0 in w,
)
def test_values_are_not_known_while_recording(action: Callable[[Any], Any]) -> None:
    refused(
        lambda xp, w, **others: [action(w)],
        "a value that is needed while recording",
        full=False,
    )


@actions(
    asarray=np.asarray,
    array=np.array,
    stack=lambda w: np.stack([w, w]),
    from_dlpack=np.from_dlpack,
)
def test_conversion_to_numpy_is_refused(action: Callable[[Any], Any]) -> None:
    refused(lambda xp, w, **others: [action(w)], "conversion to NumPy", full=False)


@actions(
    exp=np.exp,
    negative=np.negative,
    add=lambda w: np.add(w, 1.0),
    add_to_array=lambda w: np.add(np.ones((3, 2)), w),
    matmul=lambda w: np.matmul(w, np.ones((2, 2))),
    less=lambda w: np.less(w, 1.0),
    reduce=np.add.reduce,
)
def test_numpys_own_functions_are_refused(action: Callable[[Any], Any]) -> None:
    with pytest.raises(TraceError, match=r"(?i)numpy|ufunc") as caught:
        record(lambda xp, w: [action(w)], dtype="float64", examples={}, uniforms={"w": (3, 2)})
    assert str(caught.value).endswith(ALLOWED)


@pytest.mark.parametrize("name", ["tanh", "log", "maximum", "asarray", "zeros", "float64", "T", "pi", "linalg"])
def test_unknown_function_is_refused(name: str) -> None:
    refused(lambda xp, w, **others: [getattr(xp, name)(w)], f"xp.{name}")
    refused(lambda xp, **others: [getattr(xp, name)], f"xp.{name}")


@pytest.mark.parametrize("name", ["T", "mT", "shape", "ndim", "size", "dtype", "sum", "astype", "device", "item"])
def test_unknown_attribute_is_refused(name: str) -> None:
    refused(lambda xp, w, **others: [getattr(w, name)], f"the attribute .{name}")
    refused(lambda xp, X, **others: [getattr(X, name)], f"the attribute .{name}")


@pytest.mark.parametrize(
    ("operand", "kind"),
    [
        ("a", "str"),
        (None, "NoneType"),
        (True, "bool"),
        ([1.0], "list"),
        (1j, "complex"),
        (np.ones((3, 2)), "ndarray"),
        (np.float32(1), "float32"),
        (np.bool(True), "bool"),
        (np.int64(1), "int64"),
    ],
)
def test_operand_of_another_type_is_refused(operand: Any, kind: str) -> None:
    named = f"an operand of type {kind}"
    refused(lambda xp, w, **others: [w + operand], named)
    refused(lambda xp, w, **others: [w / operand], named)
    refused(lambda xp, w, **others: [w <= operand], named)
    refused(lambda xp, w, **others: [xp.where(w < 0.0, w, operand)], named)
    refused(lambda xp, w, **others: [w @ operand], named)
    refused(lambda xp, X, **others: [X * operand], named)
    if isinstance(operand, np.ndarray | np.generic):
        refused(lambda xp, w, **others: [operand - w], "a function of NumPy", full=False)
        refused(lambda xp, w, **others: [operand * w], "a function of NumPy", full=False)
    elif not isinstance(operand, str):
        refused(lambda xp, w, **others: [operand - w], named)
        refused(lambda xp, w, **others: [operand * w], named)


def test_a_plain_condition_is_refused() -> None:
    refused(lambda xp, w, **others: [xp.where(True, w, 1.0)], "an operand of type bool")


@pytest.mark.parametrize("operand", [np.ones((2, 3)), 2.0, [[1.0]], None], ids=["array", "number", "list", "none"])
def test_product_with_what_is_no_recorded_matrix_is_refused(operand: Any) -> None:
    refused(lambda xp, w, **others: [w @ operand], "", full=False)
    refused(lambda xp, w, **others: [operand @ w], "", full=False)


@pytest.mark.parametrize("name", ["exp", "log1p", "abs", "matrix_transpose", "sum"])
@pytest.mark.parametrize("operand", [2.0, None, np.ones((2, 2))], ids=["number", "none", "array"])
def test_function_of_what_is_not_recorded_is_refused(name: str, operand: Any) -> None:
    keywords = {"axis": -1} if name == "sum" else {}
    refused(lambda xp, **others: [getattr(xp, name)(operand, **keywords)], type(operand).__name__, full=False)


def test_choice_between_numbers_by_no_recorded_condition_is_refused() -> None:
    refused(lambda xp, w, **others: [w + xp.where(True, 1.0, 2.0)], "bool", full=False)


@actions(
    pos=lambda w: +w,
    abs=abs,
    invert=lambda w: ~(w < 1.0),
    and_=lambda w: (w < 1.0) & (w > 0.0),
    or_=lambda w: (w < 1.0) | (w > 0.0),
    power=lambda w: w**2,
    base=lambda w: 2**w,
    floor=lambda w: w // 2,
    floor_of=lambda w: 2 // w,
    modulo=lambda w: w % 2,
    modulo_of=lambda w: 2 % w,
    divmod=lambda w: divmod(w, 2),
    shift=lambda w: w << 1,
    round=round,
)
def test_other_operators_are_refused(action: Callable[[Any], Any]) -> None:
    with pytest.raises(TraceError) as caught:
        record(lambda xp, w: [action(w)], dtype="float64", examples={}, uniforms={"w": (3, 2)})
    assert str(caught.value).endswith(ALLOWED)


@pytest.mark.parametrize("operator", ["+=", "-=", "*=", "/=", "@=", "**=", "//=", "%="])
def test_operators_in_place_are_refused_by_name(operator: str) -> None:
    program = compile(f"w {operator} 2.0", "in place", "exec")
    with pytest.raises(TraceError) as caught:
        record(lambda xp, w: [exec(program, {"w": w})], dtype="float64", examples={}, uniforms={"w": (3, 2)})
    message = str(caught.value)
    assert re.search(rf"in.place|{re.escape(operator.rstrip('='))}=", message.removesuffix(ALLOWED)), message
    assert message.endswith(ALLOWED)


def test_writing_an_element_is_refused() -> None:
    def write(xp: Any, w: Any, **others: Any) -> Sequence[Any]:
        w[0] = 1.0
        return [w]

    refused(write, "", full=False)


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (lambda xp, X, w, **_: [w + X], "an operation on the shapes (3, 2), (2, m)"),
        (lambda xp, X, w, **_: [X * w], "an operation on the shapes (2, m), (3, 2)"),
        (lambda xp, X, v, **_: [X - xp.matrix_transpose(v)], "an operation on the shapes (2, m), (2, 3)"),
        (lambda xp, X, **_: [X + xp.matrix_transpose(X)], "an operation on the shapes (2, m), (m, 2)"),
        (lambda xp, w, v, **_: [w / xp.matrix_transpose(v)], "an operation on the shapes (3, 2), (2, 3)"),
        (lambda xp, w, **_: [w < xp.sum(w, axis=-1)], "an operation on the shapes (3, 2), (3)"),
        (lambda xp, X, **_: [X * xp.sum(X, axis=-1)], "an operation on the shapes (2, m), (2)"),
        (lambda xp, X, w, **_: [xp.where(X < 0.0, w, 1.0)], "an operation on the shapes (2, m), (3, 2), ()"),
        (lambda xp, w, v, **_: [w @ v], "@ of shapes (3, 2) and (3, 2)"),
        (lambda xp, X, y, **_: [X @ y], "@ of shapes (2, m) and (1, m)"),
        (lambda xp, X, w, **_: [X @ w], "@ of shapes (2, m) and (3, 2)"),
        (lambda xp, X, w, **_: [xp.matrix_transpose(w) @ X], "@ of shapes (2, 3) and (2, m)"),
        (lambda xp, X, w, **_: [w @ xp.matrix_transpose(X)], "@ of shapes (3, 2) and (m, 2)"),
        (
            lambda xp, X, **_: [xp.matrix_transpose(X) @ xp.matrix_transpose(X)],
            "@ of shapes (m, 2) and (m, 2)",
        ),
        (lambda xp, w, rate, **_: [w @ rate], "@ of arrays with 2 and 0 axes; two matrices are allowed"),
        (lambda xp, w, **_: [xp.sum(w, axis=-1) @ w], "@ of arrays with 1 and 2 axes; two matrices are allowed"),
        (lambda xp, X, **_: [xp.matrix_transpose(X) @ X], "@ with one entry for each pair of examples"),
        (lambda xp, y, **_: [xp.matrix_transpose(y) @ y], "@ with one entry for each pair of examples"),
    ],
)
def test_shapes_that_do_not_match_are_refused(function: Function, named: str) -> None:
    refused(function, named)


@pytest.mark.parametrize("m_is_uniform_size", [1, 2])
def test_an_axis_of_one_uniform_number_fits_the_examples(m_is_uniform_size: int) -> None:
    def add(xp: Any, X: Any, b: Any) -> Sequence[Any]:
        return [xp.sum(X + b, axis=-1)]

    if m_is_uniform_size == 1:
        assert len(record(add, dtype="float64", examples={"X": 2}, uniforms={"b": (2, 1)}).sums) == 2
    else:
        refused(add, "an operation on the shapes (2, m), (2, 2)", {"X": 2}, {"b": (2, 2)})


@pytest.mark.parametrize("axis", [0, 1, (-1, 0), -3, (-2, -3)])
def test_sum_over_an_axis_that_is_not_counted_from_the_end_is_refused(axis: Any) -> None:
    named = f"xp.sum over axis {axis} of shape (2, m) (axes are named, and count from the end)"
    refused(lambda xp, X, **others: [xp.sum(X, axis=axis)], named)


@pytest.mark.parametrize("keywords", [{}, {"axis": None}, {"axis": (-1, -1)}, {"axis": -1, "dtype": float}])
def test_sum_in_another_way_is_refused(keywords: Mapping[str, Any]) -> None:
    refused(lambda xp, X, **others: [xp.sum(X, **keywords)], "xp.sum", full=False)


@pytest.mark.parametrize("axes", [(), (3,)])
def test_transpose_of_what_is_no_matrix_is_refused(axes: tuple[int, ...]) -> None:
    refused(lambda xp, a: [xp.matrix_transpose(a)], "xp.matrix_transpose", {}, {"a": axes}, full=False)


@pytest.mark.parametrize(
    "function",
    [
        lambda xp, w: [w < 1.0],
        lambda xp, w: [(w < 1.0) + w],
        lambda xp, w: [w * (w < 1.0)],
        lambda xp, w: [-(w < 1.0)],
        lambda xp, w: [xp.sum(w < 1.0, axis=-1)],
        lambda xp, w: [xp.exp(w < 1.0)],
        lambda xp, w: [xp.where((w < 1.0) < 2.0, w, 1.0)],
        lambda xp, w: [xp.where(w < 1.0, w < 2.0, w)],
        lambda xp, w: [(w < 1.0) @ xp.matrix_transpose(w)],
    ],
    ids=["result", "add", "mul", "neg", "sum", "exp", "compare", "choose", "product"],
)
def test_a_comparison_is_no_number(function: Function) -> None:
    """It would be recorded as a float that it is not: the kernel could not be printed, a sum would be an or."""
    with pytest.raises(TraceError):
        record(function, dtype="float64", examples={}, uniforms={"w": (3, 2)})


def test_a_number_is_no_condition() -> None:
    with pytest.raises(TraceError):
        record(lambda xp, w: [xp.where(w, w, 1.0)], dtype="float64", examples={}, uniforms={"w": (3, 2)})


def test_a_result_for_each_example_is_refused() -> None:
    for function in (lambda xp, X, w: [w @ X], lambda xp, X, w: [w, xp.matrix_transpose(X)], lambda xp, X, w: [X]):
        with pytest.raises(TraceError) as caught:
            record(function, dtype="float64", examples={"X": 2}, uniforms={"w": (3, 2)})
        assert str(caught.value) == (
            "the function gave an array with one entry per example; only sums over them can be results"
        )


@pytest.mark.parametrize(
    ("result", "kind"), [(2.0, "float"), (None, "NoneType"), ("w", "str"), (np.ones(3), "ndarray"), ((), "tuple")]
)
def test_a_result_that_is_no_recorded_array_is_refused(result: Any, kind: str) -> None:
    with pytest.raises(TraceError) as caught:
        record(lambda xp, w: [w, result], dtype="float64", examples={}, uniforms={"w": (3, 2)})
    assert str(caught.value) == f"the function gave {kind}; expected arrays it computed from its arguments"


@pytest.mark.parametrize("result", [None, 2.0], ids=["nothing", "number"])
def test_no_sequence_of_results_is_refused(result: Any) -> None:
    with pytest.raises(TraceError, match=f"the function gave {type(result).__name__}"):
        record(lambda xp, w: result, dtype="float64", examples={}, uniforms={"w": (3, 2)})


def test_one_array_instead_of_a_sequence_is_refused() -> None:
    with pytest.raises(TraceError):
        record(lambda xp, w: w, dtype="float64", examples={}, uniforms={"w": (3, 2)})


def test_a_second_pass_over_the_examples_is_refused() -> None:
    def deviation(xp: Any, X: Any, m: Any) -> Sequence[Any]:
        mean = xp.sum(X, axis=-1, keepdims=True) / m
        return [xp.sum(xp.abs(X - mean), axis=-1)]

    with pytest.raises(TraceError, match=r"depends on a sum over the examples; expected one pass over them"):
        record(deviation, dtype="float64", examples={"X": 2}, uniforms={"m": ()})


def test_error_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        record(lambda xp, w: [float(w)], dtype="float64", examples={}, uniforms={"w": ()})


# What Python does behind one's back


def traced() -> Traced:
    seen: list[Traced] = []

    def keep(xp: Any, w: Traced) -> Sequence[Traced]:
        seen.append(w)
        return [w]

    record(keep, dtype="float64", examples={}, uniforms={"w": (3, 2)})
    return seen[0]


@pytest.mark.parametrize("action", [copy.copy, copy.deepcopy, lambda w: hasattr(w, "shape"), vars, dir, callable])
def test_inspecting_an_array_ends(action: Callable[[Any], Any]) -> None:
    """It may be refused, but it neither recurses nor finds what is not there."""
    with contextlib.suppress(TraceError):
        assert action(traced()) is not True


def test_an_array_that_was_never_filled_does_not_recurse() -> None:
    with pytest.raises((TraceError, AttributeError)):
        _ = Traced.__new__(Traced).grid


def test_an_array_can_be_printed() -> None:
    for text in (repr(traced()), str(traced()), f"{traced()}", "%s" % traced()):  # noqa: UP031
        assert "Traced" in text
        assert len(text) < 200


def test_an_array_is_no_key() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(traced())

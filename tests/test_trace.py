"""Recording: what is allowed agrees with NumPy, and what is not is refused by name."""

import contextlib
import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from nn_backend.compiler.interpreter import interpret
from nn_backend.compiler.program import Builder, Program
from nn_backend.compiler.trace import Traced, record
from nn_backend.errors import TraceError

DTYPES = ("float64", "float32")
ALLOWED = (
    "cannot be recorded; allowed are +, -, *, /, unary -, @, <, <=, >, >=, ==, xp.exp, xp.log1p, xp.sqrt, xp.abs, "
    "xp.maximum, xp.minimum, xp.where, xp.sum, xp.max, xp.min, xp.argmax, xp.matrix_transpose, and Python numbers"
)
SIZES: Mapping[str, Any] = {
    "examples": {"X": 3, "Y": 3, "y": 1},
    "state": {"w": (3, 3), "v": (2, 3), "b": (3, 1)},
    "numbers": ["rate"],
}
COLUMN, ROW, ALL = {"axis": -2, "keepdims": True}, {"axis": -1, "keepdims": True}, {"axis": (-2, -1)}

Function = Callable[..., Any]


def recorded(function: Function, dtype: str = "float64") -> Program:
    """Record what a function computes as its only result."""
    return record(lambda **arrays: {"result": function(**arrays)}, dtype=dtype, **SIZES)


def both(function: Function, dtype: str, m: int = 20) -> tuple[Any, Any]:
    """Return what the recorded function computes, and what NumPy computes."""
    draw = np.random.default_rng(m).standard_normal
    examples = {name: draw((rows, m)).astype(dtype) for name, rows in SIZES["examples"].items()}
    given = {name: draw(shape).astype(dtype) for name, shape in SIZES["state"].items()}
    given["rate"] = np.array(0.3, dtype)
    result = interpret(recorded(function, dtype), examples, given, {})["result"]
    expected = np.atleast_2d(function(xp=np, **examples, **given))
    assert (result.dtype, result.shape) == (expected.dtype, expected.shape)
    assert result.dtype == dtype
    assert expected.any()
    return result, expected


# What is allowed agrees with NumPy

ELEMENTWISE = {
    "+ -": lambda a, b, xp: 2 + a - b + a - 0.1 + -b,
    "- *": lambda a, b, xp: 0.5 - a * b * 3,
    "* +": lambda a, b, xp: 3 * a + b + 7,
    "/": lambda a, b, xp: 1 / a + b / 7 + a / b,
    "abs": lambda a, b, xp: xp.abs(a) - 2 * xp.abs(b),
    "sqrt": lambda a, b, xp: xp.sqrt(xp.abs(a)) + b,
    "maximum": lambda a, b, xp: 3 * xp.maximum(a, b) - xp.maximum(0.1, a),
    "minimum": lambda a, b, xp: 3 * xp.minimum(a, b) - xp.minimum(b, 0.1),
    "< >": lambda a, b, xp: xp.where(a < b, a, b + 10.0) + 3 * xp.where(a > b, a + 5.0, b),
    "<= >=": lambda a, b, xp: xp.where(a <= b, a, 2 * b) + 3 * xp.where(a >= b, a - 2 * b, b),
    "a < 0.25 < a": lambda a, b, xp: xp.where(a < 0.25, a, b) + 3 * xp.where(0.25 < a, 1.0, b),  # noqa: SIM300
    "==": lambda a, b, xp: xp.where(xp.abs(a) == xp.abs(b), b, a) + xp.where(1 == xp.maximum(a, 1), a, b),  # noqa: SIM300
    "a <= a": lambda a, b, xp: xp.where(a <= a, b, 0) + a,
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("arrays", ["X Y", "X y", "y X", "X b", "b X", "X rate", "rate y", "w w", "w rate", "rate b"])
@pytest.mark.parametrize("expression", ELEMENTWISE)
def test_elementwise_is_numpys_bit_for_bit(expression: str, arrays: str, dtype: str) -> None:
    left, right = arrays.split()
    result, expected = both(lambda xp, **all_: ELEMENTWISE[expression](all_[left], all_[right], xp), dtype)
    assert result.tobytes() == expected.tobytes()


def softmax(xp: Any, X: Any, w: Any, b: Any) -> Any:
    z = w @ X + b
    e = xp.exp(z - xp.max(z, **COLUMN))
    return e / xp.sum(e, **COLUMN)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("m", [1, 7, 300])
@pytest.mark.parametrize(
    "function",
    [
        lambda xp, X, w, **_: xp.exp(X) + xp.exp(w) @ X,
        lambda xp, X, **_: xp.log1p(xp.exp(-xp.abs(X))),
        lambda xp, X, v, **_: xp.matrix_transpose(v) @ (v @ X),
        lambda xp, X, v, **_: (v @ X) @ xp.matrix_transpose(X),
        lambda xp, X, Y, **_: X @ xp.matrix_transpose(Y),
        lambda xp, X, **_: X @ xp.matrix_transpose(X),
        lambda xp, X, **_: xp.sum(X, **ROW) / 3,
        lambda xp, X, y, **_: xp.sum(X * y, **ALL),
        lambda xp, X, y, **_: X - xp.sum(X * X, **COLUMN) + xp.sum(y, **COLUMN),
        lambda xp, X, **_: xp.max(X, **COLUMN) - X + xp.min(X * X, **COLUMN),
        lambda xp, X, y, **_: xp.where(xp.argmax(X, **COLUMN) == 1 + xp.argmax(y, **COLUMN), X, -X),
        lambda xp, X, w, b, **_: softmax(xp, X, w, b),
        lambda xp, X, Y, w, b, **_: w - (softmax(xp, X, w, b) - Y) @ xp.matrix_transpose(X),
    ],
)
def test_functions_products_and_sums_agree_with_numpy(function: Function, m: int, dtype: str) -> None:
    eps = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(*both(function, dtype, m), rtol=30 * eps, atol=30 * eps * math.sqrt(m))


# What becomes of it


def test_results_of_a_step_stand_in_the_order_of_the_state() -> None:
    sizes = {"examples": {"X": 2}, "state": {"w": (3, 2), "b": (2, 1)}}
    program = record(lambda xp, X, w, b: {"b": b + xp.sum(X, **ROW), "w": w * 2}, dtype="float64", **sizes)
    assert list(program.results) == ["w", "b"]
    assert program.is_step
    for other in (lambda X, w, b: {"w": w, "b": b + X}, lambda X, w, b: {"b": b}, lambda X, w, b: {"w": w, "b": w}):
        assert not record(lambda xp, other=other, **arrays: other(**arrays), dtype="float64", **sizes).is_step


def test_the_same_operation_is_made_once_and_what_is_none_or_no_result_needs_is_dropped() -> None:
    def function(xp: Any, X: Any, w: Any, rate: Any, **_: Any) -> Any:
        _unused = (w + 1.0, X - 3, xp.sum(X, **ROW), xp.exp(w @ X))
        return (w @ X * rate * 1 + 1.0) / (w @ X * 1.0 * rate + 1) / 1 + (rate - X) * (X / 1.0 - rate)

    operations = [value.operation for value in recorded(function).values]
    assert operations == ["product", "mul", "add", "div", "sub", "sub", "mul", "add"]
    assert [value.operation for value in recorded(lambda xp, w, **_: w * -1 + 1 / w).values] == ["mul", "div", "add"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_constants_are_rounded_to_the_dtype_and_differ_by_kind_and_sign(dtype: str) -> None:
    program = recorded(lambda xp, rate, **_: rate * 0.1, dtype)
    assert f" rate {float(np.array(0.1, dtype))!r}\n" in program.listing()
    build = Builder(dtype)
    assert build.constant(0.0) is build.constant(0)
    assert len({build.constant(0.0), build.constant(-0.0), build.constant(0, "i")}) == 3


def test_endings_stand_in_the_order_given_and_keep_what_they_compare() -> None:
    def function(xp: Any, X: Any, w: Any) -> Mapping[str, Any]:
        after = w - xp.sum(X, **ROW)
        return {"large": [after < 9, xp.abs(w) < 9], "w": after, "small": [after < 1]}

    endings = {"small": True, "unused": True, "large": False}
    sizes = {"examples": {"X": 3}, "state": {"w": (3, 1)}, "endings": endings}
    program = record(function, dtype="float64", **sizes)
    assert program.is_step
    assert [(name, ending.holds, len(ending.values)) for name, ending in program.endings.items()] == [
        ("small", True, 1),
        ("large", False, 2),
    ]
    assert [value.operation for value in program.values] == ["sum", "sub", "less", "abs", "less", "less"]
    assert program.listing().splitlines()[-3:] == [
        "ends as small where all of r2",
        "ends as large where not all of r1 u1",
        "results: w = r0",
    ]


# What is refused


def refused(function: Function, named: str) -> None:
    """Expect a TraceError, a TypeError too, that names the thing and ends with what is allowed."""
    with pytest.raises(TraceError) as caught:
        recorded(function)
    message = str(caught.value)
    assert isinstance(caught.value, TypeError)
    assert message.startswith(named)
    assert message.endswith(ALLOWED)


REFUSED = {
    "a value that is needed while recording": "not w; 1.0 if w > 0 else 2.0; 0 < w < 1; [*w]; w[0]; w[:, 0]; w != w; "
    "1 != w; 1.0 in w; w.__setitem__(0, 1.0); bool(w); float(w); int(w); complex(w); len(w); list(w); sum(w); "
    "max(w); round(w); math.exp(w); range(w); enumerate(w)",
    "conversion to NumPy or a function of NumPy": "np.asarray(w); np.array(w); np.from_dlpack(w); np.exp(w); "
    "np.add.reduce(w); np.float64(0.1) * w; np.stack([w, w]); np.add(w, 1.0); np.add(np.ones((3, 3)), w); "
    "np.matmul(w, np.ones((3, 3))); np.ones((3, 3)) - w; np.less(w, 1.0)",
    "this operator (__": "+w; abs(w); ~w; (w < 1.0) & (w > 0.0); w | w; w ** 2; 2 ** w; w // 2; 2 // w; w % 2; w << 1; "
    "divmod(w, 2)",
    "an operator in place (+= and the like)": "+=; -=; *=; /=; @=; **=; //=; %=",
}


@pytest.mark.parametrize(("named", "action"), [(what, code) for what in REFUSED for code in REFUSED[what].split("; ")])
def test_operators_and_functions_of_python_and_numpy_are_refused(named: str, action: str) -> None:
    code = f"w {action} 2.0" if action.endswith("=") else action
    refused(lambda xp, w, **_: exec(code, {"w": w, "np": np, "math": math}), named)


@pytest.mark.parametrize("name", ["tanh", "log", "add", "select", "asarray", "zeros", "float64", "T", "pi", "linalg"])
def test_unknown_names_are_refused(name: str) -> None:
    refused(lambda xp, w, **_: getattr(xp, name)(w), f"xp.{name} cannot")
    refused(lambda xp, X, **_: getattr(X, name), f"the attribute .{name} cannot")


@pytest.mark.parametrize(
    "operand", ["a", None, True, [1.0], 1j, np.ones((3, 3)), np.float32(1), np.bool(1), np.int64(1)]
)
def test_operand_of_another_type_is_refused(operand: Any) -> None:
    kind = type(operand).__name__
    for function in (lambda xp, w: w + operand, lambda xp, w: w <= operand, lambda xp, w: xp.where(w < 0, w, operand)):
        refused(lambda xp, w, function=function, **_: function(xp, w), f"an operand of type {kind} cannot")
    refused(lambda xp, w, **_: w @ operand, f"@ with an operand of type {kind} cannot")
    for name in ("exp", "log1p", "sqrt", "abs", "matrix_transpose", "sum", "max"):
        what = f"xp.{name}" if name in ("matrix_transpose", "sum", "max") else "a function"
        refused(lambda xp, name=name, **_: getattr(xp, name)(operand), f"{what} of {kind}")
    if not isinstance(operand, str | np.ndarray | np.generic):
        refused(lambda xp, w, **_: operand - w, f"an operand of type {kind} cannot")
        refused(lambda xp, w, **_: operand @ w, "@ with an array that is not recorded")


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (lambda xp, X, v, **_: v + X, "an operation on the shapes (2, 3), (3, m)"),
        (lambda xp, X, v, **_: xp.where(X < 0, v, 1), "an operation on the shapes (3, m) of a comparison, (2, 3)"),
        (lambda xp, X, **_: X + xp.matrix_transpose(X), "an operation on the shapes (3, m), (m, 3)"),
        (lambda xp, w, b, **_: w / b, "an operation on the shapes (3, 3), (3, 1)"),
        (lambda xp, y, w, **_: y * w, "an operation on the shapes (1, m), (3, 3)"),
        (lambda xp, w, v, **_: v @ w, "@ of shapes (2, 3) and (3, 3) (it takes"),
        (lambda xp, X, Y, **_: X @ Y, "@ of shapes (3, m) and (3, m)"),
        (lambda xp, X, v, **_: xp.matrix_transpose(v) @ X, "@ of shapes (3, 2) and (3, m)"),
        (lambda xp, X, v, **_: v @ xp.matrix_transpose(X), "@ of shapes (2, 3) and (m, 3)"),
        (lambda xp, X, **_: xp.matrix_transpose(X) @ X, "@ of shapes (m, 3) and (3, m)"),
        (lambda xp, X, **_: (X < 0) @ xp.matrix_transpose(X), "@ of shapes (3, m) of a comparison and (m, 3)"),
        (lambda xp, w, **_: xp.sum(w, **ROW), "xp.sum of shape (3, 3) (it takes numbers of each example, (n, m))"),
        (lambda xp, X, **_: xp.sum(X < 0, **ROW), "xp.sum of shape (3, m) of a comparison"),
        (lambda xp, X, **_: xp.sum(xp.matrix_transpose(X), **ROW), "xp.sum of shape (m, 3)"),
        (lambda xp, X, **_: xp.sum(X), "xp.sum over axis None of shape (3, m) (-1 or -2 with keepdims=True, or both"),
        (lambda xp, X, **_: xp.sum(X, axis=0, keepdims=True), "xp.sum over axis 0 of shape (3, m)"),
        (lambda xp, X, **_: xp.sum(X, axis=[-1], keepdims=True), "xp.sum over axis [-1] of shape (3, m)"),
        (lambda xp, X, **_: xp.sum(X, axis=-1), "xp.sum over axis -1 of shape (3, m)"),
        (lambda xp, X, **_: xp.sum(X, axis=(-2, -1), keepdims=True), "xp.sum over axis (-2, -1) of shape (3, m)"),
        (lambda xp, X, **_: xp.max(X, **ROW), "xp.max over the examples"),
        (lambda xp, X, **_: xp.exp(X, X), "xp.exp of 2 arrays cannot"),
        (lambda xp, X, **_: xp.sqrt(X, out=X), "xp.sqrt of 1 arrays and out cannot"),
        (lambda xp, w, **_: xp.where(True, w, 1.0), "an operand of type bool"),
    ],
)
def test_other_shapes_and_arguments_are_refused(function: Function, named: str) -> None:
    refused(function, named)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda xp, w, **_: {"r": (w < 1) + w}, "add of the result of a comparison where a number is expected"),
        (lambda xp, w, **_: {"r": xp.exp(w < 1)}, "exp of the result of a comparison where a number is"),
        (lambda xp, w, **_: {"r": xp.where(w, w, 1)}, "select of a number where the result of a comparison"),
        (lambda xp, w, **_: {"r": xp.where(1, w, 1)}, "select of a number where the result of a comparison"),
        (lambda xp, w, **_: {"r": w < 1}, "the function returned the result of a comparison; expected numbers"),
        (lambda xp, w, **_: {"r": xp.matrix_transpose(w)}, "the function returned a transposed array; expected it"),
        (lambda xp, X, **_: {"r": X}, "the function returned examples as they were given; expected what it"),
        (lambda **_: {"r": 2.0}, "the function returned float; expected arrays it computed from its arguments"),
        (lambda w, **_: w, "the function returned Traced; expected arrays by name"),
        (lambda **_: None, "the function returned NoneType; expected arrays by name"),
        (lambda w, **_: {"end": [w]}, "an ending is no comparison, or differs between examples"),
        (lambda X, **_: {"end": [X < 1]}, "an ending is no comparison, or differs between examples"),
        (lambda xp, X, **_: {"r": X - xp.sum(X, **ROW)}, "a number of each example depends on a sum over the"),
    ],
)
def test_comparisons_are_no_numbers_and_results_are_computed_in_one_pass(function: Function, message: str) -> None:
    with pytest.raises(TraceError) as caught:
        record(function, dtype="float64", **SIZES, endings={"end": True})
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("action", [copy.copy, copy.deepcopy, lambda w: hasattr(w, "shape"), vars, dir, callable, repr])
def test_inspecting_an_array_ends(action: Function) -> None:
    """It may be refused, but it neither recurses nor finds what is not there."""
    for array in (Traced(Builder("float64"), Builder("float64").constant(1.0)), Traced.__new__(Traced)):
        with contextlib.suppress(TraceError):
            assert action(array) is not True
        with pytest.raises(TypeError, match="unhashable"):
            hash(array)

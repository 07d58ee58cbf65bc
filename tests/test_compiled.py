"""The compiled engine: the interpreter's bits, whatever the threads, the split, the memory layout and the processor."""

import functools
import math
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from methods import CPU, ENDED, METHODS, Problem, ending, interpreted, problem
from places import STRICT, require_gpu

import nn_backend as nn
from nn_backend import engines, equations
from nn_backend.commands import verify
from nn_backend.commands.verify import digest
from nn_backend.compiler import native
from nn_backend.compiler import pool as pool_module
from nn_backend.compiler.interpreter import add_tree, interpret
from nn_backend.compiler.llvm import Target
from nn_backend.compiler.native import WORTH_A_THREAD, WORTH_STARTING, Examples, Kernel, assembly, zeros
from nn_backend.compiler.pool import Pool, pool
from nn_backend.compiler.program import STRIP, TILE, TILE_ROWS
from nn_backend.compiler.threads import MERGE, PUSH, WAIT, schedule
from nn_backend.compiler.trace import record
from nn_backend.engines import bind, choose, compiled
from nn_backend.engines.compiled import CompiledEngine, program
from nn_backend.engines.engine import MAX_COUNT, Method
from nn_backend.equations import Params
from nn_backend.optimizers import State

DTYPES = ("float64", "float32")
DTYPE = pytest.mark.parametrize("dtype", DTYPES)
POSIX = pytest.mark.skipif(os.name != "posix", reason="sends SIGINT as POSIX does")
ROWS_FOR_7_THREADS = 30 * TILE + 77  # the last tile is not a whole one

# The raw run of the article, 4500 iterations: the same on every machine, that is the claim.
RAW_RUN = {dtype: verify.PINNED["3-4-1", dtype][-1] for dtype in DTYPES}
RAW_HISTORY = {  # of its iterations, costs and accuracies
    "float64": "5b419854257206b181cc183138e88cecf5e9bb30eab2c32b8e8e292ba2015545",
    "float32": "ff75ae38641a04f8eb4c62799af94b9de841b46deedc89309253b9e878c26816",
}


def raw_run(dtype: str, **keywords: Any) -> nn.FitResult:
    X, y = nn.load_marks()
    start = nn.init_params(3, 4, seed=3, factor=0.01, dtype=dtype)
    return nn.fit(X[:, :300], y[:, :300], start, **{"learning_rate": 0.2, "engine": "compiled", **keywords})


def draw(sizes: tuple[int, int, int], m: int, dtype: str) -> tuple[np.ndarray, np.ndarray, Params]:
    """Data and a network that learns from it, neither of them round numbers."""
    n0, n1, n2 = sizes
    rng = np.random.default_rng(m)
    X = rng.standard_normal((n0, m)).astype(dtype)
    y = (rng.random((n2, m)) < 0.4).astype(dtype)
    params = nn.init_params(n0, n1, n2, factor=0.7, dtype=dtype)
    return X, y, params._replace(b1=params.b1 + np.asarray(0.1, dtype), b2=params.b2 - np.asarray(0.3, dtype))


def flat(params: Params) -> np.ndarray:
    return np.concatenate([array.ravel() for array in params])


def engine_of(X: np.ndarray, y: np.ndarray, params: Params, threads: int | None = None) -> CompiledEngine:
    return CompiledEngine(engines.Examples(X, y), params, backend=CPU, threads=threads)


def descend(engine: CompiledEngine, params: Params, iterations: int, learning_rate: Any = 0.2) -> Params:
    start = engine.start(State(params, {}))
    return engine.state(engine.descend(start, iterations, {"learning_rate": learning_rate})[0]).params


def score(engine: CompiledEngine, params: Params) -> nn.Score:
    return engine.score(engine.start(State(params, {})))


def scalars(dtype: Any, **numbers: float) -> dict[str, np.ndarray]:
    with np.errstate(over="ignore"):
        return {name: np.array(number).astype(dtype) for name, number in numbers.items()}


def defined(params: Params, X: np.ndarray, y: np.ndarray, iterations: int, learning_rate: float) -> Params:
    """What the definition says the engine reaches."""
    dtype = params.w1.dtype
    step = program("step", X.shape[0], params.w1.shape[0], y.shape[0], dtype.name)
    numbers = scalars(dtype, m=X.shape[1], learning_rate=learning_rate)
    return Params(**interpreted(step, {"X": X, "y": y}, params._asdict(), numbers, iterations)[0])


def interpreted_score(params: Params, X: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    tally = program("score", X.shape[0], params.w1.shape[0], y.shape[0], params.w1.dtype.name)
    results = interpret(tally, {"X": X, "y": y}, params._asdict(), scalars(params.w1.dtype, m=X.shape[1]))
    return float(results["cost"][0, 0]), (y.size - results["errors"].sum(dtype=np.float64)) / y.size


def run_kernel(
    kernel: Kernel,
    examples: dict[str, np.ndarray],
    state: dict[str, np.ndarray],
    numbers: dict[str, np.ndarray],
    iterations: int = 1,
    threads: int = 1,
    spans: np.ndarray | None = None,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Results by name with a leading axis of networks, and outputs (networks, rows, examples)."""
    plan = kernel.plan
    networks = 1 if spans is None else len(spans)
    row, given = (
        zeros((networks, plan.state.size), plan.program.dtype),
        zeros((networks, plan.numbers.size), plan.program.dtype),
    )
    plan.state.pack(state, row)
    plan.numbers.pack(numbers, given)
    results, outputs = kernel.bind(Examples(examples, threads), networks, spans)(row, given, iterations)
    strips = len(outputs) // networks
    outputs = outputs.reshape(networks, strips, plan.outputs.rows, STRIP).swapaxes(1, 2)
    return plan.results.unpack(results), outputs.reshape(networks, plan.outputs.rows, strips * STRIP)


def assert_same_bits(actual: Any, expected: Any) -> None:
    """Compare bytes; of a NaN only that both are NaN."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
    nan = np.isnan(expected)
    assert np.array_equal(np.isnan(actual), nan)
    assert np.where(nan, 0, actual).tobytes() == np.where(nan, 0, expected).tobytes(), (actual, expected)


def assert_is_interpreter(
    X: np.ndarray, y: np.ndarray, params: Params, iterations: int, learning_rate: float = 0.3, threads: int = 2
) -> None:
    engine = engine_of(X, y, params, threads)
    reached = descend(engine, params, iterations, learning_rate)
    for array, start in zip(reached, params, strict=True):
        assert (array.shape, array.dtype) == (start.shape, start.dtype)
    assert_same_bits(flat(reached), flat(defined(params, X, y, iterations, learning_rate)))
    reached_score = score(engine, params)
    cost, accuracy = interpreted_score(params, X, y)
    assert_same_bits(reached_score.cost, cost)
    assert reached_score.accuracy == accuracy


@functools.cache
def endless(sizes: tuple[int, int, int], dtype: str) -> Kernel:
    """A training step that nothing ends, so that what is not finite goes on."""
    return Kernel(program("step", *sizes, dtype)._replace(endings={}))


def assert_goes_on(X: np.ndarray, y: np.ndarray, params: Params, iterations: int, learning_rate: float = 0.3) -> Params:
    """Compare what is reached where nothing ends a run; return it."""
    kernel = endless((len(X), len(params.w1), len(y)), X.dtype.name)
    examples, numbers = {"X": X, "y": y}, scalars(X.dtype, m=X.shape[1], learning_rate=learning_rate)
    reached, _ = run_kernel(kernel, examples, params._asdict(), numbers, iterations)
    expected, *_ = interpreted(kernel.plan.program, examples, params._asdict(), numbers, iterations)
    for name, array in expected.items():
        assert_same_bits(reached[name][0], array)
    return Params(**expected)


@pytest.fixture
def threads_used(monkeypatch: pytest.MonkeyPatch, always_share: None) -> list[int]:
    """The number of threads of each kernel call."""
    used: list[int] = []
    run = Pool.run

    def run_and_note(pool: Pool, work: Callable[[int], None], threads: int, release: Callable[[], None]) -> None:
        used.append(threads)
        run(pool, work, threads, release)

    monkeypatch.setattr(Pool, "run", run_and_note)
    return used


# --- the interpreter's bits ---


SMALL = [(1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2), (2, 3, 2), (3, 4, 1), (30, 8, 1)]
LARGE = [((97, 101, 3), 300), ((64, 17, 33), 129), ((5, 200, 1), 300), ((2, 2, 12), 513), ((300, 8, 1), 40)]


@DTYPE
@pytest.mark.parametrize(
    ("sizes", "m"), [*((sizes, m) for sizes in SMALL for m in (1, 31, 32, 33, 127, 128, 129, 700)), *LARGE], ids=str
)
def test_is_the_interpreter(sizes: tuple[int, int, int], m: int, dtype: str, always_share: None) -> None:
    assert_is_interpreter(*draw(sizes, m, dtype), 3)


@DTYPE
@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize("m", [8 * TILE - 1, 8 * TILE, 8 * TILE + 1, ROWS_FOR_7_THREADS])
def test_is_the_interpreter_on_any_number_of_threads(m: int, threads: int, dtype: str, threads_used: list[int]) -> None:
    assert_is_interpreter(*draw((3, 4, 1), m, dtype), 5, threads=threads)
    assert set(threads_used) == {threads} or m != ROWS_FOR_7_THREADS


def unlike(*, xp: Any, X: Any, t: Any, w: Any, v: Any, c: Any, rate: Any, bound: Any) -> dict[str, Any]:
    """A program like none of the equations: a softmax, squares, two products of one array, folds, roots, endings."""
    z = w @ X + 2 * c
    e = xp.exp(z - xp.max(z, axis=-2, keepdims=True))
    p = e / xp.sum(e, axis=-2, keepdims=True)
    first = xp.argmax(z, axis=-2, keepdims=True) == xp.argmax(X, axis=-2, keepdims=True)
    d = xp.where(t > 0, p - t, xp.sqrt(xp.abs(X * X)) * xp.maximum(p, t)) * xp.where(first, p, 1)
    step = d @ xp.matrix_transpose(X) / rate
    other = d @ xp.matrix_transpose(p)
    return {
        "w": w - rate * step / (xp.sqrt(step * step) + 1e-3),
        "v": xp.minimum(v, other) - v / (1 + xp.abs(v)),
        "c": xp.where(c < 0.1, c, -c) + rate * xp.sum(d, axis=-1, keepdims=True),
        "small": [xp.abs(step) < 1e5, xp.abs(c) < bound],
        "large": [xp.abs(other) < 1e6, rate == rate],
    }


@DTYPE
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(("rows", "m"), [(1, 40), (3, 129), (5, 700)])
def test_a_program_like_none_of_the_equations_is_the_interpreter(
    rows: int, m: int, threads: int, dtype: str, always_share: None
) -> None:
    shapes = {"w": (rows, rows), "v": (rows, rows), "c": (rows, 1)}
    given = {"examples": {"X": rows, "t": rows}, "state": shapes, "numbers": ("rate", "bound")}
    recorded = record(unlike, dtype=dtype, endings={"large": False, "small": True}, **given)
    rng = np.random.default_rng(m)
    examples = {name: rng.standard_normal((rows, m)).astype(dtype) for name in ("X", "t")}
    state = {name: rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}
    kernel, endings = Kernel(recorded), []
    for rate, bound in ((0.1, 0), (0.1, 1e3), (np.nan, 1e3)):
        numbers = scalars(dtype, rate=rate, bound=bound)
        expected, done, ended = interpreted(recorded, examples, state, numbers, 3)
        actual, _ = run_kernel(kernel, examples, state, numbers, 3, threads)
        for name in shapes:
            assert_same_bits(actual[name][0], expected[name])
        endings.append((done, ended))
    assert endings == [(3, ""), (0, "small"), (0, "large")]


@DTYPE
def test_results_that_differ_between_examples_are_the_interpreters(dtype: str, always_share: None) -> None:
    def layers(*, xp: Any, X: Any, w: Any) -> dict[str, Any]:
        z = w @ X
        return {"z": z, "f": equations.sigmoid(z, xp=xp), "largest": xp.max(z, axis=-2, keepdims=True)}

    recorded = record(layers, dtype=dtype, examples={"X": 2}, state={"w": (3, 2)})
    rng = np.random.default_rng(3)
    X, w = rng.standard_normal((2, 700)).astype(dtype), rng.standard_normal((3, 2)).astype(dtype)
    _, outputs = run_kernel(Kernel(recorded), {"X": X}, {"w": w}, {}, threads=2)
    expected = interpret(recorded, {"X": X}, {"w": w}, {})
    assert_same_bits(outputs[0, :, :700], np.concatenate([expected["z"], expected["f"], expected["largest"]]))


@DTYPE
@pytest.mark.parametrize("threads", [1, 2])
def test_each_network_has_its_own_first_example_and_count(dtype: str, threads: int, always_share: None) -> None:
    spans = np.array([[0, 300], [320, 1], [352, 129], [0, 480], [512, 31]])
    X, y, _ = draw((3, 4, 1), 543, dtype)
    networks = [nn.init_params(3, 4, seed=seed, factor=0.7, dtype=dtype) for seed in range(len(spans))]
    step = program("step", 3, 4, 1, dtype)
    numbers = {"m": spans[:, 1].astype(dtype), "learning_rate": np.linspace(0.1, 2, len(spans)).astype(dtype)}
    state = stacked(networks, len(networks))._asdict()
    actual, _ = run_kernel(Kernel(step), {"X": X, "y": y}, state, numbers, 3, threads, spans)
    for k, (first, count) in enumerate(spans):
        part = slice(first, first + count)
        expected = defined(networks[k], X[:, part], y[:, part], 3, float(numbers["learning_rate"][k]))
        for name, array in expected._asdict().items():
            assert_same_bits(actual[name][k], array)


def numbers(dtype: str, shape: tuple[int, ...]) -> st.SearchStrategy[np.ndarray]:
    """Any finite numbers, most of them of ordinary size; subnormal ones too."""
    width = 64 if dtype == "float64" else 32
    small = float(np.finfo(dtype).smallest_normal)

    def floats(largest: float) -> st.SearchStrategy[float]:
        return st.floats(-largest, largest, width=width)

    elements = st.one_of(floats(1), floats(1024), floats(small), floats(float(np.finfo(dtype).max)))
    return arrays(dtype, shape, elements=elements)


@st.composite
def problems(draw: st.DrawFn, dtype: str) -> dict[str, Any]:
    n0, n1, n2 = draw(st.sampled_from([(1, 1, 1), (2, 1, 1), (1, 2, 2), (2, 3, 1), (3, 2, 2), (3, 4, 1), (4, 1, 3)]))
    m = draw(st.integers(1, 40))
    shapes = {"w1": (n1, n0), "b1": (n1, 1), "w2": (n2, n1), "b2": (n2, 1)}
    large = float(np.finfo(dtype).max)
    return {
        "X": draw(numbers(dtype, (n0, m))),
        "y": draw(arrays(dtype, (n2, m), elements=st.sampled_from([0.0, 1.0]))),
        "params": Params(**{name: draw(numbers(dtype, shape)) for name, shape in shapes.items()}),
        "iterations": draw(st.integers(1, 4)),
        "learning_rate": draw(st.one_of(st.floats(0.001, 10), st.floats(0, large))),
    }


@DTYPE
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_is_the_interpreter_at_any_magnitude(dtype: str, data: st.DataObject) -> None:
    """Saturated sigmoids, subnormal numbers, overflow to infinity, which ends a run, and what would come of it."""
    drawn = data.draw(problems(dtype))
    assert_is_interpreter(**drawn)
    assert_goes_on(**drawn)


@DTYPE
def test_is_the_interpreter_for_any_shape(dtype: str) -> None:
    """Apart from the magnitudes, because each new shape has to be compiled."""
    sizes, largest = st.tuples(*[st.integers(1, 40)] * 3), 700

    @settings(max_examples=12, deadline=None)
    @given(sizes=sizes, m=st.integers(1, largest), threads=st.integers(1, 3))
    @example(sizes=(6, 1, 6), m=2, threads=1)
    def check(sizes: tuple[int, int, int], m: int, threads: int) -> None:
        assert_is_interpreter(*draw(sizes, m, dtype), 2, threads=threads)

    check()


@DTYPE
def test_saturated_sigmoids_and_subnormal_numbers_are_kept(dtype: str) -> None:
    tiny = np.finfo(dtype).smallest_subnormal
    X = np.array([[-1e4, -200, -90, -1, 0, tiny, 1, 90, 200, 1e4]], dtype)
    y = np.array([[0, 1, 0, 1, 0, 1, 0, 1, 0, 1]], dtype)
    ones = np.ones((1, 1), dtype)
    assert_is_interpreter(X, y, Params(ones, 0 * ones, ones, 0 * ones), 3)
    params = Params(0 * ones, 0 * ones, 0 * ones, ones * tiny)
    reached = descend(engine_of(X[:, :2] * 0, y[:, :2], params), params, 1, 1e-30)
    assert 0 < reached.b2[0, 0] == tiny  # the errors of yhat = 0.5 cancel


@DTYPE
def test_an_overflowing_product_does_not_undo_an_infinite_sum(dtype: str) -> None:
    """-inf + (finite times finite) is -inf, also where the rounded product would be +inf."""
    big = np.asarray(np.finfo(dtype).max)
    X, y = np.array([[-big], [big]]), np.zeros((1, 1), dtype)
    params = Params(np.array([[big, big]]), *(np.ones(shape, dtype) for shape in ((1, 1), (1, 1), (1, 1))))
    reached = descend(engine_of(X, y, params), params, 1, 0.5)
    assert np.isfinite(flat(reached)).all()  # f1 is 0, as for any z1 far below 0
    assert_goes_on(X, y, params, 2)


@DTYPE
@pytest.mark.parametrize("field", Params._fields)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_go_on_as_in_the_interpreter(field: str, value: float, dtype: str) -> None:
    X, y, params = draw((2, 2, 1), 20, dtype)
    spoilt = getattr(params, field).copy()
    spoilt[0, 0] = value
    params = params._replace(**{field: spoilt})
    assert_is_interpreter(X, y, params, 2)
    reached = assert_goes_on(X, y, params, 2)
    if np.isnan(value):
        assert np.isnan(reached.w2).any()
        assert np.isnan(score(engine_of(X, y, params), params).cost)


@DTYPE
@pytest.mark.parametrize(
    "name", ["exp", "log1p", "sqrt", "reciprocal", "sigmoid", "abs", "where", "max", "min", "equal", "argmax"]
)
def test_functions_are_the_interpreters_for_any_bits(name: str, dtype: str) -> None:
    def function(*, xp: Any, X: Any) -> dict[str, Any]:
        values = {
            "exp": lambda: xp.exp(X),
            "log1p": lambda: xp.log1p(X),
            "sqrt": lambda: xp.sqrt(X),
            "reciprocal": lambda: 1 / X,
            "sigmoid": lambda: equations.sigmoid(X, xp=xp),
            "abs": lambda: xp.abs(X) - 1,
            "where": lambda: xp.where(X <= 0.5, -X, 2 * X) + xp.where(X > -3, 1.0, X),
            "max": lambda: xp.maximum(X, -2 * X),
            "min": lambda: xp.minimum(0.5, X),
            "equal": lambda: xp.where(xp.abs(X) == X, 1, X),
            "argmax": lambda: xp.argmax(X, axis=-2, keepdims=True),
        }[name]()
        return {"values": values}

    recorded = record(function, dtype=dtype, examples={"X": 3}, state={})
    bits = np.dtype(dtype).itemsize * 8
    rng = np.random.default_rng(13)
    any_bits = rng.integers(0, 2**bits, 9000, dtype=f"uint{bits}").view(dtype)
    ordinary = (rng.standard_normal(9000) * rng.choice([1e-3, 1, 30, 300], 9000)).astype(dtype)
    f = np.finfo(dtype)
    edges = [0, 1, 0.5, -3, f.smallest_subnormal, f.smallest_normal, f.max, np.inf, np.nan, 88.7228, 709.78, 87.33655]
    edges = np.array([*edges, 708.3964185322641, 103.97, 745.2, 2**0.5 - 1], dtype)
    ties = rng.choice([-1.0, -0.0, 0.0, 1.0, np.nan], (3, 300)).astype(dtype)
    X = np.concatenate([np.concatenate([any_bits, ordinary, edges, -edges, edges]).reshape(3, -1), ties], axis=1)
    _, outputs = run_kernel(Kernel(recorded), {"X": X}, {}, {})
    assert_same_bits(outputs[0, :, : X.shape[1]], interpret(recorded, {"X": X}, {}, {})["values"])


@DTYPE
def test_iterations_in_one_call_or_in_many_are_the_same(dtype: str) -> None:
    X, y, params = draw((3, 4, 1), 5000, dtype)
    engine = engine_of(X, y, params, 2)
    assert flat(descend(engine, params, 0)).tobytes() == flat(params).tobytes()
    step_by_step = engine.start(State(params, {}))
    for steps in (1, 1, 2, 3, 4):
        step_by_step, done, _ = engine.descend(step_by_step, steps, {"learning_rate": 0.3})
        assert done == steps
    assert flat(descend(engine, params, 11, 0.3)).tobytes() == flat(engine.state(step_by_step).params).tobytes()


def test_parameters_given_are_not_written_to() -> None:
    X, y, params = draw((3, 4, 1), 50, "float64")
    before = flat(params)
    for array in (X, y, *params):
        array.flags.writeable = False
    engine = engine_of(X, y, params)
    state = engine.start(State(params, {}))
    assert flat(engine.state(engine.descend(state, 5, {"learning_rate": 0.3})[0]).params).tobytes() != before.tobytes()
    assert flat(engine.state(state).params).tobytes() == flat(params).tobytes() == before.tobytes()


# --- rules, outputs, weights, penalties ---


def engine_for(given: Problem, threads: int | None = None) -> CompiledEngine:
    params = given.state.params
    return CompiledEngine(given.examples, params, backend=CPU, method=given.method, threads=threads)


def assert_reached(actual: State, expected: dict[str, np.ndarray], *index: int) -> None:
    """Compare the state of the network of that index."""
    arrays = actual.arrays()
    assert list(arrays) == list(expected)
    for name, array in expected.items():
        assert_same_bits(arrays[name][index], array)


@DTYPE
@pytest.mark.parametrize(("m", "teams"), [(45, [1]), (7 * TILE + 45, [1, 2, 3, 7])])
@pytest.mark.parametrize("name", METHODS)
def test_every_way_to_train_is_the_interpreters(
    name: str, m: int, teams: list[int], dtype: str, always_share: None
) -> None:
    given = problem(name, m, dtype)
    reached, done, ended = given.reached(6)
    params = {field: reached[field] for field in Params._fields}
    asked = {task: interpret(given.program(task), given.arrays, params, given.rounded()) for task in ("score", "yhat")}
    errors, spread = asked["score"]["errors"][:, 0].astype(np.float64), given.examples.spread
    total = given.examples.m * len(errors)
    accuracy = (total - errors.sum()) / total if spread is None else np.nan
    r2 = np.nan if spread is None else np.mean(1 - errors / spread)
    score = (asked["score"]["cost"].astype(np.float64).item(), accuracy, r2)
    for threads in teams:
        engine = engine_for(given, threads)
        state, *counted = engine.descend(engine.start(given.state), 6, given.numbers)
        assert_reached(engine.state(state), reached)
        assert [count.item() for count in counted] == [done, ended]
        assert_same_bits(engine.score(state), score)
        assert_same_bits(engine.predict(state, "yhat"), asked["yhat"]["yhat"])


# --- endings ---


@DTYPE
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", ["compiled", "eager"])
@pytest.mark.parametrize("cut", [(8,), (3, 5), (1,) * 8], ids=str)
def test_each_network_ends_by_itself(cut: tuple[int, ...], name: str, threads: int, dtype: str) -> None:
    given, ended = ending(dtype)
    engine = bind(name, given.examples, given.state.params, backend=CPU, method=given.method, threads=threads)
    state, total, why = engine.start(given.state), np.zeros(ended.shape, int), np.full(ended.shape, "")
    for iterations in cut:
        state, done, endings = engine.descend(state, iterations, given.numbers, ended)
        total, why, ended = total + done, np.where(endings == "", why, endings), ended | (endings != "")
    assert dict(zip(ENDED, zip(total.tolist(), why.tolist(), strict=True), strict=True)) == ENDED
    for k, (expected, reason) in enumerate(ENDED.values()):
        reached = given.reached(expected, k)
        assert given.reached(8, k)[1:] == (expected, reason) or k == 1
        if name == "compiled":
            assert_reached(engine.state(state), reached[0], k)
        for array, close in zip(engine.state(state).params, reached[0].values(), strict=True):
            np.testing.assert_allclose(array[k], close, rtol=1e-9 if dtype == "float64" else 1e-3)


@DTYPE
@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_threads_that_share_a_networks_examples_end_alike(threads: int, dtype: str, always_share: None) -> None:
    many, _ = ending(dtype, 7 * TILE + 45)
    reasons = []
    for k in range(len(ENDED)):
        state = State(Params(*(array[k] for array in many.state.params)), {})
        given = many._replace(state=state, numbers={name: array[k] for name, array in many.numbers.items()})
        reached, *counted = given.reached(8)
        engine = engine_for(given, threads)
        for _ in range(2):  # nothing is left of a run that has ended
            last, *counts = engine.descend(engine.start(state), 8, given.numbers)
            assert_reached(engine.state(last), reached)
            assert [count.item() for count in counts] == counted
        reasons += [counted[1]] * (0 < counted[0] < 8)
    assert reasons == ["tol", "diverged"]


# --- threads, runs, processes, layouts ---


def test_the_environment_decides_the_threads_but_not_the_bytes(
    monkeypatch: pytest.MonkeyPatch, threads_used: list[int]
) -> None:
    X, y, params = draw((3, 4, 1), ROWS_FOR_7_THREADS, "float64")
    monkeypatch.setenv("NN_BACKEND_THREADS", "5")
    five = nn.fit(X, y, params, iterations=3, engine="compiled")
    assert set(threads_used) == {5}
    one = nn.fit(X, y, params, iterations=3, engine="compiled", threads=1)
    assert flat(five.params).tobytes() == flat(one.params).tobytes()
    assert five.history.equals(one.history)


@pytest.mark.parametrize("tiles", [1, 2, 3, 5, 7, 8, 13, 16, 31, 100])
@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_threads_together_add_the_tree_over_the_tiles(tiles: int, threads: int) -> None:
    """The instructions, carried out on text: every thread ends with the tree as NUMERICS.md defines it."""

    def tree(first: int, n: int) -> str:
        if n == 1:
            return str(first)
        k = 1 << (n - 1).bit_length() - 1
        return f"({tree(first, k)}+{tree(first + k, n - k)})"

    threads, rows, left, ends = min(threads, tiles), 99, {}, []
    for thread in [*range(threads), *range(threads)]:  # once to leave the nodes, once to add them up
        stack: list[str] = []
        for code in schedule((tiles,), threads, thread, rows)[0]:
            if code >= 0:
                stack.append(str(code))
            elif code == MERGE:
                right = stack.pop()
                stack.append(f"({stack.pop()}+{right})")
            elif code == WAIT:
                left |= {thread * rows + row: node for row, node in enumerate(stack)}
                stack = []
            elif code <= PUSH:
                stack.append(left.get(PUSH - code, "?"))
        ends.append(stack)
    assert ends[threads:] == [[tree(0, tiles)]] * threads


def test_a_fresh_process_gives_the_same_bytes() -> None:
    here = [digest(*raw_run(dtype, iterations=500).params) for dtype in DTYPES]
    script = (
        "import sys, test_compiled as t; print(*[t.digest(*t.raw_run(d, iterations=500).params) for d in sys.argv[1:]])"
    )
    there = subprocess.run(
        [sys.executable, "-c", script, *DTYPES],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent,
    )
    assert there.stdout.split() == here
    assert [digest(*raw_run(dtype, iterations=500).params) for dtype in DTYPES] == here


def unaligned(X: np.ndarray) -> np.ndarray:
    room = np.zeros(X.nbytes + 1, np.uint8)[1:].view(X.dtype).reshape(X.shape)
    room[:] = X
    assert not room.flags.aligned
    return room


LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "Fortran": np.asfortranarray,
    "every second column": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "the last columns": lambda X: np.concatenate([X[:, :5], X], axis=1)[:, 5:],
    "the first columns": lambda X: np.concatenate([X, X[:, :9]], axis=1)[:, : X.shape[1]],
    "rows backwards": lambda X: np.ascontiguousarray(X[::-1])[::-1],
    "columns backwards": lambda X: np.ascontiguousarray(X[:, ::-1])[:, ::-1],
    "every second row": lambda X: np.repeat(X, 2, axis=0)[::2],
    "unaligned": unaligned,
    "big-endian": lambda X: X.astype(X.dtype.newbyteorder(">")),
    "lists": lambda X: X.tolist(),
}


@DTYPE
@pytest.mark.parametrize("m", [100, 5 * TILE + 3])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_memory_layout_does_not_matter(layout: str, m: int, dtype: str) -> None:
    X, y, params = draw((3, 4, 2), m, dtype)
    expected = nn.fit(X, y, params, iterations=5, engine="compiled")
    lay = LAYOUTS[layout]
    arranged = Params(*map(lay, params)) if layout in ("Fortran", "columns backwards", "unaligned") else params
    result = nn.fit(lay(X), lay(y), arranged, iterations=5, engine="compiled")
    assert flat(result.params).tobytes() == flat(expected.params).tobytes()
    assert result.history.equals(expected.history)


# --- splits ---


@DTYPE
@pytest.mark.parametrize("threads", [1, 2])
def test_sums_of_pieces_merge_into_those_of_the_whole(dtype: str, threads: int, always_share: None) -> None:
    def gradient(*, xp: Any, X: Any, y: Any, **arrays: Any) -> dict[str, Any]:
        return {f"d{name}": a for name, a in equations.gradient(Params(**arrays), X, y, 1, xp=xp)._asdict().items()}

    X, y, params = draw((3, 4, 1), 77 * TILE + 99, dtype)
    state = {"w1": (4, 3), "b1": (4, 1), "w2": (1, 4), "b2": (1, 1)}
    recorded = record(gradient, dtype=dtype, examples={"X": 3, "y": 1}, state=state)
    kernel = Kernel(recorded)

    def sums(first: int, last: int) -> np.ndarray:
        part = {"X": X[:, first:last], "y": y[:, first:last]}
        return flat(run_kernel(kernel, part, params._asdict(), {}, threads=threads)[0].values())

    m = X.shape[1]
    whole = sums(0, m)
    expected = interpret(recorded, {"X": X, "y": y}, params._asdict(), {})
    assert whole.tobytes() == flat(expected.values()).tobytes()
    for k in range(8):
        piece = TILE * 2**k
        parts = [sums(first, min(first + piece, m)) for first in range(0, m, piece)]
        assert len(parts) > 1 or 2**k > 77
        assert add_tree(np.stack(parts)).tobytes() == whole.tobytes(), f"pieces of {piece} rows"
    pieces_out_of_line = [sums(first, min(first + 3 * TILE + 1, m)) for first in range(0, m, 3 * TILE + 1)]
    assert add_tree(np.stack(pieces_out_of_line)).tobytes() != whole.tobytes()  # or the above would show nothing


@DTYPE
@pytest.mark.parametrize("outputs", [1, 3])
def test_scores_of_spans_add_up_to_that_of_the_whole(dtype: str, outputs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y, params = draw((3, 2, outputs), 21 * TILE + 5, dtype)
    engine = engine_of(X, y, params, 2)
    expected = interpreted_score(params, X, y)
    for limit in (MAX_COUNT, 3 * TILE, 4 * TILE, 13 * TILE):
        monkeypatch.setattr(compiled, "MAX_COUNT", limit)
        assert score(engine, params)[:2] == expected


# --- processors ---

FEATURES_OF_LEVEL = {
    "x86-64-v2": {"sse4.2", "ssse3", "popcnt"},
    "x86-64-v3": {"avx2", "fma", "bmi2"},
    "x86-64-v4": {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd"},
}


def target(level: str) -> Target:
    if not llvm.get_default_triple().startswith(("x86_64", "amd64")):
        pytest.skip(f"{level} is a level of x86-64; this machine is {llvm.get_default_triple()}")
    features = llvm.get_host_cpu_features()
    registers, size = {"x86-64-v2": (16, 16), "x86-64-v3": (16, 32), "x86-64-v4": (32, 64)}[level]
    missing = sorted(feature for feature in FEATURES_OF_LEVEL[level] if not features.get(feature))
    if missing:
        pytest.skip(f"this processor is below {level}: it lacks {', '.join(missing)}")
    return Target(native.host().triple, level, "", registers, size)


@DTYPE
@pytest.mark.parametrize("name", ["3-4-1", "30-8-1"])
@pytest.mark.parametrize("level", FEATURES_OF_LEVEL)
def test_compiled_for_another_level_of_x86_runs_end_at_the_pinned_bytes(level: str, name: str, dtype: str) -> None:
    X, y, start, iterations = verify.cases(dtype)[name]
    kernel = Kernel(program("step", *map(int, name.split("-")), dtype), target(level))
    assert ("vfmadd" in assembly(kernel.plan, target(level))) == (level != "x86-64-v2")  # v2 calls the C library's fma
    numbers = scalars(dtype, m=X.shape[1], learning_rate=verify.LEARNING_RATE)
    reached, _ = run_kernel(kernel, {"X": X, "y": y}, start._asdict(), numbers, iterations)
    assert digest(*reached.values()) == verify.PINNED[name, dtype][-1]


@DTYPE
@pytest.mark.parametrize("level", FEATURES_OF_LEVEL)
def test_compiled_for_another_level_of_x86_all_magnitudes_have_the_same_bytes(level: str, dtype: str) -> None:
    programs = program("step", 5, 7, 2, dtype)._replace(endings={}), program("score", 5, 7, 2, dtype)
    kernels = [Kernel(recorded, target(level)) for recorded in programs]
    rng = np.random.default_rng(11)
    for scale in (1.0, 30.0, 1e-30, 1e-38, 1e20, 1e37, *([1e-308, 1e305] if dtype == "float64" else [])):
        X = (rng.standard_normal((5, 300)) * scale).astype(dtype)
        y = (rng.random((2, 300)) < 0.5).astype(dtype)
        params = nn.init_params(5, 7, 2, factor=1, dtype=dtype)._asdict()
        numbers = scalars(dtype, m=300, learning_rate=0.5)
        for kernel in kernels:
            actual, _ = run_kernel(kernel, {"X": X, "y": y}, params, numbers)
            for name, array in interpret(kernel.plan.program, {"X": X, "y": y}, params, numbers).items():
                assert_same_bits(actual[name][0], array)


@DTYPE
@pytest.mark.parametrize(("level", "names"), [(level, METHODS[k::3]) for k, level in enumerate(FEATURES_OF_LEVEL)])
def test_compiled_for_another_level_of_x86_every_way_to_train_has_the_same_bytes(
    level: str, names: tuple[str, ...], dtype: str
) -> None:
    for name in names:
        given = problem(name, 45, dtype)
        expected, *_ = given.reached(4)
        kernel = Kernel(given.program("step"), target(level))
        reached, _ = run_kernel(kernel, given.arrays, given.state.arrays(), given.rounded(), 4)
        assert_reached(State.of(reached), expected, 0)


# --- agreement with eager ---


@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-9), ("float32", 2e-3)])
@pytest.mark.parametrize(("standardized", "iterations"), [(False, 300), (True, 4500)])
def test_agrees_with_eager(standardized: bool, iterations: int, dtype: str, rtol: float) -> None:
    X, y = nn.load_marks()
    X, y = X[:, :300], y[:, :300]
    if standardized:
        X = nn.standardization(X).apply(X)
    start = nn.init_params(3, 4, dtype=dtype)
    eager, native = (
        nn.fit(X, y, start, iterations=iterations, log_every=50, engine=engine) for engine in ("eager", "compiled")
    )
    assert (eager.engine, native.engine) == ("eager", "compiled")
    assert eager.history["iteration"].equals(native.history["iteration"])
    np.testing.assert_allclose(native.history["cost"], eager.history["cost"], rtol=rtol)
    assert native.history["accuracy"].tolist() == eager.history["accuracy"].tolist()
    for actual, expected in zip(native.params, eager.params, strict=True):
        assert actual.dtype == dtype
        np.testing.assert_allclose(actual, expected, rtol=rtol, atol=rtol / 10)


# --- pinned bytes ---


def test_initial_parameters_are_the_pinned_bytes() -> None:
    start = nn.init_params(3, 4, seed=3, factor=0.01)
    pinned = {
        "w1": "2fb986934eb7feb8235a513d412da6e9b474036ed3a314604d7383b58c5577ef",
        "w2": "5cd5cdd576f3b6089febe7800cf2a5627e6e5b97e505334fc26235692868e4b4",
    }
    drawn = {name: digest(getattr(start, name)) for name in pinned}
    assert drawn == pinned, (
        f"the initial weights drawn here are {start.w1.tolist()} and {start.w2.tolist()}, not those of other machines. "
        "NumPy's legacy generator calls the C library's log, and this platform's rounds differently. Training itself "
        "has the same bits here; to repeat another machine's run, carry its starting parameters over as a file or "
        "array and pass them to fit instead of drawing them."
    )


def test_standardised_marks_are_the_pinned_bytes() -> None:
    X, _ = nn.load_marks()
    scale = nn.standardization(X[:, :300])
    assert digest(scale.apply(X)) == "bd54670cbe0c9277a86d5577dec5edfd56fa63eb106e589c1058bbd8530189d7"
    assert (
        digest(scale.apply(X).astype("float32")) == "bd642e6f91a3567a2ce0ffa68810862da19fc00542bca3824d8f7f3dab39ce25"
    )


def require_pinned_start(dtype: str) -> None:
    X, y, start, _ = verify.cases(dtype)["3-4-1"]
    if digest(X, y, *start) != verify.PINNED["3-4-1", dtype][0]:
        pytest.fail("the run starts from other weights: see test_initial_parameters_are_the_pinned_bytes")


@DTYPE
def test_the_raw_run_ends_at_the_pinned_bytes(dtype: str) -> None:
    require_pinned_start(dtype)
    result = raw_run(dtype)
    assert digest(result.history.to_numpy("float64")) == RAW_HISTORY[dtype]
    assert digest(*result.params) == RAW_RUN[dtype]


@DTYPE
def test_the_raw_run_ends_there_however_it_is_cut(dtype: str) -> None:
    require_pinned_start(dtype)
    first = raw_run(dtype, iterations=1234, log_every=17)
    X, y = nn.load_marks()
    rest = nn.fit(X[:, :300], y[:, :300], first.params, iterations=4500 - 1234, log_every=1, engine="compiled")
    assert digest(*rest.params) == RAW_RUN[dtype]


# --- numbers rounded on the way in ---


@pytest.mark.parametrize("learning_rate", [0.2, 1 + 2**-24 + 2**-40, 1e-42, 3e38])
def test_the_learning_rate_is_rounded_once_to_float32(learning_rate: float) -> None:
    X, y, params = draw((3, 4, 1), 300, "float32")
    y, params = np.ones_like(y), Params(*map(np.zeros_like, params))
    engine = engine_of(X, y, params)
    reached = flat(descend(engine, params, 1, learning_rate))
    rounded = np.float32(learning_rate)
    assert float(rounded) != learning_rate
    assert float(reached[-1]) == float(rounded) / 2  # b2 after one step; yhat was 0.5 for all
    assert_same_bits(reached, flat(defined(params, X, y, 1, float(rounded))))
    for neighbour in np.nextafter(rounded, np.float32([0, np.inf])):
        assert reached.tobytes() != flat(descend(engine, params, 1, float(neighbour))).tobytes()


def test_float32_counts_beyond_its_24_bits_and_rounds_m_once() -> None:
    m, wrong = 2**24 + 3, 5
    X, y = np.zeros((1, m), np.float32), np.ones((1, m), np.float32)
    y[0, -wrong:] = 0  # yhat is 0.5 for all, which counts as 1
    params = nn.init_params(1, 1, factor=0, dtype="float32")
    reached = score(engine_of(X, y, params), params)
    assert reached.accuracy == (m - wrong) / m
    one = {"X": np.zeros((1, 1), np.float32), "y": np.zeros((1, 1), np.float32)}
    cost = interpret(program("score", 1, 1, 1, "float32"), one, params._asdict(), scalars("float32", m=1))["cost"]
    term = cost[0] / np.float32(m)
    tile = np.full(TILE, term[0]).reshape(TILE_ROWS, -1).cumsum(axis=0, dtype="float32")[-1:]
    while tile.shape[1] > 1:
        tile = tile[:, : tile.shape[1] // 2] + tile[:, tile.shape[1] // 2 :]
    tiles = np.full((m // TILE + 1, 1), tile[0, 0])
    tiles[-1] = (term + term) + term  # the last tile has three examples, in lanes 0, 1, 2: by halving 0 + 2, then + 1
    assert reached.cost == add_tree(tiles)[0]


# --- many networks ---


def stacked(networks: Sequence[Params], *lead: int) -> Params:
    arrays = map(np.stack, zip(*networks, strict=True))
    return Params(*(array.reshape(*lead, *array.shape[1:]) for array in arrays))


@DTYPE
@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize(("lead", "m"), [((1,), 300), ((2,), ROWS_FOR_7_THREADS), ((9,), 1000), ((2, 3), 40)])
def test_each_of_many_networks_is_trained_as_it_would_be_alone(
    lead: tuple[int, ...], m: int, threads: int, dtype: str
) -> None:
    X, y, _ = draw((3, 4, 2), m, dtype)
    networks = [nn.init_params(3, 4, 2, seed=seed, factor=0.7, dtype=dtype) for seed in range(math.prod(lead))]
    many = stacked(networks, *lead)
    before = flat(many)
    result = nn.fit(X, y, many, iterations=7, log_every=5, threads=threads)
    assert result.engine == "compiled"
    assert flat(many).tobytes() == before.tobytes()
    assert result.history.columns.tolist() == ["iteration", "network", "cost", "accuracy"]
    assert result.history[["cost", "accuracy"]].dtypes.tolist() == [np.float64, np.float64]
    score = nn.score(result.params, X, y)
    last = result.history[result.history["iteration"] == 7]
    assert score.cost.shape == score.accuracy.shape == lead
    assert last["cost"].tolist() == score.cost.ravel().tolist()
    assert last["accuracy"].tolist() == score.accuracy.ravel().tolist()
    for number, index in enumerate(np.ndindex(lead)):
        alone = nn.fit(X, y, networks[number], iterations=7, log_every=5, threads=1, engine="compiled")
        for one, array in zip(alone.params, result.params, strict=True):
            assert_same_bits(array[index], one)
        rows = result.history[result.history["network"] == number].drop(columns="network").reset_index(drop=True)
        assert rows.equals(alone.history)


@pytest.mark.parametrize(
    ("networks", "m", "expected"),
    [
        (1, ROWS_FOR_7_THREADS, [7]),
        (6, ROWS_FOR_7_THREADS, [7] * 6),  # one after the other, each on all threads
        (7, ROWS_FOR_7_THREADS, [7]),  # side by side
        (99, ROWS_FOR_7_THREADS, [7]),
        (1, 100, [1]),
        (2, 100, [2]),  # side by side, since one could use but one thread
        (9, 100, [7]),
    ],
)
def test_threads_share_data_or_networks(networks: int, m: int, expected: list[int], threads_used: list[int]) -> None:
    X, y, params = draw((3, 4, 1), m, "float32")
    many = stacked([params] * networks, networks)
    descend(engine_of(X, y, many, 7), many, 1)
    assert threads_used == expected


def test_little_work_is_done_by_one_thread(threads_used: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "WORTH_A_THREAD", WORTH_A_THREAD)
    monkeypatch.setattr(native, "WORTH_STARTING", WORTH_STARTING)
    X, y, params = draw((3, 4, 1), 300, "float64")
    engine = engine_of(X, y, params, 2)
    descend(engine, params, 1)
    descend(engine, params, 4500)
    assert threads_used == [1, 2]


# --- predicting ---


@DTYPE
@pytest.mark.parametrize(("lead", "m"), [((), 1), ((), 700), ((5,), 129), ((2, 3), 40)])
@pytest.mark.parametrize("outputs", [1, 3])
def test_predictions_are_the_interpreters_in_chunks_of_any_size(
    lead: tuple[int, ...], m: int, outputs: int, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, _, _ = draw((3, 4, outputs), m, dtype)
    networks = [nn.init_params(3, 4, outputs, seed=seed, factor=0.7, dtype=dtype) for seed in range(math.prod(lead))]
    params = stacked(networks, *lead) if lead else networks[0]
    recorded = program("yhat", 3, 4, outputs, dtype)
    expected = [interpret(recorded, {"X": X}, network._asdict(), {})["yhat"] for network in networks]
    for chunk in (2**25, 5000):
        monkeypatch.setattr(compiled, "CHUNK_BYTES", chunk)
        yhat = nn.predict_proba(params, X)
        assert_same_bits(yhat, np.reshape(expected, (*lead, outputs, m)))
    assert np.array_equal(nn.predict(params, X), yhat >= 0.5)


@DTYPE
@pytest.mark.parametrize("engine", ["compiled", "eager"])
@pytest.mark.parametrize("output", equations.OUTPUTS)
def test_both_layers_of_one_pass_have_the_bits_of_each_alone(output: str, engine: str, dtype: str) -> None:
    X, _, _ = draw((3, 4, 3), 700, dtype)
    params = stacked([nn.init_params(3, 4, 3, seed=seed, factor=0.7, dtype=dtype) for seed in range(2)], 2)
    asked = bind(engine, engines.Examples(X), params, backend=CPU, method=Method(equations.OUTPUTS[output]), tasks=())
    state = asked.start(State(params, {}))
    both = asked.predict(state, "layers")
    assert_same_bits(both[:, :3], asked.predict(state, "z2"))
    assert_same_bits(both[:, -3:], asked.predict(state, "yhat"))


# --- which engine runs ---


@pytest.mark.parametrize("sizes", [(3, 4, 1), (30, 64, 2)])
def test_auto_takes_compiled_on_numpy_whatever_the_size(sizes: tuple[int, int, int]) -> None:
    X, y, params = draw(sizes, 50, "float32")
    assert choose("auto", CPU) == choose("compiled", CPU) == "compiled"
    assert choose("eager", CPU) == "eager"
    assert isinstance(bind("auto", engines.Examples(X, y), params, backend=CPU), CompiledEngine)
    assert nn.fit(X, y, params, iterations=2).engine == "compiled"
    assert nn.fit(X, y, params, iterations=2, engine="eager").engine == "eager"


def test_elsewhere_auto_takes_eager_and_compiled_says_why_not() -> None:
    assert choose("auto", STRICT) == "eager"
    X, y, params = np.zeros((3, 7)), np.zeros((1, 7)), nn.init_params(3, 4)
    assert nn.fit(X, y, params, iterations=1, backend=STRICT).engine == "eager"
    refusal = (
        r"^engine 'compiled' does not serve here: the backend is strict; it runs on numpy and cupy\. "
        r"Use 'eager' or 'auto'$"
    )
    with pytest.raises(nn.ArgumentError, match=refusal):
        nn.fit(X, y, params, iterations=1, backend=STRICT, engine="compiled")


def test_on_a_gpu_auto_takes_eager() -> None:
    gpu = require_gpu()
    assert choose("auto", gpu) == "eager"
    assert choose("compiled", gpu) == "compiled"


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(nn.ArgumentError, match=r"^engine 'fast' is not known; accepted: auto, eager, compiled$"):
        choose("fast", CPU)


# --- divergence ---


@DTYPE
@pytest.mark.parametrize("log_every", [1, 1000])
def test_divergence_is_found_at_the_iteration_that_eager_finds(dtype: str, log_every: int) -> None:
    """All of w2 and b2 grow by the learning rate at each iteration, until the largest is not finite."""
    big = np.finfo(dtype).max
    params = Params(
        np.zeros((3, 1), dtype),
        np.full((3, 1), 1000, dtype),  # f1 is 1
        np.array([[0.97, -0.47, -0.47]], dtype) * big,
        np.array([[-0.53]], dtype) * big,  # yhat is 0
    )
    rate = 6e-5 * float(big)
    X, y = np.ones((1, 4)), np.ones((1, 4))
    messages = []
    for engine in ("eager", "compiled"):
        assert nn.fit(X, y, params, learning_rate=rate, iterations=490, engine=engine).iterations == 490
        with pytest.raises(nn.DivergenceError, match=r"parameters are no longer finite at iteration 50\d: take") as e:
            nn.fit(X, y, params, learning_rate=rate, iterations=3000, log_every=log_every, engine=engine)
        messages.append(str(e.value))
    assert messages[0] == messages[1]
    assert "standardise the features" in messages[0]


@pytest.mark.parametrize(
    ("X", "w1", "w2", "learning_rate", "dtype", "what"),
    [
        ([1e200, -1e200, 5e199], 1e-200, 1.0, 1e120, "float64", "parameters are no longer finite at iteration 1:"),
        ([1.0, 1.0, 1.0], 0.0, 0.0, 1e160, "float64", "parameters are no longer finite at iteration 2:"),
        ([1.0, 1.0, 1.0], 1e308, 1.7e308, 0.2, "float64", "cost is no longer finite at iteration 0:"),
        ([1.0, 1.0, 1.0], 0.5, 1.0, 1e300, "float32", "parameters are no longer finite at iteration 1:"),
    ],
)
@pytest.mark.parametrize("engine", ["eager", "compiled"])
def test_divergence_is_reported_as_in_eager(
    X: list[float], w1: float, w2: float, learning_rate: float, dtype: str, what: str, engine: str
) -> None:
    params = Params(*(np.array([[value]], dtype) for value in (w1, 0.0, w2, w2 / 2)))
    with pytest.raises(nn.DivergenceError, match=f"{what} take a learning rate smaller"):
        nn.fit([X], [[1, 0, 1]], params, iterations=1000, learning_rate=learning_rate, engine=engine)


# --- Ctrl-C ---


@pytest.fixture
def press_ctrl_c() -> Iterator[Callable[[float], Callable[[], float]]]:
    """Send SIGINT to this process after so many seconds; gives how long ago that was."""
    timers: list[threading.Timer] = []

    def press(after: float) -> Callable[[], float]:
        sent: list[float] = []

        def send() -> None:
            sent.append(time.perf_counter())
            os.kill(os.getpid(), signal.SIGINT)

        timers.append(threading.Timer(after, send))
        timers[-1].start()

        def seconds_since() -> float:
            timers[-1].join()
            return time.perf_counter() - sent[0]

        return seconds_since

    yield press
    for timer in timers:
        timer.cancel()  # where the run failed early, or the signal would end the tests after it


@POSIX
@pytest.mark.parametrize("log_every", [10**9, 1000])
@pytest.mark.parametrize("kind", ["alone", "shared", "many"])
def test_ctrl_c_ends_a_long_run(
    kind: str, log_every: int, threads_used: list[int], press_ctrl_c: Callable[..., Any]
) -> None:
    """Of one network, on one thread or on two that share its examples, or of fifty, two threads side by side."""
    X, y = nn.simulate_marks(10**6 if kind == "shared" else 300, seed=1)
    start = nn.init_params(3, 4, seed=range(50)) if kind == "many" else nn.init_params(3, 4)
    options = {"engine": "compiled", "log_every": log_every}
    since = press_ctrl_c(0.8)
    result = nn.fit(X, y, start, iterations=10**9, threads=1 if kind == "alone" else 2, **options)
    assert since() < 2
    assert set(threads_used) == {1 if kind == "alone" else 2}
    assert result.interrupted
    [iterations] = set(np.ravel(result.iterations).tolist())
    assert 0 < iterations < 10**9
    assert result.history["iteration"].iloc[-1] == iterations
    again = nn.fit(X, y, start, iterations=iterations, threads=1, **options)
    assert flat(again.params).tobytes() == flat(result.params).tobytes()
    assert again.history.iloc[-1].equals(result.history.iloc[-1])


CTRL_C_BETWEEN_THREADS = """
import signal
import nn_backend as nn
from nn_backend.compiler import native, pool

begin, calls = pool.Worker.begin, 0

def begin_and_interrupt(worker, *arguments):
    global calls
    begin(worker, *arguments)
    calls += 1
    if calls == 3:  # one thread of this call is started, another is not
        signal.raise_signal(signal.SIGINT)

pool.Worker.begin = begin_and_interrupt
native.WORTH_A_THREAD = native.WORTH_STARTING = 1
X, y = nn.simulate_marks(20_000, seed=1)
result = nn.fit(X, y, nn.init_params(3, 4), iterations=2000, threads=3, engine="compiled")
again = nn.fit(X, y, nn.init_params(3, 4), iterations=5, threads=3, engine="compiled")
print(result.interrupted, again.iterations)
"""

CTRL_C_AT_RANDOM = """
import random
import signal
import time
import nn_backend as nn
from nn_backend.compiler import native
from nn_backend.compiler import pool as pool_module

native.WORTH_A_THREAD = native.WORTH_STARTING = 1
signal.signal(signal.SIGALRM, signal.default_int_handler)
X, y = nn.simulate_marks(2000, seed=1)
start = nn.init_params(3, 4)
nn.fit(X, y, start, iterations=3, threads=3)
random.seed(0)
interrupted, ends = 0, time.monotonic() + 3
while time.monotonic() < ends:
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 4e-3))
        try:
            interrupted += nn.fit(X, y, start, iterations=200, threads=3).interrupted
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        interrupted += 1
reached = [nn.fit(X, y, start, iterations=200, threads=threads).params.w1.tobytes() for threads in (1, 3)]
print(interrupted > 100, reached[0] == reached[1])
"""


@POSIX
@pytest.mark.parametrize(
    ("script", "expected"), [(CTRL_C_BETWEEN_THREADS, ["True", "5"]), (CTRL_C_AT_RANDOM, ["True", "True"])]
)
def test_ctrl_c_leaves_no_thread_waiting_for_another(script: str, expected: list[str]) -> None:
    try:
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired:
        pytest.fail("the process hangs: a thread waits for one that was interrupted, or never started")
    assert (done.returncode, done.stdout.split()) == (0, expected), done.stderr


def test_an_error_in_a_thread_is_the_callers() -> None:
    def work(number: int) -> None:
        if number == 1:
            raise MemoryError("no room")
        assert released.acquire(timeout=10)  # as a kernel waits at its barrier

    released = threading.Semaphore(0)
    pool = Pool()
    with pytest.raises(MemoryError, match="no room"):
        pool.run(work, 2, released.release)
    seen: list[int] = []
    pool.run(seen.append, 3, lambda: None)
    assert sorted(seen) == [0, 1, 2]


# --- kernels, threads and the GIL ---


def test_kernels_are_compiled_once_in_a_process() -> None:
    def kernel(sizes: tuple[int, int, int], m: int, dtype: str) -> Kernel:
        return engine_of(*draw(sizes, m, dtype))._kernel("step")

    one = kernel((3, 4, 1), 50, "float64")
    assert one is kernel((3, 4, 1), 700, "float64")
    assert one is not kernel((3, 4, 1), 50, "float32")
    assert one is not kernel((4, 3, 1), 50, "float64")


def test_threads_are_kept_between_calls_and_engines(threads_used: list[int]) -> None:
    X, y, params = draw((3, 4, 1), ROWS_FOR_7_THREADS, "float64")
    descend(engine_of(X, y, params, 3), params, 2)
    before = list(pool._workers)
    assert len(before) >= 2
    for _ in range(5):
        engine = engine_of(X, y, params, 3)
        descend(engine, params, 2)
        score(engine, params)
    assert pool._workers == before
    assert set(threads_used) == {3}


def test_a_forked_process_starts_threads_of_its_own(threads_used: list[int]) -> None:
    if not hasattr(os, "fork"):
        pytest.skip("this platform does not fork")
    X, y, params = draw((3, 4, 1), ROWS_FOR_7_THREADS, "float64")
    engine = engine_of(X, y, params, 2)
    expected = flat(descend(engine, params, 2)).tobytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that there are threads is the point
        child = os.fork()
    if child == 0:
        os._exit(flat(descend(engine, params, 2)).tobytes() != expected)
    for _ in range(200):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        time.sleep(0.05)
    else:
        os.kill(child, signal.SIGKILL)
        pytest.fail("the child hangs: it waits for threads that it does not have")
    assert status == 0


def test_one_thread_starts_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "pool", pool := Pool())
    X, y, params = draw((3, 4, 1), ROWS_FOR_7_THREADS, "float64")
    descend(engine_of(X, y, params, 1), params, 2)
    descend(engine_of(X[:, :100], y[:, :100], params, 7), params, 2)  # too few rows to share
    assert pool._workers == []


def test_runs_in_several_threads_at_once_give_the_same_bytes() -> None:
    X, y, params = draw((3, 5, 1), 5000, "float64")

    def fit(threads: int) -> bytes:
        return flat(nn.fit(X, y, params, iterations=400, threads=threads, engine="compiled").params).tobytes()

    with ThreadPoolExecutor(6) as callers:
        reached = list(callers.map(fit, [1, 2, 1, 2, 1, 2]))
    assert set(reached) == {fit(1)}


def test_other_threads_go_on_during_a_call() -> None:
    X, y, params = draw((3, 4, 1), 5000, "float64")
    engine = engine_of(X, y, params, 1)
    descend(engine, params, 10)
    seconds: list[float] = []

    def measure() -> None:
        started = time.perf_counter()
        descend(engine, params, iterations)
        seconds.append(time.perf_counter() - started)

    started = time.perf_counter()
    descend(engine, params, 1000)
    iterations = max(1000, int(1000 / (time.perf_counter() - started)))  # about a second
    call = threading.Thread(target=measure)
    started = time.perf_counter()
    call.start()
    time.sleep(0.1)
    waited = time.perf_counter() - started
    call.join()
    assert waited < seconds[0] / 2


def test_a_program_without_sums_is_right() -> None:
    recorded = record(lambda *, xp, X, a: {"b": a * 2 + 1}, dtype="float64", examples={"X": 1}, state={"a": (2, 3)})
    a = np.arange(6.0).reshape(2, 3)
    results, _ = run_kernel(Kernel(recorded), {"X": np.ones((1, 5))}, {"a": a}, {})
    assert results["b"][0].tolist() == (a * 2 + 1).tolist()


# --- threads that wait ---


@DTYPE
@pytest.mark.parametrize("spins", [0, 10**5])
def test_a_call_whose_threads_lose_patience_ends_at_the_same_bytes(
    spins: int, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"WORTH_A_THREAD": 1, "WORTH_STARTING": 1, "PATIENCE": 1, "SPINS": spins}.items():
        monkeypatch.setattr(native, name, value)
    monkeypatch.setattr(native, "SPINS_OF_OPERATION", 0)
    compared: list[tuple[float, float]] = []
    monkeypatch.setattr(Pool, "compare", lambda pool, together, alone: compared.append((together, alone)))
    monkeypatch.setattr(Pool, "resting", lambda pool: False)
    X, y, params = draw((3, 4, 1), 5 * TILE + 3, dtype)
    given = Problem(
        Method(numbers=("learning_rate", "tol")),
        engines.Examples(X, y),
        State(params, {}),
        {"learning_rate": 0.2, "tol": 0.0033},
    )
    reached, counts = set(), set()
    for threads in (1, 2, 3):
        engine = engine_for(given, threads)
        state, done, ended = engine.descend(engine.start(given.state), 500, given.numbers)
        reached.add(flat(engine.state(state).params).tobytes())
        counts.add((done.item(), ended.item()))
    assert len(reached) == 1
    [(iterations, reason)] = counts
    assert 300 < iterations < 400
    assert reason == "tol"
    assert bool(compared) or spins  # without looks every wait is a pause
    assert all(seconds > 0 for times in compared for seconds in times)


def test_threads_rest_for_longer_each_time_they_were_slower(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    pool, rests = Pool(), []
    for _ in range(7):
        pool.compare(together=2.0, alone=1.0)
        assert pool.resting()
        before = now
        while pool.resting():
            now += 0.01
        rests.append(round(now - before, 1))
    assert rests == [0.1, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    pool.compare(together=1.0, alone=2.0)
    assert not pool.resting()
    pool.compare(together=2.0, alone=1.0)
    now += 0.06
    assert not pool.resting()  # begins anew


def test_where_the_system_refuses_threads_there_are_fewer(always_share: None, monkeypatch: pytest.MonkeyPatch) -> None:
    left = 1
    start = pool_module._thread.start_new_thread

    def refuse(*given: Any) -> int:
        nonlocal left
        left -= 1
        if left < 0:
            raise RuntimeError("can't start new thread")
        return start(*given)

    monkeypatch.setattr(native, "pool", fresh := Pool())
    monkeypatch.setattr(pool_module._thread, "start_new_thread", refuse)
    assert_is_interpreter(*draw((3, 4, 1), ROWS_FOR_7_THREADS, "float64"), 2, threads=7)
    assert len(fresh._workers) == 1

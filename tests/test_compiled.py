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
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from methods import CPU, ENDED, METHODS, Problem, article, ending, interpreted, problem, run_kernel
from places import STRICT, assert_same_bits

import nn_backend as nn
from nn_backend import engines, equations
from nn_backend.backend import Backend
from nn_backend.commands import verify
from nn_backend.commands.verify import digest
from nn_backend.compiler import native
from nn_backend.compiler import pool as pool_module
from nn_backend.compiler.interpreter import interpret, sum_over_examples
from nn_backend.compiler.llvm import Target
from nn_backend.compiler.native import WORTH_A_THREAD, WORTH_STARTING, Kernel, assembly
from nn_backend.compiler.pool import Pool, pool
from nn_backend.compiler.program import TILE
from nn_backend.compiler.trace import record
from nn_backend.engines import bind, choose, compiled
from nn_backend.engines.compiled import CompiledEngine, program
from nn_backend.engines.engine import MAX_COUNT, Method
from nn_backend.equations import Params
from nn_backend.optimizers import State

DTYPE = pytest.mark.parametrize("dtype", ["float64", "float32"])
POSIX = pytest.mark.skipif(os.name != "posix", reason="sends SIGINT as POSIX does")
ROWS_FOR_7_THREADS = 30 * TILE + 77  # the last tile is not a whole one


def draw(sizes: tuple[int, int, int], m: int, dtype: str) -> Problem:
    """Data and a network, neither of them round numbers; and so large a rate that each bit of a gradient counts."""
    n0, n1, n2 = sizes
    rng = np.random.default_rng(m)
    X, y = rng.standard_normal((n0, m)), rng.random((n2, m)) < 0.4
    params = nn.init_params(n0, n1, n2, factor=0.7, dtype=dtype)
    params = params._replace(b1=params.b1 + np.asarray(0.1, dtype), b2=params.b2 - np.asarray(0.3, dtype))
    return article(X.astype(dtype), y.astype(dtype), params, 100.0)


def stacked(networks: Sequence[Params], *lead: int) -> Params:
    return Params(*(np.stack(each).reshape(*lead, *each[0].shape) for each in zip(*networks, strict=True)))


def flat(params: Params) -> np.ndarray:
    return np.concatenate([array.ravel() for array in params])


def engine_of(given: Problem, threads: int | None = None) -> CompiledEngine:
    params = given.state.params
    return CompiledEngine(given.examples, params, backend=CPU, method=given.method, threads=threads)


def descend(given: Problem, iterations: int, threads: int | None = None) -> bytes:
    """The parameters that a new engine reaches."""
    engine = engine_of(given, threads)
    return flat(engine.state(engine.descend(engine.start(given.state), iterations, given.numbers)[0]).params).tobytes()


def assert_reached(actual: State, expected: dict[str, np.ndarray], *index: int) -> None:
    """Compare the state of the network of that index."""
    arrays = actual.arrays()
    assert list(arrays) == list(expected)
    for name, array in expected.items():
        assert_same_bits(arrays[name][index], array)


def assert_is_interpreter(given: Problem, iterations: int, *teams: int) -> None:
    """Compare for each number of threads what is reached and how that ends, its score and predictions."""
    reached, done, ended = given.reached(iterations)
    params = {field: reached[field] for field in Params._fields}
    asked = {task: interpret(given.program(task), given.arrays, params, given.rounded()) for task in ("score", "yhat")}
    errors, spread = asked["score"]["errors"][:, 0].astype(np.float64), given.examples.spread
    total = given.examples.m * len(errors)
    accuracy = (total - errors.sum()) / total if spread is None else np.nan
    r2 = np.nan if spread is None else np.mean(1 - errors / spread)
    score = (asked["score"]["cost"].astype(np.float64).item(), accuracy, r2)
    for threads in teams:
        engine = engine_of(given, threads)
        start = engine.start(given.state)
        state, *counted = engine.descend(start, iterations, given.numbers)
        assert_reached(engine.state(state), reached)
        assert_reached(engine.state(start), given.state.arrays())  # which is left as it was
        assert [count.item() for count in counted] == [done, ended]
        assert_same_bits(engine.score(state), score)
        assert_same_bits(engine.predict(state, "yhat"), asked["yhat"]["yhat"])


@functools.cache
def endless(n0: int, n1: int, n2: int, dtype: str) -> Kernel:
    """A training step that nothing ends, so that what is not finite goes on."""
    return Kernel(program("step", n0, n1, n2, dtype)._replace(endings={}))


def assert_kernel_reaches(kernel: Kernel, given: Problem, iterations: int) -> None:
    """Compare what is reached by a kernel."""
    asked = given.arrays, given.state.arrays(), given.rounded(), iterations
    reached, _ = run_kernel(kernel, *asked)
    assert_reached(State.of(reached), interpreted(kernel.plan.program, *asked)[0])


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
MANY = [((3, 4, 1), m) for m in (8 * TILE, *(tiles * TILE - 51 for tiles in (2, 3, 5, 7, 8, 9, 13, 16, 31, 100)))]


@DTYPE
@pytest.mark.parametrize(
    ("sizes", "m"),
    [*((sizes, m) for sizes in SMALL for m in (1, 31, 32, 33, 127, 128, 129, 700)), *LARGE, *MANY],
    ids=str,
)
def test_is_the_interpreter(sizes: tuple[int, int, int], m: int, dtype: str, always_share: None) -> None:
    assert_is_interpreter(draw(sizes, m, dtype), 3, 1, 2, 3, 7)


@DTYPE
def test_is_the_interpreter_for_any_shape(dtype: str) -> None:
    @settings(max_examples=12, deadline=None)
    @given(sizes=st.tuples(*[st.integers(1, 40)] * 3), m=st.integers(1, 700), threads=st.integers(1, 3))
    @example(sizes=(6, 1, 6), m=2, threads=1)
    def check(sizes: tuple[int, int, int], m: int, threads: int) -> None:
        assert_is_interpreter(draw(sizes, m, dtype), 2, threads)

    check()


@DTYPE
@pytest.mark.parametrize(("m", "teams"), [(45, [1]), (7 * TILE + 45, [1, 2, 3, 7])])
@pytest.mark.parametrize("name", METHODS)
def test_every_way_to_train_is_the_interpreters(
    name: str, m: int, teams: list[int], dtype: str, always_share: None
) -> None:
    assert_is_interpreter(problem(name, m, dtype), 6, *teams)


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
    sizes = {"examples": {"X": rows, "t": rows}, "state": shapes, "numbers": ("rate", "bound")}
    recorded = record(unlike, dtype=dtype, endings={"large": False, "small": True}, **sizes)
    rng = np.random.default_rng(m)
    examples = {name: rng.standard_normal((rows, m)).astype(dtype) for name in ("X", "t")}
    state = {name: rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}
    kernel, endings = Kernel(recorded), []
    for rate, bound in ((0.1, 0), (0.1, 1e3), (np.nan, 1e3)):
        numbers = {"rate": np.array(rate, dtype), "bound": np.array(bound, dtype)}
        expected, done, ended = interpreted(recorded, examples, state, numbers, 3)
        actual, _ = run_kernel(kernel, examples, state, numbers, 3, threads)
        for name in shapes:
            assert_same_bits(actual[name], expected[name])
        endings.append((done, ended))
    assert endings == [(3, ""), (0, "small"), (0, "large")]


def test_a_program_without_sums_is_right() -> None:
    recorded = record(lambda *, xp, X, a: {"b": a * 2 + 1}, dtype="float64", examples={"X": 1}, state={"a": (2, 3)})
    a = np.arange(6.0).reshape(2, 3)
    results, _ = run_kernel(Kernel(recorded), {"X": np.ones((1, 5))}, {"a": a}, {})
    assert results["b"].tolist() == (a * 2 + 1).tolist()


FUNCTIONS = {  # of examples X[3] and an array w[3, 3], for each example
    "exp": lambda xp, X, w: xp.exp(X),
    "log1p": lambda xp, X, w: xp.log1p(X),
    "sqrt": lambda xp, X, w: xp.sqrt(X),
    "reciprocal": lambda xp, X, w: 1 / X,
    "sigmoid": lambda xp, X, w: equations.sigmoid(X, xp=xp),
    "abs": lambda xp, X, w: xp.abs(X),
    "neg": lambda xp, X, w: -X,
    "where": lambda xp, X, w: xp.where(X <= 0.5, -X, 2 * X) + xp.where(X > -3, 1.0, X),
    "max": lambda xp, X, w: xp.maximum(X, -2 * X),
    "min": lambda xp, X, w: xp.minimum(0.5, X),
    "equal": lambda xp, X, w: xp.where(xp.abs(X) == X, 1, X),
    "argmax": lambda xp, X, w: xp.argmax(X, axis=-2, keepdims=True),
    "largest product": lambda xp, X, w: xp.max(w @ X, axis=-2, keepdims=True),
    "sigmoid of products": lambda xp, X, w: equations.sigmoid(w @ X, xp=xp),
}


@DTYPE
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_the_interpreters_for_any_bits(name: str, dtype: str, always_share: None) -> None:
    recorded = record(
        lambda *, xp, X, w: {"values": FUNCTIONS[name](xp, X, w), "product": w @ X},
        dtype=dtype,
        examples={"X": 3},
        state={"w": (3, 3)},
    )
    bits = np.dtype(dtype).itemsize * 8
    rng = np.random.default_rng(13)
    any_bits = rng.integers(0, 2**bits, 9000, dtype=f"uint{bits}").view(dtype)
    ordinary = (rng.standard_normal(9000) * rng.choice([1e-3, 1, 30, 300], 9000)).astype(dtype)
    f = np.finfo(dtype)
    edges = [0, 1, 0.5, -3, f.smallest_subnormal, f.smallest_normal, f.max, np.inf, np.nan, 88.7228, 709.78, 87.33655]
    edges = np.array([*edges, 708.3964185322641, 103.97, 745.2, 2**0.5 - 1], dtype)
    ties = rng.choice([-1.0, -0.0, 0.0, 1.0, np.nan], (3, 300)).astype(dtype)
    X = np.concatenate([np.concatenate([any_bits, ordinary, edges, -edges, edges]).reshape(3, -1), ties], axis=1)
    w = {"w": rng.standard_normal((3, 3)).astype(dtype)}
    _, outputs = run_kernel(Kernel(recorded), {"X": X}, w, {}, threads=2)
    expected = interpret(recorded, {"X": X}, w, {})
    assert_same_bits(outputs, np.concatenate([expected["values"], expected["product"]]))


# --- any magnitude ---


def any_numbers(dtype: str, shape: tuple[int, ...]) -> st.SearchStrategy[np.ndarray]:
    """Any finite numbers, most of them of ordinary size; subnormal ones too."""
    format_ = np.finfo(dtype)
    limits = (1.0, 1024.0, float(format_.smallest_normal), float(format_.max))
    return arrays(dtype, shape, elements=st.one_of(*(st.floats(-x, x, width=format_.bits) for x in limits)))


@st.composite
def problems(draw: st.DrawFn, dtype: str) -> Problem:
    n0, n1, n2 = draw(st.sampled_from([(1, 1, 1), (2, 1, 1), (1, 2, 2), (2, 3, 1), (3, 2, 2), (3, 4, 1), (4, 1, 3)]))
    m = draw(st.integers(1, 40))
    X, *params = (draw(any_numbers(dtype, shape)) for shape in ((n0, m), (n1, n0), (n1, 1), (n2, n1), (n2, 1)))
    y = draw(arrays(dtype, (n2, m), elements=st.sampled_from([0.0, 1.0])))
    rate = draw(st.one_of(st.floats(0.001, 10), st.floats(0, float(np.finfo(dtype).max))))
    return article(X, y, Params(*params), rate)


def assert_goes_on(given: Problem, iterations: int) -> None:
    """Compare what is reached and asked where what is not finite ends a run, and what is reached where it does not."""
    assert_is_interpreter(given, iterations, 2)
    w1, _, w2, _ = given.state.params
    assert_kernel_reaches(endless(*w1.shape[::-1], len(w2), w1.dtype.name), given, iterations)


@DTYPE
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_is_the_interpreter_at_any_magnitude(dtype: str, data: st.DataObject) -> None:
    """Saturated sigmoids, subnormal numbers, overflow to infinity, which ends a run, and what would come of it."""
    assert_goes_on(data.draw(problems(dtype)), data.draw(st.integers(1, 4)))


EXTREMES: dict[str, Callable[[float, float], tuple[Any, ...]]] = {  # X, y, parameters and rate, of the format's limits
    "saturated": lambda tiny, _: ([[-1e4, -200, -90, -1, 0, tiny, 1, 90, 200, 1e4]], [[0, 1] * 5], (1, 0, 1, 0), 0.3),
    "a subnormal parameter": lambda tiny, _: ([[0, 0]], [[0, 1]], (0, 0, 0, tiny), 1e-30),  # errors of 0.5 cancel
    # -inf + (finite times finite) is -inf, also where the rounded product would be +inf
    "an overflowing product": lambda _, big: ([[-big], [big]], [[0]], ([[big, big]], 1, 1, 1), 0.5),
    "a rate between two of float32": lambda *_: ([[1]], [[1]], (0, 0, 0, 0), 1 + 2**-24 + 2**-40),
    "a rate subnormal in float32": lambda *_: ([[1]], [[1]], (0, 0, 0, 0), 1e-42),
    "a rate close to the largest": lambda *_: ([[1]], [[1]], (0, 0, 0, 0), 3e38),
}


@DTYPE
@pytest.mark.parametrize("name", EXTREMES)
def test_extreme_numbers_are_the_interpreters(name: str, dtype: str) -> None:
    limits = np.finfo(dtype)
    X, y, params, rate = EXTREMES[name](float(limits.smallest_subnormal), float(limits.max))
    X, y, *params = (np.array(values, dtype, ndmin=2) for values in (X, y, *params))
    assert_goes_on(article(X, y, Params(*params), rate), 3)


@DTYPE
@pytest.mark.parametrize("field", Params._fields)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_go_on_as_in_the_interpreter(field: str, value: float, dtype: str) -> None:
    given = draw((2, 2, 1), 20, dtype)
    getattr(given.state.params, field)[0, 0] = value
    assert_goes_on(given, 2)


# --- endings ---


@DTYPE
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", ["compiled", "eager"])
@pytest.mark.parametrize("cut", [(8,), (0, 3, 5), (1,) * 8], ids=str)
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
        engine = engine_of(given, threads)
        for _ in range(2):  # nothing is left of a run that has ended
            last, *counts = engine.descend(engine.start(state), 8, given.numbers)
            assert_reached(engine.state(last), reached)
            assert [count.item() for count in counts] == counted
        reasons += [counted[1]] * (0 < counted[0] < 8)
    assert reasons == ["tol", "diverged"]


# --- threads, layouts, spans ---


def unaligned(X: np.ndarray) -> np.ndarray:
    room = np.zeros(X.nbytes + 1, np.uint8)[1:].view(X.dtype).reshape(X.shape)
    room[:] = X
    assert not room.flags.aligned
    return room


LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "Fortran": np.asfortranarray,
    "every second column": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "the last columns": lambda X: np.concatenate([X[:, :5], X], axis=1)[:, 5:],
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
    given, lay = draw((3, 4, 2), m, dtype), LAYOUTS[layout]
    (X, y, *_), params = given.examples, given.state.params
    arranged = Params(*map(lay, params)) if layout in ("Fortran", "columns backwards", "unaligned") else params
    expected, result = (nn.fit(*data, iterations=5) for data in ((X, y, params), (lay(X), lay(y), arranged)))
    assert flat(result.params).tobytes() == flat(expected.params).tobytes()
    assert result.history.equals(expected.history)


@DTYPE
@pytest.mark.parametrize("outputs", [1, 3])
def test_scores_of_spans_add_up_to_that_of_the_whole(dtype: str, outputs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    given = draw((3, 2, outputs), 21 * TILE + 5, dtype)
    for limit in (MAX_COUNT, 3 * TILE, 4 * TILE, 13 * TILE):
        monkeypatch.setattr(compiled, "MAX_COUNT", limit)
        assert_is_interpreter(given, 0, 2)


def test_float32_counts_beyond_its_24_bits_and_rounds_m_once() -> None:
    m, wrong = 2**24 + 3, 5
    X, y = np.zeros((1, m), np.float32), np.ones((1, m), np.float32)
    y[0, -wrong:] = 0  # yhat is 0.5 for all, which counts as 1
    given = article(X, y, nn.init_params(1, 1, factor=0, dtype="float32"), 0.2)
    engine = engine_of(given)
    reached = engine.score(engine.start(given.state))
    assert reached.accuracy == (m - wrong) / m
    one = {name: array[:, :1] for name, array in given.arrays.items()}
    cost = interpret(given.program("score"), one, given.state.arrays(), {"m": np.float32(1)})["cost"]
    assert reached.cost == sum_over_examples(np.full((1, m), cost[0, 0] / np.float32(m))).item()


# --- processors ---

LEVELS = {  # vector registers, their bytes, and what a processor of this level has that one of the level below has not
    "x86-64-v2": (16, 16, {"sse4.2", "ssse3", "popcnt"}),
    "x86-64-v3": (16, 32, {"avx2", "fma", "bmi2"}),
    "x86-64-v4": (32, 64, {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd"}),
}
LEVEL = pytest.mark.parametrize("level", LEVELS)


def target(level: str) -> Target:
    if not llvm.get_default_triple().startswith(("x86_64", "amd64")):
        pytest.skip(f"{level} is a level of x86-64; this machine is {llvm.get_default_triple()}")
    registers, size, needed = LEVELS[level]
    features = llvm.get_host_cpu_features()
    missing = sorted(feature for feature in needed if not features.get(feature))
    if missing:
        pytest.skip(f"this processor is below {level}: it lacks {', '.join(missing)}")
    return Target(native.host().triple, level, "", registers, size)


@DTYPE
@pytest.mark.parametrize("name", ["3-4-1", "30-8-1"])
@LEVEL
def test_compiled_for_another_level_of_x86_runs_end_at_the_pinned_bytes(level: str, name: str, dtype: str) -> None:
    X, y, start, iterations = verify.cases(dtype)[name]
    given = article(X, y, start, verify.LEARNING_RATE)
    kernel = Kernel(given.program("step"), target(level))
    assert ("vfmadd" in assembly(kernel.plan, target(level))) == (level != "x86-64-v2")  # v2 calls the C library's fma
    reached, _ = run_kernel(kernel, given.arrays, given.state.arrays(), given.rounded(), iterations)
    assert digest(*reached.values()) == verify.PINNED[name, dtype][-1]


@DTYPE
@LEVEL
def test_compiled_for_another_level_of_x86_all_magnitudes_have_the_same_bytes(level: str, dtype: str) -> None:
    programs = program("step", 5, 7, 2, dtype)._replace(endings={}), program("score", 5, 7, 2, dtype)
    kernels = [Kernel(recorded, target(level)) for recorded in programs]
    rng = np.random.default_rng(11)
    for scale in (1.0, 30.0, 1e-30, 1e-38, 1e20, 1e37, *([1e-308, 1e305] if dtype == "float64" else [])):
        X, y = (rng.standard_normal((5, 300)) * scale).astype(dtype), (rng.random((2, 300)) < 0.5).astype(dtype)
        given = article(X, y, nn.init_params(5, 7, 2, factor=1, dtype=dtype), 0.5)
        for kernel in kernels:
            asked = given.arrays, given.state.arrays(), given.rounded()
            actual, _ = run_kernel(kernel, *asked)
            for name, array in interpret(kernel.plan.program, *asked).items():
                assert_same_bits(actual[name], array)


@DTYPE
@pytest.mark.parametrize(("level", "names"), [(level, METHODS[k::3]) for k, level in enumerate(LEVELS)])
def test_compiled_for_another_level_of_x86_every_way_to_train_has_the_same_bytes(
    level: str, names: tuple[str, ...], dtype: str
) -> None:
    for name in names:
        given = problem(name, 45, dtype)
        assert_kernel_reaches(Kernel(given.program("step"), target(level)), given, 4)


# --- pinned bytes: the same on every machine, that is the claim ---

RAW_HISTORY = {  # of the article's 4500 iterations on raw marks: iterations, costs and accuracies
    "float64": "5b419854257206b181cc183138e88cecf5e9bb30eab2c32b8e8e292ba2015545",
    "float32": "ff75ae38641a04f8eb4c62799af94b9de841b46deedc89309253b9e878c26816",
}


@DTYPE
def test_the_raw_run_ends_at_the_pinned_bytes_however_it_is_cut(dtype: str) -> None:
    X, y, start, iterations = verify.cases(dtype)["3-4-1"]
    pinned_start, *_, pinned_end = verify.PINNED["3-4-1", dtype]
    assert digest(X, y, *start) == pinned_start, (
        f"the initial weights drawn here are {start.w1.tolist()} and {start.w2.tolist()}, not those of other machines. "
        "NumPy's legacy generator calls the C library's log, and this platform's rounds differently. Training itself "
        "has the same bits here; to repeat another machine's run, carry its starting parameters over as a file or "
        "array and pass them to fit instead of drawing them."
    )
    result = nn.fit(X, y, start, learning_rate=0.2)
    assert digest(result.history.to_numpy("float64")) == RAW_HISTORY[dtype]
    first = nn.fit(X, y, start, learning_rate=0.2, iterations=1234, log_every=17)
    rest = nn.fit(X, y, first.params, learning_rate=0.2, iterations=iterations - 1234, log_every=1)
    assert digest(*result.params) == digest(*rest.params) == pinned_end


def test_standardised_marks_are_the_pinned_bytes() -> None:
    X, _ = nn.load_marks()
    marks = nn.standardization(X[:, :300]).apply(X)
    assert digest(marks) == "bd54670cbe0c9277a86d5577dec5edfd56fa63eb106e589c1058bbd8530189d7"
    assert digest(marks.astype("float32")) == "bd642e6f91a3567a2ce0ffa68810862da19fc00542bca3824d8f7f3dab39ce25"


# --- many networks ---


@DTYPE
@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize(("lead", "m"), [((1,), 300), ((2,), ROWS_FOR_7_THREADS), ((9,), 1000), ((2, 3), 40)])
def test_each_of_many_networks_is_the_interpreters(
    lead: tuple[int, ...], m: int, threads: int, dtype: str, always_share: None
) -> None:
    networks = [nn.init_params(3, 4, 2, seed=seed, factor=0.7, dtype=dtype) for seed in range(math.prod(lead))]
    given = draw((3, 4, 2), m, dtype)._replace(state=State(stacked(networks, *lead), {}))
    engine = engine_of(given, threads)
    state, *_ = engine.descend(engine.start(given.state), 7, given.numbers)
    assert engine.score(state).cost.shape == lead
    for index in np.ndindex(lead):
        assert_reached(engine.state(state), given.reached(7, *index)[0], *index)


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
    given = draw((3, 4, 1), m, "float32")
    many = stacked([given.state.params] * networks, networks)
    descend(given._replace(state=State(many, {})), 1, 7)
    assert threads_used == expected


def test_the_environment_decides_the_threads(monkeypatch: pytest.MonkeyPatch, threads_used: list[int]) -> None:
    monkeypatch.setenv("NN_BACKEND_THREADS", "5")
    descend(draw((3, 4, 1), ROWS_FOR_7_THREADS, "float64"), 3)
    assert threads_used == [5]


def test_little_work_is_done_by_one_thread(threads_used: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "WORTH_A_THREAD", WORTH_A_THREAD)
    monkeypatch.setattr(native, "WORTH_STARTING", WORTH_STARTING)
    for iterations in (1, 4500):
        descend(draw((3, 4, 1), 300, "float64"), iterations, 2)
    assert threads_used == [1, 2]


# --- predicting ---


@DTYPE
@pytest.mark.parametrize(("lead", "m"), [((), 1), ((), 700), ((5,), 129), ((2, 3), 40)])
@pytest.mark.parametrize("outputs", [1, 3])
def test_predictions_are_the_interpreters_in_chunks_of_any_size(
    lead: tuple[int, ...], m: int, outputs: int, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    X = draw((3, 4, outputs), m, dtype).examples.X
    networks = [nn.init_params(3, 4, outputs, seed=seed, factor=0.7, dtype=dtype) for seed in range(math.prod(lead))]
    params = stacked(networks, *lead)
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
    X = draw((3, 4, 3), 700, dtype).examples.X
    params = nn.init_params(3, 4, 3, seed=range(2), factor=0.7, dtype=dtype)
    asked = bind(engine, engines.Examples(X), params, backend=CPU, method=Method(equations.OUTPUTS[output]), tasks=())
    state = asked.start(State(params, {}))
    both = asked.predict(state, "layers")
    assert_same_bits(both[:, :3], asked.predict(state, "z2"))
    assert_same_bits(both[:, -3:], asked.predict(state, "yhat"))


# --- which engine runs ---


def test_auto_takes_compiled_on_numpy_and_eager_elsewhere_where_compiled_says_why_not() -> None:
    for place, auto in ((CPU, "compiled"), (Backend("gpu", ModuleType("cupy")), "eager")):
        assert [choose(engine, place) for engine in ("auto", "compiled", "eager")] == [auto, "compiled", "eager"]
    assert choose("auto", STRICT) == "eager"
    refusal = r"backend is strict; it runs on numpy and cupy\. Use 'eager' or 'auto'$"
    with pytest.raises(nn.ArgumentError, match=rf"^engine 'compiled' does not serve here: the {refusal}"):
        nn.fit(np.zeros((3, 7)), np.zeros((1, 7)), nn.init_params(3, 4), backend=STRICT, engine="compiled")


# --- Ctrl-C ---


@POSIX
@pytest.mark.parametrize("log_every", [10**9, 1000])
@pytest.mark.parametrize("kind", ["alone", "shared", "many"])
def test_ctrl_c_ends_a_long_run(kind: str, log_every: int, threads_used: list[int]) -> None:
    """Of one network, on one thread or on two that share its examples, or of fifty, two threads side by side."""
    X, y = nn.simulate_marks(10**6 if kind == "shared" else 300, seed=1)
    start, threads = nn.init_params(3, 4, seed=range(50) if kind == "many" else 3), 1 if kind == "alone" else 2
    pressed = []

    def press() -> None:
        pressed.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(0.8, press)
    timer.start()
    try:
        result = nn.fit(X, y, start, iterations=10**9, threads=threads, log_every=log_every)
    finally:
        timer.cancel()  # where the run failed early, or the signal would end the tests after it
    assert time.perf_counter() - pressed[0] < 2
    assert set(threads_used) == {threads}
    assert result.interrupted
    [iterations] = set(np.ravel(result.iterations).tolist())
    assert 0 < iterations < 10**9
    assert result.history["iteration"].iloc[-1] == iterations
    again = nn.fit(X, y, start, iterations=iterations, threads=1, log_every=log_every)
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
    kernels = [engine_of(draw((3, 4, 1), m, "float64"))._kernel("step") for m in (50, 700)]
    assert kernels[0] is kernels[1]


def test_threads_are_kept_between_calls_and_engines(threads_used: list[int]) -> None:
    given = draw((3, 4, 1), ROWS_FOR_7_THREADS, "float64")
    descend(given, 2, 3)
    before = list(pool._workers)
    assert len(before) >= 2
    for _ in range(5):
        descend(given, 2, 3)
    assert pool._workers == before
    assert set(threads_used) == {3}


def test_a_forked_process_starts_threads_of_its_own(threads_used: list[int]) -> None:
    if not hasattr(os, "fork"):
        pytest.skip("this platform does not fork")
    given = draw((3, 4, 1), ROWS_FOR_7_THREADS, "float64")
    expected = descend(given, 2, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that there are threads is the point
        child = os.fork()
    if child == 0:
        signal.alarm(20)  # ends a child that hangs, as it waits for threads that it does not have
        os._exit(descend(given, 2, 2) != expected)
    assert os.waitpid(child, 0)[1] == 0


def test_one_thread_starts_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "pool", pool := Pool())
    descend(draw((3, 4, 1), ROWS_FOR_7_THREADS, "float64"), 2, 1)
    descend(draw((3, 4, 1), 100, "float64"), 2, 7)  # too few rows to share
    assert pool._workers == []


def test_runs_in_several_threads_at_once_give_the_same_bytes() -> None:
    given = draw((3, 5, 1), 5000, "float64")
    with ThreadPoolExecutor(6) as callers:
        reached = list(callers.map(lambda threads: descend(given, 400, threads), [1, 2, 1, 2, 1, 2]))
    assert set(reached) == {descend(given, 400, 1)}


def test_other_threads_go_on_during_a_call() -> None:
    given = draw((3, 4, 1), 5000, "float64")
    descend(given, 1, 1)  # compiles
    with ThreadPoolExecutor(1) as caller:
        began = time.perf_counter()
        call = caller.submit(descend, given, 50_000, 1)
        time.sleep(0.1)
        waited = time.perf_counter() - began
        call.result()
    assert waited < (time.perf_counter() - began) / 2


# --- threads that wait ---


@DTYPE
@pytest.mark.parametrize("spins", [0, 10**5])
def test_a_call_whose_threads_lose_patience_ends_at_the_same_bytes(
    spins: int, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"WORTH_A_THREAD": 1, "WORTH_STARTING": 1, "PATIENCE": 1, "SPINS": spins, "SPINS_OF_OPERATION": 0}
    for name, value in settings.items():
        monkeypatch.setattr(native, name, value)
    compared: list[tuple[float, float]] = []
    monkeypatch.setattr(Pool, "compare", lambda pool, together, alone: compared.append((together, alone)))
    monkeypatch.setattr(Pool, "resting", lambda pool: False)
    given = draw((3, 4, 1), 5 * TILE + 3, dtype)
    method = given.method._replace(numbers=("learning_rate", "tol"))
    given = given._replace(method=method, numbers={"learning_rate": 0.2, "tol": 0.0033})
    reached, counts = set(), set()
    for threads in (1, 2, 3):
        engine = engine_of(given, threads)
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
    starts = [pool_module._thread.start_new_thread]

    def start_once(*given: Any) -> int:
        if not starts:
            raise RuntimeError("can't start new thread")
        return starts.pop()(*given)

    monkeypatch.setattr(native, "pool", fresh := Pool())
    monkeypatch.setattr(pool_module._thread, "start_new_thread", start_once)
    assert_is_interpreter(draw((3, 4, 1), ROWS_FOR_7_THREADS, "float64"), 2, 7)
    assert len(fresh._workers) == 1

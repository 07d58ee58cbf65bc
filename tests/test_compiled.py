"""The compiled engine: the interpreter's bits, whatever the threads, the split, the memory layout and the processor."""

import gc
import hashlib
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
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
from places import STRICT, require_gpu

import nn_backend as nn
from nn_backend import equations
from nn_backend.compiler.native import TILES_PER_THREAD, Examples, Kernel, Pool, Target
from nn_backend.compiler.program import TILE, Program, add_tree, interpret
from nn_backend.compiler.trace import record
from nn_backend.engines import MAX_COMPILED_PARAMETERS, bind, choose, compiled
from nn_backend.engines.compiled import CompiledEngine, score_program, training_program
from nn_backend.equations import Params

DTYPES = ("float64", "float32")
DTYPE = pytest.mark.parametrize("dtype", DTYPES)
POSIX = pytest.mark.skipif(os.name != "posix", reason="sends SIGINT as POSIX does")
ROWS_FOR_7_THREADS = 7 * TILES_PER_THREAD * TILE + 77  # the last tile is not a whole one

# The raw run of the article, 4500 iterations: the same on every machine, that is the claim.
RAW_RUN = {
    "float64": "b7a8a925f6da54c7f0c2ca6b6083d35d950406295cbd20f461578c7e97bcf83f",
    "float32": "8eb388c640a79b6ed063c9792f16393757cd67dd2779e72ae84430aef22e829c",
}
RAW_HISTORY = {
    "float64": [
        (0, "0x1.61ff951207b3ap-1", "0x1.570a3d70a3d71p-1"),
        (1000, "0x1.24dda45755ff3p-2", "0x1.c0da740da740ep-1"),
        (2000, "0x1.07a3e3773f131p-1", "0x1.8da740da740dap-1"),
        (3000, "0x1.b458f703fb8d4p-3", "0x1.e4b17e4b17e4bp-1"),
        (4000, "0x1.85e39d32e6ec8p-2", "0x1.b17e4b17e4b18p-1"),
        (4500, "0x1.88ab70d9c4e2fp-4", "0x1.fae147ae147aep-1"),
    ],
    "float32": [
        (0, "0x1.61ff960000000p-1", "0x1.570a3d70a3d71p-1"),
        (1000, "0x1.708c4c0000000p-2", "0x1.a06d3a06d3a07p-1"),
        (2000, "0x1.2928cc0000000p-2", "0x1.c7ae147ae147bp-1"),
        (3000, "0x1.1882400000000p-3", "0x1.f92c5f92c5f93p-1"),
        (4000, "0x1.55cb120000000p-2", "0x1.b17e4b17e4b18p-1"),
        (4500, "0x1.9b78fc0000000p-3", "0x1.d555555555555p-1"),
    ],
}


def sha256(*numbers: np.ndarray) -> str:
    """The digest of the arrays' bytes, in C order and little-endian on every machine."""
    little = (array.astype(array.dtype.newbyteorder("<")).tobytes() for array in numbers)
    return hashlib.sha256(b"".join(little)).hexdigest()


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


def interpreted(params: Params, X: np.ndarray, y: np.ndarray, iterations: int, learning_rate: float) -> np.ndarray:
    """What the definition says the engine reaches."""
    dtype = params.w1.dtype
    program = training_program(X.shape[0], params.w1.shape[0], y.shape[0], dtype.name)
    with np.errstate(over="ignore"):
        uniforms = np.concatenate([flat(params), np.array([X.shape[1], learning_rate]).astype(dtype)])
    for _ in range(iterations):
        uniforms[:-2] = interpret(program, np.concatenate([X, y]), uniforms)
    return uniforms[:-2]


def interpreted_score(params: Params, X: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    program = score_program(X.shape[0], params.w1.shape[0], y.shape[0], params.w1.dtype.name)
    m = np.array([X.shape[1]], params.w1.dtype)
    cost, correct = interpret(program, np.concatenate([X, y]), np.concatenate([flat(params), m]))
    return float(cost), float(correct) / y.size


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
    engine = CompiledEngine(X, y, params, threads=threads, backend=CPU)
    reached = engine.descend(params, iterations, learning_rate)
    for array, start in zip(reached, params, strict=True):
        assert (array.shape, array.dtype) == (start.shape, start.dtype)
    assert_same_bits(flat(reached), interpreted(params, X, y, iterations, learning_rate))
    score = engine.score(params)
    cost, accuracy = interpreted_score(params, X, y)
    assert_same_bits(score.cost, cost)
    assert score.accuracy == accuracy


@pytest.fixture
def threads_used(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of threads of each kernel call."""
    used: list[int] = []
    run = Pool.run

    def run_and_note(pool: Pool, work: Callable[[int], None], threads: int) -> None:
        used.append(threads)
        run(pool, work, threads)

    monkeypatch.setattr(Pool, "run", run_and_note)
    return used


# --- the interpreter's bits ---


@DTYPE
@pytest.mark.parametrize("m", [1, 31, 32, 33, 511, 512, 513])
@pytest.mark.parametrize("sizes", [(1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2), (2, 3, 2), (3, 4, 1)], ids=str)
def test_is_the_interpreter(sizes: tuple[int, int, int], m: int, dtype: str) -> None:
    iterations = 3 if m < 100 or dtype == "float32" else 1  # the exact fma of float64 is slow
    assert_is_interpreter(*draw(sizes, m, dtype), iterations)


@pytest.mark.parametrize(("dtype", "iterations", "threads"), [("float64", 1, 2), ("float32", 5, 1), ("float32", 5, 2)])
def test_is_the_interpreter_on_several_tiles(dtype: str, iterations: int, threads: int) -> None:
    assert_is_interpreter(*draw((3, 4, 1), 5000, dtype), iterations, threads=threads)


@pytest.mark.parametrize("m", [ROWS_FOR_7_THREADS, 100_000])
def test_is_the_interpreter_on_many_tiles_in_float32(m: int) -> None:
    assert_is_interpreter(*draw((3, 4, 1), m, "float32"), 2, threads=3)


@DTYPE
@pytest.mark.parametrize("m", [1, 40, 513])
@pytest.mark.parametrize("sizes", [(5, 6, 1), (8, 8, 1), (6, 11, 2), (10, 16, 1), (2, 2, 12)], ids=str)
def test_is_the_interpreter_for_larger_networks(sizes: tuple[int, int, int], m: int, dtype: str) -> None:
    """They are printed with shorter vectors, so that a row of 32 examples takes several rounds."""
    m = min(m, 40) if dtype == "float64" else m
    assert_is_interpreter(*draw(sizes, m, dtype), 2 if m < 100 else 1)


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
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_is_the_interpreter_at_any_magnitude(dtype: str, data: st.DataObject) -> None:
    """Saturated sigmoids, subnormal numbers, overflow to infinity and what comes of it."""
    assert_is_interpreter(**data.draw(problems(dtype)))


@DTYPE
def test_is_the_interpreter_for_any_shape(dtype: str) -> None:
    """Apart from the magnitudes, because each new shape has to be compiled."""
    sizes, largest = st.tuples(*[st.integers(1, 6)] * 3), 70 if dtype == "float64" else 1200

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
    reached = CompiledEngine(X[:, :2] * 0, y[:, :2], params, backend=CPU).descend(params, 1, 1e-30)
    assert 0 < reached.b2[0, 0] == tiny  # the errors of yhat = 0.5 cancel


@DTYPE
def test_an_overflowing_product_does_not_undo_an_infinite_sum(dtype: str) -> None:
    """-inf + (finite times finite) is -inf, also where the rounded product would be +inf."""
    big = np.asarray(np.finfo(dtype).max)
    X, y = np.array([[-big], [big]]), np.zeros((1, 1), dtype)
    params = Params(np.array([[big, big]]), *(np.ones(shape, dtype) for shape in ((1, 1), (1, 1), (1, 1))))
    reached = CompiledEngine(X, y, params, backend=CPU).descend(params, 1, 0.5)
    assert np.isfinite(flat(reached)).all()  # f1 is 0, as for any z1 far below 0
    assert_is_interpreter(X, y, params, 2)


@DTYPE
@pytest.mark.parametrize("field", Params._fields)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_go_on_as_in_the_interpreter(field: str, value: float, dtype: str) -> None:
    X, y, params = draw((2, 2, 1), 20, dtype)
    spoilt = getattr(params, field).copy()
    spoilt[0, 0] = value
    params = params._replace(**{field: spoilt})
    assert_is_interpreter(X, y, params, 2)
    if np.isnan(value):
        engine = CompiledEngine(X, y, params, backend=CPU)
        assert np.isnan(engine.descend(params, 1, 0.2).w2).any()
        assert np.isnan(engine.score(params).cost)


@DTYPE
@pytest.mark.parametrize("name", ["exp", "log1p", "reciprocal", "sigmoid", "abs", "where"])
def test_functions_are_the_interpreters_for_any_bits(name: str, dtype: str) -> None:
    """Each of 32 rows has one example, whose sum is the value itself."""

    def function(*, xp: Any, X: Any) -> tuple[Any, ...]:
        values = {
            "exp": lambda: xp.exp(X),
            "log1p": lambda: xp.log1p(X),
            "reciprocal": lambda: 1 / X,
            "sigmoid": lambda: equations.sigmoid(X, xp=xp),
            "abs": lambda: xp.abs(X) - 1,
            "where": lambda: xp.where(X <= 0.5, -X, 2 * X) + xp.where(X > -3, 1.0, X),
        }[name]()
        return (xp.sum(values, axis=-1),)

    program = record(function, dtype=dtype, examples={"X": 32}, uniforms={})
    kernel, pool, nothing = Kernel(program), Pool(1), np.empty(0, dtype)
    bits = np.dtype(dtype).itemsize * 8
    rng = np.random.default_rng(13)
    any_bits = rng.integers(0, 2**bits, 32 * 30, dtype=f"uint{bits}").view(dtype)
    ordinary = (rng.standard_normal(32 * 30) * rng.choice([1e-3, 1, 30, 300], 32 * 30)).astype(dtype)
    f = np.finfo(dtype)
    edges = [0, 1, 0.5, -3, f.smallest_subnormal, f.smallest_normal, f.max, np.inf, np.nan, 88.7228, 709.78, 87.33655]
    edges = np.array([*edges, 708.3964185322641, 103.97, 745.2, 2**0.5 - 1], dtype)
    for X in np.concatenate([any_bits, ordinary, edges, -edges]).reshape(-1, 32, 1):
        assert_same_bits(kernel.run(Examples([X], pool), nothing, 1), interpret(program, X, nothing))


def test_no_iterations_give_the_parameters_back() -> None:
    X, y, params = draw((3, 4, 1), 50, "float64")
    for reached, start in zip(CompiledEngine(X, y, params, backend=CPU).descend(params, 0, 0.2), params, strict=True):
        assert reached.tobytes() == start.tobytes()


@DTYPE
def test_iterations_in_one_call_or_in_many_are_the_same(dtype: str) -> None:
    X, y, params = draw((3, 4, 1), 5000, dtype)
    engine = CompiledEngine(X, y, params, threads=2, backend=CPU)
    step_by_step = params
    for steps in (1, 1, 2, 3, 4):
        step_by_step = engine.descend(step_by_step, steps, 0.3)
    assert flat(engine.descend(params, 11, 0.3)).tobytes() == flat(step_by_step).tobytes()


def test_parameters_given_are_not_written_to() -> None:
    X, y, params = draw((3, 4, 1), 50, "float64")
    before = flat(params)
    for array in (X, y, *params):
        array.flags.writeable = False
    assert flat(CompiledEngine(X, y, params, backend=CPU).descend(params, 5, 0.3)).tobytes() != before.tobytes()
    assert flat(params).tobytes() == before.tobytes()


# --- threads, runs, processes, layouts ---


@DTYPE
def test_any_number_of_threads_gives_the_same_bytes(dtype: str, threads_used: list[int]) -> None:
    X, y, params = draw((3, 4, 1), ROWS_FOR_7_THREADS, dtype)
    reached, scores = set(), set()
    for threads in (1, 2, 3, 7):
        engine = CompiledEngine(X, y, params, threads=threads, backend=CPU)
        for _ in range(2):
            reached.add(flat(engine.descend(params, 20, 0.3)).tobytes())
            scores.add(engine.score(params))
        assert set(threads_used) == {threads}
        threads_used.clear()
    assert len(reached) == 1
    assert len(scores) == 1


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


SUMS_ALONE = {"float64": 200_003, "float32": 600_001}


@DTYPE
@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_sums_over_many_tiles_have_the_interpreters_order(dtype: str, threads: int, threads_used: list[int]) -> None:
    """A program without fma, which the interpreter runs fast: threads own chunks of several tiles here."""
    program = record(_sums, dtype=dtype, examples={"X": 2}, uniforms={"factor": ()})
    m = SUMS_ALONE[dtype]
    X = np.random.default_rng(7).standard_normal((2, m)).astype(dtype)
    factor = np.array([0.1], dtype)
    actual = Kernel(program).run(Examples([X], Pool(threads)), factor, 1)
    assert set(threads_used) == {threads}
    assert actual.tobytes() == interpret(program, X, factor).tobytes()
    assert actual[0] != (X[0] * factor).sum()  # the order matters, or this would show nothing


def _sums(*, xp: Any, X: Any, factor: Any) -> tuple[Any, ...]:
    return (xp.sum(X * factor, axis=-1),)


def test_a_fresh_process_gives_the_same_bytes() -> None:
    here = [sha256(*raw_run(dtype, iterations=500).params) for dtype in DTYPES]
    script = (
        "import sys, test_compiled as t; print(*[t.sha256(*t.raw_run(d, iterations=500).params) for d in sys.argv[1:]])"
    )
    there = subprocess.run(
        [sys.executable, "-c", script, *DTYPES],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent,
    )
    assert there.stdout.split() == here
    assert [sha256(*raw_run(dtype, iterations=500).params) for dtype in DTYPES] == here


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


def gradient_sums(dtype: str) -> Program:
    def sums(*, xp: Any, X: Any, y: Any, **arrays: Any) -> Params:
        params = Params(**arrays)
        return equations.backward(params, equations.forward(params, X, xp=xp), X, y, 1, xp=xp)

    shapes = {"w1": (4, 3), "b1": (4, 1), "w2": (1, 4), "b2": (1, 1)}
    return record(sums, dtype=dtype, examples={"X": 3, "y": 1}, uniforms=shapes)


@DTYPE
@pytest.mark.parametrize("threads", [1, 2])
def test_sums_of_pieces_merge_into_those_of_the_whole(dtype: str, threads: int) -> None:
    X, y, params = draw((3, 4, 1), 77 * TILE + 99, dtype)
    kernel, pool = Kernel(gradient_sums(dtype)), Pool(threads)

    def sums(first: int, last: int) -> np.ndarray:
        return kernel.run(Examples([X[:, first:last], y[:, first:last]], pool), flat(params), 1)

    m = X.shape[1]
    whole = sums(0, m)
    if dtype == "float32":
        assert whole.tobytes() == interpret(kernel.program, np.concatenate([X, y]), flat(params)).tobytes()
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
    expected = CompiledEngine(X, y, params, backend=CPU).score(params)
    if dtype == "float32":
        assert expected == interpreted_score(params, X, y)
    for limit in (3 * TILE, 4 * TILE, 13 * TILE):
        monkeypatch.setattr(compiled, "MAX_COUNT", limit)
        engine = CompiledEngine(X, y, params, threads=2, backend=CPU)
        assert len(engine._spans) > 1
        assert engine.score(params) == expected


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
    missing = sorted(feature for feature in FEATURES_OF_LEVEL[level] if not features.get(feature))
    if missing:
        pytest.skip(f"this processor is below {level}: it lacks {', '.join(missing)}")
    return Target(level)


@DTYPE
@pytest.mark.parametrize("level", FEATURES_OF_LEVEL)
def test_compiled_for_another_level_of_x86_the_raw_run_has_the_same_bytes(level: str, dtype: str) -> None:
    X, y = (a[:, :300].astype(dtype) for a in nn.load_marks())
    start = nn.init_params(3, 4, seed=3, factor=0.01, dtype=dtype)
    kernel = Kernel(training_program(3, 4, 1, dtype), target(level))
    assert ("vfmadd" in kernel.assembly()) == (level != "x86-64-v2")  # v2 calls the C library's fma
    uniforms = np.concatenate([flat(start), np.array([300, 0.2], dtype)])
    assert sha256(kernel.run(Examples([np.ascontiguousarray(X), y], Pool(1)), uniforms, 4500)) == RAW_RUN[dtype]


@DTYPE
@pytest.mark.parametrize("level", FEATURES_OF_LEVEL)
def test_compiled_for_another_level_of_x86_all_magnitudes_have_the_same_bytes(level: str, dtype: str) -> None:
    kernels = [
        Kernel(program, place)
        for program in (training_program(2, 3, 2, dtype), score_program(2, 3, 2, dtype))
        for place in (None, target(level))
    ]
    rng = np.random.default_rng(11)
    for scale in (1.0, 30.0, 1e-30, 1e-38, 1e20, 1e37, *([1e-308, 1e305] if dtype == "float64" else [])):
        X = (rng.standard_normal((2, 700)) * scale).astype(dtype)
        y = (rng.random((2, 700)) < 0.5).astype(dtype)
        params = nn.init_params(2, 3, 2, factor=1, dtype=dtype)
        examples = Examples([X, y], Pool(1))
        uniforms = np.concatenate([flat(params), np.array([700, 0.5], dtype)])
        results = [kernel.run(examples, uniforms[: len(kernel.program.uniforms)], 1) for kernel in kernels]
        assert_same_bits(results[1], results[0])
        assert_same_bits(results[3], results[2])


# --- agreement with eager ---


@pytest.mark.parametrize(
    ("standardized", "iterations", "dtype", "rtol"),
    [
        (False, 300, "float64", 1e-9),
        (True, 4500, "float64", 1e-9),
        (False, 300, "float32", 2e-3),
        (True, 4500, "float32", 2e-3),
    ],
)
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
    drawn = {name: sha256(getattr(start, name)) for name in pinned}
    assert drawn == pinned, (
        f"the initial weights drawn here are {start.w1.tolist()} and {start.w2.tolist()}, not those of other machines. "
        "NumPy's legacy generator calls the C library's log, and this platform's rounds differently. Training itself "
        "has the same bits here; to repeat another machine's run, carry its starting parameters over as a file or "
        "array and pass them to fit instead of drawing them."
    )


def test_standardised_marks_are_the_pinned_bytes() -> None:
    X, _ = nn.load_marks()
    scale = nn.standardization(X[:, :300])
    assert sha256(scale.apply(X)) == "bd54670cbe0c9277a86d5577dec5edfd56fa63eb106e589c1058bbd8530189d7"
    assert (
        sha256(scale.apply(X).astype("float32")) == "bd642e6f91a3567a2ce0ffa68810862da19fc00542bca3824d8f7f3dab39ce25"
    )


STARTS = {
    "float64": "4f8fa1826ef5a4279808d1fa6ec692c1758f3a7527e456e9526388c1a32edbcf",
    "float32": "ee4b78ad29b523533d9e8da8540ce8c0dc550273f390674837e148baea4b0c1c",
}


def require_pinned_start(dtype: str) -> None:
    start = nn.init_params(3, 4, seed=3, factor=0.01, dtype=dtype)
    if sha256(*start) != STARTS[dtype]:
        pytest.fail("the run starts from other weights: see test_initial_parameters_are_the_pinned_bytes")


@DTYPE
def test_the_raw_run_ends_at_the_pinned_bytes(dtype: str) -> None:
    require_pinned_start(dtype)
    result = raw_run(dtype)
    assert [
        (iteration, cost.hex(), accuracy.hex())
        for iteration, cost, accuracy in result.history.itertuples(index=False, name=None)
    ] == RAW_HISTORY[dtype]
    assert sha256(*result.params) == RAW_RUN[dtype]


@DTYPE
def test_the_raw_run_ends_there_however_it_is_cut(dtype: str) -> None:
    require_pinned_start(dtype)
    first = raw_run(dtype, iterations=1234, log_every=17)
    X, y = nn.load_marks()
    rest = nn.fit(X[:, :300], y[:, :300], first.params, iterations=4500 - 1234, log_every=1, engine="compiled")
    assert sha256(*rest.params) == RAW_RUN[dtype]


# --- numbers rounded on the way in ---


@pytest.mark.parametrize("learning_rate", [0.2, 1 + 2**-24 + 2**-40, 1e-42, 3e38])
def test_the_learning_rate_is_rounded_once_to_float32(learning_rate: float) -> None:
    X, y, params = draw((3, 4, 1), 300, "float32")
    y, params = np.ones_like(y), Params(*map(np.zeros_like, params))
    engine = CompiledEngine(X, y, params, backend=CPU)
    reached = flat(engine.descend(params, 1, learning_rate))
    rounded = np.float32(learning_rate)
    assert float(rounded) != learning_rate
    assert float(reached[-1]) == float(rounded) / 2  # b2 after one step; yhat was 0.5 for all
    assert_same_bits(reached, interpreted(params, X, y, 1, float(rounded)))
    for neighbour in np.nextafter(rounded, np.float32([0, np.inf])):
        assert reached.tobytes() != flat(engine.descend(params, 1, float(neighbour))).tobytes()


@pytest.mark.parametrize("engine", ["eager", "compiled"])
def test_a_learning_rate_beyond_float32_diverges_without_a_warning(engine: str) -> None:
    X, y, params = draw((3, 4, 1), 300, "float32")
    with pytest.raises(nn.DivergenceError, match="no longer finite at iteration 1: take a learning rate smaller"):
        nn.fit(X, y, params, learning_rate=1e300, iterations=5, engine=engine)


def test_float32_counts_beyond_its_24_bits_and_rounds_m_once() -> None:
    m, wrong = 2**24 + 3, 5
    X, y = np.zeros((1, m), np.float32), np.ones((1, m), np.float32)
    y[0, -wrong:] = 0  # yhat is 0.5 for all, which counts as 1
    params = nn.init_params(1, 1, factor=0, dtype="float32")
    score = bind("compiled", X, y, params, backend=nn.get_backend("cpu")).score(params)
    assert score.accuracy == (m - wrong) / m
    one = np.zeros((2, 1), np.float32)
    at_m_one = np.concatenate([flat(params), np.ones(1, np.float32)])
    term = interpret(score_program(1, 1, 1, "float32"), one, at_m_one)[:1] / np.float32(m)
    tile = np.full(TILE, term[0]).reshape(-1, 32).cumsum(axis=0, dtype="float32")[-1:]
    while tile.shape[1] > 1:
        tile = tile[:, : tile.shape[1] // 2] + tile[:, tile.shape[1] // 2 :]
    tiles = np.full((m // TILE + 1, 1), tile[0, 0])
    tiles[-1] = (term + term) + term  # the last tile has three examples, in lanes 0, 1, 2: by halving 0 + 2, then + 1
    assert score.cost == add_tree(tiles)[0]


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


def test_many_networks_are_as_many_runs_of_the_interpreter() -> None:
    X, y, params = draw((2, 3, 1), 700, "float64")
    networks = [params, *(nn.init_params(2, 3, seed=seed) for seed in range(4))]
    engine = CompiledEngine(X, y, stacked(networks, 5), backend=CPU, threads=2)
    reached = engine.descend(stacked(networks, 5), 2, 0.3)
    score = engine.score(stacked(networks, 5))
    for k, network in enumerate(networks):
        assert_same_bits(flat(Params(*(array[k] for array in reached))), interpreted(network, X, y, 2, 0.3))
        assert (score.cost[k], score.accuracy[k]) == interpreted_score(network, X, y)


@pytest.mark.parametrize(
    ("networks", "m", "expected"),
    [
        (1, ROWS_FOR_7_THREADS, [7]),
        (6, ROWS_FOR_7_THREADS, [7]),  # one after the other, each on all threads
        (7, ROWS_FOR_7_THREADS, [7, *[1] * 7]),
        (99, ROWS_FOR_7_THREADS, [7, *[1] * 7]),
        (1, 300, [1, 1]),
        (2, 300, [2, 1, 1]),  # side by side, since one could use but one thread
        (9, 300, [7, *[1] * 7]),
    ],
)
def test_threads_share_data_or_networks(networks: int, m: int, expected: list[int], threads_used: list[int]) -> None:
    X, y, params = draw((3, 4, 1), m, "float32")
    many = stacked([params] * networks, networks)
    CompiledEngine(X, y, many, threads=7, backend=CPU).descend(many, 1, 0.3)
    assert threads_used == expected


def test_the_limit_of_parameters_is_that_of_one_network() -> None:
    limit, beyond = (stacked([nn.init_params(*sizes)] * 3, 3) for sizes in (AT_LIMIT, BEYOND))
    assert choose("auto", limit, CPU) == choose("compiled", limit, CPU) == "compiled"
    assert choose("auto", beyond, CPU) == "eager"


@POSIX
def test_ctrl_c_ends_a_run_of_many_networks(press_ctrl_c: Callable[..., Any]) -> None:
    X, y = nn.load_marks()
    networks = [nn.init_params(3, 4, seed=seed) for seed in range(50)]
    since = press_ctrl_c(0.8)
    result = nn.fit(X, y, stacked(networks, 50), iterations=10**9, log_every=10**9, threads=2)
    assert since() < 2
    assert result.interrupted
    assert 0 < result.iterations < 10**9
    again = nn.fit(X, y, networks[49], iterations=result.iterations, log_every=10**9)
    assert_same_bits(flat(Params(*(array[49] for array in result.params))), flat(again.params))


# --- which engine runs ---

CPU = nn.get_backend("cpu")
AT_LIMIT = (MAX_COMPILED_PARAMETERS - 3, 1, 1)  # n1 (n0 + 1) + n2 (n1 + 1) parameters
BEYOND = (MAX_COMPILED_PARAMETERS - 2, 1, 1)


def test_auto_takes_compiled_for_small_networks_on_numpy() -> None:
    X, y, params = draw((3, 4, 1), 50, "float32")
    assert choose("auto", params, CPU) == choose("compiled", params, CPU) == "compiled"
    assert choose("eager", params, CPU) == "eager"
    assert isinstance(bind("auto", X, y, params, backend=CPU), CompiledEngine)
    assert nn.fit(X, y, params, iterations=2).engine == "compiled"
    assert nn.fit(X, y, params, iterations=2, engine="eager").engine == "eager"


@pytest.mark.parametrize(
    ("params", "backend", "message"),
    [
        (
            nn.init_params(*BEYOND),
            CPU,
            rf"the network has {MAX_COMPILED_PARAMETERS + 1} parameters; it runs at most {MAX_COMPILED_PARAMETERS}",
        ),
        (nn.init_params(3, 4), STRICT, "the backend is strict; it runs on numpy and cupy"),
    ],
    ids=["size", "backend"],
)
def test_elsewhere_auto_takes_eager_and_compiled_says_why_not(params: Params, backend: Any, message: str) -> None:
    placed = Params(*map(backend.asarray, params))
    assert choose("auto", placed, backend) == "eager"
    X, y = np.zeros((params.w1.shape[-1], 7)), np.zeros((1, 7))
    assert nn.fit(X, y, params, iterations=1, backend=backend).engine == "eager"
    refusal = rf"^engine 'compiled' does not serve here: {message}\. Use 'eager' or 'auto'$"
    with pytest.raises(nn.ArgumentError, match=refusal):
        choose("compiled", placed, backend)
    with pytest.raises(nn.ArgumentError, match=refusal):
        nn.fit(X, y, params, iterations=1, backend=backend, engine="compiled")


def test_on_a_gpu_auto_takes_eager() -> None:
    gpu = require_gpu()
    params = Params(*map(gpu.asarray, nn.init_params(3, 4)))
    assert choose("auto", params, gpu) == "eager"
    assert choose("compiled", params, gpu) == "compiled"


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(nn.ArgumentError, match=r"^engine 'fast' is not known; accepted: auto, eager, compiled$"):
        choose("fast", nn.init_params(3, 4), CPU)


def test_the_largest_network_it_accepts_works() -> None:
    X, y, params = draw(AT_LIMIT, 40, "float32")
    assert flat(params).size == MAX_COMPILED_PARAMETERS
    assert choose("compiled", params, CPU) == "compiled"
    assert_is_interpreter(X, y, params, 2)


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


@pytest.mark.parametrize("engine", ["eager", "compiled"])
def test_divergence_names_the_network(engine: str) -> None:
    growing = Params(*(np.array([[value]]) for value in (0.0, 0.0, 0.0, -1e308)))  # yhat is 0
    at_rest = growing._replace(b2=np.array([[1000.0]]))  # yhat is 1, and the gradient 0
    beyond = growing._replace(b1=np.array([[1000.0]]), w2=np.array([[-1e308]]))  # z2 is -2e308
    X, y = np.ones((1, 4)), np.ones((1, 4))
    with pytest.raises(nn.DivergenceError, match=r"^the cost of network 2 is no longer finite at iteration 0: take"):
        nn.fit(X, y, stacked([at_rest, growing, beyond], 3), engine=engine)
    # The first update makes w2 2e307, so in the second dw1 is a quarter of that, and times the learning rate infinite.
    with pytest.raises(nn.DivergenceError, match=r"^the parameters of network 1 are no longer finite at iteration 2:"):
        nn.fit(X, y, stacked([at_rest, growing, growing, at_rest], 2, 2), learning_rate=4e307, engine=engine)


@pytest.mark.parametrize(
    ("X", "w1", "w2", "learning_rate", "what"),
    [
        ([1e200, -1e200, 5e199], 1e-200, 1.0, 1e120, "parameters are no longer finite at iteration 1:"),
        ([1.0, 1.0, 1.0], 0.0, 0.0, 1e160, "parameters are no longer finite at iteration 2:"),
        ([1.0, 1.0, 1.0], 1e308, 1.7e308, 0.2, "cost is no longer finite at iteration 0:"),
    ],
)
def test_divergence_is_reported_as_in_eager(
    X: list[float], w1: float, w2: float, learning_rate: float, what: str
) -> None:
    params = Params(*(np.array([[value]]) for value in (w1, 0.0, w2, w2 / 2)))
    for engine in ("eager", "compiled"):
        with pytest.raises(nn.DivergenceError, match=what):
            nn.fit([X], [[1, 0, 1]], params, iterations=1000, learning_rate=learning_rate, engine=engine)


def test_nan_in_the_data_is_refused_as_in_eager() -> None:
    X, y, params = draw((3, 4, 1), 50, "float64")
    X[1, 7] = np.nan
    with pytest.raises(nn.DataError, match="X holds NaN or infinity"):
        nn.fit(X, y, params, engine="compiled")
    assert np.isnan(flat(CompiledEngine(X, y, params, backend=CPU).descend(params, 1, 0.2))).any()


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
def test_ctrl_c_ends_a_long_run(log_every: int, press_ctrl_c: Callable[..., Any]) -> None:
    since = press_ctrl_c(0.8)
    result = raw_run("float64", iterations=10**9, log_every=log_every)
    assert since() < 2
    assert result.interrupted
    assert 1000 < result.iterations < 10**9
    assert result.history["iteration"].iloc[-1] == result.iterations
    again = raw_run("float64", iterations=result.iterations, log_every=10**9)
    assert flat(again.params).tobytes() == flat(result.params).tobytes()
    assert again.history["cost"].iloc[-1] == result.history["cost"].iloc[-1]


@POSIX
def test_ctrl_c_ends_a_run_on_several_threads(threads_used: list[int], press_ctrl_c: Callable[..., Any]) -> None:
    X, y = nn.simulate_marks(10**6, seed=1)
    params = nn.init_params(3, 4)
    since = press_ctrl_c(0.8)
    result = nn.fit(X, y, params, iterations=10**9, log_every=10**9, threads=2, engine="compiled")
    assert since() < 2
    assert set(threads_used) == {2}
    assert result.interrupted
    assert 0 < result.iterations < 10**9
    again = nn.fit(X, y, params, iterations=result.iterations, log_every=10**9, threads=1, engine="compiled")
    assert flat(again.params).tobytes() == flat(result.params).tobytes()
    assert again.history.iloc[-1].equals(result.history.iloc[-1])


CTRL_C_BETWEEN_THREADS = """
import signal
from concurrent.futures import ThreadPoolExecutor
import nn_backend as nn
from nn_backend.compiler import native

class Interrupted(ThreadPoolExecutor):
    calls = 0

    def submit(self, *arguments):
        future = super().submit(*arguments)
        Interrupted.calls += 1
        if Interrupted.calls == 7:  # the first thread of a call is started, the second is not
            signal.raise_signal(signal.SIGINT)
        return future

native.ThreadPoolExecutor = Interrupted
X, y = nn.simulate_marks(20_000, seed=1)
result = nn.fit(X, y, nn.init_params(3, 4), iterations=2000, threads=2, engine="compiled")
again = nn.fit(X, y, nn.init_params(3, 4), iterations=5, threads=2, engine="compiled")
print(result.interrupted, again.iterations)
"""


@POSIX
def test_ctrl_c_between_the_start_of_two_threads_leaves_none_waiting() -> None:
    try:
        done = subprocess.run(
            [sys.executable, "-c", CTRL_C_BETWEEN_THREADS], capture_output=True, text=True, timeout=20
        )
    except subprocess.TimeoutExpired:
        pytest.fail("the process hangs: a thread waits at the barrier for one that was never started")
    assert (done.returncode, done.stdout.split()) == (0, ["True", "5"]), done.stderr


# --- kernels, threads and the GIL ---


def test_kernels_are_compiled_once_in_a_process() -> None:
    X, y, params = draw((3, 4, 1), 50, "float64")
    other = draw((3, 4, 1), 700, "float64")
    one, same = CompiledEngine(X, y, params, backend=CPU), CompiledEngine(*other, backend=CPU)
    assert one._training is same._training
    assert one._scoring is same._scoring
    assert one._training is not CompiledEngine(*draw((3, 4, 1), 50, "float32"), backend=CPU)._training
    assert one._training is not CompiledEngine(*draw((4, 3, 1), 50, "float64"), backend=CPU)._training


def test_threads_are_kept_between_calls_and_end_with_the_engine(threads_used: list[int]) -> None:
    X, y, params = draw((3, 4, 1), ROWS_FOR_7_THREADS, "float64")
    before = set(threading.enumerate())
    engine = CompiledEngine(X, y, params, threads=3, backend=CPU)
    engine.descend(params, 2, 0.2)
    started = set(threading.enumerate()) - before
    assert len(started) == 3
    for _ in range(5):
        engine.descend(params, 2, 0.2)
        engine.score(params)
    assert set(threading.enumerate()) - before == started
    assert set(threads_used) == {3}
    del engine
    gc.collect()
    for thread in started:
        thread.join(timeout=10)
    assert not any(thread.is_alive() for thread in started)


def test_one_thread_starts_none() -> None:
    X, y, params = draw((3, 4, 1), ROWS_FOR_7_THREADS, "float64")
    before = set(threading.enumerate())
    CompiledEngine(X, y, params, threads=1, backend=CPU).descend(params, 2, 0.2)
    CompiledEngine(X[:, :300], y[:, :300], params, threads=7, backend=CPU).descend(
        params, 2, 0.2
    )  # too few rows to share
    assert set(threading.enumerate()) == before


def test_runs_in_several_threads_at_once_give_the_same_bytes() -> None:
    X, y, params = draw((3, 5, 1), 5000, "float64")

    def fit(threads: int) -> bytes:
        return flat(nn.fit(X, y, params, iterations=400, threads=threads, engine="compiled").params).tobytes()

    with ThreadPoolExecutor(6) as callers:
        reached = list(callers.map(fit, [1, 2, 1, 2, 1, 2]))
    assert set(reached) == {fit(1)}


def test_other_threads_go_on_during_a_call() -> None:
    X, y, params = draw((3, 4, 1), 5000, "float64")
    engine = CompiledEngine(X, y, params, threads=1, backend=CPU)
    engine.descend(params, 10, 0.2)
    seconds: list[float] = []

    def descend() -> None:
        started = time.perf_counter()
        engine.descend(params, iterations, 0.2)
        seconds.append(time.perf_counter() - started)

    started = time.perf_counter()
    engine.descend(params, 1000, 0.2)
    iterations = max(1000, int(1000 / (time.perf_counter() - started)))  # about a second
    call = threading.Thread(target=descend)
    started = time.perf_counter()
    call.start()
    time.sleep(0.1)
    waited = time.perf_counter() - started
    call.join()
    assert waited < seconds[0] / 2


NO_SUMS = """
import json
import numpy as np
from nn_backend.compiler.native import Examples, Kernel, Pool
from nn_backend.compiler.trace import record
from nn_backend.errors import NNBackendError

try:
    program = record(lambda *, xp, X, a: (a * 2 + 1,), dtype="float64", examples={"X": 1}, uniforms={"a": ()})
    print(json.dumps(Kernel(program).run(Examples([np.ones((1, 5))], Pool(1)), np.array([3.0]), 1).tolist()))
except NNBackendError as error:
    print(json.dumps(str(error)))
"""


def test_a_program_without_sums_is_refused_or_right() -> None:
    """In a process of its own, because memory beyond an array might be written to."""
    done = subprocess.run([sys.executable, "-c", NO_SUMS], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert "sum" in result if isinstance(result, str) else result == [7.0]

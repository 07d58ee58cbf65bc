"""The eager engine: what the equations say, on every backend and in blocks; and how many threads engines may use."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import threadpoolctl
from methods import CPU, ENDED, METHODS, Problem, ending, problem
from places import Place, assert_close

import nn_backend as nn
from nn_backend import equations
from nn_backend.backend import Backend
from nn_backend.engines import Examples, eager, machine
from nn_backend.engines.eager import EagerEngine
from nn_backend.engines.machine import count_threads
from nn_backend.equations import Params
from nn_backend.optimizers import State


def many_rows(m: int = 5_000) -> tuple[np.ndarray, np.ndarray, Params]:
    X, y = nn.simulate_marks(m, seed=1)
    return X / 20, y, nn.init_params(3, 4, seed=3, factor=0.5)


def one_pass(params: Params, X: np.ndarray, y: np.ndarray, iterations: int, learning_rate: float = 0.2) -> Params:
    for _ in range(iterations):
        layers = equations.forward(params, X, xp=np)
        gradients = equations.backward(params, layers, X, y, X.shape[1], xp=np)
        params = equations.update(params, gradients, learning_rate)
    return params


def descend(engine: EagerEngine, params: Params, iterations: int, learning_rate: object = 0.2) -> Params:
    return engine.descend(engine.start(State(params, {})), iterations, {"learning_rate": learning_rate})[0].params


def test_descends_as_the_equations_say(backend: Place) -> None:
    X, y, params = many_rows(300)
    engine = EagerEngine(Examples(backend.asarray(X), backend.asarray(y)), backend=backend.backend)
    reached = descend(engine, backend.params(params), 10)
    tolerance = {"float64": 1e-12, "float32": 1e-4}[backend.dtype]
    for actual, expected in zip(reached, one_pass(params, X, y, 10), strict=True):
        assert_close(actual, expected, backend, rtol=tolerance, atol=tolerance / 10)


def placed(given: Problem, backend: Place) -> tuple[EagerEngine, State]:
    """Return the engine of a problem, and its start, on a backend."""
    examples = given.examples._replace(**{name: backend.asarray(array) for name, array in given.arrays.items()})
    state = State.of({name: backend.asarray(array) for name, array in given.state.arrays().items()})
    return EagerEngine(examples, backend=backend.backend, method=given.method), state


@pytest.mark.parametrize("name", METHODS)
def test_every_way_to_train_is_close_to_the_interpreter(name: str, backend: Place) -> None:
    given = problem(name, 45, backend.dtype)
    expected, done, ended = given.reached(4)
    engine, start = placed(given, backend)
    state, *counted = engine.descend(start, 4, given.numbers)
    assert [count.item() for count in counted] == [done, ended]
    rtol = {"float64": 1e-9, "float32": 1e-3}[backend.dtype]
    for key, array in state.arrays().items():
        assert_close(array, expected[key], backend, rtol=rtol, atol=rtol / 10)
    assert [*engine.state(state).arrays()] == [*expected]


def test_each_network_ends_by_itself(backend: Place) -> None:
    given, ended = ending(backend.dtype)
    engine, start = placed(given, backend)
    state, done, endings = engine.descend(start, 8, given.numbers, ended)
    assert [*zip(done.tolist(), endings.tolist(), strict=True)] == [*ENDED.values()]
    assert_close(state.params.w2[1, ...], given.state.params.w2[1], backend, rtol=0)
    assert_close(state.params.w2[2, ...], given.state.params.w2[2], backend, rtol=0)
    alone, *_ = engine.descend(start, ENDED["reaches its goal"][0], given.numbers, ended)
    assert_close(state.params.w2[3, ...], backend.backend.to_numpy(alone.params.w2[3, ...]), backend, rtol=0)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["sigmoid", "softmax", "identity"])
def test_scores_on_every_backend(kind: str, weighted: bool, backend: Place) -> None:
    given = problem(f"{kind} gd{' weights' * weighted}", 300, backend.dtype)
    engine, state = placed(given, backend)
    score = engine.score(state)
    X, y = (array.astype(np.float64) for array in given.examples[:2])
    weights = given.arrays.get("weights", np.ones((1, 300))).astype(np.float64)
    w1, b1, w2, b2 = given.state.params
    z2 = w2 @ (1 / (1 + np.exp(-(w1 @ X + b1)))) + b2
    accuracy = r2 = np.nan
    if kind == "sigmoid":
        yhat = 1 / (1 + np.exp(-z2))
        terms, accuracy = -np.log(np.where(y == 1, yhat, 1 - yhat)), np.average((yhat >= 0.5) == y, weights=weights)
    elif kind == "softmax":
        yhat = np.exp(z2) / np.exp(z2).sum(axis=0)
        terms, accuracy = -y * np.log(yhat), np.average(z2.argmax(axis=0) == y.argmax(axis=0), weights=weights[0])
    else:
        terms, mean = (z2 - y) ** 2 / 2, np.average(y, axis=1, weights=weights[0])[:, None]
        r2 = np.mean(1 - ((z2 - y) ** 2 * weights).sum(axis=1) / ((y - mean) ** 2 * weights).sum(axis=1))
    rel = 1e-5 if backend.dtype == "float32" else 1e-12
    expected = (np.sum(terms * weights) / weights.sum(), accuracy, r2)
    assert score == pytest.approx(expected, rel=rel, nan_ok=True)
    assert {type(value) for value in score} == {float}


def test_on_the_cpu_the_equations_run_on_whole_arrays() -> None:
    X, y, params = many_rows()
    engine = EagerEngine(Examples(X, y), backend=CPU)
    for actual, expected in zip(descend(engine, params, 20), one_pass(params, X, y, 20), strict=True):
        assert actual.tobytes() == expected.tobytes()


@pytest.mark.parametrize("columns", [1, 7, 512, 4_999, 5_000])
def test_blocks_of_other_backends_agree_with_one_pass(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y, params = many_rows()
    engine = EagerEngine(Examples(X, y), backend=Backend("elsewhere", ArrayModule()))
    monkeypatch.setattr(eager, "BLOCK_BYTES", columns * 4 * 8)
    blocks = [block["X"] for block in engine._blocks(params, Examples(X, y))]
    assert max(block.shape[1] for block in blocks) <= columns
    assert np.concatenate(blocks, axis=1).tobytes() == X.tobytes()
    iterations = 1 if columns == 1 else 20
    for actual, expected in zip(descend(engine, params, iterations), one_pass(params, X, y, iterations), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-11, atol=1e-13)
    whole = EagerEngine(Examples(X, y), backend=CPU)
    state = State(params, {})
    assert engine.score(state).cost == pytest.approx(whole.score(state).cost, rel=1e-13)
    assert engine.score(state).accuracy == whole.score(state).accuracy
    np.testing.assert_allclose(engine.predict(state, "yhat"), whole.predict(state, "yhat"), rtol=1e-13)


class ArrayModule:
    """NumPy under another name, as a module that is not the CPU's."""

    def __getattr__(self, name: str) -> object:
        return getattr(np, name)


def test_float32_counts_beyond_its_24_bits() -> None:
    m = 2**24 + 3
    X, y = np.zeros((1, m), np.float32), np.ones((1, m), np.float32)
    params = nn.init_params(1, 1, factor=0, dtype="float32")
    assert EagerEngine(Examples(X, y), backend=CPU).score(State(params, {})).accuracy == 1.0


@pytest.mark.parametrize(("share", "own", "threads"), [("3", "", 2), ("3", "5", 5), ("1", "", 1), ("", "5", 5)])
def test_threads_come_from_the_argument_then_the_environment_then_what_other_libraries_are_told(
    monkeypatch: pytest.MonkeyPatch, share: str, own: str, threads: int
) -> None:
    monkeypatch.setattr(machine, "_blas", list)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 7}, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", share)
    monkeypatch.setenv("NN_BACKEND_THREADS", own)
    assert count_threads() == threads
    assert count_threads(7) == 7


@pytest.mark.parametrize("threads", ["0", "-1", "two", "1.5", "1025", "٣", 0, -1, 1025])
def test_wrong_number_of_threads_is_refused(threads: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"NN_BACKEND_THREADS is '{threads}'" if isinstance(threads, str) else f"threads is {threads}"
    monkeypatch.setenv("NN_BACKEND_THREADS", str(threads))
    with pytest.raises(nn.ArgumentError, match=f"{name}; expected a whole number from 1 to 1024"):
        count_threads(None if isinstance(threads, str) else threads)


def test_threads_follow_threadpoolctl() -> None:
    with threadpoolctl.threadpool_limits(1, "blas"):
        assert count_threads() == 1


def test_fits_leave_blas_its_threads() -> None:
    def threads_of_blas() -> list[int]:
        return [library["num_threads"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"]

    X, y, params = many_rows(300)
    before = threads_of_blas()

    def fit(number: int) -> None:
        options = {"engine": ("eager", "compiled")[number % 2], "threads": number % 3 + 1}
        nn.fit(X, y, params, iterations=5 + 40 * (number % 4), **options)

    with ThreadPoolExecutor(4) as callers:
        list(callers.map(fit, range(40)))
    assert threads_of_blas() == before


@pytest.mark.parametrize(
    ("files", "threads"),
    [
        ({}, 1024),
        ({"cpu.max": "max 100000"}, 1024),
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 1024),
        ({"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"}, 1),
    ],
)
def test_threads_follow_the_quota_of_a_container(files: dict[str, str], threads: int, tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert machine._quota.__wrapped__(tmp_path) == threads


NO_EXECUTABLE_MEMORY = """
import ctypes, sys, runpy
if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0):  # PR_SET_MDWE, from Linux 6.3 on
    sys.exit(77)
sys.argv = sys.argv[1:]
runpy.run_module("nn_backend.train", run_name="__main__")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux to forbid executable memory")
@pytest.mark.parametrize(
    ("engine", "code", "told"),
    [
        ("auto", 0, "note: engine 'eager' runs instead of 'compiled': this process may not execute memory that it has"),
        ("compiled", 3, "error: engine 'compiled' cannot run: this process may not execute memory that it has"),
    ],
)
def test_where_memory_cannot_be_executed_eager_runs(engine: str, code: int, told: str) -> None:
    command = [sys.executable, "-c", NO_EXECUTABLE_MEMORY, "train", "--engine", engine, "--iterations", "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode == 77:
        pytest.skip("this Linux is older than 6.3 and cannot forbid it")
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith(told)
    assert done.stderr.count("\n") == 1
    assert ("eager" in done.stdout) == (code == 0)


@pytest.mark.parametrize("share", ["", "0", "2,3", "5000", "-1", "many"])
def test_what_is_no_share_is_left_to_openmp(monkeypatch: pytest.MonkeyPatch, share: str) -> None:
    cores = count_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", share)
    assert count_threads() == cores

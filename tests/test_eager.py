"""The eager engine: what the equations say, on every backend and in blocks; and how many threads engines may use."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import array_api_compat.numpy
import numpy as np
import pytest
import threadpoolctl
from methods import CPU, ENDED, METHODS, Problem, ending, problem
from places import Place, assert_close

import nn_backend as nn
from nn_backend.backend import Backend
from nn_backend.engines import Examples, eager, machine
from nn_backend.engines.eager import EagerEngine
from nn_backend.engines.machine import count_threads
from nn_backend.optimizers import State


def placed(given: Problem, backend: Place) -> tuple[EagerEngine, State]:
    """Return the engine of a problem, and its start, on a backend."""
    examples = given.examples._replace(**{name: backend.asarray(array) for name, array in given.arrays.items()})
    state = State.of({name: backend.asarray(array) for name, array in given.state.arrays().items()})
    return EagerEngine(examples, backend=backend.backend, method=given.method), state


@pytest.mark.parametrize("name", METHODS)
def test_every_way_to_train_is_close_to_the_interpreter_and_scores_to_the_cpus(name: str, backend: Place) -> None:
    given, exact = problem(name, 45, backend.dtype), problem(name, 45, "float64")
    expected, done, ended = given.reached(4)
    engine, start = placed(given, backend)
    state, *counted = engine.descend(start, 4, given.numbers)
    assert [count.item() for count in counted] == [done, ended]
    rtol = {"float64": 1e-9, "float32": 1e-3}[backend.dtype]
    for key, array in state.arrays().items():
        assert_close(array, expected[key], backend, rtol=rtol, atol=rtol / 10)
    assert [*engine.state(state).arrays()] == [*expected]
    score, cpu = engine.score(start), EagerEngine(exact.examples, backend=CPU, method=exact.method)
    assert score == pytest.approx(
        cpu.score(exact.state), rel={"float64": 1e-12, "float32": 1e-5}[backend.dtype], nan_ok=True
    )
    assert {type(value) for value in score} == {float}


def test_each_network_ends_by_itself(backend: Place) -> None:
    given, ended = ending(backend.dtype)
    engine, start = placed(given, backend)
    state, done, endings = engine.descend(start, 8, given.numbers, ended)
    assert [*zip(done.tolist(), endings.tolist(), strict=True)] == [*ENDED.values()]
    alone, *_ = engine.descend(start, ENDED["reaches its goal"][0], given.numbers, ended)
    for n, params in ((1, start.params), (2, start.params), (3, alone.params)):
        assert_close(state.params.w2[n, ...], backend.backend.to_numpy(params.w2[n, ...]), backend, rtol=0)


@pytest.mark.parametrize("columns", [1, 7, 512, 4_999, 5_000])
def test_blocks_of_other_backends_agree_with_the_cpus_one_pass(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = nn.simulate_marks(5_000, seed=1)
    examples, state = Examples(X / 20, y), State(nn.init_params(3, 4, seed=3, factor=0.5), {})
    whole, engine = (
        EagerEngine(examples, backend=place) for place in (CPU, Backend("elsewhere", array_api_compat.numpy))
    )
    monkeypatch.setattr(eager, "BLOCK_BYTES", columns * 4 * 8)
    assert len([*whole._blocks(state.params, examples)]) == 1
    blocks = [block["X"] for block in engine._blocks(state.params, examples)]
    assert max(block.shape[1] for block in blocks) <= columns
    assert np.concatenate(blocks, axis=1).tobytes() == examples.X.tobytes()
    iterations = 1 if columns == 1 else 20
    one, other = (each.descend(state, iterations, {"learning_rate": 0.2})[0] for each in (whole, engine))
    for expected, actual in zip(one.params, other.params, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-11, atol=1e-13)
    assert engine.score(state) == pytest.approx(whole.score(state), rel=1e-13, nan_ok=True)
    np.testing.assert_allclose(engine.predict(state, "yhat"), whole.predict(state, "yhat"), rtol=1e-13)


def test_float32_counts_beyond_its_24_bits() -> None:
    m = 2**24 + 3
    X, y = np.zeros((1, m), np.float32), np.ones((1, m), np.float32)
    params = nn.init_params(1, 1, factor=0, dtype="float32")
    assert EagerEngine(Examples(X, y), backend=CPU).score(State(params, {})).accuracy == 1.0


@pytest.mark.parametrize(
    ("share", "own", "threads"),
    [
        *[("3", "", 2), ("3", "5", 5), ("1", "", 1), ("", "5", 5)],
        *[(share, "", 2) for share in ("", "0", "2,3", "5000", "-1", "many")],  # no share, which is left to OpenMP
    ],
)
def test_threads_come_from_the_argument_then_the_environment_then_what_other_libraries_are_told(
    monkeypatch: pytest.MonkeyPatch, share: str, own: str, threads: int
) -> None:
    monkeypatch.setattr(machine, "_blas", list)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 7}, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", share)
    monkeypatch.setenv("NN_BACKEND_THREADS", own)
    assert count_threads() == threads
    assert count_threads(7) == 7


@pytest.mark.parametrize("threads", ["0", "-1", "two", "1.5", "1025", "٣"])
def test_wrong_number_of_threads_is_refused(threads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NN_BACKEND_THREADS", threads)
    with pytest.raises(nn.ArgumentError, match=f"THREADS is '{threads}'; expected a whole number from 1 to 1024"):
        count_threads()


def test_threads_follow_threadpoolctl() -> None:
    with threadpoolctl.threadpool_limits(1, "blas"):
        assert count_threads() == 1


def test_fits_leave_blas_its_threads() -> None:
    def threads_of_blas() -> list[int]:
        return [library["num_threads"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"]

    X, y = nn.simulate_marks(300, seed=1)
    params, before = nn.init_params(3, 4), threads_of_blas()

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

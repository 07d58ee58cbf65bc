"""Measures how long nn_backend takes; read by pytest, which runs the benchmarks of this folder.

    python -m pytest bench                   all of it, about five minutes on two cores
    python -m pytest bench --smallest        each benchmark once at its smallest size: shows that it runs, not how fast
    python -m pytest bench -k "step and 1e6x3" --benchmark-json FILE     some of it, and a file of timings and versions

A table holds one task, size and dtype, so that engines, NumPy and CuPy stand below each other. The median says how
long the task takes, iqr (between the first and the third quarter of the rounds) how sure that is; both are wall time.
The figure in brackets is the factor to the best of the table. A case is named ROWSxINPUTS-HIDDEN-OUTPUTS.

Each task is repeated for 0.2 s before the clock starts, and the clock is read when the device has done what was asked.
Arrays are on the device beforehand; moving them there is a task of its own. Without a GPU the CuPy cases are skipped
(``-rs`` shows why, NN_BACKEND_REQUIRE_GPU=1 makes them fail). NN_BACKEND_THREADS sets the workers on the CPU.
"""

import functools
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import nn_backend as nn
from nn_backend import engines, timings
from nn_backend.backend import Backend
from nn_backend.optimizers import State

ROUNDS = 15  # of a measurement that takes turns with another one
SETTLE_SECONDS = 0.2  # OpenBLAS's threads wait actively for 0.1 s after a product, and hold cores that long
CLOSING_LINES = pytest.StashKey[list[str]]()


class Case(NamedTuple):
    """A number of examples and the sizes of the layers."""

    rows: int
    n0: int
    n1: int
    n2: int

    def __str__(self) -> str:
        exponent = len(str(self.rows)) - 1
        rows = f"10^{exponent}" if self.rows == 10**exponent else str(self.rows)
        return f"{rows} x {self.n0}-{self.n1}-{self.n2}"

    @property
    def size(self) -> int:
        """Numbers that one pass computes with, by which cases are compared."""
        return self.rows * (self.n0 + self.n1 + self.n2)


class Problem(NamedTuple):
    """What is trained: data and initial parameters as NumPy arrays of one dtype."""

    X: np.ndarray
    y: np.ndarray
    params: nn.Params

    def on(self, backend: Backend) -> "Problem":
        """Return the same on a backend."""
        params = nn.Params(*map(backend.asarray, self.params))
        return Problem(backend.asarray(self.X), backend.asarray(self.y), params)

    def descending(self, backend: Backend, engine: str, iterations: int, learning_rate: float) -> Callable[[], Any]:
        """Return what does so many iterations from the start on an engine, and returns the parameters."""
        X, y, params = self.on(backend)
        bound = engines.bind(engine, engines.Examples(X, y), params, backend=backend, tasks=("step",))
        state, numbers = bound.start(State(params, {})), {"learning_rate": learning_rate}
        return lambda: bound.state(bound.descend(state, iterations, numbers)[0]).params


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--smallest", action="store_true", help="run each benchmark once, at its smallest size")


def pytest_configure(config: pytest.Config) -> None:
    if not config.option.benchmark_columns:  # all ten do not fit in a terminal's width
        config.option.benchmark_columns = ["median", "iqr", "min", "max", "rounds"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("smallest"):
        return
    here = [item for item in items if Path(__file__).parent in item.path.parents and hasattr(item, "callspec")]
    named = {item: item.callspec.params["case"] for item in here if "case" in item.callspec.params}
    sizes = {item: read_case(name).size for item, name in named.items()}
    smallest = {}
    for item, size in sizes.items():
        smallest[item.function] = min(size, smallest.get(item.function, size))
    left_out = [item for item, size in sizes.items() if size > smallest[item.function]]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    lines = config.stash.get(CLOSING_LINES, [])
    for line in lines:
        terminalreporter.write_line(line)
    if lines and config.getoption("smallest"):
        terminalreporter.write_line("--smallest shows that the benchmarks run; its times are no measurements.")


def read_case(name: str) -> Case:
    """Return the case that a name such as 1e6x3-4-1 stands for."""
    rows, layers = name.split("x")
    return Case(int(float(rows)), *map(int, layers.split("-")))


@functools.cache
def draw(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Return the article's data for its size, simulated marks for other sizes, and a linear rule for other layers."""
    if case.n0 == 3:
        X, y = nn.load_marks() if case.rows == 300 else nn.simulate_marks(case.rows)
        return X[:, : case.rows], y[:, : case.rows]
    generator = np.random.default_rng(0)
    X = generator.standard_normal((case.n0, case.rows))
    return X, (generator.standard_normal((case.n2, case.n0)) @ X > 0).astype(np.float64)


@pytest.fixture(params=["300x3-4-1", "1e4x3-4-1", "1e6x3-4-1", "1e5x32-64-1"])
def case(request: pytest.FixtureRequest) -> Case:
    return read_case(request.param)


@pytest.fixture(params=["float64", "float32"])
def dtype(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=["eager-numpy", "compiled-numpy", "eager-cupy", "compiled-cupy"])
def place(request: pytest.FixtureRequest) -> tuple[str, Backend]:
    """Return an engine's name and where it runs."""
    engine, name = request.param.split("-")
    return engine, request.getfixturevalue("gpu") if name == "cupy" else nn.get_backend(name)


@pytest.fixture
def backend(place: tuple[str, Backend]) -> Backend:
    return place[1]


@pytest.fixture
def engine(place: tuple[str, Backend]) -> str:
    """Return the engine's name."""
    return place[0]


@pytest.fixture(scope="session")
def gpu() -> Backend:
    """Return the GPU's backend; without a GPU skip, or fail where NN_BACKEND_REQUIRE_GPU=1."""
    try:
        return nn.get_backend("gpu")
    except nn.BackendUnavailableError as error:
        if os.getenv("NN_BACKEND_REQUIRE_GPU") == "1":
            pytest.fail(f"NN_BACKEND_REQUIRE_GPU is 1, but: {error}")
        pytest.skip(str(error))


@pytest.fixture
def closing_lines(request: pytest.FixtureRequest) -> list[str]:
    """Return a list of lines that are printed below the tables, for appending to."""
    return request.config.stash.setdefault(CLOSING_LINES, [])


@pytest.fixture
def problem(case: Case, dtype: str) -> Problem:
    """Return data and parameters on the host."""
    X, y = draw(case)
    return Problem(X.astype(dtype), y.astype(dtype), nn.init_params(case.n0, case.n1, case.n2, dtype=dtype))


@pytest.fixture
def description(backend: Backend, case: Case, dtype: str) -> dict[str, Any]:
    """Say what runs where, for the JSON file of a run."""
    shapes = {"X": [case.n0, case.rows], "y": [case.n2, case.rows], "layers": [case.n0, case.n1, case.n2]}
    return {"backend": backend.name, **timings.describe(backend), "shapes": shapes, "dtype": dtype}


@pytest.fixture
def waiting_timer(request: pytest.FixtureRequest, backend: Backend) -> None:
    """Have `benchmark`, which must be made after this, wait for the device before it reads the clock."""

    def wait_and_read_clock() -> float:
        backend.synchronize()
        return time.perf_counter()

    request.node.add_marker(pytest.mark.benchmark(timer=wait_and_read_clock))


@pytest.fixture
def settle(request: pytest.FixtureRequest, backend: Backend) -> Callable[[Callable[[], Any]], None]:
    """Return ``settle(task)``, which repeats a task until it takes as long as it will take from then on."""
    seconds = 0 if request.config.getoption("smallest") else SETTLE_SECONDS

    def repeat(task: Callable[[], Any]) -> None:
        started = time.perf_counter()
        while True:
            task()
            backend.synchronize()
            if time.perf_counter() - started >= seconds:
                return

    return repeat


@pytest.fixture
def timed(
    request: pytest.FixtureRequest,
    backend: Backend,
    waiting_timer: None,
    settle: Callable[[Callable[[], Any]], None],
    benchmark: Any,
    description: dict[str, Any],
    case: Case,
    dtype: str,
) -> Callable[..., None]:
    """Return ``timed(group, task, before=None)``, which measures ``task()`` for that group's table of the case.

    ``before()``, where it is given, runs untimed before every round and sees to it that the task has settled.
    """
    smallest = request.config.getoption("smallest")
    benchmark.extra_info.update(description)

    def measure(group: str, task: Callable[[], Any], before: Callable[[], None] | None = None) -> None:
        benchmark.group = f"{group}, {case}, {dtype}"
        if before is None:
            settle(task)
        if smallest or before is not None:
            benchmark.pedantic(task, setup=before, rounds=1 if smallest else ROUNDS)
        else:
            benchmark(task)

    return measure

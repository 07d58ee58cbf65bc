"""Whether ``engine="auto"`` takes the faster engine on the CPU, over sizes of network and data.

    python -m pytest bench/bench_engines.py

One round times both engines in turn on as many iterations as fill some milliseconds. The last lines of the run give
time per iteration of each, the engine that ``auto`` takes, and its time over that of the faster one. Where the compiled
engine does not serve, ``auto`` has no choice and the case is skipped.
"""

import time
from collections.abc import Callable

import numpy as np
import pytest

from nn_backend import engines
from nn_backend.backend import Backend
from nn_backend.engines.compiled import CompiledEngine
from nn_backend.engines.eager import EagerEngine

LAYERS = ["3-4-1", "8-8-1", "10-16-1", "30-16-1", "32-64-1"]
ROUNDS = 9


@pytest.mark.parametrize(
    "case", [f"{rows}x{layers}" for layers in LAYERS for rows in ("300", "1e4", "1e6")], indirect=True
)
@pytest.mark.parametrize("place", ["compiled-numpy"], indirect=True)
def test_auto_takes_the_faster(
    request: pytest.FixtureRequest,
    settle: Callable[..., None],
    closing_lines: list[str],
    problem,
    backend: Backend,
    engine: str,
    case,
    dtype: str,
) -> None:
    X, y, params = problem.on(backend)
    bound = {"eager": EagerEngine(X, y, backend=backend), "compiled": CompiledEngine(X, y, params, backend=backend)}
    iterations = max(1, 300_000 // case.rows)
    seconds: dict[str, list[float]] = {name: [] for name in bound}
    for _ in range(1 if request.config.getoption("smallest") else ROUNDS):
        for name, runner in bound.items():
            settle(lambda runner=runner: runner.descend(params, 1, 0.2))
            started = time.perf_counter()
            runner.descend(params, iterations, 0.2)
            seconds[name].append((time.perf_counter() - started) / iterations)
    median = {name: float(np.median(times)) for name, times in seconds.items()}
    auto = engines.choose("auto", params, backend)
    closing_lines.append(
        f"{case} {dtype}: eager {median['eager'] * 1e6:.1f} µs, compiled {median['compiled'] * 1e6:.1f} µs, "
        f"auto takes {auto}: {median[auto] / min(median.values()):.2f} times the faster one"
    )

"""Whole calls of `fit` against JAX and against the eager engine, by size of the network and of the data.

    python -m pytest bench/bench_sizes.py

Contenders take turns within a round, so that what else the machine does meets them all alike. `fit` is timed as its
users call it: checks, packing, both rows of the history. JAX runs the same equations in a compiled loop (``jit`` and
``fori_loop``), on arrays that are in its hands already; compiling is outside the clock for both. The last lines of the
run are a table: median microseconds per iteration, and how many times as long the others take, the median of rounds.
"""

import time
from typing import Any

import numpy as np
import pytest
from bench_peers import LEARNING_RATE, run_jax

import nn_backend as nn

ROUNDS = 5
TURN = 0.2  # seconds that a contender has in a round: as many calls as fit, at least one
PAUSE = 0.12  # seconds: threads of JAX and of BLAS wait actively for a while, and hold cores that long
TARGETS = {  # times JAX's time, at least, in float64 and float32; None where none was set
    "300x3-4-1": (4, 6),
    "455x30-8-1": (2.2, 2.2),
    "455x30-16-1": (2.2, None),
    "1e4x30-16-1": (None, 3.5),
    "1000x30-32-1": (None, 2.2),
    "1000x10-100-1": (None, 3.5),
    "1e5x32-64-1": (3.5, 4),
    "5000x784-100-1": (None, 1.5),
    "2e4x784-512-1": (None, 1.1),
    "1e6x3-4-1": (8, 12),
}
CASES = [
    (case, dtype, target)
    for case, targets in TARGETS.items()
    for dtype, target in zip(("float64", "float32"), targets, strict=True)
    if target is not None
]


def iterations_of(case: Any) -> int:
    """Return as many iterations as take JAX a second or two, though not more than anybody runs."""
    return min(4500, max(20, round(1.2e10 / (case.rows * (case.n0 + 12) * case.n1))))


@pytest.mark.parametrize(("case", "dtype", "target"), CASES, indirect=["case", "dtype"])
@pytest.mark.parametrize("place", ["compiled-numpy"], indirect=True)
def test_fit(request: pytest.FixtureRequest, closing_lines: list[str], problem, backend, case, dtype, target) -> None:
    smallest = request.config.getoption("smallest")
    iterations = 2 if smallest else iterations_of(case)
    X, y, params = problem
    jax = run_jax(problem, iterations, backend)

    def fit(engine: str, count: int) -> Any:
        return nn.fit(X, y, params, learning_rate=LEARNING_RATE, iterations=count, log_every=count, engine=engine)

    few = max(2, iterations // 20)  # the eager engine is slow, and measured for orientation
    runs = {
        "compiled": (lambda: fit("compiled", iterations), iterations),
        "JAX": (jax, iterations),
        "eager": (lambda: fit("eager", few), few),
    }
    calls = {}
    for name, (run, _) in runs.items():
        run()
        started = time.perf_counter()
        run()
        calls[name] = 1 if smallest else max(1, round(TURN / (time.perf_counter() - started)))
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(1 if smallest else ROUNDS):
        for name, (run, count) in runs.items():
            time.sleep(0 if smallest else PAUSE)
            started = time.perf_counter()
            for _ in range(calls[name]):
                run()
            seconds[name].append((time.perf_counter() - started) / count / calls[name])
    median = {name: float(np.median(times)) * 1e6 for name, times in seconds.items()}
    ratio = {name: float(np.median(np.divide(times, seconds["compiled"]))) for name, times in seconds.items()}
    if not closing_lines:
        closing_lines += [
            "| rows × network | dtype | compiled, µs | JAX, µs | JAX / compiled | asked | eager / compiled |",
            "|---|---|---|---|---|---|---|",
        ]
    closing_lines.append(
        f"| {case} | {dtype} | {median['compiled']:.4g} | {median['JAX']:.4g} | {ratio['JAX']:.2f} | {target} "
        f"| {ratio['eager']:.1f} |"
    )

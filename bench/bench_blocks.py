"""How much faster the eager engine is on the CPU in blocks of columns than in one pass over whole arrays.

    python -m pytest bench/bench_blocks.py

Both do the same update on the same data with the same number of threads: in blocks the workers share them, in one pass
the BLAS library does. They take turns, so that whatever else the machine does meets both. A turn is 0.2 s of untimed
steps and a timed one, as in the midst of a training: at first the blocks would share the cores with BLAS threads that
the whole arrays left waiting actively. The last lines of the run give the median step of each, and the median of the
turns' quotients with the middle half of these; the tables of pytest-benchmark hold the blocks alone. Much of a block's
time is the BLAS library's, so the lines also name the processor whose kernels it runs: where OPENBLAS_CORETYPE sets an
older one than the machine has, blocks gain less.
"""

import time
from collections.abc import Callable

import numpy as np
import pytest

from nn_backend.backend import Backend
from nn_backend.engines.eager import EagerEngine


@pytest.mark.parametrize("case", ["1e6x3-4-1", "1e5x32-64-1"], indirect=True)
@pytest.mark.parametrize("place", ["eager-numpy"], indirect=True)
def test_blocks_against_whole(
    timed: Callable[..., None],
    settle: Callable[..., None],
    closing_lines: list[str],
    benchmark,
    problem,
    backend: Backend,
    case,
    dtype: str,
) -> None:
    X, y, params = problem.on(backend)
    whole = EagerEngine(X, y, backend=backend, block_columns=case.rows)
    blocks = EagerEngine(X, y, backend=backend)

    def step(engine: EagerEngine) -> float:
        started = time.perf_counter()
        engine.descend(params, 1, 0.2)
        return time.perf_counter() - started

    whole_seconds, block_seconds = [], []

    def take_turn_of_whole() -> None:
        settle(lambda: step(whole))
        whole_seconds.append(step(whole))
        settle(lambda: step(blocks))

    timed("one step in blocks", lambda: block_seconds.append(step(blocks)), before=take_turn_of_whole)

    low, ratio, high = np.quantile(np.divide(whole_seconds, block_seconds), [0.25, 0.5, 0.75])
    benchmark.extra_info |= {"whole_seconds": whole_seconds, "ratio": ratio}
    closing_lines.append(
        f"{case} {dtype}: whole arrays {np.median(whole_seconds) * 1e3:.0f} ms, "
        f"blocks {np.median(block_seconds) * 1e3:.0f} ms, ratio {ratio:.1f} "
        f"(middle half {low:.1f} to {high:.1f}, turns: {len(whole_seconds)}, threads: {blocks.threads}, "
        f"BLAS: {benchmark.extra_info['blas']})"
    )

"""How long training takes: one update, a short run of `fit`, and moving the data to a GPU and back.

The tables are "one step", "run of N iterations" and "transfer of X". A run is what a caller of `fit` waits for, checks
and history included, on arrays that are on the device already. See conftest.py for how to run and read this.
"""

from collections.abc import Callable

import pytest

import nn_backend as nn
from nn_backend.backend import Backend


def test_step(timed: Callable[..., None], problem, backend: Backend, engine: str) -> None:
    timed("one step", problem.descending(backend, engine, 1, 0.2))


def test_run(timed: Callable[..., None], problem, backend: Backend, engine: str) -> None:
    X, y, params = problem.on(backend)
    iterations = 300 if X.shape[1] <= 10_000 else 20
    timed(
        f"run of {iterations} iterations",
        lambda: nn.fit(X, y, params, iterations=iterations, backend=backend, engine=engine),
    )


@pytest.mark.parametrize("place", ["eager-cupy"], indirect=True)
def test_transfer_to_device(timed: Callable[..., None], problem, backend: Backend) -> None:
    timed("transfer of X", lambda: backend.asarray(problem.X))


@pytest.mark.parametrize("place", ["eager-cupy"], indirect=True)
def test_transfer_to_host(timed: Callable[..., None], problem, backend: Backend) -> None:
    X = problem.on(backend).X
    timed("transfer of X", lambda: backend.to_numpy(X))

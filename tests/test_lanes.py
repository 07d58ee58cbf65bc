"""Very little data: networks in the lanes reach what each reaches in a tile, to the bit."""

import numpy as np
import pytest

import nn_backend as nn
from nn_backend.compiler import native
from nn_backend.compiler.lanes import WIDTH
from nn_backend.compiler.native import Kernel, copied
from nn_backend.compiler.plan import Plan
from nn_backend.engines.compiled import program

NETWORKS = 5 * WIDTH + 3


def data(output: str, m: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(m)
    X, numbers = draw.standard_normal((3, m)), draw.standard_normal((2, m))
    classes = np.eye(3)[draw.integers(0, 3, m)].T
    return X, {"sigmoid": (numbers[:1] > 0) * 1.0, "softmax": classes, "identity": numbers}[output]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("output", ["sigmoid", "softmax", "identity"])
@pytest.mark.parametrize("optimizer", ["gd", "nesterov", "adam", "rprop"])
@pytest.mark.parametrize("m", [1, 4, 7, 11])
def test_lanes_are_tiles(m: int, optimizer: str, output: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = data(output, m)
    start = nn.init_params(3, 5, len(y), seed=range(NETWORKS), factor=1.0, dtype=dtype)
    rates = np.geomspace(0.01, 1e30, NETWORKS) if optimizer == "gd" else None  # of which some diverge
    results = []
    for threads, least in ((1, NETWORKS), (3, NETWORKS), (1, NETWORKS + 1)):
        monkeypatch.setattr(native, "WORTH_LANES", least)
        monkeypatch.setattr(native, "WORTH_STARTING", 1)
        weights = np.arange(m) % 3 + 1.0
        result = nn.fit(
            X, y, start, output=output, optimizer=optimizer, learning_rate=rates, alpha=np.linspace(0, 1, NETWORKS),
            weights=weights, tol=1e-2, iterations=40, log_every=13, threads=threads,
        )  # fmt: skip
        results.append(result)
    tiles = results.pop()
    assert {*np.unique(tiles.status)} <= {"done", "tol", "diverged"}
    for lanes in results:
        for name in ("status", "iterations"):
            np.testing.assert_array_equal(getattr(lanes, name), getattr(tiles, name))
        for one, other in zip(lanes.state.arrays().values(), tiles.state.arrays().values(), strict=True):
            assert one.tobytes() == other.tobytes()
        for row, other in zip(lanes.rows, tiles.rows, strict=True):
            np.testing.assert_array_equal(row.score, other.score)


@pytest.mark.parametrize("m", [3, 11])
def test_examples_stand_side_by_side_as_registers_allow(m: int, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = data("sigmoid", m)
    recorded, draw, results = program("step", 3, 5, 1, "float64"), np.random.default_rng(0), []
    start, numbers = draw.standard_normal((NETWORKS, Plan(recorded).state.size)), np.full((NETWORKS, 2), float(m))
    for least, vector_bytes in ((NETWORKS + 1, 64), (NETWORKS, 16), (NETWORKS, 32), (NETWORKS, 64)):
        monkeypatch.setattr(native, "WORTH_LANES", least)
        kernel, state = Kernel(recorded, native.host()._replace(vector_bytes=vector_bytes)), copied(start)
        kernel.bind(native.Examples({"X": X, "y": y}), NETWORKS)(state, copied(numbers), 3)
        results.append(state[:, kernel.plan.state.used].tobytes())
    assert results[1:] == [results[0]] * 3


def test_what_has_no_place_in_lanes_goes_in_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "run_in_lanes", None)  # would fail if it were called
    start = nn.init_params(3, 5, seed=range(NETWORKS))
    X, y = data("sigmoid", 17)
    nn.fit(X, y, start, iterations=2)  # more rows than lanes
    nn.fit(X[:, :9], y[:, :9], nn.init_params(3, 5, seed=range(3)), iterations=2)  # few networks
    nn.fit(X[:, :9], y[:, :9], start, weights=np.ones((NETWORKS, 9)), iterations=2)  # weights of their own
    nn.predict_proba(start, X[:, :9])  # a result for each example

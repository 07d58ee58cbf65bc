"""The eager engine: the same result however the work is cut and shared."""

import numpy as np
import pytest
from places import Place, assert_close

import nn_backend as nn
from nn_backend import equations
from nn_backend.engines import bind
from nn_backend.engines.eager import EagerEngine, count_threads
from nn_backend.equations import Params


def many_rows(m: int = 5_000) -> tuple[np.ndarray, np.ndarray, Params]:
    X, y = nn.simulate_marks(m, seed=1)
    return X / 20, y, nn.init_params(3, 4, seed=3, factor=0.5)


def one_pass(params: Params, X: np.ndarray, y: np.ndarray, iterations: int) -> Params:
    for _ in range(iterations):
        layers = equations.forward(params, X, xp=np)
        params = equations.update(params, equations.backward(params, layers, X, y, X.shape[1], xp=np), 0.2)
    return params


def test_descends_as_the_equations_say(backend: Place) -> None:
    X, y, params = many_rows(300)
    engine = EagerEngine(backend.asarray(X), backend.asarray(y), backend=backend.backend)
    reached = engine.descend(backend.params(params), 10, 0.2)
    tolerance = {"float64": 1e-12, "float32": 1e-4}[backend.dtype]
    for actual, expected in zip(reached, one_pass(params, X, y, 10), strict=True):
        assert_close(actual, expected, backend, rtol=tolerance, atol=tolerance / 10)


def test_scores_on_every_backend(backend: Place) -> None:
    X, y, params = many_rows(300)
    yhat = equations.forward(params, X, xp=np).yhat
    engine = EagerEngine(backend.asarray(X), backend.asarray(y), backend=backend.backend)
    score = engine.score(backend.params(params))
    expected = -np.mean(np.log(np.where(y == 1, yhat, 1 - yhat)))
    assert score.cost == pytest.approx(expected, rel=1e-5 if backend.dtype == "float32" else 1e-12)
    assert score.accuracy == np.mean((yhat >= 0.5) == (y == 1))
    assert type(score.cost) is type(score.accuracy) is float


@pytest.mark.parametrize("block_columns", [1, 7, 512, 4_999, 5_000])
def test_blocks_agree_with_one_pass(block_columns: int) -> None:
    X, y, params = many_rows()
    engine = EagerEngine(X, y, backend=nn.get_backend("cpu"), threads=2, block_columns=block_columns)
    iterations = 1 if block_columns == 1 else 20
    for actual, expected in zip(
        engine.descend(params, iterations, 0.2), one_pass(params, X, y, iterations), strict=True
    ):
        np.testing.assert_allclose(actual, expected, rtol=1e-11, atol=1e-13)
    whole = EagerEngine(X, y, backend=nn.get_backend("cpu"), block_columns=5_000).score(params)
    assert engine.score(params).cost == pytest.approx(whole.cost, rel=1e-13)
    assert engine.score(params).accuracy == whole.accuracy


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_same_bits_on_every_run_and_for_any_number_of_threads(threads: int) -> None:
    X, y, params = many_rows()
    cpu = nn.get_backend("cpu")
    expected = EagerEngine(X, y, backend=cpu, threads=1, block_columns=100).descend(params, 20, 0.2)
    engine = EagerEngine(X, y, backend=cpu, threads=threads, block_columns=100)
    for _ in range(2):
        for actual, one_thread in zip(engine.descend(params, 20, 0.2), expected, strict=True):
            assert actual.tobytes() == one_thread.tobytes()


def test_default_blocks_cover_all_rows_once() -> None:
    X, y, params = many_rows(200_000)
    engine = EagerEngine(X, y, backend=nn.get_backend("cpu"))
    columns = [block.X for block in engine._blocks(params)]
    assert len(columns) > 1
    assert np.concatenate(columns, axis=1).tobytes() == X.tobytes()


def test_float32_counts_beyond_its_24_bits() -> None:
    m = 2**24 + 3
    X, y = np.zeros((1, m), np.float32), np.ones((1, m), np.float32)
    params = nn.init_params(1, 1, factor=0, dtype="float32")
    assert EagerEngine(X, y, backend=nn.get_backend("cpu")).score(params).accuracy == 1.0


def test_threads_come_from_the_argument_then_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert count_threads() >= 1
    monkeypatch.setenv("NN_BACKEND_THREADS", "5")
    assert count_threads() == 5
    assert count_threads(3) == 3


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5", "1025", "٣"])
def test_wrong_number_of_threads_in_the_environment_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NN_BACKEND_THREADS", text)
    with pytest.raises(nn.ArgumentError, match=f"NN_BACKEND_THREADS is '{text}'; expected 1 to 1024"):
        count_threads()


@pytest.mark.parametrize("threads", [0, -1, 1025])
def test_wrong_number_of_threads_is_refused(threads: int) -> None:
    with pytest.raises(nn.ArgumentError, match=f"threads is {threads}; expected 1 to 1024"):
        count_threads(threads)


def test_unknown_engine_is_refused() -> None:
    X, y, params = many_rows(10)
    with pytest.raises(nn.ArgumentError, match="engine 'fast' is not known; accepted: auto, eager, compiled"):
        bind("fast", X, y, params, backend=nn.get_backend("cpu"))


@pytest.mark.parametrize(("share", "own", "threads"), [("3", "", 3), ("3", "2", 2), ("1", "", 1)])
def test_threads_follow_what_other_libraries_are_told(
    monkeypatch: pytest.MonkeyPatch, share: str, own: str, threads: int
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", share)
    monkeypatch.setenv("NN_BACKEND_THREADS", own)
    assert count_threads() == threads
    assert count_threads(7) == 7


@pytest.mark.parametrize("share", ["", "0", "2,3", "5000", "-1", "many"])
def test_what_is_no_share_is_left_to_openmp(monkeypatch: pytest.MonkeyPatch, share: str) -> None:
    cores = count_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", share)
    assert count_threads() == cores

"""Many networks in one call: each with its own rows, weights, fold, numbers and end, and the bits that it has alone."""

import functools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from methods import KINDS, N2, RUN, WAYS, case, starts, together
from places import Place

import nn_backend as nn
from nn_backend import network as network_module
from nn_backend.engines import bind, compiled

KIND, OUTPUT = pytest.mark.parametrize("kind", KINDS), pytest.mark.parametrize("output", WAYS)
ENGINE = pytest.mark.parametrize("engine", ["eager", "compiled"])
DTYPE = pytest.mark.parametrize("dtype", ["float64", "float32"])
pytestmark = pytest.mark.usefixtures("always_share")


def alone(kind: str, output: str, dtype: str, n: int, **where: Any) -> nn.FitResult:
    given = case(kind, output)
    X, y, weights = given.alone[n]
    options = {"output": output, **WAYS[output](given.places[n]), "weights": weights, **RUN, **where}
    return nn.fit(X, y, nn.init_params(3, 4, N2[output], seed=n, factor=0.5, dtype=dtype), **options)


def assert_alike(many: nn.FitResult, n: int, one: nn.FitResult, rtol: float = 0) -> None:
    """Compare a network of many with the same alone: to the bit, unless there is a tolerance."""
    assert (many.status[n], many.iterations[n]) == (one.status, one.iterations)
    states, expected = ({**result.state.arrays(), **result.params._asdict()} for result in (many, one))
    assert [*states] == [*expected]
    for name, array in expected.items():
        mine = states[name][n]
        assert (mine.shape, mine.dtype) == (array.shape, array.dtype)
        np.testing.assert_allclose(mine, array, rtol=rtol, atol=rtol / 10, err_msg=name)
        assert rtol or mine.tobytes() == array.tobytes()
    np.testing.assert_allclose([values[n] for values in many.score], one.score, rtol=rtol, atol=rtol / 10)
    rows = many.history[many.history["network"] == n].set_index("iteration").drop(columns="network")
    like = one.history.set_index("iteration")
    np.testing.assert_allclose(rows.loc[like.index[:-1]], like.iloc[:-1], rtol=rtol, atol=rtol / 10)
    at_the_end = rows.iloc[-1]  # one that ended repeats its row
    np.testing.assert_allclose(at_the_end, like.iloc[-1], rtol=rtol, atol=rtol / 10)


# --- each as alone ---


@functools.cache
def all_alone(kind: str, output: str, dtype: str) -> list[nn.FitResult]:
    return [alone(kind, output, dtype, n) for n in range(case(kind, output).networks)]


@DTYPE
@OUTPUT
@KIND
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_compiled_each_network_has_the_bits_that_it_has_alone(threads: int, kind: str, output: str, dtype: str) -> None:
    many = together(kind, output, dtype, threads=threads)
    assert many.engine == "compiled"
    for n, one in enumerate(all_alone(kind, output, dtype)):
        assert_alike(many, n, one)


@OUTPUT
@KIND
def test_eager_each_network_is_close_to_what_it_is_alone(kind: str, output: str, backend: Place) -> None:
    where, rtol = {"engine": "eager", "backend": backend.backend}, 1e-12 if backend.dtype == "float64" else 1e-4
    many = together(kind, output, backend.dtype, **where)
    for n in range(case(kind, output).networks):
        assert_alike(many, n, alone(kind, output, backend.dtype, n, **where), rtol)


@OUTPUT
@ENGINE
def test_each_example_asks_its_own_network(engine: str, output: str, monkeypatch: pytest.MonkeyPatch) -> None:
    generator, params = np.random.default_rng(0), starts(9, output, "float64")
    X, network = generator.normal(size=(3, 500)), generator.choice([0, 1, 2, 3, 5, 7, 8], 500)  # not all are asked
    monkeypatch.setattr(network_module, "engines", SimpleNamespace(bind=lambda _, *a, **b: bind(engine, *a, **b)))
    yhat = nn.predict_proba(params, X, output=output, network=network)
    for n in range(9):
        own = nn.Params(*(array[n] for array in params)), X[:, network == n]
        assert not own[1].size or np.array_equal(yhat[:, network == n], nn.predict_proba(*own, output=output))
    monkeypatch.setattr(compiled, "CHUNK_BYTES", 2**13)  # some networks at a time
    assert nn.predict_proba(params, X, output=output, network=network).tobytes() == yhat.tobytes()
    twice = nn.Params(*(np.stack([array, array[::-1]]) for array in params))
    found = nn.predict_proba(twice, X, output=output, network=network)
    assert found[0].tobytes() == yhat.tobytes()
    assert found[1].tobytes() == nn.predict_proba(params, X, output=output, network=8 - network).tobytes()


@ENGINE
@OUTPUT
@KIND
def test_leading_axes_are_numbered_in_flattened_order(kind: str, output: str, engine: str) -> None:
    """Of two stacks of networks each is as it would be alone; the second has all in another order."""
    given, options = case(kind, output), {"output": output, "engine": engine, **RUN}
    n, first = given.networks, starts(given.networks, output, "float64")
    own = [name for name in ("weights", "held_out") if np.shape(given.told.get(name))[:1] == (n,)]
    told = [given.told, given.told | {name: np.flip(given.told[name], axis=0) for name in own}]
    begun = [first, nn.Params(*(array[::-1] / 2 for array in first))]
    rates = np.linspace(0.01, 0.1, 2 * n).reshape(2, n)
    both = given.told | {name: np.stack([each[name] for each in told]) for name in own}
    start = nn.Params(*map(np.stack, zip(*begun, strict=True)))
    many = nn.fit(given.X, given.y, start, learning_rate=rates, **both, **options)
    rtol = 1e-9 if engine == "eager" and "network" in kind else 0
    for k in range(2):
        one = nn.fit(given.X, given.y, begun[k], learning_rate=rates[k], **told[k], **options)
        for mine, array in zip((*many.params, *many.score), (*one.params, *one.score), strict=True):
            np.testing.assert_allclose(mine[k], array, rtol=rtol)
        rows = many.history[many.history["network"] // n == k]
        rows = rows.assign(network=rows["network"] % n).reset_index(drop=True)
        pd.testing.assert_frame_equal(rows, one.history, rtol=rtol, atol=0)
    if "network" in kind:
        scored = nn.score(many.params, given.X, given.y, output=output, **given.told)
        np.testing.assert_allclose(scored.cost, many.score.cost, rtol=1e-9)


@ENGINE
@pytest.mark.parametrize("kind", ["network", "weights", "fold weights"])
def test_each_network_ends_by_itself(kind: str, engine: str) -> None:
    given, rtol = case(kind, "identity"), 0 if engine == "compiled" else 1e-9
    held = np.random.default_rng(3).standard_normal((3, 40))
    rates, tol = np.full(given.networks, 0.05), np.where(np.arange(given.networks) % 2, 0.2, 0.3)
    rates[0], tol[4] = 1e160, 1e3
    options = {"output": "identity", "validation": (held, held[:2] / 3), "patience": 3, "check_every": 3}
    options |= {"iterations": 60, "log_every": 30, "engine": engine}
    first = starts(given.networks, "identity", "float64")
    many = nn.fit(given.X, given.y, first, learning_rate=rates, tol=tol, **given.told, **options)
    assert many.status[0] == "diverged"
    assert (many.status[4], many.iterations[4]) == ("tol", 0)
    assert {*many.status[many.iterations > 0]} == {"diverged", "tol", "patience"}
    for n, (X, y, weights) in enumerate(given.alone):
        start = nn.Params(*(array[n : n + 1] for array in first))  # of several, so that divergence is no error
        one = nn.fit(X, y, start, learning_rate=rates[n], tol=tol[n], weights=weights, **options).one(0)
        assert_alike(many, n, one, rtol)
        assert min(many.best_iteration[n], many.iterations[n]) == one.best_iteration  # looked at when others are


# --- starts ---


@DTYPE
def test_starts_of_sequences_are_those_drawn_one_by_one(dtype: str) -> None:
    seeds, factors = [3, 0, 2**32 - 1, 3], np.array([0.01, 2, 1, 0])
    for seed, factor in ((seeds, factors), (seeds, 0.5), (7, factors), (range(4), 1), (np.reshape(seeds, (2, 2)), 0.1)):
        many = nn.init_params(3, 4, 2, seed=seed, factor=factor, dtype=dtype)
        lead = np.broadcast_shapes(np.shape(seed), np.shape(factor))
        for at in np.ndindex(lead):
            own = [int(np.broadcast_to(seed, lead)[at]), float(np.broadcast_to(factor, lead)[at])]
            one = nn.init_params(3, 4, 2, seed=own[0], factor=own[1], dtype=dtype)
            for mine, array in zip(many, one, strict=True):
                assert (mine[at].shape, mine.dtype) == (array.shape, array.dtype)
                assert mine[at].tobytes() == array.tobytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": np.arange(0)}, "seed or factor is an empty sequence; expected at least one of each"),
        ({"factor": []}, "seed or factor is an empty sequence; expected at least one of each"),
        ({"seed": [1, 2], "factor": [1, 2, 3]}, "there are 2 seeds and 3 factors; expected as many, or one of either"),
        ({"seed": [1, -1]}, r"seed is \[1, -1\]; expected a whole number from 0 to 4294967295"),
        ({"seed": [1.5]}, r"seed is \[1.5\]; expected a whole number"),
        ({"factor": [1, np.nan]}, r"factor is \[1, nan\]; expected a finite number"),
        ({"factor": [1, 1e300], "dtype": "float32"}, "the weights would not be finite in float32"),
        ({"factor": 1e308}, r"factor is 1e\+308; the weights would not be finite in float64"),
        ({"dtype": "float16"}, "dtype 'float16' is not known; accepted: float64, float32"),
    ],
)
def test_starts_that_cannot_be_drawn_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(nn.ArgumentError, match=message):
        nn.init_params(3, 4, **options)


# --- what is refused ---

X9, Y9, IDS = np.random.default_rng(0).standard_normal((3, 9)), np.zeros((1, 9)), np.arange(9) % 2
ONE_IS_ALL_ZERO, ROWS = np.arange(2)[:, None] * np.ones(9), np.ones((2, 9))
SUM = "the weights' sum of network {} is 0; expected a number above 0"
WHOLE = "{} holds something else than whole numbers from {} to {}"
WRONG = {
    nn.DataError: [
        ({"network": IDS[:8]}, r"network has shape \(8,\); expected \(9,\)"),
        ({"network": IDS + 0.0}, WHOLE.format("network", 0, "1")),
        ({"network": IDS + 1}, WHOLE.format("network", 0, "1")),
        ({"network": IDS - 1}, WHOLE.format("network", 0, "1")),
        ({"network": 0 * IDS}, "network 1 has no example; expected at least one in each of 2"),
        ({"network": IDS, "weights": ROWS}, r"\(2, 9\); expected \(m,\) = \(9,\)$"),
        ({"network": IDS, "weights": 1 - IDS}, SUM.format(1)),
        ({"weights": ONE_IS_ALL_ZERO}, SUM.format(0)),
        ({"weights": np.ones((3, 9))}, r"\(3, 9\); expected \(m,\) = \(9,\) or \(2, 9\)"),
        ({"weights": -ONE_IS_ALL_ZERO}, "weights hold negative numbers, NaN or infinity"),
        ({"fold": IDS[:8], "held_out": 0}, r"fold has shape \(8,\); expected \(9,\)"),
        ({"fold": IDS - 1, "held_out": 0}, WHOLE.format("fold", 0, "")),
        ({"fold": IDS, "held_out": [0, 1, 2]}, r"held_out has shape \(3,\); expected \(2,\)"),
        ({"fold": IDS, "held_out": [0, -2]}, WHOLE.format("held_out", -1, "")),
        ({"fold": 0 * IDS, "held_out": [1, 0]}, SUM.format(1)),
    ],
    nn.ArgumentError: [
        ({"network": IDS, "fold": IDS, "held_out": 0}, "network and fold are both given; expected one"),
        ({"fold": IDS, "held_out": 0, "weights": ROWS}, r"weights are \(networks, m\); expected weights \(m,\)"),
        ({"learning_rate": [1, 2, 3]}, r"shape \(3,\); expected a number, or an array \(2,\), one for"),
        ({"alpha": [0, -1]}, r"alpha is \[0, -1\]; expected a finite number, at least 0"),
    ],
}


@pytest.mark.parametrize(("error", "told", "message"), [(e, *case) for e, cases in WRONG.items() for case in cases])
def test_wrong_input_is_refused(error: type[Exception], told: dict[str, Any], message: str) -> None:
    with pytest.raises(error, match=message):
        nn.fit(X9, Y9, nn.init_params(3, 4, seed=[0, 1]), iterations=1, **told)


def test_one_network_takes_no_rows_of_networks() -> None:
    with pytest.raises(nn.DataError, match=r"weights have shape \(2, 9\); expected \(m,\) = \(9,\)$"):
        nn.fit(X9, Y9, nn.init_params(3, 4), weights=ROWS, iterations=1)


@ENGINE
@KIND
def test_a_checkpoint_resumes_with_the_same_rows_only(kind: str, engine: str, folder: Path) -> None:
    run = functools.partial(together, kind, "softmax", "float64", engine=engine)
    run(iterations=7, checkpoint="run.safetensors")
    resumed, whole = run(resume="run.safetensors", threads=3), run()
    assert resumed.history.equals(whole.history)
    for n in range(case(kind, "softmax").networks):
        assert_alike(resumed, n, whole.one(n))
    name = "network" if "network" in kind else "held_out" if "fold" in kind else "weights"
    other = {name: np.flip(case(kind, "softmax").told[name], axis=0)}
    with pytest.raises(nn.ArgumentError, match=r"cannot be resumed: .*differ; expected the same"):
        run(resume="run.safetensors", **other)

"""Many networks in one call: each with its own rows, weights, fold, numbers and end, and the bits that it has alone."""

import functools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from methods import HELD_OUT, KINDS, N2, RUN, WAYS, case, starts, together
from places import Place

import nn_backend as nn
from nn_backend import network as network_module
from nn_backend.engines import bind, compiled

KIND, OUTPUT = pytest.mark.parametrize("kind", KINDS), pytest.mark.parametrize("output", WAYS)
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
    np.testing.assert_allclose(
        rows.iloc[-1], like.iloc[-1], rtol=rtol, atol=rtol / 10
    )  # one that ended repeats its row


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
    where = {"engine": "eager", "backend": backend.backend}
    many = together(kind, output, backend.dtype, **where)
    for n in range(case(kind, output).networks):
        assert_alike(
            many, n, alone(kind, output, backend.dtype, n, **where), {"float64": 1e-12, "float32": 1e-4}[backend.dtype]
        )


@DTYPE
@OUTPUT
@pytest.mark.parametrize("kind", ["fold", "fold weights"])
@pytest.mark.parametrize("engine", ["eager", "compiled"])
def test_a_fold_held_out_is_a_fit_without_its_rows(engine: str, kind: str, output: str, dtype: str) -> None:
    given, rtol = case(kind, output), {"float64": 1e-9, "float32": 1e-3}[dtype]
    many = together(kind, output, dtype, engine=engine)
    for n, held in enumerate(HELD_OUT):
        rows = given.told["fold"] != held
        weights = None if given.told["weights"] is None else given.told["weights"][rows]
        start = nn.Params(*(array[n] for array in starts(given.networks, output, dtype)))
        options = {"output": output, **WAYS[output](given.places[n]), "weights": weights, "engine": engine, **RUN}
        subset = nn.fit(given.X[:, rows], given.y[:, rows], start, **options)
        assert_alike(many, n, subset, rtol)
        mine = nn.Params(*(array[n] for array in many.params))
        if output != "identity":
            labels = [nn.predict(params, given.X, output=output) for params in (mine, subset.params)]
            assert labels[0].tobytes() == labels[1].tobytes()


@OUTPUT
@pytest.mark.parametrize("engine", ["eager", "compiled"])
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


@OUTPUT
@pytest.mark.parametrize("kind", ["network", "network weights"])
@pytest.mark.parametrize("engine", ["eager", "compiled"])
def test_networks_along_further_axes_share_the_examples(engine: str, kind: str, output: str) -> None:
    given = case(kind, output)
    n, options = given.networks, {"output": output, "learning_rate": 0.05, "engine": engine, **given.told, **RUN}
    both = [starts(n, output, "float64"), nn.Params(*(a[::-1] / 2 for a in starts(n, output, "float64")))]
    together = nn.fit(given.X, given.y, nn.Params(*map(np.stack, zip(*both, strict=True))), **options)
    asked = {name: given.told.get(name) for name in ("network", "weights")}
    scored = nn.score(together.params, given.X, given.y, output=output, **asked)
    for k, start in enumerate(both):
        one = nn.fit(given.X, given.y, start, **options)
        for mine, array in zip((*together.params, *together.score), (*one.params, *one.score), strict=True):
            np.testing.assert_allclose(mine[k], array, rtol=1e-9 if engine == "eager" else 0)
        np.testing.assert_allclose(scored.cost[k], one.score.cost, rtol=1e-9)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "network" not in kind])
@pytest.mark.parametrize("engine", ["eager", "compiled"])
def test_leading_axes_are_numbered_in_flattened_order(engine: str, kind: str) -> None:
    given = case(kind, "sigmoid")
    lead, told = (given.networks // 2, 2), dict(given.told)
    n = lead[0] * 2  # but for the last of an odd number
    for name, like in (("weights", 2), ("held_out", 1)):
        if np.ndim(told.get(name)) == like:
            told[name] = np.asarray(told[name])[:n]
    flat, rates = starts(n, "sigmoid", "float64"), np.linspace(0.1, 3, n)
    one = nn.fit(given.X, given.y, flat, learning_rate=rates, engine=engine, **told, **RUN)
    for name, like in (("weights", 2), ("held_out", 1)):
        if np.ndim(told.get(name)) == like:
            told[name] = np.reshape(told[name], (*lead, *np.shape(told[name])[1:]))
    shaped = nn.Params(*(array.reshape(*lead, *array.shape[1:]) for array in flat))
    other = nn.fit(given.X, given.y, shaped, learning_rate=rates.reshape(lead), engine=engine, **told, **RUN)
    for mine, array in zip((*other.params, *other.score), (*one.params, *one.score), strict=True):
        assert mine.shape[:2] == lead
        assert mine.tobytes() == array.tobytes()
    assert other.history.equals(one.history)


# --- each with its own end ---


@pytest.mark.parametrize("engine", ["eager", "compiled"])
@pytest.mark.parametrize("kind", ["network", "weights", "fold weights"])
def test_each_network_ends_by_itself(kind: str, engine: str) -> None:
    given, rtol = case(kind, "identity"), 0 if engine == "compiled" else 1e-9
    networks = given.networks
    held = np.random.default_rng(3).standard_normal((3, 40))
    rates, tol = np.full(networks, 0.05), np.where(np.arange(networks) % 2, 0.2, 0.3)
    rates[0], tol[4] = 1e160, 1e3
    options = {"output": "identity", "validation": (held, held[:2] / 3), "patience": 3, "check_every": 3}
    options |= {"iterations": 60, "log_every": 30, "engine": engine}
    first = starts(networks, "identity", "float64")
    many = nn.fit(given.X, given.y, first, learning_rate=rates, tol=tol, **given.told, **options)
    assert many.status[0] == "diverged"
    assert (many.status[4], many.iterations[4]) == ("tol", 0)
    assert {*many.status[many.iterations > 0]} == {"diverged", "tol", "patience"}
    for n, (X, y, weights) in enumerate(given.alone):
        start = nn.Params(*(array[n : n + 1] for array in first))
        one = nn.fit(X, y, start, learning_rate=rates[n], tol=tol[n], weights=weights, **options)
        assert (many.status[n], many.iterations[n]) == (one.status[0], one.iterations[0])
        assert min(many.best_iteration[n], many.iterations[n]) == one.best_iteration[0]  # looked at when others are
        for mine, array in zip((*many.params, *many.state.params), (*one.params, *one.state.params), strict=True):
            np.testing.assert_allclose(mine[n], array[0], rtol=rtol)
        np.testing.assert_allclose([s[n] for s in many.score], [s[0] for s in one.score], rtol=rtol)


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


def test_a_start_is_the_articles() -> None:
    rng = np.random.RandomState(5)
    w1, w2 = rng.randn(4, 3) * 0.01, rng.randn(1, 4) * 0.01
    drawn = nn.init_params(3, 4, seed=[1, 5])
    assert drawn.w1[1].tobytes() == w1.tobytes()
    assert drawn.w2[1].tobytes() == w2.tobytes()
    assert not drawn.b1.any()
    assert not drawn.b2.any()


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
    ],
)
def test_wrong_sequences_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(nn.ArgumentError, match=message):
        nn.init_params(3, 4, **options)


# --- what is refused ---

X9, Y9, IDS = np.random.default_rng(0).standard_normal((3, 9)), np.zeros((1, 9)), np.arange(9) % 2
ONE_IS_ALL_ZERO = np.arange(2)[:, None] * np.ones(9)


SUM = "the weights' sum of network {} is 0; expected a number above 0"
WHOLE = "{} holds something else than whole numbers from {} to {}"


WRONG = {
    nn.DataError: [
        ({"network": IDS[:8]}, r"network has shape \(8,\); expected \(9,\)"),
        ({"network": IDS + 0.0}, WHOLE.format("network", 0, "1")),
        ({"network": IDS + 1}, WHOLE.format("network", 0, "1")),
        ({"network": IDS - 1}, WHOLE.format("network", 0, "1")),
        ({"network": 0 * IDS}, "network 1 has no example; expected at least one in each of 2"),
        ({"network": IDS, "weights": np.ones((2, 9))}, r"\(2, 9\); expected \(m,\) = \(9,\)$"),
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
        (
            {"fold": IDS, "held_out": 0, "weights": np.ones((2, 9))},
            r"fold is given and weights are \(networks, m\); expected weights \(m,\)",
        ),
        ({"learning_rate": [1, 2, 3]}, r"shape \(3,\); expected a number, or an array \(2,\), one for"),
        ({"alpha": [0, -1]}, r"alpha is \[0, -1\]; expected a finite number, at least 0"),
    ],
}


@pytest.mark.parametrize(
    ("told", "error", "message"), [(told, error, message) for error, cases in WRONG.items() for told, message in cases]
)
@pytest.mark.parametrize("engine", ["eager", "compiled"])
def test_wrong_input_is_refused(engine: str, told: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        nn.fit(X9, Y9, nn.init_params(3, 4, seed=[0, 1]), iterations=1, engine=engine, **told)


def test_one_network_takes_no_rows_of_networks() -> None:
    with pytest.raises(nn.DataError, match=r"weights have shape \(2, 9\); expected \(m,\) = \(9,\)$"):
        nn.fit(X9, Y9, nn.init_params(3, 4), weights=np.ones((2, 9)), iterations=1)


# --- on another day ---


@pytest.mark.parametrize("engine", ["eager", "compiled"])
@KIND
def test_a_checkpoint_resumes(kind: str, engine: str, folder: Path) -> None:
    whole = together(kind, "softmax", "float64", engine=engine)
    together(kind, "softmax", "float64", engine=engine, iterations=7, checkpoint="run.safetensors")
    resumed = together(kind, "softmax", "float64", engine=engine, resume="run.safetensors", threads=3)
    assert resumed.history.equals(whole.history)
    for name in ("status", "iterations"):
        np.testing.assert_array_equal(getattr(resumed, name), getattr(whole, name))
    for one, other in zip(resumed.state.arrays().values(), whole.state.arrays().values(), strict=True):
        assert one.tobytes() == other.tobytes()


@KIND
def test_a_checkpoint_of_other_rows_is_refused(kind: str, folder: Path) -> None:
    together(kind, "sigmoid", "float64", checkpoint="run.safetensors")
    told = dict(case(kind, "sigmoid").told)
    name = "network" if "network" in kind else "held_out" if "fold" in kind else "weights"
    told[name] = np.flip(told[name], axis=0)
    with pytest.raises(nn.ArgumentError, match=r"cannot be resumed: .*differ; expected the same"):
        together(kind, "sigmoid", "float64", resume="run.safetensors", **told)

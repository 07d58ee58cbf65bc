"""Three outputs, with weights and a penalty: gradients, costs, scores and predictions against independent ones."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from places import Place, assert_close

import nn_backend as nn
from nn_backend import equations
from nn_backend.equations import OUTPUTS
from nn_backend.optimizers import State, advance

OUTPUT = pytest.mark.parametrize("output", OUTPUTS)
ENGINE = pytest.mark.parametrize("engine", ["eager", "compiled"])


def draw(output: str, m: int = 40, n2: int = 3, *, dtype: str = "float64", seed: int = 0) -> tuple[Any, ...]:
    """A network, X, y, and weights, some of which are 0."""
    generator = np.random.default_rng(seed)
    shapes = ((5, 4), (5, 1), (n2, 5), (n2, 1))
    params = nn.Params(*(generator.standard_normal(shape).astype(dtype) for shape in shapes))
    X = generator.standard_normal((4, m)).astype(dtype)
    y = {
        "sigmoid": generator.integers(0, 2, (n2, m)),
        "softmax": np.eye(n2)[:, generator.integers(0, n2, m)],
        "identity": generator.standard_normal((n2, m)),
    }[output].astype(dtype)
    return params, X, y, (generator.integers(0, 4, m) / 4).astype(dtype)


def one_step(params: nn.Params, X: Any, y: Any, engine: str, **options: Any) -> nn.Params:
    """What an iteration with a learning rate of 1 subtracts: the gradient."""
    after = nn.fit(X, y, params, engine=engine, learning_rate=1, iterations=1, **options).params
    return nn.Params(*(a - b for a, b in zip(params, after, strict=True)))


# --- gradients ---


@OUTPUT
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("alpha", [0.0, 3.0])
def test_gradients_are_central_differences_of_cost_and_penalty(output: str, weighted: bool, alpha: float) -> None:
    params, X, y, weights = draw(output)
    options = {"output": output, "weights": weights if weighted else None}
    m = weights.sum() if weighted else X.shape[1]

    def objective(params: nn.Params) -> float:
        return nn.score(params, X, y, **options).cost + alpha / (2 * m) * (np.sum(params.w1**2) + np.sum(params.w2**2))

    expected = nn.Params(*map(np.empty_like, params))
    for field, array in enumerate(params):
        for index in np.ndindex(array.shape):
            ends = []
            for step in (1e-5, -1e-5):
                moved = array.copy()
                moved[index] += step
                ends.append(objective(params._replace(**{nn.Params._fields[field]: moved})))
            expected[field][index] = (ends[0] - ends[1]) / 2e-5
    for engine in ("eager", "compiled"):
        for actual, array in zip(one_step(params, X, y, engine, alpha=alpha, **options), expected, strict=True):
            np.testing.assert_allclose(actual, array, rtol=1e-6, atol=1e-9)


@OUTPUT
@pytest.mark.parametrize("weighted", [False, True])
def test_costs_and_gradients_are_those_of_pytorchs_autograd(backend: Place, output: str, weighted: bool) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
    functional = torch.nn.functional
    params, X, y, weights = draw(output)
    weights = weights if weighted else np.ones(X.shape[1])
    w1, b1, w2, b2 = leaves = [torch.tensor(array, requires_grad=True) for array in params]
    logits, truth = w2 @ torch.sigmoid(w1 @ torch.tensor(X) + b1) + b2, torch.tensor(y)
    losses = {
        "sigmoid": lambda: functional.binary_cross_entropy_with_logits(logits, truth, reduction="none").sum(0),
        "softmax": lambda: functional.cross_entropy(logits.T, truth.T, reduction="none"),
        "identity": lambda: functional.mse_loss(logits, truth, reduction="none").sum(0) / 2,
    }[output]()
    penalty = 3 / 2 * (w1.square().sum() + w2.square().sum())
    m = float(weights.sum())
    cost = (losses * torch.tensor(weights)).sum() / m
    (cost + penalty / m).backward()

    xp, rtol = backend.xp, {"float64": 1e-11, "float32": 1e-4}[backend.dtype]
    placed, data, true = backend.params(params), backend.asarray(X), backend.asarray(y)
    options = {"output": OUTPUTS[output], "weights": backend.asarray(weights[None]) if weighted else 1, "xp": xp}
    with np.errstate(divide="ignore"):  # m / weights, where a weight is 0
        assert_close(equations.tally(placed, data, true, m, **options).cost, cost.item(), backend, rtol=rtol)
    gradients = equations.gradient(placed, data, true, m, **options)
    numbers = {"learning_rate": 1.0, "alpha": 3.0}
    after, _ = advance(nn.gd().rule, State(placed, {}), gradients, m, numbers, xp=xp)
    for new, old, leaf in zip(after.params, placed, leaves, strict=True):
        assert_close(old - new, leaf.grad.numpy(), backend, rtol=rtol, atol=rtol / 10)


# --- costs ---

LIMITS = {"float64": (64, 1e307, 1e153), "float32": (32, float(np.float32(1e37)), float(np.float32(1e18)))}


def exact_cost(z2: np.ndarray, y: np.ndarray, weights: np.ndarray, output: str) -> float:
    """The cost per example, sums by fsum of terms that are exact to the last digits."""
    z2, y, total = z2.astype(float), y.astype(float), math.fsum(weights.tolist())
    terms = []
    for z, true, weight in zip(z2.T.tolist(), y.T.tolist(), (weights.astype(float) / total).tolist(), strict=True):
        if output == "sigmoid":
            for a, t in zip(z, true, strict=True):
                terms += [weight * math.log1p(math.exp(-abs(a))), weight * max(a if t == 0 else -a, 0.0)]
        elif output == "softmax":
            *others, top = sorted(z)
            terms.append(weight * math.log1p(math.fsum(math.exp(a - top) for a in others)))
            terms += [weight * top, -weight * z[true.index(1)]]
        else:
            terms += [weight * (a - t) * (a - t) / 2 for a, t in zip(z, true, strict=True)]
    return math.fsum(terms)


@OUTPUT
@given(st.data(), st.sampled_from(["float64", "float32"]), st.booleans())
def test_cost_is_finite_and_right_wherever_it_can_be_said(
    output: str, data: st.DataObject, dtype: str, weighted: bool
) -> None:
    width, large, root = LIMITS[dtype]
    limit = root if output == "identity" else large
    numbers = st.floats(-limit, limit, allow_nan=False, width=width)
    n2, m = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 6))
    z2 = data.draw(arrays(dtype, (n2, m), elements=numbers | st.sampled_from([0.0, 1.0, -1.0, limit])))
    if output == "softmax":
        y = np.eye(n2, dtype=dtype)[:, data.draw(arrays(np.int64, m, elements=st.integers(0, n2 - 1)))]
    else:
        y = data.draw(arrays(dtype, (n2, m), elements=numbers if output == "identity" else st.sampled_from([0.0, 1.0])))
    weights = np.ones(m, dtype)
    if weighted:
        weights = data.draw(arrays(dtype, m, elements=st.sampled_from([0.0, 2.0**-20, 0.5, 1.0, 3.0, 2.0**20])))
        weights[0] = 1
    with np.errstate(over="ignore", divide="ignore"):  # z2 - top; m / 0
        cost = equations.cost(z2, y, math.fsum(weights), output=OUTPUTS[output], weights=weights[None], xp=np)
    assert cost.dtype == dtype
    expected = exact_cost(z2, y, weights, output)
    kind = np.finfo(dtype)
    lost = 4 * kind.eps * np.abs(z2).max() if output == "softmax" else 0  # of top - z2, to which z2 is known at best
    assert float(cost) == pytest.approx(
        expected, rel=1e-5 if dtype == "float32" else 1e-13, abs=float(lost + kind.tiny)
    )


@ENGINE
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@OUTPUT
def test_engines_costs_are_finite_as_far_from_the_truth_as_they_can_be(output: str, dtype: str, engine: str) -> None:
    exponent = np.finfo(dtype).maxexp
    far = 2.0 ** (exponent // 2 - 1 if output == "identity" else exponent - 1)
    params = nn.Params(*(np.array(a, dtype) for a in ([[0.0]], [[0.0]], [[0.0], [0.0]], [[far], [-far]])))
    y = [[0, 1, 1, 1], [1, 0, 0, 0]]  # the first is wrong by twice far, which is no number any more
    cost = nn.fit(np.ones((1, 4)), y, params, output=output, engine=engine, iterations=0).score.cost
    assert cost == (far**2 if output == "identity" else far / 2)


# --- scores and predictions ---


@OUTPUT
@ENGINE
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n2", [1, 3])
def test_scores_are_scikit_learns(output: str, engine: str, weighted: bool, n2: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    params, X, y, weights = draw(output, n2=n2)
    weights = weights if weighted else None
    score = nn.fit(X, y, params, output=output, engine=engine, weights=weights, iterations=0).score
    yhat, label = (ask(params, X, output=output) for ask in (nn.predict_proba, nn.predict))
    how: dict[str, Any] = {"sample_weight": weights}
    if output == "identity":
        np.testing.assert_array_equal(yhat, label)
        squared = metrics.mean_squared_error(y.T, yhat.T, multioutput="raw_values", **how)
        expected = (squared.sum() / 2, np.nan, metrics.r2_score(y.T, yhat.T, **how))
    elif output == "softmax":
        np.testing.assert_allclose(yhat.sum(axis=0), 1, rtol=1e-14)
        loss = metrics.log_loss(y.argmax(0), yhat.T, labels=range(n2), **how) if n2 > 1 else 0
        expected = (loss, metrics.accuracy_score(y.argmax(0), yhat.argmax(0), **how), np.nan)
        np.testing.assert_array_equal(label, np.eye(n2)[:, yhat.argmax(0)])
    else:
        np.testing.assert_array_equal(label, yhat >= 0.5)
        losses = [metrics.log_loss(t, p, labels=[0, 1], **how) for t, p in zip(y, yhat, strict=True)]
        rates = [metrics.accuracy_score(t, p, **how) for t, p in zip(y, label, strict=True)]
        expected = (sum(losses), np.mean(rates), np.nan)
    np.testing.assert_allclose(score, expected, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(nn.score(params, X, y, output=output, weights=weights), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("right", "accuracy"), [(True, 1.0), (False, 0.0)])
def test_weights_leave_the_accuracy_of_the_always_right_and_wrong(right: bool, accuracy: float, dtype: str) -> None:
    params, X = nn.init_params(1, 1, dtype=dtype), np.ones((1, 1000))  # whose yhat is above 0.5
    for seed in range(20):
        weights = np.random.default_rng(seed).random(1000)
        score = nn.score(params, X, np.full_like(X, right), weights=weights)
        assert score.accuracy == pytest.approx(accuracy, rel=0, abs=0 if right else 1e-6)
        assert 0 <= score.accuracy <= 1


@ENGINE
def test_the_first_of_equal_classes_wins(engine: str) -> None:
    params = nn.Params(*map(np.array, ([[0.0]], [[0.0]], np.zeros((4, 1)), [[0.0], [2.0], [2.0], [1.0]])))
    options = {"output": "softmax", "engine": engine, "iterations": 0, "weights": [0.1, 0.2, 0.3, 0.4]}
    score = nn.fit(np.ones((1, 4)), np.eye(4), params, **options).score
    assert score.accuracy == pytest.approx(0.2)  # the weight of the second class, which is chosen for all
    assert nn.predict(params, [[1.0]], output="softmax").ravel().tolist() == [0, 1, 0, 0]


@pytest.mark.parametrize(("b2", "r2"), [(0.1, 1), (0.2, 0)])  # found or not: scikit-learn's definition
def test_r2_of_a_constant(b2: float, r2: float) -> None:
    params = nn.Params(*(np.full((1, 1), value) for value in (0.0, 0.0, 0.0, b2)))
    for y, weights in (([[0.1, 0.1, 0.1]], None), ([[0.1, 0.1, 0.1, 5]], [0.3, 0.7, 0.9, 0])):  # 5 does not count
        assert nn.score(params, np.ones_like(y), y, output="identity", weights=weights).r2 == r2


# --- refusals ---


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"output": "tanh"}, "output 'tanh' is not known; accepted: sigmoid, softmax, identity"),
        ({"y": [[1, 1, 0], [0, 1, 1]]}, "y has columns without a single 1; output 'softmax' expects"),
        ({"y": np.zeros((2, 3))}, "y has columns without a single 1"),
        ({"y": [[0.5, 1, 0], [0.5, 0, 1]]}, "y holds values other than 0 and 1"),
        ({"y": [[1, np.nan, 0], [0, 1, 1]], "output": "identity"}, r"y holds NaN or infinity \(as float64\)"),
        ({"y": [[1, np.inf, 0], [0, 1, 1]], "output": "identity"}, r"y holds NaN or infinity \(as float64\)"),
        ({"weights": [1, 2]}, r"weights have shape \(2,\); expected \(m,\) = \(3,\)"),
        ({"weights": [[1, 2, 3]]}, r"weights have shape \(1, 3\); expected \(m,\) = \(3,\)"),
        ({"weights": [1, -1, 1]}, r"weights hold negative numbers, NaN or infinity \(as float64\)"),
        ({"weights": [1, np.nan, 1]}, "weights hold negative numbers, NaN or infinity"),
        ({"weights": [0, 0, 0]}, "the weights' sum is 0; expected a number above 0 that float64 can hold"),
        ({"weights": [1e308, 1e308, 0]}, "the weights' sum is inf; expected a number above 0 that float64 can hold"),
    ],
)
def test_wrong_outputs_and_weights_are_refused(change: dict[str, Any], message: str) -> None:
    given = {"y": [[1, 0, 0], [0, 1, 1]], "output": "softmax", **change}
    with pytest.raises((nn.DataError, nn.ArgumentError), match=message):
        nn.score(nn.init_params(3, 4, 2), np.zeros((3, 3)), **given)

"""fit: agreement with the article's loop, the history, why runs end, validation, and wrong input."""

from typing import Any

import numpy as np
import pytest
from places import STRICT, Place

import nn_backend as nn

ENGINE = pytest.mark.parametrize("engine", ["eager", "compiled"])
X3, Y3 = np.zeros((3, 5)), np.zeros((1, 5))
START = nn.init_params(3, 4)


def articles_loop(X: np.ndarray, y: np.ndarray, iterations: int) -> list[tuple[float, list[np.ndarray]]]:
    """The article's program in plain NumPy: cost and parameters for every iteration from 0."""

    def g(z: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-z))

    rng = np.random.RandomState(3)
    weights_1 = rng.randn(4, 3) * 0.01
    weights_2 = rng.randn(1, 4) * 0.01
    bias_1, bias_2 = np.zeros((4, 1)), np.zeros((1, 1))
    states = []
    for _ in range(iterations + 1):
        hidden = g(np.dot(weights_1, X) + bias_1)
        output = g(np.dot(weights_2, hidden) + bias_2)
        error = -np.mean(y * np.log(output) + (1 - y) * np.log(1 - output))
        states.append((error, [weights_1, bias_1, weights_2, bias_2]))
        delta_2 = output - y
        delta_1 = np.dot(weights_2.T, delta_2) * hidden * (1 - hidden)
        weights_1 = weights_1 - 0.2 * np.dot(delta_1, X.T) / X.shape[1]
        bias_1 = bias_1 - 0.2 * np.mean(delta_1, axis=1, keepdims=True)
        weights_2 = weights_2 - 0.2 * np.dot(delta_2, hidden.T) / X.shape[1]
        bias_2 = bias_2 - 0.2 * np.mean(delta_2, axis=1, keepdims=True)
    return states


def training_rows(*, standardized: bool) -> tuple[np.ndarray, np.ndarray]:
    X, y = nn.load_marks()
    X, y = X[:, :300], y[:, :300]
    return (nn.standardization(X).apply(X) if standardized else X), y


@pytest.mark.parametrize(("standardized", "iterations"), [(False, 300), (True, 4500)])
def test_agrees_with_the_articles_loop(backend: Place, standardized: bool, iterations: int) -> None:
    if iterations > 300 and (backend.backend is STRICT or backend.dtype == "float32"):
        iterations = 1000  # array-api-strict takes a millisecond an iteration; float32 is compared over 300 and 1000
    X, y = training_rows(standardized=standardized)
    states = articles_loop(X, y, iterations)
    start = nn.init_params(3, 4, dtype=backend.dtype)
    result = nn.fit(X, y, start, iterations=iterations, log_every=50, backend=backend.backend, engine="eager")
    rtol = 1e-9 if backend.dtype == "float64" else 2e-3
    for iteration, cost in zip(result.history["iteration"], result.history["cost"], strict=True):
        assert cost == pytest.approx(states[iteration][0], rel=rtol)
    for actual, expected in zip(result.params, states[iterations][1], strict=True):
        assert actual.dtype == backend.dtype
        np.testing.assert_allclose(actual, expected, rtol=rtol, atol=rtol / 10)
    yhat, labels = (ask(result.params, X, backend=backend.backend) for ask in (nn.predict_proba, nn.predict))
    assert yhat.dtype == labels.dtype == backend.dtype
    assert np.array_equal(labels == 1, yhat >= 0.5)
    assert np.mean(labels == y) == result.history["accuracy"].iloc[-1]


def test_history_ends_at_the_last_state() -> None:
    X, y = training_rows(standardized=False)
    rows: list[Any] = []
    seen: list[int] = []
    told = {"callback": lambda *row: rows.append(row), "progress": seen.append}
    result = nn.fit(X, y, START, iterations=250, log_every=100, **told)
    assert result.history["iteration"].tolist() == [0, 100, 200, 250]
    expected = [(row[0], *row[1][:2]) for row in rows]
    assert result.history.to_numpy().tolist() == list(map(list, expected))
    assert nn.score(result.params, X, y)[:2] == result.score[:2] == expected[-1][1:]
    assert (seen, seen[-1]) == (sorted(seen), 250)
    assert (result.iterations, result.status, result.interrupted) == (250, "done", False)
    assert (result.backend, result.output, result.optimizer) == ("numpy", "sigmoid", "gd")
    assert (result.best_iteration, result.seconds > 0) == (None, True)


@pytest.mark.parametrize("end", [0, 30, 40])
def test_callback_ends_the_run(end: int) -> None:
    X, y = nn.load_marks()
    result = nn.fit(X, y, nn.init_params(3, 4), iterations=40, log_every=10, callback=lambda i, _: np.bool_(i >= end))
    assert result.history["iteration"].tolist() == [*range(0, end + 1, 10)]
    assert (result.iterations, result.interrupted) == (end, False)
    shorter = nn.fit(X, y, nn.init_params(3, 4), iterations=end)
    assert all(map(np.array_equal, result.params, shorter.params))


def stack(*networks: nn.Params) -> nn.Params:
    return nn.Params(*map(np.stack, zip(*networks, strict=True)))


def gradient_size(params: nn.Params, X: np.ndarray, y: np.ndarray, alpha: float) -> float:
    """The largest element of the gradient, with that of the penalty: of what a step of learning rate 1 takes away."""
    after = nn.fit(X, y, params, learning_rate=1, alpha=alpha, iterations=1).params
    return float(max(np.abs(a - b).max() for a, b in zip(params, after, strict=True)))


@ENGINE
@pytest.mark.parametrize("optimizer", ["gd", "rprop"])
def test_tol_ends_a_run_before_the_update(engine: str, optimizer: str) -> None:
    X, y = training_rows(standardized=True)
    options = {"optimizer": optimizer, "alpha": 1.0, "engine": engine}
    result = nn.fit(X, y, START, tol=0.01, log_every=7, **options)
    assert (result.status, result.interrupted) == ("tol", False)
    assert 0 < result.iterations == result.history["iteration"].iloc[-1] < 4500
    exactly, before = (nn.fit(X, y, START, iterations=result.iterations - k, **options) for k in (0, 1))
    assert exactly.status == before.status == "done"
    for one, other in zip(result.params, exactly.params, strict=True):
        assert one.tobytes() == other.tobytes()
    assert gradient_size(exactly.params, X, y, 1.0) < 0.01 <= gradient_size(before.params, X, y, 1.0)
    again = nn.fit(X, y, result.state, tol=0.01, **options)
    assert (again.status, again.iterations) == ("tol", 0)


def hard_rows() -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Rows that are learned by heart: validation costs fall for a while, then rise."""
    generator = np.random.default_rng(1)
    X = generator.standard_normal((3, 120))
    y = (2 * X[:1] + generator.standard_normal((1, 120)) > 0).astype(float)
    return X[:, :60], y[:, :60], (X[:, 60:], y[:, 60:], generator.random(60))


@ENGINE
def test_validation_keeps_the_best_state_and_ends_the_run(engine: str) -> None:
    X, y, held = hard_rows()
    start = nn.init_params(3, 4, factor=0.5)
    options = {"optimizer": "rprop", "engine": engine}
    result = nn.fit(X, y, start, validation=held, patience=4, check_every=3, iterations=1000, log_every=100, **options)
    history = result.history
    assert [*history] == ["iteration", "cost", "accuracy", "validation_cost", "validation_accuracy"]
    best = int(history["validation_cost"].idxmin())
    assert result.status == "patience"
    assert history["iteration"].tolist() == [*range(0, 3 * (best + 4) + 1, 3)]  # four looks after the best
    assert 0 < result.best_iteration == 3 * best
    assert result.iterations == 3 * (best + 4)
    for iteration, params in ((result.best_iteration, result.params), (result.iterations, result.state.params)):
        alone = nn.fit(X, y, start, iterations=iteration, **options)
        assert all(one.tobytes() == other.tobytes() for one, other in zip(params, alone.params, strict=True))
    assert result.score[:2] == tuple(history.loc[best, ["cost", "accuracy"]])
    watched = nn.score(result.params, held[0], held[1], weights=held[2])
    assert watched[:2] == pytest.approx(tuple(history.loc[best, ["validation_cost", "validation_accuracy"]]), rel=1e-12)


def test_validation_of_numbers_is_looked_at_in_every_row_by_default() -> None:
    X, _, (X_held, _, _) = hard_rows()
    result = nn.fit(X, X[:1], START, output="identity", validation=(X_held, X_held[:1]), iterations=25, log_every=10)
    assert [*result.history] == ["iteration", "cost", "r2", "validation_cost", "validation_r2"]
    assert result.history["iteration"].tolist() == [0, 10, 20, 25]
    assert result.status == "done"
    assert result.score.r2 == result.history["r2"].max()
    assert np.isnan(result.score.accuracy)


@ENGINE
@pytest.mark.parametrize(("optimizer", "too_large"), [("gd", 1e150), ("adam", 1e308)])
def test_a_network_that_diverges_ends_alone(engine: str, optimizer: str, too_large: float) -> None:
    generator = np.random.default_rng(2)
    X = generator.standard_normal((3, 50))
    y, starts = X[:1] * 5, [nn.init_params(3, 4, seed=seed, factor=0.3) for seed in range(3)]
    rates = np.array([0.1, too_large, 0.2])
    options = {"output": "identity", "optimizer": optimizer, "iterations": 40, "log_every": 10, "engine": engine}
    together = nn.fit(X, y, stack(*starts), learning_rate=rates, **options)
    assert together.status.tolist() == ["done", "diverged", "done"]
    assert 0 < together.iterations[1] < 40
    assert together.iterations[[0, 2]].tolist() == [40, 40]
    for e in (0, 2):
        alone = nn.fit(X, y, starts[e], learning_rate=rates[e], **options)
        for one, many in zip(alone.state.arrays().values(), together.state.arrays().values(), strict=True):
            np.testing.assert_allclose(many[e], one, rtol=0 if engine == "compiled" else 1e-9)
    for shorter in (0, 1):  # it keeps the last state that was finite; the cost there is not, which ends no second one
        options["iterations"] = int(together.iterations[1]) + shorter
        last = nn.fit(X, y, stack(starts[1]), learning_rate=too_large, **options)
        for one, many in zip(last.state.arrays().values(), together.state.arrays().values(), strict=True):
            np.testing.assert_allclose(many[1], one[0], rtol=0 if engine == "compiled" else 1e-9)
    with pytest.raises(nn.DivergenceError, match=rf"are no longer finite at iteration {together.iterations[1] + 1}:"):
        nn.fit(X, y, starts[1], learning_rate=rates[1], **options | {"log_every": 1000})
    all_of_them = nn.fit(X, y, stack(*starts), learning_rate=too_large, **options)
    assert all_of_them.status.tolist() == ["diverged"] * 3
    assert all_of_them.history["iteration"].max() == all_of_them.iterations.max() < 40


@ENGINE
def test_a_cost_that_is_not_finite_ends_a_run(engine: str) -> None:
    far = START._replace(b2=np.array([[1e200]]))
    together = nn.fit(X3, Y3, stack(START, far), output="identity", engine=engine, iterations=5)
    assert together.status.tolist() == ["done", "diverged"]
    assert together.iterations.tolist() == [5, 0]
    assert together.params.b2[1] == 1e200


# --- what is refused ---

ADAM = nn.fit(X3, Y3, START, optimizer="adam", iterations=1).state
FLOAT32 = nn.init_params(3, 4, dtype="float32")
WRONG = {
    nn.DataError: [
        ({"X": np.zeros((395, 3))}, r"X has shape \(395, 3\); expected \(n0, m\) with n0 = 3.* Pass X.T."),
        ({"X": np.zeros(3)}, r"X has shape \(3,\); expected \(n0, m\) with n0 = 3.* Pass X.reshape\(-1, 1\)."),
        ({"X": np.zeros((2, 5))}, r"X has shape \(2, 5\); expected \(n0, m\) with n0 = 3, one example per column\.$"),
        ({"X": np.zeros((3, 0))}, r"X has shape \(3, 0\); expected at least one example"),
        ({"X": np.full((3, 5), np.nan)}, r"X holds NaN or infinity \(as float64\); expected finite"),
        ({"X": np.full((3, 5), 1e300), "params": FLOAT32}, r"X holds NaN or infinity \(as float32\)"),
        ({"y": np.zeros(5)}, r"y has shape \(5,\); expected \(n2, m\) = \(1, 5\). Pass y.reshape\(1, -1\)."),
        ({"y": np.zeros((1, 4))}, r"y has shape \(1, 4\); expected \(n2, m\) = \(1, 5\)\.$"),
        ({"y": np.full((1, 5), 2.0)}, "y holds values other than 0 and 1"),
        ({"y": np.full((1, 5), np.nan)}, "y holds values other than 0 and 1"),
        ({"params": START._replace(b1=np.zeros(4))}, r"shapes w1 \(4, 3\), b1 \(4,\).*expected w1 \(n1, n0\)"),
        ({"params": nn.Params(*(a[None][:0] for a in START))}, r"w1 \(0, 4, 3\), b1 .*expected w1 \(n1, n0\)"),
        ({"params": START._replace(b2=np.float32([[0]]))}, "dtypes are float32, float64; expected all float64"),
        ({"params": START._replace(w2=START.w2 * np.inf)}, "w2 holds NaN or infinity; expected finite"),
        ({"params": nn.Params(*(a.astype(int) for a in START))}, "dtypes are int64; expected all float64"),
        ({"validation": (X3[:2], Y3)}, r"of the validation data, X has shape \(2, 5\); expected"),
        ({"validation": (X3, Y3 + 2)}, "of the validation data, y holds values other than 0 and 1"),
        ({"validation": (X3, Y3, [1])}, r"of the validation data, weights have shape \(1,\)"),
    ],
    nn.ArrayTypeError: [({"params": None}, r"params is NoneType; expected Params\(w1, b1, w2, b2\)")],
    nn.ArgumentError: [
        ({"params": ADAM, "optimizer": "rprop"}, "the state has arrays .*mean.w1.*; expected those of its .*width.w1"),
    ],
}


@pytest.mark.parametrize(("error", "change", "message"), [(e, *case) for e, cases in WRONG.items() for case in cases])
@pytest.mark.filterwarnings("ignore:invalid value encountered in multiply")
def test_wrong_input_is_one_clear_sentence(error: type[Exception], change: dict[str, Any], message: str) -> None:
    with pytest.raises(error, match=message):
        nn.fit(**{"X": X3, "y": Y3, "params": START, "iterations": 1, **change})

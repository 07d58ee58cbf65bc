"""scikit-learn's estimators: its own checks, agreement with fit and with its networks, and their company."""

import dataclasses
import pickle
import re
import subprocess
import sys
from typing import Any
from unittest.mock import Mock

import joblib
import numpy as np
import pandas as pd
import pytest
from places import STRICT, require_gpu
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier, BaggingRegressor
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold, cross_val_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.estimator_checks import parametrize_with_checks

import nn_backend as nn
from nn_backend import equations
from nn_backend.engines.machine import count_threads
from nn_backend.estimator import ShallowNetClassifier, ShallowNetRegressor

KINDS = [ShallowNetClassifier, ShallowNetRegressor]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # some checks train on noise
@parametrize_with_checks(
    [
        *(kind(standardize=standardize) for kind in KINDS for standardize in (True, False)),
        ShallowNetClassifier(engine="eager", solver="adam"),
        ShallowNetClassifier(dtype="float32", n_init=2),
    ]
)
def test_passes_the_checks_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


def marks() -> tuple[np.ndarray, np.ndarray]:
    """Return the article's data as scikit-learn has it: (m, 3) and 0 or 1 in (m,)."""
    X, y = nn.load_marks()
    return X.T, y[0].astype(int)


def blobs() -> tuple[np.ndarray, np.ndarray]:
    """Return two clouds far apart, as (40, 2), and True where a row is of the second."""
    second = np.arange(40) % 2 == 1
    return np.random.default_rng(7).normal(size=(40, 2)) + np.where(second, 8, -8)[:, None], second


TASKS = {
    "sigmoid": (ShallowNetClassifier, *marks()),
    "softmax": (ShallowNetClassifier, *load_iris(return_X_y=True)),
    "identity": (ShallowNetRegressor, *load_diabetes(return_X_y=True)),
}


@pytest.fixture(params=TASKS)
def task(request: pytest.FixtureRequest) -> str:
    """Return a kind of output; TASKS has an estimator and data for it."""
    return request.param


def encode(task: str, y: np.ndarray) -> np.ndarray:
    """Return what the network of a task is trained on, without its scaling, (n2, m)."""
    return np.eye(3)[:, y] if task == "softmax" else y[None].astype(float)


def scale(values: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Standardise the columns of (m, n)."""
    mean = np.average(values, axis=0, weights=weights)
    return (values - mean) / np.sqrt(np.average((values - mean) ** 2, axis=0, weights=weights))


@pytest.fixture(scope="module")
def trained() -> ShallowNetClassifier:
    return ShallowNetClassifier(5, random_state=1, alpha=1e-2).fit(*marks())


@pytest.mark.parametrize(
    "labels",
    [
        np.array([7, -3]),
        np.array([2.0, 1.0]),
        np.array([True, False]),
        np.array(["spam", "ham"], dtype=object),
        np.array(["spam", "ham", "eggs"]),
        np.array([30, 10, 20]),
        pd.Series(["spam", "ham"], dtype="string"),
        pd.Series(["spam", "ham"], dtype="category"),
        ["yes", "no"],
    ],
    ids=lambda value: f"{type(value).__name__}-{getattr(value, 'dtype', '')}-{len(value)}",
)
def test_labels_of_any_kind(labels: Any) -> None:
    """The labels' order in the data must not matter: they are sorted."""
    number = np.arange(60) % len(labels)
    X = np.random.default_rng(7).normal(size=(60, 2)) + np.array([[-8, 0], [8, 0], [0, 14]])[number]
    y = [labels[k] for k in number] if isinstance(labels, list) else labels[number]
    classifier = ShallowNetClassifier(random_state=0, alpha=1e-2).fit(X, y)
    assert classifier.classes_.tolist() == sorted(labels)
    predicted = classifier.predict(X)
    assert predicted.dtype == classifier.classes_.dtype
    assert predicted.tolist() == list(y)
    truth = np.array([sorted(labels).index(label) for label in y])
    assert np.array_equal(classifier.predict_proba(X) > 0.9, truth[:, None] == np.arange(len(labels)))
    logits = classifier.decision_function(X)
    assert np.array_equal(logits > 2 if len(labels) == 2 else logits.argmax(axis=1), truth)


# What is computed


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "settings", [{}, {"standardize": False}, {"dtype": "float32"}, {"engine": "eager"}, {"solver": nn.adam(beta1=0.8)}]
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_is_what_fit_gives(task: str, settings: dict[str, Any], weighted: bool) -> None:
    kind, X, y = TASKS[task]
    weights = np.random.default_rng(0).integers(0, 4, len(y)).astype(float) if weighted else None
    estimator = kind(4, random_state=3, factor=0.5, max_iter=150, alpha=2, **settings).fit(X, y, weights)
    asked = X if "standardize" in settings else scale(X, weights)
    counts = slice(None) if weights is None else weights > 0
    examples, y, weights = asked[counts], y[counts], None if weights is None else weights[counts]
    target = scale(encode(task, y).T, weights).T if task == "identity" else encode(task, y)
    options = {"output": task, "iterations": 150, "alpha": 2, "weights": weights, "log_every": 100, "tol": 1e-3}
    options |= {"optimizer": settings.get("solver", "rprop"), "engine": settings.get("engine", "auto")}
    dtype = settings.get("dtype", "float64")
    start = nn.init_params(X.shape[1], 4, len(target), seed=3, factor=0.5, dtype=dtype)
    result = nn.fit(examples.T, target, start, **options)
    rtol = 1e-3 if "dtype" in settings else 1e-9
    for actual, expected in zip(estimator.params_, result.params, strict=True):
        assert actual.dtype == expected.dtype
        np.testing.assert_allclose(actual, expected, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(estimator.loss_curve_, result.history["cost"], rtol=rtol)
    assert estimator.loss_ == estimator.loss_curve_[-1]
    ran = (estimator.n_iter_, estimator.status_, estimator.device_, estimator.engine_)
    assert ran == (result.iterations, result.status, "numpy", settings.get("engine", "compiled"))
    w1, b1, w2, b2 = (array.astype(float) for array in estimator.params_)  # predictions are float64 after any training
    z2 = (w2 @ (0.5 * (1 + np.tanh((w1 @ asked.T + b1) / 2))) + b2).T
    if task == "identity":
        mean, deviation = (np.squeeze(values) for values in estimator.target_scale_)
        np.testing.assert_allclose(estimator.predict(X), z2[:, 0] * deviation + mean, rtol=1e-9)
        return
    np.testing.assert_allclose(estimator.decision_function(X), np.squeeze(z2), rtol=1e-9, atol=1e-9)
    both = z2 if task == "softmax" else np.hstack([0 * z2, z2])
    proba = estimator.predict_proba(X)
    assert proba.dtype == np.float64
    np.testing.assert_allclose(proba, np.exp(both) / np.exp(both).sum(axis=1, keepdims=True), rtol=1e-9)
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-15)
    assert np.array_equal(estimator.predict(X), both.argmax(axis=1))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_agrees_with_scikit_learns_network_from_the_same_start(task: str) -> None:
    kind, X, y = TASKS[task]
    plain = {"activation": "logistic", "solver": "sgd", "momentum": 0, "nesterovs_momentum": False, "tol": 0}
    plain |= {"batch_size": len(y), "learning_rate_init": 0.2, "n_iter_no_change": 1000, "warm_start": True}
    peer = (MLPRegressor if task == "identity" else MLPClassifier)(
        hidden_layer_sizes=(4,), alpha=3.0, max_iter=1, **plain
    )
    inputs, target = scale(X), scale(y) if task == "identity" else y
    peer.fit(inputs, target)
    start = nn.init_params(X.shape[1], 4, len(encode(task, y)), seed=5, factor=0.7)
    peer.coefs_, peer.intercepts_ = [start.w1.T.copy(), start.w2.T.copy()], [start.b1[:, 0].copy(), start.b2[:, 0]]
    del peer._optimizer
    peer.set_params(max_iter=300).fit(inputs, target)
    ours = kind(4, solver="gd", alpha=3.0, random_state=5, factor=0.7, max_iter=300, tol=0).fit(X, y)
    for actual, expected in zip(ours.coefs_ + ours.intercepts_, peer.coefs_ + peer.intercepts_, strict=True):
        assert actual.shape == expected.shape
        np.testing.assert_allclose(actual, expected, rtol=1e-8, atol=1e-10)
    assert (ours.n_outputs_, ours.out_activation_) == (peer.n_outputs_, peer.out_activation_)
    if task == "identity":
        np.testing.assert_allclose(ours.predict(X), peer.predict(inputs) * y.std() + y.mean(), rtol=1e-8)
    else:
        np.testing.assert_allclose(ours.predict_proba(X), peer.predict_proba(inputs), rtol=1e-8)


def test_small_probabilities_of_either_label_do_not_round_to_0(trained: ShallowNetClassifier) -> None:
    X = marks()[0]
    sure = pickle.loads(pickle.dumps(trained))
    sure.params_ = trained.params_._replace(w2=trained.params_.w2 * 30, b2=trained.params_.b2 * 30)
    logit = sure.decision_function(X)
    assert logit.min() < -50 < 50 < logit.max()
    proba = sure.predict_proba(X)
    np.testing.assert_allclose(proba[logit > 50, 0], np.exp(-logit[logit > 50]), rtol=1e-12)
    np.testing.assert_allclose(proba[logit < -50, 1], np.exp(logit[logit < -50]), rtol=1e-12)
    sure.params_ = trained.params_._replace(w2=trained.params_.w2 * 1e5)  # beyond what exp can give
    assert set(sure.predict_proba(X).ravel()) == {0.0, 1.0}


def test_defaults_serve() -> None:
    """bench/estimator_defaults.py has more of them, and scikit-learn's networks beside them."""
    X, y = load_breast_cancer(return_X_y=True)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    losses = cross_val_score(ShallowNetClassifier(8, random_state=0), X, y, cv=folds, scoring="neg_log_loss")
    assert losses.mean() > -0.09  # of its MLPClassifier with as many units, standardised, -0.076
    regressor, folds = ShallowNetRegressor(8, random_state=0), KFold(5, shuffle=True, random_state=0)
    assert cross_val_score(regressor, *load_diabetes(return_X_y=True), cv=folds, scoring="r2").mean() > 0.45


def test_several_outputs_are_numbers_of_their_own_scale() -> None:
    X, y = load_diabetes(return_X_y=True)
    both = np.column_stack([y, 1e3 - 1e-3 * y])
    regressor = ShallowNetRegressor(8, random_state=0).fit(X, both)
    predicted = regressor.predict(X)
    assert predicted.shape == both.shape
    assert regressor.score(X, both) > 0.5
    np.testing.assert_allclose(regressor.target_scale_.deviation[:, 0], both.std(axis=0))
    assert regressor.fit(X, y[:, None]).predict(X).shape == y.shape


@pytest.mark.parametrize("class_weight", ["balanced", {0: 3.0, 1: 0.5, 2: 1.0}])
def test_class_weight_is_a_weight_of_each_example(class_weight: Any) -> None:
    X, y = load_iris(return_X_y=True)
    X, y = X[20:], y[20:]
    own = np.random.default_rng(0).integers(1, 4, len(y))
    repeated = np.repeat(np.arange(len(y)), own)
    by_class = ShallowNetClassifier(random_state=0, class_weight=class_weight).fit(X, y, sample_weight=own)
    weights = compute_sample_weight(class_weight, y[repeated])
    by_example = ShallowNetClassifier(random_state=0).fit(X[repeated], y[repeated], sample_weight=weights)
    np.testing.assert_allclose(by_class.predict_proba(X), by_example.predict_proba(X), rtol=1e-6)


def test_examples_of_weight_0_are_left_out() -> None:
    """Here they have a label of their own."""
    X, y = load_iris(return_X_y=True)
    weighted = ShallowNetClassifier(random_state=0).fit(X, y, sample_weight=y < 2)
    left = ShallowNetClassifier(random_state=0).fit(X[y < 2], y[y < 2])
    assert weighted.classes_.tolist() == [0, 1]
    assert all(map(np.array_equal, weighted.params_, left.params_))


# Random state and starts


def test_the_same_seed_gives_the_same_network() -> None:
    def first_weight(random_state: Any) -> float:
        return float(ShallowNetClassifier(random_state=random_state, max_iter=1, tol=0).fit(*blobs()).params_.w1[0, 0])

    assert first_weight(11) == first_weight(11) == first_weight(np.int64(11))
    assert first_weight(11) != first_weight(12)
    one, other = np.random.RandomState(11), np.random.RandomState(11)
    drawn = [first_weight(one), first_weight(one)]
    assert drawn == [first_weight(other), first_weight(other)]
    assert drawn[0] != drawn[1]
    assert first_weight(None) != first_weight(None)


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """Return `fit` as the estimators call it, which remembers what it was given."""
    seen = Mock(wraps=nn.fit)
    monkeypatch.setattr("nn_backend.shallow_net.fit", seen)
    return seen


@pytest.mark.parametrize("early_stopping", [False, True])
def test_of_several_starts_the_best_is_kept(fits: Mock, task: str, early_stopping: bool) -> None:
    kind, X, y = TASKS[task]
    estimator = kind(3, n_init=5, alpha=2.0, random_state=6, early_stopping=early_stopping).fit(X, y)
    inputs, target, start = fits.call_args.args
    watched = fits.call_args.kwargs["validation"] if early_stopping else (inputs, target, None)
    costs, alone = [], []
    for k in range(5):
        result = nn.fit(inputs, target, nn.Params(*(array[k] for array in start.params)), **fits.call_args.kwargs)
        w1, _, w2, _ = result.params
        penalty = 2.0 / (2 * inputs.shape[1]) * ((w1**2).sum() + (w2**2).sum())
        costs.append(nn.score(result.params, *watched[:2], output=task).cost + (0 if early_stopping else penalty))
        alone.append(result)
    best = alone[int(np.argmin(costs))]
    assert len({result.iterations for result in alone}) > 1
    assert all(map(np.array_equal, estimator.params_, best.params))
    assert (estimator.n_iter_, estimator.status_) == (best.iterations, best.status)
    assert estimator.loss_curve_ == [row.score.cost for row in best.rows]
    assert estimator.loss_ == best.score.cost
    by_default = nn.init_params(X.shape[1], 3, len(target), seed=6, factor=2 / X.shape[1] ** 0.5)
    assert np.array_equal(start.params.w1[0], by_default.w1)


def test_a_start_that_diverged_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = marks()
    best = ShallowNetClassifier(n_init=3, random_state=0).fit(X, y).params_

    def diverging(*args: Any, **options: Any) -> nn.FitResult:
        result = nn.fit(*args, **options)
        kept = [np.array_equal(w1, best.w1) for w1 in result.params.w1]
        return dataclasses.replace(result, status=np.where(kept, "diverged", result.status))

    monkeypatch.setattr("nn_backend.shallow_net.fit", diverging)
    other = ShallowNetClassifier(n_init=3, random_state=0).fit(X, y)
    assert other.status_ == "tol"
    assert not np.array_equal(other.params_.w1, best.w1)


# When training ends


@pytest.mark.parametrize(("tol", "alpha"), [(1e-2, 0.0), (1e-3, 1.0)])
def test_training_ends_when_the_gradient_is_small(fits: Mock, task: str, tol: float, alpha: float) -> None:
    kind, X, y = TASKS[task]
    estimator = kind(random_state=0, tol=tol, alpha=alpha).fit(X, y)

    def largest() -> float:
        (inputs, target, _), params, m = fits.call_args.args, estimator.params_, len(y)
        gradients = equations.gradient(params, inputs, target, m, output=equations.OUTPUTS[task], xp=np)
        return max(np.abs(g).max() for g in equations.penalise(gradients, params, alpha, m))

    ended = estimator.n_iter_
    assert (estimator.status_, 0 < ended < 1000) == ("tol", True)
    assert largest() < tol
    message = f"max_iter={ended - 1} was reached before the largest gradient fell below tol={tol:g}: take a larger max"
    with pytest.warns(ConvergenceWarning, match=message):
        estimator.set_params(max_iter=ended - 1).fit(X, y)
    assert largest() >= tol
    assert estimator.set_params(tol=0).fit(X, y).status_ == "done"  # without a warning


@pytest.mark.parametrize("weighted", [False, True])
def test_early_stopping_keeps_the_best_on_the_part_left_out(fits: Mock, task: str, weighted: bool) -> None:
    kind, X, y = TASKS[task]
    weights = np.random.default_rng(0).uniform(0.5, 2, len(y)) if weighted else None
    settings = {"early_stopping": True, "validation_fraction": 0.2, "n_iter_no_change": 4, "tol": 0}
    estimator, again = (kind(8, random_state=0, alpha=0, **settings).fit(X, y, weights) for _ in range(2))
    assert all(map(np.array_equal, again.params_, estimator.params_))
    (inputs, target, _), told = fits.call_args.args, fits.call_args.kwargs
    curve, (held, truth, shares) = estimator.validation_loss_curve_, told["validation"]
    assert estimator.status_ == "patience"
    assert int(np.argmin(curve)) == estimator.n_iter_ - 4 == len(curve) - 1 - 4
    assert nn.score(estimator.params_, held, truth, output=task, weights=shares).cost == min(curve)
    assert estimator.loss_ == estimator.loss_curve_[int(np.argmin(curve))]
    assert (held.shape[1], inputs.shape[1] + held.shape[1]) == (np.ceil(0.2 * len(y)), len(y))
    mean = np.average(inputs, axis=1, weights=told["weights"])
    np.testing.assert_allclose(mean, 0, atol=1e-12)  # scaled by its rows only
    if task != "identity":
        assert abs(truth.mean() - target.mean()) < 0.01  # stratified


def test_verbose_prints_each_look(capsys: pytest.CaptureFixture[str]) -> None:
    X, y = marks()
    ShallowNetClassifier(random_state=0, max_iter=250, tol=0).fit(X, y)
    assert capsys.readouterr().out == ""
    curve = ShallowNetClassifier(random_state=0, max_iter=250, tol=0, verbose=True).fit(X, y).loss_curve_
    lines = [f"Iteration {k}, loss = {cost:.8f}" for k, cost in zip([0, 100, 200, 250], curve, strict=True)]
    assert capsys.readouterr().out.splitlines() == lines


def test_ctrl_c_is_passed_on_and_the_network_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: Any, **options: Any) -> nn.FitResult:
        return dataclasses.replace(nn.fit(*args, **options), status="interrupted")

    monkeypatch.setattr("nn_backend.shallow_net.fit", interrupted)
    classifier = ShallowNetClassifier(random_state=0, max_iter=200)
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(*marks())
    assert (classifier.n_iter_ > 0, classifier.status_) == (True, "interrupted")
    assert classifier.score(*marks()) > 0.9


# Going on


@pytest.mark.parametrize("solver", ["rprop", "gd", "adam", "nesterov"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_partial_fit_does_one_update_of_fit(task: str, solver: str, dtype: str) -> None:
    kind, X, y = TASKS[task]
    settings = {"random_state": 0, "solver": solver, "dtype": dtype}
    once = kind(max_iter=7, tol=0, **settings).fit(X, y)
    steps, first = kind(**settings), {} if task == "identity" else {"classes": np.unique(y)}
    for k in range(7):
        steps = pickle.loads(pickle.dumps(steps)).partial_fit(X, y, **(first if k == 0 else {}))
    assert all(map(np.array_equal, steps.params_, once.params_))
    assert (steps.n_iter_, len(steps.loss_curve_), steps.loss_) == (7, 7, once.loss_)
    scaling = steps.standardization_
    steps.partial_fit(X[:9] + 5, y[:9])
    assert all(map(np.array_equal, steps.standardization_, scaling))
    assert not np.array_equal(steps.params_.w1, once.params_.w1)


@pytest.mark.parametrize("solver", ["gd", "rprop"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_warm_start_goes_on_from_the_parameters(fits: Mock, task: str, solver: str) -> None:
    """Gradient descent remembers nothing: it goes on as if there had been no break."""
    kind, X, y = TASKS[task]
    estimator = kind(random_state=0, solver=solver, warm_start=True, max_iter=20)
    reached = estimator.fit(X, y).params_
    estimator.fit(X, y)
    start = fits.call_args.args[2]
    assert all(map(np.array_equal, start.params, reached))
    assert (dict(start.memory), estimator.n_iter_) == ({}, 20)
    whole = kind(random_state=0, solver=solver, max_iter=40).fit(X, y)
    assert all(map(np.array_equal, estimator.params_, whole.params_)) == (solver == "gd")
    with pytest.raises(nn.ArgumentError, match="n_hidden is 9; expected 4, that of the network that goes on"):
        estimator.set_params(n_hidden=9).fit(X, y)
    assert estimator.set_params(warm_start=False).fit(X, y).params_.w1.shape == (9, X.shape[1])


def test_labels_that_going_on_does_not_know_are_refused() -> None:
    X, y = blobs()
    classifier = ShallowNetClassifier(random_state=0, warm_start=True)
    with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
        classifier.partial_fit(X, y)
    classifier.partial_fit(X[:3], np.zeros(3, int), classes=[0, 1])
    with pytest.raises(ValueError, match=r"classes are \[0, 2\]; expected those of the first call, \[0, 1\]"):
        classifier.partial_fit(X, y, classes=[0, 2])
    for go_on in (classifier.partial_fit, classifier.fit):
        with pytest.raises(ValueError, match=r"y has the label 2, none of the classes \[0, 1\]"):
            go_on(X, y + 1)
    with pytest.raises(nn.ArgumentError, match="class_weight is 'balanced', which partial_fit cannot know"):
        ShallowNetClassifier(class_weight="balanced").partial_fit(X, y, classes=[0, 1])
    with pytest.raises(nn.ArgumentError, match="early_stopping is True; partial_fit does one update"):
        ShallowNetRegressor(early_stopping=True).partial_fit(X, y)


# In company


@pytest.mark.parametrize(
    "company",
    [
        AdaBoostClassifier(ShallowNetClassifier(2, alpha=1e-3, random_state=0), n_estimators=3, random_state=0),
        BaggingClassifier(ShallowNetClassifier(random_state=0), n_estimators=3, random_state=0),
        CalibratedClassifierCV(ShallowNetClassifier(random_state=0), cv=3),
        make_pipeline(StandardScaler(), ShallowNetClassifier(random_state=0)).set_output(transform="pandas"),
        GridSearchCV(ShallowNetClassifier(random_state=0), {"solver": ["rprop", nn.adam(beta1=0.8)]}, cv=3, n_jobs=2),
        BaggingRegressor(ShallowNetRegressor(random_state=0), n_estimators=3, random_state=0),
    ],
    ids=lambda company: type(company).__name__,
)
def test_serves_in_company(company: Any) -> None:
    _, X, y = TASKS["identity" if isinstance(company, BaggingRegressor) else "softmax"]
    fitted = clone(company).fit(X, y)
    assert fitted.score(X, y) > (0.5 if isinstance(company, BaggingRegressor) else 0.9)


@pytest.mark.parametrize("kind", KINDS)
def test_what_training_gives_is_not_there_before(kind: Any) -> None:
    for name in ("coefs_", "intercepts_", "loss_", "n_outputs_", "out_activation_"):
        assert not hasattr(kind(), name)


def test_joblib_tells_its_workers_their_share() -> None:
    told = joblib.Parallel(n_jobs=2)(joblib.delayed(count_threads)() for _ in range(4))
    assert told == [max(1, joblib.cpu_count() // 2)] * 4


ADAM = {"solver": nn.adam(beta1=0.8), "class_weight": {"x": 2.0}, "random_state": np.random.RandomState(0)}


@pytest.mark.parametrize(
    ("labels", "settings"),
    [
        ([False, True], {"standardize": False, "alpha": 0.5}),
        (["ham", "spam"], {"dtype": "float32", "class_weight": {"ham": 3}}),
        (["x", "y", "z"], ADAM),
        ([2.0, -1.0], {"n_init": 2, "warm_start": True, "max_iter": 400}),
        (None, {"dtype": "float32", "n_hidden": 7}),
    ],
)
@pytest.mark.parametrize("named", [False, True])
def test_goes_through_a_file(tmp_path: Any, labels: list[Any] | None, settings: dict[str, Any], named: bool) -> None:
    kind, X, y = TASKS["identity" if labels is None else "softmax"]
    if labels is not None:
        kept = y < len(labels)
        X, y = X[kept], np.array(labels)[y[kept]]
    data = pd.DataFrame(X, columns=[f"x{k}" for k in range(X.shape[1])]) if named else X
    estimator = kind(**{"random_state": 0, **settings}).fit(data, y)
    nn.save(tmp_path / "model.safetensors", estimator)
    loaded = nn.load(tmp_path / "model.safetensors")
    back = kind.from_model(loaded)
    assert np.array_equal(back.predict(data), estimator.predict(data))
    for name in ("predict_proba", "decision_function") if labels else ():
        assert getattr(back, name)(data).tobytes() == getattr(estimator, name)(data).tobytes()
    assert ([*loaded.features] if named else loaded.features) == ([*data] if named else None)
    simple = {name: value for name, value in estimator.get_params().items() if np.isscalar(value) or value is None}
    assert {name: back.get_params()[name] for name in simple} == simple
    assert (back.n_iter_, back.loss_, back.status_) == (estimator.n_iter_, estimator.loss_, estimator.status_)
    score = loaded.r2 if labels is None else loaded.accuracy
    assert score == pytest.approx(estimator.score(data, y), abs=0.05)
    back.partial_fit(data, y)
    assert not np.array_equal(back.params_.w1, estimator.params_.w1)


@pytest.mark.parametrize(
    ("kind", "output", "n2"),
    [(ShallowNetClassifier, "identity", 1), (ShallowNetClassifier, "sigmoid", 2), (ShallowNetRegressor, "softmax", 3)],
)
def test_models_of_another_kind_are_refused(kind: Any, output: str, n2: int) -> None:
    expected = "identity" if kind is ShallowNetRegressor else "one sigmoid output, or softmax"
    with pytest.raises(nn.ArgumentError, match=f"the model has {n2} {output} outputs; expected {expected}"):
        kind.from_model(nn.Model(nn.init_params(3, 4, n2), output))


def test_models_without_labels_and_settings_serve() -> None:
    X, y = marks()
    result = nn.fit(X.T, y[None], nn.init_params(3, 4), iterations=50)
    classifier = ShallowNetClassifier.from_model(nn.Model.of(result))
    assert classifier.classes_.tolist() == [0, 1]
    assert (classifier.n_iter_, classifier.standardize) == (50, False)
    assert np.array_equal(classifier.predict(X), nn.predict(result.params, X.T)[0])


# Devices


def test_trains_and_predicts_on_its_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the strict device an array that stays on the host, or comes back unasked, is an error."""
    monkeypatch.setattr("nn_backend.backend._FACTORIES", dict(nn.backend._FACTORIES))
    asked = []
    nn.register_backend("mine", lambda number: asked.append(number) or STRICT)
    there, logits = logits_of("mine:1")
    assert (there.device_, there.engine_, asked) == ("strict", "eager", [1, 1])
    assert all(isinstance(array, np.ndarray) for array in (logits, *there.params_))
    np.testing.assert_allclose(logits, logits_of("cpu")[1], rtol=1e-9, atol=1e-9)


def test_gpu_and_cpu_agree() -> None:
    require_gpu()
    there, logits = logits_of("gpu")
    assert there.device_.startswith("cupy")
    np.testing.assert_allclose(logits, logits_of("cpu")[1], rtol=1e-9, atol=1e-9)


def logits_of(device: str) -> tuple[ShallowNetClassifier, np.ndarray]:
    X, y = marks()
    classifier = ShallowNetClassifier(random_state=0, max_iter=200, tol=0, device=device).fit(X, y)
    return classifier, classifier.decision_function(X)


def test_a_missing_gpu_is_reported_here_and_from_workers(trained: ShallowNetClassifier) -> None:
    try:
        nn.get_backend("gpu")
    except nn.BackendUnavailableError as error:
        diagnosis = f"^{re.escape(str(error))}$"
    else:
        pytest.skip("a GPU can be used here")
    alone = ShallowNetClassifier(device="gpu")
    for company in (alone, GridSearchCV(alone, {"n_hidden": [1, 2]}, cv=2, n_jobs=2, error_score="raise")):
        with pytest.raises(nn.BackendUnavailableError, match=diagnosis):
            company.fit(*marks())
    with pytest.raises(nn.BackendUnavailableError, match=diagnosis):
        clone(trained).fit(*marks()).set_params(device="gpu").predict(marks()[0])


# Errors


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        ({"n_hidden": "4", "max_iter": 0}, "n_hidden is '4'; expected .* 1. max_iter is 0; expected a whole number"),
        ({"n_init": 0}, "n_init is 0; expected a whole number, at least 1"),
        ({"n_iter_no_change": 1.5}, "n_iter_no_change is 1.5; expected a whole number, at least 1"),
        ({"tol": -1e-3}, "tol is -0.001; expected a finite number, at least 0"),
        ({"alpha": np.nan}, "alpha is nan; expected a finite number, at least 0"),
        ({"learning_rate_init": 0}, "learning_rate_init is 0; expected a finite number above 0, or None"),
        ({"validation_fraction": 1.0}, "validation_fraction is 1.0; expected a finite number above 0 and below 1"),
        ({"factor": np.inf}, "factor is inf; expected a finite number, or None"),
        ({"solver": "lbfgs"}, "solver is 'lbfgs'; expected gd, nesterov, adam, rprop, or an Optimizer such as nn.adam"),
        ({"dtype": "float16"}, "dtype 'float16' is not known; accepted: float64, float32"),
        ({"engine": "fast"}, "engine 'fast' is not known; accepted: auto, eager, compiled"),
        ({"device": "tpu"}, "backend 'tpu' is not known; accepted: cpu, gpu"),
        ({"random_state": -1}, "Seed must be between 0 and 2"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_wrong_parameters_are_named(kind: Any, parameter: dict[str, Any], message: str) -> None:
    estimator = kind(**parameter)
    with pytest.raises(ValueError, match=message):
        estimator.fit(*blobs())
    with pytest.raises(NotFittedError):
        estimator.predict(blobs()[0])


@pytest.mark.parametrize("masked", ["X", "y", "sample_weight"])
def test_a_mask_is_not_dropped(masked: str) -> None:
    X, y = blobs()
    given = {"X": X, "y": y, "sample_weight": np.ones(len(X))}
    given[masked] = np.ma.masked_equal(given[masked], given[masked].flat[0])
    with pytest.raises(nn.ArrayTypeError, match="the array is masked"):
        ShallowNetClassifier().fit(**given)


FAR = {"X": blobs()[0] * [1, 1e200]}, {"y": 1e200 * blobs()[1]}


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        (ShallowNetClassifier, {"y": np.full(40, "ham")}, "y has one class, 'ham'; expected two or more"),
        (ShallowNetClassifier, {"y": np.linspace(0, 1, 40)}, "Unknown label type: continuous"),
        (ShallowNetClassifier, FAR[0], "feature 2 lies between .* and cannot be standardised"),
        (ShallowNetRegressor, FAR[1], r"y 1 lies between 0 and 1e\+200 and cannot be standardised"),
        (ShallowNetRegressor, {"sample_weight": np.zeros(40)}, "weights must contain .* non-zero"),
    ],
)
def test_data_that_do_not_serve_are_refused(kind: Any, changes: dict[str, np.ndarray], message: str) -> None:
    X, y = blobs()
    with pytest.raises(ValueError, match=message):
        kind().fit(**{"X": X, "y": y, **changes})


def test_divergence_comes_with_its_remedy() -> None:
    settings = {"solver": "gd", "tol": 0, "alpha": 0.0, "factor": 1e-200, "learning_rate_init": 1e200}
    classifier = ShallowNetClassifier(random_state=0, **settings)
    with pytest.raises(nn.DivergenceError, match="no longer finite at iteration 3: take a learning rate smaller"):
        classifier.fit(*blobs())
    assert classifier.set_params(n_init=2).fit(*blobs()).status_ == "done"  # its second start has luck
    with pytest.raises(nn.DivergenceError, match="none of 2 starts stayed finite: take a smaller learning_rate_init"):
        ShallowNetRegressor(solver="gd", learning_rate_init=1e300, n_init=2).fit(*blobs())


@pytest.mark.parametrize("missing", ["sklearn", "sklearn.utils.validation"])
def test_without_scikit_learn_the_extra_is_named(missing: str) -> None:
    program = f"import sys; sys.modules[{missing!r}] = None\nimport nn_backend.estimator"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "nn_backend.errors.MissingPackageError: nn_backend.estimator needs scikit-learn 1.7 or newer: "
        'run "pip install nn-backend[sklearn]"'
    )

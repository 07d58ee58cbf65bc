"""The scikit-learn classifier: scikit-learn's own checks, agreement with fit and MLPClassifier, and its company."""

import pickle
import signal
import subprocess
import sys
import threading
import warnings
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from places import STRICT, require_gpu
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import nn_backend as nn
from nn_backend.engines.machine import count_threads
from nn_backend.estimator import ShallowNetClassifier

CONFIGURATIONS = [
    ShallowNetClassifier(),
    ShallowNetClassifier(standardize=False),
    ShallowNetClassifier(engine="eager"),
    ShallowNetClassifier(engine="compiled"),
    ShallowNetClassifier(dtype="float32"),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # some checks train on noise
@parametrize_with_checks(CONFIGURATIONS)
def test_passes_the_checks_of_scikit_learn(estimator: ShallowNetClassifier, check: Any) -> None:
    check(estimator)


def marks(rows: int = 395) -> tuple[np.ndarray, np.ndarray]:
    """Give the article's data as scikit-learn has it: (m, 3) and 0 or 1 in (m,)."""
    X, y = nn.load_marks()
    return X.T[:rows], y[0, :rows].astype(int)


def blobs(rows: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Give two clouds far apart, as (m, 2), and True where a row is of the second."""
    second = np.arange(rows) % 2 == 1
    X = np.random.default_rng(7).normal(size=(rows, 2)) + np.where(second, 8, -8)[:, None]
    return X, second


@pytest.fixture(scope="module")
def trained() -> ShallowNetClassifier:
    return ShallowNetClassifier(5, random_state=1).fit(*marks())


# Labels


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (np.array([0, 1]), [0, 1]),
        (np.array([7, -3]), [-3, 7]),
        (np.array([2.0, 1.0]), [1.0, 2.0]),
        (np.array([True, False]), [False, True]),
        (np.array(["spam", "ham"]), ["ham", "spam"]),
        (np.array(["spam", "ham"], dtype=object), ["ham", "spam"]),
        (pd.Series(["spam", "ham"], dtype="string"), ["ham", "spam"]),
        (pd.Series(["spam", "ham"], dtype="category"), ["ham", "spam"]),
        (["yes", "no"], ["no", "yes"]),
    ],
    ids=lambda value: f"{type(value).__name__}-{getattr(value, 'dtype', '')}",
)
def test_labels_of_any_kind(labels: Any, classes: list[Any]) -> None:
    """The labels' order in the data must not matter: the sorted second is what a high probability stands for."""
    X, second = blobs()
    y = [labels[int(k)] for k in second] if isinstance(labels, list) else labels[second.astype(int)]
    classifier = ShallowNetClassifier(random_state=0, tol=0, max_iter=300).fit(X, y)
    assert classifier.classes_.tolist() == classes
    predicted = classifier.predict(X)
    assert predicted.dtype == classifier.classes_.dtype
    assert predicted.tolist() == list(y)
    is_last_class = np.array([label == classes[1] for label in y])
    assert np.array_equal(classifier.predict_proba(X)[:, 1] > 0.9, is_last_class)
    assert np.array_equal(classifier.decision_function(X) > 2, is_last_class)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.full(40, "ham"), r"y has one class, np.str_\('ham'\); expected two"),
        (np.arange(40) % 3, r"Only binary .* multiclass: y has 3 classes. Wrap the estimator in .*OneVsRestClassifier"),
        (np.linspace(0, 1, 40), "Unknown label type: continuous"),
    ],
)
def test_labels_that_are_not_two_are_refused(y: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ShallowNetClassifier().fit(blobs()[0], y)


def test_the_remedy_for_three_classes_works() -> None:
    X, y = load_iris(return_X_y=True)
    classifier = OneVsRestClassifier(ShallowNetClassifier(random_state=0, tol=0)).fit(X, y)
    assert classifier.score(X, y) > 0.95


# What is computed


@pytest.mark.parametrize(("standardized", "dtype"), [(False, "float64"), (True, "float64"), (True, "float32")])
@pytest.mark.parametrize("engine", ["eager", "compiled"])
def test_is_what_fit_gives(standardized: bool, dtype: str, engine: str) -> None:
    """Without standardisation this is the article's run."""
    X, y = nn.load_marks()
    X, y = X[:, :300], y[:, :300]
    options = {"random_state": 3, "factor": 0.01, "dtype": dtype, "engine": engine, "tol": 0}
    classifier = ShallowNetClassifier(4, max_iter=250, standardize=standardized, **options).fit(*marks(300))
    if standardized:
        X = (X - X.mean(axis=1, keepdims=True)) / X.std(axis=1, keepdims=True)
    start = nn.init_params(3, 4, seed=3, factor=0.01, dtype=dtype)
    result = nn.fit(X, y, start, iterations=250, engine=engine, log_every=100)
    rtol = 1e-4 if dtype == "float32" else 1e-10 if standardized else 0
    for actual, expected in zip(classifier.params_, result.params, strict=True):
        assert actual.dtype == dtype
        np.testing.assert_allclose(actual, expected, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(classifier.loss_curve_, result.history["cost"], rtol=rtol)
    assert len(classifier.loss_curve_) == len([0, 100, 200, 250])
    assert classifier.loss_ == classifier.loss_curve_[-1]
    assert (classifier.n_iter_, classifier.device_, classifier.engine_) == (250, "numpy", engine)
    assert (classifier.standardization_ is not None) == standardized


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_agrees_with_mlp_classifier_from_the_same_start() -> None:
    X, y = marks()
    peer = MLPClassifier(
        (4,),
        activation="logistic",
        solver="sgd",
        alpha=0,
        momentum=0,
        nesterovs_momentum=False,
        batch_size=len(y),
        learning_rate_init=0.2,
        max_iter=1,
        tol=0,
        n_iter_no_change=1000,
        warm_start=True,
    )
    scaled = StandardScaler().fit_transform(X)
    peer.fit(scaled, y)
    start = nn.init_params(3, 4, seed=5, factor=0.7)
    peer.coefs_, peer.intercepts_ = [start.w1.T.copy(), start.w2.T.copy()], [start.b1[:, 0].copy(), start.b2[:, 0]]
    del peer._optimizer
    peer.set_params(max_iter=300).fit(scaled, y)
    ours = ShallowNetClassifier(4, random_state=5, factor=0.7, max_iter=300, tol=0).fit(X, y)
    for actual, expected in zip(ours.coefs_ + ours.intercepts_, peer.coefs_ + peer.intercepts_, strict=True):
        assert actual.shape == expected.shape
        np.testing.assert_allclose(actual, expected, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(ours.predict_proba(X), peer.predict_proba(scaled), rtol=1e-8)


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_predictions_follow_from_the_attributes(standardize: bool, dtype: str) -> None:
    X, y = marks()
    classifier = ShallowNetClassifier(5, random_state=1, max_iter=500, tol=None, standardize=standardize, dtype=dtype)
    classifier.fit(X, y)
    (w1, w2), (b1, b2) = classifier.coefs_, classifier.intercepts_
    assert [a.shape for a in (w1, w2, b1, b2)] == [(3, 5), (5, 1), (5,), (1,)]
    inputs = (X - X.mean(axis=0)) / X.std(axis=0) if standardize else X
    hidden = 0.5 * (1 + np.tanh((inputs @ w1.astype(float) + b1) / 2))
    logit = hidden @ w2[:, 0].astype(float) + b2[0]
    np.testing.assert_allclose(classifier.decision_function(X), logit, rtol=1e-9, atol=1e-9)
    proba = classifier.predict_proba(X)
    np.testing.assert_allclose(proba, 0.5 * (1 + np.tanh(np.stack([-logit, logit], axis=1) / 2)), atol=1e-12)
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-15)
    assert np.array_equal(classifier.predict(X), (logit > 0).astype(int))
    assert 0 < classifier.predict(X).mean() < 1


def test_small_probabilities_of_either_label_do_not_round_to_0(trained: ShallowNetClassifier) -> None:
    X = marks()[0]
    sure = pickle.loads(pickle.dumps(trained))
    sure.params_ = trained.params_._replace(w2=trained.params_.w2 * 30, b2=trained.params_.b2 * 30)
    logit = sure.decision_function(X)
    assert logit.min() < -50
    assert logit.max() > 50
    proba = sure.predict_proba(X)
    np.testing.assert_allclose(proba[logit > 50, 0], np.exp(-logit[logit > 50]), rtol=1e-12)
    np.testing.assert_allclose(proba[logit < -50, 1], np.exp(logit[logit < -50]), rtol=1e-12)
    sure.params_ = trained.params_._replace(w2=trained.params_.w2 * 1e5)  # beyond what exp can give
    assert set(sure.predict_proba(X).ravel()) == {0.0, 1.0}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_is_as_accurate_as_mlp_classifier_on_breast_cancer() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    shared = {"learning_rate_init": 0.2, "max_iter": 1000, "random_state": 0, "tol": 0}
    plain = {"alpha": 0, "momentum": 0, "nesterovs_momentum": False, "batch_size": len(y), "n_iter_no_change": 1000}
    peer = make_pipeline(StandardScaler(), MLPClassifier((4,), activation="logistic", solver="sgd", **plain, **shared))
    with warnings.catch_warnings(action="ignore"):  # the batch is clipped to the fold
        expected = cross_val_score(peer, X, y, cv=folds).mean()
    actual = cross_val_score(ShallowNetClassifier(4, **shared), X, y, cv=folds).mean()
    assert expected > 0.96
    assert actual > expected - 0.01


def test_factor_is_2_over_the_root_of_the_features_by_default() -> None:
    X = np.random.default_rng(0).normal(size=(50, 16))
    y = X[:, 0] > 0
    by_default, given = (
        ShallowNetClassifier(random_state=0, max_iter=10, tol=0, factor=factor).fit(X, y) for factor in (None, 0.5)
    )
    assert all(map(np.array_equal, by_default.params_, given.params_))


# Random state


def test_the_same_seed_gives_the_same_network() -> None:
    X, y = blobs()

    def first_weight(random_state: Any) -> float:
        classifier = ShallowNetClassifier(random_state=random_state, max_iter=1, tol=0).fit(X, y)
        return float(classifier.params_.w1[0, 0])

    assert first_weight(11) == first_weight(11) == first_weight(np.int64(11))
    assert first_weight(11) != first_weight(12)
    one, other = np.random.RandomState(11), np.random.RandomState(11)
    drawn = [first_weight(one), first_weight(one)]
    assert drawn == [first_weight(other), first_weight(other)]
    assert drawn[0] != drawn[1]
    assert first_weight(None) != first_weight(None)


# When training ends


def first_settled(curve: list[float], tol: float) -> int:
    """Give the first row of a curve that differs from the row before by less than tol."""
    return next(k for k in range(1, len(curve)) if abs(curve[k] - curve[k - 1]) < tol)


@pytest.mark.parametrize(("tol", "standardize"), [(1e-2, True), (1e-3, True), (4e-3, False)])
def test_training_ends_when_the_cost_settles(tol: float, standardize: bool) -> None:
    X, y = marks(300)
    options = {"random_state": 3, "standardize": standardize, "factor": 0.01}
    whole = ShallowNetClassifier(tol=0, max_iter=6000, **options).fit(X, y)
    assert whole.n_iter_ == 6000
    expected = first_settled(whole.loss_curve_, tol)
    assert (np.diff(whole.loss_curve_[:expected]).max() > tol) == (
        not standardize
    )  # on raw marks the cost also jumps up
    stopped = ShallowNetClassifier(tol=tol, max_iter=6000, **options).fit(X, y)
    assert stopped.n_iter_ == 100 * expected
    assert stopped.loss_curve_ == whole.loss_curve_[: expected + 1]
    just = ShallowNetClassifier(tol=tol, max_iter=100 * expected, **options).fit(X, y)  # without a warning
    assert all(map(np.array_equal, just.params_, stopped.params_))


@pytest.mark.parametrize("max_iter", [50, 101, 300])
def test_too_few_iterations_warn(max_iter: int) -> None:
    """A last stretch of one iteration changes the cost by little, and says nothing."""
    with pytest.warns(ConvergenceWarning, match=rf"max_iter={max_iter} was reached.*tol=0.001: take a larger max_iter"):
        classifier = ShallowNetClassifier(random_state=0, max_iter=max_iter).fit(*marks())
    assert classifier.n_iter_ == max_iter


@pytest.mark.parametrize("tol", [0, None])
def test_without_tol_nothing_ends_early_or_warns(tol: float | None) -> None:
    X, y = np.zeros((4, 1)), [0, 1, 0, 1]  # where the cost settles at once
    assert ShallowNetClassifier(random_state=0, max_iter=1000, tol=tol).fit(X, y).n_iter_ == 1000
    assert ShallowNetClassifier(random_state=0, max_iter=1000).fit(X, y).n_iter_ < 1000


def test_verbose_prints_each_look(capsys: pytest.CaptureFixture[str]) -> None:
    X, y = marks()
    ShallowNetClassifier(random_state=0, max_iter=250, tol=0).fit(X, y)
    assert capsys.readouterr().out == ""
    curve = ShallowNetClassifier(random_state=0, max_iter=250, tol=0, verbose=True).fit(X, y).loss_curve_
    lines = [f"Iteration {k}, loss = {cost:.8f}" for k, cost in zip([0, 100, 200, 250], curve, strict=True)]
    assert capsys.readouterr().out.splitlines() == lines


def test_ctrl_c_is_passed_on_and_the_network_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted_fit(*args: Any, callback: Any, **options: Any) -> nn.FitResult:
        def interrupt(iteration: int, score: nn.Score) -> bool:
            if iteration == 200:
                threading.Timer(0.05, signal.raise_signal, [signal.SIGINT]).start()
            return bool(callback(iteration, score))

        return nn.fit(*args, callback=interrupt, **options)

    monkeypatch.setattr("nn_backend.estimator.fit", interrupted_fit)
    X, y = marks()
    classifier = ShallowNetClassifier(random_state=0, max_iter=10**9, tol=0)
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(X, y)
    assert 200 <= classifier.n_iter_ < 10**9
    assert classifier.score(X, y) > 0.9


# In company


def test_pipeline_takes_frames_and_remembers_their_names() -> None:
    X, y = marks()
    frame = pd.DataFrame(X, columns=["first", "second", "third"])
    classifier = make_pipeline(StandardScaler().set_output(transform="pandas"), ShallowNetClassifier(random_state=0))
    classifier.fit(frame, pd.Series(y))
    assert classifier[-1].feature_names_in_.tolist() == ["first", "second", "third"]
    assert classifier[-1].n_features_in_ == 3
    assert classifier.score(frame, y) > 0.97
    alone = ShallowNetClassifier(random_state=0).fit(frame, y)
    assert np.array_equal(alone.predict(frame), ShallowNetClassifier(random_state=0).fit(X, y).predict(X))
    with pytest.raises(ValueError, match="feature names should match"):
        alone.predict(frame.rename(columns={"third": "fourth"}))


def test_grid_search_in_two_workers_is_that_in_one() -> None:
    X, y = marks()
    grid = {"n_hidden": [1, 3], "learning_rate_init": [0.2, 1.0]}
    in_one, in_two = (
        GridSearchCV(ShallowNetClassifier(random_state=0), grid, cv=3, n_jobs=jobs, error_score="raise").fit(X, y)
        for jobs in (1, 2)
    )
    scores = in_two.cv_results_["mean_test_score"]
    assert scores.tolist() == in_one.cv_results_["mean_test_score"].tolist()
    assert in_two.best_score_ == scores.max() > 0.97
    assert in_two.best_params_ == in_one.best_params_


def test_calibration_and_cross_validation() -> None:
    X, y = marks()
    labels = np.where(y == 1, "passed", "failed")
    assert cross_val_score(ShallowNetClassifier(random_state=0), X, labels, cv=3, scoring="roc_auc").min() > 0.98
    for method in ("sigmoid", "isotonic"):
        calibrated = CalibratedClassifierCV(ShallowNetClassifier(random_state=0), method=method, cv=3).fit(X, labels)
        assert calibrated.score(X, labels) > 0.97


def test_pickles_and_clones(trained: ShallowNetClassifier) -> None:
    X, _ = marks()
    copy = pickle.loads(pickle.dumps(trained))
    assert copy.predict_proba(X).tobytes() == trained.predict_proba(X).tobytes()
    assert copy.get_params() == clone(trained).get_params() == trained.get_params()
    assert clone(trained).n_hidden == 5
    with pytest.raises(NotFittedError):
        clone(trained).predict(X)


@pytest.mark.parametrize("name", ["coefs_", "intercepts_", "loss_"])
def test_what_training_gives_is_not_there_before(name: str) -> None:
    assert not hasattr(ShallowNetClassifier(), name)


def test_joblib_tells_its_workers_their_share() -> None:
    told = joblib.Parallel(n_jobs=2)(joblib.delayed(count_threads)() for _ in range(4))
    assert told == [max(1, joblib.cpu_count() // 2)] * 4


# Devices


def test_trains_and_predicts_on_its_device(monkeypatch: pytest.MonkeyPatch, trained: ShallowNetClassifier) -> None:
    """On the strict device an array that stays on the host, or comes back unasked, is an error."""
    monkeypatch.setattr("nn_backend.backend._FACTORIES", dict(nn.backend._FACTORIES))
    asked = []
    nn.register_backend("mine", lambda number: asked.append(number) or STRICT)
    X, y = marks()
    there, here = (
        ShallowNetClassifier(random_state=0, max_iter=200, tol=0, device=device).fit(X, y)
        for device in ("mine:1", "cpu")
    )
    assert (there.device_, there.engine_, asked) == ("strict", "eager", [1])
    assert all(isinstance(array, np.ndarray) for array in there.params_)
    logits = there.decision_function(X)
    assert asked == [1, 1]
    assert isinstance(logits, np.ndarray)
    np.testing.assert_allclose(logits, here.decision_function(X), rtol=1e-9, atol=1e-9)


def test_gpu_and_cpu_agree() -> None:
    require_gpu()
    X, y = marks()
    on_gpu, on_cpu = (
        ShallowNetClassifier(random_state=0, max_iter=200, tol=0, device=device).fit(X, y) for device in ("gpu", "cpu")
    )
    assert on_gpu.device_.startswith("cupy")
    np.testing.assert_allclose(on_gpu.decision_function(X), on_cpu.decision_function(X), rtol=1e-9, atol=1e-9)


def test_a_missing_gpu_is_reported_here_and_from_workers(trained: ShallowNetClassifier) -> None:
    try:
        nn.get_backend("gpu")
    except nn.BackendUnavailableError as error:
        diagnosis = str(error)
    else:
        pytest.skip("a GPU can be used here")
    X, y = marks()
    with pytest.raises(nn.BackendUnavailableError) as raised:
        ShallowNetClassifier(device="gpu").fit(X, y)
    assert str(raised.value) == diagnosis
    with pytest.raises(nn.BackendUnavailableError):
        clone(trained).fit(X, y).set_params(device="gpu").predict(X)
    search = GridSearchCV(ShallowNetClassifier(device="gpu"), {"n_hidden": [1, 2]}, cv=2, n_jobs=2, error_score="raise")
    with pytest.raises(nn.BackendUnavailableError) as raised:
        search.fit(X, y)
    assert str(raised.value) == diagnosis


# Errors


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        ({"n_hidden": 0}, "n_hidden is 0; expected a whole number, at least 1"),
        ({"n_hidden": 4.0}, "n_hidden is 4.0; expected a whole number, at least 1"),
        ({"max_iter": 0}, "max_iter is 0; expected a whole number, at least 1"),
        ({"max_iter": 1e3}, "max_iter is 1000.0; expected a whole number, at least 1"),
        ({"tol": -1e-3}, "tol is -0.001; expected a number, at least 0, or None"),
        ({"tol": np.nan}, "tol is nan; expected a number, at least 0, or None"),
        ({"learning_rate_init": 0}, "learning_rate is 0; expected a finite number above 0"),
        ({"factor": np.inf}, "factor is inf; expected a finite number"),
        ({"dtype": "float16"}, "dtype is 'float16'; accepted: float64, float32"),
        ({"engine": "fast"}, "engine 'fast' is not known; accepted: auto, eager, compiled"),
        ({"device": "tpu"}, "backend 'tpu' is not known; accepted: cpu, gpu"),
        ({"random_state": -1}, "seed is -1; expected a whole number from 0 to 4294967295"),
        ({"random_state": "one"}, "'one' cannot be used to seed"),
    ],
)
def test_wrong_parameters_are_named(parameter: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ShallowNetClassifier(**parameter).fit(*blobs())


def test_training_that_failed_leaves_nothing_to_predict_with() -> None:
    X, y = blobs()
    classifier = ShallowNetClassifier(engine="fast")
    with pytest.raises(nn.ArgumentError):
        classifier.fit(X, y)
    with pytest.raises(NotFittedError):
        classifier.predict(X)


def test_data_that_cannot_be_scaled_are_refused() -> None:
    X, y = blobs()
    with pytest.raises(nn.DataError, match=r"feature 2 lies between .* and cannot be standardised"):
        ShallowNetClassifier().fit(X * [1, 1e200], y)


def test_divergence_comes_with_its_remedy() -> None:
    classifier = ShallowNetClassifier(random_state=0, factor=1e-200, learning_rate_init=1e200)
    with pytest.raises(nn.DivergenceError, match=r"no longer finite at iteration 3: take a learning rate smaller"):
        classifier.fit(*blobs())


@pytest.mark.parametrize("missing", ["sklearn", "sklearn.utils.validation"])
def test_without_scikit_learn_the_extra_is_named(missing: str) -> None:
    program = f"import sys; sys.modules[{missing!r}] = None\nimport nn_backend.estimator"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "nn_backend.errors.MissingPackageError: nn_backend.estimator needs scikit-learn 1.7 or newer: "
        'run "pip install nn-backend[sklearn]"'
    )

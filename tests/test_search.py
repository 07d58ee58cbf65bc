"""`ShallowNetSearchCV` against scikit-learn's `GridSearchCV` over the same estimator, folds and grid."""

import pkgutil
import signal
import threading
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
import sklearn
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning, NotFittedError
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, ShuffleSplit, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import nn_backend as nn
from nn_backend.estimator import ShallowNetClassifier, ShallowNetRegressor
from nn_backend.search import ShallowNetSearchCV

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
MARKS, PASSED = nn.load_marks()
X, WORDS = MARKS.T[:120], np.where(PASSED[0, :120] == 1, "passed", "failed")
IRIS, DIABETES = load_iris(return_X_y=True), load_diabetes(return_X_y=True)
CLASSIFIER = ShallowNetClassifier(3, random_state=1, max_iter=30)
REGRESSOR = ShallowNetRegressor(3, random_state=1, max_iter=30)
SIZES = {"n_hidden": [1, 4], "alpha": [0, 0.3, 10]}
LOUD, UNLIKE = {"verbose": [True], "max_iter": [1]}, {"passed": 3, "failed": 0.5}


def two_scores(model: Any, X: Any, y: Any) -> dict[str, float]:
    """Return what only a trained estimator can tell, and what only the given rows can."""
    rows = np.array_split(np.arange(len(X)), 6)  # a scorer may ask joblib for something
    asked = Parallel(n_jobs=2, prefer="threads")(delayed(model.predict)(X[some]) for some in rows)
    right = accuracy_score(y, np.concatenate(asked))
    return {"right": right, "length": -float(model.n_iter_) + len(model.loss_curve_) - model.loss_ + X[0, 0]}


# Each search: what differs from CLASSIFIER on X and WORDS with SIZES; "calls": how many networks are trained by their
# own `fit`, and calls of `fit` for all others.
CASES: dict[str, dict[str, Any]] = {
    "words": {},
    "class weights": {
        "param_grid": {"class_weight": [None, "balanced", UNLIKE], "standardize": [True, False]},
        "cv": StratifiedKFold(2, shuffle=True, random_state=0),
        "scoring": "accuracy",
        "calls": (0, 6),
    },
    "one by one": {
        "param_grid": [SIZES, {"early_stopping": [True, False], "warm_start": [True]}, LOUD],
        "cv": 2,
        "calls": (4, 3),
    },
    "rules": {
        "param_grid": [
            {"solver": ["adam", nn.adam(beta1=0.5), "gd"], "learning_rate_init": [None, 0.1, 0.3]},
            {"tol": [None, 0, 1e-2], "random_state": [3, np.random.RandomState(5)], "factor": [0.1, None]},
        ],
        "cv": 2,
        "refit": False,
        "calls": (0, 8),
    },
    "classes and starts": {
        "param_grid": {"n_init": [1, 3], "alpha": [0.1, 1], "dtype": ["float32", "float64"]},
        "cv": StratifiedKFold(3),
        "scoring": ["accuracy", "neg_log_loss"],
        "refit": "neg_log_loss",
        "data": IRIS,
        "calls": (0, 4),
    },
    "a class that is missing": {
        "cv": [*KFold(3).split(*IRIS), (np.arange(0, 150, 2), np.arange(1, 150, 2))],
        "data": IRIS,
        "calls": (0, 4),
    },
    "callables": {"cv": 2, "scoring": two_scores, "refit": lambda found: int(found["mean_test_length"].argmax())},
    "groups": {"cv": GroupKFold(4), "fit": {"groups": np.arange(120) // 7}},
    "pairs of rows": {
        "cv": [(np.arange(80), np.arange(70, 120)), (np.arange(100) % 90, [5])],
        "data": (X[::-1], WORDS[::-1]),
    },
    "numbers and weights": {
        "estimator": REGRESSOR,
        "param_grid": SIZES | {"standardize": [True, False]},
        "data": DIABETES,
        "fit": {"sample_weight": np.random.default_rng(0).uniform(0, 2, 442).round()},
        "calls": (0, 4),
    },
    "several numbers": {
        "estimator": REGRESSOR,
        "param_grid": {"alpha": [0.1, 1, 5], "n_init": [2]},
        "cv": ShuffleSplit(3, random_state=0),
        "scoring": "r2",
        "data": (DIABETES[0], np.stack([DIABETES[1], DIABETES[0][:, 2] ** 2], axis=1)),
        "calls": (0, 1),
    },
    "a pipeline": {
        "estimator": make_pipeline(StandardScaler(), CLASSIFIER),
        "param_grid": {"shallownetclassifier__alpha": [0.1, 1]},
        "cv": 2,
        "calls": (4, 0),
    },
}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Callable[[], tuple[int, ...]]:
    """Return what counts the candidates trained by themselves, on a fold each, and calls of `fit` for all others."""
    names = ("sklearn.model_selection._search._fit_and_score", "nn_backend.stacks.fit")
    counted = {name: Mock(wraps=pkgutil.resolve_name(name)) for name in names}
    for name, function in counted.items():
        monkeypatch.setattr(name, function)
    return lambda: tuple(function.call_count for function in counted.values())


def assert_same(ours: ShallowNetSearchCV, theirs: GridSearchCV) -> None:
    assert ours.cv_results_.keys() == theirs.cv_results_.keys()
    for name, values in theirs.cv_results_.items():
        found = ours.cv_results_[name]
        if name.startswith("param"):
            assert [*map(repr, found)] == [*map(repr, values)]
        elif name.endswith("_time"):
            assert found.shape == values.shape
        else:
            np.testing.assert_allclose(found, values, rtol=0, atol=1e-9, err_msg=name)
    learned = {name for name, value in vars(theirs).items() if name.endswith("_") and not name.startswith("_")}
    assert {name for name in vars(ours) if name.endswith("_") and not name.startswith("_")} == learned
    for name in learned & {"best_index_", "n_splits_", "multimetric_"}:
        assert getattr(ours, name) == getattr(theirs, name)


@pytest.mark.parametrize("case", CASES)
def test_is_a_grid_search(case: str, calls: Callable[[], tuple[int, ...]]) -> None:
    given = {"estimator": CLASSIFIER, "param_grid": SIZES, "data": (X, WORDS), "calls": (0, 2), **CASES[case]}
    (examples, y), told, expected = given.pop("data"), given.pop("fit", {}), given.pop("calls")
    ours = ShallowNetSearchCV(**given).fit(examples, y, **told)
    assert calls() == expected
    theirs = GridSearchCV(**given).fit(examples, y, **told)
    assert_same(ours, theirs)
    if ours.refit:
        assert ours.predict(examples).tolist() == theirs.predict(examples).tolist()
        assert repr(ours.best_params_) == repr(theirs.best_params_)


@pytest.mark.parametrize(("name", "at_most", "expected"), [("NETWORKS_AT_ONCE", 6, 4), ("NUMBERS_AT_ONCE", 540, 2)])
def test_memory_is_bounded(name: str, at_most: int, expected: int, calls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"nn_backend.stacks.{name}", at_most)
    grid = {"alpha": np.geomspace(0.01, 10, 20)}  # on four folds with 90 rows of 3 numbers
    ours = ShallowNetSearchCV(CLASSIFIER, grid, cv=4).fit(X, WORDS)
    assert calls() == (0, expected)
    assert_same(ours, GridSearchCV(CLASSIFIER, grid, cv=4).fit(X, WORDS))


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
@pytest.mark.parametrize(
    ("grid", "options"),
    [
        ({"alpha": [1, -1], "n_hidden": [2, 0]}, {"cv": 2}),
        ({"random_state": [-1, 1]}, {"cv": 2}),
        ({"solver": ["gd"], "alpha": [0, 1], "learning_rate_init": [0.1, 1e300]}, {"cv": 2, "scoring": "roc_auc"}),
        ({"solver": ["gd"], "n_init": [2], "learning_rate_init": [0.1, 1e300]}, {"cv": 2}),
        (SIZES, {"cv": [(np.flatnonzero(WORDS == "passed"), [1, 2]), (np.arange(60), np.arange(60, 120))]}),
    ],
    ids=["parameters", "seed", "divergence", "starts", "one class"],
)
def test_candidates_that_cannot_be_trained_have_no_score(grid: Any, options: dict[str, Any]) -> None:
    searches, messages = [], []
    for kind in (ShallowNetSearchCV, GridSearchCV):
        with pytest.warns(FitFailedWarning) as caught:
            searches.append(kind(CLASSIFIER, grid, refit=False, **options).fit(X, WORDS))
        messages.append(next(str(one.message) for one in caught if one.category is FitFailedWarning).splitlines()[1])
    assert_same(*searches)
    assert messages[0] == messages[1]


def test_where_no_candidate_can_be_trained_scikit_learns_error_says_why() -> None:
    with pytest.raises(ValueError, match=r"All the 4 fits failed(.|\n)*alpha is -1; expected a finite number"):
        ShallowNetSearchCV(CLASSIFIER, {"alpha": [-1, -2]}, cv=2).fit(X, WORDS)
    with pytest.raises(ValueError, match="Invalid parameter 'hidden'"):
        ShallowNetSearchCV(CLASSIFIER, {"hidden": [1]}).fit(X, WORDS)


def test_networks_that_did_not_converge_are_counted() -> None:
    grid = {"max_iter": [1, 40], "tol": [0, *np.geomspace(1e-4, 1, 19)]}
    given = ShallowNetClassifier(2, random_state=0), grid
    with pytest.warns(ConvergenceWarning) as each:
        GridSearchCV(*given, cv=3, refit=False).fit(X, WORDS)
    with pytest.warns(ConvergenceWarning, match=f"max_iter was reached by {len(each)} of 120 networks") as caught:
        ShallowNetSearchCV(*given, cv=3, refit=False).fit(X, WORDS)
    assert len(caught) == 1


def test_is_an_estimator_among_others() -> None:
    search = ShallowNetSearchCV(CLASSIFIER, {"alpha": [0.1, 1]}, cv=2)
    with pytest.raises(NotFittedError):
        search.predict(X)
    assert [*clone(search).get_params(deep=False)] == ["cv", "estimator", "param_grid", "refit", "scoring"]
    search.fit(pd.DataFrame(X, columns=["first", "second", "third"]), pd.Series(WORDS))
    assert search.feature_names_in_.tolist() == ["first", "second", "third"]
    assert (search.classes_.tolist(), search.n_features_in_) == (["failed", "passed"], 3)
    assert search.best_estimator_.to_model().labels == ("failed", "passed")


def test_weights_are_routed() -> None:
    weights = np.random.default_rng(0).uniform(0, 2, 120).round()
    with sklearn.config_context(enable_metadata_routing=True):
        estimator = clone(CLASSIFIER).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        ours, theirs = (
            kind(estimator, SIZES, cv=2).fit(X, WORDS, sample_weight=weights)
            for kind in (ShallowNetSearchCV, GridSearchCV)
        )
    assert_same(ours, theirs)


def test_ctrl_c_ends_all_calls() -> None:
    search = ShallowNetSearchCV(ShallowNetClassifier(max_iter=10**9, tol=0), SIZES, cv=2)
    # The second, should a callback of the garbage collector, such as hypothesis has one, swallow the first.
    interrupt = signal.pthread_kill, [threading.main_thread().ident, signal.SIGINT]
    timers = [threading.Timer(seconds, *interrupt) for seconds in (0.3, 20)]
    for timer in timers:
        timer.start()
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, WORDS)
    for timer in timers:
        timer.cancel()
    assert not hasattr(search, "cv_results_")

"""`ShallowNetSearchCV` against scikit-learn's `GridSearchCV` over the same estimator, folds and grid."""

import pkgutil
import signal
import threading
from typing import Any

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

MARKS, PASSED = nn.load_marks()
X, WORDS = MARKS.T[:120], np.where(PASSED[0, :120] == 1, "passed", "failed")
IRIS, DIABETES = load_iris(return_X_y=True), load_diabetes(return_X_y=True)
CLASSIFIER = ShallowNetClassifier(3, random_state=1, max_iter=30)
REGRESSOR = ShallowNetRegressor(3, random_state=1, max_iter=30)
SIZES = {"n_hidden": [1, 4], "alpha": [0, 0.3, 10]}


def two_scores(model: Any, X: Any, y: Any) -> dict[str, float]:
    """Return what only a trained estimator can tell, and what only the given rows can."""
    rows = np.array_split(np.arange(len(X)), 6)  # a scorer may ask joblib for something
    asked = Parallel(n_jobs=2, prefer="threads")(delayed(model.predict)(X[some]) for some in rows)
    right = accuracy_score(y, np.concatenate(asked))
    return {"right": right, "length": -float(model.n_iter_) + len(model.loss_curve_) - model.loss_ + X[0, 0]}


# Estimator, grid, options, X, y, arguments of fit; how many networks are trained by their own fit, and calls of others.
CASES = {
    "words": (CLASSIFIER, SIZES, {}, X, WORDS, {}, 0, 2),
    "class weights": (
        CLASSIFIER,
        {"class_weight": [None, "balanced", {"passed": 3, "failed": 0.5}], "standardize": [True, False]},
        {"cv": StratifiedKFold(2, shuffle=True, random_state=0), "scoring": "accuracy"},
        X,
        WORDS,
        {},
        0,
        6,
    ),
    "one by one": (
        CLASSIFIER,
        [SIZES, {"early_stopping": [True, False], "warm_start": [True]}, {"verbose": [True], "max_iter": [1]}],
        {"cv": 2},
        X,
        WORDS,
        {},
        4,
        3,
    ),
    "rules": (
        CLASSIFIER,
        [
            {"solver": ["adam", nn.adam(beta1=0.5), "gd"], "learning_rate_init": [None, 0.1, 0.3]},
            {"tol": [None, 0, 1e-2], "random_state": [3, np.random.RandomState(5)], "factor": [0.1, None]},
        ],
        {"cv": 2, "refit": False},
        X,
        WORDS,
        {},
        0,
        8,
    ),
    "classes and starts": (
        CLASSIFIER,
        {"n_init": [1, 3], "alpha": [0.1, 1], "dtype": ["float32", "float64"]},
        {"cv": StratifiedKFold(3), "scoring": ["accuracy", "neg_log_loss"], "refit": "neg_log_loss"},
        *IRIS,
        {},
        0,
        4,
    ),
    "a class that is missing": (
        CLASSIFIER,
        SIZES,
        {"cv": [*KFold(3).split(*IRIS), (np.arange(0, 150, 2), np.arange(1, 150, 2))]},
        *IRIS,
        {},
        0,
        4,
    ),
    "callables": (
        CLASSIFIER,
        SIZES,
        {"cv": 2, "scoring": two_scores, "refit": lambda results: int(results["mean_test_length"].argmax())},
        X,
        WORDS,
        {},
        0,
        2,
    ),
    "groups": (
        CLASSIFIER,
        SIZES,
        {"cv": GroupKFold(4)},
        X,
        WORDS,
        {"groups": np.arange(120) // 7},
        0,
        2,
    ),
    "pairs of rows": (
        CLASSIFIER,
        SIZES,
        {"cv": [(np.arange(80), np.arange(70, 120)), (np.arange(100) % 90, [5])]},
        X[::-1],
        WORDS[::-1],
        {},
        0,
        2,
    ),
    "numbers": (REGRESSOR, SIZES | {"standardize": [True, False]}, {}, *DIABETES, {}, 0, 4),
    "several numbers": (
        REGRESSOR,
        {"alpha": [0.1, 1, 5], "n_init": [2]},
        {"cv": ShuffleSplit(3, random_state=0), "scoring": "r2"},
        DIABETES[0],
        np.stack([DIABETES[1], DIABETES[0][:, 2] ** 2], axis=1),
        {},
        0,
        1,
    ),
    "weights": (
        REGRESSOR,
        SIZES,
        {"cv": 2},
        *DIABETES,
        {"sample_weight": np.random.default_rng(0).uniform(0, 2, 442).round()},
        0,
        2,
    ),
    "a pipeline": (
        make_pipeline(StandardScaler(), CLASSIFIER),
        {"shallownetclassifier__alpha": [0.1, 1]},
        {"cv": 2},
        X,
        WORDS,
        {},
        4,
        0,
    ),
}


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Return how many candidates were trained by themselves, on a fold each, and calls of `fit` for all others."""
    seen = {"alone": 0, "together": 0}
    for kind, name in (
        ("alone", "sklearn.model_selection._search._fit_and_score"),
        ("together", "nn_backend.stacks.fit"),
    ):
        true = pkgutil.resolve_name(name)

        def counted(*args: Any, true: Any = true, kind: str = kind, **options: Any) -> Any:
            seen[kind] += 1
            return true(*args, **options)

        monkeypatch.setattr(name, counted)
    return seen


def assert_same(ours: ShallowNetSearchCV, theirs: GridSearchCV) -> None:
    assert ours.cv_results_.keys() == theirs.cv_results_.keys()
    for name, values in theirs.cv_results_.items():
        if name.endswith("_time"):
            assert ours.cv_results_[name].shape == values.shape
        elif name == "params":
            assert list(map(repr, ours.cv_results_[name])) == list(map(repr, values))
        elif name.startswith("param_"):
            assert list(map(repr, ours.cv_results_[name].tolist())) == list(map(repr, values.tolist()))
        else:
            np.testing.assert_allclose(ours.cv_results_[name], values, rtol=0, atol=1e-9, err_msg=name)
    learned = {name for name, value in vars(theirs).items() if name.endswith("_") and not name.startswith("_")}
    assert {name for name in vars(ours) if name.endswith("_") and not name.startswith("_")} == learned
    for name in learned & {"best_index_", "n_splits_", "multimetric_"}:
        assert getattr(ours, name) == getattr(theirs, name)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_is_a_grid_search(case: str, counts: dict[str, int]) -> None:
    estimator, grid, options, X, y, given, alone, together = CASES[case]
    ours = ShallowNetSearchCV(estimator, grid, **options).fit(X, y, **given)
    assert counts == {"alone": alone, "together": together}
    theirs = GridSearchCV(estimator, grid, **options).fit(X, y, **given)
    assert_same(ours, theirs)
    if ours.refit:
        assert ours.predict(X).tolist() == theirs.predict(X).tolist()
        assert repr(ours.best_params_) == repr(theirs.best_params_)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("name", "at_most", "calls"), [("NETWORKS_AT_ONCE", 6, 4), ("NUMBERS_AT_ONCE", 540, 2)])
def test_memory_is_bounded(
    name: str, at_most: int, calls: int, counts: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"nn_backend.stacks.{name}", at_most)
    grid = {"alpha": np.geomspace(0.01, 10, 20)}  # on four folds with 90 rows of 3 numbers
    ours = ShallowNetSearchCV(CLASSIFIER, grid, cv=4).fit(X, WORDS)
    assert counts["together"] == calls
    assert_same(ours, GridSearchCV(CLASSIFIER, grid, cv=4).fit(X, WORDS))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
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
    options = {**options, "refit": False}
    with pytest.warns(FitFailedWarning) as ours:
        search = ShallowNetSearchCV(CLASSIFIER, grid, **options).fit(X, WORDS)
    with pytest.warns(FitFailedWarning) as theirs:
        assert_same(search, GridSearchCV(CLASSIFIER, grid, **options).fit(X, WORDS))
    failed = [
        next(str(one.message) for one in caught if one.category is FitFailedWarning).splitlines()[1]
        for caught in (ours, theirs)
    ]
    assert failed[0] == failed[1]


def test_where_no_candidate_can_be_trained_scikit_learns_error_says_why() -> None:
    with pytest.raises(ValueError, match=r"All the 4 fits failed(.|\n)*alpha is -1; expected a finite number"):
        ShallowNetSearchCV(CLASSIFIER, {"alpha": [-1, -2]}, cv=2).fit(X, WORDS)
    with pytest.raises(ValueError, match="Invalid parameter 'hidden'"):
        ShallowNetSearchCV(CLASSIFIER, {"hidden": [1]}).fit(X, WORDS)
    with pytest.raises(ValueError, match=r"For multi-metric scoring, the parameter refit must"):
        ShallowNetSearchCV(CLASSIFIER, SIZES, scoring=["accuracy", "roc_auc"]).fit(X, WORDS)


def test_networks_that_did_not_converge_are_counted() -> None:
    grid = {"max_iter": [1, 40], "tol": [0, *np.geomspace(1e-4, 1, 19)]}
    given = ShallowNetClassifier(2, random_state=0), grid
    with pytest.warns(ConvergenceWarning) as each:
        GridSearchCV(*given, cv=3, refit=False).fit(X, WORDS)
    with pytest.warns(ConvergenceWarning, match=f"max_iter was reached by {len(each)} of 120 networks") as caught:
        ShallowNetSearchCV(*given, cv=3, refit=False).fit(X, WORDS)
    assert len(caught) == 1


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_is_an_estimator_among_others() -> None:
    search = ShallowNetSearchCV(CLASSIFIER, {"alpha": [0.1, 1]}, cv=2)
    with pytest.raises(NotFittedError):
        search.predict(X)
    assert [*clone(search).get_params(deep=False)] == ["cv", "estimator", "param_grid", "refit", "scoring"]
    frame = pd.DataFrame(X, columns=["first", "second", "third"])
    search.fit(frame, pd.Series(WORDS))
    assert search.feature_names_in_.tolist() == [*frame]
    assert (search.classes_.tolist(), search.n_features_in_) == (["failed", "passed"], 3)
    assert search.predict_proba(frame).shape == (120, 2)
    assert search.best_estimator_.to_model().labels == ("failed", "passed")
    assert search.refit_time_ > 0


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
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
    threading.Timer(0.3, signal.pthread_kill, [threading.main_thread().ident, signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, WORDS)
    assert not hasattr(search, "cv_results_")

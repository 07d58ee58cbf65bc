"""A search over the estimators' parameters that trains candidates together; needs the extra ``sklearn``."""

import contextlib
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from nn_backend.errors import ArgumentError, NNBackendError
from nn_backend.estimator import ShallowNetClassifier, ShallowNetRegressor
from nn_backend.shallow_net import ShallowNet
from nn_backend.stacks import Fold, Reached, Stack, stack, together

# isort: split
from sklearn.base import clone, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, ParameterGrid, check_cv
from sklearn.model_selection._validation import (
    _fit_and_score,
    _insert_error_scores,
    _score,
    _warn_or_raise_about_fit_failures,
)
from sklearn.utils import _safe_indexing, indexable
from sklearn.utils.validation import _check_method_params


class ShallowNetSearchCV(GridSearchCV):  # type: ignore[misc]
    """A search like scikit-learn's `GridSearchCV` that trains candidates and folds together instead of one by one.

    It has all methods and attributes of `GridSearchCV`, and the same scores.

    Parameters
    ----------
    estimator : ShallowNetClassifier or ShallowNetRegressor
        What to find parameters for. Any other is fitted candidate by candidate, as `GridSearchCV` does, and so are
        candidates with ``early_stopping`` or ``verbose``.
    param_grid : dict or list of dict
        Values to try by parameter; every combination of a dict's values is a candidate.
    cv : int, splitter or iterable, optional
        Folds, as in `GridSearchCV`: by default five.
    scoring : str, callable, list, tuple or dict, optional
        As in `GridSearchCV`: by default accuracy, or R². These two are computed for many networks at once, others by
        scikit-learn for one after the other.
    refit : bool, str or callable
        Whether to train the best candidate on all examples, or which score tells the best, as in `GridSearchCV`.

    Attributes
    ----------
    cv_results_ : dict
        As in `GridSearchCV`; of networks that are trained together, each has its share of the time.
    best_index_, best_params_, best_score_, best_estimator_, refit_time_, scorer_, n_splits_, multimetric_
        As in `GridSearchCV`.
    classes_, n_features_in_, feature_names_in_
        Those of ``best_estimator_``.

    Examples
    --------
    >>> from nn_backend import load_marks
    >>> X, y = load_marks()
    >>> grid = {"n_hidden": [1, 2, 4, 8], "alpha": [0.1, 1.0, 10.0]}
    >>> search = ShallowNetSearchCV(ShallowNetClassifier(random_state=0), grid).fit(X.T, y[0])
    >>> len(search.cv_results_["params"]), bool(search.best_score_ > 0.95)
    (12, True)
    """

    def __init__(
        self, estimator: Any, param_grid: Any, *, cv: Any = None, scoring: Any = None, refit: Any = True
    ) -> None:
        super().__init__(estimator, param_grid, scoring=scoring, refit=refit, cv=cv)

    def fit(self, X: Any, y: Any, **params: Any) -> Self:
        """Train and score each candidate on each fold, and the best on all examples.

        Parameters
        ----------
        X : array (m, n_features), or DataFrame
            One example per row.
        y : array (m,)
            Labels, or numbers to predict; of numbers also (m, n_outputs).
        **params
            ``sample_weight`` for the estimators, ``groups`` for the splitter; as in `GridSearchCV`.

        Raises
        ------
        ValueError
            If no candidate could be trained on any fold, or a parameter is not accepted.
        KeyboardInterrupt
            On Ctrl-C.

        Warns
        -----
        ConvergenceWarning
            If networks did ``max_iter`` updates before ``tol`` was met.
        FitFailedWarning
            If a candidate could not be trained on some folds; these have the score NaN.
        """
        self._validate_params()
        scorer, metric = self._get_scorers()
        X, y = indexable(X, y)
        routed = self._get_routed_params_for_fit(_check_method_params(X, params))
        splitter = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        self.n_splits_ = splitter.get_n_splits(X, y, **routed.splitter.split)
        folds = [*splitter.split(X, y, **routed.splitter.split)]
        candidates = [*ParameterGrid(self.param_grid)]
        task = _Task(self, X, y, folds, candidates, scorer, routed.estimator.fit, routed.scorer.score)
        found = task.run()
        _warn_or_raise_about_fit_failures(found, self.error_score)
        if callable(self.scoring):
            _insert_error_scores(found, self.error_score)
        self.cv_results_ = self._format_results(candidates, self.n_splits_, found)
        self.scorer_ = getattr(scorer, "_scorers", scorer)  # of several, by name
        self._choose(found[0]["test_scores"], metric)
        if self.refit:
            self.best_estimator_ = clone(self.estimator).set_params(**clone(self.best_params_, safe=False))
            began = time.perf_counter()
            self.best_estimator_.fit(X, y, **routed.estimator.fit)
            self.refit_time_ = time.perf_counter() - began
            if hasattr(self.best_estimator_, "feature_names_in_"):
                self.feature_names_in_ = self.best_estimator_.feature_names_in_
        return self

    def _choose(self, scores: Any, metric: Any) -> None:
        """Keep which candidate is the best, where there is one score to tell it."""
        self.multimetric_ = isinstance(scores, dict)
        if self.multimetric_ and callable(self.scoring):  # which names there are is only known now
            self._check_refit_for_multimetric(scores)
            metric = self.refit
        if self.refit or not self.multimetric_:
            self.best_index_ = self._select_best_index(self.refit, metric, self.cv_results_)
            self.best_params_ = self.cv_results_["params"][self.best_index_]
            if not callable(self.refit):
                self.best_score_ = self.cv_results_[f"mean_test_{metric}"][self.best_index_]


@dataclass
class _Task:
    """Candidates to be trained and scored on folds, pairs of rows to train on and rows to leave out."""

    search: ShallowNetSearchCV
    X: Any
    y: Any
    folds: list[tuple[Any, Any]]
    candidates: list[dict[str, Any]]
    scorer: Any
    fit_params: Mapping[str, Any]
    score_params: Mapping[str, Any]

    def run(self) -> list[dict[str, Any]]:
        """Return what scikit-learn makes its tables of: of each candidate, its score and times on each fold."""
        self._found: list[dict[str, Any] | None] = [None] * (len(self.folds) * len(self.candidates))
        self._unfinished = 0
        readers: dict[str, list[Stack]] = {}
        for each in stack(self._stackable()):
            readers.setdefault(each.reading, []).append(each)
        for stacks in readers.values():
            for folds in together(self._read(stacks[0].models[0])):
                for each in stacks:
                    with contextlib.suppress(NNBackendError, ValueError):  # `_alone` reports it
                        self._keep(each, each.train(folds))
        if self._unfinished:
            warnings.warn(
                f"max_iter was reached by {self._unfinished} of {len(self._found)} networks before their largest "
                f"gradients fell below tol: take a larger max_iter, or another solver or learning_rate_init",
                ConvergenceWarning,
                stacklevel=3,
            )
        return [self._alone(*divmod(n, len(self.folds))) if one is None else one for n, one in enumerate(self._found)]

    def _stackable(self) -> Iterator[tuple[int, ShallowNet]]:
        """Yield the candidates that can be trained with others, with their places."""
        for place, candidate in enumerate(self.candidates):
            model = clone(self.search.estimator).set_params(**clone(candidate, safe=False))
            if type(model) not in (ShallowNetClassifier, ShallowNetRegressor) or model.early_stopping or model.verbose:
                continue
            if set(self.fit_params) <= {"sample_weight"}:
                with contextlib.suppress(ArgumentError):  # `_alone` reports it
                    model._check_parameters()
                    yield place, model

    def _read(self, model: ShallowNet) -> Iterator[Fold]:
        """Yield the folds that a model can read."""
        for k, (train, left_out) in enumerate(self.folds):
            X, y, asked = (_safe_indexing(*given) for given in ((self.X, train), (self.y, train), (self.X, left_out)))
            weights = _check_method_params(self.X, self.fit_params, indices=train).get("sample_weight")
            with contextlib.suppress(NNBackendError, ValueError):  # `_alone` reports it
                yield Fold.read(k, model, X, y, weights, asked)

    def _keep(self, each: Stack, reached: Reached) -> None:
        """Score what candidates reached on folds, and write it down."""
        began, is_class = time.perf_counter(), is_classifier(self.search.estimator)
        is_usual = self.search.scoring is None or self.search.scoring == ("accuracy" if is_class else "r2")
        answers = reached.answers() if is_usual else [None] * len(reached.folds)
        scores = [self._score(each, reached, k, answer) for k, answer in enumerate(answers)]
        seconds = (time.perf_counter() - began) / reached.status.size
        for k, fold in enumerate(reached.folds):
            for n, score in scores[k].items():
                self._unfinished += bool(each.models[n].tol and reached.status[n, k] == "done")
                self._found[each.places[n] * len(self.folds) + fold.number] = {
                    "fit_error": None,
                    "test_scores": score,
                    "n_test_samples": fold.asked.shape[1],
                    "fit_time": reached.seconds,
                    "score_time": seconds,
                }

    def _score(self, each: Stack, reached: Reached, k: int, answers: Any) -> dict[int, Any]:
        """Return the scores, on the examples that a fold leaves out, of those candidates that did not diverge."""
        left_out, m = self.folds[reached.folds[k].number][1], reached.folds[k].asked.shape[1]
        y, params = _safe_indexing(self.y, left_out), _check_method_params(self.X, self.score_params, indices=left_out)
        sound, weights = np.flatnonzero(reached.status[:, k] != "diverged").tolist(), params.get("sample_weight")
        if answers is None or m < 2 or (weights is not None and not np.any(weights)):  # it warns of few examples
            X, options = _safe_indexing(self.X, left_out), (self.scorer, params, self.search.error_score)
            return {n: _score(each.fitted(n, k, reached), X, y, *options) for n in sound}
        y = np.asarray(y).reshape(m, -1)
        if is_classifier(self.search.estimator):
            scores = np.average(answers == y[:, 0], axis=1, weights=weights)
        else:
            columns = np.moveaxis(answers, 1, 0).reshape(m, -1)  # each network's outputs
            scores = r2_score(np.tile(y, len(answers)), columns, sample_weight=weights, multioutput="raw_values")
            scores = scores.reshape(len(answers), -1).mean(axis=1)
        return {n: float(scores[n]) for n in sound}

    def _alone(self, place: int, k: int) -> dict[str, Any]:
        """Return what a candidate that is trained by itself reaches on a fold."""
        train, left_out = self.folds[k]
        found: dict[str, Any] = _fit_and_score(
            clone(self.search.estimator),
            self.X,
            self.y,
            scorer=self.scorer,
            train=train,
            test=left_out,
            verbose=0,
            parameters=self.candidates[place],
            fit_params=self.fit_params,
            score_params=self.score_params,
            error_score=self.search.error_score,
            return_n_test_samples=True,
            return_times=True,
        )
        return found

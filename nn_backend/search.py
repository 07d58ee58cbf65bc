"""A search over the estimators' parameters that trains candidates together; needs the extra ``sklearn``."""

import copy
import functools
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, Self

import numpy as np

from nn_backend.descent import fit
from nn_backend.engines.machine import count_threads
from nn_backend.equations import Params
from nn_backend.errors import ArgumentError, NNBackendError
from nn_backend.estimator import ShallowNetClassifier, ShallowNetRegressor
from nn_backend.run import FitResult
from nn_backend.shallow_net import LOOK_EVERY, Rows, ShallowNet

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
from sklearn.utils import _safe_indexing, check_random_state, indexable
from sklearn.utils.validation import _check_method_params

NUMBERS = ("alpha", "tol", "random_state")  # in these, networks of one call may differ
WITHOUT_EFFECT = ("warm_start", "validation_fraction", "n_iter_no_change")  # in a new network without early stopping
READING = ("class_weight", "standardize")  # by these, candidates see the examples differently
AT_ONCE = 16  # networks of a call: few enough for all threads to have calls, many enough for these to be worth it


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

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
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


class _Fold(NamedTuple):
    """A fold as some candidates read it: a model that has, and what it learned; scaled examples, and those left out."""

    number: int
    reader: ShallowNet
    learned: Mapping[str, Any]
    rows: Rows
    left_out: np.ndarray
    X: Any
    y: Any
    score_params: Mapping[str, Any]


class _Reached(NamedTuple):
    """What the candidates of a stack reached on a fold.

    ``at`` are the places of their networks in the result's leading axes, of several starts those of the best.
    """

    result: FitResult
    at: tuple[np.ndarray, ...]
    seconds: float

    @property
    def params(self) -> Params:
        """The networks, (candidates, ...)."""
        return Params(*(array[self.at] for array in self.result.params))

    @property
    def status(self) -> np.ndarray:
        """Why each network's training ended."""
        return np.asarray(self.result.status[self.at])


class _Stack:
    """Candidates that one call trains: their places in the search, and models with their parameters."""

    def __init__(self, places: Sequence[int], models: Sequence[ShallowNet]) -> None:
        self.places, self.models = places, models
        self._starts = functools.cache(self._draw)

    def _draw(self, n0: int, n2: int) -> Params:
        """Draw where the networks begin, which is the same for each fold."""
        generators = [check_random_state(copy.deepcopy(model.random_state)) for model in self.models]
        seeds = [model._draw_seed(generator) for model, generator in zip(self.models, generators, strict=True)]
        return self.models[0]._start(n0, n2, seeds)

    def train(self, fold: _Fold, **options: Any) -> _Reached:
        """Train all on a fold."""
        began, first, rows = time.perf_counter(), self.models[0], fold.rows
        starts = self._starts(len(rows.X), len(rows.y))
        lead = starts.w1.shape[:-2]

        def each(name: str) -> np.ndarray:
            values = np.array([float(getattr(model, name)) for model in self.models])
            return np.broadcast_to(values.reshape(-1, *[1] * (len(lead) - 1)), lead)

        result = fit(
            rows.X,
            rows.y,
            starts,
            output=fold.reader._output,
            optimizer=first.solver,
            learning_rate=None if first.learning_rate_init is None else each("learning_rate_init"),
            alpha=each("alpha"),
            weights=rows.weights,
            tol=each("tol"),
            iterations=first.max_iter,
            backend=first.device,
            engine=first.engine,
            log_every=LOOK_EVERY,
            **options,
        )
        every = np.arange(len(self.models))
        at = (every, first._best(result, rows, each("alpha"))) if first.n_init > 1 else (every,)
        return _Reached(result, at, (time.perf_counter() - began) / len(every))

    def fitted(self, n: int, fold: _Fold, reached: _Reached) -> ShallowNet:
        """Return a candidate's model as its own ``fit`` would leave it."""
        model = copy.copy(self.models[n])
        model.__dict__.update(fold.learned)
        model._keep(reached.result.one(*(int(places[n]) for places in reached.at)))
        return model


class _Task:
    """Candidates to be trained and scored on folds.

    Parameters
    ----------
    search : ShallowNetSearchCV
        Whose candidates they are.
    X, y
        All examples.
    folds : list of tuple
        Rows to train on, and rows that are left out.
    candidates : list of dict
        Parameters.
    scorer : callable
        One of scikit-learn's, or what the user gave.
    fit_params, score_params : mapping
        Further arguments of ``fit`` and of the scorer.
    """

    def __init__(
        self,
        search: ShallowNetSearchCV,
        X: Any,
        y: Any,
        folds: list[tuple[Any, Any]],
        candidates: list[dict[str, Any]],
        scorer: Any,
        fit_params: Mapping[str, Any],
        score_params: Mapping[str, Any],
    ) -> None:
        self._estimator, self._error_score = search.estimator, search.error_score
        self._X, self._y, self._folds, self._candidates = X, y, folds, candidates
        self._scorer, self._params = scorer, (fit_params, score_params)
        usual = "accuracy" if is_classifier(search.estimator) else "r2"
        self._is_usual = search.scoring is None or search.scoring == usual
        self._found: list[dict[str, Any] | None] = [None] * (len(folds) * len(candidates))
        self._unfinished = 0

    def run(self) -> list[dict[str, Any]]:
        """Return what scikit-learn makes its tables of: of each candidate, its score and times on each fold."""
        stacks = self._stacks()
        on_cpu = all(model.device == "cpu" for stack in stacks for model in stack.models)
        workers = count_threads() if on_cpu else 1
        threads = max(1, workers // max(1, len(stacks)))
        stopped = threading.Event()

        def look(_: int) -> None:
            if stopped.is_set():
                raise KeyboardInterrupt

        pool = ThreadPoolExecutor(workers)
        try:
            ahead: list[tuple[_Stack, _Fold, Future[Any]]] = []
            for k in range(len(self._folds)):
                read = self._read(k, stacks)
                calls = [(*pair, pool.submit(pair[0].train, pair[1], threads=threads, progress=look)) for pair in read]
                self._collect(ahead)  # while those of this fold are being trained
                ahead = calls
            self._collect(ahead)
        finally:
            stopped.set()
            pool.shutdown(cancel_futures=True)
        if self._unfinished:
            warnings.warn(
                f"max_iter was reached by {self._unfinished} of {len(self._found)} networks before their largest "
                f"gradients fell below tol: take a larger max_iter, or another solver or learning_rate_init",
                ConvergenceWarning,
                stacklevel=3,
            )
        return [self._alone(*divmod(n, len(self._folds))) if one is None else one for n, one in enumerate(self._found)]

    def _stacks(self) -> list[_Stack]:
        """Return the candidates that can be trained together, the largest networks first."""
        alike: dict[str, list[tuple[int, ShallowNet]]] = {}
        for place, candidate in enumerate(self._candidates):
            model = clone(self._estimator).set_params(**clone(candidate, safe=False))
            if type(model) in (ShallowNetClassifier, ShallowNetRegressor) and self._can_be_stacked(model):
                settings = model.get_params(deep=False)
                rate = settings.pop("learning_rate_init")
                kept = {name: value for name, value in settings.items() if name not in NUMBERS + WITHOUT_EFFECT}
                alike.setdefault(repr((kept, rate is None)), []).append((place, model))
        stacks = []
        for members in sorted(alike.values(), key=lambda members: -members[0][1].n_hidden):
            at_once = max(1, AT_ONCE // members[0][1].n_init)
            for first in range(0, len(members), at_once):
                stacks.append(_Stack(*zip(*members[first : first + at_once], strict=True)))
        return stacks

    def _can_be_stacked(self, model: ShallowNet) -> bool:
        """Return whether a candidate can be trained with others."""
        if model.early_stopping or model.verbose or not set(self._params[0]) <= {"sample_weight"}:
            return False
        try:
            model._check_parameters()
        except ArgumentError:
            return False  # `_alone` reports it
        return True

    def _read(self, k: int, stacks: list[_Stack]) -> Iterator[tuple[_Stack, _Fold]]:
        """Yield each stack with a fold as it reads that; without one where the fold cannot be read."""
        train, left_out = self._folds[k]
        X, y = _safe_indexing(self._X, train), _safe_indexing(self._y, train)
        fit_params, score_params = self._params
        weights = _check_method_params(self._X, fit_params, indices=train).get("sample_weight")
        asked = [_safe_indexing(given, left_out) for given in (self._X, self._y)]
        asked.append(_check_method_params(self._X, score_params, indices=left_out))
        known: dict[str, _Fold | None] = {}
        for stack in stacks:
            settings = stack.models[0].get_params(deep=False)
            key = repr([settings.get(name) for name in READING])
            if key not in known:
                reader = clone(stack.models[0])
                try:
                    rows, _ = reader._read(X, y, weights, going_on=False, classes=None)
                    reader._learn_scales(rows)
                    learned = {name: value for name, value in vars(reader).items() if name.endswith("_")}
                    scaled = reader._scaled(rows), reader._scale_features(asked[0])
                    known[key] = _Fold(k, reader, learned, *scaled, *asked)
                except (NNBackendError, ValueError):
                    known[key] = None  # `_alone` reports it
            if (fold := known[key]) is not None:
                yield stack, fold

    def _collect(self, calls: Sequence[tuple[_Stack, _Fold, Future[_Reached]]]) -> None:
        """Wait for calls, and score what they trained."""
        for stack, fold, call in calls:
            try:
                reached = call.result()
            except (NNBackendError, ValueError):
                continue  # `_alone` reports it
            began, status = time.perf_counter(), reached.status
            scores = self._score(stack, fold, reached)
            seconds = (time.perf_counter() - began) / len(scores)
            for n, score in scores.items():
                self._unfinished += bool(stack.models[n].tol and status[n] == "done")
                self._found[stack.places[n] * len(self._folds) + fold.number] = {
                    "fit_error": None,
                    "test_scores": score,
                    "n_test_samples": fold.left_out.shape[1],
                    "fit_time": reached.seconds,
                    "score_time": seconds,
                }

    def _score(self, stack: _Stack, fold: _Fold, reached: _Reached) -> dict[int, Any]:
        """Return the scores, on the examples that a fold leaves out, of those candidates that did not diverge."""
        m, sound = fold.left_out.shape[1], np.flatnonzero(reached.status != "diverged")
        if not self._is_usual or m < 2:  # scikit-learn has a word on R² of one example
            return {
                n: _score(
                    stack.fitted(n, fold, reached), fold.X, fold.y, self._scorer, fold.score_params, self._error_score
                )
                for n in sound.tolist()
            }
        answers = fold.reader._answer(fold.reader._compute(reached.params, fold.left_out))
        weights, y = fold.score_params.get("sample_weight"), np.asarray(fold.y).reshape(m, -1)
        if is_classifier(fold.reader):
            scores = np.average(answers == y[:, 0], axis=1, weights=weights)
        else:
            columns = np.moveaxis(answers, 1, 0).reshape(m, -1)  # each network's outputs
            scores = r2_score(np.tile(y, len(answers)), columns, sample_weight=weights, multioutput="raw_values")
            scores = scores.reshape(len(answers), -1).mean(axis=1)
        return dict(zip(sound.tolist(), scores[sound].tolist(), strict=True))

    def _alone(self, place: int, k: int) -> dict[str, Any]:
        """Return what a candidate that is trained by itself reaches on a fold."""
        fit_params, score_params = self._params
        train, left_out = self._folds[k]
        found: dict[str, Any] = _fit_and_score(
            clone(self._estimator),
            self._X,
            self._y,
            scorer=self._scorer,
            train=train,
            test=left_out,
            verbose=0,
            parameters=self._candidates[place],
            fit_params=fit_params,
            score_params=score_params,
            error_score=self._error_score,
            return_n_test_samples=True,
            return_times=True,
        )
        return found

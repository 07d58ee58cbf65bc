"""A search over the estimators' parameters that trains candidates together; needs the extra ``sklearn``."""

import contextlib
import functools
import time
import warnings
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, Self

import numpy as np

from nn_backend.errors import ArgumentError, NNBackendError
from nn_backend.estimator import ShallowNetClassifier, ShallowNetRegressor
from nn_backend.shallow_net import ShallowNet
from nn_backend.stacks import Fold, Reached, Stack, stack, together, train_all

# isort: split
from joblib import parallel_backend
from joblib.parallel import ParallelBackendBase
from sklearn.base import clone, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.model_selection._validation import _score
from sklearn.utils import _safe_indexing
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
        super().__init__(estimator, param_grid, scoring=scoring, refit=refit, cv=cv, pre_dispatch="all")

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
        if type(self.estimator) not in (ShallowNetClassifier, ShallowNetRegressor):
            return super().fit(X, y, **params)  # type: ignore[no-any-return]
        backend = _AllAtOnce(self.scoring in (None, "accuracy" if is_classifier(self.estimator) else "r2"))
        with parallel_backend(backend):
            super().fit(X, y, **params)
        tasks = backend.calls[0]
        if tasks.unfinished:
            warnings.warn(
                f"max_iter was reached by {tasks.unfinished} of {len(tasks.items)} networks before their largest "
                f"gradients fell below tol: take a larger max_iter, or another solver or learning_rate_init",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self


class _AllAtOnce(ParallelBackendBase):  # type: ignore[misc]
    """Where joblib has the search's tasks done: all of a call at once, as soon as the first result is asked for."""

    def __init__(self, is_usual: bool) -> None:
        super().__init__()
        self._is_usual = is_usual
        self.calls: list[_Tasks] = []

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Return 2: of one worker, joblib does the work itself."""
        return 2

    def configure(self, n_jobs: int = 1, parallel: Any = None, **options: Any) -> int:
        """Begin a call."""
        self.parallel = parallel
        self.calls.append(_Tasks(self._is_usual))
        return self.effective_n_jobs(n_jobs)

    def compute_batch_size(self) -> int:
        """Return how many tasks are submitted together: as many as there are."""
        return 2**30

    def submit(self, func: Any, callback: Any) -> Any:
        """Take tasks, and return from where to get their results."""
        tasks, first = self.calls[-1], len(self.calls[-1].items)
        tasks.items += func.items
        own = slice(first, len(tasks.items))
        callback(None)  # or joblib would wait for a worker instead of asking
        return SimpleNamespace(get=lambda timeout=None: tasks.results[own])

    apply_async = submit  # as joblib called it before 1.5


class _Tasks:
    """What a search wants done: of each candidate, and for it of each fold, a call of scikit-learn's function.

    ``is_usual`` says that the score is accuracy or R².
    """

    def __init__(self, is_usual: bool) -> None:
        self._is_usual = is_usual
        self.items: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = []
        self.unfinished = 0
        self._found: dict[int, dict[str, Any]] = {}

    @functools.cached_property
    def results(self) -> list[Any]:
        """Return what the calls return, of candidates that could be trained together without calling."""
        if "candidate_progress" in self.items[0][2]:  # a scorer may have further calls
            self._train()
        return [
            self._found[n] if n in self._found else function(*given, **options)
            for n, (function, given, options) in enumerate(self.items)
        ]

    def _train(self) -> None:
        """Train and score together what can be."""
        self._model, self._X, self._y = self.items[0][1]
        self._options = self.items[0][2]
        first = [options for *_, options in self.items if options["candidate_progress"][0] == 0]
        self._folds = [(options["train"], options["test"]) for options in first]
        given = self._X, self._options["score_params"]
        self._true = [(_safe_indexing(self._y, own), _check_method_params(*given, own)) for _, own in self._folds]
        readers: dict[str, list[Stack]] = {}
        for each in stack(self._stackable()):
            readers.setdefault(each.reading, []).append(each)
        for stacks in readers.values():
            for folds in together(self._read(stacks[0].models[0])):
                for each, reached in train_all(stacks, folds):
                    with contextlib.suppress(NNBackendError, ValueError):  # the call reports it
                        self._keep(each, reached)

    def _stackable(self) -> Iterator[tuple[int, ShallowNet]]:
        """Yield the candidates that can be trained with others, with their places."""
        for place, (_, (model, *_), options) in enumerate(self.items[:: len(self._folds)]):
            model.set_params(**clone(options["parameters"], safe=False))
            if model.early_stopping or model.verbose or not set(options["fit_params"]) <= {"sample_weight"}:
                continue
            with contextlib.suppress(ArgumentError):  # the call reports it
                model._check_parameters()
                yield place, model

    def _read(self, model: ShallowNet) -> Iterator[Fold]:
        """Yield the folds that a model can read."""
        for k, (train, left_out) in enumerate(self._folds):
            X, y, asked = (_safe_indexing(*each) for each in ((self._X, train), (self._y, train), (self._X, left_out)))
            weights = _check_method_params(self._X, self._options["fit_params"], indices=train).get("sample_weight")
            with contextlib.suppress(NNBackendError, ValueError):  # the call reports it
                yield Fold.read(k, model, X, y, weights, asked)

    def _keep(self, each: Stack, reached: Reached) -> None:
        """Score what candidates reached on folds, and write it down."""
        began = time.perf_counter()
        answers = reached.answers() if self._is_usual else [None] * len(reached.folds)
        scores = [self._scores(each, reached, k, answer) for k, answer in enumerate(answers)]
        seconds = (time.perf_counter() - began) / reached.status.size
        for k, fold in enumerate(reached.folds):
            for n, score in scores[k].items():
                self.unfinished += bool(each.models[n].tol and reached.status[n, k] == "done")
                self._found[each.places[n] * len(self._folds) + fold.number] = {
                    "fit_error": None,
                    "test_scores": score,
                    "n_test_samples": fold.asked.shape[1],
                    "fit_time": reached.seconds,
                    "score_time": seconds,
                }

    def _scores(self, each: Stack, reached: Reached, k: int, answers: Any) -> dict[int, Any]:
        """Return the scores, on the examples that a fold leaves out, of those candidates that did not diverge."""
        number, m = reached.folds[k].number, reached.folds[k].asked.shape[1]
        y, params = self._true[number]
        sound, weights = np.flatnonzero(reached.status[:, k] != "diverged").tolist(), params.get("sample_weight")
        if answers is None or m < 2 or (weights is not None and not np.any(weights)):  # scikit-learn warns of few
            X, options = _safe_indexing(self._X, self._folds[number][1]), self._options
            given = X, y, options["scorer"], params, options["error_score"]
            return {n: _score(each.fitted(n, k, reached), *given) for n in sound}
        y = np.asarray(y).reshape(m, -1)
        if is_classifier(self._model):
            scores = np.average(answers == y[:, 0], axis=1, weights=weights)
        else:
            columns = np.moveaxis(answers, 1, 0).reshape(m, -1)  # each network's outputs
            scores = r2_score(np.tile(y, len(answers)), columns, sample_weight=weights, multioutput="raw_values")
            scores = scores.reshape(len(answers), -1).mean(axis=1)
        return {n: float(scores[n]) for n in sound}

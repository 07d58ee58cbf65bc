"""Candidates of a search that one call of `nn_backend.fit` trains, and folds as they read them."""

import copy
import functools
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from nn_backend.descent import fit
from nn_backend.equations import Params
from nn_backend.run import FitResult
from nn_backend.shallow_net import LOOK_EVERY, Rows, ShallowNet

# isort: split
from sklearn.base import clone
from sklearn.utils import check_random_state

NUMBERS = ("alpha", "tol", "random_state", "learning_rate_init")  # in these, networks of one call may differ
WITHOUT_EFFECT = ("warm_start", "validation_fraction", "n_iter_no_change")  # in a new network without early stopping
AT_ONCE = 16  # networks of a call: few enough for all threads to have calls, many enough for these to be worth it


class Fold(NamedTuple):
    """Examples to train on and examples left out, as a model reads them.

    Attributes
    ----------
    reader : ShallowNet
        The model that has read the former, and thereby knows classes and scales.
    rows : Rows
        Scaled examples to train on.
    asked : ndarray (n0, k)
        Scaled features of those left out.
    """

    reader: ShallowNet
    rows: Rows
    asked: np.ndarray

    @classmethod
    def read(cls, model: ShallowNet, X: Any, y: Any, weights: Any, asked: Any) -> "Fold":
        """Return the fold as a model with such parameters reads it."""
        reader = clone(model)
        rows, _ = reader._read(X, y, weights, going_on=False, classes=None)
        reader._learn_scales(rows)
        return cls(reader, reader._scaled(rows), reader._scale_features(asked))


class Reached(NamedTuple):
    """What the candidates of a stack reached on a fold.

    ``at`` are the places of their networks in the result's leading axes, of several starts those of the best.
    """

    fold: Fold
    result: FitResult
    at: tuple[np.ndarray, ...]
    seconds: float

    @property
    def status(self) -> np.ndarray:
        """Why the training of each candidate's network ended."""
        return np.asarray(self.result.status[self.at])

    def answer(self) -> np.ndarray:
        """Return what each network predicts for the examples left out, (candidates, k) or (candidates, k, n2)."""
        params = Params(*(array[self.at] for array in self.result.params))
        return np.asarray(self.fold.reader._answer(self.fold.reader._compute(params, self.fold.asked)))


class Stack:
    """Candidates that one call trains, as they differ in numbers only.

    Parameters
    ----------
    places : sequence of int
        Which candidates of the search they are.
    models : sequence of ShallowNet
        Estimators with their parameters.
    """

    def __init__(self, places: Sequence[int], models: Sequence[ShallowNet]) -> None:
        self.places, self.models = places, models
        self._starts = functools.cache(self._draw)

    def _draw(self, n0: int, n2: int) -> Params:
        """Draw where the networks begin, which is the same for each fold."""
        generators = [check_random_state(copy.deepcopy(model.random_state)) for model in self.models]
        seeds = [model._draw_seed(generator) for model, generator in zip(self.models, generators, strict=True)]
        return self.models[0]._start(n0, n2, seeds)

    def train(self, fold: Fold, **options: Any) -> Reached:
        """Train all on a fold; ``options`` are further arguments of `fit`."""
        began, first, rows = time.perf_counter(), self.models[0], fold.rows
        starts, every = self._starts(len(rows.X), len(rows.y)), np.arange(len(self.models))
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
        at = (every, first._best(result, rows, each("alpha"))) if first.n_init > 1 else (every,)
        return Reached(fold, result, at, (time.perf_counter() - began) / len(every))

    def fitted(self, n: int, reached: Reached) -> ShallowNet:
        """Return a candidate's estimator as its own ``fit`` would leave it."""
        model = copy.copy(self.models[n])
        model.__dict__.update({name: value for name, value in vars(reached.fold.reader).items() if name.endswith("_")})
        model._keep(reached.result.one(*(int(places[n]) for places in reached.at)))
        return model


def stack(candidates: Iterable[tuple[int, ShallowNet]]) -> list[Stack]:
    """Return candidates, given with their places in the search, in stacks, those of the largest networks first."""
    alike: dict[str, list[tuple[int, ShallowNet]]] = {}
    for place, model in candidates:
        shared = {key: value for key, value in model.get_params(deep=False).items() if key not in NUMBERS}
        kind = {key: value for key, value in shared.items() if key not in WITHOUT_EFFECT}
        alike.setdefault(repr((kind, model.learning_rate_init is None)), []).append((place, model))
    stacks = []
    for members in sorted(alike.values(), key=lambda members: -members[0][1].n_hidden):
        at_once = max(1, AT_ONCE // members[0][1].n_init)
        for first in range(0, len(members), at_once):
            stacks.append(Stack(*zip(*members[first : first + at_once], strict=True)))
    return stacks


def reading(model: ShallowNet) -> Mapping[str, Any]:
    """Return the parameters by which a model reads a fold."""
    settings = model.get_params(deep=False)
    return {name: settings[name] for name in ("class_weight", "standardize") if name in settings}

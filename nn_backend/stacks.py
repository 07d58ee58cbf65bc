"""Folds as an estimator reads them, and candidates of a search that one call of `nn_backend.fit` trains on them."""

import contextlib
import copy
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from nn_backend.backend import get_backend
from nn_backend.checkpoint import Row
from nn_backend.compiler.pool import share
from nn_backend.descent import fit
from nn_backend.engines.engine import Score
from nn_backend.equations import Params
from nn_backend.errors import NNBackendError
from nn_backend.network import compute_layer, get_output
from nn_backend.run import FitResult
from nn_backend.shallow_net import LOOK_EVERY, Rows, ShallowNet
from nn_backend.tasks import count_workers

# isort: split
from sklearn.base import clone
from sklearn.utils import check_random_state

NUMBERS = ("alpha", "tol", "random_state", "learning_rate_init")  # in these, networks of one call may differ
WITHOUT_EFFECT = ("warm_start", "validation_fraction", "n_iter_no_change")  # in a new network without early stopping
NETWORKS_AT_ONCE = 64  # in a call and on a fold, at most: with the next, the bound of the memory that a call takes
NUMBERS_AT_ONCE = 2**20  # in a call's rows; where a single fold has as many, it is long enough for a call of its own


class Fold(NamedTuple):
    """Examples to train on and examples left out, as a model reads them.

    Attributes
    ----------
    number : int
        Which of the search's folds it is.
    reader : ShallowNet
        The model that has read the former, and thereby knows classes and scales.
    rows : Rows
        Scaled examples to train on.
    asked : ndarray (n0, k)
        Scaled features of those left out.
    """

    number: int
    reader: ShallowNet
    rows: Rows
    asked: np.ndarray

    @classmethod
    def read(cls, number: int, model: ShallowNet, X: Any, y: Any, weights: Any, asked: Any) -> "Fold":
        """Return the fold as a model with such parameters reads it."""
        reader = clone(model)
        rows, _ = reader._read(X, y, weights, going_on=False, classes=None)
        reader._learn_scales(rows)
        return cls(number, reader, reader._scaled(rows), reader._scale_features(asked))


class Reached(NamedTuple):
    """What candidates reached on folds: ``at`` are their networks' places, (candidates, folds), in the leading axes."""

    folds: Sequence[Fold]
    result: FitResult
    at: tuple[np.ndarray, ...]
    seconds: float

    @property
    def status(self) -> np.ndarray:
        """Why the training of each network ended, (candidates, folds)."""
        return np.asarray(self.result.status[self.at])

    def answers(self) -> list[np.ndarray]:
        """Return what is predicted for the examples of each fold left out, (candidates, k) or (candidates, k, n2)."""
        params = Params(*(array[self.at].astype(np.float64) for array in self.result.params))  # as `predict` does
        backend, output = get_backend(self.result.backend), get_output(self.result.output)
        asked = [fold.asked for fold in self.folds]
        z2 = compute_layer("z2", params, np.concatenate(asked, axis=1), backend, output, _numbers(asked))
        ends = np.cumsum([X.shape[1] for X in asked])[:-1]
        return [fold.reader._answer(own) for fold, own in zip(self.folds, np.split(z2, ends, axis=-1), strict=True)]


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
        settings = models[0].get_params(deep=False)
        self.reading = repr((settings.get("class_weight"), settings["standardize"]))  # those that matter to a `Fold`

    def train(self, folds: Sequence[Fold], progress: Callable[[int], object]) -> Reached:
        """Train all on folds with the same number of outputs; ``progress`` is as in `fit`."""
        began, first, kind = time.perf_counter(), self.models[0], folds[0].reader._output
        X, y, weights = zip(*(fold.rows for fold in folds), strict=True)
        states = [id(model.random_state) for model in self.models]  # most often the same, and drawing takes long
        own = dict(zip(states, self.models, strict=True))
        seeds = [model._draw_seed(check_random_state(copy.deepcopy(model.random_state))) for model in own.values()]
        drawn, alike = first._start(len(X[0]), len(y[0]), seeds), [[*own].index(state) for state in states]
        starts = Params(*(np.repeat(array[alike][..., None, :, :], len(folds), axis=-3) for array in drawn))
        lead = starts.w1.shape[:-2]

        def each(name: str) -> np.ndarray:
            values = np.array([float(getattr(model, name) or 0) for model in self.models])  # tol may be None
            return np.broadcast_to(values.reshape(-1, *[1] * (len(lead) - 1)), lead)

        result = fit(
            np.concatenate(X, axis=1),
            np.concatenate(y, axis=1),
            starts,
            output=kind,
            optimizer=first.solver,
            learning_rate=None if first.learning_rate_init is None else each("learning_rate_init"),
            alpha=each("alpha"),
            weights=None if weights[0] is None else np.concatenate(weights),
            network=_numbers(X),
            tol=each("tol"),
            iterations=first.max_iter,
            backend=first.device,
            engine=first.engine,
            log_every=LOOK_EVERY,
            progress=progress,
        )
        if result.interrupted:
            raise KeyboardInterrupt
        candidates, numbers = np.indices((lead[0], lead[-1]))
        at: tuple[np.ndarray, ...] = (candidates, numbers)
        if first.n_init > 1:
            alpha = each("alpha")[..., 0]
            best = [first._best(_of(k, result), fold.rows, alpha) for k, fold in enumerate(folds)]
            at = (candidates, np.stack(best, axis=1), numbers)
        return Reached(folds, result, at, (time.perf_counter() - began) / numbers.size)

    def fitted(self, n: int, k: int, reached: Reached) -> ShallowNet:
        """Return a candidate's estimator as its own ``fit`` on a fold would leave it."""
        model = copy.copy(self.models[n])
        reader = reached.folds[k].reader
        model.__dict__.update({name: value for name, value in vars(reader).items() if name.endswith("_")})
        model._keep(reached.result.one(*(int(places[n, k]) for places in reached.at)))
        return model


def stack(candidates: Iterable[tuple[int, ShallowNet]]) -> list[Stack]:
    """Return candidates, given with their places in the search, in stacks."""
    alike: dict[str, list[tuple[int, ShallowNet]]] = {}
    for place, model in candidates:
        kind = {k: v for k, v in model.get_params(deep=False).items() if k not in (*NUMBERS, *WITHOUT_EFFECT)}
        alike.setdefault(repr((kind, model.learning_rate_init is None)), []).append((place, model))
    stacks = []
    for members in alike.values():
        at_once = max(1, NETWORKS_AT_ONCE // members[0][1].n_init)
        for first in range(0, len(members), at_once):
            stacks.append(Stack(*zip(*members[first : first + at_once], strict=True)))
    return stacks


def together(folds: Iterable[Fold]) -> Iterator[list[Fold]]:
    """Yield folds in runs for one call: with the same number of outputs, and not too many numbers."""
    run: list[Fold] = []
    for fold in folds:
        size = sum(each.rows.X.size for each in (*run, fold))
        if run and (size > NUMBERS_AT_ONCE or len(fold.rows.y) != len(run[0].rows.y)):
            yield run
            run = []
        run.append(fold)
    if run:
        yield run


def train_all(stacks: Sequence[Stack], folds: Sequence[Fold]) -> list[tuple[Stack, Reached]]:
    """Return what stacks that read folds alike have reached on them, but for those that cannot be trained."""
    found: list[tuple[Stack, Reached]] = []

    def do(each: Stack, tell: Callable[[float], None]) -> None:
        with contextlib.suppress(NNBackendError, ValueError):  # the call reports it
            found.append((each, each.train(folds, lambda iteration: tell(0))))

    first = stacks[0].models[0]
    threads = count_workers(first.device, first.engine)
    largest_first = sorted(stacks, key=lambda each: -each.models[0].n_hidden)
    share(largest_first, do, threads if len(stacks) > threads else 1, lambda done: None)
    return found


def _numbers(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Return of which array (n0, m) each column is, where they stand one after the other."""
    return np.repeat(np.arange(len(arrays)), [array.shape[1] for array in arrays])


def _of(k: int, result: FitResult) -> FitResult:
    """Return the end of what the networks of one fold reached."""
    last = result.rows[-1]
    return replace(
        result,
        params=Params(*(array[..., k, :, :] for array in result.params)),
        rows=[Row(last.iteration, Score(*(values[..., k] for values in last.score)), None)],
        status=result.status[..., k],
    )

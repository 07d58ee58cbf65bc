"""Many networks at once: of each setting one, or one for each group, fold or resample of the rows."""

import contextlib
import functools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from nn_backend import tasks
from nn_backend.backend import Backend, get_backend
from nn_backend.checks import Whole, check
from nn_backend.engines.engine import Examples, Score
from nn_backend.equations import Params
from nn_backend.errors import ArgumentError
from nn_backend.examples import spread_of
from nn_backend.grids import Data, Parts, ScaledRows, join, read_parts, read_rows, read_settings
from nn_backend.model import Model
from nn_backend.network import get_output, init_params
from nn_backend.networks import FOLD, RESAMPLE, Networks
from nn_backend.tasks import Reached, Task

AT_ONCE = 2**12  # networks in a call of `fit`, at most: memory is bounded, and their states stay in the caches
TASKS = 64  # for an executor, at least: more than it has workers, so that all have something to do to the end
EACH = 8  # tasks of a thread, at least; where there is less to do, all threads serve one task after the other
WORK = 2**25  # products of a task from one look at it to the next, at least: some ten milliseconds


def fit_many(
    X: Any,
    y: Any,
    grid: Any = None,
    *,
    by: Any = None,
    cv: Any = None,
    groups: Any = None,
    bootstrap: int | None = None,
    standardize: bool = True,
    output: str | None = None,
    validation: Any = None,
    patience: int = 10,
    check_every: int = 10,
    dtype: str = "float64",
    backend: str | Backend | None = None,
    engine: str = "auto",
    threads: int | None = None,
    executor: Any = None,
    progress: Callable[[float, int], object] | None = None,
    **settings: Any,
) -> Networks:
    """Train many networks at once: of each setting one, or one for each group, fold or resample of the rows.

    Parameters
    ----------
    X : array (n0, m), or DataFrame with an example per row
        Features in their own units: of a frame all columns but those that ``y``, ``by`` and ``groups`` name.
    y : array (n2, m) or (m,), or name of a column of the frame
        True values: 0 or 1, with one 1 in each column for classes, or numbers; of a column also words.
    grid : dict of sequences, sequence of dicts, or DataFrame with a row per setting, optional
        Settings that differ: every combination of a dict's values, the last the fastest; or one after the other.
    by : array (m,), or name of a column, optional
        The group of each example; each group has a network of its own.
    cv : int, splitter of scikit-learn, or iterable of (train, test), optional
        Folds, each of which is left out by a network and has a score of its own.
    groups : array (m,), or name of a column, optional
        What the splitter takes as groups.
    bootstrap : int, optional
        How many resamples of the rows have a network, drawn by `numpy.random.RandomState` of the setting's seed.
    standardize : bool
        Whether features are scaled by mean and deviation of a network's training rows, with ``bootstrap`` of all rows.
        Numbers to predict always are.
    output : str, optional
        ``"sigmoid"``, ``"softmax"`` or ``"identity"``; by default what y looks like.
    validation : DataFrame, or tuple of arrays X (n0, k), y (n2, k) or (k,), and with ``by`` groups (k,), optional
        Further rows: each network ends when ``patience`` looks at them, ``check_every`` iterations apart, have found no
        lower cost, and its best state is returned. With ``by``, each is shown the rows of its group; not with ``cv``.
    patience, check_every : int
        See ``validation``.
    dtype : str
        ``"float64"`` or ``"float32"``, of the parameters.
    backend, engine, threads
        As in `fit`. Threads train networks side by side, each by itself, where there are many.
    executor : concurrent.futures.Executor, optional
        Where to train instead of here, by one thread a worker if ``threads`` says nothing else: a process pool, loky's,
        or what has their ``submit``, as ``client.get_executor()`` of Dask. If it fails, what was done is returned.
    progress : callable, optional
        Called, a few times a second or when a worker is done with some, with how many networks are trained, those on
        their way as fractions, and how many there are.
    **settings
        Those that all share: ``n_hidden`` (4), ``optimizer`` ("rprop", with a learning rate "gd"), ``learning_rate``
        (the rule's own), ``alpha`` (1), ``tol`` (0.001), ``iterations`` (1000), ``seed`` (3) and ``factor``
        (2 / sqrt(n0)), as in `fit` and `init_params`.

    Returns
    -------
    Networks
        All of them. Each has the bits that `fit` gives it alone with the same rows, weights and scaling, wherever it is
        trained. One that diverges has that as its status; after Ctrl-C, those that were not trained, ``"interrupted"``.

    Raises
    ------
    ArgumentError, DataError, ArrayTypeError, BackendUnavailableError
        If an argument or the data are not accepted, or the backend cannot run here.
    MissingPackageError
        If folds are asked of scikit-learn, and it is not installed.

    Examples
    --------
    >>> from nn_backend import load_marks
    >>> X, y = load_marks()
    >>> networks = fit_many(X, y, {"n_hidden": [2, 4], "seed": [0, 1, 2]}, alpha=0.01, iterations=100)
    >>> networks.table[["n_hidden", "seed", "accuracy"]].round(2).tail(2)
       n_hidden  seed  accuracy
    4         4     1       1.0
    5         4     2       1.0
    >>> networks.predict_proba(X, reduce="mean").shape
    (1, 395)
    """
    asked = [name for name, value in (("by", by), ("cv", cv), ("bootstrap", bootstrap)) if value is not None]
    if len(asked) > 1:
        raise ArgumentError(f"{' and '.join(asked)} are given; expected one of by, cv and bootstrap")
    if groups is not None and cv is None:
        raise ArgumentError("groups are given without cv, whose splitter takes them; to train by groups, pass by")
    if validation is not None and cv is not None:
        raise ArgumentError("validation and cv are both given; expected one of them, as folds are validated already")
    watched = 0
    if validation is not None:
        X, y, by, watched = join(X, y, by, validation)
    data = read_rows(X, y, output, by, groups)
    training = _Training(
        data,
        read_settings(grid, settings, len(data.X)),
        read_parts(data, X, by, cv, groups, bootstrap, watched),
        standardize,
        dtype,
        {
            "backend": backend if isinstance(backend, Backend) else get_backend(backend).name,  # not a worker's default
            "engine": engine,
            "threads": 1 if executor is not None and threads is None else threads,
            **({"patience": patience, "check_every": check("check_every", check_every, Whole(1))} if watched else {}),
        },
    )
    training.run(executor, progress)
    return training.networks()


class _Training:
    """The training of networks: where they start, and what they reach.

    Parameters
    ----------
    data, settings, parts
        The rows; a column of each setting's values; and by what the networks of a setting differ.
    standardize, dtype
        As in `fit_many`.
    options : mapping
        Further arguments of `fit`.
    """

    def __init__(
        self,
        data: Data,
        settings: Mapping[str, Any],
        parts: Parts,
        standardize: bool,
        dtype: str,
        options: Mapping[str, Any],
    ) -> None:
        self._data, self._settings, self._parts, self._given = data, settings, parts, (standardize, dtype, options)
        self._each = max(1, len(parts.keys))
        self._rows = ScaledRows(data, parts, standardize)
        self._columns = {
            name: np.repeat([each.rule.name for each in values] if name == "optimizer" else values, self._each)
            for name, values in settings.items()
        }
        self._sizes: dict[int, Params] = {}
        self._at = np.empty(len(self), np.int64)  # each network's place among those of its size
        for n1, count in zip(*np.unique(self._columns["n_hidden"], return_counts=True), strict=True):
            shapes = (n1, len(data.X)), (n1, 1), (len(data.y), n1), (len(data.y), 1)
            self._sizes[int(n1)] = Params(*(np.full((count, *shape), np.nan, dtype) for shape in shapes))
            self._at[self._columns["n_hidden"] == n1] = np.arange(count)
        measures = ["cost", "r2" if data.output == "identity" else "accuracy"]
        measures += [f"validation_{name}" for name in measures if parts.held]
        self._reached = {name: np.full(len(self), np.nan) for name in measures}
        for name in ("iterations", "best_iteration")[: 1 + parts.watches]:
            self._reached[name] = np.zeros(len(self), np.int64)
        self._reached["status"] = np.full(len(self), "interrupted", object)  # until it is trained
        self._ran: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._settings["seed"]) * self._each

    def run(self, executor: Any = None, progress: Callable[[float, int], object] | None = None) -> None:
        """Train all networks; after Ctrl-C, those that are not trained yet keep their start."""
        report = None if progress is None else lambda done: progress(done, len(self))
        with contextlib.suppress(KeyboardInterrupt):
            if executor is not None:
                tasks.send_out(self._tasks(TASKS), self._keep, executor, report)
                return
            threads = self._threads()
            tasks.share_out(self._tasks(threads * EACH if threads > 1 else 1), self._keep, threads, report)

    def _threads(self) -> int:
        """Return how many threads train networks side by side; 1 if there is little to do: all of them serve each."""
        threads = tasks.count_workers(*(self._given[2][name] for name in ("backend", "engine", "threads")))
        return threads if min(len(self), self._each * self._work.sum() / WORK) >= threads * EACH else 1

    @functools.cached_property
    def _work(self) -> np.ndarray:
        """How many products, about, each setting's network has from one look at it to the next."""
        iterations = np.minimum(self._settings["iterations"], self._given[2].get("check_every", np.inf))
        rows = sum(map(len, self._parts.trained)) / len(self._parts.trained)
        weights = (sum(map(len, self._data[:2])) + 1) * self._settings["n_hidden"]
        return np.asarray(rows * weights * np.maximum(1, iterations))

    def _keep(self, reached: Reached) -> None:
        """Write down what was reached."""
        self._put(reached.networks, reached.params)
        for name in self._reached:
            self._reached[name][reached.networks] = reached.columns[name]
        self._ran = reached.ran

    def _put(self, networks: np.ndarray, params: Params) -> None:
        """Write down the parameters of networks of one size."""
        stack = self._sizes[int(self._columns["n_hidden"][networks.flat[0]])]
        for array, own in zip(stack, params, strict=True):
            array[self._at[networks]] = own

    def _start(self, networks: np.ndarray) -> Params:
        """Draw where networks of one size start; the parts of a setting start alike."""
        settings, at = np.unique(networks.ravel() // self._each, return_inverse=True)
        drawn = {name: self._settings[name][settings] for name in ("seed", "factor")}
        n1 = int(self._settings["n_hidden"][settings[0]])
        params = init_params(len(self._data.X), n1, len(self._data.y), **drawn, dtype=self._given[1])
        return Params(*(array[at].reshape(*networks.shape, *array.shape[1:]) for array in params))

    def _tasks(self, least: int) -> Iterator[Task]:
        """Yield tasks, so many or more if they are not too small, of one size, rule and iterations each."""
        sizes, rules, iterations = (self._settings[name] for name in ("n_hidden", "optimizer", "iterations"))
        kinds: dict[tuple[Any, ...], list[int]] = {}
        for setting, kind in enumerate(zip(sizes.tolist(), map(id, rules), iterations.tolist(), strict=True)):
            kinds.setdefault(kind, []).append(setting)
        parts, taught = self._parts, self._taught()
        shared = None if parts.have_rows else self._rows.of([0])

        def of_kind(settings: list[int]) -> Iterator[Callable[[], Task]]:  # their rows are copied when it is their turn
            first = np.array(settings)[:, None] * self._each
            at_most = min(AT_ONCE, max(-(-len(self) // least), math.ceil(WORK / self._work[settings[0]])))
            if shared is not None:
                networks = (first + np.arange(self._each)).ravel()
                for some in np.array_split(networks, -(-networks.size // at_most)):
                    yield functools.partial(self._task, some, lambda: shared)
                return
            for own in parts.chunks(taught, at_most, sum(map(len, self._data[:2]))):
                for some in np.array_split(first, -(-first.size * len(own) // at_most)):
                    yield functools.partial(self._task, some + np.array(own), functools.partial(self._rows.of, own))

        # The largest first, so that at the end no thread is left alone with one.
        largest_first = sorted(kinds, key=lambda kind: -kind[0])
        return (make() for make in tasks.interleave(of_kind(kinds[kind]) for kind in largest_first))

    def _taught(self) -> list[int]:
        """Return the parts that have something to learn, and write down which do not."""
        if not self._parts.has_groups or self._data.output == "identity":
            return [*range(self._each)]
        differ = np.array([(y != y[:, :1]).any() for y in (self._data.y[:, rows] for rows in self._parts.trained)])
        self._reached["status"].reshape(-1, self._each)[:, ~differ] = "one_class"
        return np.flatnonzero(differ).tolist()

    def _task(self, networks: np.ndarray, rows: Callable[[], tuple[dict[str, Any], dict[str, Any]]]) -> Task:
        """Return the task of training networks."""
        setting = {name: values[networks.flat[0] // self._each] for name, values in self._settings.items()}
        settings = {
            "output": self._data.output,
            "optimizer": setting["optimizer"],
            "iterations": int(setting["iterations"]),
            **{name: self._columns[name][networks] for name in ("learning_rate", "alpha", "tol")},
            **self._given[2],
        }
        if self._parts.name == RESAMPLE:
            settings["weights"] = self._counts.reshape(-1, self._counts.shape[-1])[networks]
        return Task(networks, self._start(networks), *rows(), self._parts.watches, settings)

    @functools.cached_property
    def _counts(self) -> np.ndarray:
        """How often each resample has each row, (settings, resamples, m)."""
        m, seeds = len(self._parts.trained[0]), self._settings["seed"].tolist()
        shares = np.full(m, 1 / m)
        drawn = {seed: np.random.RandomState(seed).multinomial(m, shares, self._each) for seed in set(seeds)}
        return np.stack([drawn[seed] for seed in seeds])

    def networks(self) -> Networks:
        """Return what was reached."""
        import pandas as pd

        for n1, stack in self._sizes.items():
            of_size = np.flatnonzero(self._columns["n_hidden"] == n1)
            untrained = of_size[np.isnan(stack.b2[:, 0, 0])]
            if untrained.size:
                self._put(untrained, self._start(untrained))
        table: dict[str, Any] = (
            {} if self._parts.name is None else {self._parts.name: self._parts.keys * len(self._settings["seed"])}
        )
        table |= {"max_iterations" if name == "iterations" else name: each for name, each in self._columns.items()}
        table |= self._reached
        networks = Networks(
            pd.DataFrame(table),
            self._sizes,
            self._data.output,
            self._rows.scales(),
            **self._data.meaning,
            part=self._parts.name,
            training=self._ran,
            refit=self._refit if self._parts.name == FOLD else None,
        )
        return replace(networks, oob_score=self._oob_score(networks)) if self._parts.name == RESAMPLE else networks

    def _refit(self, chosen: int) -> Model:
        """Return the network of a setting, trained on all rows."""
        parts = Parts(None, [], [np.arange(self._data.X.shape[1])])
        setting = {name: values[chosen : chosen + 1] for name, values in self._settings.items()}
        again = _Training(self._data, setting, parts, *self._given)
        again.run()
        return again.networks()[0]

    def _oob_score(self, networks: Networks) -> Any:
        """Return the accuracy or R² of the mean of each setting's networks, each asked about rows it has not drawn."""
        rows, absent = self._parts.trained[0], self._counts[:, :, None] == 0
        X, y = self._data.X[:, rows], self._data.y[:, rows]
        yhat = np.zeros((len(self._settings["seed"]), *y.shape))
        for columns, values in networks.outputs(X):
            asked = absent[..., columns]
            yhat[..., columns] = np.where(asked, values.reshape(*asked.shape[:2], *values.shape[1:]), 0).sum(axis=1)
        scores = []
        for total, times in zip(yhat, absent.sum(axis=1), strict=True):
            asked = times[0] > 0
            scores.append(_quality(y[:, asked], total[:, asked] / times[:, asked], self._data.output))
        return scores[0] if len(scores) == 1 else np.array(scores)


def _quality(y: np.ndarray, yhat: np.ndarray, output: str) -> float:
    """Return the accuracy, or R², of outputs (n2, m); NaN where there is none."""
    if not y.size:
        return float("nan")
    spread = spread_of(y, np.ones((1, y.shape[1])))[0] if output == "identity" else None
    errors = get_output(output).errors(yhat, y, xp=np).sum(axis=1)
    reached = Score.of(Examples(yhat, y, spread=spread), np.array(np.nan), errors)
    return float(reached.accuracy if spread is None else reached.r2)

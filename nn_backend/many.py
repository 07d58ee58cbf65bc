"""Many networks at once: of each setting one, or one for each group, fold or resample of the rows."""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from nn_backend import engines
from nn_backend.backend import Backend, get_backend
from nn_backend.descent import fit
from nn_backend.engines.engine import Method, Score
from nn_backend.equations import Params, inside
from nn_backend.errors import ArgumentError
from nn_backend.examples import place_examples
from nn_backend.grids import Data, Parts, read_parts, read_rows, read_settings
from nn_backend.model import Model
from nn_backend.network import get_output, init_params, place_params, score
from nn_backend.networks import RESAMPLE, Networks, Scales
from nn_backend.optimizers import State
from nn_backend.tables import Standardization, standardization

AT_ONCE = 2**12  # networks in a call of `fit`, at most: memory is bounded, and their states stay in the caches


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
    dtype: str = "float64",
    backend: str | Backend | None = None,
    engine: str = "auto",
    threads: int | None = None,
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
    dtype : str
        ``"float64"`` or ``"float32"``, of the parameters.
    backend, engine, threads
        As in `fit`.
    **settings
        Those that all share: ``n_hidden`` (4), ``optimizer`` ("rprop", with a learning rate "gd"), ``learning_rate``
        (the rule's own), ``alpha`` (1), ``tol`` (0.001), ``iterations`` (1000), ``seed`` (3) and ``factor``
        (2 / sqrt(n0)), as in `fit` and `init_params`.

    Returns
    -------
    Networks
        All of them. Each has the bits that `fit` gives it alone with the same rows, weights and scaling. One that
        diverges has that as its status.

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
    data = read_rows(X, y, output, by, groups)
    training = _Training(
        data,
        read_settings(grid, settings, len(data.X)),
        read_parts(data, X, by, cv, groups, bootstrap),
        standardize,
        dtype,
        {"backend": backend, "engine": engine, "threads": threads},
    )
    training.run()
    return training.networks()


class _Call(NamedTuple):
    """Networks, by their rows of the table, and scaled examples that they are trained on together.

    ``shared`` and ``own`` are further arguments of `fit`, the latter with an entry for each network. ``held`` are the
    examples that a fold leaves out.
    """

    networks: np.ndarray
    X: np.ndarray
    y: np.ndarray
    shared: Mapping[str, Any] = MappingProxyType({})
    own: Mapping[str, Any] = MappingProxyType({})
    held: tuple[np.ndarray, np.ndarray] | None = None


class _Training:
    """The training of networks: where they start, and what they reach.

    Parameters
    ----------
    data, settings, parts
        The rows; a column of each setting's values; and by what the networks of a setting differ.
    standardize, dtype
        As in `fit_many`.
    options : mapping
        Where to compute: arguments of `fit`.
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
        self._networks = np.arange(len(settings["seed"]) * self._each)
        self._scales = Scales(
            _scalings(data.X, parts, "feature") if standardize else None,
            _scalings(data.y, parts, "y") if data.output == "identity" else None,
        )
        self._columns = {
            name: np.repeat([each.rule.name for each in values] if name == "optimizer" else values, self._each)
            for name, values in settings.items()
        }
        self._sizes: dict[int, Params] = {}
        for n_hidden in dict.fromkeys(settings["n_hidden"].tolist()):
            drawn = {name: settings[name][settings["n_hidden"] == n_hidden] for name in ("seed", "factor")}
            start = init_params(len(data.X), n_hidden, len(data.y), **drawn, dtype=dtype)
            self._sizes[n_hidden] = Params(*(np.repeat(array, self._each, axis=0) for array in start))
        measures = ["cost", "r2" if data.output == "identity" else "accuracy"]
        measures += [f"validation_{name}" for name in measures if parts.held]
        self._reached = {name: np.full(len(self._networks), np.nan) for name in measures}
        self._iterations = np.zeros(len(self._networks), np.int64)
        self._status = np.full(len(self._networks), "interrupted", object)  # until it is trained
        self._ran: dict[str, Any] = {}

    def run(self) -> None:
        """Train all networks; after Ctrl-C, those that are not trained yet keep their start."""
        sizes, optimizers, iterations = (self._settings[name] for name in ("n_hidden", "optimizer", "iterations"))
        keys = [*zip(sizes.tolist(), map(id, optimizers), iterations.tolist(), strict=True)]
        codes = {key: code for code, key in enumerate(dict.fromkeys(keys))}
        kinds = np.repeat([codes[key] for key in keys], self._each)
        for call in self._calls():
            for kind in dict.fromkeys(kinds[call.networks].tolist()):
                chosen = np.flatnonzero(kinds[call.networks] == kind)
                step = len(chosen) if "network" in call.shared else AT_ONCE
                for start in range(0, len(chosen), step):
                    if self._fit(call, chosen[start : start + step]):
                        return

    def _fit(self, call: _Call, chosen: np.ndarray) -> bool:
        """Train some networks of a call, keep what they reach, and return whether that was interrupted."""
        networks, own = call.networks[chosen], {name: array[chosen] for name, array in call.own.items()}
        setting = {name: values[networks[0] // self._each] for name, values in self._settings.items()}
        stack = self._sizes[int(setting["n_hidden"])]
        at = np.flatnonzero(self._columns["n_hidden"] == setting["n_hidden"]).searchsorted(networks)
        result = fit(
            call.X,
            call.y,
            Params(*(array[at] for array in stack)),
            output=self._data.output,
            optimizer=setting["optimizer"],
            iterations=int(setting["iterations"]),
            log_every=max(1, int(setting["iterations"])),
            **{name: self._columns[name][networks] for name in ("learning_rate", "alpha", "tol")},
            **call.shared,
            **own,
            **self._given[2],
        )
        for array, trained in zip(stack, result.params, strict=True):
            array[at] = trained
        self._iterations[networks], self._status[networks] = result.iterations, result.status
        self._ran = {"backend": result.backend, "engine": result.engine}
        scores = {"": result.score}
        if self._parts.held:
            scores["validation_"] = self._ask_held_out(call, result.params, own)
        for prefix, reached in scores.items():
            for name, values in reached._asdict().items():
                if prefix + name in self._reached:
                    self._reached[prefix + name][networks] = values
        return result.interrupted

    def _calls(self) -> Iterator[_Call]:
        """Yield what is trained together."""
        (X, y, output, _), parts, each, everything = self._data, self._parts, self._each, self._networks
        if parts.has_groups:
            taught = [g for g, rows in enumerate(parts.trained) if output == "identity" or _differ(y[:, rows])]
            self._status[~np.isin(everything % each, taught)] = "one_class"
            if taught:
                rows = np.concatenate([parts.trained[g] for g in taught])
                lengths = [len(parts.trained[g]) for g in taught]
                scaled = self._scales.of_examples(np.repeat(taught, lengths)).apply(X[:, rows], y[:, rows])
                network = np.repeat(np.arange(len(taught)), lengths)
                for first in everything[::each]:
                    yield _Call(first + np.array(taught), *scaled, {"network": network})
        elif parts.held and (self._scales.parts > 1 or not parts.is_partition):
            for k, (train, test) in enumerate(zip(parts.trained, parts.held, strict=True)):
                X, y = self._scales.of(k).apply(*self._data[:2])
                yield _Call(everything[k::each], X[:, train], y[:, train], held=(X[:, test], y[:, test]))
        elif parts.held:
            fold = np.repeat(np.arange(each), [*map(len, parts.held)])[np.argsort(np.concatenate(parts.held))]
            yield _Call(everything, X, y, {"fold": fold}, {"held_out": everything % each})
        else:
            own = {} if parts.name is None else {"weights": self._counts.reshape(-1, X.shape[1])}
            yield _Call(everything, *self._scales.of(0).apply(X, y), own=own)

    @functools.cached_property
    def _counts(self) -> np.ndarray:
        """How often each resample has each row, (settings, resamples, m)."""
        m, seeds = self._data.X.shape[1], self._settings["seed"].tolist()
        shares = np.full(m, 1 / m)
        drawn = {seed: np.random.RandomState(seed).multinomial(m, shares, self._each) for seed in set(seeds)}
        return np.stack([drawn[seed] for seed in seeds])

    def _ask_held_out(self, call: _Call, params: Params, own: Mapping[str, Any]) -> Score:
        """Return the score of networks on the examples that their folds leave out."""
        place, kind = get_backend(self._given[2]["backend"]), get_output(self._data.output)
        if call.held is not None:
            return score(params, *call.held, output=kind.name, backend=place)
        params = place_params(params, place)
        examples = place_examples(params, call.X, call.y, place, kind, **call.shared, **own, asked=True)
        method = Method(kind, counts=inside)
        engine = engines.bind("auto", examples, params, backend=place, method=method, tasks=("score",))
        return engine.score(engine.start(State(params, {})))

    def networks(self) -> Networks:
        """Return what was reached."""
        import pandas as pd

        table: dict[str, Any] = (
            {} if self._parts.name is None else {self._parts.name: self._parts.keys * len(self._settings["seed"])}
        )
        table |= {"max_iterations" if name == "iterations" else name: each for name, each in self._columns.items()}
        table |= {**self._reached, "iterations": self._iterations, "status": self._status}
        networks = Networks(
            pd.DataFrame(table),
            self._sizes,
            self._data.output,
            self._scales,
            **self._data.meaning,
            part=self._parts.name,
            training=self._ran,
            refit=self._refit if self._parts.held else None,
        )
        return replace(networks, oob_score=self._oob_score(networks)) if self._parts.name == RESAMPLE else networks

    def _refit(self, chosen: int) -> Model:
        """Return the network of a setting, trained on all rows."""
        parts = Parts(None, [], [np.arange(self._data.X.shape[1])], [])
        setting = {name: values[chosen : chosen + 1] for name, values in self._settings.items()}
        again = _Training(self._data, setting, parts, *self._given)
        again.run()
        return again.networks()[0]

    def _oob_score(self, networks: Networks) -> Any:
        """Return the accuracy or R² of the mean of each setting's networks, each asked about rows it has not drawn."""
        y, output, absent = self._data.y, self._data.output, self._counts[:, :, None] == 0
        yhat = np.zeros((len(self._settings["seed"]), *y.shape))
        for columns, values in networks.outputs(self._data.X):
            asked = absent[..., columns]
            yhat[..., columns] = np.where(asked, values.reshape(*asked.shape[:2], *values.shape[1:]), 0).sum(axis=1)
        times = absent.sum(axis=1)
        scores = [
            _quality(y[:, n[0] > 0], total[:, n[0] > 0] / n[:, n[0] > 0], output)
            for total, n in zip(yhat, times, strict=True)
        ]
        return scores[0] if len(scores) == 1 else np.array(scores)


def _quality(y: np.ndarray, yhat: np.ndarray, output: str) -> float:
    """Return the accuracy, or R², of outputs (n2, m); NaN where there is none."""
    if output == "identity":
        spread = ((y - y.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.mean(1 - ((y - yhat) ** 2).sum(axis=1) / spread))
    right = yhat.argmax(axis=0) == y.argmax(axis=0) if output == "softmax" else (yhat >= 0.5) == y
    return float(right.mean()) if right.size else float("nan")


def _differ(y: np.ndarray) -> bool:
    return bool((y != y[:, :1]).any())


def _scalings(values: np.ndarray, parts: Parts, what: str) -> Standardization:
    """Return the scaling of each part's rows, arrays (parts, rows, 1)."""
    if parts.has_groups:
        starts = np.cumsum([0, *map(len, parts.trained[:-1])])
        scale = standardization(values[:, np.concatenate(parts.trained)], starts=starts, what=what)
        return Standardization(*(array.T[:, :, None] for array in scale))
    scales = [standardization(values[:, rows], what=what) for rows in parts.trained]
    return Standardization(*map(np.stack, zip(*scales, strict=True)))

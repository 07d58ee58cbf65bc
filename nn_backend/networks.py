"""Many trained networks that share inputs and outputs, and what their numbers mean."""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from nn_backend.backend import Backend, get_backend
from nn_backend.engines.engine import Score
from nn_backend.equations import Params
from nn_backend.errors import ArgumentError, ArrayTypeError, DataError
from nn_backend.examples import without_gaps
from nn_backend.model import Model
from nn_backend.network import compute_layer, get_output, predict_proba, score
from nn_backend.tables import Encoding, Scales, check_columns, is_frame, quoted, read_column, read_targets

if TYPE_CHECKING:  # see files.py
    import pandas as pd

MEASURES = Score._fields
FOLD, RESAMPLE = "fold", "resample"
CHUNK_BYTES = 2**26


@dataclass(frozen=True, eq=False)
class Networks:
    """What `fit_many` reached: networks that share inputs, outputs, and what these mean.

    ``len`` is their number. ``networks[row]`` is the `Model` in a row of the table; where groups have networks,
    ``networks[group]`` is that of a group, of several settings the one of the lowest cost. A loop goes by rows.

    Attributes
    ----------
    table : DataFrame
        A row for each network: its group, fold or resample; its settings, ``max_iterations`` among them; ``cost`` and
        ``accuracy`` or ``r2`` on what it was trained on, and with folds or validation rows ``validation_cost`` and so
        on; ``iterations`` done, and ``best_iteration`` where validation rows were watched; and ``status`` as in
        `FitResult`, or ``"one_class"`` of a group of one class, whose network keeps its start. The settings have the
        order asked; each has all its groups, folds or resamples together.
    sizes : mapping of int to Params
        By their number of hidden units, the networks of that size in the table's order, with a leading axis.
    output, features, target, labels, encoding
        As in `Model`.
    scales : Scales
        How features and numbers to predict are scaled.
    part : str, optional
        The table's column that tells the networks of a setting apart: that of groups, ``"fold"`` or ``"resample"``.
    oob_score : float or ndarray (settings,), optional
        Accuracy or R² of the mean of a setting's networks, each asked about the rows that its resample has not drawn.
    training : mapping
        Where they were trained.
    """

    table: "pd.DataFrame"
    sizes: Mapping[int, Params] = field(repr=False)
    output: str
    scales: Scales = field(repr=False)
    features: tuple[str, ...] | None = None
    target: str | None = None
    labels: tuple[Any, ...] | None = None
    part: str | None = None
    encoding: Encoding | None = None
    oob_score: Any = None
    training: Mapping[str, Any] = field(default_factory=dict)
    refit: Callable[[int], Model] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.table)

    def __iter__(self) -> Iterator[Model]:
        return map(self._model, range(len(self)))

    def __getitem__(self, key: Any) -> Model:
        if not self.has_groups:
            rows = range(len(self))
            if not isinstance(key, int | np.integer) or not -len(rows) <= key < len(rows):
                raise ArgumentError(f"there is no network {key!r}; expected a row of the table, 0 to {len(rows) - 1}")
            return self._model(rows[key])
        return self._model(int(self.best_of_groups[self._find_groups([key])[0]]))

    @property
    def params(self) -> Params:
        """All networks in the table's order, with a leading axis, where all are of one size."""
        if len(self.sizes) > 1:
            sizes = ", ".join(map(str, self.sizes))
            raise ArgumentError(f"the networks have {sizes} hidden units and are no one array; take sizes[n_hidden]")
        return next(iter(self.sizes.values()))

    @functools.cached_property
    def costs(self) -> np.ndarray:
        """The cost by which each network is chosen, of validation rows where there are any; NaN if it diverged."""
        return np.where(self.table["status"] == "diverged", np.nan, self.table[self._decisive].to_numpy())

    @functools.cached_property
    def best_of_groups(self) -> np.ndarray:
        """The row of the table of each group's best network."""
        costs = np.where(np.isnan(self.costs), np.inf, self.costs).reshape(-1, self._parts)
        return np.asarray(costs.argmin(axis=0) * self._parts + np.arange(self._parts))

    def best(self, column: str | None = None) -> Model:
        """Return the best network; with folds, one of the setting that is best in their mean, trained on all rows.

        Parameters
        ----------
        column : str, optional
            What is compared: the table's column of a cost, of which the lowest is best, or of an accuracy or R², of
            which the highest is; by default ``"validation_cost"`` where there is one, else ``"cost"``.
        """
        column = column or self._decisive
        accepted = [name for name in self.table if str(name).removeprefix("validation_") in MEASURES]
        if column not in accepted:
            raise ArgumentError(f"column is {column!r}; accepted: {', '.join(map(str, accepted))}")
        failed = (self.table["status"] == "diverged").to_numpy()
        values = np.where(failed, np.nan, self.table[column].to_numpy()) * (1 if column.endswith("cost") else -1)
        if self.part == FOLD:
            values = values.reshape(-1, self._parts).mean(axis=1)
        if np.isnan(values).all():
            raise DataError(f"no network has a number in column {column!r}; the column status says why")
        chosen = int(np.nanargmin(values))
        if self.part != FOLD:
            return self._model(chosen)
        if self.refit is None:
            raise ArgumentError("networks from a file have no rows to train on; save the model that best() returns")
        return self.refit(chosen)

    def predict_proba(
        self, X: Any, by: Any = None, reduce: str | None = None, *, backend: str | Backend | None = None
    ) -> Any:
        """Return the networks' outputs for each example: probabilities, or numbers predicted.

        Parameters
        ----------
        X : array (n0, m), or DataFrame with an example per row
            Features in their own units.
        by : array (m,), or name of a column of the frame, optional
            The group of each example, whose network is asked; by default all networks are.
        reduce : str, optional
            ``"mean"`` or ``"std"`` of the networks; by default the output of each.
        backend : str or Backend, optional
            Where to compute, as in `get_backend`.

        Returns
        -------
        ndarray (networks, n2, m)
            In the order of the table; reduced, or by groups of one setting, (n2, m); by groups of several settings
            (settings, n2, m). For a frame, a Series or DataFrame on its index.

        Raises
        ------
        DataError
            If the rows do not fit the networks, or a group has no network.
        """
        if reduce not in (None, "mean", "std"):
            raise ArgumentError(f"reduce is {reduce!r}; accepted: None, mean, std")
        rows, groups = self._read_rows(X), None if by is None else self._find_groups(read_column(X, by, "by")[1])
        several = [] if reduce else [len(self) if groups is None else len(self) // self._parts]
        values = np.empty((*several, self._n2, rows.shape[1]), self._dtype)
        for columns, yhat in self.outputs(rows, groups, backend):
            values[..., columns] = getattr(np, reduce)(yhat, axis=0) if reduce else yhat
        if groups is not None and several == [1]:
            values = values[0]
        return self._framed(values, X.index) if is_frame(X) else values

    def compute_layers(
        self, X: np.ndarray, groups: np.ndarray, *, backend: str | Backend | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return z2 and yhat (n2, m), each example's by the best network of its group; numbers are not unscaled.

        Parameters
        ----------
        X : array (n0, m)
            Features in their own units.
        groups : array (m,) of int
            The number of each example's group, in the order of the table.
        backend : str or Backend, optional
            Where to compute, as in `get_backend`.
        """
        place, kind, chosen = get_backend(backend), get_output(self.output), self.best_of_groups[groups]
        z2 = np.empty((self._n2, len(groups)), next(iter(self.sizes.values())).w1.dtype)
        yhat = np.empty_like(z2)
        for n_hidden, stack in self.sizes.items():
            own = np.flatnonzero(self.table["n_hidden"].to_numpy()[chosen] == n_hidden)
            if own.size:
                scale, rows = self.scales.of_examples(groups[own]).features, X[:, own]
                rows = rows if scale is None else scale.apply(rows)
                layers = compute_layer("layers", stack, rows, place, kind, self._places[chosen[own]])
                z2[:, own], yhat[:, own] = layers[: self._n2], layers[-self._n2 :]
        return z2, yhat

    def score(self, X: Any, y: Any, by: Any = None, *, backend: str | Backend | None = None) -> Score:
        """Return each network's cost and accuracy, or R², on a data set.

        Parameters
        ----------
        X, by, backend
            As in `predict_proba`. With ``by``, a network is asked about the examples of its group.
        y : array (n2, m) or (m,), or name of a column of the frame
            True values; numbers in their own units.

        Returns
        -------
        Score
            Arrays (networks,) in the order of the table; NaN where a group has no example.
        """
        rows, groups = self._read_rows(X), None if by is None else self._find_groups(read_column(X, by, "by")[1])
        if is_frame(X) and isinstance(y, str):
            check_columns(X, [y])
            y = read_targets(X, y, self.labels, "the data frame", output=self.output)
        y = np.atleast_2d(get_backend("cpu").asarray(y, "float64"))
        if y.shape != (self._n2, rows.shape[1]):
            raise DataError(f"y has shape {y.shape}; expected (n2, m) = {self._n2, rows.shape[1]}")
        reached = Score(*(np.full(len(self), np.nan) for _ in MEASURES))
        for networks, params, scales, asked in self._alike(groups):
            found = score(params, *scales.apply(rows, y), output=self.output, **asked, backend=backend)
            for values, value in zip(reached, found, strict=True):
                values[networks] = value
        return reached

    def outputs(
        self, X: np.ndarray, groups: np.ndarray | None = None, backend: str | Backend | None = None
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield some columns of X (n0, m) at a time, and the outputs (networks, n2, columns) for them.

        With the number of each example's group, the outputs are (settings, n2, columns).
        """
        each = 1 if groups is None else self._parts
        step = max(1, CHUNK_BYTES // (8 * self._n2 * (len(self) // each)))
        for start in range(0, X.shape[1], step):
            chunk = slice(start, start + step)
            part, own = X[:, chunk], None if groups is None else groups[chunk]
            values = np.empty((len(self) // each, self._n2, part.shape[1]), self._dtype)
            for networks, params, scales, asked in self._alike(own):
                inputs = part if scales.features is None else scales.features.apply(part)
                yhat = predict_proba(params, inputs, output=self.output, **asked, backend=backend)
                at = networks if own is None else networks[:, 0] // each
                values[at] = yhat if scales.target is None else scales.target.undo(yhat)
            yield chunk, values

    def _alike(self, groups: np.ndarray | None) -> Iterator[tuple[np.ndarray, Params, Scales, dict[str, Any]]]:
        """Yield networks that are asked in one call, by their rows of the table; parameters; scaling; and by whom."""
        if groups is not None:
            present, numbers = without_gaps(groups)
            own_scales = self.scales.of_examples(groups)
        for n_hidden, stack in self.sizes.items():
            networks = np.flatnonzero(self.table["n_hidden"].to_numpy() == n_hidden)
            calls: list[tuple[Any, Scales, dict[str, Any]]]
            if groups is None:  # a setting has a network for each scaling
                parts = self.scales.parts
                calls = [(slice(part, None, parts), self.scales.of(part), {}) for part in range(parts)]
            else:
                of_groups = np.arange(0, len(networks), self._parts)[:, None] + present
                calls = [(of_groups, own_scales, {"network": numbers})]
            for own, scales, asked in calls:
                yield networks[own], Params(*(array[own] for array in stack)), scales, asked

    @property
    def has_groups(self) -> bool:
        """Whether each group of rows has networks of its own."""
        return self.part not in (None, FOLD, RESAMPLE)

    @property
    def _decisive(self) -> str:
        return "validation_cost" if "validation_cost" in self.table else "cost"

    @property
    def _n2(self) -> int:
        return int(next(iter(self.sizes.values())).w2.shape[-2])

    @property
    def _dtype(self) -> Any:
        return next(iter(self.sizes.values())).w1.dtype if self.scales.target is None else np.dtype(np.float64)

    @functools.cached_property
    def _parts(self) -> int:
        """How many networks a setting has."""
        return 1 if self.part is None else int(self.table[self.part].nunique())

    @functools.cached_property
    def _places(self) -> np.ndarray:
        """Where the network of each row of the table is among those of its size."""
        sizes = self.table["n_hidden"].to_numpy()
        places = np.empty(len(self), np.int64)
        for n_hidden, stack in self.sizes.items():
            places[sizes == n_hidden] = np.arange(len(stack.w1))
        return places

    @functools.cached_property
    def _keys(self) -> Any:
        import pandas as pd

        return pd.Index(self.table[self.part].iloc[: self._parts])

    def _find_groups(self, values: Any) -> np.ndarray:
        """Return the number of each group."""
        if not self.has_groups:
            raise ArgumentError("by is given; expected None, as these networks are not of groups")
        numbers = np.asarray(self._keys.get_indexer(values))
        if (numbers < 0).any():
            unknown, known = values[int(np.argmin(numbers))], quoted([*map(str, self._keys)])
            raise DataError(f"{self.part} {unknown!r} has no network; these have: {known}")
        return numbers

    def _read_rows(self, X: Any) -> np.ndarray:
        """Return X (n0, m), float64."""
        if not is_frame(X):
            rows, n0 = (
                np.asarray(get_backend("cpu").asarray(X, "float64")),
                next(iter(self.sizes.values())).w1.shape[-1],
            )
            if rows.ndim != 2 or len(rows) != n0:
                remedy = " Pass X.T." if rows.shape[1:] == (n0,) else ""
                raise DataError(f"X has shape {rows.shape}; expected (n0, m) with n0 = {n0}.{remedy}")
            return rows
        if self.features is None:
            raise ArrayTypeError("X is a data frame, and the networks' features have no names; expected an array")
        return (self.encoding or Encoding.of_numbers(self.features)).read(X, "the data frame")

    def _framed(self, values: np.ndarray, index: Any) -> Any:
        """Return values (n2, m) or (networks, n2, m) as a Series, or a DataFrame with a column for each row."""
        import pandas as pd

        names: Any = self.labels if self.output == "softmax" and self.labels else range(values.shape[-2])
        if values.ndim == 2:
            return pd.Series(values[0], index) if len(values) == 1 else pd.DataFrame(values.T, index, list(names))
        networks = range(len(values))
        columns = networks if values.shape[1] == 1 else pd.MultiIndex.from_product([networks, names])
        return pd.DataFrame(values.reshape(-1, values.shape[-1]).T, index, columns)

    def _model(self, row: int) -> Model:
        """Return the network in a row of the table."""
        found: dict[Any, Any] = {name: column.iat[row] for name, column in self.table.items()}
        values = {name: value.item() if isinstance(value, np.generic) else value for name, value in found.items()}
        known = {
            str(name): value for name, value in values.items() if value not in (np.inf, -np.inf) and value == value
        }
        scales = self.scales.of(row % self._parts)
        return Model(
            Params(*(array[self._places[row]] for array in self.sizes[values["n_hidden"]])),
            self.output,
            features=self.features,
            target=self.target,
            labels=self.labels,
            encoding=self.encoding,
            standardization=scales.features,
            target_scale=scales.target,
            training={**self.training, **{name: known[name] for name in known if name not in MEASURES}},
            **{name: known[name] for name in MEASURES if name in known},
        )

"""What `fit_many` is asked: rows, settings, and by what the networks of one setting differ."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from nn_backend.backend import get_backend
from nn_backend.checks import SEED, SIZE, Kind, Number, Whole, check, check_array, shown
from nn_backend.descent import ALPHA, MAX_ITERATIONS, TOL
from nn_backend.descent import KINDS as RULE_KINDS
from nn_backend.errors import ArgumentError, ArrayTypeError, DataError, MissingPackageError
from nn_backend.examples import by_code
from nn_backend.network import get_output
from nn_backend.networks import FOLD, MEASURES, RESAMPLE
from nn_backend.optimizers import get_optimizer
from nn_backend.tables import (
    Scales,
    Standardization,
    check_columns,
    column_names,
    is_frame,
    load_table,
    quoted,
    read_column,
    standardization,
)

DEFAULTS = {  # None: depends on others
    "n_hidden": 4,
    "optimizer": None,
    "learning_rate": None,
    "alpha": ALPHA,
    "tol": TOL,
    "iterations": MAX_ITERATIONS,
    "seed": 3,
    "factor": None,
}
KINDS: dict[str, Kind] = {**RULE_KINDS, "n_hidden": SIZE, "iterations": Whole(), "seed": SEED}
MEANING = ("features", "target", "labels", "encoding")
OWN_COLUMNS = {*DEFAULTS, "max_iterations", "best_iteration", *MEASURES, "status", FOLD, RESAMPLE}
NUMBERS_AT_ONCE = 2**20  # of rows that stand one after the other for networks that have their own


class Data(NamedTuple):
    """Rows X (n0, m) and y (n2, m) in their own units, and what they mean."""

    X: np.ndarray
    y: np.ndarray
    output: str
    meaning: Mapping[str, Any]


class Parts(NamedTuple):
    """By what the networks of a setting differ: each key has one.

    ``trained`` are the rows of each group or fold; of resamples, or where there is no key, all rows, once. ``held``, if
    not empty, are as many arrays of other rows, about which networks are asked; they are watched if ``watches``.
    """

    name: str | None
    keys: list[Any]
    trained: list[np.ndarray]
    held: list[np.ndarray] = []  # noqa: RUF012  # of a tuple, and never changed
    watches: bool = False

    @property
    def has_groups(self) -> bool:
        """Whether each key is a group."""
        return self.name not in (None, FOLD, RESAMPLE)

    @property
    def have_rows(self) -> bool:
        """Whether each key has rows of its own."""
        return self.name not in (None, RESAMPLE)

    def chunks(self, parts: list[int], at_most: int, row: int) -> Iterator[list[int]]:
        """Cut parts into runs of at most so many, with rows of that many numbers that fit into memory together."""
        run: list[int] = []
        numbers = 0
        for part in parts:
            size = row * sum(len(rows[part]) for rows in (self.trained, self.held) if rows)
            if run and (len(run) == at_most or numbers + size > NUMBERS_AT_ONCE):
                yield run
                run, numbers = [], 0
            run.append(part)
            numbers += size
        if run:
            yield run


class ScaledRows:
    """The rows of parts, scaled by those that each is trained on, which are looked at when they are first asked for.

    Parameters
    ----------
    data, parts
        The rows, and which are whose.
    standardize : bool
        Whether features are scaled; numbers to predict always are.
    """

    def __init__(self, data: Data, parts: Parts, standardize: bool) -> None:
        def unknown(rows: int) -> Standardization:
            return Standardization(*(np.full((len(parts.trained), rows, 1), np.nan) for _ in range(2)))

        self._data, self._parts = data, parts
        is_number = data.output == "identity"
        self._scales = Scales(
            unknown(len(data.X)) if standardize else None, unknown(len(data.y)) if is_number else None
        )

    def of(self, own: list[int]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the rows that parts are trained on, and those held out, as `fit` takes them."""

        def gather(rows: list[np.ndarray]) -> tuple[np.ndarray, ...]:
            chosen = [rows[part] for part in own]
            together = np.concatenate(chosen)
            numbers = np.repeat(np.arange(len(own)), [*map(len, chosen)])
            return numbers, self._data.X[:, together], self._data.y[:, together]

        def scaled(numbers: np.ndarray, *values: np.ndarray) -> dict[str, Any]:
            X, y = self._scales.some(own).of_examples(numbers).apply(*values)
            return {"X": X, "y": y, **({"network": numbers} if len(own) > 1 else {})}

        numbers, *trained = gather(self._parts.trained)
        for values, scale, what in zip(trained, self._scales, ("feature", "y"), strict=True):
            if scale is not None and np.isnan(scale.mean[own]).any():
                found = standardization(values, starts=np.searchsorted(numbers, np.arange(len(own))), what=what)
                for array, columns in zip(scale, found, strict=True):
                    array[own] = columns.T[:, :, None]
        return scaled(numbers, *trained), scaled(*gather(self._parts.held)) if self._parts.held else {}

    def scales(self) -> Scales:
        """Return how the rows of each part are scaled, asked for or not."""
        for scale in filter(None, self._scales):
            for part in np.flatnonzero(np.isnan(scale.mean).any(axis=(1, 2))).tolist():
                self.of([part])
        return self._scales


def join(X: Any, y: Any, by: Any, validation: Any) -> tuple[Any, Any, Any, int]:
    """Return X, y and by with further rows at their end, and how many these are."""
    if is_frame(X) != is_frame(validation):
        raise ArrayTypeError(
            f"validation is of type {type(validation).__name__}; expected "
            + ("a data frame, as X is" if is_frame(X) else "a tuple of arrays (X, y), with by (X, y, groups)")
        )
    if is_frame(X):
        import pandas as pd

        if by is not None and not isinstance(by, str):
            raise ArgumentError("by is an array, and validation a data frame; expected by as a column of both")
        columns = column_names(X)
        check_columns(validation, columns)
        return pd.concat([X, validation.set_axis(column_names(validation), axis=1)[columns]]), y, by, len(validation)
    if not isinstance(validation, Sequence) or len(validation) != 2 + (by is not None):
        raise ArgumentError("validation is something else than a tuple of arrays (X, y), with by (X, y, groups)")
    given = (X, y) if by is None else (X, y, by)
    cpu = get_backend("cpu")
    try:
        joined = [
            np.concatenate([np.asarray(cpu.asarray(a) if k < 2 else a) for a in pair], axis=-1)
            for k, pair in enumerate(zip(given, validation, strict=True))
        ]
    except ValueError:
        shapes = [[np.shape(array) for array in arrays] for arrays in (validation, given)]
        raise DataError(f"validation has shapes {shapes[0]}; expected {shapes[1]} but for the last axis") from None
    return joined[0], joined[1], None if by is None else joined[2], np.shape(validation[0])[-1]


def read_rows(X: Any, y: Any, output: str | None, *columns: Any) -> Data:
    """Return checked rows; the columns of a frame that are named are no features."""
    if is_frame(X):
        if not isinstance(y, str):
            raise ArrayTypeError(f"X is a data frame, and y is of type {type(y).__name__}; expected a column's name")
        no_features = {y, *(name for name in columns if isinstance(name, str))}
        check_columns(X, sorted(no_features))
        features = [name for name in column_names(X) if name not in no_features]
        task = None if output is None else "regression" if output == "identity" else "classification"
        table = load_table(X, target=y, features=features, task=task)
        if output not in (None, table.output):
            raise ArgumentError(f"output is {output!r}; expected {table.output!r}, by the values in column {y!r}")
        return Data(table.X, table.y, table.output, {name: getattr(table, name) for name in MEANING})
    cpu = get_backend("cpu")
    X, y = cpu.asarray(X, "float64"), np.atleast_2d(cpu.asarray(y, "float64"))
    if X.ndim != 2 or y.ndim != 2 or X.shape[1:] != y.shape[1:] or 0 in X.shape + y.shape:
        remedy = " Pass X.T." if X.shape[:1] == y.shape[1:] else ""
        raise DataError(f"X has shape {X.shape} and y {y.shape}; expected (n0, m) and (n2, m) or (m,).{remedy}")
    for name, array in (("X", X), ("y", y)):
        if not np.isfinite(array).all():
            raise DataError(f"{name} holds NaN or infinity; expected finite numbers")
    if output is None:
        classes = np.isin(y, (0, 1)).all()
        output = "identity" if not classes else "softmax" if len(y) > 1 and (y.sum(axis=0) == 1).all() else "sigmoid"
    return Data(X, y, get_output(output).name, {})


def read_settings(grid: Any, shared: Mapping[str, Any], n0: int) -> dict[str, Any]:
    """Return by name a column of values for each setting, as many as there are settings."""
    if grid is None:
        given: dict[str, list[Any]] = {}
        count = 1
    elif isinstance(grid, Mapping):
        for name, values in grid.items():
            if isinstance(values, str) or not np.iterable(values):
                raise ArgumentError(f"{name} of the grid is {shown(values)}; expected a sequence of values")
        choices = {name: list(values) for name, values in grid.items()}
        count = math.prod(map(len, choices.values()))
        places = np.indices([*map(len, choices.values())]).reshape(len(choices), count)
        given = {
            name: [*map(values.__getitem__, row.tolist())]
            for (name, values), row in zip(choices.items(), places, strict=True)
        }
    else:
        if is_frame(grid):
            grid = grid.astype(object).where(grid.notna(), None).to_dict("records")
        records = list(grid)
        names = dict.fromkeys(name for record in records for name in record)
        given = {name: [record.get(name, shared.get(name)) for record in records] for name in names}
        count = len(records)
    unknown = sorted(str(name) for name in {**shared, **given} if name not in DEFAULTS)
    if unknown:
        raise ArgumentError(f"settings {quoted(unknown)} are not known; accepted: {', '.join(DEFAULTS)}")
    if count == 0:
        raise ArgumentError("the grid has no setting; expected at least one")
    columns = {name: given.get(name, [shared.get(name, default)]) for name, default in DEFAULTS.items()}
    rules, rates = columns["optimizer"], columns["learning_rate"]
    both = max(len(rules), len(rates))
    rules, rates = (values * (both // len(values)) for values in (rules, rates))  # one for all, or each its own
    columns["optimizer"] = [
        get_optimizer(rule or ("rprop" if rate is None else "gd")) for rule, rate in zip(rules, rates, strict=True)
    ]
    columns["learning_rate"] = [
        optimizer.numbers["learning_rate"] if rate is None else rate
        for optimizer, rate in zip(columns["optimizer"], rates, strict=True)
    ]
    others = {**DEFAULTS, "factor": 2 / n0**0.5}
    read = {
        name: values if name == "optimizer" else _numbers(name, values, others[name])
        for name, values in columns.items()
    }
    return {
        name: values * (count // len(values)) if name == "optimizer" else np.repeat(values, count // len(values))
        for name, values in read.items()
    }


def _numbers(name: str, values: list[Any], default: Any) -> np.ndarray:
    """Return a setting's values, each a number."""
    given = [default if value is None else value for value in values]
    kind = KINDS.get(name, Number())
    try:
        return check_array(name, given, kind)
    except ArgumentError:
        for value in given:  # one of these is it
            check(name, value, kind)
        raise


def read_parts(data: Data, X: Any, by: Any, cv: Any, groups: Any, bootstrap: int | None, watched: int = 0) -> Parts:
    """Return what the networks of one setting are trained on; the last rows may be watched only."""
    import pandas as pd

    m = data.X.shape[1] - watched
    everything, held = np.arange(m), [np.arange(m, m + watched)] if watched else []
    if by is not None:
        name, values = read_column(X, by, "by")
        if name in OWN_COLUMNS:
            raise ArgumentError(f"by is a column {name!r}, which the networks' table has itself; rename it")
        codes, keys = pd.factorize(values, sort=True)
        if (codes < 0).any():
            raise DataError(f"{name}, row {int(np.argmin(codes)) + 1}: missing value; fill it or drop the row")
        trained, held = (by_code(some, len(keys)) for some in (codes[:m], codes[m:]))
        held = [m + own for own in held] if watched else []
        for kind, rows in (("training", trained), ("validation", held)):
            if not all(map(len, rows)):
                group = pd.Index(keys).tolist()[[*map(len, rows)].index(0)]
                raise DataError(f"{name} {group!r} has no {kind} row; expected some of each group")
        return Parts(name, pd.Index(keys).tolist(), trained, held, watched > 0)
    if bootstrap is not None:
        bootstrap = check("bootstrap", bootstrap, Whole(1))
        return Parts(RESAMPLE, [*range(bootstrap)], [everything], held, watched > 0)
    if cv is None:
        return Parts(None, [], [everything], held, watched > 0)
    taken = None if groups is None else read_column(X, groups, "groups")[1]
    pairs = [[everything[rows] for rows in pair] for pair in _folds(cv, data, taken)]
    if not pairs or not all(len(rows) for pair in pairs for rows in pair):
        raise ArgumentError("cv has no fold, or one without rows; expected pairs of rows (train, test)")
    return Parts(FOLD, [*range(len(pairs))], [train for train, _ in pairs], [test for _, test in pairs])


def _folds(cv: Any, data: Data, groups: Any) -> Any:
    """Return pairs of rows (train, test)."""
    if np.iterable(cv) and not hasattr(cv, "split"):
        return cv
    true = data.y.T if data.output == "identity" else data.y.argmax(axis=0) if len(data.y) > 1 else data.y[0]
    if not hasattr(cv, "split"):
        try:
            from sklearn.model_selection import check_cv
        except ImportError:
            raise MissingPackageError(
                'cv as a number needs scikit-learn: run "pip install nn-backend[sklearn]", or pass pairs of rows'
            ) from None
        try:
            return [*check_cv(cv, true, classifier=data.output != "identity").split(data.X.T, true, groups)]
        except ValueError as error:
            raise ArgumentError(f"cv is {shown(cv)}, which scikit-learn refuses: {error}") from None
    return cv.split(data.X.T, true, groups)

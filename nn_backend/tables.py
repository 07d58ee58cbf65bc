"""Files and frames in, checked arrays out: X of shape (n0, m) and y of shape (n2, m), one example per column."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nn_backend.errors import ArgumentError, ArrayTypeError, DataError
from nn_backend.files import read_frame

if TYPE_CHECKING:  # see files.py
    import pandas as pd

TASKS = ("classification", "regression")
MAX_CLASSES = 15  # of a numeric target whose task is not said; with more values it is a number to predict
MIN_SPREAD, MAX_SPREAD = 1e-150, 1e150  # of a feature to standardise; beyond these a square is 0 or infinite


class Table(NamedTuple):
    """A checked data set.

    Attributes
    ----------
    X : ndarray (n0, m), float64
        One example per column.
    y : ndarray (n2, m), float64
        True values: 0 or 1; of more than two classes a row for each, with one 1 in a column; or numbers to predict.
    features : tuple of str
        Names of the rows of X.
    target : str
        Name of the target.
    labels : tuple of str, or None
        What stands for 0 and 1 in the source, where that was something else; or the classes, in the order of y's rows.
    output : str
        What a network needs to predict y: ``"sigmoid"``, ``"softmax"`` or ``"identity"``.
    """

    X: np.ndarray
    y: np.ndarray
    features: tuple[str, ...]
    target: str
    labels: tuple[str, ...] | None = None
    output: str = "sigmoid"


class Standardization(NamedTuple):
    """Mean and deviation of each feature.

    Attributes
    ----------
    mean, deviation : ndarray (n0, 1)
        In the units of the feature; the deviation of a constant feature is given as 1.
    """

    mean: np.ndarray
    deviation: np.ndarray

    def apply(self, X: np.ndarray) -> np.ndarray:
        """Return (X - mean) / deviation, shape (n0, m)."""
        with np.errstate(over="ignore"):  # fit and score refuse infinity
            scaled: np.ndarray = (X - self.mean) / self.deviation
        return scaled

    def undo(self, scaled: np.ndarray) -> np.ndarray:
        """Return scaled * deviation + mean, shape (n0, m)."""
        values: np.ndarray = scaled * self.deviation + self.mean
        return values

    def to_lists(self) -> dict[str, list[float]]:
        """Return the numbers by name, one for each feature, as JSON can hold them."""
        return {name: array.ravel().tolist() for name, array in self._asdict().items()}


def load_table(
    source: "str | Path | pd.DataFrame",
    *,
    target: str = "y",
    features: Sequence[str] | None = None,
    task: str | None = None,
) -> Table:
    """Read a file or a data frame with one example per row.

    Parameters
    ----------
    source : path or DataFrame
        A ``.csv``, ``.csv.gz`` or ``.parquet`` file with names in the first row, or a pandas DataFrame.
    target : str
        The column to predict: 0 or 1, booleans, two or more classes (text or numbers, sorted), or a number.
    features : sequence of str, or str, optional
        The columns to predict it from, in this order, or the only one; by default every column but the target.
    task : str, optional
        ``"classification"`` or ``"regression"``; by default a numeric target with fractions or more than 15 values is a
        number to predict, and the values of any other are classes.

    Returns
    -------
    Table
        X (n0, m) and y (n2, m), float64.

    Raises
    ------
    DataFileError
        If the file is missing or cannot be read as what its name says.
    DataError
        If a column is missing, stands twice, or holds something that is not a finite number.
    ArgumentError
        If a feature is named twice, or is the target, or the task is not known.
    ArrayTypeError
        If the source is neither a path nor a DataFrame.
    MissingPackageError
        If a Parquet file is given and pyarrow is not installed.
    """
    import pandas as pd

    if isinstance(source, pd.DataFrame):
        where, frame = "the data frame", source
    elif isinstance(source, str | Path):
        where, frame = str(source), read_frame(Path(source))
    else:
        raise ArrayTypeError(
            f"the source is of type {type(source).__name__}; expected a path or a pandas DataFrame. "
            f"Arrays need no loading: pass X (n0, m) and y (1, m) to fit"
        )
    if task is not None and task not in TASKS:
        raise ArgumentError(f"task is {task!r}; accepted: {', '.join(TASKS)}")
    if isinstance(features, str):
        features = [features]
    names = column_names(frame)
    chosen = _choose(names, target, features, where)
    if len(frame) == 0:
        raise DataError(f"{where} has no rows below its header; expected one example per row")
    X = read_features(frame, chosen, where)
    y, labels, output = _target(frame.iloc[:, names.index(target)], target, where, task)
    return Table(X, y, tuple(chosen), target, labels, output)


def column_names(frame: "pd.DataFrame") -> list[str]:
    """Return the columns' names, without spaces around them."""
    return [str(name).strip() for name in frame.columns]


def read_features(frame: "pd.DataFrame", features: Sequence[str], where: str, *, first_row: int = 1) -> np.ndarray:
    """Return columns of a frame as X (n0, m), float64.

    Parameters
    ----------
    frame : DataFrame
        One example per row; holds each of the features once.
    features : sequence of str
        Names of the columns to take, in this order.
    where : str
        What errors call the frame.
    first_row : int
        The number of its first row in the table it is a part of, counted from 1.

    Raises
    ------
    DataError
        If a value is not a finite number.
    """
    names = column_names(frame)
    X = np.empty((len(features), len(frame)))  # filled by rows: a third copy of a large table might not fit
    for row, name in zip(X, features, strict=True):
        row[:] = _numbers(frame.iloc[:, names.index(name)], name, where, first_row)
    return X


def read_targets(
    frame: "pd.DataFrame",
    target: str,
    labels: Sequence[Any] | None,
    where: str,
    *,
    first_row: int = 1,
    output: str = "sigmoid",
) -> np.ndarray:
    """Return the target column of a frame as y (n2, m), float64, where it is known what it means.

    Parameters
    ----------
    frame, where, first_row
        As in `read_features`.
    target : str
        The column's name.
    labels : sequence of str, or None
        As in `Table`.
    output : str
        As in `Table`.

    Raises
    ------
    DataError
        If a value is something else.
    """
    column = frame.iloc[:, column_names(frame).index(target)]
    if output == "identity":
        return _numbers(column, target, where, first_row)[None]
    known = ["0", "1"] if labels is None else [_as_text(label) for label in labels]
    if known == ["0", "1"] and output == "sigmoid":
        return _zeros_and_ones(column, target, where, first_row)[None]
    words = _words(column, target, where, first_row)
    if not np.isin(words, known).all():  # 1 may be written as 1.0
        words = np.array([_as_text(word) for word in words], dtype=object)
    wrong = ~np.isin(words, known)
    if wrong.any():
        row = int(wrong.argmax())
        neither = f"neither {known[0]!r} nor {known[1]!r}" if len(known) == 2 else f"none of {quoted(known)}"
        raise DataError(
            f"{where}, target {target!r}, row {first_row + row}: {words[row][:50]!r} is {neither}; "
            f"expected one of these"
        )
    return _classes(words, known, output)


def standardization(
    X: np.ndarray,
    weights: np.ndarray | None = None,
    *,
    starts: Sequence[int] | np.ndarray = (0,),
    what: str = "feature",
) -> Standardization:
    """Return mean and deviation of each feature over the examples of X (n0, m).

    Parameters
    ----------
    X : array (n0, m)
        One example per column.
    weights : array (m,), optional
        How often each example counts, above 0.
    starts : sequence of int
        Where groups of examples begin, each of which has a column of means and deviations; by default all are one.
    what : str
        What errors call a row of X.

    Raises
    ------
    DataError
        If the values of a feature, unless all equal, lie closer together than 1e-150 or further apart than 1e150.

    Notes
    -----
    The sums are exactly rounded, so the result does not depend on the machine or on the order of the examples.

    Examples
    --------
    >>> scale = standardization(np.array([[1.0, 3.0]]))
    >>> scale.apply(np.array([[1.0, 3.0, 5.0]]))
    array([[-1.,  1.,  3.]])
    """
    low, high = np.minimum.reduceat(X, starts, axis=1), np.maximum.reduceat(X, starts, axis=1)
    with np.errstate(over="ignore", invalid="ignore"):
        spread = high - low
    constant = spread == 0
    refused = ~constant & ~((spread >= MIN_SPREAD) & (spread <= MAX_SPREAD))
    if refused.any():
        k, group = np.argwhere(refused)[0]
        raise DataError(
            f"{what} {k + 1} lies between {low[k, group]:g} and {high[k, group]:g} and cannot be standardised; "
            f"expected equal values, or values {MIN_SPREAD:g} to {MAX_SPREAD:g} apart"
        )
    share: Any = 1 if weights is None else weights
    total = np.diff([*starts, X.shape[1]]) if weights is None else exact_sums(np.asarray(weights)[None], starts)
    X = np.where(
        _of_each(constant, X, starts), 0, X
    )  # their rounded mean may differ from it, and their sum may overflow
    mean = exact_sums(share * X, starts) / total
    deviation = np.sqrt(exact_sums(share * (X - _of_each(mean, X, starts)) ** 2, starts) / total)
    return Standardization(np.where(constant, low, mean), np.where(constant, 1.0, deviation))


def exact_sums(values: np.ndarray, starts: Sequence[int] | np.ndarray = (0,)) -> np.ndarray:
    """Return the sum of each row from one start to the next, (n, starts), rounded once: `math.fsum` of all at once.

    Each round takes off the leading bits of all numbers: so few that their sum in any order needs no rounding.
    """
    parts, room = [], values.shape[1].bit_length() + 1
    while 0 < (top := np.maximum.reduceat(np.abs(values), starts, axis=1)).max() < np.inf:
        with np.errstate(over="ignore", invalid="ignore"):  # sums beyond all numbers are NaN
            above = _of_each(np.ldexp(1.0, np.frexp(top)[1] + room), values, starts)
            leading = (above + values) - above
        parts.append(np.add.reduceat(leading, starts, axis=1))
        values = values - leading
    parts.append(np.add.reduceat(values, starts, axis=1))  # zeros, or what is not finite
    return np.array([[math.fsum(sums) for sums in row] for row in np.stack(parts, axis=-1).tolist()])


def _of_each(columns: np.ndarray, values: np.ndarray, starts: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return for each column of values the one of its group, or the only one."""
    if len(starts) == 1:
        return columns  # which broadcasts, without a copy
    return np.repeat(columns, np.diff([*starts, values.shape[1]]), axis=1)


def _choose(names: list[str], target: str, features: Sequence[str] | None, where: str) -> list[str]:
    """Return the feature columns to take, having checked that each column needed stands in the header once."""
    chosen = [name for name in names if name != target] if features is None else list(features)
    if not chosen:
        raise DataError(f"{where} has no feature column; expected at least one beside the target {target!r}")
    if len(set(chosen)) < len(chosen) and features is not None:
        raise ArgumentError(f"features are {quoted(chosen)}; each may be named once")
    if target in chosen:
        raise ArgumentError(f"column {target!r} is the target and cannot be a feature; leave it out of the features")
    for role, name in [("target", target), *(("feature", name) for name in chosen)]:
        if name not in names:
            raise DataError(f"{where} has no {role} column {name!r}; its columns are {quoted(names)}")
        if names.count(name) > 1:
            raise DataError(f"{where} has {names.count(name)} columns named {name!r}; rename all but one")
    return chosen


def quoted(names: Sequence[str]) -> str:
    """Return names as errors show them: in quotation marks, none too long and not too many."""
    return ", ".join(repr(name[:50]) for name in names[:10]) + ", …" * (len(names) > 10)


def _numbers(column: "pd.Series[Any]", name: str, where: str, first_row: int = 1) -> np.ndarray:
    """Return a column as float64, or say in which row it holds something else. Rows count from 1 below the header."""
    import pandas as pd

    _refuse_missing(column, f"column {name!r}", where, first_row)
    if pd.api.types.is_complex_dtype(column.dtype):
        raise DataError(f"{where}, column {name!r}: the values are complex; expected real numbers")
    if pd.api.types.is_numeric_dtype(column.dtype):
        values = column.to_numpy(dtype=np.float64)
    else:
        values = pd.to_numeric(column.astype(str), errors="coerce").to_numpy(dtype=np.float64)
        failed = np.isnan(values)
        if failed.any():
            row = int(failed.argmax())
            raise DataError(
                f"{where}, column {name!r}, row {first_row + row}: {str(column.iloc[row])!r} is not a number; "
                f"expected a number in every row"
            )
    infinite = np.isinf(values)
    if infinite.any():
        row = first_row + int(infinite.argmax())
        raise DataError(f"{where}, column {name!r}, row {row}: the value is infinite; expected finite numbers")
    return values


def _refuse_missing(column: "pd.Series[Any]", what: str, where: str, first_row: int) -> None:
    missing = column.isna().to_numpy()
    if missing.any():
        row = first_row + int(missing.argmax())
        raise DataError(f"{where}, {what}, row {row}: missing value; fill it or drop the row")


def _zeros_and_ones(column: "pd.Series[Any]", name: str, where: str, first_row: int = 1) -> np.ndarray:
    values = _numbers(column, name, where, first_row)
    wrong = (values != 0) & (values != 1)
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(
            f"{where}, target {name!r}, row {first_row + row}: {values[row]:g} is neither 0 nor 1; "
            f"expected only these, as in training"
        )
    return values.copy()


def _words(column: "pd.Series[Any]", name: str, where: str, first_row: int = 1) -> np.ndarray:
    """Return a column as text, numbers in the shortest way to write them."""
    import pandas as pd

    _refuse_missing(column, f"target {name!r}", where, first_row)
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
        column = column.map(_as_text)
    words: np.ndarray = column.astype(str).str.strip().to_numpy(dtype=object)
    return words


def _as_text(label: Any) -> str:
    """Return a word or truth value as it is, and a number, also one in words, in the shortest way to write it."""
    try:
        return str(label) if isinstance(label, bool) else np.format_float_positional(float(label), trim="-")
    except ValueError:
        return str(label)


def _classes(values: np.ndarray, kinds: Sequence[Any], output: str) -> np.ndarray:
    """Return 1.0 where a value is the second of two kinds; for softmax, a row for each kind."""
    return np.array([values == kind for kind in (kinds if output == "softmax" else kinds[1:])], np.float64)


def _target(
    column: "pd.Series[Any]", name: str, where: str, task: str | None
) -> tuple[np.ndarray, tuple[str, ...] | None, str]:
    """Return y (n2, m), labels and output."""
    import pandas as pd

    if task == "regression":
        return _numbers(column, name, where)[None].copy(), None, "identity"
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
        numbers = _numbers(column, name, where)
        found = np.unique(numbers)
        if np.isin(found, (0, 1)).all():
            return numbers[None].copy(), None, "sigmoid"
        if task is None and (len(found) > MAX_CLASSES or (found != np.rint(found)).any()):
            return numbers[None].copy(), None, "identity"
        values, kinds = numbers, found.tolist()
        labels = list(map(_as_text, kinds))
    else:
        values = _words(column, name, where)
        kinds = labels = sorted(set(values))
    if len(labels) < 2:
        raise DataError(f"{where}, target {name!r} has one value ({quoted(labels)}); expected two classes or more")
    if len(labels) > max(2, len(values) / 2):
        raise DataError(
            f"{where}, target {name!r} has {len(labels)} values in {len(values)} rows ({quoted(labels)}), too many for "
            f"classes; expected classes that recur, or numbers"
        )
    output = "sigmoid" if len(labels) == 2 else "softmax"
    return _classes(values, kinds, output), tuple(labels), output

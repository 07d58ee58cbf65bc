"""Files and frames in, checked arrays out: X of shape (n0, m) and y of shape (1, m), one example per column."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nn_backend.errors import ArgumentError, ArrayTypeError, DataError
from nn_backend.files import read_frame

if TYPE_CHECKING:  # see files.py
    import pandas as pd

MIN_SPREAD, MAX_SPREAD = 1e-150, 1e150  # of a feature to standardise; beyond these a square is 0 or infinite


class Table(NamedTuple):
    """A checked data set.

    Attributes
    ----------
    X : ndarray (n0, m), float64
        One example per column.
    y : ndarray (1, m), float64
        True values, 0 or 1.
    features : tuple of str
        Names of the rows of X.
    target : str
        Name of the target.
    labels : tuple of two str, or None
        What stands for 0 and 1 in the source, where that was text or booleans.
    """

    X: np.ndarray
    y: np.ndarray
    features: tuple[str, ...]
    target: str
    labels: tuple[str, str] | None = None


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

    def to_lists(self) -> dict[str, list[float]]:
        """Return the numbers by name, one for each feature, as JSON can hold them."""
        return {name: array.ravel().tolist() for name, array in self._asdict().items()}


def load_table(
    source: "str | Path | pd.DataFrame", *, target: str = "y", features: Sequence[str] | None = None
) -> Table:
    """Read a file or a data frame with one example per row.

    Parameters
    ----------
    source : path or DataFrame
        A ``.csv``, ``.csv.gz`` or ``.parquet`` file with names in the first row, or a pandas DataFrame.
    target : str
        The column to predict: 0 or 1, booleans, or text with two values (sorted, the first stands for 0).
    features : sequence of str, or str, optional
        The columns to predict it from, in this order, or the only one; by default every column but the target.

    Returns
    -------
    Table
        X (n0, m) and y (1, m), float64.

    Raises
    ------
    DataFileError
        If the file is missing or cannot be read as what its name says.
    DataError
        If a column is missing, stands twice, or holds something that is not a finite number.
    ArgumentError
        If a feature is named twice, or is the target.
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
    if isinstance(features, str):
        features = [features]
    names = column_names(frame)
    chosen = _choose(names, target, features, where)
    if len(frame) == 0:
        raise DataError(f"{where} has no rows below its header; expected one example per row")
    X = read_features(frame, chosen, where)
    y, labels = _target(frame.iloc[:, names.index(target)], target, where)
    return Table(X, y[None], tuple(chosen), target, labels)


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
    frame: "pd.DataFrame", target: str, labels: tuple[str, str] | None, where: str, *, first_row: int = 1
) -> np.ndarray:
    """Return the target column of a frame as y (1, m), float64, where it is known what stands for 0 and 1.

    Parameters
    ----------
    frame, where, first_row
        As in `read_features`.
    target : str
        The column's name.
    labels : tuple of two str, or None
        The words for 0 and 1; None where the column holds these numbers.

    Raises
    ------
    DataError
        If a value is something else.
    """
    column = frame.iloc[:, column_names(frame).index(target)]
    if labels is None:
        return _zeros_and_ones(column, target, where, first_row)[None]
    text = _words(column, target, where, first_row)
    known = np.isin(text, labels)
    if not known.all():
        row = int((~known).argmax())
        raise DataError(
            f"{where}, target {target!r}, row {first_row + row}: {str(text[row])[:50]!r} is neither {labels[0]!r} "
            f"nor {labels[1]!r}; expected one of these"
        )
    return np.array([text == labels[1]], np.float64)


def standardization(X: np.ndarray) -> Standardization:
    """Return mean and deviation of each feature over the examples of X (n0, m).

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
    moments = np.array([_mean_and_deviation(row, number) for number, row in enumerate(X, start=1)])
    return Standardization(moments[:, :1], moments[:, 1:])


def _mean_and_deviation(row: np.ndarray, number: int) -> tuple[float, float]:
    low, high = float(row.min()), float(row.max())
    if high - low == 0:
        return low, 1.0  # the rounded mean may differ from it
    if not MIN_SPREAD <= high - low <= MAX_SPREAD:
        raise DataError(
            f"feature {number} lies between {low:g} and {high:g} and cannot be standardised; "
            f"expected equal values, or values {MIN_SPREAD:g} to {MAX_SPREAD:g} apart"
        )
    mean = math.fsum(row) / len(row)
    return mean, math.sqrt(math.fsum((row - mean) ** 2) / len(row))


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
            f"expected 0 and 1, booleans, or two words"
        )
    return values.copy()


def _words(column: "pd.Series[Any]", name: str, where: str, first_row: int = 1) -> np.ndarray:
    _refuse_missing(column, f"target {name!r}", where, first_row)
    words: np.ndarray = column.astype(str).str.strip().to_numpy(dtype=object)
    return words


def _target(column: "pd.Series[Any]", name: str, where: str) -> tuple[np.ndarray, tuple[str, str] | None]:
    """Return the target as 0.0 and 1.0, and the two labels where they were text or booleans."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
        return _zeros_and_ones(column, name, where), None
    text = _words(column, name, where)
    labels = sorted(set(text))
    if len(labels) != 2:
        shown = quoted(labels)
        raise DataError(
            f"{where}, target {name!r} has {len(labels)} values ({shown}); expected 0 and 1, booleans, or two words"
        )
    return (text == labels[1]).astype(np.float64), (labels[0], labels[1])

"""A table's way: opened, its columns chosen, learnt how to encode, encoded."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nn_backend.errors import ArgumentError, DataError, NNBackendError
from nn_backend.tables.encoding import Encoding
from nn_backend.tables.learning import describe_columns, find_obstacles, learn_column
from nn_backend.tables.names import column_names, describe_missing, find_name, find_names, quoted, to_option
from nn_backend.tables.sources import Source, open_source
from nn_backend.tables.targets import TASKS, encode_target, learn_target
from nn_backend.tables.text import NAMELESS, Form
from nn_backend.tables.values import Values, Words, count_rows, find_missing, read_values

if TYPE_CHECKING:  # pandas takes longer to import than a small training
    import pandas as pd

MISSING = ("drop", "mean")


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
    encoding : Encoding, optional
        How columns became the rows of X; None where these are the columns.
    groups : Series (m,), optional
        The group of each example, where that was asked for.
    notes : tuple of str
        What was assumed.
    """

    X: np.ndarray
    y: np.ndarray
    features: tuple[str, ...]
    target: str
    labels: tuple[str, ...] | None = None
    output: str = "sigmoid"
    encoding: Encoding | None = None
    groups: "pd.Series[Any] | None" = None
    notes: tuple[str, ...] = ()


class _Roles(NamedTuple):
    """Which columns are taken, and as what."""

    target: str
    features: list[str]
    by: str | None
    are_all: bool  # the features, which were not named

    @property
    def needed(self) -> list[str]:
        """Those that have a value in every row that is used."""
        return [self.target] if self.by is None else [self.target, self.by]


def load_table(
    source: "str | Path | pd.DataFrame",
    target: str | int = "y",
    *,
    features: Sequence[str | int] | str | int | None = None,
    drop: Sequence[str | int] | str | int | None = None,
    by: str | int | None = None,
    task: str | None = None,
    missing: str | None = None,
    fill: bool = True,
    form: Form = Form(),  # noqa: B008
) -> Table:
    """Read a file or a data frame with one example per row.

    Parameters
    ----------
    source : path or DataFrame
        A pandas DataFrame, or a file: text with separators, Parquet, JSON, a spreadsheet, Feather, ORC, ``.npy`` or
        ``.npz``, also compressed; a folder or pattern of such files; ``"-"`` for standard input.
    target : str or int
        The column to predict: 0 or 1, booleans, two or more classes (text or numbers, sorted), or a number. Columns go
        by name, or by position from 0, negative ones from the end.
    features : sequence of str or int, or one of them, optional
        The columns to predict it from, in this order; by default every column but the target.
    drop : sequence of str or int, or one of them, optional
        Columns to leave out.
    by : str or int, optional
        A column that tells groups of examples apart, as `fit_many` takes them; no feature unless ``features`` names it.
    task : str, optional
        ``"classification"`` or ``"regression"``; by default a numeric target with fractions or more than 15 values is a
        number to predict, and the values of any other are classes.
    missing : str, optional
        ``"drop"`` leaves out the rows that lack a value. ``"mean"`` puts the mean in the place of a missing number, and
        a further input says where one was missing; rows without a target or group are left out. By default both are
        refused.
    fill : bool
        Whether the means, those of all rows, are put in now; else `fill_missing` puts in those of some rows.
    form : Form
        What is known of a text's form; else it is found out.

    Returns
    -------
    Table
        X (n0, m) and y (n2, m), float64. Of a column of words, two become 0 and 1, and more an input each.

    Raises
    ------
    DataFileError
        If the file is missing or cannot be read as a table.
    DataError
        If columns are missing, stand twice, or hold something that cannot be used; all of them are named.
    ArgumentError
        If a feature is named twice, or is the target, or the task or missing is not known.
    ArrayTypeError
        If the source is neither a path nor a DataFrame.
    MissingPackageError
        If the file needs a package that is not installed.
    """
    for name, value, accepted in (("task", task, TASKS), ("missing", missing, MISSING)):
        if value is not None and value not in accepted:
            raise ArgumentError(f"{name} is {value!r}; accepted: {', '.join(accepted)}")
    opened = open_source(source, form)
    notes: list[str] = []
    try:
        roles = _choose(opened, target, features, drop, by, notes)
        table = _read(opened, roles, task, missing, notes)
    except NNBackendError as error:
        for note in (*opened.notes, *notes):  # what was assumed may be what is wrong
            error.add_note(note)
        raise
    return fill_missing(table) if fill else table


def _read(opened: Source, roles: _Roles, task: str | None, missing: str | None, notes: list[str]) -> Table:
    """Return the table that a source holds, with NaN for missing numbers whose means were asked for."""
    aim, chosen, by, are_all = roles
    values = opened.read([*dict.fromkeys([*chosen, *roles.needed])])
    missed = {name: find_missing(column) for name, column in values.items()}
    if len(missed[aim]) == 0:
        raise DataError(f"{opened.where} has no rows below its header; expected one example per row")
    if are_all and (empty := [name for name in chosen if missed[name].all()]):
        notes.append(f"empty columns are left out: {quoted(empty)}")
        chosen = [name for name in chosen if name not in empty]
        if not chosen:
            raise DataError(f"{opened.where} has no feature column that is not empty")
    keep = ~np.any([missed[name] for name in (*roles.needed, *(chosen if missing == "drop" else ()))], axis=0)
    obstacles = list(find_obstacles(values, missed, chosen, roles.needed, missing, keep))
    if missing is not None and not keep.all():
        notes.append(f"{int((~keep).sum())} of {len(keep)} rows lack a value and are left out")
        values.keep(keep)
        missed = {name: rows[keep] for name, rows in missed.items()}
    unlabelled = missing is None and missed[aim].any()  # which is among the obstacles
    try:
        y, labels, output = learn_target(values[aim], aim, opened.where, task)
    except DataError as error:
        if not obstacles:
            raise
        if not unlabelled:
            obstacles.append(str(error).removeprefix(f"{opened.where}, "))
    if obstacles:
        raise DataError(f"{opened.where}: {'; '.join(obstacles)}")
    if labels is not None and len({label.lower() for label in labels}) < len(labels):
        notes.append(f"some classes of {aim!r} differ only in capital letters: {quoted(labels)}")
    columns = tuple(learn_column(name, values[name], missing == "mean" and bool(missed[name].any())) for name in chosen)
    encoding = Encoding(columns)
    notes += describe_columns(columns, values, missed, missing)
    groups = None if by is None else _as_series(values[by], by)
    X, first = np.empty((len(encoding.inputs), np.count_nonzero(keep))), 0
    for chunk in values.drain():
        rows = count_rows(chunk)
        encoding.encode(chunk, opened.where, first_row=first + 1, out=X[:, first : first + rows])
        first += rows
    plain = None if encoding.is_plain else encoding
    return Table(X, y, encoding.inputs, aim, labels, output, plain, groups, (*opened.notes, *notes))


def fill_missing(table: Table, rows: np.ndarray | slice = slice(None)) -> Table:
    """Return a table whose missing numbers are the means of these rows, which its encoding then knows."""
    if table.encoding is None:
        return table
    columns, at = [], 0
    for column in table.encoding.columns:
        if column.fill is not None and math.isnan(column.fill):
            known = table.X[at, rows]
            known = known[~np.isnan(known)]
            if not len(known):
                raise DataError(f"column {column.name!r} has no value in the rows to train on; leave it out")
            column = column._replace(fill=math.fsum(known) / len(known))
            table.X[at, np.isnan(table.X[at])] = column.fill
        columns.append(column)
        at += len(column.inputs)
    return table._replace(encoding=Encoding(tuple(columns)))


def read_targets(
    frame: "pd.DataFrame",
    target: str,
    labels: Sequence[object] | None,
    where: str,
    *,
    first_row: int = 1,
    output: str = "sigmoid",
) -> np.ndarray:
    """Return the target column of a frame as y (n2, m), float64, where it is known what it means.

    Parameters
    ----------
    frame : DataFrame
        One example per row.
    target : str
        The column's name.
    labels : sequence of str, or None
        As in `Table`.
    where : str
        What errors call the frame.
    first_row : int
        The number of its first row in the table it is a part of, counted from 1.
    output : str
        As in `Table`.

    Raises
    ------
    DataError
        If a value is something else.
    """
    values = read_values(frame.iloc[:, column_names(frame).index(target)], target, where)
    return encode_target(values, target, labels, where, first_row=first_row, output=output)


def _choose(
    opened: Source,
    target: str | int,
    features: Sequence[str | int] | str | int | None,
    drop: Sequence[str | int] | str | int | None,
    by: str | int | None,
    notes: list[str],
) -> _Roles:
    """Return which columns to take, each of which stands in the header once."""
    names, where = opened.names, opened.where
    aim = find_name(target, names)
    if aim != str(target):
        notes.append(f"column {target} is {aim!r}")
    dropped = find_names(drop, names, "columns to drop") or []
    groups = None if by is None else find_name(by, names)
    if groups == aim:
        raise ArgumentError(f"column {aim!r} is the target and cannot tell groups apart; expected another column")
    chosen = find_names(features, names, "features")
    if chosen is None:
        left_out = [*dropped, aim, groups]
        if names[:1] and names[0] == f"{NAMELESS}0" and len(names) > 2 and names[0] not in left_out:
            notes.append("the first column has no name and is left out as an index of the rows")
            left_out.append(names[0])
        chosen = [name for name in names if name not in left_out]
    else:
        chosen = [name for name in chosen if name not in dropped]
    if aim in chosen:
        raise ArgumentError(f"column {aim!r} is the target and cannot be a feature; leave it out of the features")
    taken = _Roles(aim, chosen, groups, features is None)
    roles = [("target", aim), *(("feature", name) for name in chosen), *(("dropped", name) for name in dropped)]
    roles += [("groups", groups)] if groups is not None else []
    counts = Counter(names)
    absent = [(role, name) for role, name in roles if name not in counts]
    if absent:
        (role, name), more = absent[0], [name for _, name in absent[1:]]
        said = describe_missing(role, name, names)
        raise DataError(f"{where} {said}" + (f"; neither has it {quoted(more)}" if more else ""))
    if not chosen:
        raise DataError(f"{where} has no feature column; expected at least one beside the target {aim!r}")
    twice = dict.fromkeys(name for name in [*taken.needed, *chosen] if counts[name] > 1)
    if twice:
        said = ", ".join(f"{counts[name]} columns named {name!r}" for name in twice)
        raise DataError(f"{where} has {said}; rename all but one, or leave them out: --drop {to_option([*twice])}")
    return taken


def _as_series(values: Values, name: str) -> "pd.Series[Any]":
    """Return a column without missing values as pandas has it."""
    import pandas as pd

    if isinstance(values, Words):
        return pd.Series(np.array(values.words, dtype=object)[values.codes], name=name)
    return pd.Series(values.astype(np.int64) if (values == np.rint(values)).all() else values, name=name)

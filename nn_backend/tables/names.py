"""Columns by their names, or by their positions."""

import csv
import difflib
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nn_backend.errors import ArgumentError, DataError

if TYPE_CHECKING:
    import pandas as pd


def column_names(frame: "pd.DataFrame") -> list[str]:
    """Return the columns' names, without spaces around them."""
    return [str(name).strip() for name in frame.columns]


def quoted(names: Sequence[str]) -> str:
    """Return names as errors show them: in quotation marks, none too long and not too many."""
    return ", ".join(repr(name[:50]) for name in names[:10]) + ", …" * (len(names) > 10)


def split_names(text: str) -> list[str]:
    """Return the names in an option's text, between commas; one that has a comma stands in quotation marks."""
    return [name.strip() for name in next(csv.reader([text], skipinitialspace=True), [])]


def to_option(names: Sequence[str]) -> str:
    """Return names as `split_names` reads them, for pasting into a shell."""
    return shlex.quote(",".join(f'"{name}"' if "," in name else name for name in names))


def find_name(asked: str | int, names: Sequence[str]) -> str:
    """Return the name that is asked for, or that of the column at a position; negative ones count from the end."""
    asked = str(asked)
    if asked in names or not asked.removeprefix("-").isdecimal():
        return asked
    position = int(asked)
    return names[position] if -len(names) <= position < len(names) else asked


def find_names(asked: Sequence[str | int] | str | int | None, names: Sequence[str], what: str) -> list[str] | None:
    """Return the names of several columns, each of which may be asked for once."""
    if asked is None:
        return None
    found = [find_name(name, names) for name in ([asked] if isinstance(asked, str | int) else asked)]
    if len(set(found)) < len(found):
        raise ArgumentError(f"{what} are {quoted(found)}; each may be named once")
    return found


def describe_missing(role: str, name: str, names: Sequence[str]) -> str:
    """Return the obstacle that a column is not there, with the one that was meant if there is one like it."""
    if role == "target" and name == "y":
        return (
            f"has no target column 'y'; its columns are {quoted(names)}: name the one to predict (--target -1 is the "
            f"last, {names[-1][:50]!r})"
        )
    return f"has no {role} column {name!r}{_suggestion([name], names)}; its columns are {quoted(names)}"


def describe_lacking(absent: Sequence[str], names: Sequence[str]) -> str:
    """Return the obstacle that a table has not the columns that a model was trained on."""
    said = f"lacks the column {quoted(absent)}{_suggestion(absent, names)}; its columns are {quoted(names)}"
    if list(names) == [str(k) for k in range(len(names))]:
        said += ", as there are no names: those that the training left out have to stand in their places, even if empty"
    return said


def _suggestion(absent: Sequence[str], names: Sequence[str]) -> str:
    """Return the columns that may be meant by others, as an option takes them."""
    meant: list[str] = []
    for name in absent:
        close = [other for other in names if other.lower() == name.lower()]
        close += [other for other in names if "," in other and name in split_names(other)]  # cut at its comma
        meant += (close or difflib.get_close_matches(name, names, 1))[:1]
    if not meant:
        return ""
    shown = to_option(meant) if any("," in name for name in meant) else quoted(meant)
    return f" ({'are' if len(meant) > 1 else 'is'} {shown} meant?)"


def is_frame(value: Any) -> bool:
    """Return whether this is a pandas DataFrame."""
    import pandas as pd

    return isinstance(value, pd.DataFrame)


def check_columns(frame: "pd.DataFrame", needed: Sequence[str]) -> None:
    """Raise unless a frame has each of these columns once."""
    names = column_names(frame)
    for name in needed:
        if names.count(name) != 1:
            raise DataError(f"the data frame has {names.count(name)} columns {name!r}; its columns are {quoted(names)}")


def read_column(X: Any, given: Any, what: str) -> tuple[str, np.ndarray]:
    """Return name and values (m,) of a column of a frame, or of an array."""
    if isinstance(given, str):
        if not is_frame(X):
            raise ArgumentError(f"{what} is {given!r}, a column's name, and X no data frame; expected an array (m,)")
        check_columns(X, [given])
        return given, X.iloc[:, column_names(X).index(given)].to_numpy()
    m = len(X) if is_frame(X) else np.shape(X)[-1]
    if np.shape(given) != (m,):
        raise DataError(f"{what} has shape {np.shape(given)}; expected (m,) = ({m},)")
    return str(getattr(given, "name", None) or "group"), np.asarray(given)

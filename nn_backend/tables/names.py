"""Columns by their names, or by their positions."""

import csv
import difflib
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nn_backend.errors import ArgumentError

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
        return f"has no target column {name!r}; its columns are {quoted(names)}: name the one to predict (--target)"
    close = [other for other in names if other.lower() == name.lower()] or difflib.get_close_matches(name, names, 1)
    meant = f" (is {close[0]!r} meant?)" if close else ""
    return f"has no {role} column {name!r}{meant}; its columns are {quoted(names)}"

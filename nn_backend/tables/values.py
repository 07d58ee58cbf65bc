"""The values of one column: numbers, or words by their codes; what is missing in it, and what it cannot be."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nn_backend.errors import DataError

if TYPE_CHECKING:  # pandas takes longer to import than a small training
    import pandas as pd

# How people write that a cell is empty.
MISSING = (
    "",
    "NA",
    "N/A",
    "n/a",
    "#N/A",
    "#NA",
    "<NA>",
    "NaN",
    "nan",
    "NULL",
    "null",
    "None",
    "missing",
    "?",
    "-",
    ".",
)
TRUTHS = {"false": 0.0, "true": 1.0}


class Words(NamedTuple):
    """A column of text.

    Attributes
    ----------
    codes : ndarray (m,), int
        Which word stands in each row; -1 where it is missing.
    words : tuple of str
        The different words, without blanks around them.
    """

    codes: np.ndarray
    words: tuple[str, ...]


Values = np.ndarray | Words  # numbers are float64, NaN where they are missing


def read_words(column: "pd.Series[Any]") -> Words:
    """Return a column of text, truth values or other objects as words."""
    import pandas as pd

    codes, found = pd.factorize(column.astype(object), use_na_sentinel=True)
    return _renamed(codes, [str(word).strip() for word in found])


def join_words(parts: Sequence[Words]) -> Words:
    """Return the words of several parts of a column as one."""
    if len(parts) == 1:
        return parts[0]
    known: dict[str, int] = {}
    tables = [[known.setdefault(word, len(known)) for word in part.words] for part in parts]
    codes = [np.array([*table, -1], np.int32)[part.codes] for table, part in zip(tables, parts, strict=True)]
    return Words(np.concatenate(codes), tuple(known))


def settle(words: Words) -> Values:
    """Return numbers where all the words are numbers, else the words."""
    numbers = parse(words.words)
    return words if np.isnan(numbers).any() or not words.words else np.append(numbers, np.nan)[words.codes]


def read_values(column: "pd.Series[Any]", name: str, where: str) -> Values:
    """Return a frame's column of any type."""
    import pandas as pd

    kind = column.dtype
    if pd.api.types.is_complex_dtype(kind):
        raise DataError(f"{where}, column {name!r}: the values are complex; expected real numbers")
    if pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind):
        return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
    return settle(read_words(column))


def parse(words: Sequence[str]) -> np.ndarray:
    """Return the number that each word is, NaN for those that are none."""
    import pandas as pd

    return np.asarray(pd.to_numeric(pd.Series(list(words), dtype=object), errors="coerce"), np.float64)


def as_text(label: Any) -> str:
    """Return a word or truth value as it is, and a number, also one in words, in the shortest way to write it."""
    try:
        return str(label) if isinstance(label, bool) else np.format_float_positional(float(label), trim="-")
    except ValueError:
        return str(label)


def are_truths(values: Values) -> bool:
    """Return whether all that is not missing is true or false."""
    return isinstance(values, Words) and bool(values.words) and {word.lower() for word in values.words} <= set(TRUTHS)


def count_rows(columns: Mapping[str, Values]) -> int:
    """Return how many rows columns have."""
    values = next(iter(columns.values()))
    return len(values.codes if isinstance(values, Words) else values)


def find_missing(values: Values) -> np.ndarray:
    """Return where a value is missing, (m,)."""
    return np.asarray(values.codes < 0 if isinstance(values, Words) else np.isnan(values))


def as_numbers(values: Values, name: str, where: str, first_row: int = 1, *, may_miss: bool = False) -> np.ndarray:
    """Return a column as finite numbers (m,), float64, or say in which row it holds something else."""
    if not may_miss:
        refuse_missing(values, name, where, first_row)
    if are_truths(values):
        assert isinstance(values, Words)
        truths = np.array([*(TRUTHS[word.lower()] for word in values.words), np.nan])
        return np.asarray(truths[values.codes])
    if isinstance(values, Words):
        numbers: np.ndarray = np.append(parse(values.words), 0)[values.codes]
        if np.isnan(numbers).any():
            row = int(np.isnan(numbers).argmax())
            raise DataError(
                f"{where}, column {name!r}, row {first_row + row}: {values.words[values.codes[row]][:50]!r} is not a "
                f"number; expected a number in every row"
            )
        numbers[values.codes < 0] = np.nan
    else:
        numbers = values
    infinite = np.isinf(numbers)
    if infinite.any():
        row = first_row + int(infinite.argmax())
        raise DataError(f"{where}, column {name!r}, row {row}: the value is infinite; expected finite numbers")
    return numbers


def as_words(values: Values) -> Words:
    """Return a column as words, numbers in the shortest way to write them."""
    if isinstance(values, Words):
        return values
    found, codes = np.unique(values, return_inverse=True)  # NaN is one value, the last
    codes[np.isnan(values)] = -1
    return Words(codes, tuple(as_text(number) for number in found.tolist() if not math.isnan(number)))


def refuse_missing(values: Values, name: str, where: str, first_row: int = 1, *, what: str = "column") -> None:
    """Raise if a value is missing."""
    missing = find_missing(values)
    if missing.any():
        row = first_row + int(missing.argmax())
        raise DataError(f"{where}, {what} {name!r}, row {row}: missing value; fill it or drop the row")


def _renamed(codes: np.ndarray, names: Sequence[str]) -> Words:
    """Return words whose names may be equal, or say that they are missing."""
    known: dict[str, int] = {}
    table = [-1 if name in MISSING else known.setdefault(name, len(known)) for name in names]
    return Words(np.array([*table, -1], np.int32)[codes], tuple(known))

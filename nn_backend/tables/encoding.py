"""How the columns of a table become the inputs of a network, kept so that other tables become the same."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nn_backend.errors import ArgumentError, DataError
from nn_backend.tables.names import column_names, describe_lacking, quoted
from nn_backend.tables.values import (
    Values,
    as_numbers,
    as_words,
    count_rows,
    find_missing,
    read_values,
    refuse_missing,
)

if TYPE_CHECKING:  # pandas takes longer to import than a small training
    import pandas as pd

UNKNOWN = ("refuse", "ignore")


class Column(NamedTuple):
    """What becomes of a column.

    Attributes
    ----------
    name : str
        As in the table.
    words : tuple of str, optional
        The words it may hold: of two the second becomes 1, more become an input each. None: it holds numbers.
    fill : float, optional
        What stands for a missing number, or 0 in a column of words; a further input is then 1 where a value is missing.
        None: missing values are refused.
    """

    name: str
    words: tuple[str, ...] | None = None
    fill: float | None = None

    @property
    def shown(self) -> tuple[str, ...]:
        """The words that have an input of their own."""
        words = self.words or ()
        return words[1:] if len(words) == 2 else words

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the network's inputs."""
        own = (self.name,) if self.words is None else tuple(f"{self.name}={word}" for word in self.shown)
        return own if self.fill is None else (*own, f"{self.name} missing")

    def encode(self, values: Values, where: str, first_row: int, unknown: str) -> np.ndarray:
        """Return the inputs, (inputs, m)."""
        if self.fill is None:
            refuse_missing(values, self.name, where, first_row)
        missing = find_missing(values)
        if self.words is None:
            numbers = as_numbers(values, self.name, where, first_row, may_miss=True)
            if self.fill is None:
                return numbers[None]
            return np.stack([np.where(missing, self.fill, numbers), missing])
        given = as_words(values)
        codes = np.array([*(self.words.index(word) if word in self.words else -2 for word in given.words), -1])
        codes = codes[given.codes]
        strange = codes == -2
        if strange.any() and unknown == "refuse":
            row = int(strange.argmax())
            raise DataError(
                f"{where}, column {self.name!r}, row {first_row + row}: {given.words[given.codes[row]][:50]!r} is none "
                f"of the words in training, {quoted(self.words)}; --unknown ignore (unknown='ignore') takes it for none"
            )
        own = [codes == self.words.index(word) for word in self.shown]
        return np.array([*own, missing] if self.fill is not None else own, np.float64)


class Encoding(NamedTuple):
    """How the columns of a table become inputs.

    Attributes
    ----------
    columns : tuple of Column
        In the order of the inputs.
    """

    columns: tuple[Column, ...]

    @classmethod
    def of_numbers(cls, names: Sequence[str]) -> "Encoding":
        """Return the encoding of columns that are numbers."""
        return cls(tuple(map(Column, names)))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(column.name for column in self.columns)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs."""
        return tuple(name for column in self.columns for name in column.inputs)

    @property
    def is_plain(self) -> bool:
        """Whether the inputs are the columns, all of them numbers."""
        return all(column.words is None and column.fill is None for column in self.columns)

    def encode(
        self,
        values: Mapping[str, Values],
        where: str,
        *,
        first_row: int = 1,
        unknown: str = "refuse",
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return X (n0, m) from the values of the columns.

        Parameters
        ----------
        values : mapping of str to ndarray (m,) or Words
            By the columns' names.
        where : str
            What errors call the table.
        first_row : int
            The number of its first row in the table it is a part of, counted from 1.
        unknown : str
            What becomes of words that the training had not: ``"refuse"`` or ``"ignore"``.
        out : ndarray (n0, m), float64, optional
            Where to put X.
        """
        if unknown not in UNKNOWN:
            raise ArgumentError(f"unknown is {unknown!r}; accepted: {', '.join(UNKNOWN)}")
        X = np.empty((len(self.inputs), count_rows(values))) if out is None else out
        row = 0  # filled by rows: a second copy of a large table might not fit
        for column in self.columns:
            for line in column.encode(values[column.name], where, first_row, unknown):
                X[row] = line
                row += 1
        return X

    def read(self, frame: "pd.DataFrame", where: str, *, first_row: int = 1, unknown: str = "refuse") -> np.ndarray:
        """Return X (n0, m) from a frame, whose columns are found by name."""
        names = column_names(frame)
        counts = Counter(names)
        wrong = [name for name in self.names if counts[name] != 1]
        if wrong:
            twice = [name for name in wrong if name in counts]
            several = f"has several columns named {quoted(twice)}; its columns are {quoted(names)}"
            raise DataError(f"{where} {several if twice else describe_lacking(wrong, names)}")
        at = {name: k for k, name in enumerate(names)}
        values = {name: read_values(frame.iloc[:, at[name]], name, where) for name in self.names}
        return self.encode(values, where, first_row=first_row, unknown=unknown)

    def to_json(self) -> list[dict[str, Any]]:
        """Return the columns as JSON has them."""
        return [column._asdict() for column in self.columns]

    @classmethod
    def from_json(cls, columns: Sequence[Mapping[str, Any]]) -> "Encoding":
        """Return what `to_json` gave; raise one of several errors where it is something else."""
        read = []
        for column in columns:
            words, fill = column["words"], column["fill"]
            read.append(
                Column(str(column["name"]), words and tuple(map(str, words)), None if fill is None else float(fill))
            )
        return cls(tuple(read))

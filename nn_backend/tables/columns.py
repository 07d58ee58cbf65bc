"""The columns of a table, kept in the chunks in which they are read."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from nn_backend.tables.values import Values, Words, as_words, count_rows, join_words, settle


class Columns(Mapping[str, Values]):
    """Columns by name, each joined when it is asked for, so that they never stand in memory twice.

    Parameters
    ----------
    chunks : iterable of dict
        The values of the columns, of a chunk of rows after another.
    names : sequence of str
        The columns.
    """

    def __init__(self, chunks: Iterable[dict[str, Values]], names: Sequence[str]) -> None:
        self._chunks, self._names = list(chunks), list(names)
        self._kept: np.ndarray | None = None

    def __getitem__(self, name: str) -> Values:
        column = _join([chunk[name] for chunk in self._chunks])
        return column if self._kept is None else _rows_of(column, self._kept)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def keep(self, rows: np.ndarray) -> None:
        """Leave out the rows where a mask (m,) is False."""
        self._kept = rows

    def drain(self) -> Iterator[Mapping[str, Values]]:
        """Yield the rows in chunks, each of which is let go when the next is asked for."""
        chunks, self._chunks, first = self._chunks[::-1], [], 0
        while chunks:
            chunk = chunks.pop()
            if self._kept is not None:
                rows = self._kept[first : first + count_rows(chunk)]
                first += len(rows)
                chunk = {name: _rows_of(values, rows) for name, values in chunk.items()}
            yield chunk


def _join(parts: Sequence[Values]) -> Values:
    """Return the parts of a column as one; numbers take their place, words are settled."""
    words = [part for part in parts if isinstance(part, Words)]
    if not words:
        return np.empty(0) if not parts else parts[0] if len(parts) == 1 else np.concatenate([*parts])
    return settle(join_words([as_words(part) for part in parts]))


def _rows_of(values: Values, rows: np.ndarray) -> Values:
    if isinstance(values, Words):
        return Words(values.codes[rows], values.words)
    kept: np.ndarray = values[rows]
    return kept

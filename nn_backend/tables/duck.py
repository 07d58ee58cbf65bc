"""DuckDB, which reads most files: its queries, and its errors in the words of this project."""

import contextlib
import lzma
import re
import zipfile
import zlib
from collections.abc import Generator, Iterator, Mapping
from typing import Any

import numpy as np

from nn_backend.errors import DataFileError
from nn_backend.tables.text import Text, marked_pattern
from nn_backend.tables.values import MISSING, Values, read_words

VECTOR = 2048  # rows that DuckDB hands over together
CHUNK_ROWS = 128 * VECTOR  # at most
CHUNK_BYTES = 40 * 2**20  # of numbers: what is larger than 32 MB, the GNU C library gives back when it is let go
# As values.MISSING, also with a blank at either end, where a file puts one around each separator.
NULLS = sorted({f"{before}{word}{after}" for word in MISSING for before in ("", " ") for after in ("", " ")})


def connect() -> Any:
    """Return a connection of its own, which never asks the network."""
    import duckdb

    connection = duckdb.connect(config={"autoinstall_known_extensions": "false"})
    connection.execute("SET enable_progress_bar = false")
    return connection


def fetch(
    connection: Any, table: str, selected: Mapping[str, str], empty: str = "false"
) -> Generator[dict[str, Values], None, int]:
    """Yield the values of a query's columns; those of VARCHAR are words. Return how many empty rows were left out."""
    names = [f"v{k}" for k in range(len(selected))]
    columns = [f"{value} AS {name}" for name, value in zip(names, selected.values(), strict=True)]
    result = connection.execute(f"SELECT {', '.join([*columns, f'({empty}) AS empty'])} {table}")
    dropped = 0
    for frame in _frames(result, len(names)):
        bare = frame["empty"].to_numpy()
        if bare.any():
            frame = frame[~bare]
            dropped += int(bare.sum())
        values: dict[str, Values] = {}
        for name, column in zip(names, selected, strict=True):
            series = frame[name]
            values[column] = series.to_numpy() if series.dtype == np.float64 else read_words(series)
        yield values
    return dropped


def _frames(result: Any, columns: int) -> Iterator[Any]:
    """Yield what a query found, some `CHUNK_BYTES` at a time."""
    vectors = max(1, min(CHUNK_ROWS // VECTOR, -(-CHUNK_BYTES // (8 * columns * VECTOR))))
    while len(frame := result.fetch_df_chunk(vectors)):
        for start in range(0, len(frame), CHUNK_ROWS):
            yield frame[start : start + CHUNK_ROWS]


def as_values(name: str, kind: str, as_word: bool = False) -> str:
    """Return the SQL that gives a column of a type as numbers or words."""
    column = '"' + name.replace('"', '""') + '"'
    if kind == "BOOLEAN":
        return f"CASE WHEN {column} THEN 'True' WHEN NOT {column} THEN 'False' END"
    if as_word:
        return f"CAST({column} AS VARCHAR)"
    if kind in ("FLOAT", "DOUBLE") or kind.endswith("INT") or kind.endswith("INTEGER"):
        return f"CAST({column} AS DOUBLE)"
    text = f"CAST({column} AS VARCHAR)"
    return (
        f"CAST({text} AS DOUBLE)" if kind.startswith("DECIMAL") else text
    )  # as written: a quotient may be rounded twice


def unmarked(column: str, text: Text) -> str:
    """Return the SQL that makes numbers of 1,234.5 or 5%."""
    pattern = literal(marked_pattern(text.decimal, text.thousands))
    bare = f"replace(regexp_replace({column}, '[$€£% ]', '', 'g'), {literal(text.thousands)}, '')"
    number = f"CAST(replace({bare}, {literal(text.decimal)}, '.') AS DOUBLE)"
    wrong = f"CAST({column} AS DOUBLE)"  # whose error says what stands there
    return f"CASE WHEN regexp_full_match(trim({column}), {pattern}) THEN {number} ELSE {wrong} END"


def path_literal(path: str) -> str:
    """Return the path of one file as SQL has it, though it may look like a pattern."""
    return literal(re.sub(r"[*?\[]", r"[\g<0>]", path))


def literal(text: str) -> str:
    """Return text as SQL has it."""
    return "'" + text.replace("'", "''") + "'"


@contextlib.contextmanager
def refusing(where: str, said: str) -> Iterator[None]:
    """Turn DuckDB's errors into one that says what is wrong in which line."""
    import duckdb

    try:
        yield
    except duckdb.ConversionException:
        raise
    except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
        if isinstance(error, DataFileError | BrokenPipeError):
            raise
        reason = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read: {error}"
        raise DataFileError(f"{where} {' '.join(reason.split())}; expected {said}") from None
    except duckdb.Error as error:
        message = str(error)
        line = re.search(r"Line: (\d+)", message)
        fields = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", message)
        at = f" line {line[1]}:" if line else ""
        if fields:
            more = int(fields[2]) > int(fields[1])  # how many more, DuckDB does not count
            found = f"more than {fields[1]}" if more else fields[2]
            reason = (
                f"{found} fields; expected {fields[1]} as in the first row (one that holds the separator is quoted)"
            )
        elif "utf-8" in message.lower() or "unicode" in message.lower():
            reason = "text that is not UTF-8; --encoding cp1252 may fit"
        elif "quote" in message.lower():
            reason = "a quotation mark is not closed"
        else:
            reason = message.splitlines()[0].partition(": ")[2][:200] or message.splitlines()[0]
        raise DataFileError(f"{where} is not {said}:{at} {reason}") from None

"""Where tables come from: files of many kinds, and data frames."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nn_backend.errors import ArrayTypeError, DataFileError
from nn_backend.files import located
from nn_backend.tables.columns import Columns
from nn_backend.tables.duck import NULLS, as_values, connect, fetch, literal, path_literal, refusing, unmarked
from nn_backend.tables.frames import FRAMES
from nn_backend.tables.names import column_names, quoted
from nn_backend.tables.packed import REFUSED, STDIN, PackedFile, kind_of, run_ahead
from nn_backend.tables.text import Form, Text, decode, examine
from nn_backend.tables.values import Values, as_numbers, find_missing, read_values

if TYPE_CHECKING:  # pandas takes longer to import than a small training
    import pandas as pd

GLOB = re.compile(r"[*?\[]")


class Source(ABC):
    """A table to be read: its columns' names, and its rows, a chunk at a time.

    Attributes
    ----------
    where : str
        What errors call it.
    names : list of str
        Of its columns.
    notes : list of str
        What was assumed of its form.
    """

    where: str
    names: list[str]
    notes: list[str]

    @abstractmethod
    def chunks(self, columns: Sequence[str], words: Sequence[str] = ()) -> Iterator[dict[str, Values]]:
        """Yield the values of some columns by name, of a chunk of rows after another.

        Those in ``words`` are words also where they look like numbers.
        """

    def read(self, columns: Sequence[str]) -> Columns:
        """Return the values of some columns by name."""
        return Columns(self.chunks(columns), columns)


class FrameSource(Source):
    """A data frame."""

    def __init__(self, frame: "pd.DataFrame", where: str, notes: Sequence[str] = ()) -> None:
        self.where, self.names, self.notes, self._frame = where, column_names(frame), list(notes), frame

    def chunks(self, columns: Sequence[str], words: Sequence[str] = ()) -> Iterator[dict[str, Values]]:
        """Yield the values of some columns, all at once."""
        at = {name: k for k, name in enumerate(self.names)}
        yield {name: read_values(self._frame.iloc[:, at[name]], name, self.where) for name in columns}


class DuckSource(Source):
    """A table that DuckDB knows the types of: Parquet or JSON."""

    def __init__(self, reader: str, path: Path, where: str, said: str) -> None:
        self.where, self.notes, self._said = where, [], said
        self._table = f"{reader}({path_literal(str(path))})"
        with refusing(where, said):
            described = connect().execute(f"DESCRIBE SELECT * FROM {self._table}").fetchall()
        self.names = [name.strip() for name, *_ in described]
        self._columns = {name.strip(): (name, kind) for name, kind, *_ in described}

    def chunks(self, columns: Sequence[str], words: Sequence[str] = ()) -> Iterator[dict[str, Values]]:
        """Yield the values of some columns by name, of a chunk of rows after another."""
        selected = {name: as_values(*self._columns[name], name in words) for name in columns}
        with refusing(self.where, self._said):
            yield from fetch(connect(), f"FROM {self._table}", selected)


class TextSource(Source):
    """A text file with separators."""

    def __init__(self, file: "PackedFile", text: Text, where: str) -> None:
        self.where, self.names, self.notes = where, text.names, text.notes
        self._file, self._text = file, text

    def chunks(self, columns: Sequence[str], words: Sequence[str] = ()) -> Iterator[dict[str, Values]]:
        """Yield the values of some columns by name, of a chunk of rows after another."""
        import duckdb

        asked = set(columns) - set(words)
        numbers = {name: kind for name, kind in self._text.numbers.items() if name in asked}
        try:
            chunks = self._chunks(columns, numbers)
            yield from run_ahead(chunks) if self._file.is_read_once else chunks
        except duckdb.ConversionException as error:
            if not self._file.is_read_once:
                self._refuse_words(list(numbers))
            lines = str(error).splitlines()
            raise DataFileError(f"{self.where} has something else than numbers: {'; '.join(lines[:3])}") from None

    def read(self, columns: Sequence[str]) -> Columns:
        """Return the values of some columns by name."""
        import duckdb

        asked = set(columns)
        numbers = {name: kind for name, kind in self._text.numbers.items() if name in asked}
        nulls = [""]  # DuckDB compares each value with each: first with the one that most files have
        while True:
            try:
                return Columns(self._chunks(columns, numbers, nulls), columns)
            except duckdb.ConversionException as error:  # below the first rows, by which a column seemed one of numbers
                if nulls is not NULLS:
                    nulls = NULLS
                    continue
                said = re.search(r'column "c(\d+)"', str(error))
                wrong = [self.names[int(said[1])]] if said else columns
                if not [name for name in wrong if numbers.pop(name, None)]:
                    raise

    def _refuse_words(self, columns: Sequence[str]) -> None:
        """Raise the error that says in which row a column of numbers holds something else."""
        rows = 0
        for chunk in self._chunks(columns, {}):
            for name in columns:
                as_numbers(chunk[name], name, self.where, rows + 1, may_miss=True)
            rows += len(find_missing(chunk[columns[0]]))

    def _chunks(
        self, columns: Sequence[str], numbers: Mapping[str, str], nulls: Sequence[str] = NULLS
    ) -> Iterator[dict[str, Values]]:
        text = self._text
        ids = {name: f"c{k}" for k, name in enumerate(self.names)}
        plain = [numbers.get(name) == "plain" for name in self.names]
        kinds = {f"c{k}": "DOUBLE" if is_number else "VARCHAR" for k, is_number in enumerate(plain)}
        selected = {}
        for name in columns:
            selected[name] = ids[name]
            if numbers.get(name) == "marked":
                selected[name] = unmarked(ids[name], text)
        with refusing(self.where, "a table of separated values"), self._file.readable(text) as (path, compression):
            options = {
                "auto_detect": "false",
                "columns": "{" + ", ".join(f"{name}: '{kind}'" for name, kind in kinds.items()) + "}",
                "header": str(text.header).lower(),
                "delim": literal("\t" if text.sep == " " else text.sep),
                "quote": "'\"'",
                "escape": "'\"'",
                "skip": str(0 if text.sep == " " else text.skip),
                "decimal_separator": literal(text.decimal),
                "nullstr": f"[{', '.join(map(literal, nulls))}]",
                "max_line_size": str(2**21),
                "compression": literal(compression),
            }
            if text.comment and text.sep != " ":
                options["comment"] = literal(text.comment)
            said = ", ".join(f"{name} = {value}" for name, value in options.items())
            empty = " AND ".join(f"{name} IS NULL" for name in kinds)
            table = f"FROM read_csv({path_literal(path)}, {said})"
            dropped = yield from fetch(connect(), table, selected, empty)
        if dropped:
            self.notes.append(f"{dropped} empty row{'s' * (dropped > 1)} left out")


class Parts(Source):
    """Several tables with the same columns, one below the other."""

    def __init__(self, parts: Sequence[Source], where: str) -> None:
        self.where, self.names, self._parts = where, parts[0].names, parts
        self.notes = [f"{len(parts)} files, one below the other", *parts[0].notes]
        for part in parts:
            if set(part.names) != set(self.names):
                raise DataFileError(
                    f"{part.where} has other columns than {parts[0].where}: {quoted(part.names)} and "
                    f"{quoted(self.names)}; expected the same in each file"
                )

    def chunks(self, columns: Sequence[str], words: Sequence[str] = ()) -> Iterator[dict[str, Values]]:
        """Yield the values of some columns by name, of a chunk of rows after another."""
        for part in self._parts:
            yield from part.chunks(columns, words)


def open_source(source: "str | Path | pd.DataFrame", form: Form = Form(), *, once: bool = False) -> Source:  # noqa: B008
    """Return what is in a file or a data frame.

    Parameters
    ----------
    source : path or DataFrame
        A file of any kind that is known, whatever its name; a folder or a pattern of files; ``"-"`` for standard input.
    form : Form
        What is known of a text's form.
    once : bool
        Whether its rows are read only once: then what cannot be read again is not kept.
    """
    import pandas as pd

    if isinstance(source, pd.DataFrame):
        return FrameSource(source, "the data frame")
    if not isinstance(source, str | Path):
        raise ArrayTypeError(
            f"the source is of type {type(source).__name__}; expected a path or a pandas DataFrame. "
            f"Arrays need no loading: pass X (n0, m) and y (1, m) to fit"
        )
    where = "standard input" if str(source) == STDIN else str(source)
    with refusing(where, "a table's file"):
        return _open(source, form, where, once)


def _open(source: str | Path, form: Form, where: str, once: bool) -> Source:
    path = located(source)
    if path.is_dir():
        return _open_parts(sorted(part for part in path.rglob("*") if _is_part(part, path)), form, where)
    if isinstance(source, str) and GLOB.search(source) and not path.exists():
        return _open_parts(sorted(path.parent.glob(path.name)), form, where)
    file = PackedFile(path, where, once)
    kind = kind_of(file.head)
    if kind in ("gzip", "bzip2", "xz", "zstd") or (kind == "zip" and file.unzip()):
        if kind != "zip":
            file.compression = kind
        file.refill()
        kind = kind_of(file.head)
        if kind != "text":
            raise DataFileError(f"{where} holds a file of kind {kind}, compressed; unpack it first")
    elif kind == "zip":
        kind = "npz" if file.names[:1] and all(name.endswith(".npy") for name in file.names) else "xlsx"
    if kind == "parquet":
        return DuckSource("read_parquet", file.whole(), where, "a Parquet file")
    if kind in FRAMES:
        return FrameSource(FRAMES[kind](file.whole(), form, where), where)
    for magic, what in REFUSED.items():
        if file.head.startswith(magic):
            raise DataFileError(f"{where} is {what}; expected a table")
    if not file.head.strip():
        raise DataFileError(f"{where} is empty; expected a header and one example per row")
    text, encoding = decode(file.head, form, where, whole=file.is_whole)
    begin = text.lstrip()[:100].lower()
    if begin.startswith(("<!doctype", "<html", "<?xml", "<head", "<table")):
        raise DataFileError(f"{where} is a web page; expected a table: download the file itself, such as its raw form")
    if re.match(r'\{\s*"|\[\s*\{', begin):
        return DuckSource("read_json_auto", file.whole(), where, "JSON with an object for each row")
    if re.match(r"(%.*\n|\s)*@relation", text, re.IGNORECASE) and form.skip_rows is None:
        above = next((k for k, line in enumerate(text.splitlines(), 1) if line.strip().lower() == "@data"), "N")
        raise DataFileError(
            f"{where} is an ARFF file; --skip-rows {above} --no-header reads the rows below @data, columns by position"
        )
    if re.match(r"\s*[-+.\de]+( +\d+:[-+.\de]+)+[ \r]*(#.*)?\n", text, re.IGNORECASE):
        notes = ["an svmlight file: its targets are column y, its features go by their numbers"]
        return FrameSource(FRAMES["svmlight"](file.whole(), form, where), where, notes)
    if not file.is_whole:
        text = text[: max(text.rfind("\n"), text.rfind("\r")) + 1] or text
    return TextSource(file, examine(text, encoding, form, where), where)


def _open_parts(paths: Sequence[Path], form: Form, where: str) -> Source:
    if not paths:
        raise DataFileError(f"{where} has no files; expected parts of a table")
    parts = [open_source(path, form) for path in paths]
    return parts[0] if len(parts) == 1 else Parts(parts, where)


def _is_part(path: Path, folder: Path) -> bool:
    """Return whether a file in a folder is a part of its table; notes beside the parts begin with _ or a dot."""
    return path.is_file() and not any(name.startswith(("_", ".")) for name in path.relative_to(folder).parts)

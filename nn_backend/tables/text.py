"""What a text file is, from its first lines: encoding, separator, decimal sign, and where the table begins.

DuckDB's own sniffer is not asked: it knows neither runs of blanks nor decimal commas nor titles above a table;
and what was assumed must be said, in the same words for every file.
"""

import codecs
import csv
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from nn_backend.errors import DataFileError
from nn_backend.tables.values import MISSING

HEAD_BYTES, HEAD_ROWS = 2**18, 1000
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "blanks"}
NAMELESS = "Unnamed: "  # as pandas calls a column without a name, whose number follows
SHARE = 0.9  # of the rows, which have the same number of fields where the separator is right

PLAIN = {
    ".": re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+]?inf(inity)?", re.IGNORECASE | re.ASCII),
    ",": re.compile(r"[-+]?(\d+,?\d*|,\d+)([eE][-+]?\d+)?", re.ASCII),
}


class Form(NamedTuple):
    """What is said of a file's form; None is found out.

    Attributes
    ----------
    sep, decimal, thousands, encoding : str, optional
        Between columns, before decimals, between groups of digits; name of a text encoding.
    header : bool, optional
        Whether the first row has names.
    skip_rows : int, optional
        Lines above the table.
    sheet : str, optional
        Of a spreadsheet, by its name or its number, counted from 0.
    """

    sep: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    encoding: str | None = None
    header: bool | None = None
    skip_rows: int | None = None
    sheet: str | None = None


class Text(NamedTuple):
    """How the text of a table is to be read."""

    encoding: str
    sep: str
    decimal: str
    thousands: str
    skip: int
    comment: str
    header: bool  # which DuckDB is to skip
    names: list[str]
    numbers: dict[str, str]  # by name: "plain" or "marked"
    notes: list[str]


def decode(head: bytes, form: Form, where: str, *, whole: bool) -> tuple[str, str]:
    """Return the text of a file's beginning, and its encoding."""
    marks = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
    found = next((name for mark, name in marks.items() if head.startswith(mark)), None)
    for encoding in [form.encoding] if form.encoding else [found or "utf-8", "cp1252"]:
        try:
            text = codecs.getincrementaldecoder(encoding)().decode(head, final=whole)
        except LookupError:
            raise DataFileError(f"{where}: encoding {encoding!r} is not known; try utf-8, cp1252 or utf-16") from None
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text, encoding
    raise DataFileError(f"{where} is no text, but binary data; expected a table (--encoding names another)")


def examine(text: str, encoding: str, form: Form, where: str) -> Text:
    """Return how a table is to be read, whose text begins like this.

    Raises
    ------
    DataFileError
        If it is no table.
    """
    notes, skip, sep, comment = [], form.skip_rows or 0, form.sep, ""
    lines = text.splitlines(keepends=True)
    if form.skip_rows is None:
        if lines and (said := re.fullmatch(r"sep=(.)\s*", lines[0])):
            sep, skip = sep or said[1], 1
        while skip < len(lines) and (lines[skip].startswith("#") or not lines[skip].strip()):
            comment = "#" if lines[skip].startswith("#") else comment
            skip += 1
    if comment:
        notes.append("lines that begin with # are left out (--skip-rows)")
    lines = lines[skip:]
    skip = 0 if comment else skip  # DuckDB counts no lines of comments
    if not lines:
        raise DataFileError(f"{where} is empty; expected a header and one example per row")
    sep, rows = _separate(lines, sep)
    width = Counter(map(len, rows)).most_common(1)[0][0] if rows else 0
    title = 0
    if form.skip_rows is None and len(rows) > 2:
        title = next((k for k, row in enumerate(rows) if len(row) == width), 0)
        alone = title and max(map(len, rows[:title])) == 1 and title < len(rows) / 2
        if alone and has_header(rows[title:]):  # else it may be the header that lacks a name
            title_lines = _count_lines(lines, title)
            skip, rows, lines = skip + title_lines, rows[title:], lines[title_lines:]
            notes.append(f"{title_lines} lines above the header are left out (--skip-rows)")
    if encoding not in ("utf-8", "utf-8-sig"):
        notes.append(f"read as text in {encoding} (--encoding)")
    if sep != ",":
        notes.append(f"columns are separated by {SEPARATORS.get(sep, repr(sep))} (--sep)")
    decimal = form.decimal or ("," if sep != "," and _has_decimal_commas(rows) else ".")
    if decimal != "." and form.decimal is None:
        notes.append("decimals stand behind commas (--decimal)")
    thousands = form.thousands or (",."[decimal == ","])
    header = form.header if form.header is not None else has_header(rows, decimal, thousands)
    if not header and form.header is None:
        notes.append("the first row is data: there are no names, columns count from 0 (--header)")
    names = [name.strip() for name in rows[0]] if header else [str(k) for k in range(len(rows[0]))]
    below, is_skipped = rows[header:], header
    if header and not names[-1] and width == len(names) - 1:  # its line ends in a separator, and the others do not
        names.pop()
        skip, is_skipped = skip + _count_lines(lines, 1), False
    names = [name or f"{NAMELESS}{k}" for k, name in enumerate(names)]
    numbers = {}
    for k, name in enumerate(names):
        kind = kind_of([row[k] for row in below if k < len(row)], decimal, thousands)
        if kind:
            numbers[name] = kind
    marked = [name for name, kind in numbers.items() if kind == "marked"]
    if marked:
        shown = next(
            (row[k] for k in (names.index(marked[0]),) for row in below if k < len(row) and row[k].strip()), ""
        )
        notes.append(f"column{'s' * (len(marked) > 1)} {', '.join(marked)}: read as numbers, as in {shown!r}")
    return Text(encoding, sep, decimal, thousands, skip, comment, is_skipped, names, numbers, notes)


def marked_pattern(decimal: str, thousands: str) -> str:
    """Return the regular expression of numbers such as 1,234.5 or $5 or 5 %, for Python and DuckDB."""
    groups = rf"\d{{1,3}}({re.escape(thousands)}\d{{3}})+"
    return rf"[-+]?[$€£]? ?(({groups}|\d+)({re.escape(decimal)}\d*)?|{re.escape(decimal)}\d+) ?[%$€£]?"


def has_header(rows: Sequence[Sequence[str]], decimal: str = ".", thousands: str = ",") -> bool:
    """Return whether the first row has names: not a number wherever the column below is of numbers."""
    if not rows:
        return True

    def is_number(cells: Sequence[str]) -> bool:
        return kind_of(cells, decimal, thousands) is not None

    if len(rows) == 1:
        return not is_number(rows[0])
    numeric = [k for k in range(len(rows[0])) if is_number([row[k] for row in rows[1:] if k < len(row)])]
    firsts = [rows[0][k].strip() for k in numeric]
    return not numeric or any(first not in MISSING[1:] and not is_number([first]) for first in firsts)


def kind_of(cells: Sequence[str], decimal: str, thousands: str) -> str | None:
    """Return whether cells are ``"plain"`` numbers, ``"marked"`` ones as in 1,000 or 5%, or neither."""
    filled = [cell for cell in map(str.strip, cells) if cell not in MISSING]
    if not filled:
        return None
    if all(PLAIN[decimal].fullmatch(cell) for cell in filled):
        return "plain"
    marked = re.compile(marked_pattern(decimal, thousands), re.ASCII)
    percent = {cell.endswith("%") for cell in filled}  # 5% beside 0.05 would be read as 5
    return "marked" if len(percent) == 1 and all(map(marked.fullmatch, filled)) else None


def _separate(lines: Sequence[str], sep: str | None) -> tuple[str, list[list[str]]]:
    """Return the separator and the rows of fields; without a separator that fits, one column."""
    tried = [sep] if sep else ["\t", ";", "|", ",", " "]
    for candidate in tried:
        rows = _fields(lines, candidate)
        counts = Counter(map(len, rows))
        width, count = counts.most_common(1)[0] if counts else (0, 0)
        if (width > 1 and count >= SHARE * len(rows)) or sep:
            return candidate, rows
    widest = max((",", ";", "\t", "|"), key=lambda candidate: sum(line.count(candidate) for line in lines[:100]))
    return widest, _fields(lines, widest)


def _fields(lines: Sequence[str], sep: str) -> list[list[str]]:
    if sep == " ":
        rows = [line.split() for line in lines[:HEAD_ROWS]]
    else:
        try:
            rows = [
                row
                for row, _ in zip(
                    csv.reader(lines, delimiter=sep, skipinitialspace=True), range(HEAD_ROWS), strict=False
                )
            ]
        except csv.Error:
            rows = [line.rstrip("\r\n").split(sep) for line in lines[:HEAD_ROWS]]
    return [row for row in rows if row]


def _count_lines(lines: Sequence[str], title: int) -> int:
    """Return how many lines stand before a row; blank ones are no rows."""
    left = title
    for k, line in enumerate(lines):
        if line.strip():
            if left == 0:
                return k
            left -= 1
    return title


def _has_decimal_commas(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether a column has numbers that are such with commas as decimals only."""
    columns = zip(*(row for row in rows[1:] if len(row) == len(rows[0])), strict=False)
    return any("," in "".join(cells) and kind_of(cells, ",", ".") is not None for cells in columns)

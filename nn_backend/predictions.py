"""Predictions, written as they come: as text, packed or not, or as Parquet, by the name of the file."""

import contextlib
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nn_backend.errors import ArgumentError
from nn_backend.files import STDOUT, check_output, replacing
from nn_backend.tables.duck import connect, literal
from nn_backend.tables.packed import piped

if TYPE_CHECKING:  # pandas takes longer to import than a small training
    import pandas as pd

FORMATS = (".csv", ".csv.gz", ".parquet")


def check_predictions(path: Path, *sources: str | Path) -> None:
    """See to it that predictions can be written, before work is done for them."""
    check_output(path, *sources)
    regular = path != STDOUT and (path.is_file() or not path.exists())
    if regular and not path.name.lower().endswith(FORMATS):
        raise ArgumentError(f"--output is {str(path)!r}; expected a name ending in {', '.join(FORMATS)}")


def write_predictions(path: Path, frames: Iterator["pd.DataFrame"]) -> None:
    """Write frames one below the other; an old file stays as it is if anything fails."""
    with replacing(path) as file:
        if path.name.lower().endswith(".parquet"):
            _write_parquet(Path(file.name), frames)
            return
        packed = path.name.lower().endswith(".gz")
        with gzip.GzipFile("", "wb", fileobj=file, mtime=0) if packed else contextlib.nullcontext(file) as out:
            for text in _as_text(map(_without_formulas, frames)):
                out.write(text)


def _without_formulas(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Return a frame whose words and names have an apostrophe before them where a spreadsheet would run them."""
    words = [name for name, column in frame.items() if column.dtype.kind not in "biuf"]
    safe = {str(name): frame[name].map(_without_formula, na_action="ignore") for name in words}
    return frame.assign(**safe).rename(columns=_without_formula)


def _without_formula(word: Any) -> Any:
    if not isinstance(word, str) or not word.startswith(("=", "+", "-", "@", "\t", "\r")):
        return word
    with contextlib.suppress(ValueError):
        float(word)
        return word
    return f"'{word}"


def _as_text(frames: Iterator["pd.DataFrame"]) -> Iterator[bytes]:
    for number, frame in enumerate(frames):
        yield frame.to_csv(index=False, header=number == 0).encode()


def _write_parquet(path: Path, frames: Iterator["pd.DataFrame"]) -> None:
    """Hand text to DuckDB through a pipe, which keeps numbers to the last bit and needs no memory for the whole."""
    first = next(frames)
    kinds = {name: "DOUBLE" if column.dtype.kind == "f" else "VARCHAR" for name, column in first.items()}
    columns = ", ".join(f"{literal(str(name))}: '{kind}'" for name, kind in kinds.items())

    def chain() -> Iterator["pd.DataFrame"]:
        yield first
        yield from frames

    with piped(_as_text(chain())) as pipe:
        connect().execute(
            f"COPY (SELECT * FROM read_csv({literal(pipe)}, auto_detect = false, header = true, delim = ',', "
            f"quote = '\"', escape = '\"', columns = {{{columns}}})) TO {literal(str(path))} "
            "(FORMAT parquet, USE_TMP_FILE false)"
        )

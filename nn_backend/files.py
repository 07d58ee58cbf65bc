"""Files: tables read whole or in chunks; results written whole or not at all."""

import contextlib
import os
import secrets
import shutil
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from nn_backend.errors import ArgumentError, DataFileError, MissingPackageError

if TYPE_CHECKING:  # pandas takes longer to import than a small training, and brings pyarrow along
    import pandas as pd

SUFFIXES = (".csv", ".csv.gz", ".parquet")
STDOUT = Path("/dev/stdout")


def read_frame(path: Path) -> "pd.DataFrame":
    """Read a table whole.

    Parameters
    ----------
    path : Path
        A ``.csv``, ``.csv.gz`` or ``.parquet`` file with names in the first row.

    Raises
    ------
    DataFileError
        If the file is missing or cannot be read as what its name says.
    MissingPackageError
        If a Parquet file is given and pyarrow is not installed.
    """
    return next(read_frames(path, None))


def read_frames(
    path: Path, rows: int | None, *, name: str | None = None, words: str | None = None
) -> Iterator["pd.DataFrame"]:
    """Read a table in frames of that many rows.

    Parameters
    ----------
    path : Path
        As in `read_frame`, which also says what is raised; here it is raised when the reading gets there.
    rows : int or None
        Rows of a frame; the last may have fewer. None reads one frame.
    name : str, optional
        What errors call the file; by default its path.
    words : str, optional
        A column of a CSV file that holds words, even where all those of a frame look like numbers.
    """
    name = name or str(path)
    if not path.name.lower().endswith(SUFFIXES):
        raise DataFileError(f"{name} is of no kind that is known; expected a file ending in {', '.join(SUFFIXES)}")
    try:
        if path.is_dir():
            raise DataFileError(f"{name} is a folder; expected a file")
        if path.stat().st_size == 0:
            raise DataFileError(f"{name} is empty; expected a header and one example per row")
        if path.name.lower().endswith(".parquet"):
            yield from _read_parquet(path, rows, name)
        else:
            yield from _read_csv(path, rows, name, words)
    except FileNotFoundError:
        raise DataFileError(f"{name} does not exist; expected a file ending in {', '.join(SUFFIXES)}") from None
    except (OSError, EOFError, zlib.error) as error:
        if isinstance(error, DataFileError):
            raise
        raise DataFileError(f"{name} cannot be read: {' '.join(str(error).split())}") from None


def check_output(path: Path, *sources: Path) -> None:
    """See to it that a file can be written, before work is done for it.

    Parameters
    ----------
    path : Path
        What will be written.
    *sources : Path
        What is read, and must not be lost.

    Raises
    ------
    ArgumentError
        If the path is a folder or one of the sources, or its folder does not exist or cannot be written.
    """
    if path == STDOUT:
        return
    if path.is_dir():
        raise ArgumentError(f"{path} is a folder; expected a file's name")
    if not path.parent.is_dir():
        raise ArgumentError(f"{path} cannot be written: there is no folder {path.parent}; create it")
    if not os.access(path.parent if path.is_file() or not path.exists() else path, os.W_OK):
        raise ArgumentError(f"{path} cannot be written: no permission; choose another place")
    for source in sources:
        if path.exists() and source.exists() and path.samefile(source):
            raise ArgumentError(f"{path} is also read; writing there would lose what it holds, choose another name")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Return a file to write to, which takes the place of ``path`` when the block ends well.

    It is written beside ``path``, synced and renamed: whatever happens, there is either the old file or the new one.
    `STDOUT` and what is no regular file are written as it goes.

    Raises
    ------
    DataFileError
        If the folder does not exist or cannot be written.
    """
    beside = path
    try:
        if path == STDOUT:  # opened by its name, a file that the shell has put behind it would be cut
            yield sys.stdout.buffer
            return
        if path.is_dir():
            raise DataFileError(f"{path} is a folder; expected a file's name")
        if path.exists() and not path.is_file():
            with path.open("wb") as file:
                yield file
            return
        path = path.resolve()  # a symbolic link stays one
        beside = path.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}.tmp")  # names may have 255 bytes
        try:
            with beside.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if path.exists():
                shutil.copymode(path, beside)
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    except OSError as error:
        ours = error.filename is None or Path(error.filename) in (path, beside)  # else what the block does failed
        if isinstance(error, DataFileError | BrokenPipeError) or not ours:
            raise
        raise DataFileError(f"{path} cannot be written: {error.strerror or error}") from None
    with contextlib.suppress(OSError):  # not every system syncs folders
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _read_parquet(path: Path, rows: int | None, name: str) -> Iterator["pd.DataFrame"]:
    import pandas as pd

    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingPackageError(
            f'{name} is a Parquet file, which needs pyarrow: run "pip install nn-backend[parquet]"'
        ) from None
    try:
        if rows is None:
            yield pd.read_parquet(path, engine="pyarrow")
            return
        with pyarrow.parquet.ParquetFile(path) as file:
            if file.metadata.num_rows == 0:
                yield file.read().to_pandas()
            for batch in file.iter_batches(rows):
                yield batch.to_pandas()
    except (pyarrow.ArrowException, ValueError, LookupError) as error:  # the last two: pandas' notes are damaged
        raise DataFileError(f"{name} is not a Parquet file: {str(error).splitlines()[0]}") from None


def _read_csv(path: Path, rows: int | None, name: str, words: str | None) -> Iterator["pd.DataFrame"]:
    import pandas as pd

    how: dict[str, Any] = {"encoding": "utf-8-sig", "skipinitialspace": True}
    as_text: dict[str, Any] = {"header": None, "dtype": str, "keep_default_na": False, **how}
    try:
        # The header is read apart, because pandas would rename a name that stands twice.
        header = pd.read_csv(path, nrows=1, **as_text)
        if header.shape[1] == 1 and ";" in header.iloc[0, 0]:
            raise DataFileError(f"{name} separates its columns by semicolons; expected commas")
        pd.read_csv(path, nrows=2, **as_text)  # refuses a first row longer than the header; below, only later rows are
        how["dtype"] = {column: str for column in header.iloc[0] if column.strip() == words}
        with pd.read_csv(path, index_col=False, low_memory=False, iterator=True, chunksize=rows, **how) as frames:
            for frame in frames:
                frame.columns = header.iloc[0]
                yield frame
    except pd.errors.EmptyDataError:
        raise DataFileError(f"{name} is empty; expected a header and one example per row") from None
    except pd.errors.ParserError as error:
        reason = str(error).strip().rpartition("error: ")[2].splitlines()[0]
        raise DataFileError(f"{name} is not a table of comma-separated values: {reason}") from None
    except UnicodeDecodeError as error:
        raise DataFileError(f"{name} is not text in UTF-8 ({error.reason}); save it as UTF-8") from None

"""Files that are written whole or not at all."""

import contextlib
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from nn_backend.errors import ArgumentError, DataFileError

STDOUT = Path("/dev/stdout")


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

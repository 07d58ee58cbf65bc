"""Files that are written whole or not at all."""

import contextlib
import errno
import glob
import io
import os
import secrets
import stat
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from nn_backend.errors import ArgumentError, DataFileError

try:
    import fcntl
except ImportError:  # Windows: what a killed process leaves stays there
    fcntl = None  # type: ignore[assignment]

KNOWN = (  # endings of files
    *(".safetensors", ".onnx", ".npz", ".npy", ".pkl", ".pickle", ".joblib", ".pt", ".pth", ".h5"),
    *(".png", ".svg", ".pdf", ".html", ".json", ".csv", ".tsv", ".gz", ".parquet", ".xlsx"),
)
STDIN, STDOUT = Path("/dev/stdin"), Path("/dev/stdout")
_unfinished: set[Path] = set()


def located(path: str | Path) -> Path:
    """Return a path whose ``~`` is replaced by the home that it stands for."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ArgumentError(f"{path} has no home to begin at; write the whole path") from None


def read_whole(path: str | Path) -> bytes:
    """Return what a file, or a pipe, holds: what is not mapped into memory may change or go away afterwards.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    return located(path).read_bytes()


def check_output(path: str | Path, *sources: str | Path, suffixes: Sequence[str] = ()) -> Path:
    """See to it that a file can be written, before work is done for it.

    Parameters
    ----------
    path : str or Path
        What will be written.
    *sources : str or Path
        What is read, and must not be lost.
    suffixes : sequence of str
        What the name of such a file may end in; an ending that is not known is accepted too.

    Returns
    -------
    Path
        Where that is.

    Raises
    ------
    ArgumentError
        If the path is a folder, a loop of links or one of the sources, its name ends as that of another kind of file,
        or its folder does not exist or cannot be written.
    """
    given, path = path, located(path)
    for source in map(located, sources):
        if _is_regular(path) and _is_regular(source) and path.samefile(source):
            raise ArgumentError(f"{given} is also read; writing there would lose what it holds, choose another name")
    if path == STDOUT:
        return path
    try:
        target = path.resolve()
    except (OSError, RuntimeError):
        raise ArgumentError(f"{given} is a loop of symbolic links; choose another name") from None
    if path.is_dir():
        raise ArgumentError(f"{given} is a folder; expected a file's name")
    if not target.parent.is_dir():
        named = target.parent if path.is_symlink() else path.parent
        raise ArgumentError(f"{given} cannot be written: there is no folder {named}; create it")
    replaced = path.is_file() or not path.exists()
    if not os.access(target.parent if replaced else path, os.W_OK) or (path.is_file() and _is_immutable(target)):
        raise ArgumentError(f"{given} cannot be written: no permission; choose another place")
    if suffixes:
        check_suffix(given, suffixes)
    return path


def check_suffix(path: str | Path, suffixes: Sequence[str]) -> None:
    """Raise if a name ends as that of another kind of file than these."""
    other = next((known for known in KNOWN if str(path).lower().endswith(known)), "")
    if other and not other.endswith(tuple(suffixes)):
        raise ArgumentError(f"{path} ends in {other}, which it would not be; expected {' or '.join(suffixes)}")


def _is_regular(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a loop of links
        return False


def _is_immutable(path: Path) -> bool:
    """Return whether the system refuses all changes of a file, whoever asks; without permission it can be replaced."""
    try:
        os.close(os.open(path, os.O_WRONLY))
    except OSError as error:
        return error.errno == errno.EPERM
    return False


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Return a file to write to, which takes the place of ``path`` when the block ends well.

    It is written beside ``path``, synced and renamed: whatever happens, there is either the old file or the new one.
    `STDOUT` and what is no regular file are written as it goes.

    Raises
    ------
    DataFileError
        If the folder does not exist or cannot be written.

    Notes
    -----
    Of the old file, mode, owner, group and extended attributes are kept, as far as the system lets this process; where
    the group is not kept, it may do no more than anybody. Hard links keep the old file.
    """
    path = located(path)
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
        old = path.exists()
        with scratch(path.parent, path.name, mode=0o600 if old else 0o666) as (beside, file):
            yield file
            file.flush()
            os.fsync(file.fileno())
            if fcntl is None:
                file.close()  # Windows renames no other
            if old:
                _copy_status(path, beside)
            beside.replace(path)
    except OSError as error:
        name = None if error.filename is None else Path(error.filename).name
        ours = (
            name is None or name == path.name or name.startswith(_start(path.name))
        )  # else what the block does failed
        if isinstance(error, DataFileError | BrokenPipeError) or not ours:
            raise
        raise DataFileError(f"{path} cannot be written: {error.strerror or error}") from None
    with contextlib.suppress(OSError):  # not every system syncs folders
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextlib.contextmanager
def scratch(folder: Path, stem: str, suffix: str = "", *, mode: int = 0o600) -> Iterator[tuple[Path, IO[bytes]]]:
    """Return a new file to work with, which is gone when the block ends, unless it was renamed.

    A process that is killed leaves it. The next one that works in the folder for the same stem removes it.
    """
    _remove_left(folder, _start(stem), suffix)
    path = folder / f"{_start(stem)}{secrets.token_hex(4)}.tmp{suffix}"
    _unfinished.add(path)
    try:
        while True:
            raw = io.FileIO(path, "xb", opener=lambda name, flags: os.open(name, flags, mode))
            with io.BufferedWriter(raw) as file:
                if _lock(file) and not path.exists():  # before that, another process may have taken it for a leftover
                    continue
                yield path, file
                return
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        _unfinished.discard(path)


def _copy_status(old: Path, new: Path) -> None:
    """Give a new file extended attributes, owner, group and mode of an old one, as far as that is allowed."""
    status = old.stat()
    mode = stat.S_IMODE(status.st_mode)
    if hasattr(os, "chown"):
        for user, group in ((-1, status.st_gid), (status.st_uid, -1)):
            with contextlib.suppress(OSError):
                os.chown(new, user, group)
        if new.stat().st_gid != status.st_gid:
            mode &= ~stat.S_IRWXG | (mode & stat.S_IRWXO) << 3
        if new.stat().st_uid != status.st_uid:
            mode &= ~(stat.S_ISUID | stat.S_ISGID)
    new.chmod(mode)
    if hasattr(os, "listxattr"):
        with contextlib.suppress(OSError):  # not every file system has them
            for name in os.listxattr(old):
                with contextlib.suppress(OSError):
                    os.setxattr(new, name, os.getxattr(old, name))


def _start(stem: str) -> str:
    return f".{stem[:40]}."  # names may have 255 bytes


def remove_unfinished() -> None:
    """Remove what `scratch` has made: the process ends."""
    for path in list(_unfinished):
        with contextlib.suppress(OSError):
            path.unlink()


def _remove_left(folder: Path, start: str, suffix: str) -> None:
    """Remove the files of processes that were killed: those that nobody has locked."""
    for path in folder.glob(f"{glob.escape(start)}{'[0-9a-f]' * 8}.tmp{suffix}"):
        with contextlib.suppress(OSError), path.open("rb") as file:  # others may be at it
            if _lock(file):
                path.unlink()


def _lock(file: IO[bytes]) -> bool:
    """Return whether nobody else had this file locked; the system unlocks it when it is closed or the process ends."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True

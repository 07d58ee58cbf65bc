"""What was compiled: kernels are kept in this process, their machine code on disk for the next."""

import contextlib
import functools
import hashlib
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nn_backend.files import replacing

KEPT = 64  # kernels of a process, some 100 kB to 1 MB each
FILES = 1000  # of the folder, some 50 kB each

# Whoever compiles, or imports what compiles, holds it: so that a kernel is compiled once, and that no fork copies a
# compiler or an import in the middle of its work, whose locks nobody would open in the child.
lock = threading.RLock()


def kept(make: Callable[..., Any], *arguments: Any) -> Any:
    """Return what ``make`` returns for the arguments; it is called once while the result is among the last used."""
    with lock:
        return _kept(make, *arguments)


_kept = functools.lru_cache(KEPT)(lambda make, *arguments: make(*arguments))


def machine_code(compile_: Callable[[], bytes], *key: Any) -> bytes:
    """Return machine code from the user's cache folder, or compile it and leave it there.

    Parameters
    ----------
    compile_ : callable
        Returns the machine code.
    key : object
        Whatever decides it, in a form whose ``repr`` says all: source, compiler, processor.
    """
    path = _path(hashlib.sha256(repr(key).encode()).hexdigest())
    if path is None:
        return compile_()
    with contextlib.suppress(OSError):
        content = path.read_bytes()
        digest, code = content[:32], content[32:]
        if hashlib.sha256(code).digest() == digest:
            with contextlib.suppress(OSError):
                path.touch()  # those not used for longest make room
            return code
    code = compile_()
    with contextlib.suppress(OSError):  # what cannot be written costs the next process time, no more
        with replacing(path) as file:
            file.write(hashlib.sha256(code).digest() + code)
        _make_room(path.parent)
    return code


def _path(name: str) -> Path | None:
    """Return the file of that name, None without a folder that is the user's alone: others could plant code there."""
    with contextlib.suppress(OSError, RuntimeError):  # such as no home
        import platformdirs

        folder = platformdirs.user_cache_path("nn_backend", appauthor=False)
        for level in (folder.parent, folder):  # such as ~/.cache, but no home that does not exist
            level.mkdir(mode=0o700, exist_ok=True)
        status = folder.stat()
        if os.name != "posix" or (status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)):
            return folder / name
    return None


def _make_room(folder: Path) -> None:
    """Remove the files not used for longest, half of them, when there are too many."""
    with os.scandir(folder) as found:
        files = [(entry.stat().st_mtime, entry.path) for entry in found]
    for _, file in sorted(files)[: len(files) // 2] if len(files) > FILES else ():
        Path(file).unlink(missing_ok=True)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)

"""The bytes of a file: what they are, unpacked, as often as they are asked for, and readable for DuckDB."""

import bz2
import contextlib
import gzip
import io
import lzma
import os
import queue
import shutil
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, TypeVar

from nn_backend.errors import DataFileError
from nn_backend.files import scratch
from nn_backend.tables.duck import connect, path_literal, refusing
from nn_backend.tables.names import quoted
from nn_backend.tables.text import HEAD_BYTES, Text

STDIN = "-"
HEAD_LINES, MAX_HEAD = 10, 2**23
T = TypeVar("T")
# What a file is by its first bytes, whatever its name says.
MAGIC = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
    b"PAR1": "parquet",
    b"ARROW1": "feather",
    b"ORC": "orc",
    b"\x93NUMPY": "npy",
    b"\xd0\xcf\x11\xe0": "xls",
}
REFUSED = {
    b"%PDF": "a PDF document",
    b"\x89HDF": "an HDF5 file",
    b"SQLite format 3": "an SQLite database",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"{\\rtf": "an RTF document",
    b"version https://git-lfs": 'a Git LFS pointer, which stands for a file that is not there: run "git lfs pull"',
}
OPENERS: dict[str, Callable[[Any], IO[bytes]]] = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}  # type: ignore[dict-item]


def kind_of(head: bytes) -> str:
    """Return what a file is by its first bytes; ``"text"`` is what is nothing else."""
    return next((kind for magic, kind in MAGIC.items() if head.startswith(magic)), "text")


class PackedFile:
    """The bytes of a file, as often as they are asked for, or once where it is a pipe."""

    def __init__(self, path: Path, where: str, once: bool) -> None:
        self.path, self.where, self.compression, self.names = path, where, "none", list[str]()
        self._once: IO[bytes] | None = None
        self._kept: Any = None
        if str(path) == STDIN or not path.is_file():
            if str(path) != STDIN and not path.exists():
                raise FileNotFoundError(path)
            stream: IO[bytes] = path.open("rb") if str(path) != STDIN else _open_stdin()
            if once:
                self._once = stream
            else:
                self._keep(stream)
        self.refill()

    @property
    def is_read_once(self) -> bool:
        """Whether what was read is gone."""
        return self._once is not None

    def refill(self) -> None:
        """Take the first bytes again, from within what they are packed in."""
        if self.compression == "zstd":
            with refusing(self.where, "a zstd file"):
                lines = (
                    connect()
                    .execute(
                        f"SELECT line FROM read_csv({path_literal(str(self.path))}, columns = {{line: 'VARCHAR'}}, "
                        f"delim = '\x01', quote = '', escape = '', header = false, auto_detect = false, "
                        f"compression = 'zstd') LIMIT 1000"
                    )
                    .fetchall()
                )
            self.head = "".join(f"{line or ''}\n" for (line,) in lines).encode()
        elif self._once is not None:
            if self.compression != "none":
                self._once = OPENERS[self.compression](self._once)
            self.head = _read_head(self._once)
            self._once = io.BufferedReader(_Joined(self.head, self._once))
        else:
            with self.open() as file:
                self.head = _read_head(file)
        at_end = not self.head or len(self.head) % HEAD_BYTES > 0
        self.is_whole = at_end and self.compression != "zstd"

    def unzip(self) -> bool:
        """Return whether this is an archive of one file, which is then taken; several are refused."""
        with zipfile.ZipFile(self.whole()) as archive:
            self.names = [name for name in archive.namelist() if not name.endswith("/") and "__MACOSX" not in name]
        if "[Content_Types].xml" in self.names or any(name.endswith(".npy") for name in self.names):
            return False
        if len(self.names) != 1:
            raise DataFileError(f"{self.where} has {len(self.names)} files ({quoted(self.names)}); expected one")
        self.compression = "zip"
        return True

    def open(self) -> IO[bytes]:
        """Return the bytes, unpacked."""
        if self._once is not None:
            return self._once
        if self.compression == "zip":
            return zipfile.ZipFile(self.path).open(self.names[0])
        if self.compression == "zstd":
            raise DataFileError(
                f"{self.where} is packed by zstd and not in UTF-8, or separated by blanks; unpack it first"
            )
        return self.path.open("rb") if self.compression == "none" else OPENERS[self.compression](self.path)

    def whole(self) -> Path:
        """Return the path of a file that may be read anywhere."""
        if self._once is not None or self.compression in ("gzip", "bzip2", "xz", "zip"):
            with self.open() as stream:
                self._keep(stream)
            self.compression = "none"
        return self.path

    @contextlib.contextmanager
    def readable(self, text: Text) -> Iterator[tuple[str, str]]:
        """Return what DuckDB is to read, and its compression: the file, or a pipe where it has to be made readable."""
        recoded = text.sep == " " or text.encoding not in ("utf-8", "utf-8-sig")
        if (
            not recoded and self._once is None and self.compression in ("none", "zstd")
        ):  # of gzip, DuckDB sees no checksum
            yield str(self.path), self.compression
            return
        stream = self.open()
        blocks = _recode(stream, text) if recoded else iter(lambda: stream.read(2**20), b"")
        with stream, piped(blocks) as path:
            yield path, "none"

    def _keep(self, stream: IO[bytes]) -> None:
        """Put what can be read only once into a file."""
        self._kept = scratch(Path(tempfile.gettempdir()), "nn_backend")  # as long as this object
        self.path, file = self._kept.__enter__()
        shutil.copyfileobj(stream, file)
        file.flush()
        self._once = None


def _open_stdin() -> IO[bytes]:
    """Return standard input, without the lock that would hold up the end of a process where a thread waits for it."""
    try:
        return open(sys.stdin.fileno(), "rb", buffering=0, closefd=False)
    except (AttributeError, OSError):  # None where the caller closed it; or an object in its place
        return getattr(sys.stdin, "buffer", io.BytesIO())


class _Joined(io.RawIOBase):
    """Bytes that were read already, and those that follow."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head, self._rest = head, rest

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer."""
        data, self._head = self._head[: len(buffer)], self._head[len(buffer) :]
        data = data or self._rest.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _recode(stream: IO[bytes], text: Text) -> Iterator[bytes]:
    """Yield text in UTF-8; where blanks separate, with one tab for a run of them, from the table's beginning on."""
    with io.TextIOWrapper(stream, text.encoding, newline=None if text.sep == " " else "") as lines:
        if text.sep != " ":
            while block := lines.read(2**20):
                yield block.encode()
            return
        for k, line in enumerate(lines):
            if k >= text.skip and line.strip() and not (text.comment and line.startswith(text.comment)):
                yield "\t".join(line.split()).encode() + b"\n"


@contextlib.contextmanager
def piped(blocks: Iterator[bytes]) -> Iterator[str]:
    """Return the path of a pipe, into which a thread puts the blocks."""
    reading, writing = os.pipe()
    failed: list[Exception] = []

    def feed() -> None:
        try:
            with open(writing, "wb") as file:  # noqa: PTH123, a descriptor
                for block in blocks:
                    file.write(block)
        except BrokenPipeError:
            pass  # nobody reads on
        except Exception as error:
            failed.append(error)
        finally:
            getattr(blocks, "close", lambda: None)()

    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    try:
        yield f"/dev/fd/{reading}"
    except Exception:
        if failed:  # which is why DuckDB found the table cut off
            raise failed[0] from None
        raise
    finally:
        os.close(reading)  # the thread ends with its next block; it is not waited for, as it may wait for a person
    thread.join()
    if failed:
        raise failed[0]


def run_ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield items that a thread makes: whoever waits for them can be interrupted, which a library's call cannot."""
    made: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(maxsize=1)

    def make() -> None:
        try:
            for item in items:
                made.put((item, None))
        except BaseException as error:
            made.put((None, error))
        else:
            made.put((None, None))

    threading.Thread(target=make, daemon=True).start()
    while True:
        item, error = made.get(True)  # which waits
        if error is not None:
            raise error
        if item is None:
            return
        yield item


def _read_head(stream: IO[bytes]) -> bytes:
    """Return `HEAD_BYTES`, a multiple where lines are long, or fewer at the end; a pipe gives them by and by."""
    head = bytearray()
    while (len(head) < HEAD_BYTES or (len(head) < MAX_HEAD and head.count(b"\n") < HEAD_LINES)) and (
        part := stream.read(HEAD_BYTES - len(head) % HEAD_BYTES)
    ):
        head += part
    return bytes(head)

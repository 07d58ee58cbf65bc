"""Running a command as a user does, and what it did."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

DOOR = (sys.executable, "-m", "nn_backend")
POSIX = pytest.mark.skipif(os.name != "posix", reason="signals, pipes, links and terminals as POSIX has them")


class Run(NamedTuple):
    """A command's exit code, and what it wrote to standard output and standard error."""

    code: int
    out: str
    err: str


def run_command(*arguments: str, module: str = "nn_backend", given: bytes | None = None, **environment: str) -> Run:
    """Run ``python -m nn_backend`` in a process of its own, with bytes on its standard input."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, input=given, capture_output=True, timeout=120, env={**os.environ, **environment})
    return Run(done.returncode, done.stdout.decode(), done.stderr.decode())


def run_on_terminal(stream: str, *arguments: str, **environment: str) -> tuple[str, str]:
    """Run a command whose standard output or error is a terminal; return what it writes to that and to the other."""
    terminal, end = os.openpty()
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: end}
    environment = {**os.environ, "TERM": "xterm", "PYTHONIOENCODING": "utf-8", **environment}
    try:
        process = subprocess.Popen([*DOOR, *arguments], **streams, env=environment)
    finally:
        os.close(end)
    shown = b""
    with process, os.fdopen(terminal, "rb", buffering=0) as screen:
        try:
            while block := screen.read(4096):
                shown += block
        except OSError:  # how Linux says that nobody writes any more
            pass
        other = (process.stdout or process.stderr).read()
    assert process.returncode == 0
    return shown.decode().replace("\r\n", "\n"), other.decode()


def write(name: str, rows: list[str]) -> str:
    """Write lines to a file, and return its name."""
    Path(name).write_text("\n".join(rows) + "\n", encoding="utf-8")
    return name


def files_in(folder: Path) -> list[str]:
    """Return the names in a folder."""
    return sorted(path.name for path in folder.iterdir())

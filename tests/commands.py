"""Running a command as a user does, and what it did."""

import os
import subprocess
import sys
from typing import NamedTuple


class Run(NamedTuple):
    """A command's exit code, and what it wrote to standard output and standard error."""

    code: int
    out: str
    err: str


def run_module(
    module: str, *arguments: str, given: bytes | None = None, timeout: float = 60, **environment: str
) -> Run:
    """Run ``python -m module`` in a process of its own, with bytes on its standard input."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        input=given,
        capture_output=True,
        timeout=timeout,
        env={**os.environ, **environment},
    )
    return Run(done.returncode, done.stdout.decode(), done.stderr.decode())

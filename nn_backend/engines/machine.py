"""What this process may use of the machine: how many threads, and whether it may execute what it compiles."""

import ctypes
import functools
import math
import mmap
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nn_backend.checks import MAX_THREADS, THREADS, check, shown
from nn_backend.errors import ArgumentError


def count_threads(threads: int | None = None) -> int:
    """Return the number of workers on the CPU.

    It is the argument, else ``NN_BACKEND_THREADS``, else as many as the process may use: the cores of its affinity, no
    more than its control group's quota, than ``OMP_NUM_THREADS`` (by which joblib, among others, shares the cores
    between its processes), and than threadpoolctl lets NumPy's BLAS library have.
    """
    if threads is not None:
        return int(check("threads", threads, THREADS))
    text = os.getenv("NN_BACKEND_THREADS", "")
    own = _number(text)
    if text and own is None:
        raise ArgumentError(f"environment variable NN_BACKEND_THREADS is {shown(text)}; expected {THREADS}")
    return own or min(_limits())


def _limits() -> Iterator[int]:
    """Return how many threads each of those who have a say allows."""
    yield len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield _quota()
    yield _number(os.getenv("OMP_NUM_THREADS", "")) or MAX_THREADS  # what else stands there is for OpenMP to judge
    if "threadpoolctl" in sys.modules:  # without it, nobody has set a limit
        yield from (library.num_threads or MAX_THREADS for library in _blas())


def _number(text: str) -> int | None:
    plain = text.isascii() and text.isdigit() and not text.startswith("0") and int(text[:5]) <= MAX_THREADS
    return int(text) if plain else None


@functools.cache
def _quota(folder: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the cores' worth of time of this control group, which a container has; joblib takes 0.1 s to load."""
    for files in (["cpu.max"], ["cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"]):  # of version 2, and of version 1
        try:
            quota, period = " ".join((folder / file).read_text() for file in files).split()
            return max(1, math.ceil(int(quota) / int(period))) if int(quota) > 0 else MAX_THREADS
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return MAX_THREADS


@functools.cache
def _blas() -> list[Any]:
    import threadpoolctl

    return [library for library in threadpoolctl.ThreadpoolController().lib_controllers if library.user_api == "blas"]


@functools.cache
def may_execute() -> bool:
    """Return whether memory that was written can be executed; services and phones may be forbidden to do that."""
    if os.name != "posix":
        return True
    page = mmap.mmap(-1, mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    start = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    allowed: bool = ctypes.CDLL(None).mprotect(start, mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_EXEC) == 0
    return allowed

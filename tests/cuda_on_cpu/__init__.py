"""Run CUDA C on the CPU, every CUDA thread a fiber, and find what a GPU would do only now and then.

    module = compile_cuda(source)
    module.launch("sum", 4, 256, (x, total, np.int64(x.size)), order="backward")

`scheduler.cpp` says what is found; a kernel is to give the same bits in every one of ORDERS. `cuda_on_cpu.h` has the
words of CUDA C that kernels may use.

Not modelled: speed, caches, the order of writes between blocks (so no block may wait for another), block and grid in
more than one dimension, kernels that are templates, and #include in the source.
"""

import ctypes
import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ORDERS = ("forward", "backward", "random")

MAX_THREADS = 1024
MAX_DYNAMIC_SHARED = 227 * 1024  # bytes, and so in scheduler.h
GUARD = 4096  # bytes before and after each array
POISON = 0xFF  # four or eight of these bytes are a NaN

COMPILE = (
    *("g++", "-c", "-fPIC", "-std=c++17", "-O1", "-Wall"),
    "-U_FORTIFY_SOURCE",  # with it, longjmp refuses to change stacks
    "-fvisibility=hidden",  # a kernel may have the name of a function that this process knows
    *("-I", str(Path(__file__).parent)),
)
COMPILE_KERNELS = (
    *COMPILE,
    "-ffp-contract=off",  # a * b + c rounds twice
    "-fno-strict-aliasing",  # kernels look at one piece of shared memory as several types
    "-fsanitize=bounds",  # calls a function of scheduler.cpp
    "-Werror=frame-larger-than=131072",  # half of a fiber's stack
    "-Wno-unknown-pragmas",  # "unroll" is one
)

DYNAMIC_SHARED = re.compile(r"extern[ \t]+__shared__[ \t]+([^;\[\]]*?)(\w+)[ \t]*\[[ \t]*\][ \t]*;")
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
BOUNDS = r"(?:__launch_bounds__\s*\([^)]*\)\s*)?"
KERNEL = re.compile(rf"__global__\s+{BOUNDS}void\s+{BOUNDS}(\w+)")


class CompileError(RuntimeError):
    """What g++ says about the source, with the lines of `kernel.cu`."""


class CudaError(RuntimeError):
    """A mistake found while a kernel ran: where it is known, in which block, thread and line of the source."""

    def __init__(
        self, text: str, kernel: str, block: int | None = None, thread: int | None = None, line: int | None = None
    ) -> None:
        place = {"block": block, "thread": thread, "line": line}
        known = [f"{name} {number}" for name, number in place.items() if number is not None]
        super().__init__(f"{', '.join([kernel, *known])}: {text}")
        self.kernel, self.block, self.thread, self.line = kernel, block, thread, line


class _Report(ctypes.Structure):
    _fields_ = (("text", ctypes.c_char_p), ("block", ctypes.c_int), ("thread", ctypes.c_int), ("line", ctypes.c_int))


def require_compiler() -> None:
    """Skip the test, or the test module, where CUDA source cannot be compiled."""
    if sys.platform != "linux" or shutil.which("g++") is None:
        pytest.skip("running CUDA source on the CPU needs g++ on Linux", allow_module_level=True)


@functools.cache
def compile_cuda(source: str) -> "Module":
    """Compile CUDA C source; the same source is compiled once in a process."""
    names = KERNEL.findall(COMMENT.sub("", source))
    code = DYNAMIC_SHARED.sub(r"\1*const \2 = reinterpret_cast<decltype(\2)>(cuda_on_cpu::dynamic_shared);", source)
    unit = "\n".join(
        [
            '#include "cuda_on_cpu.h"',
            "namespace {",  # shared memory in an inline function is then of this unit alone, and may have a section
            '#line 1 "kernel.cu"',
            code,
            "}",
            *(f"CUDA_ON_CPU_KERNEL({name})" for name in names),
        ]
    )
    with tempfile.TemporaryDirectory() as folder:
        scheduler, kernels, library = (Path(folder, name) for name in ("scheduler.o", "kernels.o", "kernels.so"))
        scheduler.write_bytes(_compile(COMPILE, Path(__file__).with_name("scheduler.cpp").read_text()))
        kernels.write_bytes(_compile(COMPILE_KERNELS, unit))
        _run(["g++", "-shared", str(scheduler), str(kernels), "-o", str(library)])  # -fsanitize would link its library
        # PyDLL keeps other Python threads out while the fibers, which all are one thread's, run.
        return Module(ctypes.PyDLL(str(library)), names)  # once loaded, it needs its file no more


@functools.cache
def _compile(command: Sequence[str], code: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "compiled.o")
        _run([*command, "-x", "c++", "-", "-o", str(path)], code)
        return path.read_bytes()


def _run(command: Sequence[str], text: str = "") -> None:
    english = {**os.environ, "LC_ALL": "C"}
    result = subprocess.run(command, input=text, text=True, capture_output=True, check=False, env=english)
    if result.returncode:
        raise CompileError(result.stderr)


class Module:
    """Compiled CUDA source."""

    def __init__(self, library: ctypes.PyDLL, names: Sequence[str]) -> None:
        self._library = library
        self.kernels = {name: self._signature(name) for name in names}  # what each takes: "const f4*, f4*, i8"

    def _signature(self, name: str) -> str:
        function = self._library[f"signature_{name}"]
        function.restype = ctypes.c_char_p
        return function().decode().removesuffix(", ")

    def launch(
        self,
        name: str,
        grid: int,
        block: int,
        arguments: Sequence[np.ndarray | np.generic],
        shared_bytes: int = 0,
        order: str = "forward",
        seed: int = 0,
    ) -> None:
        """Run a kernel over `grid` blocks of `block` threads.

        An array is passed as a pointer to a copy of it with guards around, which is copied back at the end. Reading
        from a guard gives NaN.

        Raises
        ------
        CudaError
            For a mistake found while the kernel ran. The arrays are then as they were.
        TypeError, ValueError
            For a launch that a GPU could not do, or for arguments of other dtypes than the kernel's parameters.
        """
        if order not in ORDERS:
            raise ValueError(f"order is {order!r}; expected one of {', '.join(ORDERS)}")
        if not (grid >= 1 and 1 <= block <= MAX_THREADS and 0 <= shared_bytes <= MAX_DYNAMIC_SHARED):
            raise ValueError(
                f"a launch of {grid} blocks of {block} threads with {shared_bytes} bytes; expected 1 block or more, "
                f"1 to {MAX_THREADS} threads, and 0 to {MAX_DYNAMIC_SHARED} bytes"
            )
        if name not in self.kernels:
            raise ValueError(f"there is no kernel {name}; the source has {', '.join(self.kernels) or 'none'}")
        given = ", ".join(map(_describe, arguments))
        if given != self.kernels[name].replace("const ", ""):
            raise TypeError(f"{name} takes ({self.kernels[name]}); given was ({given})")
        arrays = {_span(array): array for array in arguments if isinstance(array, np.ndarray)}
        for one, other in combinations(arrays.values(), 2):
            if np.may_share_memory(one, other):
                raise ValueError(f"two arguments of {name} overlap; pass the whole array instead, once or twice")
        copies = {span: _guarded(array) for span, array in arrays.items()}

        values = [
            np.array(np.uintp(copies[_span(a)].ctypes.data + GUARD) if isinstance(a, np.ndarray) else a)
            for a in arguments
        ]
        pointers = (ctypes.c_void_p * len(values))(*(value.ctypes.data for value in values))
        launch = self._library[f"launch_{name}"]
        launch.restype = ctypes.POINTER(_Report)
        report = launch(pointers, grid, block, ctypes.c_size_t(shared_bytes), ORDERS.index(order), ctypes.c_uint(seed))
        if report:
            found = report.contents
            thread, line = (number if number >= 0 else None for number in (found.thread, found.line))
            raise CudaError(found.text.decode(), name, found.block, thread, line)

        for i, array in enumerate(arguments):
            if isinstance(array, np.ndarray) and not _guards_hold(copies[_span(array)]):
                raise CudaError(f"a write outside the array of argument {i}, counted from 0", name)
        for array, parameter in zip(arguments, self.kernels[name].split(", "), strict=False):
            if isinstance(array, np.ndarray) and not parameter.startswith("const"):
                array.reshape(-1).view(np.uint8)[:] = copies[_span(array)][GUARD:-GUARD]


def _describe(argument: Any) -> str:
    if isinstance(argument, np.generic):
        return f"{argument.dtype.kind}{argument.itemsize}"
    if isinstance(argument, np.ndarray) and argument.flags.c_contiguous:
        return f"{argument.dtype.kind}{argument.itemsize}*"
    return f"{type(argument).__name__}, which is no NumPy scalar and no C-contiguous NumPy array"


def _span(array: np.ndarray) -> tuple[int, int]:
    return array.ctypes.data, array.nbytes


def _guarded(array: np.ndarray) -> np.ndarray:
    copy = np.full(array.nbytes + 2 * GUARD, POISON, np.uint8)
    copy[GUARD:-GUARD] = array.reshape(-1).view(np.uint8)
    return copy


def _guards_hold(copy: np.ndarray) -> bool:
    return bool(np.all(copy[:GUARD] == POISON) and np.all(copy[-GUARD:] == POISON))

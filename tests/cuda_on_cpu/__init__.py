"""Run CUDA C on the CPU, every CUDA thread a fiber, and find what a GPU would do only now and then.

    module = compile_cuda(source)
    module.launch("sum", 4, 256, (x, total, np.int64(x.size)), order="backward")

`scheduler.cpp` says what is found; a kernel is to give the same bits in every one of ORDERS. `cuda_on_cpu.h` has the
words of CUDA C that our kernels use.

Not modelled: speed, caches, the order of writes between blocks (so no block may wait for another), block and grid in
more than one dimension, kernels that are templates, and #include in the source.
"""

import ctypes
import functools
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
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
KERNEL = re.compile(r"__global__\s+void\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?(\w+)")


class CudaError(RuntimeError):
    """A mistake found while a kernel ran."""


class _Report(ctypes.Structure):
    _fields_ = (("text", ctypes.c_char_p), ("block", ctypes.c_int), ("thread", ctypes.c_int), ("line", ctypes.c_int))


def require_compiler() -> None:
    """Skip the test, or the test module, where CUDA source cannot be compiled."""
    if sys.platform != "linux" or shutil.which("g++") is None:
        pytest.skip("running CUDA source on the CPU needs g++ on Linux", allow_module_level=True)


@functools.cache
def compile_cuda(source: str) -> "Module":
    """Compile CUDA C source; g++ names the lines of ``kernel.cu``."""
    names = KERNEL.findall(source)
    code = DYNAMIC_SHARED.sub(r"\1*const \2 = reinterpret_cast<decltype(\2)>(cuda_on_cpu::dynamic_shared);", source)
    # Shared memory in an inline function is so of this unit alone, and may have a section.
    unit = f'#include "cuda_on_cpu.h"\nnamespace {{\n#line 1 "kernel.cu"\n{code}\n}}\n'
    unit += "\n".join(f"CUDA_ON_CPU_KERNEL({name})" for name in names)
    with tempfile.TemporaryDirectory() as folder:
        scheduler, kernels, library = (Path(folder, name) for name in ("scheduler.o", "kernels.o", "kernels.so"))
        scheduler.write_bytes(_compile(COMPILE, Path(__file__).with_name("scheduler.cpp").read_text()))
        kernels.write_bytes(_compile(COMPILE_KERNELS, unit))
        _run("g++", "-shared", str(scheduler), str(kernels), "-o", str(library))  # -fsanitize would link its library
        # PyDLL keeps other Python threads out while the fibers, which all are one thread's, run.
        return Module(ctypes.PyDLL(str(library)), names)  # once loaded, it needs its file no more


@functools.cache
def _compile(command: Sequence[str], code: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "compiled.o")
        _run(*command, "-x", "c++", "-", "-o", str(path), text=code)
        return path.read_bytes()


def _run(*command: str, text: str = "") -> None:
    done = subprocess.run(command, input=text, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr


class Module:
    """Compiled CUDA source."""

    def __init__(self, library: ctypes.PyDLL, names: Sequence[str]) -> None:
        self._library = library
        self._parameters = {}  # of each kernel: "const f4*, f4*, i8"
        for name in names:
            signature = library[f"signature_{name}"]
            signature.restype = ctypes.c_char_p
            self._parameters[name] = signature().decode().removesuffix(", ")

    def launch(
        self, name: str, grid: int, block: int, arguments: Sequence[Any], shared_bytes: int = 0, order: str = "forward"
    ) -> None:
        """Run a kernel over `grid` blocks of `block` threads, or raise a CudaError and leave the arrays as they were.

        An array is passed as a pointer to a copy of it with guards around, which is copied back at the end. Reading
        from a guard gives NaN.
        """
        parameters, given = self._parameters[name], ", ".join(map(_describe, arguments))
        if given != parameters.replace("const ", ""):
            raise TypeError(f"{name} takes ({parameters}); given was ({given})")
        if not (grid >= 1 and 1 <= block <= MAX_THREADS and 0 <= shared_bytes <= MAX_DYNAMIC_SHARED):
            raise ValueError(f"{name}: {grid} blocks of {block} threads with {shared_bytes} bytes of shared memory")
        # One that is passed twice, as one: a state that is replaced in place.
        copies = {id(array): _guarded(array) for array in arguments if isinstance(array, np.ndarray)}
        values = [
            np.array(np.uintp(copies[id(a)].ctypes.data + GUARD) if isinstance(a, np.ndarray) else a) for a in arguments
        ]
        pointers = (ctypes.c_void_p * len(values))(*(value.ctypes.data for value in values))
        launch = self._library[f"launch_{name}"]
        launch.restype = ctypes.POINTER(_Report)
        report = launch(pointers, grid, block, ctypes.c_size_t(shared_bytes), ORDERS.index(order))
        if report:
            found = report.contents
            place = f"block {found.block}, thread {found.thread}, line {found.line}"  # -1 where it is not known
            raise CudaError(f"{name}, {place}: {found.text.decode()}")

        if any((guard != POISON).any() for copy in copies.values() for guard in (copy[:GUARD], copy[-GUARD:])):
            raise CudaError(f"{name}: a write outside an array")
        for array, parameter in zip(arguments, parameters.split(", "), strict=True):
            if isinstance(array, np.ndarray) and not parameter.startswith("const"):
                array.reshape(-1).view(np.uint8)[:] = copies[id(array)][GUARD:-GUARD]


def _describe(argument: Any) -> str:
    if isinstance(argument, np.generic):
        return f"{argument.dtype.kind}{argument.itemsize}"
    if isinstance(argument, np.ndarray) and argument.flags.c_contiguous:
        return f"{argument.dtype.kind}{argument.itemsize}*"
    return f"{type(argument).__name__}, which is no NumPy scalar and no C-contiguous NumPy array"


def _guarded(array: np.ndarray) -> np.ndarray:
    copy = np.full(array.nbytes + 2 * GUARD, POISON, np.uint8)
    copy[GUARD:-GUARD] = array.reshape(-1).view(np.uint8)
    return copy

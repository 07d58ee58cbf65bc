"""Compiles a program's CUDA C for a device with NVRTC, and runs it through CuPy on arrays that stay on the device."""

import contextlib
import hashlib
import math
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nn_backend.compiler.cuda import FOLLOW_THREADS, RUN_TILES, SMALL_TILES, SUM_THREADS, print_cuda
from nn_backend.compiler.program import TILE, Program

# One rounding for each operation and subnormal numbers kept; CuPy's own way of compiling always flushes them.
FLAGS = ("-std=c++17", "-fmad=false", "-ftz=false", "-prec-div=true", "-prec-sqrt=true")
LAUNCH_TILES = 20_000  # tiles, times iterations and sets, of one launch of iterate: some tens of milliseconds at most


class Examples:
    """The numbers of all examples where a kernel finds them.

    Parameters
    ----------
    arrays : sequence of CuPy arrays (rows, m)
        One example per column, all of one dtype, each row contiguous in memory. They are read in place.
    """

    def __init__(self, arrays: Sequence[Any]) -> None:
        import cupy

        self._arrays = arrays  # kept alive: the kernel is given addresses
        self.m = arrays[0].shape[1]
        self.tiles = -(-self.m // TILE)
        self.rows = cupy.asarray([row.data.ptr for array in arrays for row in array], dtype=np.uint64)


class Kernel:
    """A program, compiled for the current CUDA device.

    Parameters
    ----------
    program : Program
        What to run.
    """

    def __init__(self, program: Program) -> None:
        from cupy.cuda import Device
        from cupy.cuda.function import Module

        self.program = program
        module = Module()
        module.load(compile_cubin(print_cuda(program), f"sm_{Device().compute_capability}"))
        self._iterate, self._sum_tiles, self._follow = map(module.get_function, ("iterate", "sum_tiles", "follow"))

    def run(self, examples: Examples, uniforms: Any, iterations: int) -> Any:
        """Run the program over all examples; the results replace the first uniform numbers, and so on.

        Parameters
        ----------
        examples : Examples
            The numbers of each example, in the program's dtype.
        uniforms : CuPy array (..., uniforms)
            The numbers that are the same for all examples, in the program's dtype. Leading axes are as many sets of
            these, for each of which the program is run by itself.
        iterations : int
            How many times to run it, at least 1.

        Returns
        -------
        CuPy array (..., outputs)
            The results of the last iteration.
        """
        import cupy

        *lead, size = uniforms.shape
        sets, outputs = math.prod(lead), len(self.program.outputs)
        state = cupy.zeros((sets, self.program.state_size), self.program.dtype)
        state[:, :size] = uniforms.reshape(sets, size)
        m = np.int64(examples.m)
        if examples.tiles <= SMALL_TILES:
            at_most = max(1, LAUNCH_TILES // (examples.tiles * sets))
            for first in range(0, iterations, at_most):
                count = np.int32(min(at_most, iterations - first))
                self._iterate((sets,), (TILE,), (examples.rows, m, state, count))
        else:
            blocks = -(-examples.tiles // RUN_TILES)
            parts = cupy.empty((blocks, len(self.program.sums)), self.program.dtype)
            for numbers in state:
                for _ in range(iterations):
                    self._sum_tiles((blocks,), (SUM_THREADS,), (examples.rows, m, numbers, parts))
                    self._follow((1,), (FOLLOW_THREADS,), (parts, np.int64(blocks), numbers))
        return state[:, :outputs].reshape(*lead, outputs)


def compile_cubin(source: str, architecture: str) -> bytes:
    """Compile CUDA C to machine code, or take it from the cache in CuPy's folder; needs no GPU.

    Parameters
    ----------
    source : str
        CUDA C.
    architecture : str
        Such as ``"sm_90"``.
    """
    from cupy.cuda import nvrtc

    options = (f"-arch={architecture}", *FLAGS)
    key = hashlib.sha256(repr((source, options, nvrtc.getVersion())).encode()).hexdigest()
    folder = Path(os.getenv("CUPY_CACHE_DIR") or Path.home() / ".cupy" / "kernel_cache")
    cached = folder / f"nn_backend-{key}.cubin"
    with contextlib.suppress(OSError):
        return cached.read_bytes()
    handle = nvrtc.createProgram(source, "nn_backend.cu", (), ())
    try:
        nvrtc.compileProgram(handle, options)
        binary: bytes = nvrtc.getCUBIN(handle)
    finally:
        nvrtc.destroyProgram(handle)
    with contextlib.suppress(OSError):  # a cache that cannot be written costs the next process a second, no more
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
            file.write(binary)
        Path(file.name).replace(cached)
    return binary

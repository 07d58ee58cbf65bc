"""Compiles a plan's CUDA C for a device with NVRTC, and runs it through CuPy on arrays that stay on the device."""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nn_backend.compiler.cuda import COLUMNS, WIDE_THREADS, Printer
from nn_backend.compiler.plan import Plan
from nn_backend.compiler.program import STRIP, TILE, Program, in_strips
from nn_backend.errors import ArgumentError, BackendUnavailableError

# One rounding for each operation and subnormal numbers kept; CuPy's own way of compiling always flushes them.
FLAGS = ("-std=c++17", "-fmad=false", "-ftz=false", "-prec-div=true", "-prec-sqrt=true")
MAX_BLOCKS = 1024  # of a launch: about as many as an H100 runs at a time; each has a stack of sums in device memory
# Operations (see Plan.work) of a network's iteration up to which one launch does all; derived, not measured: three
# launches and the adding of runs take as long as some 15 tiles of a 3-4-1 network.
SMALL = 200_000
LAUNCH = 3e8  # operations of one launch: some tens of milliseconds, so that Ctrl-C is heard


class Examples:
    """The numbers of each example where a kernel finds them: in strips, the rows of a strip one after the other.

    Parameters
    ----------
    arrays : mapping of str to CuPy array (rows, m)
        One example per column, all of one dtype, in the order of the program's examples.
    """

    def __init__(self, arrays: Mapping[str, Any]) -> None:
        self.m = next(iter(arrays.values())).shape[1]
        self.data = in_strips(arrays, zeros)


def zeros(shape: tuple[int, ...], dtype: Any) -> Any:
    """Return an array of zeros."""
    import cupy

    return cupy.zeros(shape, dtype)


def copied(array: Any) -> Any:
    """Return a copy."""
    return array.copy()


class Kernel:
    """A program, compiled for the current CUDA device.

    Parameters
    ----------
    program : Program
        What to run.

    Raises
    ------
    ArgumentError
        If what is kept of a tile of examples does not fit the device's shared memory.
    """

    def __init__(self, program: Program) -> None:
        from cupy.cuda import Device, driver
        from cupy.cuda.function import Module

        self.plan = Plan(program)
        self._shared = self.plan.scratch.rows * TILE * np.dtype(program.dtype).itemsize
        available = Device().attributes["MaxSharedMemoryPerBlockOptin"]
        if self._shared > available:
            smaller = "fewer hidden units, " + "dtype='float32', " * (program.dtype != "float32")
            raise ArgumentError(
                f"the compiled engine keeps {self.plan.scratch.rows} numbers of each of {TILE} examples in the GPU's "
                f"shared memory, {self._shared:,} bytes of {program.dtype}; this GPU has {available:,} bytes. "
                f"Use {smaller}or engine='eager'"
            )
        module = Module()
        module.load(compile_cubin(Printer(self.plan).print(), f"sm_{Device().compute_capability}"))
        self._run, self._add_runs, self._follow = map(module.get_function, ("run_tiles", "add_runs", "follow"))
        attribute = driver.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES  # for more than 48 KiB, a kernel has to ask
        driver.funcSetAttribute(self._run.ptr, attribute, self._shared)

    def run(
        self, examples: Examples, state: Any, numbers: Any, iterations: int, spans: np.ndarray | None = None
    ) -> tuple[Any, Any]:
        """Run the program over all examples, for each network by itself; see `native.Kernel.run`.

        Parameters
        ----------
        examples : Examples
            The numbers of each example, in the program's dtype.
        state, numbers : CuPy arrays (networks, state), (networks, numbers)
            What is the same for all examples, as the plan's layouts pack it; a step replaces the state in place.
        iterations : int
            How many times to run it, at least 1.
        spans : ndarray (networks, 2) or (1, 2) of int64, optional
            Each network's first example, a multiple of 32, and its number of examples; by default all use all.

        Returns
        -------
        results, outputs : CuPy arrays (networks, results), (networks, strips, rows, 32)
            The results of the last iteration (of a step, the state), and those that differ between examples.
        """
        import cupy

        networks, plan, dtype = len(state), self.plan, self.plan.program.dtype
        places = np.empty((networks, 3), np.int64)
        places[:, :2] = (0, examples.m) if spans is None else spans
        places[:, 0] //= STRIP
        most = int(places[:, 1].max())
        strips, tiles = -(-most // STRIP), -(-most // TILE)
        places[:, 2] = np.arange(0, networks * strips, strips)
        outputs = zeros((networks, strips, plan.outputs.rows, STRIP), dtype)
        results = state if plan.is_step else zeros((networks, plan.results.size), dtype)
        operations = plan.work * TILE * tiles

        small = tiles == 1 or operations <= SMALL * networks
        share = 0 if small else 1 << ((tiles - 1) // MAX_BLOCKS).bit_length()
        blocks = min(networks, MAX_BLOCKS) if small else -(-tiles // share)
        rows = np.int32((share or tiles).bit_length() + 1)  # of each block's stack of sums
        work = cupy.empty((blocks, int(rows) * plan.sums.size + plan.results.size), dtype)
        given = (examples.data, cupy.asarray(places), state, numbers, results, outputs, work, rows)

        def launch(blocks: int, n: int, count: int) -> None:
            tail = (np.int64(n), np.int64(networks), np.int64(share), np.int32(count))
            self._run((blocks,), (TILE,), (*given, *tail), self._shared)

        if small:
            at_most = max(1, int(LAUNCH // (operations * networks)))
            for first in range(0, iterations, at_most):
                if first:
                    cupy.cuda.get_current_stream().synchronize()  # or launches would queue up, deaf to Ctrl-C
                launch(blocks, 0, min(at_most, iterations - first))
            return results, outputs
        for n, m in enumerate(places[:, 1].tolist()):
            runs = -(-m // (share * TILE))
            for _ in range(iterations):
                launch(runs, n, 1)
                if plan.sums.size and runs > 1:
                    slices = -(-plan.sums.size // COLUMNS)
                    self._add_runs((slices,), (WIDE_THREADS,), (work, rows, np.int32(runs)))
                self._follow((1,), (WIDE_THREADS,), (state, numbers, results, work, rows, np.int64(n)))
                if operations > 10 * LAUNCH:  # by all of the device's processors
                    cupy.cuda.get_current_stream().synchronize()
        return results, outputs


def compile_cubin(source: str, architecture: str) -> bytes:
    """Compile CUDA C to machine code, or take it from the cache in CuPy's folder; needs no GPU.

    Parameters
    ----------
    source : str
        CUDA C.
    architecture : str
        Such as ``"sm_90"``.

    Raises
    ------
    BackendUnavailableError
        If NVRTC does not know the architecture, or refuses the source.
    """
    from cupy.cuda import nvrtc

    options = (f"-arch={architecture}", *FLAGS)
    key = hashlib.sha256(repr((source, options, nvrtc.getVersion())).encode()).hexdigest()
    cached = None
    with contextlib.suppress(RuntimeError):  # a user without a home has no cache
        folder = Path(os.getenv("CUPY_CACHE_DIR") or Path.home() / ".cupy" / "kernel_cache")
        cached = folder / f"nn_backend-{key}.cubin"
        with contextlib.suppress(OSError):
            return cached.read_bytes()
    handle = nvrtc.createProgram(source, "nn_backend.cu", (), ())
    try:
        nvrtc.compileProgram(handle, options)
        binary: bytes = nvrtc.getCUBIN(handle)
    except nvrtc.NVRTCError as error:
        version, known = ".".join(map(str, nvrtc.getVersion())), nvrtc.getSupportedArchs()
        if int(architecture.removeprefix("sm_")) not in known:
            raise BackendUnavailableError(
                f"CUDA {version}'s compiler does not know this GPU's architecture, {architecture}: it knows "
                f"{', '.join(f'sm_{number}' for number in known)}. Use a CuPy and NVRTC for another CUDA version"
            ) from error
        log = nvrtc.getProgramLog(handle).strip()
        raise BackendUnavailableError(f"CUDA {version}'s compiler refuses a kernel ({error}):\n{log}") from error
    finally:
        nvrtc.destroyProgram(handle)
    if cached is not None:
        with contextlib.suppress(OSError):  # a cache that cannot be written costs the next process a second, no more
            with tempfile.NamedTemporaryFile(dir=cached.parent, delete=False) as file:
                file.write(binary)
            Path(file.name).replace(cached)
    return binary

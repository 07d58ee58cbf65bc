"""Compiles a plan's CUDA C for a device with NVRTC, and runs it through CuPy on arrays that stay on the device."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from nn_backend.compiler.cache import machine_code
from nn_backend.compiler.cuda import COLUMNS, WIDE_THREADS, Printer
from nn_backend.compiler.plan import Plan
from nn_backend.compiler.program import STRIP, TILE, Program, in_strips, place
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
    own : mapping of str to CuPy array (networks, rows, m), optional
        Those of which each network has its own.
    """

    def __init__(self, arrays: Mapping[str, Any], own: Mapping[str, Any] | None = None) -> None:
        self.m = next(iter(arrays.values())).shape[1]
        self.data = in_strips(arrays, zeros)
        self.shared = self.data.size  # numbers, behind which those of each network's own stand
        if own:
            import cupy

            self.data = cupy.concatenate([self.data.ravel(), in_strips(own, zeros).ravel()])


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
        self.shared = self.plan.scratch.rows * TILE * np.dtype(program.dtype).itemsize
        available = Device().attributes["MaxSharedMemoryPerBlockOptin"]
        if self.shared > available:
            smaller = "fewer hidden units, " + "dtype='float32', " * (program.dtype != "float32")
            raise ArgumentError(
                f"the compiled engine keeps {self.plan.scratch.rows} numbers of each of {TILE} examples in the GPU's "
                f"shared memory, {self.shared:,} bytes of {program.dtype}; this GPU has {available:,} bytes. "
                f"Use {smaller}or engine='eager'"
            )
        module = Module()
        module.load(compile_cubin(Printer(self.plan).print(), f"sm_{Device().compute_capability}"))
        self.run_tiles, self.add_runs, self.follow = map(module.get_function, ("run_tiles", "add_runs", "follow"))
        attribute = driver.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES  # for more than 48 KiB, a kernel has to ask
        driver.funcSetAttribute(self.run_tiles.ptr, attribute, self.shared)

    def bind(self, examples: Examples, networks: int, spans: np.ndarray | None = None) -> "Run":
        """Prepare calls for as many networks; see `Run`."""
        return Run(self, examples, networks, spans)


class Run:
    """A kernel bound to examples and a number of networks; its parameters are those of `native.Run`."""

    def __init__(self, kernel: Kernel, examples: Examples, networks: int, spans: np.ndarray | None) -> None:
        import cupy

        self.kernel, self._examples, self._networks = kernel, examples, networks
        plan, dtype = kernel.plan, kernel.plan.program.dtype
        places, strips = place(networks, examples.m, spans)
        self._counts: list[int] = places[:, 1].tolist()
        tiles = -(-max(self._counts) // TILE)
        places[:, 3] = examples.shared + places[:, 2] * plan.own.rows * STRIP
        self._places = cupy.asarray(places)
        self._outputs = zeros((strips, plan.outputs.rows, STRIP), dtype)
        self._results = zeros((networks, plan.results.size * (not plan.is_step)), dtype)
        self._progress = zeros((networks, 2), np.int64)
        self._operations = plan.work * TILE * tiles
        small = tiles == 1 or self._operations <= SMALL * networks
        self._share = 0 if small else 1 << ((tiles - 1) // MAX_BLOCKS).bit_length()
        self._blocks = min(networks, MAX_BLOCKS) if small else -(-tiles // self._share)
        self._rows = np.int32((self._share or tiles).bit_length() + 1)  # of each block's stack of sums
        self._work = cupy.empty((self._blocks, int(self._rows) * plan.sums.size + plan.results.size), dtype)

    def __call__(self, state: Any, numbers: Any, iterations: int, progress: Any = None) -> tuple[Any, Any]:
        """Run the program over all examples.

        Parameters
        ----------
        state, numbers : CuPy arrays (networks, state), (networks, numbers)
            What is the same for all examples, as the plan's layouts pack it; a step replaces the state in place.
        iterations : int
            How many times to run it, at least 1.
        progress : CuPy array (networks, 2) of int64, optional
            As for `native.Run`.

        Returns
        -------
        results, outputs : CuPy arrays (networks, results), (strips, rows, 32)
            The results of the last iteration (of a step, the state), and those that differ between examples. But for
            the state, they are overwritten by the next call.
        """
        import cupy

        kernel, sums = self.kernel, self.kernel.plan.sums.size
        results = state if kernel.plan.is_step else self._results
        if progress is None:
            progress = self._progress
            progress[...] = 0
        given = (
            self._examples.data,
            self._places,
            progress,
            state,
            numbers,
            results,
            self._outputs,
        )

        def launch(blocks: int, n: int, count: int) -> None:
            which = (np.int64(n), np.int64(self._networks), np.int64(self._share), np.int32(count))
            kernel.run_tiles((blocks,), (TILE,), (*given, self._work, self._rows, *which), kernel.shared)

        if not self._share:
            at_most = max(1, int(LAUNCH // (self._operations * self._networks)))
            for first in range(0, iterations, at_most):
                if first:
                    cupy.cuda.get_current_stream().synchronize()  # or launches would queue up, deaf to Ctrl-C
                launch(self._blocks, 0, min(at_most, iterations - first))
            return results, self._outputs
        for n, m in enumerate(self._counts):
            runs = -(-m // (self._share * TILE))
            for _ in range(iterations):
                launch(runs, n, 1)
                if sums and runs > 1:
                    slices = -(-sums // COLUMNS)
                    kernel.add_runs((slices,), (WIDE_THREADS,), (self._work, self._rows, np.int32(runs)))
                closing = (progress, state, numbers, results, self._work, self._rows, np.int64(n))
                kernel.follow((1,), (WIDE_THREADS,), closing)
                if self._operations > 10 * LAUNCH:  # by all of the device's processors
                    cupy.cuda.get_current_stream().synchronize()
        return results, self._outputs


def compile_cubin(source: str, architecture: str) -> bytes:
    """Compile CUDA C to machine code, which is kept on disk for the next process; needs no GPU.

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
    return machine_code(lambda: _compile(source, architecture, options), source, options, nvrtc.getVersion())


def _compile(source: str, architecture: str, options: tuple[str, ...]) -> bytes:
    from cupy.cuda import nvrtc

    handle = nvrtc.createProgram(source, "nn_backend.cu", (), ())
    try:
        nvrtc.compileProgram(handle, options)
        binary: bytes = nvrtc.getCUBIN(handle)
        return binary
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

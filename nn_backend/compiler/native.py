"""Compiles a program's LLVM IR for this machine with llvmlite, and runs it on arrays, on as many threads as wanted."""

import ctypes
import math
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import llvmlite.binding as llvm
import numpy as np

from nn_backend.compiler.llvm import CHUNK_TILES, padded_sums, print_ir, scratch_size
from nn_backend.compiler.program import TILE, Program

TILES_PER_THREAD = 2  # fewer are not worth a thread
EVERYBODY = 2**62  # arrivals, more than any barrier waits for
CHUNKS_PER_THREAD = 8  # so that threads get nearly equal shares


class Target(NamedTuple):
    """A processor to compile for, as LLVM names it and its features. It decides the speed, not the bits."""

    cpu: str
    features: str = ""


def host() -> Target:
    """Give the processor this process runs on."""
    return Target(llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())


class Examples:
    """The numbers of all examples where a kernel finds them, and the threads that share them.

    Parameters
    ----------
    arrays : sequence of ndarray (rows, m)
        One example per column, all of one dtype, each row contiguous in memory. They are read in place.
    pool : Pool
        The threads; results do not depend on them.
    """

    def __init__(self, arrays: Sequence[np.ndarray], pool: "Pool") -> None:
        self.pool = pool
        self._arrays = arrays  # kept alive: the kernel is given addresses
        rows = [row for array in arrays for row in array]
        m = arrays[0].shape[1]
        self.full_tiles, self.rest = divmod(m, TILE)
        self.tiles = self.full_tiles + (self.rest > 0)
        self._tail = np.zeros((len(rows), TILE), arrays[0].dtype)
        for copied, row in zip(self._tail, rows, strict=True):
            copied[: self.rest] = row[m - self.rest :]
        self.full_rows = np.array([row.ctypes.data for row in rows], np.int64)
        self.tail_rows = np.array([row.ctypes.data for row in self._tail], np.int64)


class Pool:
    """Threads that are started when first needed, and then kept.

    Parameters
    ----------
    threads : int
        How many at most.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._workers: ThreadPoolExecutor | None = None
        self._busy = threading.Lock()  # two calls whose work is mixed in the queue would wait for each other

    def run(self, work: Callable[[int], None], threads: int) -> None:
        """Call ``work`` with 0, 1, ... in that many threads at the same time, and wait for all of them."""
        if threads == 1:
            work(0)
            return
        with self._busy:
            if self._workers is None:
                self._workers = ThreadPoolExecutor(self.threads)
            for future in [self._workers.submit(work, thread) for thread in range(threads)]:
                future.result()


class Kernel:
    """A program, compiled.

    Parameters
    ----------
    program : Program
        What to run.
    target : Target, optional
        The processor; by default this machine's.
    """

    def __init__(self, program: Program, target: Target | None = None) -> None:
        cpu, features = target or host()
        self.program = program
        self.ir = print_ir(program)
        self._machine = llvm.Target.from_default_triple().create_target_machine(
            cpu=cpu, features=features, opt=1, jit=True
        )
        self._module = llvm.parse_assembly(self.ir)
        self._module.verify()
        tuning = llvm.create_pipeline_tuning_options(speed_level=2)
        tuning.loop_unrolling = tuning.loop_vectorization = False
        passes = llvm.create_pass_builder(self._machine, tuning)
        passes.getModulePassManager().run(self._module, passes)
        self._engine = llvm.create_mcjit_compiler(self._module, self._machine)
        self._engine.finalize_object()
        signature = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 8, *[ctypes.c_void_p] * 6)  # its calls release the GIL
        self._run = signature(self._engine.get_function_address("run"))

    def assembly(self) -> str:
        """Give the machine code as text."""
        return str(self._machine.emit_assembly(self._module))

    def run(self, examples: Examples, uniforms: np.ndarray, iterations: int) -> np.ndarray:
        """Run the program over all examples; the results replace the first uniform numbers, and so on.

        Parameters
        ----------
        examples : Examples
            The numbers of each example, in the program's dtype.
        uniforms : ndarray (..., uniforms)
            The numbers that are the same for all examples, in the program's dtype. Leading axes are as many sets of
            these, for each of which the program is run by itself.
        iterations : int
            How many times to run it, at least 1.

        Returns
        -------
        ndarray (..., outputs)
            The results of the last iteration.
        """
        *lead, size = uniforms.shape
        outputs = len(self.program.outputs)
        numbers = np.zeros((math.prod(lead), self.program.state_size), self.program.dtype)
        numbers[:, :size] = uniforms.reshape(len(numbers), size)
        pool = examples.pool
        for_one_set = max(1, min(pool.threads, examples.tiles // TILES_PER_THREAD))
        for_all_sets = min(pool.threads, len(numbers))
        if for_all_sets < for_one_set:
            self._run_in_turn(examples, numbers, iterations, for_one_set)
        else:  # no thread waits for another
            shares = np.array_split(numbers, for_all_sets)
            pool.run(lambda thread: self._run_in_turn(examples, shares[thread], iterations, 1), for_all_sets)
        return numbers[:, :outputs].reshape(*lead, outputs)

    def _run_in_turn(self, examples: Examples, numbers: np.ndarray, iterations: int, threads: int) -> None:
        """Run the program for each row of numbers in place, one after the other, each on so many threads."""
        program = self.program
        chunk_tiles = 1
        while chunk_tiles < CHUNK_TILES and 2 * chunk_tiles * CHUNKS_PER_THREAD * threads <= examples.tiles:
            chunk_tiles *= 2
        chunks = -(-examples.tiles // chunk_tiles)
        partial = np.zeros((2, chunks, padded_sums(program)), program.dtype)
        arrived = np.zeros(1, np.int64)
        scratch = np.empty((threads, scratch_size(program, chunks)), program.dtype)
        copies = [numbers, *(numbers.copy() for _ in range(threads - 1))]

        def work(thread: int) -> None:
            arrays = (copies[thread], partial, arrived, scratch[thread])
            self._run(
                *(thread, threads, examples.full_tiles, examples.rest, chunks, chunk_tiles, len(numbers), iterations),
                *(examples.full_rows.ctypes.data, examples.tail_rows.ctypes.data),
                *(array.ctypes.data for array in arrays),
            )

        try:
            examples.pool.run(work, threads)
        except BaseException:  # Ctrl-C may come before all threads were started: let the others pass the barrier
            arrived[0] = EVERYBODY
            raise


def _start_llvm() -> None:
    """Set LLVM up, and give kernels the function by which a waiting thread gives up its core."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    if sys.platform == "win32":
        give_up = ctypes.WinDLL("kernel32").SwitchToThread
    else:
        give_up = ctypes.CDLL(None).sched_yield
    llvm.add_symbol("nn_backend_yield", ctypes.cast(give_up, ctypes.c_void_p).value)


_start_llvm()

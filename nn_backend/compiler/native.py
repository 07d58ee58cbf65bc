"""Compiles a plan's LLVM IR for this machine with llvmlite, and runs it on arrays, on as many threads as wanted."""

import _thread
import contextlib
import ctypes
import functools
import itertools
import math
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import llvmlite.binding as llvm
import numpy as np

from nn_backend.compiler.llvm import LINE, Printer
from nn_backend.compiler.plan import Plan
from nn_backend.compiler.program import STRIP, TILE, Program, in_strips
from nn_backend.compiler.threads import schedule

EVERYBODY = 2**62  # arrivals, more than any barrier waits for
WORTH_A_THREAD = 10_000  # operations (see Plan.work) of one iteration, 0.2 to 0.5 µs; a barrier takes some 0.1 µs
WORTH_STARTING = 8_000_000  # operations of a call, some 0.3 ms; waking a thread takes as long on a virtual machine


class Target(NamedTuple):
    """A processor to compile for, as LLVM names it and its features. It decides the speed, not the bits."""

    cpu: str
    features: str = ""
    registers: int = 16
    vector_bytes: int = 16


@functools.cache
def host() -> Target:
    """Return the processor this process runs on."""
    features = llvm.get_host_cpu_features()
    registers, size = (32, 64) if features.get("avx512f") else (16, 32) if features.get("avx2") else (16, 16)
    return Target(llvm.get_host_cpu_name(), features.flatten(), registers, size)


class Examples:
    """The numbers of each example where a kernel finds them: in strips, the rows of a strip one after the other.

    Parameters
    ----------
    arrays : mapping of str to ndarray (rows, m)
        One example per column, all of one dtype, in the order of the program's examples.
    threads : int
        How many share the work at most.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], threads: int = 1) -> None:
        self.m = next(iter(arrays.values())).shape[1]
        self.threads = threads
        self.data = in_strips(arrays, zeros)


def zeros(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return an array of zeros that begins where a cache line does."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.zeros(size + LINE, np.uint8)
    first = -address(memory) % LINE
    array: np.ndarray = memory[first : first + size].view(dtype).reshape(shape)
    return array


def address(array: np.ndarray) -> int:
    """Return where an array's numbers are; ``array.ctypes.data`` takes four times as long."""
    place: int = array.__array_interface__["data"][0]
    return place


def copied(array: np.ndarray) -> np.ndarray:
    """Return an aligned copy."""
    copy = zeros(array.shape, array.dtype)
    copy[...] = array
    return copy


class Worker:
    """A thread that does what it is given, once for each `begin`, until it is told to leave."""

    def __init__(self) -> None:
        self.id: int | None = None  # as the system knows it
        self._task: tuple[Callable[[int], None], int, Callable[[], None]] | None = None
        self._error: BaseException | None = None
        self._go, self._done = _thread.allocate_lock(), _thread.allocate_lock()
        self._go.acquire()
        self._done.acquire()
        _thread.start_new_thread(self._serve, ())

    def begin(self, work: Callable[[int], None], number: int, release: Callable[[], None]) -> None:
        """Have it call ``work`` with its number; where that fails, ``release`` lets those go who wait for it."""
        self._task, self._error = (work, number, release), None
        self._go.release()

    def finish(self) -> None:
        """Wait until it is done."""
        self._done.acquire()
        if self._error is not None:
            raise self._error

    def leave(self) -> None:
        """Have it end when it is done, without being waited for."""
        self._task = None
        with contextlib.suppress(RuntimeError):  # it has not begun yet what it was given last
            self._go.release()

    def _serve(self) -> None:
        self.id = _thread.get_native_id()
        while self._go.acquire() and self._task is not None:
            work, number, release = self._task
            try:
                work(number)
            except BaseException as error:
                self._error = error
                release()
            del work, release  # and with them arrays, which nobody else may need any longer
            self._task = None
            self._done.release()


class Pool:
    """Threads of this process that kernels share: started when first needed, and then kept.

    Notes
    -----
    Ctrl-C may come at any moment. The standard library's pools then stay locked now and then, as their locks are taken
    and given in Python; here they are the system's, and workers that were interrupted are not used again.
    """

    def __init__(self) -> None:
        self._workers: list[Worker] = []
        self._apart = -1  # the core that they keep off
        self._busy = _thread.allocate_lock()  # two calls that share the workers would wait for each other

    def run(self, work: Callable[[int], None], threads: int, release: Callable[[], None]) -> None:
        """Call ``work`` with 0, 1, ... at the same time, 0 in this thread, and wait; ``release`` ends it early."""
        if threads == 1:
            work(0)
            return
        with self._busy:
            try:
                while len(self._workers) < threads - 1:
                    self._workers.append(Worker())
                    self._apart = -1
                self._keep_apart()
                for number, worker in enumerate(self._workers[: threads - 1], 1):
                    worker.begin(work, number, release)
                work(0)
                for worker in self._workers[: threads - 1]:
                    worker.finish()
            except BaseException:
                release()
                left, self._workers = self._workers, []
                for worker in left:
                    worker.leave()
                raise

    def _keep_apart(self) -> None:
        """Keep the threads off the caller's core, where Linux may wake them, for milliseconds, beside an idle one."""
        core = _current_core()
        if core in (self._apart, -1):
            return
        others = os.sched_getaffinity(0) - {core}
        ids = [worker.id for worker in self._workers if worker.id is not None]
        for thread in ids if others else ():
            with contextlib.suppress(OSError):
                os.sched_setaffinity(thread, others)
        self._apart = core if len(ids) == len(self._workers) else -1  # some have only just been started


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
        cpu, features, *registers = target or host()
        self.plan = Plan(program)
        self.ir = Printer(self.plan, *registers).print()
        self._machine = llvm.Target.from_default_triple().create_target_machine(
            cpu=cpu, features=features, opt=2, jit=True
        )
        self._module = llvm.parse_assembly(self.ir)
        self._module.verify()
        passes = llvm.create_pass_builder(self._machine, llvm.create_pipeline_tuning_options())
        manager = llvm.create_new_module_pass_manager()
        manager.add_sroa_pass()
        manager.add_instruction_combine_pass()
        manager.run(self._module, passes)
        self._engine = llvm.create_mcjit_compiler(self._module, self._machine)
        self._engine.finalize_object()
        signature = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 5, *[ctypes.c_void_p] * 12)  # its calls release the GIL
        self._run = signature(self._engine.get_function_address("run"))

    def assembly(self) -> str:
        """Return the machine code as text."""
        return str(self._machine.emit_assembly(self._module))

    def run(
        self,
        examples: Examples,
        state: np.ndarray,
        numbers: np.ndarray,
        iterations: int,
        spans: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Run the program over all examples, for each network by itself.

        Parameters
        ----------
        examples : Examples
            The numbers of each example, in the program's dtype.
        state : ndarray (networks, state)
            What is the same for all examples, as the plan's layout packs it; a step replaces it in place.
        numbers : ndarray (networks, numbers)
            The same of its numbers.
        iterations : int
            How many times to run it, at least 1.
        spans : ndarray (networks, 2) or (1, 2) of int64, optional
            Each network's first example, a multiple of 32, and its number of examples; by default all use all.

        Returns
        -------
        results : ndarray (networks, results)
            The results of the last iteration as the plan's layout packs them; of a step, the state.
        outputs : ndarray (networks, strips, rows, 32)
            Those that differ between examples, in strips.
        """
        networks, plan = len(state), self.plan
        places = np.zeros((networks, 4), np.int64)
        places[:, 1] = most = examples.m
        if spans is not None:
            places[:, :2] = spans
            places[:, 0] //= STRIP
            most = int(places[:, 1].max())
        strips = -(-most // STRIP)
        places[:, 2] = np.arange(0, networks * strips, strips)
        allocate = zeros if plan.outputs.rows else np.empty
        outputs = allocate((networks, strips, plan.outputs.rows, STRIP), plan.program.dtype)
        results = state if plan.is_step else zeros((networks, plan.results.size), plan.program.dtype)

        def call(first: int, last: int, threads: int) -> None:
            rows = slice(first, last)
            self._call(places[rows], examples, outputs, state[rows], numbers[rows], results[rows], iterations, threads)

        operations = plan.work * most
        total = int(operations * networks * iterations // WORTH_STARTING)
        together = min(examples.threads, -(-most // TILE), int(operations // WORTH_A_THREAD), total)
        apart = max(1, min(examples.threads, networks, total))
        if apart < together:
            call(0, networks, together)
        else:  # no thread waits for another
            edges = [networks * k // apart for k in range(apart + 1)]
            _pool.run(lambda k: call(edges[k], edges[k + 1], 1), apart, lambda: None)
        return results, outputs

    def _call(
        self,
        places: np.ndarray,
        examples: Examples,
        outputs: np.ndarray,
        state: np.ndarray,
        numbers: np.ndarray,
        results: np.ndarray,
        iterations: int,
        threads: int,
    ) -> None:
        """Run the program for some networks in turn, each on so many threads."""
        plan, dtype = self.plan, self.plan.program.dtype
        tiles: list[int] = (-(-places[:, 1] // TILE)).tolist()
        rows = 2 * max(tiles).bit_length() + 2  # nodes of the tree that a thread may hold at a time
        # In one piece, cache lines apart: the barrier, the sums that threads leave for each other, and for each thread
        # its scratch, its stack of sums, what follows from them, and, beside the first's, its own state or results.
        reached = state if plan.is_step else results
        stack = rows * plan.sums.size
        shares = plan.scratch.rows * TILE, stack, plan.results.size, reached.size if threads > 1 else 0
        memory = zeros((LINE + 2 * threads * stack + threads * sum(shares),), dtype)
        partial, own = LINE, LINE + 2 * threads * stack
        base, size = address(memory), memory.itemsize
        given = address(examples.data), address(outputs), address(state), address(numbers), address(reached)
        for thread in range(1, threads):
            memory[own + (thread + 1) * sum(shares) - shares[3] :][: shares[3]] = reached.ravel()

        held = memory, places, examples, outputs, state, numbers, results

        def work(thread: int, held: Any = held) -> None:  # so that arrays live as long as a thread that nobody awaits
            ours = places.copy()  # networks of as many tiles share their instructions
            lists = [schedule(count, threads, thread, rows) for count in dict.fromkeys(tiles)]
            instructions = lists[0]
            if len(lists) > 1:
                instructions = np.concatenate(lists)
                first = dict(zip(dict.fromkeys(tiles), itertools.accumulate(map(len, lists), initial=0), strict=False))
                ours[:, 3] = [first[count] for count in tiles]
            *mine, ends = (base + size * (own + thread * sum(shares) + sum(shares[:k])) for k in range(4))
            ends = ends if thread else given[4]
            self._run(
                *(thread, threads, len(places), iterations, rows, address(ours), address(instructions), *given[:2]),
                *(ends if plan.is_step else given[2], given[3], ends, base + size * partial, base, *mine),
            )

        _pool.run(work, threads, lambda: memory[:LINE].view(np.int64).fill(EVERYBODY))


def _start_llvm() -> None:
    """Set LLVM up, and give kernels the function by which a waiting thread gives up its core."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    if sys.platform == "win32":
        give_up = ctypes.WinDLL("kernel32").SwitchToThread
    else:
        give_up = ctypes.CDLL(None).sched_yield
    llvm.add_symbol("nn_backend_yield", ctypes.cast(give_up, ctypes.c_void_p).value)


_current_core = getattr(ctypes.CDLL(None), "sched_getcpu", lambda: -1) if sys.platform == "linux" else lambda: -1
_pool = Pool()
_start_llvm()
if hasattr(os, "register_at_fork"):  # a fork copies the pool, but not its threads
    os.register_at_fork(after_in_child=_pool.__init__)  # type: ignore[misc]

"""Compiles a plan's LLVM IR for this machine with llvmlite, and runs it on arrays, on as many threads as wanted."""

import ctypes
import functools
import itertools
import sys
import time
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from nn_backend.compiler.cache import lock, machine_code
from nn_backend.compiler.lanes import LanesPrinter, run_in_lanes
from nn_backend.compiler.llvm import Printer, Target
from nn_backend.compiler.memory import LINE, address, zeros
from nn_backend.compiler.memory import copied as copied  # which engines ask this module for
from nn_backend.compiler.plan import Plan
from nn_backend.compiler.pool import pool
from nn_backend.compiler.program import LANES, STRIP, TILE, Program, in_strips, place
from nn_backend.compiler.threads import Job, schedule

FOREVER = 2**62  # more arrivals than any barrier waits for, and more patience than any thread needs
WORTH_A_THREAD = 10_000  # operations (see Plan.work) of one iteration, 0.2 to 0.5 µs; a barrier takes some 0.1 µs
WORTH_LANES = 64  # networks from which on lanes of very little data are networks
WORTH_STARTING = 8_000_000  # operations of a call, some 0.3 ms; waking a thread takes as long on a virtual machine
# Looks at a barrier before a thread sleeps: some 0.1 ms, longer than it takes to wake, or one that sleeps would send
# the other to sleep; and a quarter of the time of its own work, by which shares of large data may differ.
SPINS, SPINS_OF_OPERATION = 400_000, 0.04
PATIENCE = 8  # pauses of a call, some 0.1 ms each, after which threads are compared with one thread
TRIAL_SECONDS = 0.002  # for which that one works
RECIPE = 1  # of passes and code generation; with another number, what is on disk is left alone


@functools.cache
def host() -> Target:
    """Return the processor this process runs on."""
    features = llvm.get_host_cpu_features()
    registers, size = (32, 64) if features.get("avx512f") else (16, 32) if features.get("avx2") else (16, 16)
    return Target(llvm.get_process_triple(), llvm.get_host_cpu_name(), features.flatten(), registers, size)


class Examples:
    """The numbers of each example where a kernel finds them: in strips, the rows of a strip one after the other.

    Parameters
    ----------
    arrays : mapping of str to ndarray (rows, m)
        One example per column, all of one dtype, in the order of the program's examples.
    threads : int
        How many share the work at most.
    own : mapping of str to ndarray (networks, rows, m), optional
        Those of which each network has its own.
    """

    def __init__(
        self, arrays: Mapping[str, np.ndarray], threads: int = 1, own: Mapping[str, np.ndarray] | None = None
    ) -> None:
        self.m = next(iter(arrays.values())).shape[1]
        self.threads = threads
        self.data, self.own = in_strips(arrays, zeros), in_strips(own, zeros) if own else np.empty(0)


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
        self.plan = Plan(program)
        self._target = target or host()
        self.function = self._compiled(Printer(self.plan, self._target))
        self._in_lanes: dict[int, Any] = {}

    def in_lanes(self, m: int) -> Any:
        """Return the function for so few examples that the lanes are networks."""
        with lock:
            if m not in self._in_lanes:
                self._in_lanes[m] = self._compiled(LanesPrinter(self.plan, self._target, m))
            return self._in_lanes[m]

    def _compiled(self, printer: Printer) -> Any:
        engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _machine(self._target))
        engine.add_object_file(llvm.ObjectFileRef.from_data(object_code(printer)))
        engine.finalize_object()
        weakref.finalize(self, _close, engine).atexit = False
        signature = ctypes.CFUNCTYPE(None, ctypes.c_void_p)  # its calls release the GIL
        return signature(engine.get_function_address("run"))

    def bind(self, examples: Examples, networks: int, spans: np.ndarray | None = None) -> "Run":
        """Prepare calls for as many networks; see `Run`."""
        return Run(self, examples, networks, spans)


class Run:
    """A kernel bound to examples and a number of networks, so that calls find prepared what they share.

    Parameters
    ----------
    kernel : Kernel
        What to run.
    examples : Examples
        The numbers of each example, in the program's dtype.
    networks : int
        How many networks there are, each by itself.
    spans : ndarray (networks, 2) or (1, 2) of int64, optional
        Each network's first example, a multiple of 32, and its number of examples; by default all use all.
    """

    def __init__(self, kernel: Kernel, examples: Examples, networks: int, spans: np.ndarray | None) -> None:
        self.kernel, self.examples, self.networks = kernel, examples, networks
        plan = kernel.plan
        self.places, strips = place(networks, examples.m, spans)
        tiles = -(-self.places[:, 1] // TILE)  # without spans, all networks have as many
        counts, self.places[:, 3] = (tiles[:1], 0) if spans is None else np.unique(tiles, return_inverse=True)
        self.tiles = tuple(counts.tolist())  # networks of as many tiles share their instructions
        self._operations = plan.work * int(self.places[:, 1].max())
        self._threads = min(examples.threads, max(self.tiles), int(self._operations // WORTH_A_THREAD))
        allocate = zeros if plan.outputs.rows else np.empty
        self.outputs = allocate((strips, plan.outputs.rows, STRIP), plan.program.dtype)
        self._results = np.empty((networks, plan.results.size), plan.program.dtype)  # of a step, the state
        self._progress = np.zeros((networks, 2), np.int64)
        self.given, self.own, self.returned = map(address, (examples.data, examples.own, self.outputs))
        self._teams: dict[tuple[int, int, int], Team] = {}
        alike = spans is None and not plan.outputs.rows and not plan.own.rows
        self._is_tiny = alike and examples.m <= LANES and networks >= WORTH_LANES

    def __call__(
        self, state: np.ndarray, numbers: np.ndarray, iterations: int, progress: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Run the program over all examples.

        Parameters
        ----------
        state : ndarray (networks, state)
            What is the same for all examples, as the plan's layout packs it; a step replaces it in place.
        numbers : ndarray (networks, numbers)
            The same of its numbers.
        iterations : int
            How many times to run it, at least 1.
        progress : ndarray (networks, 2) of int64, optional
            In place: 0, or the number of the ending that a network has reached, which is then left alone; and how many
            iterations it has done, to which those of the call are added.

        Returns
        -------
        results : ndarray (networks, results)
            The results of the last iteration as the plan's layout packs them; of a step, the state. Like the outputs,
            they are overwritten by the next call.
        outputs : ndarray (strips, rows, 32)
            Those that differ between examples, in strips: of each network, one network after the other.
        """
        if progress is None:
            progress = self._progress
            progress[...] = 0
        arrays = progress, state, numbers, state if self.kernel.plan.is_step else self._results
        worth = int(self._operations * self.networks * iterations // WORTH_STARTING)
        available = pool.ready(min(worth, max(self._threads, min(self.examples.threads, self.networks))))
        if self._is_tiny:
            function = self.kernel.in_lanes(self.examples.m)
            run_in_lanes(function, self.kernel.plan, self.given, arrays, iterations, max(1, available))
            return arrays[-1], self.outputs
        together, apart = min(self._threads, available), max(1, min(self.networks, available))
        if apart < together:
            for n in range(self.networks):
                self._share(n, together, arrays, iterations)
        else:  # no thread waits for another
            edges = self._edges(apart, progress) if apart > 1 else [0, self.networks]
            self._go([self._team(first, last, 1) for first, last in itertools.pairwise(edges)], arrays, iterations)
        return arrays[-1], self.outputs

    def _edges(self, parts: int, progress: np.ndarray) -> list[int]:
        """Return where to cut the networks into parts with as many examples of networks that go on."""
        counts = np.where(progress[:, 0] == 0, self.places[:, 1], 0)
        middles = np.cumsum(counts) - counts / 2
        inner = [int(np.searchsorted(middles, counts.sum() * k / parts)) for k in range(1, parts)]
        edges = dict.fromkeys([0, *(max(1, cut) for cut in inner), self.networks])
        if len(self._teams) > 64:  # of cuts that will not come back
            self._teams.clear()
        return list(edges)

    def _share(self, n: int, threads: int, arrays: tuple[np.ndarray, ...], iterations: int) -> None:
        """Have threads share a network's examples, for as long as that is faster than one thread alone."""

        def seconds_of(threads: int, most: int) -> float:
            nonlocal iterations
            team = self._team(n, n + 1, threads)
            began = time.perf_counter()
            self._go([team], arrays, min(most, iterations))
            iterations -= iterations if arrays[0][n, 0] else team.done
            return (time.perf_counter() - began) / team.done

        while iterations > 0:
            together = seconds_of(1 if pool.resting() else threads, iterations)
            if iterations > 0:  # patience came to an end
                pool.compare(together, seconds_of(1, max(1, int(TRIAL_SECONDS / together))))

    def _go(self, teams: Sequence["Team"], arrays: tuple[np.ndarray, ...], iterations: int) -> None:
        """Have teams work at the same time."""
        for team in teams:
            team.begin(arrays, iterations)
        workers = [worker for team in teams for worker in team.workers]

        def release() -> None:
            for team in teams:
                team.release()

        try:
            pool.run(lambda k: workers[k](), len(workers), release)
        except BaseException:
            self._teams.clear()  # threads that were left behind may still use its memory
            raise

    def _team(self, first: int, last: int, threads: int) -> "Team":
        if (first, last, threads) not in self._teams:
            self._teams[first, last, threads] = Team(self, first, last, threads)
        return self._teams[first, last, threads]


class Team:
    """The threads that work on some networks, and the memory they work in.

    Parameters
    ----------
    run : Run
        What they do.
    first, last : int
        The networks, one after the other.
    threads : int
        Several threads share the examples of one network.
    """

    def __init__(self, run: Run, first: int, last: int, threads: int) -> None:
        plan = run.kernel.plan
        self._first, self._is_step = first, plan.is_step
        rows = 2 * max(run.tiles).bit_length() + 2  # nodes of the tree that a thread may hold at a time
        # In one piece, cache lines apart: what all threads see, two halves of sums that they leave for each other, and
        # for each thread its scratch, its stack of sums, what follows from them, and, but for the first, its own state
        # or results.
        stack, reached = rows * plan.sums.size, plan.state.size if plan.is_step else plan.results.size
        shares = plan.scratch.rows * TILE, stack, plan.results.size, reached
        own = LINE + 2 * threads * stack
        memory = zeros((own + threads * sum(shares),), plan.program.dtype)
        base, size = address(memory), memory.itemsize
        self._shared = (ctypes.c_int64 * 2).from_address(base)
        self._own = memory[own:].reshape(threads, -1)[:, sum(shares) - reached :]
        self._progress = np.zeros((threads, 2), np.int64)
        self._held: list[Any] = [memory, run.kernel, run.places, run.examples, run.outputs]
        self._jobs = []
        for thread in range(threads):
            instructions = schedule(run.tiles, threads, thread, rows)
            self._held.append(instructions)
            job = Job(networks=last - first, threads=threads, half=threads * stack, mine=thread * stack)
            job.spins = int(SPINS + SPINS_OF_OPERATION * plan.work * run.places[0, 1] / threads)
            job.spans, job.given, job.returned = address(run.places[first:]), run.given, run.returned
            job.allown = run.own
            job.instructions, job.length = address(instructions), instructions.shape[1]
            job.shared, job.partial = base, base + LINE * size
            begins = itertools.accumulate(shares, initial=own + thread * sum(shares))
            job.scratch, job.stack, job.next, *_ = (base + begin * size for begin in begins)
            job.patience = FOREVER
            self._jobs.append(job)
        self.workers = [functools.partial(run.kernel.function, ctypes.byref(job)) for job in self._jobs]

    def begin(self, arrays: tuple[np.ndarray, ...], iterations: int) -> None:
        """Make ready for a call on the networks' rows of progress, state, numbers, results (of a step, the state)."""
        self._held_now = arrays
        progress, state, numbers, results = (address(array) + self._first * array.strides[0] for array in arrays)
        self._shared[:] = [0, iterations]
        for thread, job in enumerate(self._jobs):
            if thread:  # what the first reaches is the result of all
                self._own[thread] = arrays[-1][self._first]
                self._progress[thread] = arrays[0][self._first]
                progress, results = address(self._progress[thread]), address(self._own[thread])
            job.allprogress = progress
            job.states, job.allnumbers, job.allresults = results if self._is_step else state, numbers, results
        self._jobs[0].patience = PATIENCE

    def release(self) -> None:
        """Have the threads end, whether or not others arrive."""
        self._shared[:] = [FOREVER, 0]

    @property
    def done(self) -> int:
        """How many iterations were done before patience ended."""
        return self._shared[1]


def assembly(plan: Plan, target: Target) -> str:
    """Return a plan's machine code as text."""
    machine = _machine(target)
    return str(machine.emit_assembly(_optimised(Printer(plan, target).print(), machine)))


def object_code(printer: Printer) -> bytes:
    """Return machine code as an object file, which is kept on disk for the next process."""
    ir, target = printer.print(), printer.target

    def compiled() -> bytes:
        machine = _machine(target)
        code: bytes = machine.emit_object(_optimised(ir, machine))
        return code

    return machine_code(compiled, ir, target, llvm.llvm_version_info, RECIPE)


def _machine(target: Target) -> Any:
    """Return LLVM's description of a processor to compile for."""
    triple = llvm.Target.from_triple(target.triple)
    return triple.create_target_machine(cpu=target.cpu, features=target.features, opt=1, jit=True)


def _optimised(ir: str, machine: Any) -> Any:
    """Return a module of LLVM: variables in registers, and no more, as the plan has done the rest."""
    module = llvm.parse_assembly(ir)
    module.verify()
    passes = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options())
    manager = llvm.create_new_module_pass_manager()
    manager.add_sroa_pass()
    manager.add_instruction_combine_pass()
    manager.run(module, passes)
    return module


def _close(engine: Any) -> None:
    """Free machine code; under the lock, since LLVM has one of its own, which must be free where a thread forks."""
    with lock:
        engine.close()


def _start_llvm() -> None:
    """Set LLVM up, and give kernels the function by which a waiting thread sleeps."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    if sys.platform == "win32":
        sleep = ctypes.WinDLL("kernel32").SwitchToThread
    else:
        sleep = ctypes.CDLL(None).usleep
    llvm.add_symbol("nn_backend_pause", ctypes.cast(sleep, ctypes.c_void_p).value)


_start_llvm()

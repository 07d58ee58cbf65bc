"""The time of an iteration and the bits it gives, of each engine on each backend of this machine."""

import functools
import itertools
import math
import platform
import statistics
import time
import timeit
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import threadpoolctl

from nn_backend import engines
from nn_backend.backend import Backend
from nn_backend.engines.machine import count_threads
from nn_backend.equations import Params
from nn_backend.errors import ArgumentError, BackendUnavailableError
from nn_backend.examples import place_examples
from nn_backend.marks import simulate_marks
from nn_backend.network import place_params
from nn_backend.optimizers import State

LEARNING_RATE = 0.2
ROUNDS = 5
ROUND_SECONDS = 0.1  # a round is as many iterations as take about so long
SETTLE_SECONDS = 0.15  # before each round: the BLAS library's threads wait actively for 0.1 s after a product
CHECKED_ITERATIONS = 20  # after these the parameters are compared bit by bit

Advance = Callable[[int], Params]


class Contender(NamedTuple):
    """An engine on a backend."""

    backend: Backend
    engine: str

    @property
    def name(self) -> str:
        """Such as ``"numpy compiled"``."""
        return f"{self.backend.name} {self.engine}"


class Comparison(NamedTuple):
    """What was measured at one size.

    Attributes
    ----------
    rows : int
        Examples.
    seconds : dict of str to float or None
        For each contender the median time of an iteration; None where memory did not suffice.
    transfer_seconds : float or None
        Median time to move the data to the GPU; None without one.
    same_bits : bool or None
        Whether every compiled run gave the same bytes, on the CPU also with one thread; None where none ran.
    """

    rows: int
    seconds: dict[str, float | None]
    transfer_seconds: float | None
    same_bits: bool | None


def compare(rows: int, start: Params, contenders: Sequence[Contender], threads: int | None = None) -> Comparison:
    """Time an iteration on simulated marks; the contenders take turns, so that what disturbs one disturbs all.

    Parameters
    ----------
    rows : int
        Examples to draw.
    start : Params
        A network of three inputs and one output, NumPy arrays.
    contenders : sequence of Contender
        Who takes part.
    threads : int, optional
        Threads on the CPU, as in `fit`.
    """
    advances: dict[str, Advance] = {}
    transfer_seconds = None
    bits = set()
    try:
        X, y = (array.astype(start.w1.dtype) for array in simulate_marks(rows))
    except MemoryError:
        return Comparison(rows, dict.fromkeys(c.name for c in contenders), None, None)
    for contender in contenders:
        try:
            advance = _bind(contender, X, y, start, threads)
            reached = advance(CHECKED_ITERATIONS)
            if contender.engine == "compiled":
                bits.add(_bytes(reached))
            if contender.backend.xp is not np:
                transfer_seconds = _time_transfer(contender.backend, X, y)
            elif contender.engine == "compiled":
                bits.add(_bytes(_bind(contender, X, y, start, 1)(CHECKED_ITERATIONS)))
        except MemoryError:
            continue
        advances[contender.name] = advance
    rounds: dict[str, list[float]] = {name: [] for name in advances}
    for _ in range(ROUNDS):
        for name, advance in list(advances.items()):
            try:
                rounds[name].append(_time_iteration(advance))
            except MemoryError:
                del advances[name]
    seconds = {c.name: statistics.median(rounds[c.name]) if c.name in advances else None for c in contenders}
    return Comparison(rows, seconds, transfer_seconds, len(bits) == 1 if bits else None)


def pays_from(comparisons: Sequence[Comparison], gpu: str) -> int | None:
    """Return the size from which on the GPU's fastest engine is faster than the CPU's, or None.

    Parameters
    ----------
    comparisons : sequence of Comparison
        In the order of their sizes.
    gpu : str
        Name of the GPU's backend; all others are the CPU's.

    Examples
    --------
    >>> times = [(100, 1.0, 3.0), (1000, 3.0, 2.0), (10_000, 9.0, 2.0)]
    >>> pays_from([Comparison(m, {"numpy eager": c, "cupy:0 eager": g}, 0.1, None) for m, c, g in times], "cupy:0")
    1000
    """
    pays = None
    for comparison in reversed(comparisons):
        fastest = {True: math.inf, False: math.inf}
        for name, seconds in comparison.seconds.items():
            on_gpu = name.startswith(f"{gpu} ")
            fastest[on_gpu] = min(fastest[on_gpu], math.inf if seconds is None else seconds)
        if fastest[True] == fastest[False] == math.inf:
            continue
        if fastest[True] >= fastest[False]:
            break
        pays = comparison.rows
    return pays


def describe(backend: Backend, threads: int | None = None) -> dict[str, str | int]:
    """Say what a backend runs on: the device, threads of the CPU, versions, and the BLAS library's kernels."""
    described: dict[str, str | int] = {"device": backend.device_name}
    if backend.xp is np:
        described |= {"processor": platform.machine(), "threads": count_threads(threads)}
        described |= {"python": platform.python_version(), "numpy": np.__version__, "blas": _describe_blas()}
    elif backend.is_cupy:
        import cupy

        runtime = cupy.cuda.runtime
        described |= {"cupy": cupy.__version__, "cuda_runtime": runtime.runtimeGetVersion()}
        described |= {"cuda_driver": runtime.driverGetVersion()}
    return described


def format_seconds(seconds: float) -> str:
    """Return a time in three digits with a fitting unit.

    Examples
    --------
    >>> format_seconds(0.00123456)
    '1.23 ms'
    """
    factor, unit = (1e6, "µs") if seconds < 9.995e-4 else (1e3, "ms") if seconds < 0.9995 else (1, "s")
    return f"{seconds * factor:.3g} {unit}"


def _describe_blas() -> str:
    """Name the BLAS libraries in use, and the processor whose kernels each runs: OPENBLAS_CORETYPE may set it."""
    libraries = [found for found in threadpoolctl.threadpool_info() if found["user_api"] == "blas"]
    parts = [[found.get(key) for key in ("internal_api", "version", "architecture")] for found in libraries]
    return " and ".join(sorted({" ".join(filter(None, part)) for part in parts})) or "unknown"


def _bind(contender: Contender, X: np.ndarray, y: np.ndarray, start: Params, threads: int | None) -> Advance:
    """Return a function that does that many iterations from the start, and gives what they reached as NumPy arrays."""
    backend = contender.backend
    params = place_params(start, backend)
    examples = place_examples(params, X, y, backend)
    engine = engines.bind(contender.engine, examples, params, backend=backend, threads=threads, tasks=("step",))
    state, numbers = engine.start(State(params, {})), {"learning_rate": LEARNING_RATE}
    return lambda count: engine.state(engine.descend(state, count, numbers)[0]).params


def _bytes(params: Params) -> bytes:
    return b"".join(array.tobytes() for array in params)


def _time_iteration(advance: Advance) -> float:
    """Return the seconds of an iteration, once these take as long as they will from then on."""
    iterations, settled = 1, time.monotonic() + SETTLE_SECONDS
    while True:
        seconds = timeit.timeit(functools.partial(advance, iterations), number=1)
        if seconds >= ROUND_SECONDS and time.monotonic() >= settled:
            return seconds / iterations
        if seconds < ROUND_SECONDS:
            iterations *= 2


def _time_transfer(backend: Backend, *arrays: np.ndarray) -> float:
    """Return the median of the seconds it takes to move the arrays to the backend."""

    def move() -> None:
        moved = [backend.asarray(array) for array in arrays]
        backend.synchronize()
        del moved

    return statistics.median(timeit.repeat(move, number=1, repeat=ROUNDS))


def find_contenders(backends: Sequence[Backend], start: Params) -> tuple[list[Contender], dict[str, str]]:
    """Return who takes part, and why others cannot run this network, by their names."""
    found, left_out = [], {}
    for contender in itertools.starmap(Contender, itertools.product(backends, ("eager", "compiled"))):
        try:
            engines.choose(contender.engine, contender.backend)
        except ArgumentError:
            continue
        if contender.engine == "compiled" and contender.backend.is_cupy:
            try:  # whether the kernel can be had depends on the network only
                _bind(contender, np.zeros((3, 1)), np.zeros((1, 1)), start, None)
            except (ArgumentError, BackendUnavailableError, MemoryError) as error:
                left_out[contender.name] = str(error)
                continue
        found.append(contender)
    return found, left_out

"""Command line: compare the CPU with the GPU, and the engines on each, on this machine."""

import functools
import itertools
import json
import math
import platform
import statistics
import sys
import time
import timeit
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import threadpoolctl

from nn_backend import engines
from nn_backend.backend import Backend, get_backend
from nn_backend.command_line import DONE, INTERRUPTED, Parser, run
from nn_backend.engines.machine import count_threads
from nn_backend.equations import Params
from nn_backend.errors import ArgumentError, BackendUnavailableError
from nn_backend.examples import place_examples
from nn_backend.marks import MAX_ROWS, simulate_marks
from nn_backend.network import DTYPES, init_params, place_params
from nn_backend.optimizers import State
from nn_backend.plots import FORMATS, check_plot, plot_times

ROWS = tuple(10**exponent for exponent in range(2, 8))
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


def main() -> int:
    """Compare as the arguments say, print a row for each size, and return the exit code."""
    args = _parser().parse_args()
    sizes = _read_sizes(args.rows)
    if args.plot:
        check_plot(args.plot)
    start = init_params(3, args.hidden, dtype=args.dtype)
    backends, missing = [get_backend("cpu")], None
    try:
        backends.append(get_backend(args.device))
    except BackendUnavailableError as error:
        missing = str(error)
    if len(backends) == 2 and backends[1].xp is np:
        raise ArgumentError(f"--device is {args.device}, which is the CPU here; expected a GPU, such as gpu or cupy:1")
    contenders, left_out = _contenders(backends, start)
    network = f"3-{args.hidden}-1 network, {args.dtype}"
    machines = {backend.name: describe(backend, args.threads) for backend in backends}
    if not args.json:
        for name, machine in machines.items():
            print(f"{name}: {', '.join(f'{key} {value}' for key, value in machine.items())}")
        if missing:
            print(f"Only engines of the CPU are compared. {missing}")
        for name, reason in left_out.items():
            print(f"{name} is left out: {reason}")
        print(f"\nTime per iteration of gradient descent, {network}:\n")
        columns = [c.name for c in contenders] + ["transfer to the GPU"] * (not missing)
        print(f"| rows | {' | '.join(columns)} | same bits |")
        print(f"|--:|{'--:|' * len(columns)}:-:|")
    done, interrupted = [], False
    try:
        for rows in sizes:
            done.append(compare(rows, start, contenders, args.threads))
            if not args.json:
                _print_row(done[-1], with_gpu=not missing)
    except KeyboardInterrupt:  # the sizes measured until then are not lost
        interrupted = True
    gpu_pays_from = None if missing else pays_from(done, backends[1].name)
    if args.json:
        measured = [comparison._asdict() for comparison in done]
        document: dict[str, Any] = {"machines": machines, "no_gpu": missing, "left_out": left_out}
        document |= {"hidden": args.hidden, "dtype": args.dtype}
        document |= {"comparisons": measured, "gpu_pays_from_rows": gpu_pays_from, "interrupted": interrupted}
        print(json.dumps(document, indent=2))
    elif not missing:
        where = "at none of these sizes" if gpu_pays_from is None else f"from {gpu_pays_from:,} rows on"
        print(f"\nThe GPU pays {where} (the faster engine of each, transfer not counted).")
    if args.plot and done:
        lines = {c.name: [(d.rows, s) for d in done if (s := d.seconds[c.name]) is not None] for c in contenders}
        plot_times(args.plot, lines, f"One iteration of gradient descent, {network}")
    if interrupted:
        print(f"interrupted after {len(done)} of {len(sizes)} sizes", file=sys.stderr)
        return INTERRUPTED
    return DONE


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


def _print_row(comparison: Comparison, *, with_gpu: bool) -> None:
    cells = ["out of memory" if s is None else format_seconds(s) for s in comparison.seconds.values()]
    if with_gpu:
        cells.append("" if comparison.transfer_seconds is None else format_seconds(comparison.transfer_seconds))
    cells.append({None: "", True: "yes", False: "NO"}[comparison.same_bits])
    print(f"| {comparison.rows:,} |", " | ".join(cells), "|", flush=True)


def _contenders(backends: Sequence[Backend], start: Params) -> tuple[list[Contender], dict[str, str]]:
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


def _read_sizes(text: str) -> list[int]:
    sizes = [part.strip() for part in text.split(",")]
    wrong = [part for part in sizes if not (part.isascii() and part.isdigit() and 1 <= int(part[:20]) <= MAX_ROWS)]
    if wrong:
        raise ArgumentError(f"--rows has {wrong[0][:50]!r}; expected whole numbers from 1 to {MAX_ROWS} and commas")
    return sorted(set(map(int, sizes)))


def _parser() -> Parser:
    parser = Parser(
        "python -m nn_backend.compare",
        "Compare the CPU with the GPU: time per iteration of each engine, transfers, and whether the bits are equal.",
        example="--rows 300,10000 --dtype float32",
    )
    add = parser.add_argument
    add("--device", default="gpu", help="GPU to compare with the CPU: gpu, or cupy:1 for a device by its number")
    add("--rows", default=",".join(map(str, ROWS)), help="sizes to measure, separated by commas")
    add("--hidden", type=int, default=4, help="hidden units")
    add("--dtype", choices=DTYPES, default="float64", help="number format of the computation")
    add("--threads", type=int, help="workers on the CPU; else NN_BACKEND_THREADS, else as many as the process may use")
    add("--json", action="store_true", help="print one JSON document in full precision instead of text")
    add("--plot", type=Path, help=f"file for a picture of the times, ending in {', '.join(FORMATS)}")
    return parser


if __name__ == "__main__":
    run(main)

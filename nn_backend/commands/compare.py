"""Command compare: compare the CPU with the GPU, and the engines on each, on this machine."""

import json
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from nn_backend.backend import get_backend
from nn_backend.checks import SIZE
from nn_backend.commands.command_line import DONE, INTERRUPTED, Parser, add_computing_options, option
from nn_backend.commands.signals import signals
from nn_backend.errors import ArgumentError, BackendUnavailableError
from nn_backend.files import located
from nn_backend.marks import MAX_ROWS
from nn_backend.network import init_params
from nn_backend.plots import FORMATS, check_plot, plot_times
from nn_backend.timings import Comparison, compare, describe, find_contenders, format_seconds, pays_from

ROWS = tuple(10**exponent for exponent in range(2, 8))


def main(arguments: Sequence[str]) -> int:
    """Compare as the arguments say, print a row for each size, and return the exit code."""
    args = _parser().parse_args(arguments)
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
    contenders, left_out = find_contenders(backends, start)
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
        signals.keep_and_raise()
        for rows in sizes:
            done.append(compare(rows, start, contenders, args.threads))
            if not args.json:
                _print_row(done[-1], with_gpu=not missing)
        signals.keep()
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


def _print_row(comparison: Comparison, *, with_gpu: bool) -> None:
    cells = ["out of memory" if s is None else format_seconds(s) for s in comparison.seconds.values()]
    if with_gpu:
        cells.append("" if comparison.transfer_seconds is None else format_seconds(comparison.transfer_seconds))
    cells.append({None: "", True: "yes", False: "NO"}[comparison.same_bits])
    print(f"| {comparison.rows:,} |", " | ".join(cells), "|", flush=True)


def _read_sizes(text: str) -> list[int]:
    sizes = [part.strip() for part in text.split(",")]
    wrong = [part for part in sizes if not (part.isascii() and part.isdigit() and 1 <= int(part[:20]) <= MAX_ROWS)]
    if wrong:
        raise ArgumentError(f"--rows has {wrong[0][:50]!r}; expected whole numbers from 1 to {MAX_ROWS} and commas")
    return sorted(set(map(int, sizes)))


def _parser() -> Parser:
    parser = Parser(
        "compare",
        "Compare the CPU with the GPU: time per iteration of each engine, transfers, and whether the bits are equal.",
        example="--rows 300,10000 --dtype float32",
    )
    add = parser.add_argument
    add("--device", default="gpu", help="GPU to compare with the CPU: gpu, or cupy:1 for a device by its number")
    add("--rows", default=",".join(map(str, ROWS)), help="sizes to measure, separated by commas")
    add("--hidden", type=option(SIZE), default=4, help="hidden units")
    add_computing_options(parser)
    add("--json", action="store_true", help="print one JSON document in full precision instead of text")
    add("--plot", type=located, help=f"file for a picture of the times, ending in {', '.join(FORMATS)}")
    return parser

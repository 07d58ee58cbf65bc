"""Command explain: print the article's worked example as text, as tables on a terminal, or as JSON, or draw it.

Text and tables round to six digits and, as NumPy does, shorten arrays of more than 1000 numbers; JSON has all of them
in full precision.
"""

import argparse
import itertools
import json
import sys
import textwrap
from collections.abc import Iterable, Sequence

import numpy as np

from nn_backend.checks import SEED, SIZE, Number, Whole
from nn_backend.commands.command_line import DONE, Parser, add_data_options, check_outputs, option, plain, read_data
from nn_backend.errors import ArgumentError
from nn_backend.files import located
from nn_backend.lesson import compose_lesson, write_lesson
from nn_backend.network import init_params
from nn_backend.plots import FORMATS, plot_network
from nn_backend.tables import Form, fill_missing
from nn_backend.worked_example import Step, explain

TEXT_WIDTH = 100  # of a line of numbers in a file


def main(arguments: Sequence[str]) -> int:
    """Print the steps that the arguments ask for, and return the exit code."""
    args = _parser().parse_args(arguments)
    check_outputs(args)
    table = fill_missing(read_data(args))
    _check(args, table.X.shape[1])
    example = slice(args.row - 1, args.row)
    n0, n2 = len(table.X), len(table.y)
    start = init_params(n0, args.hidden, n2, seed=args.seed, factor=args.factor)
    steps: Iterable[Step] = explain(
        table.X[:, example], table.y[:, example], start, args.learning_rate, args.iterations, output=table.output
    )
    title = (
        f"{args.data}, row {args.row}: {plain(table.target)} from "
        f"{textwrap.shorten(plain(', '.join(table.features)), TEXT_WIDTH)}\n"
        f"n0 = {n0} inputs, n1 = {args.hidden} hidden units, n2 = {n2} output{'s' * (n2 > 1)}, m = 1 example\n"
        f"factor = {args.factor}, seed = {args.seed}, learning_rate = {args.learning_rate}"
    )
    left_out = [name for name in (*Form._fields, "drop", "missing") if getattr(args, name) is None]
    settings = {name: value for name, value in vars(args).items() if name not in ("json", "html", "plot", *left_out)}
    settings |= {"features": table.features, "labels": table.labels, "output": table.output}
    if args.html:
        write_lesson(args.html, compose_lesson(table, settings))
        print(f"open {args.html} in a browser", file=sys.stderr)
    if args.plot:
        steps = [*steps]
        plot_network(args.plot, _networks(steps), features=table.features)
    if args.json:
        print(json.dumps({**settings, "steps": [step.to_json() for step in steps]}, indent=2))
    elif args.html or args.plot:
        return DONE
    elif sys.stdout.isatty():
        _print_tables(title, steps)
    else:
        _print_text(title, steps)
    return DONE


def _parser() -> Parser:
    parser = Parser(
        "explain",
        "Show a training step on one row with the numbers of every equation. Without arguments, the article's example.",
        example="--row 1 --hidden 2 --iterations 2",
    )
    add = parser.add_argument
    add_data_options(parser)
    add("--row", type=option(Whole(1)), default=3, help="row to train on, counted from 1")
    add("--hidden", type=option(SIZE), default=4, help="hidden units")
    add("--learning-rate", type=option(Number(above=0)), default=0.2, help="step width")
    add("--iterations", type=option(Whole()), default=1, help="updates to do, each of them shown")
    add("--factor", type=option(Number()), default=0.1, help="standard deviation of the initial weights")
    add("--seed", type=option(SEED), default=3, help="seed of the initial weights")
    add("--json", action="store_true", help="print one JSON document in full precision instead of text")
    add("--html", type=located, help="file for a page to learn from, with its drawing and sliders, instead of text")
    add(
        "--plot",
        type=located,
        help=f"file for a drawing of the network, ending in {', '.join(FORMATS)}, instead of text",
    )
    return parser


def _check(args: argparse.Namespace, rows: int) -> None:
    if args.row > rows:
        raise ArgumentError(f"--row is {args.row}; expected 1 to {rows}, the rows of {args.data}")
    if args.html and args.iterations != 1:
        raise ArgumentError(f"--iterations is {args.iterations}; expected 1, as --html shows one update")


def _networks(steps: Iterable[Step]) -> dict[str, dict[str, np.ndarray]]:
    """Return what is known at the first and at the last forward pass, by what is reached there."""
    known: dict[str, np.ndarray] = {}
    found = {}
    for step in steps:
        known[step.name] = step.values
        if step.name == "cost":
            reached = f"after {step.updates} update{'s' * (step.updates != 1)}: cost {step.values.item():.3g}"
            found[reached] = dict(known)
    return dict([*found.items()][:: max(1, len(found) - 1)])


def _numbers(step: Step, width: int) -> str:
    def show(array: np.ndarray) -> str:
        return np.array2string(array, max_line_width=width, precision=6, floatmode="maxprec_equal")

    return show(step.values) if step.before is None else f"before\n{show(step.before)}\nafter\n{show(step.values)}"


def _label(step: Step) -> str:
    return f"({step.number})" if step.number else ""


def _print_text(title: str, steps: Iterable[Step]) -> None:
    print(title)
    for part, group in itertools.groupby(steps, key=lambda step: step.part):
        print(f"\n{part}")
        for step in group:
            print(f"\n{_label(step):4}  {step.values.shape!s:8}  {step.function:19}  {step.formula}")
            print(textwrap.indent(f"{step.meaning}\n{_numbers(step, TEXT_WIDTH)}", " " * 6))


def _print_tables(title: str, steps: Iterable[Step]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    console.print(Text(title))
    for part, group in itertools.groupby(steps, key=lambda step: step.part):
        table = Table(title=Text(part), title_justify="left", show_header=False, show_lines=True, box=box.ROUNDED)
        for step in group:
            formula = (f"{_label(step)} {step.formula}".strip(), "bold")
            source = f"\n{step.function}  {step.values.shape}\n"
            text = Text.assemble(formula, source, (step.meaning, "dim"), overflow="fold")
            # Text, because a string's brackets would be read as markup.
            table.add_row(text, Text(_numbers(step, console.width // 2), no_wrap=True))
        console.print(table)

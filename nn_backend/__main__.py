"""The door: `python -m nn_backend COMMAND`, which the script `nn-backend` is too."""

import importlib
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import NoReturn

from nn_backend.commands import command_line
from nn_backend.commands.command_line import WRONG_USE, Parser

COMMANDS = {
    "train": "train a network; without arguments, the article's run",
    "sweep": "train many networks, of each setting and start one, and print the best",
    "predict": "ask a saved network about the rows of a table",
    "explain": "show a training step with the numbers of every equation",
    "compare": "time the engines on the CPU and on the GPU",
    "verify": "compare the bits of this machine's kernels with the pinned ones",
    "compiler": "print a training step as a program, a plan, LLVM IR, assembly or CUDA C",
}


def main(arguments: Sequence[str]) -> int:
    """Run the command that is named, which alone is loaded, and return its exit code."""
    parser = Parser(
        "",
        "Train and use networks with one hidden layer. COMMAND --help shows the options of each command.",
        example="train --iterations 1000",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands", parser_class=ArgumentParser)
    for name, does in COMMANDS.items():
        commands.add_parser(name, help=does)
    if not arguments:
        parser.print_help(sys.stderr)
        return WRONG_USE
    command = parser.parse_args(arguments[:1]).command
    module = importlib.import_module(f"nn_backend.commands.{command}")
    return int(module.main(arguments[1:]))


def start() -> NoReturn:
    """Run the command line of this process to its exit code."""
    command_line.start(main)


if __name__ == "__main__":
    start()

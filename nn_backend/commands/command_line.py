"""What the commands share: options that name data, errors in one line on stderr, and exit codes."""

import argparse
import contextlib
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from nn_backend.errors import BackendUnavailableError, NNBackendError
from nn_backend.files import SUFFIXES
from nn_backend.marks import load_data
from nn_backend.tables import TASKS, Table, quoted

SCRIPT = "nn-backend"  # which stands for "python -m nn_backend" where the package is installed
DONE, WRONG_USE, NO_DEVICE, INTERRUPTED, READER_LEFT = 0, 2, 3, 130, 141


class _Format(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Help that names defaults, and leaves the example in one line for pasting."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        told = action.default is None or action.default is False  # the help text says what happens then
        return action.help if told else super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line.

    Parameters
    ----------
    command : str
        Its name; empty for the door itself.
    description : str
        What it does.
    example : str
        Arguments of an example that works when pasted.
    first : str, optional
        A command that the example needs to have run, with its arguments.
    """

    def __init__(self, command: str, description: str, example: str = "", first: str = "") -> None:
        door = SCRIPT if Path(sys.argv[0]).stem == SCRIPT else "python -m nn_backend"
        typed = [f"{door} {words}".strip() for words in (first, f"{command} {example}".strip()) if words]
        epilog = f"example: {' && '.join(typed)}"
        super().__init__(
            prog=f"{door} {command}".strip(), description=description, epilog=epilog, formatter_class=_Format
        )

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and exit with code 2."""
        self.exit(WRONG_USE, f"{self.prog}: error: {message} (--help shows what is accepted)\n")


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Add --data, --target, --task and --features, which `read_data` reads."""
    add = parser.add_argument
    add("--data", default="marks", help=f"marks, simulated:ROWS, or a file ending in {', '.join(SUFFIXES)}")
    add("--target", default="y", help="column to predict: 0 and 1, booleans, classes, or a number")
    add("--task", choices=TASKS, help="what the target is; else classes, or with fractions or many values a number")
    add("--features", help="columns to predict from, separated by commas; else all but the target")


def read_data(args: argparse.Namespace) -> Table:
    """Return the data that the options name, and say on stderr what its target was taken for."""
    features = [name.strip() for name in args.features.split(",")] if args.features else None
    table = load_data(args.data, target=args.target, features=features, task=args.task)
    if table.output == "identity" and args.task is None:
        said = "a number to predict (--task classification takes its values as classes)"
    elif table.output == "softmax" and table.labels:
        said = f"{len(table.labels)} classes, {quoted(table.labels)}"
    elif table.labels:
        said = f"{table.labels[0]!r} is 0, {table.labels[1]!r} is 1"
    else:
        return table
    print(f"target {table.target!r}: {said}", file=sys.stderr)
    return table


@contextlib.contextmanager
def progress_bar(unit: str, total: int | None = None) -> Iterator[Callable[..., object] | None]:
    """Return a function that shows how much of a training is done, or None where stderr is no terminal.

    It takes how many of the units are done and, where that was not known before, how many there are.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress, TextColumn

    columns = (*Progress.get_default_columns(), TextColumn("{task.fields[rate]}"))  # the default shows what remains
    # Rows printed to a terminal go above the bar; to a file or pipe they must go where they were sent.
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=sys.stdout.isatty()) as bar:
        task = bar.add_task("training", total=total, rate="")

        def show(done: float, total: int | None = None) -> None:
            speed = bar.tasks[task].speed
            bar.update(task, completed=done, total=total, rate=f"{speed:.0f} {unit}/s" if speed else "")

        yield show


def run(main: Callable[[Sequence[str]], int]) -> NoReturn:
    """Run a command to its exit code; expected failures become one line on stderr.

    Parameters
    ----------
    main : callable
        Takes the arguments and returns the exit code, or raises.
    """
    with Path(os.devnull).open("w") as nowhere:
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name) or nowhere  # None where the caller closed it
            stream.reconfigure(errors="backslashreplace")  # a name the terminal cannot spell is no reason to stop
            setattr(sys, name, stream)
        warnings.showwarning = lambda message, *_: print("note:", message, file=sys.stderr)
        try:
            code = main(sys.argv[1:])
            sys.stdout.flush()
            sys.exit(code)
        except NNBackendError as error:
            code = NO_DEVICE if isinstance(error, BackendUnavailableError) else WRONG_USE
            line = str(error)
        except MemoryError as error:
            code, line = WRONG_USE, f"not enough memory ({error}); take fewer rows or hidden units"
        except BrokenPipeError:  # "... | head" ends quietly, as other programs do
            sys.stdout = nowhere  # or Python would try again at its end
            sys.exit(READER_LEFT)
        except OSError as error:
            code, line = WRONG_USE, f"the output cannot be written: {error.strerror}"
            sys.stdout = nowhere  # or Python would try again at its end
        except KeyboardInterrupt:
            code, line = INTERRUPTED, "interrupted"
        print("error:", " ".join(line.split()), file=sys.stderr)
        sys.exit(code)

"""What the commands share: options that name data, errors in one line on stderr, and exit codes."""

import argparse
import contextlib
import functools
import io
import itertools
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn, TextIO

from nn_backend.checks import THREADS, Kind, Whole, check, shown
from nn_backend.commands.signals import SCRIPT, ending, signals
from nn_backend.errors import ArgumentError, BackendUnavailableError, DataFileError, NNBackendError
from nn_backend.files import STDIN, STDOUT, check_output, remove_unfinished
from nn_backend.marks import load_data
from nn_backend.network import DTYPES
from nn_backend.plots import FORMATS, check_plot
from nn_backend.tables import MISSING, TASKS, Form, Table, quoted, split_names
from nn_backend.tensors import import_extra

DATA = "a table's file of any kind, compressed or not, a folder or pattern of parts, or - for standard input"
DEVICE = "cpu, gpu, cupy:1 (a device by its number) or auto; else NN_BACKEND, else cpu"
STREAM = "-"
OUTPUTS = {  # options that name a file to write: the package that this needs, and the name's ending
    "save": ("safetensors.numpy", (".safetensors",)),
    "checkpoint": ("safetensors.numpy", (".safetensors",)),
    "onnx": ("onnx", (".onnx",)),
    "csv": (None, (".csv",)),
    "html": (None, (".html",)),
    "plot": (None, FORMATS),
}
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
        file = next((word for word in message.split()[2:] if Path(word).is_file()), "")
        if file and message.startswith("unrecognized"):
            message += f"; {file} is a file, which --data names, or several by a pattern in quotation marks"
        self.exit(WRONG_USE, f"{self.prog}: error: {message} (--help shows what is accepted)\n")


@functools.cache
def option(kind: Kind) -> Callable[[str], Any]:
    """Return what reads an option of a command."""

    def read(text: str) -> Any:
        try:
            try:
                return check("", int(text), kind)
            except ValueError:
                return check("", float(text), kind)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{shown(text)} is given; expected {kind}") from None

    return read


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Add --data, what is to be taken from it, and how it is to be read, all of which `read_data` reads."""
    add = parser.add_argument
    add("--data", default="marks", help=f"marks, simulated:ROWS, {DATA}")
    add("--target", default="y", help="column to predict, by name or position: 0 and 1, booleans, classes, or a number")
    add("--task", choices=TASKS, help="what the target is; else classes, or with fractions or many values a number")
    add("--features", help="columns to predict from, separated by commas; else all but the target")
    add("--drop", help="columns to leave out, separated by commas")
    add("--missing", choices=MISSING, help="leave rows that lack a value out, or put the mean there; else refused")
    add_form_options(parser)


def add_computing_options(parser: argparse.ArgumentParser) -> None:
    """Add --dtype and --threads."""
    add = parser.add_argument
    add("--dtype", choices=DTYPES, default="float64", help="number format of the computation")
    workers = "workers on the CPU; else NN_BACKEND_THREADS, else as many as the process may use"
    add("--threads", type=option(THREADS), help=workers)


def add_form_options(parser: argparse.ArgumentParser) -> None:
    """Add what may be said of a text's form, which `read_form` reads."""
    add = parser.add_argument
    add("--sep", help="what separates columns, such as ';' or tab; else found out, as is all of the form")
    add("--decimal", choices=(".", ","), metavar="SIGN", help="what stands before decimals")
    add("--thousands", help="what stands between groups of three digits")
    add("--encoding", help="of the text, such as cp1252")
    add("--header", action=argparse.BooleanOptionalAction, help="whether the first row has names")
    add("--skip-rows", type=option(Whole()), help="lines above the table")
    add("--sheet", help="of a spreadsheet, its name or number from 0; else the first")


def read_form(args: argparse.Namespace) -> Form:
    """Return what the options say of the form."""
    sep = {"tab": "\t", "\\t": "\t", "blank": " "}.get(args.sep, args.sep)
    if sep is not None and len(sep) != 1:
        raise ArgumentError(f"--sep is {args.sep!r}; expected one character, tab or blank")
    if args.thousands is not None and len(args.thousands) != 1:
        raise ArgumentError(f"--thousands is {args.thousands!r}; expected one character")
    return Form(sep, args.decimal, args.thousands, args.encoding, args.header, args.skip_rows, args.sheet)


def check_outputs(args: argparse.Namespace, *, classes: bool = False) -> None:
    """Refuse files that the options name and that cannot be written now, rather than after the work.

    A plot may show how well ``classes`` are predicted, as in `check_plot`.
    """
    given = {name: path for name in OUTPUTS if (path := getattr(args, name, None)) is not None}
    for (one, path), (other, same) in itertools.combinations(given.items(), 2):
        if path.resolve() == same.resolve():
            raise ArgumentError(f"--{one} and --{other} name the same file; choose a name for each")
    source = STDIN if args.data == STREAM else args.data
    check_output(STDOUT, source)
    for name, path in given.items():
        package, suffixes = OUTPUTS[name]
        if package is not None:
            import_extra(package)
        if name == "plot":
            check_plot(path, source, classes=classes)
        else:
            check_output(path, source, suffixes=suffixes)


def read_data(args: argparse.Namespace, by: str | None = None) -> Table:
    """Return the data, and groups, that the options name, missing numbers not yet filled; say what was assumed."""
    features, drop = (split_names(names) if names else None for names in (args.features, args.drop))
    table = load_data(
        args.data,
        args.target,
        features=features,
        drop=drop,
        by=by,
        task=args.task,
        missing=args.missing,
        form=read_form(args),
    )
    say(table.notes)
    if table.output == "identity" and args.task is None:
        said = "a number to predict (--task classification takes its values as classes)"
    elif table.output == "softmax" and table.labels:
        said = f"{len(table.labels)} classes, {quoted(table.labels)}"
    elif table.labels:
        said = f"{table.labels[0]!r} is 0, {table.labels[1]!r} is 1"
    else:
        return table
    say([f"target {table.target!r}: {said}"])
    return table


def say(notes: Iterable[str]) -> None:
    """Print what was assumed, a line for each, on stderr."""
    for note in notes:
        print(plain(note), file=sys.stderr)


@contextlib.contextmanager
def progress_bar(unit: str, total: int | None = None) -> Iterator[Callable[..., object]]:
    """Return a function that raises KeyboardInterrupt if a signal was kept, and shows how much of a training is done.

    It takes how many of the units are done and, where that was not known before, how many there are.
    """
    if not sys.stderr.isatty():
        yield lambda *_: signals.check()
        return
    from rich.console import Console
    from rich.progress import Progress, TextColumn

    columns = (*Progress.get_default_columns(), TextColumn("{task.fields[rate]}"))  # the default shows what remains
    # Rows printed to a terminal go above the bar; to a file or pipe they must go where they were sent.
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=sys.stdout.isatty()) as bar:
        task = bar.add_task("training", total=total, rate="")

        def show(done: float, total: int | None = None) -> None:
            signals.check()
            speed = bar.tasks[task].speed
            bar.update(task, completed=done, total=total, rate=f"{speed:.0f} {unit}/s" if speed else "")

        yield show


def start(main: Callable[[Sequence[str]], int]) -> NoReturn:
    """Run a command to the exit code of this process, and hear signals while it runs."""
    signals.listen()
    signals.on_end.append(remove_unfinished)
    try:
        run(main)
    finally:
        signals.ignore()
        remove_unfinished()


def run(main: Callable[[Sequence[str]], int]) -> NoReturn:
    """Run a command to its exit code; expected failures become one line on stderr.

    Parameters
    ----------
    main : callable
        Takes the arguments and returns the exit code, or raises.
    """
    with Path(os.devnull).open("w") as nowhere:
        _open_streams(nowhere)
        warnings.showwarning = lambda message, *_: print("note:", plain(str(message)), file=sys.stderr)
        try:
            if sys.stdout is nowhere:
                raise DataFileError("standard output is closed; send it to a file, or to /dev/null")
            code = main(sys.argv[1:])
            sys.stdout.flush()
            if signals.heard is not None:
                if code == DONE:
                    print("interrupted when all was done", file=sys.stderr)
                code, _ = ending(signals.heard)
            sys.exit(code)
        except BrokenPipeError:  # "... | head" ends quietly, as other programs do
            sys.stdout = nowhere  # or Python would try again at its end
            sys.exit(READER_LEFT)
        except KeyboardInterrupt:
            code, line = ending(signals.heard or signal.SIGINT)
        except (NNBackendError, MemoryError, ImportError, OSError, RuntimeError) as error:
            code = NO_DEVICE if isinstance(error, BackendUnavailableError) else WRONG_USE
            line = _explained(error)
            say(getattr(error, "__notes__", ()))
        try:
            sys.stdout.flush()
        except (OSError, ValueError):  # it is full, or pandas has closed it
            sys.stdout = nowhere
        print("error:", plain(line), file=sys.stderr)
        sys.exit(code)


def _explained(error: Exception) -> str:
    """Return what an expected failure says; raise any other again, as it is a defect."""
    if isinstance(error, NNBackendError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"not enough memory ({error}); take fewer rows or hidden units"
    if isinstance(error, ImportError):
        return f"a library cannot be loaded: {error}"
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error)
    if "start new thread" in str(error):
        return "the system lets this process start no further thread; raise its limit (ulimit -u), or take --threads 1"
    raise error


def plain(text: str, length: int = 2000) -> str:
    """Return text in one line, no longer than that, without characters that a terminal takes for commands."""
    line = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in " ".join(text.split()))
    return line if len(line) <= length else f"{line[:length]}…"


class _Output(io.FileIO):
    """Standard output, where only writing that failed says so."""

    def write(self, data: Any) -> int:
        """Write some of the data."""
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise DataFileError(f"standard output cannot be written: {error.strerror}") from None


class _Messages(io.FileIO):
    """Standard error, whose loss is no reason to stop."""

    def write(self, data: Any) -> int:
        """Write some of the data, or nothing."""
        with contextlib.suppress(OSError):
            return super().write(data)
        return len(data)


def _open_streams(nowhere: TextIO) -> None:
    """Open the standard streams such that a name the terminal cannot spell is no reason to stop."""
    for name, kind, number in (("stdout", _Output, 1), ("stderr", _Messages, 2)):
        stream = getattr(sys, name) or nowhere  # None where the caller closed it
        if os.name == "posix" and stream is getattr(sys, f"__{name}__"):
            buffer = io.BufferedWriter(kind(number, "wb", closefd=False))
            by_line = stream.line_buffering or stream.write_through  # the second where PYTHONUNBUFFERED is set
            stream = io.TextIOWrapper(buffer, stream.encoding, "backslashreplace", line_buffering=by_line)
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
        setattr(sys, name, stream)

"""Command line: train a network. Without arguments, the article's run."""

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from nn_backend import engines
from nn_backend.backend import Backend, get_backend
from nn_backend.command_line import DONE, INTERRUPTED, Parser, add_data_options, read_data, run
from nn_backend.descent import FitResult, fit
from nn_backend.engines.engine import Score
from nn_backend.errors import ArgumentError
from nn_backend.export import import_extra, save, to_onnx
from nn_backend.files import check_output, replacing
from nn_backend.model import Model, digest
from nn_backend.network import DTYPES, init_params, predict_proba, score
from nn_backend.plots import FORMATS, check_plot, plot_training
from nn_backend.tables import Standardization, Table, standardization

ARTICLE_TRAIN_ROWS = 300


def main() -> int:
    """Train as the arguments say, print what was reached, and return the exit code."""
    args = _parser().parse_args()
    backend = get_backend(args.device)
    _check_outputs(args)
    table = read_data(args)
    rows = table.X.shape[1]
    train_rows = _train_rows(args, rows)
    X, y = table.X, table.y
    scale = None
    if args.standardize:
        scale = standardization(X[:, :train_rows])
        X = scale.apply(X)
    start = init_params(len(X), args.hidden, seed=args.seed, factor=args.factor, dtype=args.dtype)
    engine = engines.choose(args.engine, backend)

    def print_row(iteration: int, reached: Score) -> None:
        if iteration == 0:
            print(f"backend {backend.name}, device {backend.device_name}, engine {engine}, dtype {args.dtype}")
            print(f"{args.data}: {train_rows} rows to train, {rows - train_rows} to test, {len(X)}-{args.hidden}-1")
            print(f"\n{'iteration':>9}  {'cost':>8}  {'accuracy':>8}")
        print(f"{iteration:9d}  {_decimals(reached.cost)}  {_decimals(reached.accuracy)}", flush=True)

    with _progress_bar(args.iterations) as progress:
        result = fit(
            X[:, :train_rows],
            y[:, :train_rows],
            start,
            learning_rate=args.learning_rate,
            iterations=args.iterations,
            backend=backend,
            engine=args.engine,
            threads=args.threads,
            log_every=args.log_every,
            callback=None if args.json else print_row,
            progress=progress,
        )
    X_test, y_test = X[:, train_rows:], y[:, train_rows:]
    test = score(result.params, X_test, y_test, backend=backend) if y_test.size else None
    if args.json:
        print(json.dumps(_document(args, backend, table, train_rows, result, test, scale), indent=2))
    else:
        _print_summary(result, train_rows, test, rows - train_rows)
    if args.save or args.onnx:
        _write_model(args, table, scale, train_rows, result)
    if args.plot:
        asked = {"y": y_test, "yhat": predict_proba(result.params, X_test, backend=backend)} if test else {}
        plot_training(args.plot, result.history, **asked, labels=table.labels or ("0", "1"))
    if result.interrupted:
        print(f"interrupted after {result.iterations} of {args.iterations} iterations", file=sys.stderr)
        return INTERRUPTED
    return DONE


def _parser() -> Parser:
    parser = Parser(
        "python -m nn_backend.train",
        "Train a network with one hidden layer of sigmoids. Without arguments, the article's run.",
        example="--data simulated:100000 --standardize --iterations 200",
    )
    add = parser.add_argument
    add("--device", help="cpu, gpu, cupy:1 (a device by its number) or auto; else NN_BACKEND, else cpu")
    add("--engine", choices=engines.ENGINES, default="auto", help="how an iteration is executed")
    add_data_options(parser)
    add("--train-rows", type=int, help="rows to train on, the rest is for the test; else 300 of marks, 3/4 of others")
    add("--hidden", type=int, default=4, help="hidden units")
    add("--learning-rate", type=float, default=0.2, help="step width")
    add("--iterations", type=int, default=4500, help="updates to do")
    add("--factor", type=float, default=0.01, help="standard deviation of the initial weights")
    add("--seed", type=int, default=3, help="seed of the initial weights")
    add("--dtype", choices=DTYPES, default="float64", help="number format of the computation")
    add("--standardize", action="store_true", help="scale features by the training rows' mean and deviation")
    add("--log-every", type=int, default=1000, help="iterations between two rows of the table")
    add("--threads", type=int, help="workers on the CPU; else NN_BACKEND_THREADS, else as many as the process may use")
    add("--json", action="store_true", help="print one JSON document in full precision instead of text")
    add("--save", type=Path, help="safetensors file for the network, as nn_backend.predict reads it")
    add("--onnx", type=Path, help="ONNX file for the network, as other runtimes read it")
    add("--plot", type=Path, help=f"file for a picture of the training and the test, ending in {', '.join(FORMATS)}")
    return parser


def _check_outputs(args: argparse.Namespace) -> None:
    """Refuse what cannot be written now, rather than after the training."""
    source = Path(args.data)
    if args.save:
        import_extra("safetensors.numpy")
        check_output(args.save, source)
    if args.onnx:
        import_extra("onnx")
        check_output(args.onnx, source)
    if args.plot:
        check_plot(args.plot, source)
    outputs = [path.resolve() for path in (args.save, args.onnx, args.plot) if path]
    if len(set(outputs)) < len(outputs):
        raise ArgumentError("--save, --onnx and --plot name the same file; choose a name for each")


def _write_model(
    args: argparse.Namespace, table: Table, scale: Standardization | None, train_rows: int, result: FitResult
) -> None:
    model = Model.of(
        result,
        features=table.features,
        target=table.target,
        labels=table.labels,
        standardization=scale,
        training=_settings(args, train_rows),
        data_sha256=digest(table.X[:, :train_rows], table.y[:, :train_rows]),
    )
    if args.save:
        save(args.save, model)
    if args.onnx:
        with replacing(args.onnx) as file:
            file.write(to_onnx(model).SerializeToString())


def _train_rows(args: argparse.Namespace, rows: int) -> int:
    chosen = args.train_rows
    if chosen is None:
        chosen = ARTICLE_TRAIN_ROWS if args.data == "marks" else max(1, rows * 3 // 4)
    if not 1 <= chosen <= rows:
        raise ArgumentError(f"--train-rows is {chosen}; expected 1 to {rows}, the rows of {args.data}")
    return int(chosen)


def _decimals(value: float) -> str:
    return f"{value:8.3f}" if abs(value) < 10_000 else f"{value:8.2e}"


def _print_summary(result: FitResult, train_rows: int, test: Score | None, test_rows: int) -> None:
    last = result.history.iloc[-1]
    print(f"\n{'':8}  {'rows':>9}  {'cost':>8}  accuracy")
    print(f"training  {train_rows:9d}  {_decimals(last['cost'])}  {last['accuracy']}")
    if test is not None:
        print(f"test      {test_rows:9d}  {_decimals(test.cost)}  {test.accuracy}")
    print(f"\n{result.seconds:.3f} seconds, {result.iterations / result.seconds:.0f} iterations per second\n")
    for name, array in result.params._asdict().items():
        lines = ["  ".join(map(_decimals, row)) for row in array]
        print("\n".join(f"{name if k == 0 else '':2}  {line}" for k, line in enumerate(lines)))


def _settings(args: argparse.Namespace, train_rows: int) -> dict[str, Any]:
    names = ("data", "hidden", "dtype", "learning_rate", "factor", "seed")
    return {**{name: getattr(args, name) for name in names}, "train_rows": train_rows}


def _document(
    args: argparse.Namespace,
    backend: Backend,
    table: Table,
    train_rows: int,
    result: FitResult,
    test: Score | None,
    scale: Standardization | None,
) -> dict[str, Any]:
    return {
        "backend": result.backend,
        "device": backend.device_name,
        "engine": result.engine,
        **_settings(args, train_rows),
        "test_rows": table.X.shape[1] - train_rows,
        "features": table.features,
        "target": table.target,
        "labels": table.labels,
        "standardization": scale and scale.to_lists(),
        "iterations": result.iterations,
        "interrupted": result.interrupted,
        "history": result.history.to_dict("records"),
        "seconds": result.seconds,
        "iterations_per_second": result.iterations / result.seconds,
        "test": test and test._asdict(),
        "params": {name: array.tolist() for name, array in result.params._asdict().items()},
    }


@contextlib.contextmanager
def _progress_bar(iterations: int) -> Iterator[Callable[[int], object] | None]:
    """Return a function that shows the iteration reached, or None where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress, TextColumn

    columns = (*Progress.get_default_columns(), TextColumn("{task.fields[rate]}"))  # the default shows what remains
    # Rows printed to a terminal go above the bar; to a file or pipe they must go where they were sent.
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=sys.stdout.isatty()) as bar:
        task = bar.add_task("training", total=iterations, rate="")

        def show(iteration: int) -> None:
            speed = bar.tasks[task].speed
            bar.update(task, completed=iteration, rate=f"{speed:.0f} iterations/s" if speed else "")

        yield show


if __name__ == "__main__":
    run(main)

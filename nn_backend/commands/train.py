"""Command train: train a network. Without arguments, the article's run."""

import argparse
import json
import math
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nn_backend import engines
from nn_backend.backend import Backend, get_backend
from nn_backend.checks import SEED, SIZE, Number, Whole
from nn_backend.commands.command_line import (
    DEVICE,
    DONE,
    INTERRUPTED,
    Parser,
    add_computing_options,
    add_data_options,
    check_outputs,
    option,
    progress_bar,
    read_data,
    say,
)
from nn_backend.commands.signals import signals
from nn_backend.descent import ALPHA, MAX_ITERATIONS, TOL, fit
from nn_backend.engines.engine import Score
from nn_backend.errors import ArgumentError
from nn_backend.export import save, to_onnx
from nn_backend.files import located, replacing
from nn_backend.marks import ARTICLE, ARTICLE_FACTOR, ARTICLE_ITERATIONS, ARTICLE_TRAIN_ROWS
from nn_backend.measures import balanced_accuracy, majority_share, roc_auc
from nn_backend.model import Model
from nn_backend.network import init_params, predict_proba, score
from nn_backend.optimizers import OPTIMIZERS, get_optimizer
from nn_backend.parts import check_parts, count_train_rows, hold_out
from nn_backend.plots import FORMATS, plot_training
from nn_backend.run import FitResult
from nn_backend.tables import SPLITS, Standardization, Table, fill_missing, split_rows, standardization
from nn_backend.tensors import digest

CHECK_EVERY = 10
MAX_PRINTED = 1000  # weights


def main(arguments: Sequence[str]) -> int:
    """Train as the arguments say, print what was reached, and return the exit code."""
    args = _parser().parse_args(arguments)
    backend = get_backend(args.device)
    if args.resume and not args.checkpoint:
        raise ArgumentError("--resume goes on from a file that --checkpoint names; name it")
    check_outputs(args, classes=True)
    table = read_data(args)
    rows = table.X.shape[1]
    train_rows = count_train_rows(
        args.data, rows, args.train_rows, args.test_rows, ARTICLE_TRAIN_ROWS if args.data == ARTICLE else None
    )
    _settle(args, len(table.X))
    trained, tested = split_rows(table.y, train_rows, how=args.split, seed=args.seed)
    table = fill_missing(table, trained)
    say(check_parts(table, trained, tested))
    X, y = table.X, table.y
    if args.split == "shuffle":
        for row in (*X, *y):  # in place, as is the scaling: a copy of a table that only just fits would not
            row[:] = np.concatenate([row[trained], row[tested]])
    data_sha256 = digest(X[:, :train_rows], y[:, :train_rows]) if args.save or args.onnx else None
    scale = target_scale = validation = None
    if args.standardize:
        scale = standardization(X[:, :train_rows], what=[f"feature {name!r}" for name in table.features])
        X = scale.apply(X, out=X)
    if table.output == "identity":
        target_scale = standardization(y[:, :train_rows], what="target")
        y = target_scale.apply(y)
    seen: slice | np.ndarray = slice(train_rows)
    if args.early_stopping:
        held, seen = hold_out(train_rows, args.seed)
        validation = X[:, held], y[:, held]
    start = init_params(len(X), args.hidden, len(y), seed=args.seed, factor=args.factor, dtype=args.dtype)
    engine = engines.choose(args.engine, backend)
    measure = "r2" if table.output == "identity" else "accuracy"
    printed: list[int] = []

    def print_row(iteration: int, reached: Score) -> None:
        if not printed:
            print(f"backend {backend.name}, device {backend.device_name}, engine {engine}, dtype {args.dtype}")
            sizes = f"{len(X)}-{args.hidden}-{len(y)}"
            print(f"{args.data}: {train_rows} rows to train, {rows - train_rows} to test, {sizes}")
            if args.data != ARTICLE:
                print(textwrap.shorten(f"{table.target} from {', '.join(table.features)}", 100, placeholder=" …"))
                print(_described(args, table.output))
            print(f"\n{'iteration':>9}  {'cost':>8}  {measure:>8}")
        printed.append(iteration)
        print(f"{iteration:9d}  {_decimals(reached.cost)}  {_decimals(getattr(reached, measure))}", flush=True)

    def look(iteration: int, reached: Score) -> None:
        signals.keep()  # from here on there is something to lose
        is_due = iteration % args.log_every == 0 or validation is None  # early stopping looks more often
        if is_due and not args.json and signals.heard is None:
            print_row(iteration, reached)

    with progress_bar("iterations", args.iterations) as progress:
        result = fit(
            X[:, seen],
            y[:, seen],
            start,
            output=table.output,
            optimizer=args.optimizer,
            learning_rate=args.learning_rate,
            alpha=args.alpha,
            tol=args.tol,
            iterations=args.iterations,
            validation=validation,
            check_every=CHECK_EVERY,
            backend=backend,
            engine=args.engine,
            threads=args.threads,
            log_every=args.log_every,
            callback=look,
            progress=progress,
            checkpoint=args.checkpoint,
            every=args.checkpoint_every,
            resume=args.checkpoint if args.resume else None,
        )
    X_test, y_test = X[:, train_rows:], y[:, train_rows:]
    test: dict[str, float] = {}
    if y_test.size:
        yhat = predict_proba(result.params, X_test, output=table.output, backend=backend)
        test = _without_nan(score(result.params, X_test, y_test, output=table.output, backend=backend)._asdict())
        if table.output != "identity":
            test |= {"majority": majority_share(y_test), "balanced_accuracy": balanced_accuracy(y_test, yhat)}
            test |= _without_nan({"roc_auc": roc_auc(y_test, yhat)})
    try:
        if args.save or args.onnx:
            _write_model(args, table, scale, target_scale, train_rows, result, data_sha256)
        if args.plot:
            asked = {"y": y_test, "yhat": yhat} if test else {}
            if target_scale is not None:
                asked = {name: target_scale.undo(values) for name, values in asked.items()}
            plot_training(
                args.plot, result.history, output=table.output, **asked, labels=table.labels, params=result.params
            )
    finally:  # what cannot be saved is printed, and what no reader takes is saved
        if args.json:
            print(json.dumps(_document(args, backend, table, train_rows, result, test, scale, target_scale), indent=2))
        else:
            if printed[-1:] != [result.rows[-1].iteration]:
                print_row(*result.rows[-1][:2])
            share = None if table.output == "identity" else majority_share(y[:, seen])
            _print_summary(result, y[:, seen].shape[1], test, rows - train_rows, share)
    if result.interrupted:
        print(f"interrupted after {result.iterations} of {args.iterations} iterations", file=sys.stderr)
        return INTERRUPTED
    return DONE


def _parser() -> Parser:
    parser = Parser(
        "train",
        "Train a network with one hidden layer of sigmoids. Without arguments, the article's run; for other data, by "
        "default rprop on standardised features, with a penalty and an end.",
        example="--data simulated:100000 --iterations 200",
    )
    add = parser.add_argument
    add("--device", help=DEVICE)
    add("--engine", choices=engines.ENGINES, default="auto", help="how an iteration is executed")
    add_data_options(parser)
    add(
        "--train-rows",
        type=option(Whole(1)),
        help="rows to train on, the rest tests; else 300 of marks, 3/4 of others",
    )
    add("--test-rows", type=option(Whole()), help="rows to test with, instead of --train-rows")
    add("--split", choices=SPLITS, help="rows to train on: the first, as of marks, or drawn by seed, as of others")
    add("--hidden", type=option(SIZE), default=4, help="hidden units")
    add("--optimizer", choices=[*OPTIMIZERS], help="update rule; else gd for marks or with --learning-rate, else rprop")
    add("--learning-rate", type=option(Number(above=0)), help="step width; else the rule's own")
    add("--alpha", type=option(Number(least=0)), help=f"penalty on the weights; else 0 for marks, {ALPHA:g} for others")
    add(
        "--tol",
        type=option(Number(least=0)),
        help=f"largest gradient that ends the training; else 0 for marks, {TOL:g} for others",
    )
    add("--iterations", type=option(Whole()), help=f"updates to do; else 4500 for marks, {MAX_ITERATIONS} for others")
    add("--early-stopping", action="store_true", help="hold a tenth of the training rows out, stop at its lowest cost")
    add(
        "--factor",
        type=option(Number()),
        help="deviation of the initial weights; else 0.01 for marks, 2/sqrt(inputs) for others",
    )
    add("--seed", type=option(SEED), default=3, help="seed of the initial weights, and of the rows held out")
    add_computing_options(parser)
    add(
        "--standardize",
        action=argparse.BooleanOptionalAction,
        help="scale features by the training rows' mean and deviation; else not for marks, but for others",
    )
    add(
        "--log-every",
        type=option(Whole(1)),
        help="iterations between two rows of the table; else 1000 for marks, 100 for others",
    )
    add("--json", action="store_true", help="print one JSON document in full precision instead of text")
    add("--checkpoint", type=located, help="safetensors file for the state of the run, from which it can go on")
    add("--checkpoint-every", type=option(Number(least=0)), default=60.0, help="seconds between checkpoints")
    add("--resume", action="store_true", help="go on from --checkpoint, with the same bits as without the break")
    add("--save", type=located, help="safetensors file for the network, as the command predict reads it")
    add("--onnx", type=located, help="ONNX file for the network, as other runtimes read it")
    add("--plot", type=located, help=f"file for a picture of the training and the test, ending in {', '.join(FORMATS)}")
    return parser


def _settle(args: argparse.Namespace, n0: int) -> None:
    """Fill in what was not said: the article's settings for its data, those that serve for others."""
    article = args.data == ARTICLE
    if args.optimizer is None:
        args.optimizer = "gd" if article or args.learning_rate is not None else "rprop"
    settings = {
        "learning_rate": (get_optimizer(args.optimizer).numbers["learning_rate"],) * 2,
        "alpha": (0.0, ALPHA),
        "tol": (0.0, TOL),
        "iterations": (ARTICLE_ITERATIONS, MAX_ITERATIONS),
        "factor": (ARTICLE_FACTOR, 2 / n0**0.5),
        "standardize": (False, True),
        "log_every": (1000, 100),
        "split": ("first", "shuffle"),
    }
    for name, (articles, others) in settings.items():
        if getattr(args, name) is None:
            setattr(args, name, articles if article else others)


def _described(args: argparse.Namespace, output: str) -> str:
    numbers = (f"{name.replace('_', ' ')} {getattr(args, name):.3g}" for name in ("learning_rate", "alpha", "tol"))
    scaled = "standardised" if args.standardize else "as they are"
    return f"{output} output, {args.optimizer}, {', '.join(numbers)}, factor {args.factor:.3g}, features {scaled}"


def _without_nan(values: Mapping[str, float]) -> dict[str, float]:
    """Return the values that apply."""
    return {name: value for name, value in values.items() if not math.isnan(value)}


def _write_model(
    args: argparse.Namespace,
    table: Table,
    scale: Standardization | None,
    target_scale: Standardization | None,
    train_rows: int,
    result: FitResult,
    data_sha256: str | None,
) -> None:
    model = Model.of(
        result,
        features=table.features,
        target=table.target,
        labels=table.labels,
        standardization=scale,
        target_scale=target_scale,
        training=_settings(args, train_rows),
        encoding=table.encoding,
        data_sha256=data_sha256,
    )
    if args.save:
        save(args.save, model)
    if args.onnx:
        with replacing(args.onnx) as file:
            file.write(to_onnx(model).SerializeToString())


def _decimals(value: float) -> str:
    return f"{value:8.3f}" if abs(value) < 10_000 else f"{value:8.2e}"


def _print_summary(
    result: FitResult, train_rows: int, test: Mapping[str, float], test_rows: int, share: float | None
) -> None:
    reached = _without_nan(result.score._asdict())
    name, value = [*reached.items()][1]
    print(f"\n{'':8}  {'rows':>9}  {'cost':>8}  {name}")
    print(f"training  {train_rows:9d}  {_decimals(reached['cost'])}  {value}")
    if test:
        print(f"test      {test_rows:9d}  {_decimals(test['cost'])}  {test[name]}")
    if "majority" in test:
        area = f", ROC AUC {test['roc_auc']:.3f}" if "roc_auc" in test else ""
        print(f"test: majority {test['majority']:.3f}, balanced accuracy {test['balanced_accuracy']:.3f}{area}")
        if test["accuracy"] <= test["majority"]:
            print("note: the network is no better than always answering the most frequent class")
    elif share is not None and reached["accuracy"] <= share:
        print("note: in training the network is no better than always answering the most frequent class (--alpha 0)")
    ended = {"tol": "no gradient is as large as --tol", "patience": f"the lowest cost was at {result.best_iteration}"}
    if result.status in ended:
        print(f"\nended after {result.iterations} iterations: {ended[result.status]}")
    print(f"\n{result.seconds:.3f} seconds, {result.iterations / result.seconds:.0f} iterations per second\n")
    if sum(array.size for array in result.params) > MAX_PRINTED:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in result.params._asdict().items())
        print(f"the weights are too many to print, {shapes}; --save keeps them")
        return
    for name, array in result.params._asdict().items():
        lines = ["  ".join(map(_decimals, row)) for row in array]
        print("\n".join(f"{name if k == 0 else '':2}  {line}" for k, line in enumerate(lines)))


def _settings(args: argparse.Namespace, train_rows: int) -> dict[str, Any]:
    names = ("data", "hidden", "dtype", "optimizer", "learning_rate", "alpha", "tol", "factor", "seed", "split")
    return {**{name: getattr(args, name) for name in names}, "train_rows": train_rows}


def _document(
    args: argparse.Namespace,
    backend: Backend,
    table: Table,
    train_rows: int,
    result: FitResult,
    test: Mapping[str, float],
    scale: Standardization | None,
    target_scale: Standardization | None,
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
        "output": table.output,
        "standardization": scale and scale.to_lists(),
        "target_scale": target_scale and target_scale.to_lists(),
        "iterations": result.iterations,
        "status": result.status,
        "best_iteration": result.best_iteration,
        "interrupted": result.interrupted,
        "history": result.history.to_dict("records"),
        "seconds": result.seconds,
        "iterations_per_second": result.iterations / result.seconds,
        "test": test or None,
        "params": {name: array.tolist() for name, array in result.params._asdict().items()},
    }

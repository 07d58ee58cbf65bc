"""Command sweep: train many networks, of each setting and start one, and say which are best."""

import argparse
import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from nn_backend.checks import Whole
from nn_backend.cluster import workers
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
)
from nn_backend.commands.signals import signals
from nn_backend.descent import ALPHA, MAX_ITERATIONS, TOL
from nn_backend.equations import Params
from nn_backend.errors import ArgumentError, DivergenceError
from nn_backend.export import save
from nn_backend.files import located, replacing
from nn_backend.grids import read_settings
from nn_backend.many import fit_many
from nn_backend.marks import ARTICLE, ARTICLE_TRAIN_ROWS
from nn_backend.model import Model
from nn_backend.networks import FOLD, MEASURES, RESAMPLE, Networks
from nn_backend.optimizers import OPTIMIZERS
from nn_backend.plots import FORMATS
from nn_backend.sweep_plots import plot_sweep
from nn_backend.tables import Table, fill_missing, quoted
from nn_backend.tensors import digest

if TYPE_CHECKING:  # see files.py
    import pandas as pd

SWEPT = {  # as `fit_many` takes them, and as they stand in the table
    **{name: name for name in ("n_hidden", "optimizer", "learning_rate", "alpha", "tol", "factor")},
    "iterations": "max_iterations",
}
SEEDS, FEW = 10, 5
_MEASURED = [f"{rows}{name}" for rows in ("", "validation_") for name in MEASURES]


def main(arguments: Sequence[str]) -> int:
    """Train as the arguments say, print the best, and return the exit code."""
    args = _parser().parse_args(arguments)
    grid = {name: given for name in SWEPT if (given := getattr(args, name)) is not None}
    varied = [SWEPT[name] for name, values in grid.items() if len(values) > 1]
    args.seeds = args.seeds or (1 if args.by or args.bootstrap else SEEDS)
    check_outputs(args)
    if args.plot and len(varied) > 2:
        raise ArgumentError(f"--plot shows one or two settings that differ; these do: {', '.join(varied)}")
    data = fill_missing(read_data(args, args.by))
    rows = ARTICLE_TRAIN_ROWS if args.data == ARTICLE else data.X.shape[1]
    X, y = data.X[:, :rows], data.y[:, :rows]
    begun = perf_counter()
    with workers(args.cluster) as executor, progress_bar("networks") as bar:
        signals.keep_and_raise()  # what is trained until then is ranked and saved
        networks = fit_many(
            X,
            y,
            {**grid, "seed": range(args.seeds)},
            by=None if data.groups is None else data.groups[:rows],
            cv=args.folds,
            bootstrap=args.bootstrap,
            standardize=args.standardize,
            output=data.output,
            dtype=args.dtype,
            backend=args.device,
            threads=args.threads,
            executor=executor,
            progress=_with_header(lambda count: args.json or print(_describe(args, grid, data, rows, count)), bar),
        )
        signals.keep()
    seconds = perf_counter() - begun
    meaning: dict[str, Any] = {"features": data.features, "target": data.target, "labels": data.labels}
    encoded = {**meaning, "encoding": data.encoding}
    networks = replace(networks, **encoded)
    choices, keys = _choices(networks)
    none = bool(np.isnan(keys).all())
    first = choices.iloc[np.argsort(keys, kind="stable")[: args.best]]
    best: Model | Networks = networks
    test: dict[str, float] = {}
    if networks.part == RESAMPLE:
        best = _ensemble(networks, int(first.index[0]))
    elif networks.part in (None, FOLD) and not none:
        best = replace(networks.best(), **encoded, data_sha256=digest(X, y))
        if rows < data.X.shape[1]:
            test = _finite(best.score(data.X[:, rows:], data.y[:, rows:])._asdict())
    ended = networks.table["status"].value_counts().to_dict()
    if args.csv:
        with replacing(args.csv) as file:
            networks.table.to_csv(file, index=False, mode="wb")
    if args.plot and not none:
        plot_sweep(args.plot, choices if networks.part == FOLD else networks.table, varied, output=data.output)
    if args.save and not none:
        save(args.save, best)
    tested = data.X.shape[1] - rows
    if args.json:
        document = {"data": args.data, "rows": rows, "test_rows": tested, **meaning, "output": data.output}
        document |= {"networks": len(networks), "seconds": seconds, "status": ended}
        document |= {"best": [_finite(row) for row in first.to_dict("records")], "test": test or None}
        print(json.dumps(document, indent=2, allow_nan=False))
    else:
        columns = [networks.part, *varied, "seed", *_MEASURED, "oob_score", "iterations", "status"]
        shown = first[[name for name in columns if name in first]]
        print(shown.to_string(index=False, float_format="{:.4g}".format))
        if test:
            reached = ", ".join(f"{name} {value:.4g}" for name, value in test.items())
            print(f"\nthe first of them on {tested} test rows: {reached}")
        counts = ", ".join(f"{count} {status}" for status, count in ended.items())
        print(f"\n{len(networks)} networks ({counts}) in {seconds:.2f} seconds")
    if none and "diverged" in ended:
        raise DivergenceError("every network has diverged: take lower learning rates, or standardise the features")
    if "interrupted" in ended:
        print(f"interrupted: {ended['interrupted']} of {len(networks)} networks have not ended", file=sys.stderr)
        return INTERRUPTED
    return DONE


def _parser() -> Parser:
    parser = Parser(
        "sweep",
        "Train many networks at once and print the best. An option that takes a list takes numbers separated by commas "
        "and ranges LOW:HIGH:COUNT, geometric with both ends; networks of every combination are trained.",
        example="--learning-rate 0.01:30:20 --iterations 100",
    )
    add = parser.add_argument
    add_data_options(parser)
    add("--hidden", dest="n_hidden", type=_whole_numbers, help="list of hidden units; else 4")
    add("--optimizer", type=_rules, help="list of update rules; else rprop, or with --learning-rate gd")
    add("--learning-rate", type=_numbers, help="list of step widths; else the rule's own")
    add("--alpha", type=_numbers, help=f"list of penalties on the weights; else {ALPHA:g}")
    add("--tol", type=_numbers, help=f"list of largest gradients that end a training; else {TOL:g}")
    add("--iterations", type=_whole_numbers, help=f"list of updates to do; else {MAX_ITERATIONS}")
    add("--factor", type=_numbers, help="list of deviations of the initial weights; else 2/sqrt(inputs)")
    add(
        "--seeds",
        type=option(Whole(1)),
        help=f"starts of each, by seeds from 0 on; else {SEEDS}, by groups or resamples 1",
    )
    parts = parser.add_mutually_exclusive_group()
    parts.add_argument("--folds", type=option(Whole(2)), help="cross-validate, leaving each fold out once")
    parts.add_argument("--by", help="column of a file; each of its values has a network of its own")
    parts.add_argument("--bootstrap", type=option(Whole(1)), help="resamples of the rows, each of which has a network")
    add(
        "--standardize",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="scale features by the training rows' mean and deviation",
    )
    add_computing_options(parser)
    add("--device", help=DEVICE)
    add("--cluster", help="address of a Dask scheduler whose workers train, such as tcp://host:8786; else this machine")
    add(
        "--best",
        type=option(Whole(1)),
        default=10,
        help="how many to print; of folds and resamples their mean, of groups the best",
    )
    add("--json", action="store_true", help="print one JSON document in full precision instead of text")
    add("--csv", type=located, help="file for the table of all networks")
    add(
        "--save",
        type=located,
        help="safetensors file for the best; of groups for all, of resamples for a setting's",
    )
    add("--plot", type=located, help=f"file for a picture of the costs, ending in {', '.join(FORMATS)}")
    return parser


def _numbers(text: str, whole: bool = False) -> list[Any]:
    """Return the numbers of a list, each once."""
    values: list[float] = []
    for part in text.split(","):
        try:
            if ":" not in part:
                values.append(int(part) if whole else float(part))
                continue
            low, high, count = part.split(":")
            ends = float(low), float(high), int(count)
            if not 0 < min(ends[:2]) < max(ends[:2]) < math.inf or ends[2] < 2:
                raise ValueError
        except ValueError:
            kind = "whole number" if whole else "number"
            raise argparse.ArgumentTypeError(
                f"{part[:50]!r} is no {kind} and no range of numbers above 0; expected a list such as 1,2 or 0.01:30:20"
            ) from None
        numbers = np.geomspace(*ends)
        values += (np.rint(numbers).astype(int) if whole else numbers).tolist()
    return list(dict.fromkeys(values))


def _whole_numbers(text: str) -> list[int]:
    return _numbers(text, whole=True)


def _rules(text: str) -> list[str]:
    """Return the names of a list of update rules, each once."""
    names = list(dict.fromkeys(text.split(",")))
    unknown = [name for name in names if name not in OPTIMIZERS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{quoted(unknown)} is not known; accepted: {', '.join(OPTIMIZERS)}")
    return names


def _with_header(header: Callable[[int], object], bar: Callable[..., object] | None) -> Callable[[float, int], object]:
    """Return a function that calls for the header when the first networks are trained, and shows how many are."""
    told: list[bool] = []

    def show(done: float, total: int) -> None:
        if not told:
            header(total)
            told.append(True)
        if bar is not None:
            bar(done, total)

    return show


def _describe(args: argparse.Namespace, grid: dict[str, list[Any]], data: Table, rows: int, count: int) -> str:
    """Return what is trained, in two lines."""
    settings = read_settings(grid, {}, len(data.X))
    parts = count // (len(settings["alpha"]) * args.seeds)
    kind = "folds" if args.folds else "resamples" if args.bootstrap else f"groups by {args.by}"
    factors = [(len(settings["alpha"]), "settings"), (args.seeds, "seeds"), (parts, kind)]
    product = " × ".join(f"{number} {name}" for number, name in factors if number > 1)
    test = data.X.shape[1] - rows
    told = [f"{args.data}, {rows} rows" + (f" ({test} more to test)" if test else ""), f"{data.output} output"]
    told.append("features " + ("standardised" if args.standardize else "as they are"))
    described = []
    for name, column in settings.items():
        values = list(dict.fromkeys(each.rule.name if name == "optimizer" else each for each in column))
        if name == "optimizer":
            described.append(f"{name} {', '.join(values)}")
        elif name != "seed":
            few = ", ".join(f"{value:.4g}" for value in values) if len(values) <= FEW else None
            described.append(f"{name} {few or f'{min(values):.4g} to {max(values):.4g} ({len(values)} values)'}")
    return f"{count} networks{product and f' ({product})'}: {', '.join(told)}\n{', '.join(described)}\n"


def _choices(networks: Networks) -> tuple["pd.DataFrame", np.ndarray]:
    """Return what there is to choose from, and for each a number, lowest for the best and NaN for what has none.

    This is a row for each network; of folds and resamples for each setting, with their mean; of groups for each group,
    with its best network.
    """
    table, part = networks.table, networks.part
    if part is None:
        return table, networks.costs
    if networks.has_groups:
        return table.iloc[networks.best_of_groups], networks.costs[networks.best_of_groups]
    parts = table[part].nunique()
    keys: np.ndarray = networks.costs.reshape(-1, parts)
    measured = [name for name in map(str, table) if name in ("iterations", *_MEASURED)]
    choices = table.iloc[::parts].reset_index(drop=True).drop(columns=part)
    choices[measured] = table[measured].to_numpy(float).reshape(-1, parts, len(measured)).mean(axis=1)
    choices["status"] = [", ".join(dict.fromkeys(each)) for each in table["status"].to_numpy().reshape(-1, parts)]
    if part == FOLD:
        return choices, keys.mean(axis=1)
    choices["oob_score"] = np.atleast_1d(networks.oob_score)
    return choices, np.where(np.isnan(keys.sum(axis=1)), np.nan, -choices["oob_score"])


def _ensemble(networks: Networks, setting: int) -> Networks:
    """Return the networks of one setting's resamples."""
    table = networks.table
    parts = table[RESAMPLE].nunique()
    own = table.iloc[setting * parts : (setting + 1) * parts].reset_index(drop=True)
    size = int(own["n_hidden"].iloc[0])
    at = int((table["n_hidden"].iloc[: setting * parts] == size).sum())
    sizes = {size: Params(*(array[at : at + parts] for array in networks.sizes[size]))}
    return replace(networks, table=own, sizes=sizes, oob_score=float(np.atleast_1d(networks.oob_score)[setting]))


def _finite(values: dict[Any, Any]) -> dict[str, Any]:
    """Return the values by name, without those that JSON lacks."""
    return {str(name): value for name, value in values.items() if not isinstance(value, float) or math.isfinite(value)}

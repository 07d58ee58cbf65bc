"""Pictures of a sweep: how the cost depends on what differs between networks; they need no colours."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nn_backend.networks import FOLD, RESAMPLE
from nn_backend.plots import _figure, _save, check_plot

if TYPE_CHECKING:  # see files.py
    import pandas as pd
    from matplotlib.axes import Axes

WIDE = 20  # numbers whose largest is so many times the lowest have a logarithmic axis
NAMES = {
    "n_hidden": "hidden units",
    "learning_rate": "learning rate",
    "alpha": "penalty alpha",
    "factor": "deviation of the initial weights",
    "iterations": "iterations",
    "tol": "tol",
    "optimizer": "update rule",
}


def plot_sweep(
    path: Path, table: "pd.DataFrame", settings: Sequence[str], *, part: str | None = None, output: str = "sigmoid"
) -> None:
    """Draw how the cost depends on one or two settings, and how far it spreads; without a setting its distribution.

    Parameters
    ----------
    path : Path
        Where the picture goes.
    table : DataFrame
        As in `Networks`. Drawn is ``validation_cost`` where it is a column, else ``cost``.
    settings : sequence of str
        What differs, beside seeds and parts: at most two of n_hidden, optimizer, learning_rate, alpha, tol, iterations
        and factor.
    part : str, optional
        As in `Networks`.
    output : str
        What kind of networks they are: ``"sigmoid"``, ``"softmax"`` or ``"identity"``.

    Raises
    ------
    ArgumentError, MissingPackageError
        As `check_plot`.
    DataFileError
        If the file cannot be written.
    """
    check_plot(path)
    figure, mosaic = _figure([["sweep"]])
    axes = mosaic["sweep"]
    column = "validation_cost" if "validation_cost" in table else "cost"
    unit = "half the squared error" if output == "identity" else "nats per example"
    label = f"{'validation' if column != 'cost' else 'training'} cost ({unit})"
    names = ["max_iterations" if name == "iterations" else name for name in settings]
    table = table.assign(**{column: table[column].where(table["status"] != "diverged")})
    parts = {None: [], FOLD: ["folds"], RESAMPLE: ["resamples"]}.get(part, [f"groups by {part}"])
    spread = [f"{count} {name}" for name, count in zip(
        ["starts", *parts], [table["seed"].nunique(), *([table[part].nunique()] if part else [])], strict=True
    ) if count > 1]
    over = " × ".join(spread)
    _ = names, label, over
    _save(figure, path)

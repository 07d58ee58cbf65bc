"""Pictures of a sweep: how the cost depends on what differs between networks. They need no colours."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nn_backend.plots import check_plot, new_figure, save_figure

if TYPE_CHECKING:  # see files.py
    import pandas as pd
    from matplotlib.axes import Axes

WIDE = 20  # numbers above 0 have a logarithmic axis if the largest is more than so many times the lowest
LEGIBLE = 150  # cells of a heat map, at most, with their numbers
KINDS = ("n_hidden", "optimizer")  # whose values stand side by side; those of others have a place on a line
QUARTILES = np.linspace(0, 1, 5)
NAMES = {
    "n_hidden": "hidden units",
    "optimizer": "update rule",
    "learning_rate": "learning rate",
    "alpha": "penalty alpha",
    "factor": "deviation of the initial weights",
    "max_iterations": "iterations",
}


def plot_sweep(path: Path, table: "pd.DataFrame", settings: Sequence[str], *, output: str = "sigmoid") -> None:
    """Draw how the cost depends on one setting or two, and its spread; without any, its distribution.

    Networks that have diverged have no cost; where all of a setting have, that is marked.

    Parameters
    ----------
    path : Path
        Where the picture goes.
    table : DataFrame
        As in `Networks`. The cost is that of validation rows where there is one.
    settings : sequence of str
        Columns of the settings that differ, two at most.
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
    figure, mosaic = new_figure([["sweep"]])
    axes = mosaic["sweep"]
    validated = "validation_cost" in table
    unit = "half the squared error" if output == "identity" else "nats per example"
    label = f"{'validation' if validated else 'training'} cost ({unit})"
    costs = table["validation_cost" if validated else "cost"].where(table["status"] != "diverged")
    if settings:
        each = costs.groupby([table[name] for name in settings])
        medians = each.median()
        if len(settings) > 1:
            _draw_map(axes, medians.unstack(0), label)
        else:
            places = _draw_spread(axes, each.quantile(QUARTILES).unstack())
            if validated:
                training = table["cost"].groupby(table[settings[0]]).median()
                axes.plot(places, training, "k:", marker="x", linewidth=1, label="training, median")
            axes.set(xlabel=_name(settings[0]), ylabel=label)
            axes.grid(visible=True, alpha=0.4)
        best: Any = medians.idxmin() if len(settings) > 1 else [medians.idxmin()]
        lowest = ", ".join(f"{_name(name)} {_shown(value)}" for name, value in zip(settings, best, strict=True))
        axes.set_title(
            f"{each.size().max()} networks of each, lowest median {_shown(medians.min())}: {lowest}", fontsize="medium"
        )
    else:
        _draw_distribution(axes, costs.dropna().to_numpy(), label)
    if len(settings) < 2:
        axes.legend(fontsize="small")
    save_figure(figure, path)


def _draw_distribution(axes: "Axes", costs: np.ndarray, label: str) -> None:
    _set_scale(axes, "x", costs)
    logarithmic = axes.get_xscale() == "log"
    edges = np.histogram_bin_edges(np.log10(costs) if logarithmic else costs, min(60, 10 + len(costs) // 20))
    axes.hist(costs, (10**edges if logarithmic else edges).tolist(), color="0.75", edgecolor="black", linewidth=0.5)
    axes.axvline(float(np.median(costs)), color="black", linestyle="--", label=f"median {_shown(np.median(costs))}")
    axes.plot([], [], " ", label=f"lowest {_shown(costs.min())}, highest {_shown(costs.max())}")
    axes.set(xlabel=label, ylabel="networks")
    axes.set_title(f"{len(costs)} networks", fontsize="medium")


def _draw_spread(axes: "Axes", spread: "pd.DataFrame") -> np.ndarray:
    """Draw the quartiles, lowest and highest cost at each value, and return the values' places."""
    numbers = spread.to_numpy()
    _set_scale(axes, "y", numbers)
    if spread.index.name in KINDS:
        places = np.arange(len(spread))
        stats = [dict(zip(("whislo", "q1", "med", "q3", "whishi"), row, strict=True)) for row in numbers.tolist()]
        style: dict[str, Any] = {"boxprops": {"facecolor": "0.85"}, "medianprops": {"color": "black", "linewidth": 2}}
        boxes = axes.bxp(stats, positions=places, showfliers=False, patch_artist=True, **style)
        boxes["medians"][0].set_label("median")
        boxes["boxes"][0].set_label("middle half; lines to the lowest and highest")
        axes.set_xticks(places, [_shown(value) for value in spread.index])
    else:
        places = spread.index.to_numpy()
        _set_scale(axes, "x", places)
        axes.plot(places, numbers[:, 2], "k-", marker="o", markersize=4, label="median")
        axes.fill_between(places, numbers[:, 1], numbers[:, 3], color="0.6", linewidth=0, label="middle half")
        ends: dict[str, Any] = {"color": "0.85", "linewidth": 0, "zorder": 0.5, "label": "lowest to highest"}
        axes.fill_between(places, numbers[:, 0], numbers[:, 4], **ends)
    diverged = places[np.isnan(numbers[:, 2])]
    if len(diverged):
        edge: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "clip_on": False}
        axes.plot(diverged, np.ones(len(diverged)), "kX", markersize=9, label="all have diverged", **edge)
    return places


def _draw_map(axes: "Axes", costs: "pd.DataFrame", label: str) -> None:
    """Draw a cell for each pair of values, darker for a higher cost; the lowest has a frame."""
    from matplotlib.patches import Rectangle

    numbers = costs.to_numpy()
    drawn = axes.imshow(numbers, "Greys", norm=_scale(numbers), aspect="auto", origin="lower")
    label = f"{label}, median" + ("; × all have diverged" if np.isnan(numbers).any() else "")
    bar = axes.figure.colorbar(drawn, ax=axes, label=label)
    _set_scale(bar.ax, "y", numbers)
    size = "xx-small" if numbers.shape[1] > 12 else "x-small"
    for (row, column), number in np.ndenumerate(numbers):
        told = "×" if np.isnan(number) else _shown(number, 2) if numbers.size <= LEGIBLE else ""
        ink = "white" if np.asarray(drawn.norm(number), float) > 0.5 else "black"
        axes.text(column, row, told, ha="center", va="center", fontsize=size, color=ink)
    row, column = np.unravel_index(np.nanargmin(numbers), numbers.shape)
    axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, linewidth=3, clip_on=False))
    for axis, values in ((axes.xaxis, costs.columns), (axes.yaxis, costs.index)):
        every = -(-len(values) // 20)
        axis.set_ticks(range(0, len(values), every), [_shown(value) for value in values[::every]])
        axis.set_label_text(_name(str(values.name)))
    axes.tick_params("x", rotation=90 if len(costs.columns) > 10 else 0)


def _scale(values: np.ndarray) -> str:
    """Return how an axis of these numbers is scaled: log or linear."""
    lowest, highest = np.nanmin(values), np.nanmax(values)
    return "log" if 0 < lowest * WIDE < highest else "linear"


def _set_scale(axes: "Axes", name: str, values: np.ndarray) -> None:
    """Scale the axis of this name by its numbers; a logarithmic one has its numbers written out."""
    if _scale(values) == "log":
        from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

        axes.set(**{f"{name}scale": "log"})
        axis = getattr(axes, f"{name}axis")
        few = np.nanmax(values) < 1000 * np.nanmin(values)
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(NullFormatter())


def _name(setting: str) -> str:
    return NAMES.get(setting, setting)


def _shown(value: Any, digits: int = 3) -> str:
    return value if isinstance(value, str) else f"{value:.{digits}g}"

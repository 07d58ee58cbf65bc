"""Pictures, as PNG, SVG or PDF by the file's suffix; they can be told apart without colours."""

import importlib
import itertools
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nn_backend.equations import Params
from nn_backend.errors import ArgumentError, MissingPackageError
from nn_backend.files import check_output, replacing

if TYPE_CHECKING:  # see files.py
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")
_LINES = ("-", "--", ":", "-.")
_MARKERS = "osD^vxP*"
DRAWN = 10  # inputs, hidden units and outputs of a network; more could not be told apart
_MANY_POINTS = 5000  # beyond, SVG and PDF have them as an image
_SMALL = 6  # units in a layer of a network that is drawn beside its training
_MANY_WEIGHTS = 16  # beyond, a layer's are drawn without their numbers
_GROUND = {"boxstyle": "square,pad=0.1", "color": "white", "linewidth": 0}


def check_plot(path: Path, *sources: str | Path, classes: bool = False) -> None:
    """See to it that a picture can be drawn, before work is done for it.

    Parameters
    ----------
    path : Path
        Where the picture will go.
    *sources : str or Path
        What is read, and must not be lost.
    classes : bool
        Whether it may show how well classes are predicted, which scikit-learn draws.

    Raises
    ------
    ArgumentError
        If the file's name ends in nothing known, or as `check_output`.
    MissingPackageError
        If a package of the extra ``plot`` is not installed.
    """
    if path.suffix.lower().removeprefix(".") not in FORMATS:
        accepted = ", ".join(f".{name}" for name in FORMATS)
        raise ArgumentError(f"the plot's file is {str(path)!r}; expected a name ending in {accepted}")
    check_output(path, *sources)
    new_figure([["any"]])
    if classes:
        _import("sklearn.metrics")


def plot_training(
    path: Path,
    history: "pd.DataFrame",
    *,
    output: str = "sigmoid",
    y: np.ndarray | None = None,
    yhat: np.ndarray | None = None,
    labels: Sequence[Any] | None = None,
    params: Params | None = None,
) -> None:
    """Draw cost and accuracy or R² against the iteration, and how well test rows are predicted.

    Of two classes the ROC curve and the confusion matrix are drawn, of more the confusion matrix, of numbers the
    predicted ones against the true ones.

    Parameters
    ----------
    path : Path
        Where the picture goes.
    history : DataFrame
        As in `FitResult`; columns of validation data are drawn as dashed lines.
    output : str
        What kind of network it is: ``"sigmoid"`` with one output, ``"softmax"`` or ``"identity"``.
    y, yhat : ndarray (n2, m), optional
        True values of the test rows, as for `fit`, and probabilities or predicted numbers, in the same units.
    labels : sequence, optional
        What the classes are called; by default by their numbers.
    params : Params, optional
        The network, which is drawn as well where it has at most six units in a layer.

    Raises
    ------
    ArgumentError, MissingPackageError
        As `check_plot`.
    DataFileError
        If the file cannot be written.
    """
    check_plot(path, classes=y is not None and output != "identity")
    mosaic: list[Any] = [["cost", "quality"]]
    if y is not None and yhat is not None:
        mosaic.append(["roc", "test"] if output == "sigmoid" else ["test", "test"])
    small = params is not None and max(params.w1.shape + params.w2.shape) <= _SMALL
    if small:
        mosaic.append(["network", "network"])
    figure, axes = new_figure(mosaic)
    if params is not None and small:
        _draw_network(axes["network"], params._asdict())
        axes["network"].set_title("Network", fontsize="large")
    unit = "half the squared error" if output == "identity" else "nats per example"
    quality = ("r2", "R²") if output == "identity" else ("accuracy", "accuracy (share of rows)")
    _draw_history(axes["cost"], history, "cost", f"cost ({unit})")
    _draw_history(axes["quality"], history, *quality)
    if y is not None and yhat is not None:
        if output == "identity":
            _draw_numbers(axes["test"], y.ravel(), yhat.ravel())
        elif output == "softmax":
            _draw_confusion(axes["test"], y.argmax(axis=0), yhat.argmax(axis=0), labels or range(len(y)))
        else:
            _draw_roc(axes["roc"], y[0], yhat[0])
            _draw_confusion(axes["test"], y[0], yhat[0] >= 0.5, labels or range(2))
    save_figure(figure, path)


def plot_times(path: Path, times: Mapping[str, Iterable[tuple[int, float]]], title: str) -> None:
    """Draw time per iteration against rows, both logarithmic.

    Parameters
    ----------
    path : Path
        Where the picture goes.
    times : mapping of str to pairs
        For each line its name, and (rows, seconds per iteration) for each point.
    title : str
        What was timed.

    Raises
    ------
    ArgumentError, MissingPackageError, DataFileError
        As `plot_training`.
    """
    check_plot(path)
    figure, axes = new_figure([["times"]])
    place = axes["times"]
    styles = zip(itertools.cycle(_MARKERS), itertools.cycle(_LINES), strict=True)  # both without end
    for (name, points), (marker, line) in zip(times.items(), styles, strict=False):
        rows, seconds = np.array(list(points)).reshape(-1, 2).T
        place.loglog(rows, seconds * 1e6, line, marker=marker, markersize=5, label=name)
    place.set(xlabel="rows (examples)", ylabel="time per iteration (µs)", title=title)
    place.grid(visible=True, which="major", alpha=0.4)
    figure.legend(loc="outside lower center", ncols=3, fontsize="small")  # beside the lines, however many
    save_figure(figure, path)


def plot_network(
    path: Path, networks: Mapping[str, Mapping[str, np.ndarray]], *, features: Sequence[str] | None = None
) -> None:
    """Draw networks: a circle for each unit with its value, and a line for each weight, as thick as it is large.

    Weights above 0 are solid lines, those below 0 dashed ones. Of many inputs or units the first `DRAWN` are drawn.

    Parameters
    ----------
    path : Path
        Where the picture goes.
    networks : mapping of str to mapping
        For each drawing its title, and the network's arrays by name: w1, b1, w2, b2, and if wanted what they make of
        one example, X (n0, 1), f1 (n1, 1) and yhat (n2, 1).
    features : sequence of str, optional
        What the inputs are called; by default x1 and so on.

    Raises
    ------
    ArgumentError, MissingPackageError, DataFileError
        As `plot_training`.
    """
    check_plot(path)
    figure, axes = new_figure([[*networks]])
    most = max(min(max(array.shape), DRAWN) for arrays in networks.values() for array in arrays.values() if array.ndim)
    figure.set_size_inches(5.5 * len(networks), 1.5 + 0.75 * most)
    for title, arrays in networks.items():
        _draw_network(axes[title], arrays, features)
        axes[title].set_title(title, fontsize="medium")
    save_figure(figure, path)


def _draw_network(axes: "Axes", arrays: Mapping[str, np.ndarray], features: Sequence[str] | None = None) -> None:
    features = features or [f"x{k}" for k in range(1, arrays["w1"].shape[1] + 1)]
    sizes = (arrays["w1"].shape[1], *arrays["w2"].shape[::-1])
    layers = [
        (np.arange(size) - (size - 1) / 2)[::-1] for size in np.minimum(sizes, DRAWN)
    ]  # heights, the first on top
    names = {"X": "inputs", "f1": "hidden units", "yhat": "output"}
    top = max(map(len, layers)) / 2
    axes.set(xlim=(-0.35, 2.35), ylim=(-top, top + 0.4))
    axes.set_axis_off()
    for x, weights in enumerate((arrays["w1"], arrays["w2"])):
        shown = weights[:DRAWN, :DRAWN]
        largest = np.abs(shown).max() or 1
        for (to, source), weight in np.ndenumerate(shown):
            ends = (layers[x][source], layers[x + 1][to])
            style = "--" if weight < 0 else "-"
            axes.plot((x, x + 1), ends, f"k{style}", linewidth=0.5 + 3 * abs(weight) / largest, alpha=0.6, zorder=1)
            if shown.size <= _MANY_WEIGHTS:  # in columns, one for each unit on the side that has fewer
                count = min(shown.shape)
                along = 0.28 + 0.44 * (source if count == shown.shape[1] else to) / (count - 1) if count > 1 else 0.4
                axes.text(
                    x + along,
                    ends[0] + along * (ends[1] - ends[0]),
                    _rounded(weight),
                    fontsize=7,
                    ha="center",
                    va="center",
                    bbox=_GROUND,
                )
    for x, (name, heights, size) in enumerate(zip(names, layers, sizes, strict=True)):
        values, biases = arrays.get(name), arrays.get(f"b{x}")
        head = names[name] if values is None else f"{names[name]} {name}"
        for k, y in enumerate(heights):
            axes.plot(x, y, "o", color="white", markeredgecolor="black", markersize=25, zorder=2)
            if values is not None:
                axes.text(x, y, _rounded(values[k, 0]), fontsize=8, ha="center", va="center", zorder=3)
            under = _shown(str(features[k])) if biases is None else f"b{x} {_rounded(biases[k, 0])}"
            place: dict[str, Any] = {"xytext": (0, -21), "textcoords": "offset points", "ha": "center", "va": "center"}
            axes.annotate(under, (x, y), fontsize=7, bbox=_GROUND, parse_math=False, **place)
        more = f"\nthe first {DRAWN} of {size}" if size > DRAWN else ""
        axes.text(x, top + 0.4, head + more, fontsize=8, ha="center", va="top")


def _draw_history(axes: "Axes", history: "pd.DataFrame", column: str, label: str) -> None:
    axes.plot(history["iteration"], history[column], "k.-", linewidth=1, label="training")
    if f"validation_{column}" in history:
        axes.plot(history["iteration"], history[f"validation_{column}"], "k--", linewidth=1, label="validation")
        axes.legend(fontsize="small", loc="upper right" if column == "cost" else "lower right")
    title, alone = label.partition(" (")[0].capitalize(), len(axes.lines) == 1
    axes.set(xlabel="iteration", ylabel=f"training {label}" if alone else label, title=title)
    axes.grid(visible=True, alpha=0.4)


def _draw_numbers(axes: "Axes", y: np.ndarray, yhat: np.ndarray) -> None:
    axes.plot(y, yhat, "k.", markersize=3, label="test rows", rasterized=y.size > _MANY_POINTS)
    ends = (min(y.min(), yhat.min()), max(y.max(), yhat.max()))
    axes.plot(ends, ends, "k--", linewidth=1, label="predicted = true")
    axes.set(xlabel="true", ylabel="predicted", title="Predictions, test rows")
    axes.grid(visible=True, alpha=0.4)
    axes.legend(fontsize="small", loc="upper left")


def _draw_roc(axes: "Axes", y: np.ndarray, yhat: np.ndarray) -> None:
    from sklearn.metrics import RocCurveDisplay

    axes.set_title("ROC curve, test rows")
    if len(np.unique(y)) < 2:
        axes.text(0.5, 0.5, "no curve: all test rows are of one class", ha="center", va="center", wrap=True)
        return
    RocCurveDisplay.from_predictions(
        y, yhat, ax=axes, name="network", plot_chance_level=True, curve_kwargs={"color": "k"}
    )
    axes.set(xlabel="false positive rate (share of the 0s)", ylabel="true positive rate (share of the 1s)")


def _draw_confusion(axes: "Axes", true: np.ndarray, predicted: np.ndarray, labels: Sequence[Any]) -> None:
    """Draw the matrix of classes, given by their numbers."""
    from sklearn.metrics import ConfusionMatrixDisplay

    many = len(labels) > 4
    options: dict[str, Any] = {
        "labels": range(len(labels)),
        "display_labels": [_shown(str(label)) for label in labels],
        "cmap": "Greys",
        "colorbar": False,
        "values_format": "d",
        "xticks_rotation": "vertical" if many else "horizontal",
        "text_kw": {"fontsize": "x-small"} if many else None,
    }
    ConfusionMatrixDisplay.from_predictions(true, predicted, ax=axes, **options)
    for text in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        text.set_parse_math(False)
    axes.set(xlabel="predicted (rows)", ylabel="true (rows)", title="Confusion matrix, test rows")


def _rounded(value: float) -> str:
    return np.format_float_positional(round(value, 3) + 0.0, trim="-")  # + 0.0: no "-0"


def _shown(label: str) -> str:
    return label if len(label) <= 30 else f"{label[:29]}…"


def new_figure(mosaic: list[Any]) -> tuple["Figure", dict[str, "Axes"]]:
    """Return an empty figure, and its axes by their names in the mosaic."""
    down, across = len(mosaic), len(mosaic[0])
    figure: Figure = _import("matplotlib.figure").Figure(
        figsize=(4.5 * across if across > 1 else 8, 4 * down if across > 1 else 5), layout="constrained"
    )
    return figure, figure.subplot_mosaic(mosaic)


def _import(name: str) -> Any:
    """Return a module of the extra ``plot``, or say how to get it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingPackageError(
            f'a plot needs {error.name}, which is not installed: run "pip install nn-backend[plot]"'
        ) from None


def save_figure(figure: "Figure", path: Path) -> None:
    """Write a figure; the same one gives the same bytes."""
    import matplotlib as mpl

    kind = path.suffix.lower().removeprefix(".")
    date = {"svg": "Date", "pdf": "CreationDate"}.get(kind)  # left out: the same figures give the same file
    with mpl.rc_context({"svg.hashsalt": "nn_backend"}), replacing(path) as file, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(file, format=kind, dpi=150, metadata={date: None} if date else None)

"""Pictures, as PNG, SVG or PDF by the file's suffix; they can be told apart without colours."""

import itertools
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nn_backend.errors import ArgumentError, MissingPackageError
from nn_backend.files import check_output, replacing

if TYPE_CHECKING:  # see files.py
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")
_LINES = ("-", "--", ":", "-.")
_MARKERS = "osD^vxP*"


def check_plot(path: Path, *sources: Path) -> None:
    """See to it that a picture can be drawn, before work is done for it.

    Parameters
    ----------
    path : Path
        Where the picture will go.
    *sources : Path
        What is read, and must not be lost.

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
    _figure(1, 1)


def plot_training(
    path: Path,
    history: "pd.DataFrame",
    *,
    y: np.ndarray | None = None,
    yhat: np.ndarray | None = None,
    labels: Sequence[str] = ("0", "1"),
) -> None:
    """Draw cost and accuracy against the iteration; for test rows also the ROC curve and the confusion matrix.

    Parameters
    ----------
    path : Path
        Where the picture goes.
    history : DataFrame
        Columns iteration, cost (nats per example) and accuracy, as in `FitResult`.
    y, yhat : ndarray (1, m), optional
        True values (0 or 1) and probabilities of the test rows.
    labels : two str
        What 0 and 1 stand for.

    Raises
    ------
    ArgumentError, MissingPackageError
        As `check_plot`.
    DataFileError
        If the file cannot be written.
    """
    check_plot(path)
    tested = y is not None and yhat is not None
    figure, axes = _figure(2 if tested else 1, 2)
    for place, column, unit in zip(axes[0], ("cost", "accuracy"), ("nats per example", "share of rows"), strict=True):
        place.plot(history["iteration"], history[column], "k.-", linewidth=1)
        place.set(xlabel="iteration", ylabel=f"training {column} ({unit})", title=column.capitalize())
        place.grid(visible=True, alpha=0.4)
    if y is not None and yhat is not None:
        _draw_roc(axes[1, 0], y[0], yhat[0])
        _draw_confusion(axes[1, 1], y[0], yhat[0], labels)
    _save(figure, path)


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
    figure, axes = _figure(1, 1)
    place = axes[0, 0]
    styles = zip(itertools.cycle(_MARKERS), itertools.cycle(_LINES), strict=True)  # both without end
    for (name, points), (marker, line) in zip(times.items(), styles, strict=False):
        rows, seconds = np.array(list(points)).reshape(-1, 2).T
        place.loglog(rows, seconds * 1e6, line, marker=marker, markersize=5, label=name)
    place.set(xlabel="rows (examples)", ylabel="time per iteration (µs)", title=title)
    place.grid(visible=True, which="major", alpha=0.4)
    figure.legend(loc="outside lower center", ncols=3, fontsize="small")  # beside the lines, however many
    _save(figure, path)


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


def _draw_confusion(axes: "Axes", y: np.ndarray, yhat: np.ndarray, labels: Sequence[str]) -> None:
    from sklearn.metrics import ConfusionMatrixDisplay

    options: dict[str, Any] = {
        "labels": [0, 1],
        "display_labels": [_shown(label) for label in labels],
        "cmap": "Greys",
        "colorbar": False,
        "values_format": "d",
    }
    ConfusionMatrixDisplay.from_predictions(y, yhat >= 0.5, ax=axes, **options)
    for text in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        text.set_parse_math(False)
    axes.set(xlabel="predicted (rows)", ylabel="true (rows)", title="Confusion matrix, test rows")


def _shown(label: str) -> str:
    return label if len(label) <= 30 else f"{label[:29]}…"


def _figure(down: int, across: int) -> tuple["Figure", Any]:
    """Return an empty figure and its axes."""
    try:
        import sklearn.metrics  # noqa: F401
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingPackageError(
            f'a plot needs {error.name}, which is not installed: run "pip install nn-backend[plot]"'
        ) from None
    figure = Figure(figsize=(4.5 * across if across > 1 else 8, 4 * down if across > 1 else 5), layout="constrained")
    return figure, figure.subplots(down, across, squeeze=False)


def _save(figure: "Figure", path: Path) -> None:
    import matplotlib as mpl

    kind = path.suffix.lower().removeprefix(".")
    date = {"svg": "Date", "pdf": "CreationDate"}.get(kind)  # left out: the same figures give the same file
    with mpl.rc_context({"svg.hashsalt": "nn_backend"}), replacing(path) as file, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(file, format=kind, dpi=150, metadata={date: None} if date else None)

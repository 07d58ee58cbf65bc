"""The article's data, and as many students like them as you want."""

import contextlib
import importlib.resources
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nn_backend.checks import Whole, check
from nn_backend.errors import ArgumentError
from nn_backend.tables import Table, load_table

ARTICLE = "marks"  # as command lines call the article's data, for which alone they have its settings
ARTICLE_TRAIN_ROWS, ARTICLE_FACTOR, ARTICLE_ITERATIONS = 300, 0.01, 4500
MAX_ROWS = 10**12

# Mean, deviation and correlation of the three marks in marks.csv, to three digits.
_MARKS_MEAN = np.array([10.9, 10.7, 10.4])
_MARKS_DEVIATION = np.array([3.31, 3.76, 4.58])
_MARKS_CORRELATION = np.array([[1.0, 0.852, 0.801], [0.852, 1.0, 0.905], [0.801, 0.905, 1.0]])
_PASS_MARK = 10


def load_marks() -> tuple[np.ndarray, np.ndarray]:
    """Return the article's data: three marks (0 to 20) of 395 students and whether each passed.

    Returns
    -------
    X : ndarray (3, 395), float64
        One student per column.
    y : ndarray (1, 395), float64
        1 where the final mark is at least 10.

    Notes
    -----
    P. Cortez and A. Silva, "Student Performance", UCI Machine Learning Repository, CC BY 4.0; see data/README.md.

    Examples
    --------
    >>> X, y = load_marks()
    >>> X.shape, y.shape, int(y.sum())
    ((3, 395), (1, 395), 265)
    """
    table = load_data(ARTICLE)
    return table.X, table.y


def simulate_marks(rows: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw marks with the mean, deviation and correlation of the real ones, for any number of students.

    Parameters
    ----------
    rows : int
        Number of students m, at least 1.
    seed : int
        Seed of NumPy's generator.

    Returns
    -------
    X : ndarray (3, m), float64
        Whole marks from 0 to 20.
    y : ndarray (1, m), float64
        1 where the final mark is at least 10.
    """
    rows = check("rows", rows, Whole(1, MAX_ROWS))
    correlated = np.linalg.cholesky(_MARKS_CORRELATION) @ np.random.default_rng(seed).standard_normal((3, rows))
    X = np.rint(correlated * _MARKS_DEVIATION[:, None] + _MARKS_MEAN[:, None])
    np.clip(X, 0, 20, out=X)
    return X, (X[2:] >= _PASS_MARK).astype(np.float64)


def load_data(name: str, target: str = "y", **chosen: Any) -> Table:
    """Return the data set a command line names, whose missing numbers are not yet filled.

    Parameters
    ----------
    name : str
        ``"marks"`` for `load_marks`, ``"simulated:ROWS"`` for `simulate_marks`, else what `load_table` takes.
    target, **chosen
        As in `load_table`.
    """
    if name == ARTICLE:
        with marks_file() as path:
            return load_table(path, target, fill=False, **chosen)
    kind, colon, rows = name.partition(":")
    if kind == "simulated" and colon:
        import pandas as pd

        if not (rows.isascii() and rows.isdigit() and len(rows) <= len(str(MAX_ROWS))):
            shown = name if len(name) < 50 else f"{name[:50]}…"
            raise ArgumentError(
                f"data is {shown!r}; expected simulated:ROWS with 1 to {MAX_ROWS}, as in simulated:10000"
            )
        X, y = simulate_marks(int(rows))
        frame = pd.DataFrame({"x1": X[0], "x2": X[1], "x3": X[2], "y": y[0]}, copy=False)
        return load_table(frame, target, fill=False, **chosen)
    return load_table(name, target, fill=False, **chosen)


@contextlib.contextmanager
def marks_file() -> Iterator[Path]:
    """Return the CSV file of the article's data, from wherever the package was installed."""
    packaged = importlib.resources.files("nn_backend") / "data" / "marks.csv"
    checkout = Path(__file__).parents[1] / "data" / "marks.csv"  # an editable install leaves the data where it is
    with importlib.resources.as_file(packaged) as path:
        yield path if path.exists() else checkout

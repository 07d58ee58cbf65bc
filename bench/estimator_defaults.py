"""The measurement behind the estimators' defaults: ``python bench/estimator_defaults.py [FOLDER]``.

On scikit-learn's bundled data, five folds. Every alpha and tol is tried on inner folds of each fold's training rows; of
the settings that come close there to the best of scikit-learn's networks on every data set (see `choose`), that of the
lowest mean loss wins. What each fold chose, and how the defaults do on the rows that it left out, beside scikit-learn's
networks, is printed as Markdown and, where a folder is given, written to estimator_defaults.md there. Times are of a
fit to the first fold, in turn in one process, medians; scikit-learn's networks get features scaled beforehand.
Two minutes; with OPENBLAS_NUM_THREADS=1 theirs are faster, as their products are small.
"""

import datetime
import functools
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from sklearn import datasets
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, log_loss, r2_score
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import nn_backend as nn
from nn_backend.estimator import ShallowNetClassifier, ShallowNetRegressor
from nn_backend.timings import describe, format_seconds

HIDDEN = {"breast_cancer": 8, "iris": 8, "wine": 8, "digits": 32, "diabetes": 8}
SETTINGS = [{"alpha": alpha, "tol": tol} for alpha in (0.1, 0.3, 1.0, 3.0) for tol in (1e-2, 1e-3, 1e-4)]
PEERS = [("lbfgs", 1.0), ("lbfgs", 1e-4), ("adam", 1e-4)]
MAX_ITER = 1000  # of all: enough for every setting but the smallest tol
MARGIN, LEAST_R2 = 0.02, 0.45
ROUNDS = 15

Score = tuple[float, float]
"""Accuracy and log loss; of numbers R² and 1 - R²."""


@functools.cache
def load(name: str) -> tuple[np.ndarray, np.ndarray]:
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return X, y


def is_regression(name: str) -> bool:
    return name == "diabetes"


def ours(name: str, **settings: Any) -> Any:
    kind = ShallowNetRegressor if is_regression(name) else ShallowNetClassifier
    return kind(HIDDEN[name], random_state=0, **settings)


def theirs(name: str, solver: str, alpha: float) -> Any:
    kind = MLPRegressor if is_regression(name) else MLPClassifier
    sizes = {"hidden_layer_sizes": (HIDDEN[name],), "max_iter": MAX_ITER, "random_state": 0}
    network = kind(activation="logistic", solver=solver, alpha=alpha, **sizes)
    return TransformedTargetRegressor(network, transformer=StandardScaler()) if is_regression(name) else network


def scaled(name: str, solver: str, alpha: float) -> Any:
    return make_pipeline(StandardScaler(), theirs(name, solver, alpha))


def split(name: str, rows: np.ndarray, folds: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the rows to train on and those left out, of the rows given."""
    kind = KFold if is_regression(name) else StratifiedKFold
    y = load(name)[1][rows]
    for train, left in kind(folds, shuffle=True, random_state=0).split(y, y):
        yield rows[train], rows[left]


def outer(name: str) -> list[tuple[np.ndarray, np.ndarray]]:
    return list(split(name, np.arange(len(load(name)[1])), 5))


def measure(name: str, model: Any, train: np.ndarray, left: np.ndarray) -> Score:
    X, y = load(name)
    model.fit(X[train], y[train])
    if is_regression(name):
        r2 = r2_score(y[left], model.predict(X[left]))
        return r2, 1 - r2
    probabilities = model.predict_proba(X[left])
    return accuracy_score(y[left], probabilities.argmax(axis=1)), log_loss(y[left], probabilities)


def mean_loss(name: str, make: Callable[[], Any], folds: list[tuple[np.ndarray, np.ndarray]]) -> float:
    return statistics.mean(measure(name, make(), *fold)[1] for fold in folds)


def choose(k: int) -> dict[str, float]:
    """Return the setting for outer fold k, by inner folds of its training rows only.

    Of the settings whose log loss is at most 0.02 above the best of scikit-learn's networks on each data set, and whose
    R² on diabetes is at least 0.45, it is that with the lowest mean loss; where none is, the least far from that.
    """
    excess, losses = np.zeros(len(SETTINGS)), np.zeros(len(SETTINGS))
    for name in HIDDEN:
        folds = list(split(name, outer(name)[k][0], 4))
        found = np.array([mean_loss(name, functools.partial(ours, name, **setting), folds) for setting in SETTINGS])
        if is_regression(name):
            mark = 1 - LEAST_R2
        else:
            mark = MARGIN + min(mean_loss(name, functools.partial(scaled, name, *peer), folds) for peer in PEERS)
        excess = np.maximum(excess, found - mark)
        losses += found
    return SETTINGS[min(range(len(SETTINGS)), key=lambda i: (excess[i], losses[i]))]


def time_in_turn(tasks: Mapping[str, Callable[[], Any]]) -> dict[str, float]:
    """Return the median seconds of each task, after a first round that does not count."""
    taken: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(ROUNDS + 1):
        for name, task in tasks.items():
            started = time.perf_counter()
            task()
            taken[name].append(time.perf_counter() - started)
    return {name: statistics.median(seconds[1:]) for name, seconds in taken.items()}


def describe_defaults(name: str) -> list[str]:
    """Return the table's lines of a data set."""
    X, y = load(name)
    folds = outer(name)
    first = folds[0][0]
    inputs = StandardScaler().fit_transform(X[first])
    kind = MLPRegressor if is_regression(name) else MLPClassifier
    models = {"estimator": functools.partial(ours, name)}
    tasks = {"estimator": functools.partial(ours(name).fit, X[first], y[first])}
    for solver, alpha in PEERS:
        contender = f"{kind.__name__} {solver}, alpha {alpha:g}"
        models[contender] = functools.partial(scaled, name, solver, alpha)
        tasks[contender] = functools.partial(theirs(name, solver, alpha).fit, inputs, y[first])
    seconds, lines = time_in_turn(tasks), []
    for contender, make in models.items():
        fitted = [make() for _ in folds]
        scores = [measure(name, model, *fold) for model, fold in zip(fitted, folds, strict=True)]
        quality, loss = np.mean(scores, axis=0)
        cells = [f"{name}, {HIDDEN[name]} hidden", contender, f"{quality:.3f}"]
        cells += ["" if is_regression(name) else f"{loss:.3f}", format_seconds(seconds[contender])]
        if contender == "estimator":
            cells.append(f"{max(model.n_iter_ for model in fitted)}")
        else:
            cells[-1] += f" ({seconds[contender] / seconds['estimator']:.1f})"
            cells.append("")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def main() -> None:
    warnings.simplefilter("ignore", ConvergenceWarning)
    ran = describe(nn.get_backend("cpu"))
    defaults = ShallowNetClassifier()
    lines = [
        f"Measured on {datetime.datetime.now(datetime.UTC):%Y-%m-%d} on a server CPU ({ran['processor']}) with at most "
        f"{ran['threads']} thread(s), Python {ran['python']}, numpy {ran['numpy']}, "
        f"scikit-learn {sklearn.__version__}, "
        f"BLAS {ran['blas']}.",
        "",
        f"The estimators' defaults (alpha {defaults.alpha:g}, tol {defaults.tol:g}, max_iter {defaults.max_iter}) on "
        f"five folds: accuracy, or R² of diabetes, and log",
        "loss on the rows left out; median time of a fit, and in brackets how many times that of the estimator; most",
        "iterations of a fold.",
        "",
        "| data | network | accuracy, R² | log loss | time of a fit | iterations |",
        "|---|---|---|---|---|---|",
        *(line for name in HIDDEN for line in describe_defaults(name)),
        "",
        "Chosen by the inner folds of each fold, of alpha 0.1, 0.3, 1, 3 and tol 0.01, 0.001, 0.0001: "
        + "; ".join(f"alpha {s['alpha']:g}, tol {s['tol']:g}" for s in map(choose, range(5)))
        + ".",
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    for folder in sys.argv[1:]:
        (Path(folder) / "estimator_defaults.md").write_text(text)


if __name__ == "__main__":
    main()

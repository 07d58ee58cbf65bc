"""How many iterations and how long until a network is good: update rules on the marks, and scikit-learn's L-BFGS.

python bench/answers.py bench/results
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

import nn_backend as nn

RULES = {
    "gd, 0.2 (the article)": {"learning_rate": 0.2},
    "gd, 3": {"learning_rate": 3},
    "nesterov, 0.99": {"optimizer": nn.nesterov(momentum=0.99)},
    "adam": {"optimizer": "adam"},
    "rprop": {"optimizer": "rprop"},
}
MARKS = (0.1, 0.0145, 0.001)
ITERATIONS, ROUNDS, ENOUGH = 4000, 15, 60
DRAWN = np.unique(np.geomspace(1, ITERATIONS, 400).astype(int))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where answers.svg goes")
    args = parser.parse_args()
    X, y = (array[:, :300] for array in nn.load_marks())
    scaled = nn.standardization(X).apply(X)
    matplotlib.rcParams["svg.hashsalt"] = "answers"  # the same picture gives the same file
    figure = Figure(figsize=(11, 4), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for place, (name, data) in zip(axes, {"marks as they are": X, "marks standardised": scaled}.items(), strict=True):
        place.set(title=name, xlabel="iterations", xscale="log", yscale="log", ylim=(1e-4, 1))
        print(f"{name}: iterations until the cost is below {', '.join(map(str, MARKS))}")
        for line, (rule, options) in zip(("-", "--", "-.", ":", "-"), RULES.items(), strict=True):
            costs = curve(data, y, options)
            below = [int(np.argmax(costs < mark)) if (costs < mark).any() else "-" for mark in MARKS]
            print(f"    {rule:24}", *(f"{number:>6}" for number in below), f"  at the end {costs[-1]:.2g}")
            place.plot(DRAWN, costs[DRAWN], line, label=rule, linewidth=2 if rule == "rprop" else 1)
    axes[0].set_ylabel("cost, nats per example")
    axes[0].legend(loc="lower left")
    figure.savefig(args.folder / "answers.svg", metadata={"Date": None})
    nudged = start()._replace(w1=start().w1 + 1e-12)
    ends = [nn.fit(X, y, first, optimizer="rprop", iterations=400).score.cost for first in (start(), nudged)]
    moved = abs(ends[1] - ends[0])
    print(f"rprop on marks as they are, after 400: {ends[0]:.5f}; a nudge of 1e-12 moves it by {moved:.1g}")
    compare_times(scaled, y)


def start() -> nn.Params:
    return nn.init_params(3, 4, seed=3, factor=0.01)


def curve(X: np.ndarray, y: np.ndarray, options: dict[str, object]) -> np.ndarray:
    """Return the cost after 0, 1, 2, ... iterations."""
    result = nn.fit(X, y, start(), iterations=ITERATIONS, log_every=1, **options)
    return np.array([row.score.cost for row in result.rows])


def compare_times(X: np.ndarray, y: np.ndarray) -> None:
    """Print how long it takes to a cost of 0.001, here and with scikit-learn, taking turns."""
    examples, labels = np.ascontiguousarray(X.T), y[0].astype(int)

    def theirs(most: int) -> MLPClassifier:
        options = {"activation": "logistic", "solver": "lbfgs", "alpha": 0.0, "random_state": 0, "tol": 0.0}
        return MLPClassifier((4,), max_iter=most, **options).fit(examples, labels)

    def ours() -> nn.FitResult:
        return nn.fit(X, y, start(), optimizer="rprop", iterations=ENOUGH, log_every=ENOUGH)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        most = next(most for most in range(1, 1000) if theirs(most).loss_ < MARKS[-1])
        contenders: dict[str, Callable[[], object]] = {
            f"fit, rprop, {ENOUGH} iterations": ours,
            f"MLPClassifier, lbfgs, max_iter={most}": lambda: theirs(most),
        }
        seconds: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(ROUNDS):
            for name, run in contenders.items():
                began = time.perf_counter()
                run()
                seconds[name].append(time.perf_counter() - began)
        reached = f"cost reached {ours().score.cost:.1g} and {theirs(most).loss_:.1g}"
    print(f"marks standardised, whole calls, medians of {ROUNDS}; {reached}")
    for name, values in seconds.items():
        print(f"    {name:38} {statistics.median(values) * 1e3:.2f} ms")


if __name__ == "__main__":
    main()

"""How long `ShallowNetClassifier` and scikit-learn's `MLPClassifier` train, tuned alike, and how accurate they become.

    python -m pytest bench/bench_estimator.py

Both train on scikit-learn's breast-cancer data, standardised on the training rows, by as many full-batch updates of the
same step width, on five folds. A round is the training on all folds. The last lines of the run give the median time of
a fold and the mean accuracy on the rows left out.
"""

from typing import Any

import numpy as np
import pytest

N_HIDDEN, LEARNING_RATE = 8, 0.2
CONTENDERS = ("ShallowNetClassifier", "MLPClassifier")


def make(contender: str, iterations: int, rows: int) -> Any:
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from nn_backend.estimator import ShallowNetClassifier

    alike = {"learning_rate_init": LEARNING_RATE, "max_iter": iterations, "random_state": 0, "tol": 0.0}
    if contender == "ShallowNetClassifier":
        return ShallowNetClassifier(N_HIDDEN, **alike)
    plain = {"activation": "logistic", "solver": "sgd", "momentum": 0.0, "alpha": 0.0, "batch_size": rows}
    endless = {"n_iter_no_change": 10**9, "shuffle": False}
    return make_pipeline(StandardScaler(), MLPClassifier((N_HIDDEN,), **plain, **endless, **alike))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("contender", CONTENDERS)
def test_breast_cancer(
    request: pytest.FixtureRequest, closing_lines: list[str], benchmark: Any, contender: str
) -> None:
    pytest.importorskip("sklearn")
    from sklearn.datasets import load_breast_cancer
    from sklearn.model_selection import StratifiedKFold

    smallest = request.config.getoption("smallest")
    iterations = 10 if smallest else 2000
    X, y = load_breast_cancer(return_X_y=True)
    folds = list(StratifiedKFold(5, shuffle=True, random_state=0).split(X, y))

    def train() -> list[float]:
        fitted = [make(contender, iterations, len(rows)).fit(X[rows], y[rows]) for rows, _ in folds]
        return [one.score(X[left], y[left]) for one, (_, left) in zip(fitted, folds, strict=True)]

    benchmark.group = f"{iterations} updates of 30-{N_HIDDEN}-1, five folds"
    accuracy = np.mean(benchmark.pedantic(train, rounds=1 if smallest else 7, warmup_rounds=1))
    benchmark.extra_info["accuracy"] = accuracy
    seconds = benchmark.stats.stats.median / len(folds)
    closing_lines.append(f"{contender}: {seconds * 1e3:.0f} ms a fold, accuracy {accuracy:.4f}")

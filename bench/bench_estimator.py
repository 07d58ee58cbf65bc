"""How long `ShallowNetClassifier` and scikit-learn's `MLPClassifier` train, and how good they become.

    python -m pytest bench/bench_estimator.py

The classifier has its defaults, `MLPClassifier` the solver lbfgs, the same alpha, logistic units and features scaled
beforehand. A round is a fit to each of five folds. The last lines of the run give the median time of a fit, and the
mean accuracy and log loss on the rows left out. What the defaults were chosen by is in estimator_defaults.py.
"""

from typing import Any

import numpy as np
import pytest

HIDDEN = {"iris": 8, "wine": 8, "breast_cancer": 8, "digits": 32}
CONTENDERS = ("ShallowNetClassifier", "MLPClassifier")


def make(contender: str, n_hidden: int) -> Any:
    from sklearn.neural_network import MLPClassifier

    from nn_backend.estimator import ShallowNetClassifier

    ours = ShallowNetClassifier(n_hidden, random_state=0)
    if contender == "ShallowNetClassifier":
        return ours
    alike = {"alpha": ours.alpha, "max_iter": ours.max_iter, "random_state": 0}
    return MLPClassifier((n_hidden,), activation="logistic", solver="lbfgs", **alike)


@pytest.mark.parametrize("contender", CONTENDERS)
@pytest.mark.parametrize("data", HIDDEN)
def test_classifier(
    request: pytest.FixtureRequest, closing_lines: list[str], benchmark: Any, data: str, contender: str
) -> None:
    pytest.importorskip("sklearn")
    smallest = request.config.getoption("smallest")
    if smallest and data != "iris":
        pytest.skip("iris is the smallest")
    from sklearn import datasets
    from sklearn.metrics import log_loss
    from sklearn.model_selection import StratifiedKFold
    from sklearn.preprocessing import StandardScaler

    X, y = getattr(datasets, f"load_{data}")(return_X_y=True)
    folds = []
    for rows, left in StratifiedKFold(5, shuffle=True, random_state=0).split(X, y):
        scaler = StandardScaler().fit(X[rows])
        inputs = X if contender == "ShallowNetClassifier" else scaler.transform(X)
        folds.append((inputs[rows], y[rows], inputs[left], y[left]))

    def train() -> list[Any]:
        return [make(contender, HIDDEN[data]).fit(X, y) for X, y, *_ in folds]

    benchmark.group = f"five folds of {data}, {HIDDEN[data]} hidden"
    fitted = benchmark.pedantic(train, rounds=1 if smallest else 15, warmup_rounds=1)
    scores = [
        (one.score(X, y), log_loss(y, one.predict_proba(X))) for one, (*_, X, y) in zip(fitted, folds, strict=True)
    ]
    accuracy, loss = np.mean(scores, axis=0)
    benchmark.extra_info.update(accuracy=accuracy, log_loss=loss)
    milliseconds = benchmark.stats.stats.median / len(folds) * 1e3
    closing_lines.append(
        f"{data}, {contender}: {milliseconds:.2f} ms a fit, accuracy {accuracy:.3f}, log loss {loss:.3f}"
    )

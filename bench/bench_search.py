"""How long a search over sizes and penalties takes: `ShallowNetSearchCV` against `GridSearchCV` in two processes.

    python -m pytest bench/bench_search.py

Ten sizes, five penalties and five folds of breast cancer. `GridSearchCV` searches over our classifier, and over
scikit-learn's `MLPClassifier` with the solver lbfgs, logistic units and features scaled beforehand. Contenders take
turns, each after a pause, without which threads that the one before has left behind, still looking for work, would
slow it down. The last lines of the run give the median seconds of each, the ratio to the first, and the setting found.
"""

import statistics
import time
import warnings
from typing import Any

import pytest

SIZES, ALPHAS = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32], [0.1, 0.3, 1, 3, 10]
PAUSE = 0.3  # seconds; joblib's workers stay


def contenders(smallest: bool) -> dict[str, Any]:
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from nn_backend.estimator import ShallowNetClassifier
    from nn_backend.search import ShallowNetSearchCV

    sizes, alphas, cv = SIZES[: 1 if smallest else 10], ALPHAS[: 1 if smallest else 5], StratifiedKFold(5)
    ours, grid = ShallowNetClassifier(random_state=0), {"n_hidden": sizes, "alpha": alphas}
    alike = {"activation": "logistic", "solver": "lbfgs", "max_iter": ours.max_iter, "random_state": 0}
    theirs = make_pipeline(StandardScaler(), MLPClassifier(**alike))
    names = {"mlpclassifier__hidden_layer_sizes": [(size,) for size in sizes], "mlpclassifier__alpha": alphas}
    return {
        "ShallowNetSearchCV": ShallowNetSearchCV(ours, grid, cv=cv),
        "GridSearchCV, ShallowNetClassifier": GridSearchCV(ours, grid, cv=cv, n_jobs=2),
        "GridSearchCV, MLPClassifier": GridSearchCV(theirs, names, cv=cv, n_jobs=2),
    }


def test_search(request: pytest.FixtureRequest, closing_lines: list[str]) -> None:
    pytest.importorskip("sklearn")
    from sklearn.datasets import load_breast_cancer

    X, y = load_breast_cancer(return_X_y=True)
    smallest = request.config.getoption("smallest")
    searches = contenders(smallest)
    seconds: dict[str, list[float]] = {name: [] for name in searches}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of networks that do not converge; workers of n_jobs print theirs
        for _ in range(2 if smallest else 8):  # the first starts the workers, and does not count
            for name, search in searches.items():
                time.sleep(PAUSE)
                began = time.perf_counter()
                search.fit(X, y)
                seconds[name].append(time.perf_counter() - began)
    first, *_ = searches.values()
    for name, search in searches.items():
        median = statistics.median(seconds[name][1:])
        ratio = statistics.median(
            other / own for other, own in zip(seconds[name][1:], seconds["ShallowNetSearchCV"][1:], strict=True)
        )
        closing_lines.append(f"{name}: {median:.2f} s ({ratio:.1f}), {search.best_params_}, {search.best_score_:.4f}")
    assert first.best_params_ == searches["GridSearchCV, ShallowNetClassifier"].best_params_

"""How long many networks take: here, in JAX written with care, and in scikit-learn with joblib.

    python bench/bench_many.py bench/results            all jobs, some minutes on two cores; writes many.md
    python bench/bench_many.py bench/results --jobs 1,5 some of them; writes nothing

Contenders take turns in one process; a figure is the median of whole calls, after one that compiles. Of JAX, the
fastest of several ways counts (many_jax.py). scikit-learn's MLPClassifier (sgd, one batch) trains some of the networks
by joblib, and the figure is for all of them. What comes out is compared between contenders: see column difference.
"""

import argparse
import datetime
import functools
import importlib.metadata
import itertools
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import nn_backend as nn
from nn_backend.engines.machine import count_threads
from nn_backend.timings import format_seconds

ROUNDS, ROUND_SECONDS = 7, 20  # of a job, whichever is over first, but three of them
PAUSE = 0.2  # until threads of the contender before have stopped waiting actively
SAMPLE = 24  # networks that scikit-learn trains
Ways = dict[str, Callable[[], Any]]


class Job(NamedTuple):
    """What contenders do.

    Attributes
    ----------
    title : str
        What it is.
    most : float
        Seconds that it is to take at most.
    ours, jax : dict of str to callable
        Ways to do it, which return the same numbers.
    fits : sequence of tuples (X (n0, m), y (1, m), hidden, settings)
        What scikit-learn trains, of ``total`` networks.
    """

    title: str
    most: float
    ours: Ways
    jax: Ways
    fits: Sequence[Any] = ()
    total: int = 0


@functools.cache
def marks() -> Any:
    """Return standardised training rows and test rows."""
    X, y = nn.load_marks()
    X = nn.standardization(X[:, :300]).apply(X)
    return (X[:, :300], y[:, :300]), (X[:, 300:], y[:, 300:])


@functools.cache
def cancer() -> Any:
    from sklearn.datasets import load_breast_cancer

    X, y = load_breast_cancer(return_X_y=True)
    return X.T.copy(), y[None].astype(float)


def scaled() -> Any:
    X, y = cancer()
    return nn.standardization(X).apply(X), y


def sweep(jax: Any) -> Job:
    train_on, test_on = marks()
    rates, factors, seeds = np.geomspace(0.01, 30, 20), [0.01, 0.1, 0.5, 1, 2], range(10)
    rate, factor, seed = map(np.array, zip(*itertools.product(rates, factors, seeds), strict=True))

    def draw() -> nn.Params:
        return nn.init_params(3, 4, seed=seed, factor=factor)

    def ours() -> Any:
        result = nn.fit(*train_on, draw(), learning_rate=rate, iterations=500, log_every=500)
        return result.score.cost, nn.score(result.params, *test_on).accuracy

    def many() -> Any:
        grid = {"learning_rate": rates, "factor": factors, "seed": seeds}
        networks = nn.fit_many(*train_on, grid, alpha=0, tol=0, iterations=500, standardize=False)
        return networks.table["cost"].to_numpy(), networks.score(*test_on).accuracy

    fits = [(*train_on, 4, {"learning_rate_init": each, "max_iter": 500}) for each in rates]
    title = "20 rates × 5 factors × 10 seeds on the marks, 500 iterations"
    ways = jax.sweep(draw, rate, train_on, test_on, 500)
    return Job(title, 0.25, {"fit": ours, "fit_many": many}, ways, fits, 1000)


def cross_validate(jax: Any) -> Job:
    from sklearn.model_selection import StratifiedKFold

    X, y = cancer()
    sizes, seeds, factor = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32], range(20), 2 / 30**0.5
    folds = list(StratifiedKFold(5, shuffle=True, random_state=0).split(X.T, y[0]))

    def draw(n1: int) -> nn.Params:
        return nn.init_params(30, n1, seed=seeds, factor=factor)

    def ours() -> Any:
        accuracies = np.empty((len(sizes), len(seeds), len(folds)))
        for k, (rows, held) in enumerate(folds):
            scale = nn.standardization(X[:, rows])
            train_on, test_on = ((scale.apply(X[:, part]), y[:, part]) for part in (rows, held))
            for size, n1 in enumerate(sizes):
                result = nn.fit(*train_on, draw(n1), iterations=200, log_every=200)
                accuracies[size, :, k] = nn.score(result.params, *test_on).accuracy
        return accuracies

    def many() -> Any:
        grid = {"n_hidden": sizes, "seed": seeds}
        options = {"learning_rate": 0.2, "alpha": 0, "tol": 0, "iterations": 200, "factor": factor}
        table = nn.fit_many(X, y, grid, cv=folds, **options).table
        return table["validation_accuracy"].to_numpy().reshape(len(sizes), len(seeds), len(folds))

    fits = [(*scaled(), n1, {"learning_rate_init": 0.2, "max_iter": 200}) for n1 in sizes * 3]
    title = "breast cancer: 10 sizes × 20 seeds × 5 folds, 200 iterations"
    return Job(
        title,
        0.8,
        {"fit": ours, "fit_many": many},
        jax.cross_validate(draw, sizes, folds, X, y, 0.2, 200),
        fits,
        1000,
    )


def groups(jax: Any) -> Job:
    generator, number = np.random.default_rng(0), 2000
    counts = generator.integers(20, 501, number)
    ids = np.repeat(np.arange(number), counts)
    X = generator.normal(size=(5, len(ids)))
    z = (X * generator.normal(size=(5, number))[:, ids]).sum(axis=0) * 2 + 2 * generator.normal(size=number)[ids] * X[0]
    y = (z + generator.logistic(size=len(z)) > 0).astype(float)[None]
    X = X * generator.uniform(0.1, 100, (5, number))[:, ids] + 50 * generator.normal(size=(5, number))[:, ids]
    shuffled = generator.permutation(len(ids))  # as a table of sales is, by date
    ids, X, y = ids[shuffled], X[:, shuffled], y[:, shuffled]
    frame = pd.DataFrame(X.T, columns=[f"x{i}" for i in range(5)]).assign(store=ids, y=y[0].astype(int))
    factor, rate, steps = 2 / 5**0.5, 0.5, 300

    def ours() -> Any:
        rows = np.bincount(ids)
        mean = np.stack([np.bincount(ids, row) for row in X]) / rows
        centred = X - mean[:, ids]
        inputs = centred / np.sqrt(np.stack([np.bincount(ids, row) for row in centred**2]) / rows)[:, ids]
        start = nn.init_params(5, 4, seed=np.zeros(number, int), factor=factor)
        w1, b1, w2, b2 = nn.fit(
            inputs, y, start, network=ids, learning_rate=rate, iterations=steps, log_every=steps
        ).params
        z = b2[ids, 0, 0]
        for j in range(4):
            z1 = b1[ids, j, 0] + sum(w1[ids, j, i] * inputs[i] for i in range(5))
            z += w2[ids, 0, j] / (1 + np.exp(-z1))
        return 1 / (1 + np.exp(-z))

    def many() -> Any:
        options = {"learning_rate": rate, "alpha": 0, "tol": 0, "iterations": steps, "factor": factor, "seed": 0}
        networks = nn.fit_many(frame, "y", by="store", **options)
        return np.asarray(networks.predict_proba(frame, by="store"))

    parts = [(X[:, ids == n], y[:, ids == n]) for n in range(SAMPLE)]
    settings = {"learning_rate_init": rate, "max_iter": steps}
    fits = [(nn.standardization(rows).apply(rows), truth, 4, settings) for rows, truth in parts]
    title = "one network per group: 2,000 groups of 20 to 500 rows, 300 iterations, and probabilities"
    ways = jax.groups(nn.init_params(5, 4, seed=0, factor=factor), ids, X, y, rate, steps, 64)
    return Job(title, 0.52, {"fit": ours, "fit_many": many}, ways, fits, number)


def bagging(jax: Any) -> Job:
    X, y = scaled()
    m, number, factor = X.shape[1], 500, 2 / 30**0.5
    counts = np.random.RandomState(0).multinomial(m, np.full(m, 1 / m), number).astype(float)

    def draw() -> nn.Params:
        return nn.init_params(30, 8, seed=0, factor=factor)

    def ours() -> Any:
        start = nn.init_params(30, 8, seed=np.zeros(number, int), factor=factor)
        result = nn.fit(X, y, start, weights=counts, iterations=300, log_every=300)
        return nn.predict_proba(result.params, X)[:, 0]

    def many() -> Any:
        options = {"learning_rate": 0.2, "alpha": 0, "tol": 0, "iterations": 300, "factor": factor, "seed": 0}
        return nn.fit_many(*cancer(), n_hidden=8, bootstrap=number, **options).predict_proba(cancer()[0])[:, 0]

    fits = [(X, y, 8, {"learning_rate_init": 0.2, "max_iter": 300})] * SAMPLE
    title = "bagging: 500 bootstraps of breast cancer, 300 iterations, and probabilities"
    return Job(title, 0.65, {"fit": ours, "fit_many": many}, jax.weighted(draw, X, y, counts, 0.2, 300), fits, number)


def leave_out(jax: Any, folds: Any, title: str) -> Job:
    X, y = cancer()
    trained = np.ones((len(folds), X.shape[1]))
    for weights, (_, held) in zip(trained, folds, strict=True):
        weights[held] = 0
    factor = 2 / 30**0.5
    options = {"learning_rate": 0.2, "alpha": 0, "tol": 0, "iterations": 300}

    def draw() -> nn.Params:
        return nn.init_params(30, 8, seed=0, factor=factor)

    def ours() -> Any:
        accuracies, start = [], draw()
        for rows, held in folds:
            scale = nn.standardization(X[:, rows])
            result = nn.fit(scale.apply(X[:, rows]), y[:, rows], start, log_every=300, **options)
            accuracies.append(nn.score(result.params, scale.apply(X[:, held]), y[:, held]).accuracy)
        return np.array(accuracies)

    def many() -> Any:
        table = nn.fit_many(X, y, cv=folds, n_hidden=8, seed=0, factor=factor, **options).table
        return table["validation_accuracy"].to_numpy()

    fits = [(*scaled(), 8, {"learning_rate_init": 0.2, "max_iter": 300})] * SAMPLE
    ways = jax.folds_apart(draw, X, y, trained, 0.2, 300)
    return Job(title, 0.65, {"fit": ours, "fit_many": many}, ways, fits, len(folds))


def leave_one_out(jax: Any) -> Job:
    from sklearn.model_selection import LeaveOneOut

    return leave_out(jax, list(LeaveOneOut().split(cancer()[0].T)), "leave one out of breast cancer: 569 fits")


def repeat_folds(jax: Any) -> Job:
    from sklearn.model_selection import RepeatedStratifiedKFold

    X, y = cancer()
    splitter = RepeatedStratifiedKFold(n_splits=10, n_repeats=50, random_state=0)
    return leave_out(jax, list(splitter.split(X.T, y[0])), "50 × 10 folds of breast cancer, 300 iterations")


def stop_early(jax: Any) -> Job:
    (X, y), _ = marks()
    y = np.where(np.random.default_rng(1).random(y.shape) < 0.15, 1 - y, y)  # so that stopping has a point
    train_on, watched = (X[:, :240], y[:, :240]), (X[:, 240:], y[:, 240:])
    start = nn.init_params(3, 4, seed=range(1000), factor=1)

    def ours() -> Any:
        options = {"learning_rate": 2.0, "patience": 4, "check_every": 50, "iterations": 3000, "log_every": 50}
        result = nn.fit(*train_on, start, validation=watched, **options)
        return np.stack([row.validation.cost for row in result.rows]).min(axis=0)

    def many() -> Any:
        options = {"learning_rate": 2.0, "alpha": 0, "tol": 0, "iterations": 3000, "factor": 1, "standardize": False}
        stopping = {"validation": watched, "patience": 4, "check_every": 50}
        return nn.fit_many(*train_on, {"seed": range(1000)}, **options, **stopping).table["validation_cost"].to_numpy()

    title = "early stopping of each of 1,000 networks, looked at every 50 iterations"
    ways = jax.stop_early(start, train_on, watched, 2.0, 50, 4, 3000)
    return Job(title, 0.2, {"fit": ours, "fit_many": many}, ways)


def restarts(jax: Any) -> Job:
    X, y = np.array([[0.0, 0, 1, 1], [0, 1, 0, 1]]), np.array([[0.0, 1, 1, 0]])
    start = nn.init_params(2, 2, seed=range(10_000), factor=2)

    def ours() -> Any:
        return nn.fit(X, y, start, learning_rate=2.0, iterations=2000, log_every=2000).score.cost

    fits = [(X, y, 2, {"learning_rate_init": 2.0, "max_iter": 2000})] * SAMPLE
    title = "10,000 starts on XOR (4 rows), 2,000 iterations"
    return Job(title, 0.16, {"fit": ours}, jax.restarts(start, X, y, 2.0, 2000), fits, 10_000)


def penalties(jax: Any) -> Job:
    from sklearn.model_selection import train_test_split

    X, y = cancer()
    rows, held = train_test_split(np.arange(569), test_size=114, random_state=0, stratify=y[0])
    scale = nn.standardization(X[:, rows])
    train_on, test_on = ((scale.apply(X[:, part]), y[:, part]) for part in (rows, held))
    alphas, factor = np.geomspace(1e-5, 1, 50) * len(rows), 2 / 30**0.5
    alpha, seed = map(np.array, zip(*itertools.product(alphas, range(10)), strict=True))

    def draw() -> nn.Params:
        return nn.init_params(30, 4, seed=seed, factor=factor)

    def ours() -> Any:
        result = nn.fit(*train_on, draw(), alpha=alpha, learning_rate=0.5, iterations=300, log_every=300)
        return nn.score(result.params, *test_on).cost

    def many() -> Any:
        grid = {"alpha": alphas, "seed": range(10)}
        networks = nn.fit_many(X[:, rows], y[:, rows], grid, learning_rate=0.5, tol=0, iterations=300, factor=factor)
        return networks.score(X[:, held], y[:, held]).cost

    fits = [(*train_on, 4, {"learning_rate_init": 0.5, "max_iter": 300, "alpha": each}) for each in alphas[::2]]
    ways = jax.penalties(draw, alpha, train_on, test_on, 0.5, 300)
    title = "50 penalties × 10 seeds on breast cancer, 300 iterations"
    return Job(title, 0.27, {"fit": ours, "fit_many": many}, ways, fits, 500)


def some_params(number: int) -> nn.Params:
    return nn.init_params(3, 4, seed=range(number), factor=1)


def predict(jax: Any) -> Job:
    X, params = np.random.default_rng(0).normal(size=(3, 20_000)), some_params(500)
    title = "500 networks asked about 20,000 rows"
    return Job(title, 0.04, {"predict_proba": lambda: nn.predict_proba(params, X)}, jax.predict(params, X))


def scores(jax: Any) -> Job:
    params, (train_on, _) = some_params(100_000), marks()
    title = "100,000 networks scored on 300 rows"
    return Job(title, 0.06, {"score": lambda: nn.score(params, *train_on).cost}, jax.scores(params, *train_on))


def find_the_best(jax: Any) -> Job:
    train_on, _ = marks()

    def ours() -> Any:
        start = nn.init_params(3, 4, seed=range(10_000), factor=1)
        return nn.fit(*train_on, start, optimizer="rprop", iterations=40, log_every=40).score.cost

    title = f"10,000 networks on the marks, 40 iterations of rprop, which reach 0.01: {np.mean(ours() < 0.01):.1%}"
    return Job(title, 0.4, {"fit": ours, "fit_many": lambda: of_seeds(10_000).table["cost"].to_numpy()}, {})


def of_seeds(number: int) -> nn.Networks:
    """Return networks on the marks that differ by their seeds."""
    X, y = nn.load_marks()
    options = {"factor": 1, "alpha": 0, "tol": 0, "optimizer": "rprop", "iterations": 40}
    return nn.fit_many(X[:, :300], y[:, :300], {"seed": range(number)}, **options)


JOBS = {
    "1": sweep,
    "2": cross_validate,
    "3": groups,
    "4": bagging,
    "5": leave_one_out,
    "5b": repeat_folds,
    "6": stop_early,
    "7": restarts,
    "8": penalties,
    "9": predict,
    "10": scores,
    "11": find_the_best,
}


def measure(job: Job) -> tuple[dict[str, float], dict[str, float]]:
    """Return the median seconds of each way, and the largest difference of its results to the first."""
    ways = {**job.ours, **{f"JAX, {name}": way for name, way in job.jax.items()}}
    results = {name: way() for name, way in ways.items()}
    first = np.concatenate([np.ravel(array) for array in next(iter(results.values()))])

    def difference(result: Any) -> float:
        return float(np.abs(np.concatenate([np.ravel(array) for array in result]) - first).max())

    differences = {name: difference(result) for name, result in results.items()}
    results.clear()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    started = time.perf_counter()
    for done in range(ROUNDS):
        if done >= 3 and time.perf_counter() - started > ROUND_SECONDS:
            break
        for name, way in ways.items():
            time.sleep(PAUSE)
            began = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in seconds.items()}, differences


def train_theirs(X: np.ndarray, y: np.ndarray, hidden: int, settings: dict[str, Any]) -> Any:
    from sklearn.neural_network import MLPClassifier

    options = {"activation": "logistic", "solver": "sgd", "momentum": 0, "batch_size": X.shape[1], "shuffle": False}
    options |= {"tol": 0, "n_iter_no_change": 10**9, "alpha": 0, **settings}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged is the point of a fixed number of iterations
        return MLPClassifier((hidden,), **options).fit(X.T, y[0])


def time_theirs(job: Job) -> float | None:
    """Return the seconds that scikit-learn's networks take by joblib, extrapolated from some."""
    import joblib

    if not job.fits:
        return None
    with joblib.Parallel(count_threads()) as parallel:
        parallel(joblib.delayed(train_theirs)(*fit) for fit in job.fits[: count_threads()])
        began = time.perf_counter()
        parallel(joblib.delayed(train_theirs)(*fit) for fit in job.fits)
        return (time.perf_counter() - began) / len(job.fits) * job.total


IN_A_PROCESS = """
import sys, time
sys.path.insert(0, {folder!r})
import bench_many
{work}
"""
COLD = """
began = time.perf_counter()
bench_many.JOBS['2'](bench_many.NoPeer()).ours[{way!r}]()
print(time.perf_counter() - began)
"""


MILLION = """
import pathlib, re
bench_many.of_seeds(100)
began = time.perf_counter()
reached = (bench_many.of_seeds(1_000_000).table["cost"] < 0.01).mean()
seconds = time.perf_counter() - began
print(seconds, reached, int(re.search(r"VmHWM:\\s*(\\d+)", pathlib.Path("/proc/self/status").read_text())[1]) / 2**20)
"""


class NoPeer:
    """Stands for JAX where only our own ways are wanted."""

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: {}


def in_a_process(work: str) -> list[float]:
    """Return the numbers that a fresh process prints, which finds no machine code of an earlier one."""
    with tempfile.TemporaryDirectory() as cache:
        code = IN_A_PROCESS.format(folder=str(Path(__file__).parent), work=work)
        environment = {**os.environ, "XDG_CACHE_HOME": cache}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return [float(number) for number in done.stdout.split()]


def memory_beside_the_result() -> int:
    """Return the bytes that predictions of many networks take at most, without the result."""
    params, X = some_params(500), np.random.default_rng(0).normal(size=(3, 20_000))
    tracemalloc.start()
    size = nn.predict_proba(params, X).nbytes
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most - size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where many.md goes, if all jobs are done")
    parser.add_argument("--jobs", default=",".join(JOBS), help="some of them, such as 1,5 (default: all)")
    args = parser.parse_args()
    import many_jax  # which asks JAX for as many CPU devices as there are threads

    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("numpy", "jax", "scikit-learn"))
    machine = f"{count_threads()} cores of a server CPU ({platform.machine()})"
    today = datetime.datetime.now(datetime.UTC).date()
    lines = [
        f"Measured on {today} on {machine}, Python {platform.python_version()}, {versions}.",
        "",
        "Whole calls in float64, in turn in one process, medians; in brackets how many times that of `fit`. Of JAX",
        "the fastest way; of scikit-learn the time of some networks by joblib, taken for all of them. The difference",
        "is the largest of any result to that of `fit`.",
        "",
        "| job | at most | fit | fit_many | JAX's best | scikit-learn | difference |",
        "|---|---|---|---|---|---|---|",
    ]
    for number in args.jobs.split(","):
        job = JOBS[number](many_jax)
        seconds, differences = measure(job)
        for name, value in seconds.items():
            print(f"    {name:24} {format_seconds(value):>8}   difference {differences[name]:.1e}", flush=True)
        ours = seconds[next(iter(job.ours))]
        theirs = {name: value for name, value in seconds.items() if name not in job.ours}
        best = min(theirs, key=theirs.__getitem__, default=None)
        others = [seconds.get("fit_many"), None if best is None else theirs[best], time_theirs(job)]
        cells = ["" if value is None else f"{format_seconds(value)} ({value / ours:.2g})" for value in others]
        if best is not None:
            cells[1] = f"{cells[1]} {best.removeprefix('JAX, ')}"
        least = f"{format_seconds(job.most)} | {format_seconds(ours)}"
        lines.append(f"| {number}. {job.title} | {least} | {' | '.join(cells)} | {max(differences.values()):.0e} |")
        print(lines[-1], flush=True)
    if args.jobs == ",".join(JOBS):
        cold, many = (format_seconds(in_a_process(COLD.format(way=way))[0]) for way in ("fit", "fit_many"))
        seconds, reached, memory = in_a_process(MILLION)
        lines += [
            "",
            f"Job 2 in a fresh process that finds nothing compiled: {cold}, by fit_many {many}.",
            f"Memory of job 9 beside the result of 80 MB: {memory_beside_the_result() / 1e6:.0f} MB.",
            f"A million networks as in job 11, by fit_many in a new process: {seconds:.1f} s, {memory:.2f} GiB in all;",
            f"{reached:.2%} of them reach 0.01.",
        ]
        args.folder.mkdir(parents=True, exist_ok=True)
        (args.folder / "many.md").write_text("\n".join(lines) + "\n")
        print(*lines[-5:], sep="\n")


if __name__ == "__main__":
    main()

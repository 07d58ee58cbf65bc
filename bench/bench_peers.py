"""One iteration of full-batch gradient descent here and in other libraries: same network, data, dtype and step.

    python -m pytest bench/bench_peers.py --benchmark-json peers.json
    python bench/report.py peers.json bench/results

Each contender runs as its users would run it: NumPy runs the equations as they stand on whole arrays, JAX compiles
them in a loop (``jit`` and ``fori_loop``), PyTorch runs ``Linear``, ``Sigmoid`` and its own loss and SGD eagerly,
scikit-learn fits an ``MLPClassifier`` with one batch. With a GPU, those that can use it run there as well. Compilation
and transfers are outside the clock. Libraries that are not installed, or were installed without support for the GPU,
are skipped (``pip install -e ".[bench]"``). Those that take parameters with a leading axis also train many networks in
one run; the others would train them one by one. A round is a run; report.py divides it by its iterations and networks.
"""

import functools
import importlib.metadata
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nn_backend import equations
from nn_backend.backend import Backend
from nn_backend.network import init_params

ITERATIONS = {300: 4500, 10_000: 300, 100_000: 30, 1_000_000: 10, 10_000_000: 10}
ROUNDS = 7
NETWORKS = 1000  # trained in one run
LEARNING_RATE = 0.2


def run_nn_backend(problem: Any, iterations: int, backend: Backend, engine: str) -> Callable[[], Any]:
    return problem.descending(backend, engine, iterations, LEARNING_RATE)


def run_numpy(problem: Any, iterations: int, backend: Backend | None = None) -> Callable[[], Any]:
    X, y, params = problem

    def run() -> Any:
        reached = params
        with np.errstate(over="ignore"):
            for _ in range(iterations):
                gradients = equations.gradient(reached, X, y, float(X.shape[1]), xp=np)
                reached = equations.update(reached, gradients, LEARNING_RATE)
        return reached

    return run


def run_jax(problem: Any, iterations: int, backend: Backend) -> Callable[[], Any]:
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    try:
        device = jax.devices("cpu" if backend.xp is np else "gpu")[0]
    except RuntimeError as error:
        pytest.skip(f"JAX: {error}")
    X, y, start = jax.device_put((problem.X, problem.y, problem.params), device)

    def step(_: int, params: Any) -> Any:
        gradients = equations.gradient(params, X, y, float(X.shape[1]), xp=jax.numpy)
        return equations.update(params, gradients, LEARNING_RATE)

    run = jax.jit(lambda params: jax.lax.fori_loop(0, iterations, step, params))
    return lambda: jax.block_until_ready(run(start))


def run_torch(problem: Any, iterations: int, backend: Backend) -> Callable[[], Any]:
    torch = pytest.importorskip("torch")
    device = "cpu" if backend.xp is np else "cuda"
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("PyTorch was installed without support for this GPU")
    X, y, (w1, b1, w2, b2) = problem
    inputs, targets = (torch.from_numpy(np.ascontiguousarray(array.T)).to(device) for array in (X, y))
    n1, n0 = w1.shape
    network = torch.nn.Sequential(torch.nn.Linear(n0, n1), torch.nn.Sigmoid(), torch.nn.Linear(n1, len(w2)))
    network.to(device, inputs.dtype)
    start = {"0.weight": w1, "0.bias": b1[:, 0], "2.weight": w2, "2.bias": b2[:, 0]}
    loss = torch.nn.BCEWithLogitsLoss()
    optimizer = torch.optim.SGD(network.parameters(), lr=LEARNING_RATE)

    def run() -> Any:
        network.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in start.items()})
        for _ in range(iterations):
            optimizer.zero_grad(set_to_none=True)
            loss(network(inputs), targets).backward()
            optimizer.step()
        return [parameter.detach().cpu().numpy() for parameter in network.parameters()]

    return run


def run_sklearn(problem: Any, iterations: int, backend: Backend) -> Callable[[], Any]:
    neural_network = pytest.importorskip("sklearn.neural_network")
    inputs, targets = np.ascontiguousarray(problem.X.T), problem.y[0].astype(int)
    options = {
        "hidden_layer_sizes": (len(problem.params.w1),),
        "activation": "logistic",
        "solver": "sgd",
        "alpha": 0.0,
        "batch_size": len(inputs),
        "learning_rate_init": LEARNING_RATE,
        "momentum": 0.0,
        "max_iter": iterations,
        "tol": 0.0,
        "n_iter_no_change": 10**9,
        "shuffle": False,
    }

    def run() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it has not converged is the point of a fixed number of iterations
            return neural_network.MLPClassifier(**options).fit(inputs, targets)

    return run


CONTENDERS: dict[str, Callable[..., Callable[[], Any]]] = {
    "nn_backend compiled": functools.partial(run_nn_backend, engine="compiled"),
    "nn_backend eager": functools.partial(run_nn_backend, engine="eager"),
    "NumPy": run_numpy,
    "JAX": run_jax,
    "PyTorch": run_torch,
    "scikit-learn": run_sklearn,
}
ON_CPU_ONLY = ("NumPy", "scikit-learn")
ONE_BY_ONE = ("PyTorch", "scikit-learn")
PACKAGES = ("nn-backend", "numpy", "cupy-cuda12x", "cupy-cuda13x", "jax", "torch", "scikit-learn")
ROWS = {"compiled-numpy": ("300", "1e4", "1e5", "1e6"), "compiled-cupy": ("300", "1e4", "1e5", "1e6", "1e7")}
CASES = [
    (place, f"{rows}x3-4-1", networks, contender)
    for place, sizes in ROWS.items()
    for rows in sizes
    for networks in ((1, NETWORKS) if rows == "300" else (1,))
    for contender in CONTENDERS
    if place == "compiled-numpy" or contender not in ON_CPU_ONLY
    if networks == 1 or contender not in ONE_BY_ONE
]


def draw_networks(problem: Any, networks: int) -> Any:
    """Return the problem for as many networks, each drawn by itself; one has no leading axis."""
    if networks == 1:
        return problem
    n1, n0 = problem.params.w1.shape
    drawn = [init_params(n0, n1, seed=seed, dtype=problem.X.dtype.name) for seed in range(networks)]
    return problem._replace(params=equations.Params(*map(np.stack, zip(*drawn, strict=True))))


@pytest.mark.parametrize(("place", "case", "networks", "contender"), CASES, indirect=["place", "case"])
def test_iteration(
    request: pytest.FixtureRequest,
    settle: Callable[..., None],
    benchmark,
    description,
    problem,
    backend: Backend,
    case,
    dtype: str,
    networks: int,
    contender: str,
) -> None:
    shorter = 1 if networks == 1 else 100
    iterations = 2 if request.config.getoption("smallest") else ITERATIONS[case.rows] // shorter
    run = CONTENDERS[contender](draw_networks(problem, networks), iterations, backend)
    benchmark.group = f"{iterations} iterations, {networks} of {case}, {dtype}, {backend.name}"
    installed = {}
    for package in PACKAGES:
        try:
            installed[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    measured = {"contender": contender, "rows": case.rows, "networks": networks, "iterations": iterations}
    benchmark.extra_info.update(description | measured, versions=installed)
    settle(run)  # also until the threads of the contender before have stopped waiting actively
    benchmark.pedantic(run, rounds=1 if request.config.getoption("smallest") else ROUNDS)


@pytest.mark.parametrize(
    ("place", "case", "networks", "contender"),
    [case for case in CASES if case[1] == "300x3-4-1" and case[3] != "scikit-learn"],
    indirect=["place", "case"],
)
def test_contenders_do_the_same(problem, backend: Backend, case, dtype: str, networks: int, contender: str) -> None:
    """All but scikit-learn, which draws its own start, reach the same parameters after ten iterations."""
    problem = draw_networks(problem, networks)
    reached = CONTENDERS[contender](problem, 10, backend)()
    expected = run_numpy(problem, 10)()
    for actual, array in zip(reached, expected, strict=True):
        np.testing.assert_allclose(np.asarray(actual).reshape(array.shape), array, rtol=1e-3, atol=1e-5)

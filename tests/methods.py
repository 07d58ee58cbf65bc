"""Ways to train of which every two choices meet in some, problems for them, and what a run reaches by definition."""

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

import nn_backend as nn
from nn_backend import engines
from nn_backend.compiler import native
from nn_backend.compiler.interpreter import interpret
from nn_backend.compiler.native import zeros
from nn_backend.compiler.plan import Plan
from nn_backend.compiler.program import STRIP, Program
from nn_backend.engines.compiled import program
from nn_backend.engines.engine import Method
from nn_backend.equations import OUTPUTS
from nn_backend.examples import place_examples
from nn_backend.optimizers import State, get_optimizer

METHODS = (
    "sigmoid gd",
    "softmax gd weights alpha tol",
    "identity gd",
    "sigmoid nesterov weights tol",
    "softmax nesterov alpha",
    "identity nesterov weights tol",
    "sigmoid adam alpha tol",
    "softmax adam weights",
    "identity adam alpha tol",
    "sigmoid rprop weights alpha",
    "softmax rprop tol",
    "identity rprop weights alpha",
)
SIZES = {"sigmoid": (3, 4, 1), "softmax": (5, 17, 3), "identity": (2, 3, 2)}
RATES = {"gd": 0.5, "nesterov": 0.3, "adam": 0.2, "rprop": 0.7}  # so large that signs of gradients change soon
CPU = nn.get_backend("cpu")


class Problem(NamedTuple):
    """Data, a start, and how to train from there."""

    method: Method
    examples: engines.Examples
    state: State
    numbers: Mapping[str, Any]

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        return self.examples.arrays()

    def program(self, task: str) -> Program:
        """Return what is computed in an iteration, or otherwise asked."""
        w1, _, w2, _ = self.state.params
        method = self.method if task == "step" else Method(self.method.output)
        sizes = w1.shape[-1], w1.shape[-2], w2.shape[-2]
        return program(task, *sizes, w1.dtype.name, method, "" if self.examples.weights is None else "shared")

    def rounded(self, *index: int) -> dict[str, np.ndarray]:
        """Return m and the numbers, of the network of that index, in the dtype."""
        numbers = {"m": self.examples.m, **self.numbers}
        with np.errstate(over="ignore"):
            arrays = {name: np.asarray(number).astype(self.examples.X.dtype) for name, number in numbers.items()}
        return {name: array[index] if array.ndim else array for name, array in arrays.items()}

    def reached(self, iterations: int, *index: int) -> tuple[dict[str, np.ndarray], int, str]:
        """Return what the network of that index reaches, as `interpreted` does."""
        state = {name: array[index] for name, array in self.state.arrays().items()}
        return interpreted(self.program("step"), self.arrays, state, self.rounded(*index), iterations)


def problem(name: str, m: int, dtype: str) -> Problem:
    """Return a problem of m examples for one of METHODS."""
    kind, rule, *options = name.split()
    n0, n1, n2 = SIZES[kind]
    generator = np.random.default_rng(m)
    X, y = generator.standard_normal((n0, m)), generator.standard_normal((n2, m))
    if kind != "identity":
        y = y == y.max(axis=0) if kind == "softmax" else y > 0.3
    weights = generator.choice([0, 0.1, 1, 3], m) + (np.arange(m) == 0) if "weights" in options else None
    params = nn.init_params(n0, n1, n2, factor=0.7, dtype=dtype)
    chosen = get_optimizer(rule)
    numbers = {**chosen.numbers, "learning_rate": RATES[rule]}
    numbers |= {name: number for name, number in {"alpha": 0.3 * math.sqrt(m), "tol": 1e-4}.items() if name in options}
    method = Method(OUTPUTS[kind], chosen.rule, tuple(numbers))
    examples = place_examples(params, X, y, CPU, method.output, weights)
    return Problem(method, examples, chosen.rule.init(params, numbers, xp=np), numbers)


def interpreted(
    step: Program,
    examples: Mapping[str, np.ndarray],
    state: Mapping[str, np.ndarray],
    numbers: Mapping[str, np.ndarray],
    iterations: int,
) -> tuple[dict[str, np.ndarray], int, str]:
    """Return by the interpreter the state that a run reaches, in how many iterations, and what ended it, or ""."""
    for done in range(iterations):
        found = interpret(step, examples, state, numbers)
        for ending in reversed(step.endings):
            if found[ending]:
                return dict(state), done, ending
        state = {name: found[name] for name in state}
    return dict(state), iterations, ""


ENDED = {  # what becomes of each network of `ending`, in 8 iterations: those that are done, and what ended its run
    "goes on": (8, ""),
    "had ended before": (0, ""),
    "is at its goal": (0, "tol"),
    "reaches its goal": (3, "tol"),
    "diverges": (5, "diverged"),
    "begins at NaN": (0, "diverged"),
    "diverges at its goal": (0, "diverged"),
}


def ending(dtype: str, m: int = 300) -> tuple[Problem, np.ndarray]:
    """Return networks whose runs end as ENDED says, and which of them have ended before."""
    alone = problem("identity gd", m, dtype)
    growing = 1e35 if dtype == "float64" else 1e4
    tol = np.array([0, 0, 1e3, 0.095, 0, 1e3, 1e3])
    numbers = {"learning_rate": np.array([0.2, 0.2, 0.2, 0.2, growing, 0.2, np.inf]), "tol": tol}
    params = nn.Params(*(np.stack([array] * len(tol)) for array in alone.state.params))
    params.b1[5, 1] = np.nan
    method = alone.method._replace(numbers=tuple(numbers))
    return Problem(method, alone.examples, State(params, {}), numbers), np.arange(len(tol)) == 1


def run_packed(
    run: Any, plan: Plan, networks: int, state: Mapping[str, Any], numbers: Mapping[str, Any], *how: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Return the results and outputs of a kernel that is bound to examples, as its plan packs them."""
    given = [zeros((networks, layout.size), plan.program.dtype) for layout in (plan.state, plan.numbers)]
    given[0][:] = np.nan  # behind the arrays' ends
    with np.errstate(over="ignore"):
        plan.state.pack(state, given[0])
        plan.numbers.pack(numbers, given[1])
    results, outputs = run(*given, *how)
    assert (results is given[0]) == plan.is_step
    return results, outputs


def ends_right(kernel: Any, examples: Any, given: Problem, ended: np.ndarray) -> bool:
    """Whether a kernel, bound to a problem of `ending`, leaves each network's run where that is to end."""
    networks, numbers = len(ENDED), {"m": given.examples.m, **given.numbers}
    progress = np.zeros((networks, 2), np.int64)
    progress[ended, 0] = -1
    run = kernel.bind(examples, networks)
    state, _ = run_packed(run, kernel.plan, networks, given.state.arrays(), numbers, 8, progress)
    names = np.array(["", *kernel.plan.program.endings, ""])
    counts = zip(progress[:, 1].tolist(), names[progress[:, 0]].tolist(), strict=True)
    reached = [given.reached(done, k)[0] for k, (done, _) in enumerate(ENDED.values())]
    same = all(
        array[k].tobytes() == expected[name].tobytes()
        for k, expected in enumerate(reached)
        for name, array in kernel.plan.state.unpack(state).items()
    )
    return same and list(counts) == list(ENDED.values())


# --- many networks, each with something of its own ---

COUNTS = (500, 1, 33, 31, 128, 32, 127, 2, 129, 64)  # rows of networks: around the borders of strips and tiles
HELD_OUT = (-1, 0, 1, 2, 3, 2, 7)  # of folds 0 to 3: none, each, one of them again, and one that has no rows
RUN = {"iterations": 12, "log_every": 5}
N2 = {"sigmoid": 1, "softmax": 3, "identity": 2}
# How to train where networks lie between 0 and 1: the numbers are arrays where that is one.
WAYS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "sigmoid": lambda at: {"optimizer": "rprop", "learning_rate": 0.01 + at / 5, "alpha": 5 * at},
    "softmax": lambda at: {"optimizer": nn.adam(beta1=0.5 + at / 3), "learning_rate": 0.02 + at / 10, "tol": at / 9},
    "identity": lambda at: {
        "optimizer": nn.nesterov(momentum=0.5 + at / 3),
        "learning_rate": 0.2 - at / 8,
        "alpha": at,
    },
}
KINDS = ("network", "network weights", "weights", "fold", "fold weights")


class Case(NamedTuple):
    """Data of networks together, as `fit` is told, and X, y and weights of each alone."""

    X: np.ndarray
    y: np.ndarray
    told: dict[str, Any]
    alone: list[tuple[np.ndarray, np.ndarray, np.ndarray | None]]

    @property
    def networks(self) -> int:
        return len(self.alone)

    @property
    def places(self) -> np.ndarray:
        """Where each network lies between 0 and 1."""
        return np.linspace(0, 1, self.networks)


@functools.cache
def case(kind: str, output: str) -> Case:
    """Return noisy data that a network can learn from, and whose they are."""
    generator = np.random.default_rng(len(kind))
    m = sum(COUNTS) if "network" in kind else 345
    X, w = generator.standard_normal((3, m)), generator.choice([0.5, 1, 3], m) if "weights" in kind else None
    z = generator.standard_normal((N2[output], 3)) @ X + 0.3 * generator.standard_normal((N2[output], m))
    y = z if output == "identity" else (z == z.max(axis=0)) if output == "softmax" else z > 0
    if kind == "weights":
        own = generator.multinomial(m, np.full(m, 1 / m), 6).astype(float)  # bootstraps
        return Case(X, y, {"weights": own}, [(X, y, mine) for mine in own])
    if "fold" in kind:
        fold, share = generator.permutation(np.arange(m) % 4), np.ones(m) if w is None else w
        told = {"fold": fold, "held_out": HELD_OUT, "weights": w}
        return Case(X, y, told, [(X, y, share * (fold != held)) for held in HELD_OUT])
    ids = generator.permutation(np.repeat(np.arange(len(COUNTS)), COUNTS))
    rows = [ids == n for n in range(len(COUNTS))]
    parts = [(X[:, mine], y[:, mine], None if w is None else w[mine]) for mine in rows]
    return Case(X, y, {"network": ids, "weights": w}, parts)


def starts(networks: int, output: str, dtype: str) -> nn.Params:
    return nn.init_params(3, 4, N2[output], seed=range(networks), factor=0.5, dtype=dtype)


def together(kind: str, output: str, dtype: str, **where: Any) -> nn.FitResult:
    given = case(kind, output)
    options = {"output": output, **WAYS[output](given.places), **given.told, **RUN, **where}
    return nn.fit(given.X, given.y, starts(given.networks, output, dtype), **options)


# --- one network on a kernel ---


def article(X: np.ndarray, y: np.ndarray, params: nn.Params, learning_rate: float) -> Problem:
    """Return a problem that is trained as in the article."""
    return Problem(Method(), engines.Examples(X, y), State(params, {}), {"learning_rate": learning_rate})


def run_kernel(
    kernel: Any,
    examples: Mapping[str, np.ndarray],
    state: Mapping[str, np.ndarray],
    numbers: Mapping[str, np.ndarray],
    iterations: int = 1,
    threads: int = 1,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return what a kernel computes: results by name, and outputs (rows, examples)."""
    plan = kernel.plan
    row, given = (zeros((1, layout.size), plan.program.dtype) for layout in (plan.state, plan.numbers))
    plan.state.pack(state, row)
    plan.numbers.pack(numbers, given)
    results, outputs = kernel.bind(native.Examples(examples, threads), 1)(row, given, iterations)
    m = next(iter(examples.values())).shape[1]
    return plan.results.unpack(results[0]), outputs.swapaxes(0, 1).reshape(plan.outputs.rows, len(outputs) * STRIP)[
        :, :m
    ]

"""Update rules: PyTorch's steps, one network's bits among many, a rule of one's own, the article's marks."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from places import Place, assert_close

import nn_backend as nn
from nn_backend.compiler.interpreter import interpret
from nn_backend.engines.compiled import program
from nn_backend.engines.engine import Method
from nn_backend.equations import SIGMOID
from nn_backend.optimizers import Rule

DTYPE = pytest.mark.parametrize("dtype", ["float64", "float32"])
RULES = {
    "gd": nn.gd(),
    "nesterov": nn.nesterov(momentum=0.8),
    "adam": nn.adam(beta1=0.85, beta2=0.97, epsilon=1e-6),
    "rprop": nn.rprop(increase=1.3, decrease=0.4, min_step=1e-3, max_step=0.04),
}


def marks(dtype: str = "float64", *, standardized: bool = True) -> tuple[np.ndarray, np.ndarray]:
    X, y = nn.load_marks()
    X = nn.standardization(X[:, :300]).apply(X) if standardized else X
    return X[:, :300].astype(dtype), y[:, :300].astype(dtype)


# --- PyTorch's steps ---


@pytest.mark.parametrize(
    ("optimizer", "rate", "peer", "settings"),
    [
        (nn.gd(), 0.2, "SGD", {}),
        (nn.nesterov(), 0.2, "SGD", {"nesterov": True, "momentum": 0.9}),
        (RULES["nesterov"], 0.03, "SGD", {"nesterov": True, "momentum": 0.8}),
        (nn.adam(), 0.05, "Adam", {}),
        (RULES["adam"], 0.01, "Adam", {"betas": (0.85, 0.97), "eps": 1e-6}),
        (nn.rprop(), 0.01, "Rprop", {}),
        (RULES["rprop"], 0.02, "Rprop", {"etas": (0.4, 1.3), "step_sizes": (1e-3, 0.04)}),
    ],
)
def test_steps_are_pytorchs(
    backend: Place, optimizer: nn.Optimizer, rate: float, peer: str, settings: dict[str, Any]
) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
    rtol, atol = {"float64": (1e-13, 1e-14), "float32": (1e-5, 1e-5)}[backend.dtype]
    generator = np.random.default_rng(0)
    start = nn.init_params(3, 4, 2, factor=1, dtype=backend.dtype)
    leaves = [torch.tensor(array, requires_grad=True) for array in start]
    expected = getattr(torch.optim, peer)(leaves, lr=rate, **settings)
    numbers = {**optimizer.numbers, "learning_rate": rate}
    state = optimizer.rule.init(backend.params(start), numbers, xp=backend.xp)
    for _ in range(40):  # gradients of either sign, some of them 0, of magnitudes from 1e-3 to 10
        gradients = nn.Params(
            *(generator.integers(-1, 2, a.shape) * 10 ** generator.uniform(-3, 1, a.shape) for a in start)
        )
        for leaf, gradient in zip(leaves, gradients, strict=True):
            leaf.grad = torch.tensor(gradient, dtype=leaf.dtype)
        expected.step()
        state = optimizer.rule.step(state, backend.params(gradients), numbers, xp=backend.xp)
        for actual, leaf in zip(state.params, leaves, strict=True):
            assert_close(actual, leaf.detach().numpy(), backend, rtol=rtol, atol=atol)


# --- engines ---


@DTYPE
@pytest.mark.parametrize("name", RULES)
def test_each_network_has_its_numbers_and_the_bits_of_one_alone(name: str, dtype: str) -> None:
    X, y = marks(dtype)
    share = np.array([[1.0, 0.9], [0.7, 0.6]])  # networks in two axes; each number differs between them
    rule, numbers = RULES[name]
    many = {key: value * share if value < 1 else value / share for key, value in numbers.items()}
    extra = {"alpha": share, "tol": np.array([[0.1, 0.02], [0.01, 0.001]])}
    starts = [[nn.init_params(3, 4, seed=2 * i + j, factor=0.5, dtype=dtype) for j in range(2)] for i in range(2)]
    stacked = nn.Params(*(np.array([[getattr(p, f) for p in row] for row in starts]) for f in nn.Params._fields))
    together = nn.fit(X, y, stacked, optimizer=nn.Optimizer(rule, many), iterations=150, engine="compiled", **extra)
    assert len(np.unique(together.iterations)) > 1  # some of them end early, not all at once
    for e in np.ndindex(2, 2):
        optimizer = nn.Optimizer(rule, {key: value[e] for key, value in many.items()})
        own = {key: value[e] for key, value in extra.items()}
        alone = nn.fit(X, y, starts[e[0]][e[1]], optimizer=optimizer, iterations=150, engine="compiled", **own)
        assert (together.status[e], together.iterations[e]) == (alone.status, alone.iterations)
        for array, of_many in zip(alone.state.arrays().values(), together.state.arrays().values(), strict=True):
            assert array.tobytes() == of_many[e].tobytes()


def bounded_steps() -> nn.Optimizer:
    """A rule as a user may write it: no step is wider than a width, kept once per network, that decays."""

    def init(params: nn.Params, numbers: Mapping[str, Any], *, xp: Any) -> nn.State:
        return nn.State(params, {"width": xp.ones_like(params.b2[..., :1, :1]) * numbers["first"]})

    def step(state: nn.State, gradients: nn.Params, numbers: Mapping[str, Any], *, xp: Any) -> nn.State:
        width = state.memory["width"]
        steps = (width * g / (xp.abs(g) + numbers["soft"]) for g in gradients)
        params = nn.Params(*(w - step for w, step in zip(state.params, steps, strict=True)))
        return nn.State(params, {"width": width * numbers["decay"]})

    return nn.Optimizer(Rule("bounded", init, step), {"first": 0.1, "decay": 0.97, "soft": 0.01})


def test_a_rule_of_ones_own_runs_on_both_engines() -> None:
    X, y = marks()
    start, optimizer = nn.init_params(3, 4, factor=0.5), bounded_steps()
    w1, b1, w2, b2 = start
    width = 0.1
    for _ in range(50):
        f1 = 1 / (1 + np.exp(-(w1 @ X + b1)))
        delta_2 = 1 / (1 + np.exp(-(w2 @ f1 + b2))) - y
        delta_1 = (w2.T @ delta_2) * f1 * (1 - f1)
        steps = (delta_1 @ X.T, delta_1.sum(1, keepdims=True), delta_2 @ f1.T, delta_2.sum(1, keepdims=True))
        steps = (width * s / 300 / (np.abs(s / 300) + 0.01) for s in steps)
        w1, b1, w2, b2 = (w - s for w, s in zip((w1, b1, w2, b2), steps, strict=True))
        width *= 0.97
    for engine in ("eager", "compiled"):
        result = nn.fit(X, y, start, optimizer=optimizer, iterations=50, engine=engine)
        assert result.optimizer == "bounded"
        for actual, expected in zip(result.params, (w1, b1, w2, b2), strict=True):
            np.testing.assert_allclose(actual, expected, rtol=1e-9)
        np.testing.assert_allclose(result.state.memory["width"], [[width]], rtol=1e-12)


@pytest.mark.parametrize("engine", ["eager", "compiled"])
def test_a_memory_that_is_not_finite_ends_a_run(engine: str) -> None:
    rule, numbers = bounded_steps()
    widening = nn.Optimizer(rule, {**numbers, "decay": 1e200})
    with pytest.raises(nn.DivergenceError, match="no longer finite at iteration 2: standardise the features"):
        nn.fit(*marks(), nn.init_params(3, 4), optimizer=widening, iterations=9, engine=engine)


@pytest.mark.parametrize("optimizer", [*RULES.values(), bounded_steps()], ids=lambda optimizer: optimizer.rule.name)
def test_compiled_rule_is_the_interpreter(optimizer: nn.Optimizer) -> None:
    X, y = marks("float32")
    start = nn.init_params(3, 4, factor=0.5, dtype="float32")
    numbers = {name: np.float32(value) for name, value in optimizer.numbers.items()}
    recorded = program("step", 3, 4, 1, "float32", Method(SIGMOID, optimizer.rule, tuple(numbers)))
    expected = optimizer.rule.init(start, optimizer.numbers, xp=np).arrays()
    for _ in range(5):
        results = interpret(recorded, {"X": X, "y": y}, expected, {"m": np.float32(300), **numbers})
        expected = {name: results[name] for name in expected}
    actual = nn.fit(X, y, start, optimizer=optimizer, iterations=5, engine="compiled").state.arrays()
    for name, array in actual.items():
        assert array.tobytes() == expected[name].tobytes()


# --- refusals ---


def test_wrong_rules_and_numbers_that_do_not_fit_are_refused() -> None:
    """test_checks.py has numbers that are wrong by themselves."""
    with pytest.raises(nn.ArgumentError, match=r"max_step is 0.5; expected at least min_step, 1"):
        nn.rprop(min_step=1, max_step=0.5)
    one = nn.init_params(3, 4)
    three = nn.Params(*(np.stack([array] * 3) for array in one))
    adam = {"optimizer": nn.adam(beta1=[0.9, 0.8])}
    for start, options, message in (
        (one, {"optimizer": "sgd"}, r"'sgd' is not known; accepted: gd, nesterov, adam, rprop, or nn.adam\(...\)"),
        (one, adam, r"beta1 has shape \(2,\); expected a number$"),
        (three, adam, r"beta1 has shape \(2,\); expected a number, or an array \(3,\), one for each network"),
        (one, {"tol": [1e-4, 1e-3]}, r"tol has shape \(2,\); expected a number$"),
    ):
        with pytest.raises(nn.ArgumentError, match=message):
            nn.fit(*marks(), start, **options)


# --- the article's run ---


def test_rprop_ends_the_chaos_of_the_articles_raw_marks() -> None:
    X, y = marks(standardized=False)
    start = nn.init_params(3, 4)
    costs = [
        nn.fit(X, y, start._replace(w1=start.w1 + nudge), optimizer="rprop", iterations=400).score.cost
        for nudge in (0, 1e-12)
    ]
    assert costs[0] < 0.01
    assert abs(costs[1] - costs[0]) < 1e-6


def test_rprop_needs_few_iterations_for_standardised_marks() -> None:
    result = nn.fit(*marks(), nn.init_params(3, 4, factor=0.5), optimizer="rprop", iterations=60)
    assert result.score.cost < 0.001

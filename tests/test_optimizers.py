"""Update rules: PyTorch's steps, and a rule of one's own."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from places import Place, assert_close

import nn_backend as nn
from nn_backend import equations
from nn_backend.optimizers import Rule


def marks() -> tuple[np.ndarray, np.ndarray]:
    X, y = (array[:, :300] for array in nn.load_marks())
    return nn.standardization(X).apply(X), y


# --- PyTorch's steps ---


@pytest.mark.parametrize(
    ("optimizer", "rate", "peer", "settings"),
    [
        (nn.gd(), 0.2, "SGD", {}),
        (nn.nesterov(), 0.2, "SGD", {"nesterov": True, "momentum": 0.9}),
        (nn.nesterov(momentum=0.8), 0.03, "SGD", {"nesterov": True, "momentum": 0.8}),
        (nn.adam(), 0.05, "Adam", {}),
        (nn.adam(beta1=0.85, beta2=0.97, epsilon=1e-6), 0.01, "Adam", {"betas": (0.85, 0.97), "eps": 1e-6}),
        (nn.rprop(), 0.01, "Rprop", {}),
        (
            nn.rprop(increase=1.3, decrease=0.4, min_step=1e-3, max_step=0.04),
            0.02,
            "Rprop",
            {"etas": (0.4, 1.3), "step_sizes": (1e-3, 0.04)},
        ),
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
    expected, width = start, 0.1
    for _ in range(50):
        gradients = equations.gradient(expected, X, y, 300, xp=np)
        steps = (width * g / (np.abs(g) + 0.01) for g in gradients)
        expected = nn.Params(*(w - step for w, step in zip(expected, steps, strict=True)))
        width *= 0.97
    for engine in ("eager", "compiled"):
        result = nn.fit(X, y, start, optimizer=optimizer, iterations=50, engine=engine)
        assert result.optimizer == "bounded"
        for actual, array in zip(result.params, expected, strict=True):
            np.testing.assert_allclose(actual, array, rtol=1e-9)
        np.testing.assert_allclose(result.state.memory["width"], [[width]], rtol=1e-12)


@pytest.mark.parametrize("engine", ["eager", "compiled"])
def test_a_memory_that_is_not_finite_ends_a_run(engine: str) -> None:
    rule, numbers = bounded_steps()
    widening = nn.Optimizer(rule, {**numbers, "decay": 1e200})
    with pytest.raises(nn.DivergenceError, match="no longer finite at iteration 2: standardise the features"):
        nn.fit(*marks(), nn.init_params(3, 4), optimizer=widening, iterations=9, engine=engine)


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

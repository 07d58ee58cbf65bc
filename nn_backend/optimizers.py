"""Update rules: how the parameters follow from the gradient. Each is a value with two pure functions of arrays.

``init(params, numbers, xp=xp)`` returns the first `State`, and ``step(state, gradients, numbers, xp=xp)`` the next one.
Numbers are Python floats, or arrays (..., 1, 1) with one for each network.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from nn_backend import equations
from nn_backend.checks import Number, check_array, choose, shown
from nn_backend.equations import Array, Params
from nn_backend.errors import ArgumentError


class State(NamedTuple):
    """The parameters, and what a rule remembers of the steps before.

    Attributes
    ----------
    params : Params
        The network.
    memory : mapping of str to Params or array (..., 1, 1)
        One number for each parameter, or one for each network.
    """

    params: Params
    memory: Mapping[str, Any]

    def arrays(self) -> dict[str, Array]:
        """Return all arrays by name: w1, b1, w2, b2, and those of the memory, such as velocity.w1."""
        arrays = self.params._asdict()
        for name, values in self.memory.items():
            parts = values._asdict() if isinstance(values, Params) else {"": values}
            arrays |= {f"{name}.{field}".rstrip("."): array for field, array in parts.items()}
        return arrays

    @classmethod
    def of(cls, arrays: Mapping[str, Array]) -> "State":
        """Return the state that has these arrays."""
        params: dict[str, Any] = {}
        memory: dict[str, Any] = {}
        for name, array in arrays.items():
            whole, _, field = name.partition(".")
            if field:
                memory.setdefault(whole, {})[field] = array
            else:
                (params if name in Params._fields else memory)[name] = array
        wholes = {name: Params(**parts) if isinstance(parts, dict) else parts for name, parts in memory.items()}
        return cls(Params(**params), wholes)


class Rule(NamedTuple):
    """A way to update parameters.

    Attributes
    ----------
    name : str
        What users call it.
    init, step : callable
        As this module's docstring says.
    """

    name: str
    init: Callable[..., State]
    step: Callable[..., State]


class Optimizer(NamedTuple):
    """An update rule and its numbers.

    Attributes
    ----------
    rule : Rule
        The rule.
    numbers : mapping of str to float or array
        Its numbers by name; where there are several networks, an array of the parameters' leading shape has one for
        each. ``learning_rate`` is what `nn_backend.fit` takes if it is given none.
    """

    rule: Rule
    numbers: Mapping[str, Any]


def gd() -> Optimizer:
    """Return gradient descent with a fixed step width, the article's equations (4), (5), (9) and (10).

    Examples
    --------
    >>> gd().numbers
    {'learning_rate': 0.2}
    """
    return Optimizer(GD, {"learning_rate": 0.2})


def nesterov(*, momentum: Any = 0.9) -> Optimizer:
    """Return gradient descent with Nesterov's momentum, as ``torch.optim.SGD(nesterov=True)``.

    Parameters
    ----------
    momentum : float or array
        Share of the velocity that is kept from step to step, at least 0 and below 1.

    Examples
    --------
    >>> nesterov(momentum=0.99).numbers
    {'learning_rate': 0.2, 'momentum': 0.99}
    """
    check_array("momentum", momentum, Number(least=0, below=1))
    return Optimizer(NESTEROV, {"learning_rate": 0.2, "momentum": momentum})


def adam(*, beta1: Any = 0.9, beta2: Any = 0.999, epsilon: Any = 1e-8) -> Optimizer:
    """Return Adam (D. Kingma and J. Ba, Adam: a method for stochastic optimization, 2015) for full batches.

    Parameters
    ----------
    beta1, beta2 : float or array
        Decay of the means of gradients and of their squares, at least 0 and below 1.
    epsilon : float or array
        Above 0; added to the root of the squares' mean.

    Examples
    --------
    >>> adam(beta1=0.8).numbers
    {'learning_rate': 0.05, 'beta1': 0.8, 'beta2': 0.999, 'epsilon': 1e-08}
    """
    for name, beta in (("beta1", beta1), ("beta2", beta2)):
        check_array(name, beta, Number(least=0, below=1))
    check_array("epsilon", epsilon, Number(above=0))
    return Optimizer(ADAM, {"learning_rate": 0.05, "beta1": beta1, "beta2": beta2, "epsilon": epsilon})


def rprop(*, increase: Any = 1.2, decrease: Any = 0.5, min_step: Any = 1e-6, max_step: Any = 50.0) -> Optimizer:
    """Return iRprop- (C. Igel and M. Hüsken, Empirical evaluation of the improved Rprop learning algorithms, 2003).

    Each parameter has a step width of its own, which grows while its gradient keeps the sign and shrinks where that
    changes; the gradient's size does not matter. ``learning_rate`` is the first step width.

    Parameters
    ----------
    increase, decrease : float or array
        By what a step width grows, at least 1, and shrinks, above 0 and at most 1.
    min_step, max_step : float or array
        Between which it stays, above 0; the first is no larger than the second.

    Examples
    --------
    >>> rprop().numbers["learning_rate"]
    0.01
    """
    check_array("increase", increase, Number(least=1))
    check_array("decrease", decrease, Number(above=0, most=1))
    smallest, largest = (
        check_array(name, step, Number(above=0)) for name, step in (("min_step", min_step), ("max_step", max_step))
    )
    if (largest < smallest).any():
        raise ArgumentError(f"max_step is {shown(max_step)}; expected at least min_step, {shown(min_step)}")
    numbers = {"increase": increase, "decrease": decrease, "min_step": min_step, "max_step": max_step}
    return Optimizer(RPROP, {"learning_rate": 0.01, **numbers})


def get_optimizer(optimizer: str | Optimizer) -> Optimizer:
    """Return an optimizer by its name, with its own numbers; an `Optimizer` is returned as it is."""
    if isinstance(optimizer, Optimizer):
        return optimizer
    return _standard(choose("optimizer", optimizer, OPTIMIZERS, ", or nn.adam(...)"))


@functools.cache
def _standard(name: str) -> Optimizer:
    return OPTIMIZERS[name]()


# Why a run ends, by its name, and whether that is where all of its comparisons hold or where not all do.
ENDINGS = {"tol": True, "diverged": False}


def advance(
    rule: Rule, state: State, gradients: Params, m: Any, numbers: Mapping[str, Any], *, xp: Any
) -> tuple[State, Params]:
    """Return the next state, and the gradient, that of the penalty included, by which it was reached.

    Parameters
    ----------
    rule : Rule
        How to update.
    state, gradients : State, Params
        Where the run is, and the gradient of the cost there.
    m : float
        Number of examples.
    numbers : mapping of str to float or array (..., 1, 1)
        Those of the rule, and, if wanted, ``alpha`` of `equations.penalise`.
    """
    if "alpha" in numbers:
        gradients = equations.penalise(gradients, state.params, numbers["alpha"], m)
    return rule.step(state, gradients, numbers, xp=xp), gradients


def comparisons(after: State, gradients: Params, numbers: Mapping[str, Any], *, xp: Any) -> dict[str, list[Array]]:
    """Return by which comparisons, of those in `ENDINGS`, a run ends rather than go on to the next state.

    They tell whether each number of that state is finite, and, if ``tol`` is among the numbers, whether each element of
    the gradient is smaller.
    """
    found = {"diverged": [xp.abs(array) < float("inf") for array in after.arrays().values()]}
    if "tol" in numbers:
        found["tol"] = [xp.abs(gradient) < numbers["tol"] for gradient in gradients]
    return found


def _each(function: Callable[..., Array], *arguments: Params) -> Params:
    return Params(*map(function, *arguments))


def _start_gd(params: Params, numbers: Mapping[str, Any], *, xp: Any) -> State:
    return State(params, {})


def _step_gd(state: State, gradients: Params, numbers: Mapping[str, Any], *, xp: Any) -> State:
    return State(equations.update(state.params, gradients, numbers["learning_rate"]), {})


def _start_nesterov(params: Params, numbers: Mapping[str, Any], *, xp: Any) -> State:
    return State(params, {"velocity": _each(xp.zeros_like, params)})


def _step_nesterov(state: State, gradients: Params, numbers: Mapping[str, Any], *, xp: Any) -> State:
    momentum = numbers["momentum"]
    velocity = _each(lambda v, g: momentum * v + g, state.memory["velocity"], gradients)
    ahead = _each(lambda v, g: g + momentum * v, velocity, gradients)
    return State(equations.update(state.params, ahead, numbers["learning_rate"]), {"velocity": velocity})


def _start_adam(params: Params, numbers: Mapping[str, Any], *, xp: Any) -> State:
    zeros, one = _each(xp.zeros_like, params), xp.ones_like(params.b2[..., :1, :1])
    return State(params, {"mean": zeros, "square": zeros, "power1": one, "power2": one})


def _step_adam(state: State, gradients: Params, numbers: Mapping[str, Any], *, xp: Any) -> State:
    beta1, beta2, epsilon = numbers["beta1"], numbers["beta2"], numbers["epsilon"]
    mean = _each(lambda v, g: beta1 * v + (1 - beta1) * g, state.memory["mean"], gradients)
    square = _each(lambda v, g: beta2 * v + (1 - beta2) * (g * g), state.memory["square"], gradients)
    power1, power2 = beta1 * state.memory["power1"], beta2 * state.memory["power2"]  # beta**t after t steps
    direction = _each(lambda v, s: (v / (1 - power1)) / (xp.sqrt(s / (1 - power2)) + epsilon), mean, square)
    memory = {"mean": mean, "square": square, "power1": power1, "power2": power2}
    return State(equations.update(state.params, direction, numbers["learning_rate"]), memory)


def _start_rprop(params: Params, numbers: Mapping[str, Any], *, xp: Any) -> State:
    zeros, smallest, largest = _each(xp.zeros_like, params), numbers["min_step"], numbers["max_step"]
    width = _each(lambda z: xp.minimum(xp.maximum(z + numbers["learning_rate"], smallest), largest), zeros)
    return State(params, {"gradient": zeros, "width": width})


def _step_rprop(state: State, gradients: Params, numbers: Mapping[str, Any], *, xp: Any) -> State:
    increase, decrease = numbers["increase"], numbers["decrease"]
    smallest, largest = numbers["min_step"], numbers["max_step"]

    def widen(width: Array, now: Array, before: Array) -> Array:
        wider, narrower = xp.minimum(width * increase, largest), xp.maximum(width * decrease, smallest)
        return xp.where(now * before > 0, wider, xp.where(now * before < 0, narrower, width))

    width = _each(widen, state.memory["width"], gradients, state.memory["gradient"])
    # Where the sign has changed, the parameter waits, and the next step's gradient finds none before it.
    kept = _each(lambda g, before: xp.where(g * before < 0, 0 * g, g), gradients, state.memory["gradient"])
    move = _each(lambda g, wide: xp.where(g > 0, wide, xp.where(g < 0, -wide, g)), kept, width)  # NaN stays NaN
    params = _each(lambda w, by: w - by, state.params, move)
    return State(params, {"gradient": kept, "width": width})


GD = Rule("gd", _start_gd, _step_gd)
NESTEROV = Rule("nesterov", _start_nesterov, _step_nesterov)
ADAM = Rule("adam", _start_adam, _step_adam)
RPROP = Rule("rprop", _start_rprop, _step_rprop)
OPTIMIZERS = {"gd": gd, "nesterov": nesterov, "adam": adam, "rprop": rprop}

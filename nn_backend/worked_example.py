"""The article's worked example: a training step on one row, with the numbers of every equation, as data."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from nn_backend import equations
from nn_backend.equations import Params
from nn_backend.errors import DivergenceError
from nn_backend.network import get_output

# What the page says of each quantity: function, formula, meaning. It is text; the numbers come from the function.
START = {
    "X": ("marks.load_data", "features of the row", "the example, as a column"),
    "y": ("marks.load_data", "target of the row", "the true value"),
    "w1": ("network.init_params", "randn(n1, n0) * factor", "weights from the input to the hidden layer"),
    "b1": ("network.init_params", "zeros((n1, 1))", "bias of the hidden layer"),
    "w2": ("network.init_params", "randn(n2, n1) * factor", "weights from the hidden to the output layer"),
    "b2": ("network.init_params", "zeros((n2, 1))", "bias of the output layer"),
}
FORWARD = {
    "z1": ("equations.forward", "w1 @ X + b1", "weighted input of the hidden layer"),
    "f1": ("equations.forward", "1 / (1 + exp(-z1))", "output of the hidden layer"),
    "z2": ("equations.forward", "w2 @ f1 + b2", "weighted input of the output layer"),
    "yhat": ("equations.forward", "1 / (1 + exp(-z2))", "output of the network"),
    "cost": (
        "equations.cost",
        "-sum(y*log(yhat) + (1-y)*log(1-yhat)) / m",
        "how wrong yhat is, in nats; computed from z2, without log(0)",
    ),
}
OUTPUTS = {  # what takes the place of yhat and cost in the forward pass of other outputs
    "sigmoid": {},
    "softmax": {
        "yhat": (
            "equations.forward",
            "exp(z2) / sum(exp(z2))",
            "probability of each class; computed from z2 - max(z2)",
        ),
        "cost": (
            "equations.cost",
            "-sum(y*log(yhat)) / m",
            "how wrong yhat is, in nats; computed from z2, without log(0)",
        ),
    },
    "identity": {
        "yhat": ("equations.forward", "z2", "output of the network"),
        "cost": ("equations.cost", "sum((yhat - y)**2) / (2*m)", "half the squared error"),
    },
}
EQUATIONS = {  # (1) to (10)
    "dz2": (
        "equations.backward",
        "yhat - y",
        "error at the output; for one row (m = 1) it equals db2, and is copied from there",
    ),
    "dw2": ("equations.backward", "dz2 @ f1.T / m", "gradient of the cost with respect to w2"),
    "db2": ("equations.backward", "sum(dz2, axis=1, keepdims=True) / m", "gradient of the cost with respect to b2"),
    "w2": ("equations.update", "w2 - learning_rate * dw2", "update; (6) still takes the old w2"),
    "b2": ("equations.update", "b2 - learning_rate * db2", "update"),
    "dz1": (
        "equations.backward",
        "(w2.T @ dz2) * (1 - f1) * f1",
        "error at the hidden layer, with the old w2; for one row (m = 1) it equals db1, and is copied from there",
    ),
    "dw1": ("equations.backward", "dz1 @ X.T / m", "gradient of the cost with respect to w1"),
    "db1": ("equations.backward", "sum(dz1, axis=1, keepdims=True) / m", "gradient of the cost with respect to b1"),
    "w1": ("equations.update", "w1 - learning_rate * dw1", "update"),
    "b1": ("equations.update", "b1 - learning_rate * db1", "update"),
}


class Step(NamedTuple):
    """One quantity of the calculation.

    Attributes
    ----------
    part : str
        The heading it stands under.
    updates : int
        Updates done before it.
    number : int or None
        Its equation's number in the article; the forward pass and the cost have none there.
    name, function, formula, meaning : str
        What it is called, what computed it, how, and what it is.
    values : ndarray
        Its numbers.
    before : ndarray or None
        The numbers that an update replaced.
    """

    part: str
    updates: int
    number: int | None
    name: str
    function: str
    formula: str
    meaning: str
    values: np.ndarray
    before: np.ndarray | None

    def to_json(self) -> dict[str, Any]:
        """Return the step's fields, and the shape of its numbers, as JSON can hold them."""
        before = None if self.before is None else self.before.tolist()
        return {**self._asdict(), "shape": [*self.values.shape], "values": self.values.tolist(), "before": before}


def explain(
    X: np.ndarray, y: np.ndarray, start: Params, learning_rate: float, iterations: int, *, output: str = "sigmoid"
) -> Iterator[Step]:
    """Return each step of training on one example: the start, then in each iteration forward pass and ten equations.

    Parameters
    ----------
    X : ndarray (n0, 1), float64
        The example.
    y : ndarray (n2, 1), float64
        Its true value: 0 or 1, with a single 1 for softmax; a number for identity.
    start : Params
        The network, NumPy arrays.
    learning_rate : float
        Step width.
    iterations : int
        Updates to do; the last is followed by one more forward pass.
    output : str
        What kind of network it is: ``"sigmoid"``, ``"softmax"`` or ``"identity"``.

    Yields
    ------
    Step
        In the order of the article.

    Raises
    ------
    DivergenceError
        If a number stops being finite.

    Examples
    --------
    >>> from nn_backend.network import init_params
    >>> X, y = np.array([[7.0], [8.0], [10.0]]), np.array([[1.0]])
    >>> for step in explain(X, y, init_params(3, 4, factor=0.1), learning_rate=0.2, iterations=1):
    ...     if step.name in ("yhat", "dz2"):
    ...         print(step.number, step.formula, step.values.round(3))
    None yhat = 1 / (1 + exp(-z2)) [[0.521]]
    1 dz2 = yhat - y [[-0.479]]
    None yhat = 1 / (1 + exp(-z2)) [[0.572]]
    """
    m, params, kind = X.shape[1], start, get_output(output)
    yield from _part("start", 0, START, {"X": X, "y": y, **start._asdict()})
    for updates in range(iterations + 1):
        with np.errstate(over="ignore", invalid="ignore"):  # _part refuses what is not finite
            layers = equations.forward(params, X, output=kind, xp=np)
            cost = equations.cost(layers.z2, y, m, output=kind, xp=np)
            gradients = equations.backward(params, layers, X, y, m, xp=np)
            after = equations.update(params, gradients, learning_rate)
        reached = f"yhat {' '.join(f'{value:.3g}' for value in layers.yhat.flat)}, cost {cost.item():.3g}"
        part = f"forward pass after {updates} update{'s' * (updates != 1)}: {reached}"
        yield from _part(part, updates, FORWARD | OUTPUTS[output], {**layers._asdict(), "cost": cost})
        if updates < iterations:
            found = {f"d{name}": values for name, values in gradients._asdict().items()}
            found |= {"dz2": gradients.b2, "dz1": gradients.b1}  # sums over one example, divided by m = 1
            part = f"update {updates + 1}: equations (1) to (10)"
            yield from _part(part, updates, EQUATIONS, found | after._asdict(), params._asdict())
        params = after


def _part(
    part: str,
    updates: int,
    texts: Mapping[str, tuple[str, str, str]],
    values: Mapping[str, Any],
    before: Mapping[str, np.ndarray] | None = None,
) -> Iterator[Step]:
    for position, (name, (function, formula, meaning)) in enumerate(texts.items(), start=1):
        if not np.isfinite(values[name]).all():
            raise DivergenceError(
                f"{name} is not finite (updates done: {updates}); take a smaller learning rate, factor, or features"
            )
        number = position if texts is EQUATIONS else None
        numbers, old = np.asarray(values[name]), (before or {}).get(name)
        yield Step(part, updates, number, name, function, f"{name} = {formula}", meaning, numbers, old)

"""The article's ten equations: one training step of a network with one hidden layer of sigmoids.

Everything here is a pure function of arrays. ``xp`` is the array module they belong to: NumPy, CuPy, any other that
follows the array API standard, or a recorder. Examples stand in columns: n0 inputs, n1 hidden units, n2 outputs, m
examples. A leading axis of networks may stand before the last two axes of the parameters; it is carried through.

The equations train three kinds of network, as equation (1) is the gradient of the cost at z2 for each `Output`. An
example of weight w counts as w examples; then m is the sum of the weights.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

Array = Any
"""An array of the module passed as ``xp``."""


class Params(NamedTuple):
    """Parameters of the network, or a quantity that has one value for each of them (their gradients).

    Attributes
    ----------
    w1 : array (n1, n0)
        Weights from the input to the hidden layer.
    b1 : array (n1, 1)
        Bias of the hidden layer.
    w2 : array (n2, n1)
        Weights from the hidden to the output layer.
    b2 : array (n2, 1)
        Bias of the output layer.

    Notes
    -----
    All four may have the same leading axes before these two: (E, n1, n0) and so on are E networks.
    """

    w1: Array
    b1: Array
    w2: Array
    b2: Array


class Layers(NamedTuple):
    """What one forward pass computes.

    Attributes
    ----------
    z1, f1 : array (n1, m)
        Weighted input and output of the hidden layer.
    z2, yhat : array (n2, m)
        Weighted input and output of the output layer.
    """

    z1: Array
    f1: Array
    z2: Array
    yhat: Array


class Tally(NamedTuple):
    """What tells how well a network does, as sums over the examples.

    Attributes
    ----------
    cost : array ()
        Cost per example; leading axes stay.
    errors : array (n2, 1) or (1, 1)
        Sum of the output's errors, such as the number of wrong answers.
    """

    cost: Array
    errors: Array


def sigmoid(z: Array, *, xp: Any) -> Array:
    """Return g(z) = 1 / (1 + exp(-z)) element by element, in the shape and dtype of z.

    Where exp(-z) overflows to infinity the quotient is 0, the right limit; NumPy may warn about the overflow.
    """
    return 1 / (1 + xp.exp(-z))


def binary_cross_entropy(z2: Array, y: Array, m: Any, *, xp: Any) -> Array:
    """Return -(y log(yhat) + (1 - y) log(1 - yhat)) / m for yhat = g(z2), in nats, of each output and example.

    Notes
    -----
    The article's term is log(1 + exp(z2)) - y z2. Written with abs(z2) the exponential cannot overflow and no logarithm
    of 0 is taken. Here and below, terms are divided by m before they are added, because the sum alone might overflow.
    """
    return (xp.log1p(xp.exp(-xp.abs(z2))) + (0.5 * xp.abs(z2) - (y - 0.5) * z2)) / m


def wrong_outputs(yhat: Array, y: Array, *, xp: Any) -> Array:
    """Return 0 where (yhat >= 0.5) equals y, else 1."""
    return xp.where(yhat >= 0.5, 1 - y, y)


def softmax(z: Array, *, xp: Any) -> Array:
    """Return exp(z) divided by its sum over the rows, in the shape and dtype of z."""
    terms = xp.exp(z - xp.max(z, axis=-2, keepdims=True))
    return terms / xp.sum(terms, axis=-2, keepdims=True)


def categorical_cross_entropy(z2: Array, y: Array, m: Any, *, xp: Any) -> Array:
    """Return -log(yhat) / m of the true class for yhat = softmax(z2), in nats, as shares (n2, m) of its examples' rows.

    Notes
    -----
    With t the largest of z2 it is log(sum(exp(z2 - t))) + t - z2. Of the sum, the largest term, 1, is left to log1p;
    among rows that are equally large, all but one are counted.
    """
    top = xp.max(z2, axis=-2, keepdims=True)
    below = z2 < top
    rest = xp.sum(xp.where(below, xp.exp(z2 - top), 0 * y), axis=-2, keepdims=True)
    others = xp.sum(xp.where(below, 0 * y, 1 + 0 * y), axis=-2, keepdims=True) - 1
    return y * (xp.log1p(rest + others) / m) + xp.where(y > 0.5, top / m - z2 / m, 0 * y)


def wrong_classes(yhat: Array, y: Array, *, xp: Any) -> Array:
    """Return a row with 0 where the first of the largest outputs is the true class, else 1."""
    one = xp.sum(y, axis=-2, keepdims=True)
    chosen, true = (xp.argmax(values, axis=-2, keepdims=True) for values in (yhat, y))
    return xp.where(chosen == true, 0 * one, one)


def identity(z: Array, *, xp: Any) -> Array:
    """Return z."""
    return z


def half_squared_error(z2: Array, y: Array, m: Any, *, xp: Any) -> Array:
    """Return (z2 - y)**2 / (2 m) of each output and example."""
    return 0.5 * (z2 - y) * ((z2 - y) / m)


def squared_error(yhat: Array, y: Array, *, xp: Any) -> Array:
    """Return (yhat - y)**2."""
    return (yhat - y) * (yhat - y)


def outside(fold: Array, held_out: Any, *, xp: Any) -> Array:
    """Return 1 for an example of another fold than the one held out, else 0."""
    return xp.where(fold == held_out, 0 * fold, 0 * fold + 1)


class Output(NamedTuple):
    """What the output layer gives, and how far that is from the truth.

    Attributes
    ----------
    name : str
        What users call it.
    g : callable
        ``g(z2, xp=xp)`` returns yhat.
    loss : callable
        ``loss(z2, y, m, xp=xp)`` returns terms whose sum is the cost; their gradient at z2 is (yhat - y) / m.
    errors : callable
        ``errors(yhat, y, xp=xp)`` returns what accuracy or R² is computed from, a row or a row for each output.
    """

    name: str
    g: Callable[..., Array]
    loss: Callable[..., Array]
    errors: Callable[..., Array]


SIGMOID = Output("sigmoid", sigmoid, binary_cross_entropy, wrong_outputs)
SOFTMAX = Output("softmax", softmax, categorical_cross_entropy, wrong_classes)
IDENTITY = Output("identity", identity, half_squared_error, squared_error)
OUTPUTS = {output.name: output for output in (SIGMOID, SOFTMAX, IDENTITY)}


def forward(params: Params, X: Array, *, output: Output = SIGMOID, xp: Any) -> Layers:
    """Return the output of both layers.

    Parameters
    ----------
    params : Params
        The network, floating point.
    X : array (n0, m)
        One example per column, same dtype.
    output : Output
        What kind of network it is; by default the article's.
    xp : array module
        The module that the arrays belong to.

    Returns
    -------
    Layers
        z1, f1 of shape (n1, m) and z2, yhat of shape (n2, m).

    Examples
    --------
    >>> import numpy as np
    >>> from nn_backend import init_params
    >>> layers = forward(init_params(3, 4, seed=3, factor=0.1), np.array([[7.0], [8.0], [10.0]]), xp=np)
    >>> round(float(layers.yhat[0, 0]), 3)
    0.521
    """
    w1, b1, w2, b2 = params
    z1 = w1 @ X + b1
    f1 = sigmoid(z1, xp=xp)
    z2 = w2 @ f1 + b2
    yhat = output.g(z2, xp=xp)
    return Layers(z1, f1, z2, yhat)


def cost(z2: Array, y: Array, m: float, *, output: Output = SIGMOID, weights: Any = 1, xp: Any) -> Array:
    """Return the cost E in nats per example: of the article, -sum(y log(yhat) + (1 - y) log(1 - yhat)) / m.

    Parameters
    ----------
    z2 : array (n2, m)
        Weighted input of the output layer.
    y : array (n2, m)
        True values: 0 or 1, with one 1 in each column for softmax; numbers for identity.
    m : float
        Number of examples to divide by; for a block of columns that of the whole set, so that blocks' shares add up.
    output, weights
        As in `gradient`.

    Returns
    -------
    array ()
        The cost, summed over the outputs; leading axes stay. It is finite wherever the exact cost is representable.
    """
    return xp.sum(output.loss(z2, y, m / weights, xp=xp), axis=(-2, -1))


def tally(
    params: Params, X: Array, y: Array, m: float, *, output: Output = SIGMOID, weights: Any = 1, xp: Any
) -> Tally:
    """Return the cost of the network on the examples, and the sum of the output's errors.

    Parameters
    ----------
    params, X, y, m, output, weights
        As in `gradient`.
    """
    layers = forward(params, X, output=output, xp=xp)
    errors = xp.sum(output.errors(layers.yhat, y, xp=xp) * weights, axis=-1, keepdims=True)
    return Tally(cost(layers.z2, y, m, output=output, weights=weights, xp=xp), errors)


def backward(params: Params, layers: Layers, X: Array, y: Array, m: float, *, weights: Any = 1, xp: Any) -> Params:
    """Return the gradient of the cost by equations (1) to (3) and (6) to (8).

    Parameters
    ----------
    params : Params
        The network that ``layers`` was computed with.
    layers : Layers
        What `forward` gave for X.
    X : array (n0, m)
        One example per column.
    y, m
        As in `cost`.
    weights : array (1, m) or 1
        How often each example counts.

    Returns
    -------
    Params
        dw1, db1, dw2, db2 in the shapes of w1, b1, w2, b2.
    """
    _, f1, _, yhat = layers
    dz2 = (yhat - y) * weights  # (1), of an example as often as it counts
    dw2 = dz2 @ xp.matrix_transpose(f1) / m  # (2)
    db2 = xp.sum(dz2, axis=-1, keepdims=True) / m  # (3)
    dz1 = (xp.matrix_transpose(params.w2) @ dz2) * (1 - f1) * f1  # (6)
    dw1 = dz1 @ xp.matrix_transpose(X) / m  # (7)
    db1 = xp.sum(dz1, axis=-1, keepdims=True) / m  # (8), keepdims as in (3): b1 stays a column
    return Params(dw1, db1, dw2, db2)


def gradient(
    params: Params, X: Array, y: Array, m: float, *, output: Output = SIGMOID, weights: Any = 1, xp: Any
) -> Params:
    """Return the gradient of the cost at the parameters: a forward pass, then `backward`.

    Parameters
    ----------
    params : Params
        The network.
    X : array (n0, m)
        One example per column.
    y, m
        As in `cost`.
    output : Output
        What kind of network it is; by default the article's.
    weights : array (1, m) or 1
        How often each example counts.

    Returns
    -------
    Params
        dw1, db1, dw2, db2 in the shapes of w1, b1, w2, b2: of the mean over the examples.
    """
    return backward(params, forward(params, X, output=output, xp=xp), X, y, m, weights=weights, xp=xp)


def penalise(gradients: Params, params: Params, alpha: Any, m: float) -> Params:
    """Return the gradient with that of the penalty alpha / (2 m) * sum(w**2) on the weights, not on biases."""
    return gradients._replace(
        w1=gradients.w1 + alpha * params.w1 / m,
        w2=gradients.w2 + alpha * params.w2 / m,
    )


def update(params: Params, gradients: Params, learning_rate: float) -> Params:
    """Return the parameters after one step of gradient descent, equations (4), (5), (9) and (10).

    Parameters
    ----------
    params, gradients : Params
        The old parameters and what `backward` gave at them.
    learning_rate : float or array
        Step width; a Python float, so that float32 stays float32, or (..., 1, 1) with one for each network.
    """
    w1, b1, w2, b2 = params
    dw1, db1, dw2, db2 = gradients
    return Params(
        w2=w2 - learning_rate * dw2,  # (4)
        b2=b2 - learning_rate * db2,  # (5)
        w1=w1 - learning_rate * dw1,  # (9)
        b1=b1 - learning_rate * db1,  # (10)
    )

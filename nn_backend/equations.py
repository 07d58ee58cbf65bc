"""The article's ten equations: one training step of a network with one hidden layer of sigmoids.

Everything here is a pure function of arrays. ``xp`` is the array module they belong to: NumPy, CuPy, any other that
follows the array API standard, or a recorder. Examples stand in columns: n0 inputs, n1 hidden units, n2 outputs, m
examples. A leading axis of networks may stand before the last two axes of the parameters; it is carried through.
"""

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
        Binary cross-entropy in nats, divided by the number of examples.
    correct : array ()
        Number of outputs on the right side of 0.5.
    """

    cost: Array
    correct: Array


def sigmoid(z: Array, *, xp: Any) -> Array:
    """Return g(z) = 1 / (1 + exp(-z)) element by element, in the shape and dtype of z.

    Where exp(-z) overflows to infinity the quotient is 0, the right limit; NumPy may warn about the overflow.
    """
    return 1 / (1 + xp.exp(-z))


def forward(params: Params, X: Array, *, xp: Any) -> Layers:
    """Return the output of both layers.

    Parameters
    ----------
    params : Params
        The network, floating point.
    X : array (n0, m)
        One example per column, same dtype.
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
    yhat = sigmoid(z2, xp=xp)
    return Layers(z1, f1, z2, yhat)


def cost(z2: Array, y: Array, m: float, *, xp: Any) -> Array:
    """Return the binary cross-entropy E = -sum(y log(yhat) + (1 - y) log(1 - yhat)) / m in nats per example.

    Parameters
    ----------
    z2 : array (n2, m)
        Weighted input of the output layer.
    y : array (n2, m)
        True values, 0 or 1.
    m : float
        Number of examples to divide by; for a block of columns that of the whole set, so that blocks' shares add up.

    Returns
    -------
    array ()
        The cost, summed over the outputs; leading axes stay.

    Notes
    -----
    With yhat = g(z2) a term of the article's sum is log(1 + exp(z2)) - y z2. Written with abs(z2) the exponential
    cannot overflow and no logarithm of 0 is taken, so the cost is finite for every finite z2. Each term is divided by
    m before it is added, because the sum alone might overflow.
    """
    terms = xp.log1p(xp.exp(-xp.abs(z2))) + (0.5 * xp.abs(z2) - (y - 0.5) * z2)
    return xp.sum(terms / m, axis=(-2, -1))


def count_correct(yhat: Array, y: Array, *, xp: Any) -> Array:
    """Count the elements where (yhat >= 0.5) equals y, as an array () in the dtype of y.

    Parameters
    ----------
    yhat, y : array (n2, m)
        Outputs of the network and true values (0 or 1).
    """
    return xp.sum(xp.where(yhat >= 0.5, y, 1 - y), axis=(-2, -1))


def tally(params: Params, X: Array, y: Array, m: float, *, xp: Any) -> Tally:
    """Return `cost` and `count_correct` of the network on the examples.

    Parameters
    ----------
    params, X, y, m
        As in `backward`.
    """
    layers = forward(params, X, xp=xp)
    return Tally(cost(layers.z2, y, m, xp=xp), count_correct(layers.yhat, y, xp=xp))


def backward(params: Params, layers: Layers, X: Array, y: Array, m: float, *, xp: Any) -> Params:
    """Return the gradient of the cost by equations (1) to (3) and (6) to (8).

    Parameters
    ----------
    params : Params
        The network that ``layers`` was computed with.
    layers : Layers
        What `forward` gave for X.
    X : array (n0, m)
        One example per column.
    y : array (n2, m)
        True values, 0 or 1.
    m : float
        Number of examples to divide by; for a block of columns that of the whole set, so that blocks' shares add up.

    Returns
    -------
    Params
        dw1, db1, dw2, db2 in the shapes of w1, b1, w2, b2.
    """
    _, f1, _, yhat = layers
    dz2 = yhat - y  # (1)
    dw2 = dz2 @ xp.matrix_transpose(f1) / m  # (2)
    db2 = xp.sum(dz2, axis=-1, keepdims=True) / m  # (3)
    dz1 = (xp.matrix_transpose(params.w2) @ dz2) * (1 - f1) * f1  # (6)
    dw1 = dz1 @ xp.matrix_transpose(X) / m  # (7)
    db1 = xp.sum(dz1, axis=-1, keepdims=True) / m  # (8), keepdims as in (3): b1 stays a column
    return Params(dw1, db1, dw2, db2)


def gradient(params: Params, X: Array, y: Array, m: float, *, xp: Any) -> Params:
    """Return the gradient of the cost at the parameters: a forward pass, then `backward`.

    Parameters
    ----------
    params, X, y, m
        As in `backward`.

    Returns
    -------
    Params
        dw1, db1, dw2, db2 in the shapes of w1, b1, w2, b2; sums over the examples.
    """
    return backward(params, forward(params, X, xp=xp), X, y, m, xp=xp)


def update(params: Params, gradients: Params, learning_rate: float) -> Params:
    """Return the parameters after one step of gradient descent, equations (4), (5), (9) and (10).

    Parameters
    ----------
    params, gradients : Params
        The old parameters and what `backward` gave at them.
    learning_rate : float
        Step width, a Python float so that float32 stays float32.
    """
    w1, b1, w2, b2 = params
    dw1, db1, dw2, db2 = gradients
    return Params(
        w2=w2 - learning_rate * dw2,  # (4)
        b2=b2 - learning_rate * db2,  # (5)
        w1=w1 - learning_rate * dw1,  # (9)
        b1=b1 - learning_rate * db1,  # (10)
    )

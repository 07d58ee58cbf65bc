"""A network's parameters: drawing them, checking them against data, and asking the network."""

import math
from typing import Any

import numpy as np

from nn_backend import engines
from nn_backend.backend import Backend, dtype_name, get_backend
from nn_backend.engines.engine import Examples, Method, Score
from nn_backend.equations import OUTPUTS, Output, Params
from nn_backend.errors import ArgumentError, ArrayTypeError, DataError
from nn_backend.optimizers import State

DTYPES = ("float64", "float32")
MAX_SIZE = 2**31 - 1


def init_params(
    n_inputs: int, n_hidden: int, n_outputs: int = 1, *, seed: int = 3, factor: float = 0.01, dtype: str = "float64"
) -> Params:
    """Draw the initial parameters as the article does: small normal weights, biases zero.

    Parameters
    ----------
    n_inputs, n_hidden, n_outputs : int
        n0, n1 and n2, each at least 1.
    seed : int
        Seed of NumPy's legacy generator, from 0 to 2**32 - 1.
    factor : float
        Standard deviation of the weights.
    dtype : str
        ``"float64"`` or ``"float32"``; the numbers are drawn in float64 and then rounded.

    Returns
    -------
    Params
        NumPy arrays w1 (n1, n0), b1 (n1, 1), w2 (n2, n1), b2 (n2, 1).

    Examples
    --------
    >>> init_params(3, 4, seed=3, factor=0.1).w1[0].round(3)
    array([0.179, 0.044, 0.01 ])
    """
    for name, size in (("n_inputs", n_inputs), ("n_hidden", n_hidden), ("n_outputs", n_outputs)):
        if not 1 <= size <= MAX_SIZE:
            raise ArgumentError(f"{name} is {size}; expected 1 to {MAX_SIZE}")
    if not 0 <= seed < 2**32:
        raise ArgumentError(f"seed is {seed}; expected a whole number from 0 to {2**32 - 1}")
    if not np.isfinite(factor):
        raise ArgumentError(f"factor is {factor}; expected a finite number")
    if dtype not in DTYPES:
        raise ArgumentError(f"dtype is {dtype!r}; accepted: {', '.join(DTYPES)}")
    generator = np.random.RandomState(seed)
    with np.errstate(over="ignore"):
        w1 = (generator.randn(n_hidden, n_inputs) * factor).astype(dtype)
        w2 = (generator.randn(n_outputs, n_hidden) * factor).astype(dtype)
    if not (np.isfinite(w1).all() and np.isfinite(w2).all()):
        raise ArgumentError(f"factor is {factor}; the weights would not be finite in {dtype}")
    return Params(w1, np.zeros((n_hidden, 1), dtype), w2, np.zeros((n_outputs, 1), dtype))


def get_output(output: str) -> Output:
    """Return what a kind of output is by its name: ``"sigmoid"``, ``"softmax"`` or ``"identity"``."""
    if output not in OUTPUTS:
        raise ArgumentError(f"output {output!r} is not known; accepted: {', '.join(OUTPUTS)}")
    return OUTPUTS[output]


def predict_proba(
    params: Params, X: Any, *, output: str = "sigmoid", backend: str | Backend | None = None
) -> np.ndarray:
    """Return the network's output yhat for each example.

    Parameters
    ----------
    params : Params
        The network; its dtype is that of the result. Leading axes are as many networks.
    X : array (n0, m)
        One example per column.
    output : str
        What kind of network it is: ``"sigmoid"``, ``"softmax"`` or ``"identity"``.
    backend : str or Backend, optional
        Where to compute, as in `get_backend`.

    Returns
    -------
    ndarray (n2, m)
        Probability that the true value is 1, or of each class, or the number predicted, after the leading axes;
        computed in chunks of bounded memory.

    Raises
    ------
    DataError, ArrayTypeError, BackendUnavailableError
        If the arrays do not fit the network, or the backend cannot run here.
    """
    return compute_layer("yhat", params, X, get_backend(backend), get_output(output))


def compute_layer(layer: str, params: Params, X: Any, backend: Backend, output: Output) -> np.ndarray:
    """Check params and X (n0, m), and return ``"yhat"`` or ``"z2"`` (..., n2, m) of all examples."""
    params = place_params(params, backend)
    examples = place_examples(params, X, None, backend)
    engine = engines.bind("auto", examples, params, backend=backend, method=Method(output), tasks=(layer,))
    return engine.predict(engine.start(State(params, {})), layer)


def predict(params: Params, X: Any, *, output: str = "sigmoid", backend: str | Backend | None = None) -> np.ndarray:
    """Return the most probable value for each example, or the number predicted.

    Parameters
    ----------
    params, X, output, backend
        As in `predict_proba`.

    Returns
    -------
    ndarray (n2, m)
        Of sigmoid outputs, 1 where `predict_proba` is at least 0.5, else 0; of softmax, 1 for the first of the most
        probable classes, else 0; of identity, what `predict_proba` returns. In the dtype of the parameters.
    """
    yhat = predict_proba(params, X, output=output, backend=backend)
    if output == "identity":
        return yhat
    if output == "softmax":
        classes = np.arange(yhat.shape[-2])[:, None]
        chosen = classes == yhat.argmax(axis=-2, keepdims=True)
    else:
        chosen = yhat >= 0.5
    return np.asarray(chosen, yhat.dtype)


def score(
    params: Params,
    X: Any,
    y: Any,
    *,
    output: str = "sigmoid",
    weights: Any = None,
    backend: str | Backend | None = None,
) -> Score:
    """Return cost and accuracy, or R², of the network on a data set.

    Parameters
    ----------
    params : Params
        The network.
    X : array (n0, m)
        One example per column.
    y : array (n2, m)
        True values: 0 or 1, with one 1 in each column for softmax; numbers for identity.
    output : str
        What kind of network it is: ``"sigmoid"``, ``"softmax"`` or ``"identity"``.
    weights : array (m,), optional
        How often each example counts.
    backend : str or Backend, optional
        Where to compute, as in `get_backend`.

    Returns
    -------
    Score
        Cost per example, accuracy, and R².

    Examples
    --------
    >>> from nn_backend import load_marks
    >>> X, y = load_marks()
    >>> round(score(init_params(3, 4, seed=3, factor=0.01), X[:, :300], y[:, :300]).accuracy, 2)
    0.67
    """
    place = get_backend(backend)
    params, kind = place_params(params, place), get_output(output)
    examples = place_examples(params, X, y, place, kind, weights)
    engine = engines.bind("auto", examples, params, backend=place, method=Method(kind), tasks=("score",))
    return engine.score(engine.start(State(params, {})))


def place_params(params: Params, backend: Backend) -> Params:
    """Check the parameters' shapes, dtype and values, and move them to the backend."""
    try:
        w1, b1, w2, b2 = params
    except (TypeError, ValueError):
        raise ArrayTypeError(f"params is {type(params).__name__}; expected Params(w1, b1, w2, b2)") from None
    placed = Params(*(backend.asarray(array) for array in (w1, b1, w2, b2)))
    shapes = {name: tuple(array.shape) for name, array in zip(Params._fields, placed, strict=True)}
    lead, n1, n0 = shapes["w1"][:-2], shapes["w1"][-2:-1], shapes["w1"][-1:]
    n2 = shapes["w2"][-2:-1]
    expected = {"w1": lead + n1 + n0, "b1": lead + n1 + (1,), "w2": lead + n2 + n1, "b2": lead + n2 + (1,)}
    if shapes != expected or 0 in lead + n0 + n1 + n2:
        given = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise DataError(
            f"the parameters have shapes {given}; expected w1 (n1, n0), b1 (n1, 1), w2 (n2, n1), b2 (n2, 1)"
        )
    dtypes = {dtype_name(array) for array in placed}
    if len(dtypes) > 1 or not dtypes <= set(DTYPES):
        raise DataError(f"the parameters' dtypes are {', '.join(sorted(dtypes))}; expected all float64 or all float32")
    with backend.current():
        for name, array in zip(Params._fields, placed, strict=True):
            if not backend.xp.all(backend.xp.isfinite(array)):
                raise DataError(f"{name} holds NaN or infinity; expected finite parameters")
    return placed


def place_examples(
    params: Params,
    X: Any,
    y: Any,
    backend: Backend,
    output: Output = OUTPUTS["sigmoid"],
    weights: Any = None,
) -> Examples:
    """Check X, and y and weights, where given, against the network; move them to the backend in the network's dtype."""
    n0, n2, dtype = params.w1.shape[-1], params.w2.shape[-2], dtype_name(params.w1)
    with np.errstate(over="ignore"):
        X = backend.asarray(X, dtype)
    shape = tuple(X.shape)
    if len(shape) != 2 or shape[0] != n0:
        remedy = " Pass X.T." if shape[1:] == (n0,) else ""
        raise DataError(f"X has shape {shape}; expected (n0, m) with n0 = {n0}, one example per column.{remedy}")
    if shape[1] == 0:
        raise DataError(f"X has shape {shape}; expected at least one example")
    with backend.current():
        if not backend.xp.all(backend.xp.isfinite(X)):
            raise DataError(f"X holds NaN or infinity (as {dtype}); expected finite numbers")
        if y is None:
            return Examples(X)
        y = backend.asarray(y, dtype)
        expected, shape = (n2, shape[1]), tuple(y.shape)
        if shape != expected:
            remedy = " Pass y.reshape(1, -1)." if n2 == 1 and shape in ((expected[1],), expected[::-1]) else ""
            raise DataError(f"y has shape {shape}; expected (n2, m) = {expected}.{remedy}")
        if output.name == "identity":
            if not backend.xp.all(backend.xp.isfinite(y)):
                raise DataError(f"y holds NaN or infinity (as {dtype}); expected finite numbers")
        elif not backend.xp.all((y == 0) | (y == 1)):
            raise DataError("y holds values other than 0 and 1; expected only these")
        if output.name == "softmax" and not backend.xp.all(backend.xp.sum(y, axis=0) == 1):
            raise DataError("y has columns without a single 1; output 'softmax' expects each example's class as one 1")
        total = None
        if weights is not None:
            weights, total = _place_weights(weights, shape[1], backend, dtype)
        spread = _spread(backend.to_numpy(y), weights, backend) if output.name == "identity" else None
    return Examples(X, y, weights, total, spread)


def _place_weights(weights: Any, m: int, backend: Backend, dtype: str) -> tuple[Any, float]:
    """Check weights, and return them as a row on the backend, and their sum."""
    weights = backend.asarray(weights, dtype)
    if tuple(weights.shape) != (m,):
        raise DataError(f"weights have shape {tuple(weights.shape)}; expected (m,) = ({m},)")
    given = backend.to_numpy(weights)
    if not (np.isfinite(given) & (given >= 0)).all():
        raise DataError(f"weights hold negative numbers, NaN or infinity (as {dtype}); expected numbers, at least 0")
    try:
        total = math.fsum(given.tolist())
    except OverflowError:
        total = math.inf
    if not 0 < total < np.finfo(dtype).max:
        raise DataError(f"the weights' sum is {total:g}; expected a number above 0 that {dtype} can hold")
    return weights[None, :], total


def _spread(y: np.ndarray, weights: Any, backend: Backend) -> np.ndarray:
    """Return the weighted sum of squares of y (n2, m) around its mean, of each output."""
    share = np.ones(y.shape[1]) if weights is None else backend.to_numpy(weights)[0].astype(np.float64)
    y, share = y[:, share > 0].astype(np.float64), share[share > 0]
    mean = np.average(y, axis=1, weights=share, keepdims=True)
    mean = np.clip(mean, y.min(axis=1, keepdims=True), y.max(axis=1, keepdims=True))  # of a constant y, y itself
    spread: np.ndarray = np.sum(share * (y - mean) ** 2, axis=1)
    return spread

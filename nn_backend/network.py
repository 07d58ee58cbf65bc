"""A network's parameters: drawing them, checking them against data, and asking the network."""

from typing import Any

import numpy as np

from nn_backend import engines
from nn_backend.backend import Backend, dtype_name, get_backend
from nn_backend.engines.engine import Examples, Score
from nn_backend.equations import Params
from nn_backend.errors import ArgumentError, ArrayTypeError, DataError

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


def predict_proba(params: Params, X: Any, *, backend: str | Backend | None = None) -> np.ndarray:
    """Return the network's output yhat for each example.

    Parameters
    ----------
    params : Params
        The network; its dtype is that of the result. Leading axes are as many networks.
    X : array (n0, m)
        One example per column.
    backend : str or Backend, optional
        Where to compute, as in `get_backend`.

    Returns
    -------
    ndarray (n2, m)
        Probability that the true value is 1, after the leading axes; computed in chunks of bounded memory.

    Raises
    ------
    DataError, ArrayTypeError, BackendUnavailableError
        If the arrays do not fit the network, or the backend cannot run here.
    """
    return compute_layer("yhat", params, X, get_backend(backend))


def compute_layer(layer: str, params: Params, X: Any, backend: Backend) -> np.ndarray:
    """Check params and X (n0, m), and return ``"yhat"`` or ``"z2"`` (..., n2, m) of all examples."""
    params = place_params(params, backend)
    examples = place_examples(params, X, None, backend)
    engine = engines.bind("auto", examples, params, backend=backend, tasks=(layer,))
    return engine.predict(engine.start(params), layer)


def predict(params: Params, X: Any, *, backend: str | Backend | None = None) -> np.ndarray:
    """Return the more probable value for each example.

    Parameters
    ----------
    params, X, backend
        As in `predict_proba`.

    Returns
    -------
    ndarray (n2, m)
        1 where `predict_proba` is at least 0.5, else 0, in the dtype of the parameters.
    """
    yhat = predict_proba(params, X, backend=backend)
    return (yhat >= 0.5).astype(yhat.dtype)


def score(params: Params, X: Any, y: Any, *, backend: str | Backend | None = None) -> Score:
    """Return cost and accuracy of the network on a data set.

    Parameters
    ----------
    params : Params
        The network.
    X : array (n0, m)
        One example per column.
    y : array (n2, m)
        True values, 0 or 1.
    backend : str or Backend, optional
        Where to compute, as in `get_backend`.

    Returns
    -------
    Score
        Cost in nats per example, and the share of outputs on the right side of 0.5.

    Examples
    --------
    >>> from nn_backend import load_marks
    >>> X, y = load_marks()
    >>> round(score(init_params(3, 4, seed=3, factor=0.01), X[:, :300], y[:, :300]).accuracy, 2)
    0.67
    """
    place = get_backend(backend)
    params = place_params(params, place)
    examples = place_examples(params, X, y, place)
    engine = engines.bind("auto", examples, params, backend=place, tasks=("score",))
    return engine.score(engine.start(params))


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


def place_examples(params: Params, X: Any, y: Any, backend: Backend) -> Examples:
    """Check X and y, where it is given, against the network, and move them to the backend in the parameters' dtype."""
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
        if not backend.xp.all((y == 0) | (y == 1)):
            raise DataError("y holds values other than 0 and 1; expected only these")
    return Examples(X, y)

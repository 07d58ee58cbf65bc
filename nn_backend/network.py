"""A network's parameters: drawing them, checking them against data, and asking the network."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nn_backend import engines
from nn_backend.backend import Backend, dtype_name, get_backend
from nn_backend.checks import SEED, SIZE, Number, check, check_array, choose
from nn_backend.engines.engine import Method, Score
from nn_backend.equations import OUTPUTS, Output, Params
from nn_backend.errors import ArgumentError, ArrayTypeError, DataError
from nn_backend.examples import place_examples, whole_numbers
from nn_backend.optimizers import State

DTYPES = ("float64", "float32")


def init_params(
    n_inputs: int,
    n_hidden: int,
    n_outputs: int = 1,
    *,
    seed: int | Sequence[int] = 3,
    factor: float | Sequence[float] = 0.01,
    dtype: str = "float64",
) -> Params:
    """Draw the initial parameters as the article does: small normal weights, biases zero.

    Parameters
    ----------
    n_inputs, n_hidden, n_outputs : int
        n0, n1 and n2, each at least 1.
    seed : int or sequence of int
        Seed of NumPy's legacy generator, from 0 to 2**32 - 1. Of a sequence, each has a network.
    factor : float or sequence of float
        Standard deviation of the weights; a sequence as long as that of seeds, or alone.
    dtype : str
        ``"float64"`` or ``"float32"``; the numbers are drawn in float64 and then rounded.

    Returns
    -------
    Params
        NumPy arrays w1 (n1, n0), b1 (n1, 1), w2 (n2, n1), b2 (n2, 1); of sequences, with a leading axis.

    Examples
    --------
    >>> init_params(3, 4, seed=3, factor=0.1).w1[0].round(3)
    array([0.179, 0.044, 0.01 ])
    >>> init_params(3, 4, seed=range(10)).w1.shape
    (10, 4, 3)
    """
    n_inputs, n_hidden, n_outputs = (
        check(name, size, SIZE)
        for name, size in (("n_inputs", n_inputs), ("n_hidden", n_hidden), ("n_outputs", n_outputs))
    )
    seeds, factors = check_array("seed", seed, SEED), check_array("factor", factor, Number())
    choose("dtype", dtype, DTYPES)
    if 0 in (seeds.size, factors.size):
        raise ArgumentError("seed or factor is an empty sequence; expected at least one of each")
    try:
        lead = np.broadcast_shapes(seeds.shape, factors.shape)
    except ValueError:
        raise ArgumentError(
            f"there are {seeds.size} seeds and {factors.size} factors; expected as many, or one of either"
        ) from None
    generator, drawn = np.random.RandomState(), np.empty((*lead, n_hidden * (n_inputs + n_outputs)))
    for at, one in zip(np.ndindex(lead), np.broadcast_to(seeds, lead).ravel().tolist(), strict=True):
        generator.seed(one)
        drawn[at] = generator.randn(drawn.shape[-1])
    with np.errstate(over="ignore"):
        drawn = (drawn * factors[..., None]).astype(dtype)
    if not np.isfinite(drawn).all():
        raise ArgumentError(f"factor is {factor}; the weights would not be finite in {dtype}")
    w1, w2 = np.split(drawn, [n_hidden * n_inputs], axis=-1)
    b1, b2 = np.zeros((*lead, n_hidden, 1), dtype), np.zeros((*lead, n_outputs, 1), dtype)
    return Params(w1.reshape(*lead, n_hidden, n_inputs), b1, w2.reshape(*lead, n_outputs, n_hidden), b2)


def get_output(output: str) -> Output:
    """Return what a kind of output is by its name: ``"sigmoid"``, ``"softmax"`` or ``"identity"``."""
    return OUTPUTS[choose("output", output, OUTPUTS)]


def predict_proba(
    params: Params,
    X: Any,
    *,
    output: str = "sigmoid",
    network: Any = None,
    backend: str | Backend | None = None,
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
    network : array (m,) of int, optional
        Which network each example asks, by its number in the last leading axis; by default each asks all.
    backend : str or Backend, optional
        Where to compute, as in `get_backend`.

    Returns
    -------
    ndarray (..., n2, m)
        Probability that the true value is 1, or of each class, or the number predicted, after the leading axes; with
        ``network``, without the last of these. Computed in chunks of bounded memory.

    Raises
    ------
    DataError, ArrayTypeError, BackendUnavailableError
        If the arrays do not fit the network, or the backend cannot run here.
    """
    return compute_layer("yhat", params, X, get_backend(backend), get_output(output), network)


def compute_layer(
    layer: str, params: Params, X: Any, backend: Backend, output: Output, network: Any = None
) -> np.ndarray:
    """Check what `predict_proba` takes, and return a layer of all examples; see `Engine.predict`."""
    params = place_params(params, backend)
    if network is not None:  # those that no example asks are left out
        several = params if params.w1.ndim > 2 else Params(*(array[None] for array in params))
        asked = whole_numbers("network", network, np.shape(X)[-1:], several.w1.shape[-3])
        asked, network = np.unique(asked, return_inverse=True)
        params = Params(*(array[..., asked, :, :] for array in several))
    examples = place_examples(params, X, None, backend, network=network)
    engine = engines.bind("auto", examples, params, backend=backend, method=Method(output), tasks=(layer,))
    values = engine.predict(engine.start(State(params, {})), layer)
    if examples.order is None:
        return values
    stands = examples.order >= 0
    given = np.empty((*values.shape[:-1], np.count_nonzero(stands)), values.dtype)
    given[..., examples.order[stands]] = values[..., stands]
    return given


def predict(
    params: Params,
    X: Any,
    *,
    output: str = "sigmoid",
    network: Any = None,
    backend: str | Backend | None = None,
) -> np.ndarray:
    """Return the most probable value for each example, or the number predicted.

    Parameters
    ----------
    params, X, output, network, backend
        As in `predict_proba`.

    Returns
    -------
    ndarray (..., n2, m)
        Of sigmoid outputs, 1 where `predict_proba` is at least 0.5, else 0; of softmax, 1 for the first of the most
        probable classes, else 0; of identity, what `predict_proba` returns. In the dtype of the parameters.
    """
    yhat = predict_proba(params, X, output=output, network=network, backend=backend)
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
    network: Any = None,
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
    network : array (m,) of int, optional
        Which network each example asks, by its number in the last leading axis; by default each asks all.
    backend : str or Backend, optional
        Where to compute, as in `get_backend`.

    Returns
    -------
    Score
        Cost per example, accuracy, and R², of the leading shape.

    Examples
    --------
    >>> from nn_backend import load_marks
    >>> X, y = load_marks()
    >>> round(score(init_params(3, 4, seed=3, factor=0.01), X[:, :300], y[:, :300]).accuracy, 2)
    0.67
    """
    place = get_backend(backend)
    params, kind = place_params(params, place), get_output(output)
    examples = place_examples(params, X, y, place, kind, weights, network)
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

"""What is known of each example, checked against a network: which network it trains, and how often it counts."""

import math
from typing import Any

import numpy as np

from nn_backend.backend import Backend, dtype_name, get_backend
from nn_backend.checks import as_array
from nn_backend.engines.engine import Examples
from nn_backend.equations import SIGMOID, Output, Params
from nn_backend.errors import ArgumentError, DataError
from nn_backend.tables import exact_sums

ALIGNED = 32  # at whose multiples the examples of a network begin; see compiler.program.STRIP


def place_examples(
    params: Params,
    X: Any,
    y: Any,
    backend: Backend,
    output: Output = SIGMOID,
    weights: Any = None,
    network: Any = None,
    fold: Any = None,
    held_out: Any = None,
) -> Examples:
    """Check what there is of each example against the network; move it to the backend in the network's dtype.

    ``weights``, ``network``, ``fold`` and ``held_out`` are as in `fit`.
    """
    n0, n2, dtype = params.w1.shape[-1], params.w2.shape[-2], dtype_name(params.w1)
    with np.errstate(over="ignore"):
        X = backend.asarray(X, dtype)
    shape = tuple(X.shape)
    if len(shape) != 2 or shape[0] != n0:
        one = " Pass X.reshape(-1, 1)." if shape == (n0,) else ""
        remedy = " Pass X.T." if shape[1:] == (n0,) else one
        raise DataError(f"X has shape {shape}; expected (n0, m) with n0 = {n0}, one example per column.{remedy}")
    if shape[1] == 0:
        raise DataError(f"X has shape {shape}; expected at least one example")
    with backend.current():
        if not backend.xp.all(backend.xp.isfinite(X)):
            raise DataError(f"X holds NaN or infinity (as {dtype}); expected finite numbers")
        given = (weights, network, fold, held_out)
        if y is None:
            examples = Examples(X)
            return examples if network is None else _shared_out(examples, params.w1.shape[:-2], backend, output, *given)
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
        examples = Examples(X, y)
        if all(what is None for what in given) and output.name != "identity":
            return examples  # as most are
        return _shared_out(examples, params.w1.shape[:-2], backend, output, *given)


def _shared_out(
    examples: Examples,
    lead: tuple[int, ...],
    backend: Backend,
    output: Output,
    weights: Any,
    network: Any,
    fold: Any,
    held_out: Any,
) -> Examples:
    """Return examples with all that says which of them count how often in which network."""
    m, dtype = examples.X.shape[1], dtype_name(examples.X)
    if (fold is None) != (held_out is None):
        given, missing = ("held_out", "fold") if fold is None else ("fold", "held_out")
        raise ArgumentError(f"{given} is given without {missing}; expected both or neither")
    if network is not None and fold is not None:
        raise ArgumentError("network and fold are both given; expected one of them")
    shares = np.ones((1, m)) if weights is None else _check_weights(weights, m, lead, network, dtype)
    if fold is not None and len(shares) > 1:
        raise ArgumentError("fold is given and weights are (networks, m); expected weights (m,)")
    if weights is not None:
        weights = backend.asarray(shares.reshape(*lead, 1, m) if len(shares) > 1 else shares, dtype)
        examples = examples._replace(weights=weights)
    is_number = output.name == "identity" and examples.y is not None
    y = backend.to_numpy(examples.y).astype(np.float64) if is_number else None
    if network is not None:
        networks = lead[-1] if lead else 1
        order, spans = _in_order(whole_numbers("network", network, (m,), networks), networks)

        def sorted_out(array: np.ndarray) -> np.ndarray:
            found = np.take(array, order, axis=-1)
            found[..., order < 0] = 0
            return found

        arrays = examples.arrays().items()
        placed = {name: backend.asarray(sorted_out(backend.to_numpy(array))) for name, array in arrays}
        all_spans = np.broadcast_to(spans, (*lead, 2)).reshape(-1, 2)
        examples = examples._replace(**placed, spans=all_spans, order=order)
        ends, totals = np.cumsum(spans, axis=1).tolist(), spans[:, 1]
        if weights is not None or y is not None:
            shares = sorted_out(shares)
            totals = np.array([math.fsum(shares[0, first:last]) for first, last in ends])
        if y is not None:
            y = sorted_out(y)
            spreads = np.array([spread_of(y[:, first:last], shares[:, first:last])[0] for first, last in ends])
    elif fold is not None:
        fold = whole_numbers("fold", fold, (m,), 2**24)
        held_out = np.broadcast_to(whole_numbers("held_out", held_out, lead, 2**24, least=-1), lead)
        examples = examples._replace(fold=backend.asarray(fold[None], dtype), held_out=held_out)
        kinds, at = np.unique(held_out.ravel(), return_inverse=True)
        counting = shares * (fold != kinds[:, None])
        totals = exact_sums(counting)[:, 0][at]
        spreads = np.zeros(0) if y is None else spread_of(y, counting)[at]
    else:
        totals = exact_sums(shares)[:, 0]
        spreads = np.zeros(0) if y is None else spread_of(y, shares)
    totals = np.nan_to_num(totals.astype(np.float64), nan=np.inf)  # where the sum is beyond all numbers
    fits = (totals > 0) & (totals < np.finfo(dtype).max)
    if not fits.all():
        n = int(np.argmin(fits))
        whose = f" of network {n}" if len(totals) > 1 else ""
        raise DataError(f"the weights' sum{whose} is {totals[n]:g}; expected a number above 0 that {dtype} can hold")
    if len(totals) == 1:
        return examples._replace(total=float(totals[0]), spread=None if y is None else spreads[0])
    if network is None:
        totals, spreads = totals.reshape(lead), spreads.reshape(*lead, -1)
    return examples._replace(
        total=np.broadcast_to(totals, lead), spread=None if y is None else np.broadcast_to(spreads, (*lead, len(y)))
    )


def _check_weights(weights: Any, m: int, lead: tuple[int, ...], network: Any, dtype: str) -> np.ndarray:
    """Return weights as rows (1, m), or (networks, m), as they are in a dtype."""
    given = get_backend("cpu").asarray(weights, dtype).astype(np.float64)
    own = given.shape == (*lead, m) and bool(lead) and network is None
    if given.shape != (m,) and not own:
        networks = f" or {(*lead, m)}" if lead and network is None else ""
        raise DataError(f"weights have shape {given.shape}; expected (m,) = ({m},){networks}")
    if not (np.isfinite(given) & (given >= 0)).all():
        raise DataError(f"weights hold negative numbers, NaN or infinity (as {dtype}); expected numbers, at least 0")
    rows: np.ndarray = given.reshape(-1, m)
    return rows


def whole_numbers(name: str, values: Any, shape: tuple[int, ...], below: int, least: int = 0) -> np.ndarray:
    """Return an array of whole numbers of a shape."""
    array = as_array(values)
    if array.shape not in (shape, ()) or (array.shape != shape and name != "held_out"):
        raise DataError(f"{name} has shape {array.shape}; expected {shape}")
    if array.dtype.kind not in "iu" or not ((array >= least) & (array < below)).all():
        raise DataError(f"{name} holds something else than whole numbers from {least} to {below - 1}")
    return array.astype(np.int64)


def by_code(codes: np.ndarray, count: int) -> list[np.ndarray]:
    """Return the rows of each code from 0 to count - 1, in order."""
    return np.split(_in_order_of(codes), np.cumsum(np.bincount(codes, minlength=count))[:-1])


def _in_order_of(numbers: np.ndarray) -> np.ndarray:
    """Return where whole numbers stand, those of the lowest first, in order."""
    few = numbers.astype(np.uint16) if numbers.size and numbers.max() < 2**16 else numbers  # which NumPy sorts by radix
    return np.argsort(few, kind="stable")


def without_gaps(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which whole numbers occur, and of each the place among these: `numpy.unique` without sorting."""
    occurs = np.bincount(numbers) > 0
    return np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[numbers]


def _in_order(network: np.ndarray, networks: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which example stands where, -1 for none, those of each network together; and the spans of networks."""
    counts = np.bincount(network, minlength=networks)
    if not counts.all():
        raise DataError(f"network {int(np.argmin(counts))} has no example; expected at least one in each of {networks}")
    room = -(-counts // ALIGNED) * ALIGNED
    firsts = np.cumsum(room) - room
    given = _in_order_of(network)
    order = np.full(int(room.sum()), -1)
    order[np.arange(len(given)) + np.repeat(firsts - (np.cumsum(counts) - counts), counts)] = given
    return order, np.stack([firsts, counts], axis=1)


def spread_of(y: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return the weighted sum of squares of y (n2, m) around its mean, of each row of shares and output."""
    found = []
    for share in shares:
        truth, share = y[:, share > 0], share[share > 0]
        mean = np.average(truth, axis=1, weights=share, keepdims=True) if len(share) else np.zeros((len(y), 1))
        low, high = (truth.min(axis=1, keepdims=True), truth.max(axis=1, keepdims=True)) if len(share) else (0, 0)
        found.append(np.sum(share * (truth - np.clip(mean, low, high)) ** 2, axis=1))  # of a constant y, y itself
    return np.stack(found)

"""Runs the equations as they are written, operation by operation, on the arrays of any array module."""

import functools
import itertools
import math
import operator
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from nn_backend import equations
from nn_backend.backend import Backend, dtype_name
from nn_backend.engines.engine import MAX_COUNT, Examples, Score
from nn_backend.equations import Params

# Examples of a GPU's block: its widest layer has this size, so that data which fits the memory needs little beside it.
BLOCK_BYTES = 2**28


class EagerEngine:
    """The equations on the arrays of a backend, on all examples at once; on a GPU in blocks, to bound the memory.

    Parameters
    ----------
    examples : Examples
        What to train on or to ask about, on the backend.
    backend : Backend
        Where to compute.
    """

    name = "eager"
    seconds = 1.0

    def __init__(self, examples: Examples, *, backend: Backend) -> None:
        self.backend = backend
        self._examples = examples
        self._m = float(examples.X.shape[1])

    def start(self, params: Params) -> Params:
        """Take parameters, arrays of the engine's backend."""
        return params

    def descend(self, state: Params, iterations: int, numbers: Mapping[str, Any]) -> Params:
        """Return the state after that many updates; each number one for all networks, or of their leading shape."""
        rate = numbers["learning_rate"]
        with self._computing():
            if np.ndim(rate):
                rate = self.backend.asarray(np.reshape(rate, (*np.shape(rate), 1, 1)), dtype_name(state.w1))
            for _ in range(iterations):
                shares = (
                    equations.gradient(state, *block, self._m, xp=self.backend.xp) for block in self._blocks(state)
                )
                state = equations.update(state, functools.reduce(_add, shares), rate)
        return state

    def score(self, state: Params) -> Score:
        """Return cost and accuracy at a state."""

        def share(block: Examples) -> list[np.ndarray]:
            tally = equations.tally(state, *block, self._m, xp=self.backend.xp)
            return [self.backend.to_numpy(value).astype(np.float64) for value in tally]

        with self._computing():
            shares = list(map(share, self._blocks(state)))
        cost, correct = (functools.reduce(operator.add, parts) for parts in zip(*shares, strict=True))
        return Score.of(cost, correct / (self._m * state.w2.shape[-2]))

    def predict(self, state: Params, layer: str) -> np.ndarray:
        """Return a layer's values (..., n2, m) at a state: ``"yhat"`` or ``"z2"``."""
        with self._computing():
            layers = (equations.forward(state, block.X, xp=self.backend.xp) for block in self._blocks(state))
            return np.concatenate([self.backend.to_numpy(getattr(part, layer)) for part in layers], axis=-1)

    def params(self, state: Params) -> Params:
        """Return the parameters of a state as NumPy arrays."""
        return Params(*map(self.backend.to_numpy, state))

    def _blocks(self, state: Params) -> Iterator[Examples]:
        """Cut the examples into blocks of nearly equal size: that can be counted, and on a GPU fit its memory."""
        networks, (n1, n0), n2 = math.prod(state.w1.shape[:-2]), state.w1.shape[-2:], state.w2.shape[-2]
        columns = MAX_COUNT // n2
        if self.backend.xp is not np:
            columns = min(
                columns, BLOCK_BYTES // (np.dtype(dtype_name(state.w1)).itemsize * networks * max(n0, n1, n2))
            )
        m = self._examples.X.shape[1]
        count = min(m, -(-m // max(1, columns)))
        for first, last in itertools.pairwise(m * k // count for k in range(count + 1)):
            yield Examples(
                *(array if array is None or count == 1 else array[:, first:last] for array in self._examples)
            )

    @contextmanager
    def _computing(self) -> Iterator[None]:
        """Compute on the device; silent about exp(-z), which may overflow, as sigmoid wants."""
        with self.backend.current(), np.errstate(over="ignore", invalid="ignore"):
            yield


def _add(left: Params, right: Params) -> Params:
    return Params(*map(operator.add, left, right))

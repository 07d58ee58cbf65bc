"""Runs the equations as they are written, operation by operation, on the arrays of any array module."""

import functools
import itertools
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from nn_backend import equations
from nn_backend.backend import Backend, dtype_name
from nn_backend.engines.engine import MAX_COUNT, Examples, Method, Score, columns
from nn_backend.equations import Params
from nn_backend.optimizers import ENDINGS, State, advance, comparisons

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
    method : Method
        What is computed.
    """

    name = "eager"
    seconds = 1.0

    def __init__(self, examples: Examples, *, backend: Backend, method: Method = Method()) -> None:  # noqa: B008
        self.backend = backend
        self._xp = backend.xp
        self._examples = examples
        self._method = method

    def start(self, state: State) -> State:
        """Take a state, arrays of the engine's backend."""
        return state

    def state(self, state: State) -> State:
        """Return a state as NumPy arrays."""
        return State.of({name: self.backend.to_numpy(array) for name, array in state.arrays().items()})

    def descend(
        self, state: State, iterations: int, numbers: Mapping[str, Any], ended: np.ndarray | None = None
    ) -> tuple[State, np.ndarray, np.ndarray]:
        """Do that many updates, but of a network whose run ends no more; see `Engine`."""
        given = columns(numbers, self.backend, dtype_name(state.params.w1))
        ended = np.zeros(state.params.w1.shape[:-2], bool) if ended is None else ended
        ending, done = np.where(ended, "before", np.zeros(ended.shape, "U8")), np.zeros(ended.shape, np.int64)
        with self._computing():
            if "tol" not in numbers and not ended.any():  # then nothing need be looked at before the end
                reached = state
                for _ in range(iterations):
                    reached, gradients = self._advance(reached, given)
                if iterations == 0 or self._holding(reached, gradients, given)["diverged"].all():
                    return reached, done + iterations, ending
            for _ in range(iterations):  # again, if a network diverged on the way
                after, gradients = self._advance(state, given)
                for name, holding in self._holding(after, gradients, given).items():
                    ending[(ending == "") & (holding == ENDINGS[name])] = name
                going = ending == ""
                if not going.any():
                    break
                done += going
                if going.all():
                    state = after
                else:
                    taken = self.backend.asarray(going[..., None, None])
                    old = state.arrays()
                    new = {name: self._xp.where(taken, array, old[name]) for name, array in after.arrays().items()}
                    state = State.of(new)
        return state, done, np.where(ended, "", ending)

    def _advance(self, state: State, numbers: Mapping[str, Any]) -> tuple[State, Params]:
        """Return the next state, and the gradient by which it was reached."""
        m = columns({"m": self._examples.m}, self.backend, dtype_name(state.params.w1))["m"]
        gradients = Params(*self._sums(state.params, equations.gradient))
        return advance(self._method.rule, state, gradients, m, numbers, xp=self._xp)

    def _sums(self, params: Params, function: Callable[..., tuple[Any, ...]]) -> list[Any]:
        """Return what a function of equations.py gives on all examples, network by network where each has its own."""
        if self._examples.spans is None:
            return self._add_blocks(params, function, self._examples)
        lead = params.w1.shape[:-2]
        rows = [self._add_blocks(own, function, examples) for own, examples in self._apart(params)]
        stacked = (self._xp.stack(parts) for parts in zip(*rows, strict=True))
        return [self._xp.reshape(part, (*lead, *part.shape[1:])) for part in stacked]

    def _apart(self, params: Params) -> Iterator[tuple[Params, Examples]]:
        """Yield each network and the examples that are its own."""
        for n, (first, count) in enumerate(np.asarray(self._examples.spans).tolist()):
            at = np.unravel_index(n, params.w1.shape[:-2])
            mine = {name: array[:, first : first + count] for name, array in self._examples.arrays().items()}
            total = float(np.broadcast_to(self._examples.m, params.w1.shape[:-2])[at])
            yield Params(*(array[(*at, ...)] for array in params)), self._examples._replace(**mine, total=total)

    def _add_blocks(self, params: Params, function: Callable[..., tuple[Any, ...]], examples: Examples) -> list[Any]:
        """Return what a function gives on blocks of the examples, added up."""
        xp, numbers = self._xp, columns(examples.numbers(), self.backend, dtype_name(params.w1))
        shares = []
        for arrays in self._blocks(params, examples):
            fold, held_out = arrays.pop("fold", None), numbers.get("held_out")
            weights = self._method.weights(arrays.pop("weights", 1), fold, held_out, xp=xp)
            given = {"m": numbers["m"], "output": self._method.output, "weights": weights, "xp": xp}
            shares.append(function(params, **arrays, **given))
        return [functools.reduce(operator.add, parts) for parts in zip(*shares, strict=True)]

    def _holding(self, after: State, gradients: Params, numbers: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Return for each network and ending whether all of its comparisons hold."""

        def hold(truths: list[Any]) -> np.ndarray:
            held: np.ndarray = np.all([self.backend.to_numpy(self._xp.all(t, axis=(-2, -1))) for t in truths], axis=0)
            return held

        found = comparisons(after, gradients, numbers, xp=self._xp)
        return {name: hold(truths) for name, truths in found.items()}

    def score(self, state: State) -> Score:
        """Return the score of a state."""
        with self._computing():
            sums = self._sums(state.params, equations.tally)
            cost, errors = (self.backend.to_numpy(value).astype(np.float64) for value in sums)
        return Score.of(self._examples, cost, errors[..., 0])

    def predict(self, state: State, layer: str) -> np.ndarray:
        """Return a layer's values at a state; see `Engine`."""
        names = ("z2", "yhat") if layer == "layers" else (layer,)

        def ask(params: Params, examples: Examples) -> np.ndarray:
            layers = (
                equations.forward(params, arrays["X"], output=self._method.output, xp=self._xp)
                for arrays in self._blocks(params, examples)
            )
            parts = [[self.backend.to_numpy(getattr(part, name)) for name in names] for part in layers]
            return np.concatenate([np.concatenate(part, axis=-2) for part in parts], axis=-1)

        spans, params = self._examples.spans, state.params
        with self._computing():
            if spans is None:
                return ask(params, self._examples)
            parts = [ask(*each) for each in self._apart(params)]
        *lead, last = params.w1.shape[:-2]
        result = np.zeros((math.prod(lead), len(parts[0]), self._examples.X.shape[1]), parts[0].dtype)
        for n, ((first, count), part) in enumerate(zip(spans.tolist(), parts, strict=True)):
            result[n // last, :, first : first + count] = part
        return result.reshape(*lead, *result.shape[1:])

    def _blocks(self, params: Params, examples: Examples) -> Iterator[dict[str, Any]]:
        """Cut the examples into blocks of nearly equal size: that can be counted, and on a GPU fit its memory."""
        networks, (n1, n0), n2 = math.prod(params.w1.shape[:-2]), params.w1.shape[-2:], params.w2.shape[-2]
        at_most = MAX_COUNT
        if self.backend.xp is not np:
            at_most = min(
                at_most, BLOCK_BYTES // (np.dtype(dtype_name(params.w1)).itemsize * networks * max(n0, n1, n2))
            )
        m = examples.X.shape[1]
        count = min(m, -(-m // max(1, at_most)))
        for first, last in itertools.pairwise(m * k // count for k in range(count + 1)):
            arrays = examples.arrays()
            yield arrays if count == 1 else {name: array[..., first:last] for name, array in arrays.items()}

    @contextmanager
    def _computing(self) -> Iterator[None]:
        """Compute on the device; silent about exp(-z), which may overflow, as sigmoid wants, and weights of 0."""
        with self.backend.current(), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            yield

"""Runs the equations as one kernel, recorded from `equations.py` and compiled for the processor or the GPU at hand.

The bits it gives are the same on every machine, for any number of threads: see `compiler.program`.
"""

import functools
import math
from typing import Any

import numpy as np

from nn_backend import equations
from nn_backend.backend import Backend
from nn_backend.compiler.program import TILE, Program, add_tree
from nn_backend.compiler.trace import record
from nn_backend.engines.engine import MAX_COUNT, Score, count_threads
from nn_backend.equations import Array, Params


class CompiledEngine:
    """The equations compiled into one kernel, which trains each of several networks as it would train that one alone.

    Parameters
    ----------
    X : array (n0, m)
        One example per column, on the backend.
    y : array (n2, m)
        True values, 0 or 1, on the backend.
    params : Params
        A network of the sizes and dtype to compile for, on the backend.
    backend : Backend
        NumPy or CuPy.
    threads : int, optional
        Threads at most, on the CPU; by default as `count_threads` gives it: one for each core.
    """

    name = "compiled"

    def __init__(self, X: Array, y: Array, params: Params, *, backend: Backend, threads: int | None = None) -> None:
        self.backend = backend
        with backend.current():
            X, y = (a if a.strides[1] == a.itemsize else backend.xp.ascontiguousarray(a) for a in (X, y))
            kernel, bind = _machine(backend, threads)
            (n1, n0), n2 = params.w1.shape[-2:], params.w2.shape[-2]
            self._training, self._scoring = _kernels(kernel, backend.name, n0, n1, n2, params.w1.dtype.name)
            self._m = X.shape[1]
            self._outputs = y.size
            self._all = bind([X, y])
            # Counts stay exact in spans of examples; as aligned runs of 2**i tiles these are nodes of the tree of sums.
            span = TILE * (1 << ((MAX_COUNT // TILE // len(y)).bit_length() - 1))
            parts = ([X[:, i : i + span], y[:, i : i + span]] for i in range(0, self._m, span))
            self._spans = [bind(part) for part in parts]

    def descend(self, params: Params, iterations: int, learning_rate: float) -> Params:
        """Give the parameters after that many updates; arrays of the engine's backend in and out."""
        if iterations == 0:
            return params
        flat = self._run(self._training, self._all, self._flatten(params, self._m, learning_rate), iterations)
        ends = np.cumsum([math.prod(array.shape[-2:]) for array in params])
        parts = (part.reshape(a.shape) for part, a in zip(np.split(flat, ends[:-1], axis=-1), params, strict=True))
        return Params(*map(self.backend.asarray, parts))

    def score(self, params: Params) -> Score:
        """Give cost and accuracy at the parameters."""
        uniforms = self._flatten(params, self._m)
        parts = np.stack([self._run(self._scoring, span, uniforms, 1) for span in self._spans])
        cost, correct = add_tree(parts)[..., 0], parts[..., 1].astype(np.int64).sum(axis=0)
        return Score.of(cost.astype(np.float64), correct / self._outputs)

    def _run(self, kernel: Any, examples: Any, uniforms: np.ndarray, iterations: int) -> np.ndarray:
        with self.backend.current():
            state = self.backend.asarray(uniforms)
            return self.backend.to_numpy(kernel.run(examples, state, iterations))

    def _flatten(self, params: Params, *numbers: float) -> np.ndarray:
        """Give the uniform numbers of each network in a row: its parameters, then ``numbers``."""
        lead = params.w1.shape[:-2]
        arrays = [self.backend.to_numpy(array).reshape(*lead, -1) for array in params]
        with np.errstate(over="ignore"):  # a rate beyond float32 becomes infinite, and fit reports where that leads
            ending = np.array(numbers, arrays[0].dtype)
        return np.concatenate([*arrays, np.broadcast_to(ending, (*lead, len(numbers)))], axis=-1)


def training_program(n0: int, n1: int, n2: int, dtype: str) -> Program:
    """Give one step of gradient descent as a program, whose results are the new parameters.

    Examples
    --------
    >>> program = training_program(3, 4, 1, "float64")
    >>> len(program.sums), len(program.outputs)
    (21, 21)
    """
    uniforms = {**_shapes(n0, n1, n2), "m": (), "learning_rate": ()}
    return record(_step, dtype=dtype, examples={"X": n0, "y": n2}, uniforms=uniforms)


def score_program(n0: int, n1: int, n2: int, dtype: str) -> Program:
    """Give the cost and the number of correct outputs as a program."""
    return record(_score, dtype=dtype, examples={"X": n0, "y": n2}, uniforms={**_shapes(n0, n1, n2), "m": ()})


def _step(*, xp: Any, X: Any, y: Any, m: Any, learning_rate: Any, **arrays: Any) -> Params:
    params = Params(**arrays)
    layers = equations.forward(params, X, xp=xp)
    return equations.update(params, equations.backward(params, layers, X, y, m, xp=xp), learning_rate)


def _score(*, xp: Any, X: Any, y: Any, m: Any, **arrays: Any) -> tuple[Any, Any]:
    layers = equations.forward(Params(**arrays), X, xp=xp)
    return equations.cost(layers.z2, y, m, xp=xp), equations.count_correct(layers.yhat, y, xp=xp)


def _machine(backend: Backend, threads: int | None) -> tuple[Any, Any]:
    """Give the kernel's class, and what binds data to it; each machine brings a compiler, so the other stays away."""
    if backend.xp is np:
        from nn_backend.compiler import native

        return native.Kernel, functools.partial(native.Examples, pool=native.Pool(count_threads(threads)))
    from nn_backend.compiler import device

    return device.Kernel, device.Examples


@functools.cache
def _kernels(kernel: Any, place: str, n0: int, n1: int, n2: int, dtype: str) -> tuple[Any, Any]:
    """Compile once in a process for a place: the CPU, or the device that is current."""
    return kernel(training_program(n0, n1, n2, dtype)), kernel(score_program(n0, n1, n2, dtype))


def _shapes(n0: int, n1: int, n2: int) -> dict[str, tuple[int, ...]]:
    return {"w1": (n1, n0), "b1": (n1, 1), "w2": (n2, n1), "b2": (n2, 1)}

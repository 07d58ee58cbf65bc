"""Runs the equations as one native kernel, recorded from `equations.py` and compiled for this processor.

The bits it gives are the same on every machine, for any number of threads: see `compiler.program`.
"""

import functools
from typing import Any

import numpy as np

from nn_backend import equations
from nn_backend.compiler.native import Examples, Kernel, Pool
from nn_backend.compiler.program import TILE, Program, add_tree
from nn_backend.compiler.trace import record
from nn_backend.engines.engine import Score, count_threads
from nn_backend.equations import Params

MAX_COUNT = 2**24  # float32 counts no further


class CompiledEngine:
    """The equations compiled into one kernel, on the CPU.

    Parameters
    ----------
    X : ndarray (n0, m)
        One example per column.
    y : ndarray (n2, m)
        True values, 0 or 1.
    params : Params
        A network of the sizes and dtype to compile for.
    threads : int, optional
        Threads at most; by default ``NN_BACKEND_THREADS``, else one for each core this process may use.
    """

    name = "compiled"

    def __init__(self, X: np.ndarray, y: np.ndarray, params: Params, *, threads: int | None = None) -> None:
        sizes = params.w1.shape[1], params.w1.shape[0], params.w2.shape[0]
        self._training, self._scoring = _kernels(*sizes, params.w1.dtype.name)
        X, y = (a if a.strides[1] == a.itemsize else np.ascontiguousarray(a) for a in (X, y))
        self._m = X.shape[1]
        self._outputs = y.size
        self._all = Examples([X, y])
        # Counts stay exact in spans of examples; as aligned runs of 2**i tiles the spans are nodes of the tree of sums.
        span = TILE * (1 << ((MAX_COUNT // TILE // len(y)).bit_length() - 1))
        self._spans = [Examples([X[:, i : i + span], y[:, i : i + span]]) for i in range(0, self._m, span)]
        self._pool = Pool(count_threads(threads))

    def descend(self, params: Params, iterations: int, learning_rate: float) -> Params:
        """Give the parameters after that many updates."""
        if iterations == 0:
            return params
        flat = self._training.run(self._all, _flatten(params, self._m, learning_rate), iterations, self._pool)
        ends = np.cumsum([array.size for array in params])
        return Params(*(part.reshape(a.shape) for part, a in zip(np.split(flat, ends[:-1]), params, strict=True)))

    def score(self, params: Params) -> Score:
        """Give cost and accuracy at the parameters."""
        uniforms = _flatten(params, self._m)
        parts = np.stack([self._scoring.run(span, uniforms, 1, self._pool) for span in self._spans])
        cost, correct = add_tree(parts)[0], parts[:, 1].astype(np.int64).sum()
        return Score(float(cost), float(correct / self._outputs))


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


@functools.cache
def _kernels(n0: int, n1: int, n2: int, dtype: str) -> tuple[Kernel, Kernel]:
    return Kernel(training_program(n0, n1, n2, dtype)), Kernel(score_program(n0, n1, n2, dtype))


def _shapes(n0: int, n1: int, n2: int) -> dict[str, tuple[int, ...]]:
    return {"w1": (n1, n0), "b1": (n1, 1), "w2": (n2, n1), "b2": (n2, 1)}


def _flatten(params: Params, *numbers: float) -> np.ndarray:
    with np.errstate(
        over="ignore"
    ):  # a learning rate beyond float32 becomes infinite, and fit reports where that leads
        last = np.array(numbers, params.w1.dtype)
    return np.concatenate([*(array.ravel() for array in params), last])

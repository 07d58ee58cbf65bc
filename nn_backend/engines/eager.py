"""Runs the equations as they are written, operation by operation."""

import functools
import itertools
import math
import operator
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import numpy as np
import threadpoolctl

from nn_backend import equations
from nn_backend.backend import Backend, dtype_name
from nn_backend.engines.engine import MAX_COUNT, Score, count_threads
from nn_backend.equations import Array, Params

# A block's widest layer has this size. On the CPU its temporaries stay in cache (measured by bench/bench_blocks.py); on
# a GPU it is work enough for one launch, and data that fits the memory needs little beside it.
BLOCK_BYTES = 2 * 2**20
BLOCK_BYTES_ON_GPU = 2**28
MIN_BLOCK_COLUMNS = 512  # below this a wide network's weights are read more often than its examples
MAX_RUNS = 32  # partial sums held at a time; more runs than this would only cost memory


class _Block(NamedTuple):
    X: Array
    y: Array


class _Tally(NamedTuple):
    cost: Any
    correct: Any


class EagerEngine:
    """The equations on the arrays of a backend, in blocks of columns; all cores of a CPU share these.

    Parameters
    ----------
    X : array (n0, m)
        One example per column, on the backend.
    y : array (n2, m)
        True values, 0 or 1, on the backend.
    backend : Backend
        Where to compute.
    threads : int, optional
        Workers on the CPU; by default as `count_threads` gives it: one for each core.
    block_columns : int, optional
        Examples per block; by default as many as serve the device.

    Notes
    -----
    Blocks are summed in their order within runs, and runs in theirs, whichever worker computes them: the same data and
    the same number of threads give the same bits.
    """

    name = "eager"

    def __init__(
        self,
        X: Array,
        y: Array,
        *,
        backend: Backend,
        threads: int | None = None,
        block_columns: int | None = None,
    ) -> None:
        self.backend = backend
        self.threads = count_threads(threads)
        self._data = _Block(X, y)
        self._m = X.shape[1]
        self._on_cpu = backend.xp is np
        self._block_columns = block_columns
        self._workers: ThreadPoolExecutor | None = None
        if self._on_cpu:
            _keep_freed_memory()

    def descend(self, params: Params, iterations: int, learning_rate: float) -> Params:
        """Give the parameters after that many updates; arrays of the engine's backend in and out."""
        blocks = self._blocks(params)
        with self._computing(blocks):
            for _ in range(iterations):
                share = functools.partial(self._gradient_share, params)
                gradients = self._sum_over(blocks, share)
                params = equations.update(params, gradients, learning_rate)
        return params

    def score(self, params: Params) -> Score:
        """Give cost and accuracy at the parameters."""
        blocks = self._blocks(params)
        with self._computing(blocks):
            cost, correct = self._sum_over(blocks, functools.partial(self._score_share, params))
        return Score.of(cost, correct / (self._m * self._data.y.shape[0]))

    def _gradient_share(self, params: Params, block: _Block) -> Params:
        layers = equations.forward(params, block.X, xp=self.backend.xp)
        return equations.backward(params, layers, block.X, block.y, float(self._m), xp=self.backend.xp)

    def _score_share(self, params: Params, block: _Block) -> _Tally:
        xp = self.backend.xp
        layers = equations.forward(params, block.X, xp=xp)
        cost = equations.cost(layers.z2, block.y, float(self._m), xp=xp)
        correct = equations.count_correct(layers.yhat, block.y, xp=xp)
        return _Tally(*(self.backend.to_numpy(value).astype(np.float64) for value in (cost, correct)))

    def _blocks(self, params: Params) -> list[_Block]:
        """Cut the data into blocks of nearly equal size, independently of the number of threads."""
        networks = math.prod(params.w1.shape[:-2])
        n1, n0 = params.w1.shape[-2:]
        n2 = params.w2.shape[-2]
        column_bytes = np.dtype(dtype_name(params.w1)).itemsize * networks * max(n0, n1, n2)
        fitting = (BLOCK_BYTES if self._on_cpu else BLOCK_BYTES_ON_GPU) // column_bytes
        columns = self._block_columns or min(MAX_COUNT // n2, max(MIN_BLOCK_COLUMNS, fitting))
        count = math.ceil(self._m / columns)
        multiple = min(MAX_RUNS, 1 << (count - 1).bit_length())  # so that 2, 4, 8, ... workers get equal shares
        count = min(self._m, -(-count // multiple) * multiple)
        edges = [self._m * k // count for k in range(count + 1)]
        X, y = self._data
        return [_Block(X[:, i:j], y[:, i:j]) for i, j in itertools.pairwise(edges)]

    def _sum_over(self, blocks: list[_Block], share: Callable[[_Block], Any]) -> Any:
        """Add the shares of all blocks, field by field, in an order that does not depend on who computes them."""
        count = min(MAX_RUNS, len(blocks))
        runs = [blocks[len(blocks) * k // count : len(blocks) * (k + 1) // count] for k in range(count)]
        sum_run = functools.partial(_sum_shares, share)
        if len(runs) == 1 or self.threads == 1 or not self._on_cpu:
            return functools.reduce(_add, map(sum_run, runs))
        if self._workers is None:
            self._workers = ThreadPoolExecutor(self.threads)
        return functools.reduce(_add, self._workers.map(sum_run, runs))

    @contextmanager
    def _computing(self, blocks: list[_Block]) -> Iterator[None]:
        """Compute on the device; on the CPU give the threads to the workers or, for one block, to the BLAS library."""
        blas_threads = 1 if len(blocks) > 1 else self.threads
        held = _blas().limit(limits=blas_threads, user_api="blas") if self._on_cpu else nullcontext()
        with held, self.backend.current(), _quiet():
            yield


def _sum_shares(share: Callable[[_Block], Any], blocks: list[_Block]) -> Any:
    with _quiet():  # NumPy keeps errstate per thread
        return functools.reduce(_add, map(share, blocks))


def _add(left: Any, right: Any) -> Any:
    return type(left)(*map(operator.add, left, right))


def _quiet() -> np.errstate:
    """Silence what is no fault: exp(-z) may overflow, as sigmoid wants, and fit reports a state that is not finite."""
    return np.errstate(over="ignore", invalid="ignore")


@functools.cache
def _keep_freed_memory() -> None:
    """Have the C library reuse the blocks' temporaries: glibc returns what is larger than the largest freed so far.

    Without this every temporary may be fetched from the system anew, page by page; measured up to 3 times slower.
    """
    np.empty(31 * 2**20, np.uint8)  # freed at once: glibc learns from up to 32 MiB; untouched, it takes no memory


@functools.cache
def _blas() -> threadpoolctl.ThreadpoolController:
    return threadpoolctl.ThreadpoolController()

"""Runs the equations as one kernel, recorded from `equations.py` and compiled for the processor or the GPU at hand.

The bits it gives are the same on every machine, for any number of threads: see `compiler.interpreter`.
"""

import functools
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nn_backend import equations
from nn_backend.backend import Backend, dtype_name
from nn_backend.compiler.cache import kept, lock
from nn_backend.compiler.interpreter import add_tree
from nn_backend.compiler.program import STRIP, TILE, Layout, Program
from nn_backend.compiler.trace import record
from nn_backend.engines.engine import MAX_COUNT, Examples, Method, Score
from nn_backend.engines.machine import count_threads
from nn_backend.equations import Params
from nn_backend.optimizers import ENDINGS, GD, State, advance, comparisons

SECONDS_OF_OPERATION = 1e-9  # see Plan.work; twenty times what one takes with AVX-512
CHUNK_BYTES = 2**25  # of what one call of a kernel reads and returns when it predicts


class CompiledEngine:
    """The equations compiled into one kernel, which trains each of several networks as it would train that one alone.

    Parameters
    ----------
    examples : Examples
        What to train on or to ask about, on the backend.
    params : Params
        A network of the sizes and dtype to compile for.
    backend : Backend
        NumPy or CuPy.
    method : Method
        What is computed.
    threads : int, optional
        Threads at most, on the CPU; by default as many as `count_threads` finds.
    tasks : sequence of str
        What to compile at once; other tasks are compiled when they are first asked for.
    """

    name = "compiled"

    def __init__(
        self,
        examples: Examples,
        params: Params,
        *,
        backend: Backend,
        method: Method = Method(),  # noqa: B008
        threads: int | None = None,
        tasks: Sequence[str] = ("step", "score"),
    ) -> None:
        self.backend = backend
        self._method = method
        self._examples = examples
        self._m = examples.X.shape[1]
        self._lead = params.w1.shape[:-2]
        self._sizes = (*params.w1.shape[:-3:-1], params.w2.shape[-2])
        self._dtype = dtype_name(params.w1)
        # As in every plan, for the kernel of no task in particular: a state begins with the parameters.
        self._layout = Layout(_shapes(*self._sizes, method))
        self._asked = Layout(_shapes(*self._sizes)).size
        self._machine, self._pack = _machine(backend, threads)
        self._kernels: dict[str, Any] = {}
        self._runs: dict[tuple[str, int, int], Any] = {}  # tasks bound to spans of the examples
        with backend.current():
            for task in tasks:
                self._kernel(task)
            if examples.y is not None:
                arrays = examples.arrays()
                own = {"weights": arrays.pop("weights").reshape(-1, 1, self._m)} if examples.own else None
                self._packed = self._pack(arrays, own=own)
                work = self._kernel("step").plan.work if "step" in tasks else 0.0
                shared = 1 if examples.spans is not None else math.prod(self._lead)
                self.seconds = work * self._m * shared * SECONDS_OF_OPERATION

    def start(self, state: State) -> Any:
        """Take a state, arrays of the engine's backend, as rows of numbers that stay where kernels find them."""
        arrays = {name: array.reshape(-1, *array.shape[-2:]) for name, array in state.arrays().items()}
        layout = self._layout if state.memory else Layout(_shapes(*self._sizes))
        with self.backend.current():
            packed = self._machine.zeros((math.prod(self._lead), layout.size), self._dtype)
            layout.pack(arrays, packed)
        return packed

    def state(self, state: Any) -> State:
        """Return a state as NumPy arrays."""
        arrays = self._layout.unpack(self.backend.to_numpy(state).reshape(*self._lead, -1).copy())
        return State.of({name: np.ascontiguousarray(array) for name, array in arrays.items()})

    def descend(
        self, state: Any, iterations: int, numbers: Mapping[str, Any], ended: np.ndarray | None = None
    ) -> tuple[Any, np.ndarray, np.ndarray]:
        """Do that many updates, but of a network whose run ends no more; see `Engine`."""
        progress = np.zeros((len(state), 2), np.int64)
        if ended is not None:
            progress[ended.ravel(), 0] = -1
        if iterations:
            with self.backend.current():
                reached, shared = self._machine.copied(state), self.backend.asarray(progress)
                self._call(self._run("step", 0, self._m), reached, numbers, iterations, shared)
                state, progress = reached, self.backend.to_numpy(shared)
        names = np.array(["", *self._kernel("step").plan.program.endings, ""])  # the last of those that had ended
        return state, progress[:, 1].reshape(self._lead), names[progress[:, 0]].reshape(self._lead)

    def score(self, state: Any) -> Score:
        """Return the score of a state."""
        # Counts stay exact in spans of examples; as aligned runs of 2**i tiles these are nodes of the tree of sums.
        parts = []
        span = TILE * (1 << ((MAX_COUNT // TILE).bit_length() - 1))
        if self._examples.spans is not None or self._examples.own:  # each network has a span already, or weights
            span = self._m
        state = self._network(state)
        with self.backend.current():
            layout = self._kernel("score").plan.results
            columns = [layout.offsets["cost"], *range(layout.size)[layout.slices["errors"]]]
            for first in range(0, self._m, span):
                run = self._run("score", first, min(span, self._m - first))
                parts.append(self.backend.to_numpy(self._call(run, state, {}, 1)[0])[:, columns])  # a copy
        results = np.array(parts)
        cost, errors = results[..., 0], results[..., 1:]
        return Score.of(
            self._examples,
            add_tree(cost).astype(np.float64).reshape(self._lead),
            errors.sum(axis=0, dtype=np.float64).reshape(*self._lead, -1),
        )

    def predict(self, state: Any, layer: str) -> np.ndarray:
        """Return a layer's values at a state; see `Engine`."""
        rows, spans = self._kernel(layer).plan.outputs.rows, self._examples.spans
        lead = self._lead if spans is None else self._lead[:-1]
        result = np.empty((math.prod(lead), rows, self._m), self._dtype)
        state = self._network(state)
        with self.backend.current():
            for networks, columns, places in self._chunks(len(state)):
                asked, X = self._machine.copied(state[networks]), self._examples.X[:, columns]
                own = None if spans is None else spans[networks] - [columns.start, 0]
                run = self._kernel(layer).bind(self._pack({"X": X}), len(asked), own)
                _, outputs = self._call(run, asked, {}, 1)
                into = result[places, :, columns]
                outputs = self.backend.to_numpy(outputs).reshape(len(into), -1, rows, STRIP).swapaxes(1, 2)
                into[...] = outputs.reshape(*outputs.shape[:2], -1)[:, :, : X.shape[1]]
        return result.reshape(*lead, rows, self._m)

    def _chunks(self, networks: int) -> Iterator[tuple[Any, slice, slice]]:
        """Yield some networks and examples at a time, and whose results these are, so that the memory is bounded."""
        (n0, _, n2), spans, size = self._sizes, self._examples.spans, np.dtype(self._dtype).itemsize
        own = 1 if spans is None else self._lead[-1]  # networks that have examples of their own
        per_network = max(1, CHUNK_BYTES // (n2 * TILE * size))  # networks of which a tile's results fit
        for k in range(0, networks // own, per_network):
            places = slice(k, min(k + per_network, networks // own))
            columns = CHUNK_BYTES // (((places.stop - k) * n2 + n0) * size) // TILE * TILE or TILE
            if spans is None:
                yield from ((places, slice(i, i + columns), places) for i in range(0, self._m, columns))
                continue
            edges = [*np.flatnonzero(np.diff(spans[:own, 0] // columns, prepend=-1)).tolist(), own]
            firsts = [*spans[:own, 0].tolist(), self._m]
            rows = np.arange(networks).reshape(-1, own)[places]
            for i, j in itertools.pairwise(edges):
                yield rows[:, i:j].ravel(), slice(firsts[i], firsts[j]), places

    def _network(self, state: Any) -> Any:
        """Return the rows of a state without its memory."""
        return self._machine.copied(state[:, : self._asked]) if state.shape[1] > self._asked else state

    def _call(
        self, run: Any, state: Any, numbers: Mapping[str, Any], iterations: int, progress: Any = None
    ) -> tuple[Any, Any]:
        """Run a kernel on rows of numbers: how many examples there are, and those given."""
        layout = run.kernel.plan.numbers
        row = np.empty((len(state), layout.size), self._dtype)
        with np.errstate(over="ignore"):  # a rate beyond float32 becomes infinite, and fit reports where that leads
            given = {**self._examples.numbers(), **numbers} if layout.size else {}
            layout.pack({name: np.ravel(number) if np.ndim(number) else number for name, number in given.items()}, row)
        ran: tuple[Any, Any] = run(state, self.backend.asarray(row), iterations, progress)
        return ran

    def _run(self, task: str, first: int, count: int) -> Any:
        """Return a task's kernel bound to a span of the examples, which is done once."""
        key = task, first, count
        if key not in self._runs:
            span = np.array([[first, count]]) if count < self._m else self._examples.spans
            self._runs[key] = self._kernel(task).bind(self._packed, math.prod(self._lead), span)
        return self._runs[key]

    def _kernel(self, task: str) -> Any:
        if task not in self._kernels:
            method = self._method if task == "step" else self._method._replace(rule=GD, numbers=())
            weights = "" if self._examples.weights is None else "own" if self._examples.own else "shared"
            arguments = (*self._sizes, self._dtype, method, weights)
            self._kernels[task] = kept(_compile, self._machine.Kernel, self.backend.name, task, *arguments)
        return self._kernels[task]


def program(
    task: str,
    n0: int,
    n1: int,
    n2: int,
    dtype: str,
    method: Method = Method(),  # noqa: B008
    weights: str = "",
) -> Program:
    """Return what a task does as a program: ``"step"``, ``"score"``, or ``"yhat"``, ``"z2"`` or ``"layers"``, both.

    Examples have no weights (``""``), or weights that are ``"shared"`` by all networks, or each network's ``"own"``.

    Examples
    --------
    >>> list(program("step", 3, 4, 1, "float64").results)
    ['w1', 'b1', 'w2', 'b2']
    """
    output, rule, numbers, folds = method
    shapes, remembered = _shapes(n0, n1, n2), _shapes(n0, n1, n2, method)
    examples = {"X": n0, "y": n2, **({"weights": 1} if weights == "shared" else {}), **({"fold": 1} if folds else {})}
    own = {"weights": 1} if weights == "own" else {}
    always = ("m", "held_out") if folds else ("m",)

    def share(xp: Any, given: dict[str, Any]) -> Any:
        return method.weights(given.pop("weights", 1), given.pop("fold", None), given.pop("held_out", None), xp=xp)

    def step(*, xp: Any, X: Any, y: Any, m: Any, **given: Any) -> dict[str, Any]:
        weights, state = share(xp, given), State.of({name: given[name] for name in remembered})
        gradients = equations.gradient(state.params, X, y, m, output=output, weights=weights, xp=xp)
        asked = {name: given[name] for name in numbers}
        after, gradients = advance(rule, state, gradients, m, asked, xp=xp)
        return after.arrays() | comparisons(after, gradients, asked, xp=xp)

    def score(*, xp: Any, X: Any, y: Any, m: Any, **given: Any) -> dict[str, Any]:
        weights = share(xp, given)
        return equations.tally(Params(**given), X, y, m, output=output, weights=weights, xp=xp)._asdict()

    def layer(*, xp: Any, X: Any, **params: Any) -> dict[str, Any]:
        layers = equations.forward(Params(**params), X, output=output, xp=xp)
        return {name: getattr(layers, name) for name in (("z2", "yhat") if task == "layers" else (task,))}

    given: dict[str, Any] = {"dtype": dtype, "examples": examples, "own": own}
    if task == "step":
        return record(step, **given, state=remembered, numbers=(*always, *numbers), endings=ENDINGS)
    if task == "score":
        return record(score, **given, state=shapes, numbers=always)
    return record(layer, dtype=dtype, examples={"X": n0}, state=shapes)


@functools.lru_cache
def _shapes(n0: int, n1: int, n2: int, method: Method | None = None) -> Mapping[str, tuple[int, int]]:
    """Return the shapes of the parameters, and, with a method, of what its rule remembers."""
    params = Params(*map(np.zeros, ((n1, n0), (n1, 1), (n2, n1), (n2, 1))))
    state = State(params, {}) if method is None else method.rule.init(params, dict.fromkeys(method.numbers, 0.0), xp=np)
    return {name: array.shape for name, array in state.arrays().items()}


def _compile(kernel: Any, place: str, *arguments: Any) -> Any:
    """Compile for a place: the CPU, or the device that is current."""
    return kernel(program(*arguments))


def _machine(backend: Backend, threads: int | None) -> tuple[Any, Any]:
    """Return the module that runs kernels, and what packs examples; each brings a compiler, so the other stays away."""
    with lock:
        if backend.xp is np:
            from nn_backend.compiler import native  # LLVM, which takes longer to load than NumPy

            return native, functools.partial(native.Examples, threads=count_threads(threads))
        from nn_backend.compiler import device

        return device, device.Examples

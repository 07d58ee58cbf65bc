"""Full-batch gradient descent: walks from log row to log row and keeps the history."""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nn_backend import engines
from nn_backend.backend import Backend, get_backend
from nn_backend.engines.engine import Engine, Score, State
from nn_backend.equations import Params
from nn_backend.errors import ArgumentError, DivergenceError
from nn_backend.network import place_examples, place_params

if TYPE_CHECKING:  # see files.py
    import pandas as pd

# A stretch of iterations runs without looking up; this long at most, so that Ctrl-C is heard and the progress is seen.
STRETCH_SECONDS = 0.2


@dataclass(frozen=True, eq=False)  # arrays have no truth value to compare by
class FitResult:
    """What `fit` reached.

    Attributes
    ----------
    params : Params
        NumPy arrays: the state of the history's last row.
    rows : list of (int, Score)
        Iteration and score of each row of the history.
    iterations : int
        Updates done.
    seconds : float
        Wall time of the iterations and of the history's rows, without moving the data or compiling.
    backend, engine : str
        What ran, such as ``"cupy:0"`` and ``"eager"``.
    interrupted : bool
        Whether Ctrl-C ended the run early.
    """

    params: Params
    rows: list[tuple[int, Score]] = field(repr=False)
    iterations: int
    seconds: float
    backend: str
    engine: str
    interrupted: bool

    @functools.cached_property
    def history(self) -> "pd.DataFrame":
        """Columns iteration, cost (nats per example) and accuracy; row k is the state after k updates.

        For parameters with leading axes one row per network, and a column network with its index in flattened order.
        """
        import pandas as pd  # when somebody reads it: a small run is over long before pandas is there

        table: dict[str, Any] = {"iteration": [iteration for iteration, _ in self.rows]}
        cost, accuracy = (np.array([score[field] for _, score in self.rows]) for field in (0, 1))
        if cost.ndim > 1:
            networks = cost[0].size
            table = {"iteration": np.repeat(table["iteration"], networks), "network": [*range(networks)] * len(cost)}
        return pd.DataFrame({**table, "cost": cost.ravel(), "accuracy": accuracy.ravel()})


class _Reached(NamedTuple):
    iteration: int
    state: State
    params: Params  # of the state, NumPy arrays


def fit(
    X: Any,
    y: Any,
    params: Params,
    *,
    learning_rate: float = 0.2,
    iterations: int = 4500,
    backend: str | Backend | None = None,
    engine: str = "auto",
    threads: int | None = None,
    log_every: int = 1000,
    callback: Callable[[int, Score], object] | None = None,
    progress: Callable[[int], object] | None = None,
) -> FitResult:
    """Train a network by full-batch gradient descent.

    Parameters
    ----------
    X : array (n0, m)
        One example per column; converted to the parameters' dtype.
    y : array (n2, m)
        True values, 0 or 1.
    params : Params
        Where to start, float64 or float32; see `init_params`. Leading axes are as many networks, trained together.
    learning_rate : float
        Step width.
    iterations : int
        Updates to do.
    backend : str or Backend, optional
        Where to compute, as in `get_backend`.
    engine : str
        How an iteration is executed: ``"eager"``, ``"compiled"``, or ``"auto"`` for the one that serves best.
    threads : int, optional
        Threads of the compiled engine on the CPU, at most; by default as many as `count_threads` finds.
    log_every : int
        Iterations between the history's rows; the first and the last state always have one.
    callback : callable, optional
        Called with (iteration, Score) for each row of the history, as it is reached; where it returns something
        true, the run ends with that row.
    progress : callable, optional
        Called with the iteration a few times a second.

    Returns
    -------
    FitResult
        Parameters, history, and what ran. Ctrl-C returns what was reached until then.

    Raises
    ------
    DivergenceError
        If parameters or cost stop being finite, be it of one network among many.
    ArgumentError, DataError, ArrayTypeError, BackendUnavailableError
        If an argument is not accepted, or the backend cannot run here.

    Examples
    --------
    >>> from nn_backend import init_params, load_marks
    >>> X, y = load_marks()
    >>> result = fit(X[:, :300], y[:, :300], init_params(3, 4, seed=3, factor=0.01), iterations=300, log_every=100)
    >>> result.history.round(3)
       iteration   cost  accuracy
    0          0  0.691     0.670
    1        100  0.542     0.740
    2        200  0.475     0.767
    3        300  0.432     0.790
    """
    if not (np.isfinite(learning_rate) and learning_rate > 0):
        raise ArgumentError(f"learning_rate is {learning_rate}; expected a finite number above 0")
    if iterations < 0:
        raise ArgumentError(f"iterations is {iterations}; expected at least 0")
    if log_every < 1:
        raise ArgumentError(f"log_every is {log_every}; expected at least 1")
    place = get_backend(backend)
    params = place_params(params, place)
    examples = place_examples(params, X, y, place)
    bound = engines.bind(engine, examples, params, backend=place, threads=threads)
    numbers = {"learning_rate": float(learning_rate)}
    rows: list[tuple[int, Score]] = []

    def log(reached: _Reached) -> bool:
        """Add the state's row to the history; return whether the run goes on."""
        score = bound.score(reached.state)
        finite = np.isfinite(score.cost)
        if not finite.all():
            raise _divergence("cost", "is", finite, reached.iteration, learning_rate)
        rows.append((reached.iteration, score))
        return callback is None or not callback(reached.iteration, score)

    started = time.perf_counter()
    reached = _Reached(0, bound.start(params), Params(*map(place.to_numpy, params)))
    stretch, interrupted = max(1, int(STRETCH_SECONDS / bound.seconds)), False
    try:
        going_on = log(reached)
        while going_on and reached.iteration < iterations:
            to_row = min(iterations, (reached.iteration // log_every + 1) * log_every) - reached.iteration
            steps = min(stretch, to_row)
            stretch_started = time.perf_counter()
            reached = _advance(bound, reached, steps, numbers)
            stretch = max(1, int(steps * STRETCH_SECONDS / (time.perf_counter() - stretch_started)))
            if progress is not None:
                progress(reached.iteration)
            if steps == to_row:
                going_on = log(reached)
    except KeyboardInterrupt:
        interrupted = True
        if not rows or rows[-1][0] < reached.iteration:
            log(reached)
    seconds = time.perf_counter() - started
    return FitResult(
        params=reached.params,
        rows=rows,
        iterations=reached.iteration,
        seconds=seconds,
        backend=place.name,
        engine=bound.name,
        interrupted=interrupted,
    )


def _advance(engine: Engine, reached: _Reached, steps: int, numbers: dict[str, float]) -> _Reached:
    """Return the state that many updates on; raise with the first iteration whose parameters are not finite."""
    state = engine.descend(reached.state, steps, numbers)
    params = engine.params(state)
    finite = _finite(params)
    if finite.all():
        return _Reached(reached.iteration + steps, state, params)
    # Bisection: a state that is not finite stays so, and the runs up to the middle are repeated to the same bits.
    last, first_not = reached, reached.iteration + steps
    while first_not - last.iteration > 1:
        middle = (last.iteration + first_not) // 2
        state = engine.descend(last.state, middle - last.iteration, numbers)
        at_middle = _finite(engine.params(state))
        if at_middle.all():
            last = last._replace(iteration=middle, state=state)
        else:
            first_not, finite = middle, at_middle
    raise _divergence("parameters", "are", finite, first_not, numbers["learning_rate"])


def _finite(params: Params) -> np.ndarray:
    """Return for each network, in the shape of the leading axes, whether its parameters are finite."""
    finite: np.ndarray = np.all([np.isfinite(array).all(axis=(-2, -1)) for array in params], axis=0)
    return finite


def _divergence(what: str, verb: str, finite: np.ndarray, iteration: int, learning_rate: float) -> DivergenceError:
    whose = f" of network {int(np.argmin(finite))}" if finite.ndim else ""
    return DivergenceError(
        f"the {what}{whose} {verb} no longer finite at iteration {iteration}: "
        f"take a learning rate smaller than {learning_rate:g}, or standardise the features"
    )

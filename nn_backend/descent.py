"""Full-batch training: checks what it is given, and walks from log row to log row."""

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nn_backend import checkpoint as checkpoints
from nn_backend import engines
from nn_backend.backend import Backend, dtype_name, get_backend
from nn_backend.checks import Number, Whole, check, check_array
from nn_backend.engines.engine import Examples, Method, Score, columns
from nn_backend.equations import Params
from nn_backend.errors import ArgumentError, DataError
from nn_backend.examples import place_examples
from nn_backend.network import get_output, place_params
from nn_backend.optimizers import Optimizer, State, get_optimizer
from nn_backend.run import FitResult, Run
from nn_backend.tensors import digest

# A stretch of iterations runs without looking up; this long at most, so that Ctrl-C is heard and the progress is seen.
STRETCH_SECONDS = 0.2
# What serves for people's own data, standardised and trained by rprop: see bench/estimator_defaults.py.
ALPHA, TOL, MAX_ITERATIONS = 1.0, 1e-3, 1000
KINDS = {"learning_rate": Number(above=0), "alpha": Number(least=0), "tol": Number(least=0)}


def fit(
    X: Any,
    y: Any,
    params: Params | State,
    *,
    output: str = "sigmoid",
    optimizer: str | Optimizer = "gd",
    learning_rate: Any = None,
    alpha: Any = 0.0,
    weights: Any = None,
    network: Any = None,
    fold: Any = None,
    held_out: Any = None,
    tol: Any = 0.0,
    iterations: int = 4500,
    validation: tuple[Any, ...] | None = None,
    patience: int = 10,
    check_every: int | None = None,
    backend: str | Backend | None = None,
    engine: str = "auto",
    threads: int | None = None,
    log_every: int = 1000,
    callback: Callable[[int, Score], object] | None = None,
    progress: Callable[[int], object] | None = None,
    checkpoint: str | Path | None = None,
    every: float = 60.0,
    resume: str | Path | None = None,
) -> FitResult:
    """Train a network on full batches.

    Parameters
    ----------
    X : array (n0, m)
        One example per column; converted to the parameters' dtype.
    y : array (n2, m)
        True values: 0 or 1, with one 1 in each column for softmax; numbers for identity.
    params : Params or State
        Where to start, float64 or float32; see `init_params`. Leading axes are as many networks, trained together; then
        ``learning_rate``, ``alpha``, ``tol`` and the optimizer's numbers may be arrays of the leading shape. The
        ``state`` of a `FitResult` goes on with what the update rule remembers.
    output : str
        What kind of network it is: ``"sigmoid"`` for 0 or 1, ``"softmax"`` for classes, ``"identity"`` for numbers.
    optimizer : str or Optimizer
        The update rule: ``"gd"``, ``"nesterov"``, ``"adam"`` or ``"rprop"``, or one with other numbers, such as
        ``nn.adam(beta1=0.8)``.
    learning_rate : float, optional
        Step width; by default the rule's own. For rprop it is the first step width.
    alpha : float
        Penalty: alpha / (2 m) * sum(w**2) of the weights has its part in the gradient, not in the cost that is shown.
    weights : array (m,), optional
        How often each example counts; of several networks also (networks, m), each network's own.
    network : array (m,) of int, optional
        Which network each example trains, by its number in the last leading axis, of all further ones; by default each
        trains all.
    fold, held_out : array (m,) of int, array (networks,) of int, optional
        Each example's fold, and the fold whose examples do not count in a network; -1: none.
    tol : float
        The run ends where no element of the gradient, that of the penalty included, is as large as this; 0: never.
    iterations : int
        Updates to do.
    validation : tuple of arrays X (n0, k), y (n2, k), and, if wanted, weights (k,) or None, network (k,), optional
        Data to watch: the run ends when ``patience`` looks have found no lower cost, and the best state is returned.
    patience : int
        Looks without a lower cost of the validation data before the run ends.
    check_every : int, optional
        Iterations between these looks, each of which has a row in the history; by default ``log_every``.
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
    checkpoint : str or Path, optional
        File that the whole state of the run is saved to, before the first iteration, every so many seconds, and at the
        end; an old one is replaced at once. Needs the extra ``export``.
    every : float
        Seconds between checkpoints.
    resume : str or Path, optional
        File that a run was saved to, which goes on from there with the same bits as without the break. ``params`` are
        those it began with; ``iterations``, ``threads``, and ``log_every`` if it does not tell when to look at
        validation data, may differ, nothing else may.

    Returns
    -------
    FitResult
        Parameters, history, and what ran. Ctrl-C returns what was reached until then.

    Raises
    ------
    DivergenceError
        If parameters or cost stop being finite; of several networks, those that do end alone.
    ArgumentError, DataError, ArrayTypeError, BackendUnavailableError
        If an argument is not accepted, or the backend cannot run here.
    DataFileError, MissingPackageError
        If a checkpoint cannot be read or written.

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
    iterations, log_every = check("iterations", iterations, Whole()), check("log_every", log_every, Whole(1))
    patience, every = check("patience", patience, Whole(1)), check("every", every, Number(least=0))
    check_every = None if check_every is None else check("check_every", check_every, Whole(1))
    place, kind, chosen = get_backend(backend), get_output(output), get_optimizer(optimizer)
    memory = params.memory if isinstance(params, State) else None
    params = place_params(params.params if isinstance(params, State) else params, place)
    numbers = _numbers(chosen, params, learning_rate, alpha, tol)
    examples = place_examples(params, X, y, place, kind, weights, network, fold, held_out)
    method = Method(kind, chosen.rule, tuple(numbers), fold is not None)
    bound = engines.bind(engine, examples, params, backend=place, method=method, threads=threads)
    watched = None
    if validation is not None:
        try:
            held = place_examples(params, validation[0], validation[1], place, kind, *validation[2:])
        except DataError as error:
            raise DataError(f"of the validation data, {error}") from None
        asked = method._replace(folds=False)
        watched = engines.bind(engine, held, params, backend=place, method=asked, threads=threads, tasks=("score",))
    with place.current():
        state = chosen.rule.init(params, columns(numbers, place, dtype_name(params.w1)), xp=place.xp)
    if memory:
        state = _with_memory(state, State(params, memory), place)
    run = Run(bound, watched, numbers, state, patience)
    row_every = log_every if validation is None or check_every is None else check_every
    settings: dict[str, Any] = {}
    if checkpoint is not None or resume is not None:
        settings = {"backend": place.name, "engine": bound.name, **_settings(method, numbers, params, examples, place)}
        if memory:
            settings["memory"] = _digest(state.arrays(), place)
        if watched is not None:
            settings |= {"validation": _digest(held.arrays(), place), "patience": patience, "check_every": row_every}
    if resume is not None:
        saved = checkpoints.read(resume, settings)
        if iterations < saved.iteration:
            raise ArgumentError(f"iterations is {iterations}; expected at least {saved.iteration}, as {resume} has")
        run.restore(saved, _with_memory(state, saved.state, place))
    started, saved_at = time.perf_counter(), -math.inf
    stretch, interrupted, going_on = max(1, int(STRETCH_SECONDS / bound.seconds)), False, True
    try:
        while True:
            if run.is_due(row_every):
                score = run.log()
                going_on = callback is None or not callback(run.iteration, score)
            if not going_on or run.iteration >= iterations or run.has_ended:
                break
            if checkpoint is not None and time.perf_counter() - saved_at >= every:
                checkpoints.write(checkpoint, run.save(), settings)
                saved_at = time.perf_counter()
            to_row = min(iterations, (run.iteration // row_every + 1) * row_every) - run.iteration
            steps, began = min(stretch, to_row), time.perf_counter()
            run.advance(steps)
            stretch = max(1, int(steps * STRETCH_SECONDS / (time.perf_counter() - began)))
            if progress is not None:
                progress(run.iteration)
    except KeyboardInterrupt:
        interrupted = True
    if checkpoint is not None:
        checkpoints.write(checkpoint, run.save(), settings)
    if not run.rows or run.rows[-1].iteration < run.iteration:
        score = run.log()
        if callback is not None:
            callback(run.iteration, score)
    seconds = time.perf_counter() - started
    return run.result(interrupted, seconds, place.name, kind.name, chosen.rule.name)


def _numbers(optimizer: Optimizer, params: Params, learning_rate: Any, alpha: Any, tol: Any) -> dict[str, Any]:
    """Check numbers, and return those that are needed: floats, or arrays with one for each network."""
    given = {**optimizer.numbers, "alpha": alpha, "tol": tol}
    if learning_rate is not None:
        if "learning_rate" not in given:
            raise ArgumentError(f"learning_rate is {learning_rate}; expected None, as the optimizer has none")
        given["learning_rate"] = learning_rate
    lead = tuple(params.w1.shape[:-2])
    numbers: dict[str, Any] = {}
    for name, value in given.items():
        if type(value) is float and math.isfinite(value) and value > 0:  # as most are, and others take longer
            numbers[name] = value
            continue
        array = check_array(name, value, KINDS.get(name, Number()))
        if array.shape not in ((), lead):
            networks = f", or an array {lead}, one for each network" if lead else ""
            raise ArgumentError(f"{name} has shape {array.shape}; expected a number{networks}")
        if name not in ("alpha", "tol") or array.any():
            numbers[name] = array if array.ndim else float(array)
    return numbers


def _with_memory(new: State, given: State, place: Backend) -> State:
    """Return a state as it was given, checked against a new one of the rule, on the backend."""
    arrays, like = given.arrays(), new.arrays()
    shapes = [{name: tuple(array.shape) for name, array in state.items()} for state in (arrays, like)]
    if shapes[0] != shapes[1]:
        raise ArgumentError(f"the state has arrays {shapes[0]}; expected those of its optimizer, {shapes[1]}")
    return State.of({name: place.asarray(array, dtype_name(like[name])) for name, array in arrays.items()})


def _settings(
    method: Method, numbers: Mapping[str, Any], params: Params, examples: Examples, place: Backend
) -> dict[str, Any]:
    """Return what must be the same for a run to be resumed, as JSON values."""
    own = {"network": examples.spans, "held_out": examples.held_out}
    return {
        "output": method.output.name,
        "optimizer": method.rule.name,
        "alpha": 0.0,
        "tol": 0.0,
        **{name: np.asarray(number).tolist() for name, number in numbers.items()},
        "dtype": dtype_name(params.w1),
        "params": _digest(params._asdict(), place),
        "data": _digest(examples.arrays(), place),
        **{name: digest(array) for name, array in own.items() if array is not None},
    }


def _digest(arrays: Mapping[str, Any], place: Backend) -> str:
    return digest(*map(place.to_numpy, arrays.values()))

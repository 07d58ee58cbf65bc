"""Networks that are trained in one call of `fit`: here, or wherever an executor has its workers."""

import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from typing import Any, NamedTuple, TypeVar

import numpy as np

from nn_backend.backend import Backend, get_backend
from nn_backend.compiler.pool import share
from nn_backend.descent import fit
from nn_backend.engines.machine import count_threads
from nn_backend.equations import Params
from nn_backend.errors import NNBackendError
from nn_backend.network import score

T = TypeVar("T")
AHEAD = 64  # tasks that an executor has at a time: more than it has workers, and their rows fit into memory


class Task(NamedTuple):
    """Networks to train.

    Attributes
    ----------
    networks : ndarray of int
        Which they are, by their rows of the table: (networks,), or (settings, parts) where parts have their own rows.
    start : Params
        Where they start, with leading axes of that shape.
    rows : mapping
        ``X``, ``y`` and, of several parts with their own rows, ``network``: scaled, as `fit` takes them.
    held : mapping
        The same of examples that they are not trained on, but asked about; may be empty.
    watches : bool
        Whether a network ends by its cost of these.
    settings : mapping
        Further arguments of `fit`.
    """

    networks: np.ndarray
    start: Params
    rows: Mapping[str, Any]
    held: Mapping[str, Any]
    watches: bool
    settings: Mapping[str, Any]


class Reached(NamedTuple):
    """What a task's networks reached: parameters, a column of the table for each measure, and what ran."""

    networks: np.ndarray
    params: Params
    columns: dict[str, np.ndarray]
    ran: dict[str, str]


def train(task: Task, progress: Callable[[float], object] | None = None) -> Reached:
    """Train a task's networks; ``progress`` is called with how many of them that amounts to."""
    settings, number = task.settings, task.networks.size
    every = max(1, settings["iterations"])
    result = fit(
        **task.rows,
        params=task.start,
        validation=(task.held["X"], task.held["y"], None, task.held.get("network")) if task.watches else None,
        log_every=every,
        progress=None if progress is None else lambda iteration: progress(number * iteration / every),
        **settings,
    )
    columns = {"iterations": result.iterations, "status": result.status, **result.score._asdict()}
    if task.watches:
        columns["best_iteration"] = result.best_iteration
    if task.held:
        reached = score(result.params, **task.held, output=result.output, backend=result.backend)
        columns |= {f"validation_{name}": values for name, values in reached._asdict().items()}
    return Reached(task.networks, result.params, columns, {"backend": result.backend, "engine": result.engine})


def interleave(kinds: Iterable[Iterator[T]]) -> Iterator[T]:
    """Yield the items of each kind in turn, the first of the next kind before the second of this one, and so on.

    So one thread compiles what the next kind needs while others train networks of those before it.
    """
    waiting, begun = iter(kinds), list[Iterator[T]]()
    while True:
        begun[:0] = itertools.islice(waiting, 1)
        if not begun:
            return
        for kind in [*begun]:
            try:
                yield next(kind)
            except StopIteration:
                begun.remove(kind)


def count_workers(backend: str | Backend | None, engine: str, threads: int | None = None) -> int:
    """Return how many threads may train networks side by side, by calls of their own: of the compiled engine."""
    return count_threads(threads) if get_backend(backend).xp is np and engine != "eager" else 1


def share_out(
    tasks: Iterable[Task],
    keep: Callable[[Reached], object],
    threads: int,
    progress: Callable[[float], object] | None,
) -> None:
    """Do tasks here, each by one of several threads, or one after the other by all.

    Parameters
    ----------
    tasks : iterable of Task
        What to do.
    keep : callable
        Called with what each task has reached, by the thread that did it.
    threads : int
        How many; with 1, `fit` has all for each task.
    progress : callable or None
        Called with how many networks are trained, fractions counted.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C, when what was reached until then is kept.
    """

    def do(task: Task, tell: Callable[[float], None]) -> None:
        reached = train(task, tell)
        keep(reached)
        if (reached.columns["status"] == "interrupted").any():
            raise KeyboardInterrupt
        tell(task.networks.size)

    share(tasks, do, threads, progress or (lambda done: None))


def send_out(
    tasks: Iterable[Task],
    keep: Callable[[Reached], object],
    executor: Any,
    progress: Callable[[float], object] | None,
) -> None:
    """Have an executor do tasks; where it fails, what is done is kept, with a warning.

    Parameters
    ----------
    tasks, keep
        See `share_out`.
    executor : concurrent.futures.Executor, or what has its ``submit``
        Who does them.
    progress : callable or None
        Called with how many networks are trained.
    """
    left, done = iter(tasks), 0
    waiting: set[Future[Reached]] = set()
    failure: BaseException | None = None
    while failure is None or waiting:
        try:
            for task in itertools.islice(left, AHEAD - len(waiting) if failure is None else 0):
                waiting.add(executor.submit(train, task))
            if not waiting:
                break
            ended, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        except BaseException as error:  # each executor has its own for lost workers
            if failure is not None:
                raise
            ended, failure = set(), error
        for future in ended:
            lost = CancelledError() if future.cancelled() else future.exception()
            if lost is None:
                keep(future.result())
                done += future.result().networks.size
                if progress is not None:
                    progress(done)
            failure = failure or lost
        if failure is not None:  # those on their way may still get there
            waiting = {future for future in waiting if not future.cancel()}
    if isinstance(failure, NNBackendError) or not isinstance(failure, Exception | None):
        raise failure
    if failure is not None:
        warnings.warn(
            f"the executor failed ({type(failure).__name__}: {failure}); networks that it has not trained have the "
            "status 'interrupted'",
            RuntimeWarning,
            stacklevel=2,
        )

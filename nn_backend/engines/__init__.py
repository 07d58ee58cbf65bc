"""How an iteration is executed: one module per engine, each bound to one data set and device."""

from nn_backend.backend import Backend
from nn_backend.engines.eager import EagerEngine
from nn_backend.engines.engine import Engine
from nn_backend.equations import Array
from nn_backend.errors import ArgumentError

ENGINES = ("auto", "eager")


def choose(engine: str) -> str:
    """Give the name of the engine that will run where ``engine`` is asked for."""
    if engine not in ENGINES:
        raise ArgumentError(f"engine {engine!r} is not known; accepted: {', '.join(ENGINES)}")
    return "eager"


def bind(engine: str, X: Array, y: Array, *, backend: Backend, threads: int | None = None) -> Engine:
    """Bind an engine to a data set.

    Parameters
    ----------
    engine : str
        ``"eager"``, or ``"auto"`` for the one that serves best.
    X : array (n0, m)
        One example per column, on the backend.
    y : array (n2, m)
        True values, 0 or 1, on the backend.
    backend : Backend
        Where to compute.
    threads : int, optional
        Workers on the CPU; by default ``NN_BACKEND_THREADS``, else one for each core this process may use.
    """
    choose(engine)
    return EagerEngine(X, y, backend=backend, threads=threads)

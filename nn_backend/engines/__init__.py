"""How an iteration is executed: one module per engine, each bound to one data set and device."""

import warnings
from collections.abc import Sequence

import numpy as np

from nn_backend.backend import Backend
from nn_backend.checks import choose as choose_word
from nn_backend.compiler.cache import lock
from nn_backend.engines.eager import EagerEngine
from nn_backend.engines.engine import Engine, Examples, Method
from nn_backend.engines.machine import may_execute
from nn_backend.equations import Params
from nn_backend.errors import ArgumentError, BackendUnavailableError

ENGINES = ("auto", "eager", "compiled")
FORBIDDEN = "this process may not execute memory that it has written (as with systemd's MemoryDenyWriteExecute)"


def choose(engine: str, backend: Backend) -> str:
    """Return the name of the engine that runs where ``engine`` is asked for.

    Parameters
    ----------
    engine : str
        ``"eager"``, ``"compiled"``, or ``"auto"``: ``"compiled"`` on the CPU, ``"eager"`` elsewhere, and, with a
        warning, where the system does not let a process execute what it compiled. On a GPU the compiled engine has
        been tested in emulation only.
    backend : Backend
        Where to compute.

    Raises
    ------
    ArgumentError
        If no engine has that name, or the compiled engine is asked for where it does not serve.
    BackendUnavailableError
        If the compiled engine is asked for where the system forbids it.
    """
    choose_word("engine", engine, ENGINES)
    if engine == "compiled" and backend.xp is not np and not backend.is_cupy:
        raise ArgumentError(
            f"engine 'compiled' does not serve here: the backend is {backend.name}; it runs on numpy and cupy. "
            f"Use 'eager' or 'auto'"
        )
    if engine == "eager" or (engine == "auto" and backend.xp is not np):
        return "eager"
    if backend.xp is np and not may_execute():
        if engine == "compiled":
            raise BackendUnavailableError(f"engine 'compiled' cannot run: {FORBIDDEN}. Use 'eager' or 'auto'")
        warnings.warn(f"engine 'eager' runs instead of 'compiled': {FORBIDDEN}", RuntimeWarning, stacklevel=1)  # once
        return "eager"
    return "compiled"


def bind(
    engine: str,
    examples: Examples,
    params: Params,
    *,
    backend: Backend,
    method: Method = Method(),  # noqa: B008
    threads: int | None = None,
    tasks: Sequence[str] = ("step", "score"),
) -> Engine:
    """Bind an engine to a data set.

    Parameters
    ----------
    engine : str
        As in `choose`.
    examples : Examples
        What to train on or to ask about, on the backend.
    params : Params
        A network of the sizes to be run.
    backend : Backend
        Where to compute.
    method : Method
        What is computed.
    threads : int, optional
        Threads of the compiled engine on the CPU, at most; by default as many as `count_threads` finds.
    tasks : sequence of str
        What will be asked, so that it is compiled now: ``"step"``, ``"score"``, or a layer of `Engine.predict`.
    """
    if choose(engine, backend) == "eager":
        return EagerEngine(examples, backend=backend, method=method)
    with lock:
        from nn_backend.engines.compiled import CompiledEngine
    return CompiledEngine(examples, params, backend=backend, method=method, threads=threads, tasks=tasks)

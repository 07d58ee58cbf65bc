"""How an iteration is executed: one module per engine, each bound to one data set and device."""

from collections.abc import Sequence

import numpy as np

from nn_backend.backend import Backend
from nn_backend.engines.eager import EagerEngine
from nn_backend.engines.engine import Engine, Examples
from nn_backend.equations import Params
from nn_backend.errors import ArgumentError

ENGINES = ("auto", "eager", "compiled")


def choose(engine: str, backend: Backend) -> str:
    """Return the name of the engine that runs where ``engine`` is asked for.

    Parameters
    ----------
    engine : str
        ``"eager"``, ``"compiled"``, or ``"auto"``: ``"compiled"`` on the CPU, ``"eager"`` elsewhere. On a GPU the
        compiled engine has been tested in emulation only.
    backend : Backend
        Where to compute.

    Raises
    ------
    ArgumentError
        If no engine has that name, or the compiled engine is asked for where it does not serve.
    """
    if engine not in ENGINES:
        raise ArgumentError(f"engine {engine!r} is not known; accepted: {', '.join(ENGINES)}")
    if engine == "compiled" and backend.xp is not np and not backend.is_cupy:
        raise ArgumentError(
            f"engine 'compiled' does not serve here: the backend is {backend.name}; it runs on numpy and cupy. "
            f"Use 'eager' or 'auto'"
        )
    if engine == "auto":
        return "compiled" if backend.xp is np else "eager"
    return engine


def bind(
    engine: str,
    examples: Examples,
    params: Params,
    *,
    backend: Backend,
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
    threads : int, optional
        Threads of the compiled engine on the CPU; by default as `count_threads` gives it: one for each core.
    tasks : sequence of str
        What will be asked, so that it is compiled now: ``"step"``, ``"score"``, ``"yhat"``, ``"z2"``.
    """
    if choose(engine, backend) == "eager":
        return EagerEngine(examples, backend=backend)
    from nn_backend.engines.compiled import CompiledEngine  # brings LLVM, which takes longer to load than NumPy

    return CompiledEngine(examples, params, backend=backend, threads=threads, tasks=tasks)

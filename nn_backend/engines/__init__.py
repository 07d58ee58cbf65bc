"""How an iteration is executed: one module per engine, each bound to one data set and device."""

import math

import numpy as np

from nn_backend.backend import Backend
from nn_backend.engines.eager import EagerEngine
from nn_backend.engines.engine import Engine
from nn_backend.equations import Array, Params
from nn_backend.errors import ArgumentError

ENGINES = ("auto", "eager", "compiled")

# Beyond this, compiling takes seconds and BLAS is faster; measured by bench/bench_engines.py.
MAX_COMPILED_PARAMETERS = 600
# A guess until it is measured: NVRTC reports no spills at 21 parameters, 0.3 to 2.4 KB a thread at 81, and more beyond.
MAX_COMPILED_PARAMETERS_ON_GPU = 81


def choose(engine: str, params: Params, backend: Backend) -> str:
    """Give the name of the engine that runs a network where ``engine`` is asked for.

    Parameters
    ----------
    engine : str
        ``"eager"``, ``"compiled"``, or ``"auto"`` for ``"compiled"`` where it serves and ``"eager"`` elsewhere. On a
        GPU ``"auto"`` takes ``"eager"``: there, the compiled engine has been tested in emulation only.
    params : Params
        The network.
    backend : Backend
        Where to compute.

    Raises
    ------
    ArgumentError
        If no engine has that name, or the compiled engine is asked for where it does not serve.
    """
    if engine not in ENGINES:
        raise ArgumentError(f"engine {engine!r} is not known; accepted: {', '.join(ENGINES)}")
    if engine == "eager":
        return engine
    size = sum(math.prod(array.shape[-2:]) for array in params)
    on_gpu = backend.name.startswith("cupy")
    limit = MAX_COMPILED_PARAMETERS_ON_GPU if on_gpu else MAX_COMPILED_PARAMETERS
    obstacle = None
    if backend.xp is not np and not on_gpu:
        obstacle = f"the backend is {backend.name}; it runs on numpy and cupy"
    elif size > limit:
        obstacle = f"the network has {size} parameters; it runs at most {limit}"
    if obstacle is None:
        return "eager" if on_gpu and engine == "auto" else "compiled"
    if engine == "compiled":
        raise ArgumentError(f"engine 'compiled' does not serve here: {obstacle}. Use 'eager' or 'auto'")
    return "eager"


def bind(engine: str, X: Array, y: Array, params: Params, *, backend: Backend, threads: int | None = None) -> Engine:
    """Bind an engine to a data set.

    Parameters
    ----------
    engine : str
        As in `choose`.
    X : array (n0, m)
        One example per column, on the backend.
    y : array (n2, m)
        True values, 0 or 1, on the backend.
    params : Params
        A network of the sizes to be run.
    backend : Backend
        Where to compute.
    threads : int, optional
        Workers on the CPU; by default as `count_threads` gives it: one for each core.
    """
    if choose(engine, params, backend) == "eager":
        return EagerEngine(X, y, backend=backend, threads=threads)
    from nn_backend.engines.compiled import CompiledEngine  # brings LLVM, which takes longer to load than NumPy

    return CompiledEngine(X, y, params, backend=backend, threads=threads)

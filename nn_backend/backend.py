"""Names of backends, and the only crossing between host and device.

A `Backend` is a small value: an array module and the device its arrays live on. It is chosen once, at the boundary, and
handed on; nothing below looks one up.
"""

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import array_api_compat
import numpy as np

from nn_backend.checks import as_array
from nn_backend.equations import Array
from nn_backend.errors import ArgumentError, ArrayTypeError, BackendUnavailableError, OutOfMemoryError
from nn_backend.gpu import AFTER_FORK, cuda_version, find_problem, first_line, is_after_fork


@dataclass(frozen=True)
class Backend:
    """An array module and a device.

    Attributes
    ----------
    name : str
        What selects it, such as ``"numpy"`` or ``"cupy:0"``.
    xp : module
        The array module, following the array API standard.
    device : object
        Where arrays are created, in the module's own terms.
    device_name : str
        The device in words, for people.
    host : object
        What the module calls the memory that NumPy can read.
    """

    name: str
    xp: Any
    device: Any = "cpu"
    device_name: str = "cpu"
    host: Any = "cpu"

    @property
    def is_cupy(self) -> bool:
        """Whether its arrays are CuPy's, whatever its name."""
        return getattr(self.xp, "__name__", "").rpartition(".")[2] == "cupy"

    def asarray(self, values: Any, dtype: str | None = None) -> Array:
        """Return ``values`` as an array of this backend, moved to its device.

        Parameters
        ----------
        values : array_like
            Numbers on the host, or an array of this backend's module, on whichever of its devices.
        dtype : str, optional
            ``"float64"`` or ``"float32"``; by default that of ``values``.

        Raises
        ------
        ArrayTypeError
            If ``values`` is an array of another module.
        DataError
            If ``values`` holds no real numbers.
        OutOfMemoryError
            If the device has no room for it.
        """
        if (
            type(values) is np.ndarray and self.xp is np and values.dtype.char in "df"
        ):  # nothing to check: this is often
            return values if dtype is None else values.astype(dtype, copy=False)
        if array_api_compat.is_array_api_obj(values) and not array_api_compat.is_numpy_array(values):
            owner = array_api_compat.array_namespace(values)
            if owner is not self.xp:
                library = owner.__name__.rpartition("array_api_compat.")[2]
                raise ArrayTypeError(
                    f"the array belongs to {library}, but the backend is {self.name}; pass a NumPy array, "
                    f"or choose the backend that the array lives on"
                )
        else:
            values = as_array(values)
        with self.current():
            return self.xp.asarray(values, dtype=getattr(self.xp, dtype) if dtype else None, device=self.device)

    def to_numpy(self, array: Array) -> np.ndarray:
        """Return an array of this backend as a NumPy array of the same shape and dtype, waiting for the device."""
        if type(array) is np.ndarray:
            return array
        with self.current():
            return np.asarray(array_api_compat.to_device(array, self.host))

    def current(self) -> AbstractContextManager[None]:
        """Return a context in which the module creates arrays on this device; CuPy's devices are such contexts.

        Raises
        ------
        OutOfMemoryError
            Where the module, or Python on the way to it, runs out of memory inside.
        BackendUnavailableError
            Where this process was forked from the one that had used the device.
        """
        return self._on_device() if hasattr(self.device, "__enter__") else _Memory(self)

    @contextmanager
    def _on_device(self) -> Iterator[None]:
        try:
            with self.device, _Memory(self):
                yield
        except RuntimeError as error:
            if not is_after_fork(error):
                raise
            raise BackendUnavailableError(AFTER_FORK) from None

    def _shortage(self, error: MemoryError) -> str:
        """Say whose memory does not suffice."""
        where, sizes, other = self.name, "", "a device"
        if hasattr(self.device, "mem_info"):
            if type(error) is MemoryError or type(error).__module__.startswith("numpy"):  # CuPy's are of its own type
                where, other = "the host", "a machine"
            else:
                free, total = self.device.mem_info
                sizes = f"; {free:,} of the device's {total:,} bytes are free"
        return (
            f"{where} is out of memory: {first_line(error)}{sizes}. "
            f"Take fewer rows or hidden units, float32, or {other} with more memory"
        )

    def synchronize(self) -> None:
        """Wait until the device has done all that was asked of it."""
        if hasattr(self.device, "synchronize"):
            self.device.synchronize()


class _Memory:
    """A context in which it is said once whose memory does not suffice."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, MemoryError) and not isinstance(error, OutOfMemoryError):
            raise OutOfMemoryError(self._backend._shortage(error)) from None


def dtype_name(array: Array) -> str:
    """Return the dtype of any module's array as NumPy would name it, such as ``"float64"``."""
    known = _NAMES.get(array.dtype.char) if type(array) is np.ndarray else None  # NumPy takes long to name a dtype
    return known or str(array.dtype).rpartition(".")[2]


def get_backend(backend: "str | Backend | None" = None) -> Backend:
    """Return the backend that a name stands for.

    Parameters
    ----------
    backend : str or Backend, optional
        ``"cpu"`` or ``"numpy"``; ``"gpu"`` or ``"cupy"``; ``"cupy:1"`` for a device by its number; ``"auto"`` for the
        GPU where one can be used and the CPU elsewhere; a name given to `register_backend`. By default the one of the
        enclosing `use_backend`, else of `set_default_backend`, else of the environment variable ``NN_BACKEND``, else
        ``"cpu"``.

    Raises
    ------
    ArgumentError
        If no backend has that name.
    BackendUnavailableError
        If the backend cannot run here; ``"gpu"`` never falls back.

    Examples
    --------
    >>> get_backend("cpu").name
    'numpy'
    """
    if isinstance(backend, Backend):
        return backend
    if isinstance(backend, str):
        return _find(backend)
    if backend is not None:
        raise ArgumentError(f"backend is of type {type(backend).__name__}; expected a name such as 'gpu', or a Backend")
    chosen = _context_backend.get() or _default_backend
    if chosen is not None:
        return chosen
    name = os.environ.get("NN_BACKEND") or "cpu"
    try:
        return _find(name)
    except ArgumentError as error:
        raise ArgumentError(f"environment variable NN_BACKEND: {error}") from None


@contextmanager
def use_backend(backend: str | Backend) -> Iterator[Backend]:
    """Make a backend the default inside a ``with`` block, in this thread.

    Examples
    --------
    >>> with use_backend("numpy") as backend:
    ...     get_backend() is backend
    True
    """
    found = get_backend(backend)
    token = _context_backend.set(found)
    try:
        yield found
    finally:
        _context_backend.reset(token)


def set_default_backend(backend: str | Backend | None) -> None:
    """Make a backend the default of the whole program; None takes that back."""
    global _default_backend
    _default_backend = None if backend is None else get_backend(backend)


def register_backend(name: str, factory: Callable[[int | None], Backend]) -> None:
    """Return a name to a new array module.

    Parameters
    ----------
    name : str
        The name, without a colon. Registering it again replaces the factory.
    factory : callable
        Called with the number behind the colon of ``"name:1"``, or None; returns the `Backend`, or raises
        `BackendUnavailableError`.

    Examples
    --------
    >>> import array_api_strict as strict
    >>> register_backend("strict", lambda number: Backend("strict", strict, strict.Device("CPU_DEVICE")))
    >>> get_backend("strict").name
    'strict'
    """
    if not name or ":" in name or name in (*_ALIASES, "auto", "numpy", "cupy"):
        raise ArgumentError(f"backend name {name!r} is taken or has a colon or no characters; choose another")
    _FACTORIES[name] = factory


def available_backends() -> list[str]:
    """Return the names of the backends that can run here, such as ``["numpy", "cupy"]``."""
    names = []
    for name, factory in _FACTORIES.items():
        try:
            factory(None)
        except BackendUnavailableError:
            continue
        names.append(name)
    return names


def diagnose_gpu() -> str:
    """Say in one sentence which GPU can be used, or what is missing and how to get it. Never raises."""
    problem = find_problem()
    if problem is not None:
        return problem
    import cupy

    count = cupy.cuda.runtime.getDeviceCount()
    driver = cuda_version(cupy.cuda.runtime.driverGetVersion())
    return f"CuPy {cupy.__version__} can use {count} CUDA device{'s'[: count > 1]} (driver for CUDA {driver})."


def _find(name: str) -> Backend:
    if name == "auto":
        try:
            return _find("gpu")
        except BackendUnavailableError:
            return _find("cpu")
    stem, colon, number = name.partition(":")
    stem = _ALIASES.get(stem, stem)
    if stem not in _FACTORIES or (colon and not (number.isascii() and number.isdigit())):
        accepted = ", ".join([*_ALIASES, "auto", *_FACTORIES])
        raise ArgumentError(f"backend {name!r} is not known; accepted: {accepted}, cupy:1 (a device by its number)")
    return _FACTORIES[stem](int(number) if colon else None)


def _numpy(number: int | None) -> Backend:
    if number is not None:
        raise ArgumentError(f"backend numpy:{number} is not known: NumPy has no numbered devices; use cpu")
    return Backend("numpy", np)


@functools.cache  # the diagnosis takes longer than a small training; a failure raises and is not kept
def _cupy_of(process: int, number: int | None) -> Backend:
    problem = find_problem()
    if problem is not None:
        raise BackendUnavailableError(problem)
    import array_api_compat.cupy as xp
    import cupy

    runtime = cupy.cuda.runtime
    number, count = number or 0, runtime.getDeviceCount()
    if number >= count:
        raise BackendUnavailableError(f"CUDA device {number} was asked for; this machine has {count}, counted from 0.")
    words = runtime.getDeviceProperties(number)["name"].decode()
    return Backend(f"cupy:{number}", xp, cupy.cuda.Device(number), words)


def _cupy(number: int | None) -> Backend:
    return _cupy_of(os.getpid(), number)  # CUDA does not survive a fork: a child asks anew, and is told


_NAMES = {"d": "float64", "f": "float32"}
_ALIASES = {"cpu": "numpy", "gpu": "cupy"}
_FACTORIES: dict[str, Callable[[int | None], Backend]] = {"numpy": _numpy, "cupy": _cupy}
_context_backend: ContextVar[Backend | None] = ContextVar("backend", default=None)
_default_backend: Backend | None = None

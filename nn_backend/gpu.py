"""Why a GPU cannot be used: one sentence for each way in which it can be missing, and what to do."""

import importlib.metadata
import importlib.util
import os
import warnings
from contextlib import suppress

_CUPY_WHEELS = ("amd-cupy", "cupy", "cupy-cuda11x", "cupy-cuda12x", "cupy-cuda13x", "cupy-cuda14x")
# cudaErrorInsufficientDriver, cudaErrorNoDevice, cudaErrorInitializationError
_NO_DRIVER_OR_TOO_OLD, _NO_DEVICE, _NOT_AFTER_FORK = 35, 100, 3
AFTER_FORK = (
    "This process was forked from one that had used CUDA, which does not survive that: start worker processes with the "
    "method 'spawn' or 'forkserver'."
)


def cuda_version(number: int) -> str:
    """Return CUDA's version number, 13010, as people write it: 13.1."""
    return f"{number // 1000}.{number % 1000 // 10}"


def find_problem() -> str | None:
    """Say in one sentence why CuPy cannot use a GPU here, or return None."""
    wheels = _cupy_wheels()
    named = " and ".join(f"{name} {version}" for name, version in wheels.items())
    spec = importlib.util.find_spec("cupy")
    if spec is None or spec.origin is None:  # without an origin it is but a folder of that name
        if wheels:
            return (
                f"CuPy's files are gone although {named} is registered (another CuPy wheel was uninstalled over it): "
                f'run "pip install --force-reinstall --no-deps {next(iter(wheels))}".'
            )
        return (
            'CuPy is not installed: run "pip install nn-backend[cuda13]", or nn-backend[cuda12] for an NVIDIA driver '
            "older than 580."
        )
    if len(wheels) > 1:
        return (
            f"Several CuPy packages share one folder, {named}: "
            f'run "pip uninstall {" ".join(wheels)}", then install one of them.'
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import cupy
    except OSError as error:  # CuPy creates its kernel cache on import
        return f"CuPy cannot create its kernel cache ({error}): set CUPY_CACHE_DIR to a folder that can be written."
    except Exception as error:
        reason = first_line(error.__cause__ or error)
        return (
            f"CuPy is installed but cannot be imported ({reason}): "
            f'run "pip install --force-reinstall {next(iter(wheels), "cupy-cuda13x")}".'
        )
    runtime = cupy.cuda.runtime
    needed = runtime.runtimeGetVersion() // 1000  # any driver for that major version will do
    named = named or f"CuPy {cupy.__version__}"
    try:
        count = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        if error.status == _NO_DRIVER_OR_TOO_OLD:
            driver = runtime.driverGetVersion()
            if driver == 0:
                return f"No NVIDIA driver (libcuda.so.1) was found: {named} needs one for CUDA {needed}."
            fitting = "nn-backend[cuda12] instead" if driver // 1000 == 12 else "a CuPy for the driver's version"
            return (
                f"The NVIDIA driver is too old: it supports CUDA {cuda_version(driver)}, but {named} needs CUDA "
                f"{needed}; update the driver or install {fitting}."
            )
        if error.status == _NOT_AFTER_FORK:
            return AFTER_FORK
        if error.status == _NO_DEVICE:
            count = 0
        else:
            return f"The CUDA driver reports error {error.status}: {first_line(error)}."
    if count == 0:
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        hint = "" if hidden is None else f"; CUDA_VISIBLE_DEVICES is {hidden!r}, unset it to see every device"
        return f"The NVIDIA driver is installed but shows no CUDA device{hint}."
    try:  # a missing CUDA library shows at first use only
        cupy.cuda.nvrtc.getVersion()
        square = cupy.ones((2, 2), cupy.float32)
        (square @ square + 1).sum().get()
    except runtime.CUDARuntimeError as error:
        if error.status == _NOT_AFTER_FORK:
            return AFTER_FORK
        return f"The GPU was found but cannot be used ({first_line(error)})."
    except (ImportError, RuntimeError) as error:
        wheel = next(iter(wheels), "cupy-cuda13x")
        return f'A CUDA library is missing ({first_line(error)}): run "pip install {wheel}[ctk]".'
    except Exception as error:
        return f"The GPU was found but cannot be used ({first_line(error)})."
    return None


def _cupy_wheels() -> dict[str, str]:
    """Return the installed distributions that own the module cupy, with their versions."""
    found = {}
    for name in _CUPY_WHEELS:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def is_after_fork(error: RuntimeError) -> bool:
    """Tell CUDA's own errors from those of its libraries, whose numbers mean something else."""
    of_cuda = type(error).__name__ in ("CUDARuntimeError", "CUDADriverError")
    return of_cuda and getattr(error, "status", None) == _NOT_AFTER_FORK


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, without its full stop."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")

"""The backends that array tests run on, and the one comparison they use."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import array_api_compat
import array_api_strict
import numpy as np
import pytest

import nn_backend as nn
from nn_backend.backend import Backend, dtype_name
from nn_backend.compiler import interpreter

STRICT = Backend(
    "strict",
    array_api_strict,
    device=array_api_strict.Device("device1"),
    device_name="a device that refuses implicit transfers",
    host=array_api_strict.Device("CPU_DEVICE"),
)


class Device:
    """A device as CuPy's are, a context that makes it the current one, which it is not at first."""

    def __init__(self) -> None:
        self.entered = 0

    def __enter__(self) -> None:
        self.entered += 1

    def __exit__(self, *exception: object) -> None:
        self.entered -= 1

    def demanded(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, which may be called only while this is the current device."""

        def call(*arguments: Any, **options: Any) -> Any:
            assert self.entered, f"{function} while another device is current"
            return function(*arguments, **options)

        return call


@dataclass(frozen=True)
class Place:
    """A backend, and the dtype that a test's arrays have on it."""

    backend: Backend
    dtype: str

    @property
    def xp(self) -> Any:
        return self.backend.xp

    def asarray(self, values: Any) -> Any:
        return self.backend.asarray(values, self.dtype)

    def params(self, params: nn.Params) -> nn.Params:
        return nn.Params(*map(self.asarray, params))


def require_gpu() -> Backend:
    """Give the GPU's backend; without a GPU skip the test, or fail it where NN_BACKEND_REQUIRE_GPU=1."""
    try:
        return nn.get_backend("gpu")
    except nn.BackendUnavailableError as error:
        if os.getenv("NN_BACKEND_REQUIRE_GPU") == "1":
            pytest.fail(f"NN_BACKEND_REQUIRE_GPU is 1, but: {error}")
        pytest.skip(str(error))


def compute(operation: str, *arrays: np.ndarray) -> np.ndarray:
    """Compute an element-wise operation on arrays (m,) as the interpreter does."""
    with np.errstate(all="ignore"):
        return interpreter.apply(operation, arrays[0].dtype.name, *(array[None] for array in arrays))[0]


def assert_close(actual: Any, expected: Any, place: Place, *, rtol: float, atol: float = 0.0) -> None:
    """Compare namespace, device, dtype and shape, then values with NumPy's ``expected``."""
    assert array_api_compat.is_array_api_obj(actual)
    if place.xp is np:
        assert isinstance(actual, np.ndarray | np.generic)
    else:
        assert array_api_compat.array_namespace(actual) is place.xp
        assert array_api_compat.device(actual) == place.backend.device
    assert dtype_name(actual) == place.dtype
    expected = np.asarray(expected)
    assert tuple(actual.shape) == expected.shape
    np.testing.assert_allclose(place.backend.to_numpy(actual), expected, rtol=rtol, atol=atol)


def assert_same_bits(actual: Any, expected: Any) -> None:
    """Compare NumPy's dtype, shape and bits, the sign of zero included; of a NaN only that it is one."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
    differ = (actual != expected) | (np.signbit(actual) != np.signbit(expected))
    differ &= ~(np.isnan(actual) & np.isnan(expected))
    assert not differ.any(), f"{differ.sum()} differ: {actual[differ][0]!r}, not {expected[differ][0]!r}"

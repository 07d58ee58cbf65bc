"""Memory as kernels want it: arrays that begin where cache lines do, and where they are."""

import ctypes
import math
from typing import Any

import numpy as np

LINE = 64  # bytes of a cache line, at which arrays begin


def zeros(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return an array of zeros that begins where a cache line does."""
    return _aligned(shape, dtype, np.zeros)


def copied(array: np.ndarray) -> np.ndarray:
    """Return an aligned copy."""
    copy = _aligned(array.shape, array.dtype, np.empty)
    copy[...] = array
    return copy


def _aligned(shape: tuple[int, ...], dtype: Any, allocate: Any) -> np.ndarray:
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = allocate(size + LINE, np.uint8)
    first = -address(memory) % LINE
    array: np.ndarray = memory[first : first + size].view(dtype).reshape(shape)
    return array


def address(array: np.ndarray) -> int:
    """Return where the numbers of a contiguous array are; ``array.ctypes.data`` takes four times as long."""
    return ctypes.addressof(ctypes.c_byte.from_buffer(array.data)) if array.size else 0

"""Two devices of which the other one is current: whatever is done with our arrays is done while ours is."""

import functools
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from places import Device

import nn_backend as nn
from nn_backend.backend import Backend
from nn_backend.engines import eager

OURS = Device()


class DeviceArray:
    """An array on our device, which has to be current for everything but a look at its shape and dtype."""

    __array_ufunc__ = None  # or NumPy's numbers would take it apart

    def __init__(self, values: Any) -> None:
        self.values = np.asarray(values)
        self.shape, self.dtype, self.ndim = self.values.shape, self.values.dtype, self.values.ndim

    def __array__(self, *args: object, **options: object) -> None:
        raise TypeError("implicit copy to the host")

    def __array_namespace__(self, **options: object) -> Any:
        return MODULE

    def to_device(self, device: object, stream: object = None) -> np.ndarray:
        assert device == "cpu"
        return compute(np.copy, self).values


def compute(function: Any, *arguments: Any, **options: Any) -> Any:
    on_host = (array.values if isinstance(array, DeviceArray) else array for array in arguments)
    values = OURS.demanded(function)(*on_host, **options)
    return DeviceArray(values) if isinstance(values, np.ndarray | np.generic) else values


def special(name: str) -> Any:
    return lambda self, *arguments: compute(getattr(np.ndarray, name), self, *arguments)


SPECIAL = "add sub mul truediv matmul radd rsub rmul rtruediv eq lt gt ge or neg abs getitem bool float len"
for word in SPECIAL.split():
    setattr(DeviceArray, f"__{word}__", special(f"__{word}__"))


class Module(ModuleType):
    """An array module, of NumPy's functions."""

    def asarray(self, values: Any, dtype: Any = None, device: Any = None) -> DeviceArray:
        assert device is OURS
        uploads.append(values.shape)
        return compute(np.array, values, dtype)

    def __getattr__(self, name: str) -> Any:
        found = getattr(np, name)
        return found if isinstance(found, type) else functools.partial(compute, found)


uploads: list[tuple[int, ...]] = []
MODULE = Module("ours")
BACKEND = Backend("ours:1", MODULE, OURS)
X, Y = (array[:, :300] for array in nn.load_marks())
START = nn.init_params(3, 4)


@pytest.mark.parametrize("place", [lambda array: array, BACKEND.asarray], ids=["host", "device"])
@pytest.mark.parametrize(("networks", "columns"), [(1, 300), (1, 100), (2, 100)])
def test_training_and_asking(networks: int, columns: int, place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eager, "BLOCK_BYTES", 4 * 8 * columns * networks)
    start = START if networks == 1 else nn.Params(*(np.stack([array, array / 2]) for array in START))
    params, x, y = nn.Params(*map(place, start)), place(X), place(Y)
    how = {"iterations": 10, "log_every": 3, "optimizer": "nesterov"}  # whose memory has to lie there as well
    here = nn.fit(X, Y, start, engine="eager", **how)
    there = nn.fit(x, y, params, backend=BACKEND, **how)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-9)
    for actual, expected in zip(there.params, here.params, strict=True):
        close(actual, expected)
    close(there.history, here.history)
    close(nn.score(params, x, y, backend=BACKEND), nn.score(start, X, Y))
    close(nn.predict_proba(params, x, backend=BACKEND), nn.predict_proba(start, X))
    for scale in (None, nn.standardization(X)):
        model = nn.Model(START, standardization=scale)
        close(model.score(x, y, backend=BACKEND), model.score(X, Y))
        close(model.predict_proba(x, backend=BACKEND), model.predict_proba(X))
    assert not OURS.entered


def test_parameters_go_up_once_and_stay() -> None:
    uploads.clear()
    nn.fit(X, Y, START, iterations=9, log_every=1, backend=BACKEND)
    assert uploads == [array.shape for array in (*START, X, Y)]

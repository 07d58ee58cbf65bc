"""What every engine answers, and how many threads it may use."""

import os
from typing import Any, NamedTuple, Protocol

import numpy as np

from nn_backend.equations import Params
from nn_backend.errors import ArgumentError

MAX_THREADS = 1024
MAX_COUNT = 2**24  # float32 counts no further, and count_correct counts in the dtype of y


class Score(NamedTuple):
    """How well a network does on a data set.

    Attributes
    ----------
    cost : float
        Binary cross-entropy in nats per example.
    accuracy : float
        Share of the outputs on the right side of 0.5.

    Notes
    -----
    Where the parameters have leading axes of networks, both are arrays of the leading shape.
    """

    cost: Any
    accuracy: Any

    @classmethod
    def of(cls, cost: np.ndarray, accuracy: np.ndarray) -> "Score":
        """Give the score that float64 arrays of the leading shape hold."""
        return cls(cost, accuracy) if cost.ndim else cls(float(cost), float(accuracy))


class Engine(Protocol):
    """Executes iterations on one data set, which it was bound to when it was made."""

    name: str

    def descend(self, params: Params, iterations: int, learning_rate: float) -> Params:
        """Give the parameters after that many updates; arrays of the engine's backend in and out."""
        ...

    def score(self, params: Params) -> Score:
        """Give cost and accuracy at the parameters."""
        ...


def count_threads(threads: int | None = None) -> int:
    """Give the number of workers on the CPU.

    It is the argument, else ``NN_BACKEND_THREADS``, else ``OMP_NUM_THREADS`` (by which joblib, among others, shares the
    cores between its processes), else the number of cores this process may use.
    """
    if threads is not None:
        if not 1 <= threads <= MAX_THREADS:
            raise ArgumentError(f"threads is {threads}; expected 1 to {MAX_THREADS}")
        return threads
    accepted = [str(count) for count in range(1, MAX_THREADS + 1)]
    text = os.getenv("NN_BACKEND_THREADS")
    if text:
        if text not in accepted:
            raise ArgumentError(f"environment variable NN_BACKEND_THREADS is {text!r}; expected 1 to {MAX_THREADS}")
        return int(text)
    share = os.getenv("OMP_NUM_THREADS")
    if share in accepted:  # whatever else stands there is for OpenMP to judge
        return int(share)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

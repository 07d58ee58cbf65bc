"""What every engine answers, and what it is asked about."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from nn_backend.equations import Array, Params

MAX_COUNT = 2**24  # float32 counts no further, and count_correct counts in the dtype of y

State = Any
"""Parameters in the form in which an engine works on them; never changed in place."""


class Examples(NamedTuple):
    """Examples checked against a network, on a backend.

    Attributes
    ----------
    X : array (n0, m)
        One example per column.
    y : array (n2, m) or None
        True values, where they are needed.
    """

    X: Array
    y: Array | None = None


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
        """Return the score that float64 arrays of the leading shape hold."""
        return cls(cost, accuracy) if cost.ndim else cls(float(cost), float(accuracy))


class Engine(Protocol):
    """Executes iterations on one data set, which it was bound to when it was made."""

    name: str
    seconds: float
    """What an iteration takes, rather overestimated; by which the first stretch of a run is bounded."""

    def start(self, params: Params) -> State:
        """Take parameters, arrays of the engine's backend."""
        ...

    def descend(self, state: State, iterations: int, numbers: Mapping[str, Any]) -> State:
        """Return the state after that many updates; each number one for all networks, or of their leading shape."""
        ...

    def score(self, state: State) -> Score:
        """Return cost and accuracy at a state."""
        ...

    def predict(self, state: State, layer: str) -> np.ndarray:
        """Return a layer's values (..., n2, m) at a state: ``"yhat"`` or ``"z2"``."""
        ...

    def params(self, state: State) -> Params:
        """Return the parameters of a state as NumPy arrays."""
        ...

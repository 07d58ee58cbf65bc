"""What every engine answers."""

from typing import Any, NamedTuple, Protocol

from nn_backend.equations import Params


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


class Engine(Protocol):
    """Executes iterations on one data set, which it was bound to when it was made."""

    name: str

    def descend(self, params: Params, iterations: int, learning_rate: float) -> Params:
        """Give the parameters after that many updates; arrays of the engine's backend in and out."""
        ...

    def score(self, params: Params) -> Score:
        """Give cost and accuracy at the parameters."""
        ...

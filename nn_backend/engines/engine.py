"""What every engine answers, and what it is asked about."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from nn_backend.backend import Backend
from nn_backend.equations import SIGMOID, Array, Output, outside
from nn_backend.optimizers import GD, Rule, State

MAX_COUNT = 2**24  # float32 counts no further, and right answers are counted in the dtype of y

Packed = Any
"""A state in the form in which an engine works on it; never changed in place."""


class Examples(NamedTuple):
    """Examples checked against a network, on a backend.

    Attributes
    ----------
    X : array (n0, m)
        One example per column.
    y : array (n2, m) or None
        True values, where they are needed.
    weights : array (1, m) or (..., 1, m), or None
        How often each example counts, in all networks or in each; None: once.
    fold : array (1, m) or None
        The number of each example's fold.
    held_out : ndarray of the leading shape, or None
        The fold that a network is not trained on.
    spans : ndarray (networks, 2) of int64, or None
        Each network's first example, a multiple of 32, and how many it has; None: all have all. They are those of the
        last leading axis, one after the other, and again for each index of further axes.
    total : float, ndarray of the leading shape, or None
        Sum of the weights that count; None: the number of examples.
    spread : ndarray (..., n2) or None
        Weighted sum of squares of y around its mean, of each output, for R².
    order : ndarray (m,) of int, or None
        With spans, which of the examples that were given stands where; -1: none does.
    """

    X: Array
    y: Array | None = None
    weights: Array | None = None
    fold: Array | None = None
    held_out: np.ndarray | None = None
    spans: np.ndarray | None = None
    total: Any = None
    spread: np.ndarray | None = None
    order: np.ndarray | None = None

    @property
    def m(self) -> Any:
        """Sum of the weights, by which the equations divide."""
        return float(self.X.shape[1]) if self.total is None else self.total

    @property
    def own(self) -> bool:
        """Whether each network has weights of its own."""
        return self.weights is not None and len(self.weights.shape) > 2

    def arrays(self) -> dict[str, Array]:
        """Return by name those with a column for each example."""
        arrays = {"X": self.X, "y": self.y, "weights": self.weights, "fold": self.fold}
        return {name: array for name, array in arrays.items() if array is not None}

    def numbers(self) -> dict[str, Any]:
        """Return by name the numbers that go with them: one for all networks, or of the leading shape."""
        return {"m": self.m} if self.held_out is None else {"m": self.m, "held_out": self.held_out}


class Method(NamedTuple):
    """What is computed, apart from the sizes.

    Attributes
    ----------
    output : Output
        What kind of network it is.
    rule : Rule
        How it is updated.
    numbers : tuple of str
        Names of the numbers that `optimizers.advance` is given.
    folds : bool
        Whether examples have folds, of which one is held out.
    """

    output: Output = SIGMOID
    rule: Rule = GD
    numbers: tuple[str, ...] = ("learning_rate",)
    folds: bool = False

    def weights(self, weights: Any, fold: Any, held_out: Any, *, xp: Any) -> Any:
        """Return how often each example counts, of its own weight and of its fold."""
        return outside(fold, held_out, xp=xp) * weights if self.folds else weights


class Score(NamedTuple):
    """How well a network does on a data set.

    Attributes
    ----------
    cost : float
        Per example: binary or categorical cross-entropy in nats, or half the squared error.
    accuracy : float
        Of a sigmoid output, the share of outputs on the right side of 0.5; of softmax, the share of examples whose
        first largest output is the true class; of identity NaN.
    r2 : float
        Of an identity output the coefficient of determination R², the mean over the outputs; else NaN.

    Notes
    -----
    Where the parameters have leading axes of networks, all are arrays of the leading shape.
    """

    cost: Any
    accuracy: Any
    r2: Any

    @classmethod
    def of(cls, examples: Examples, cost: np.ndarray, errors: np.ndarray) -> "Score":
        """Return the score that a `Tally` of all examples says: float64 arrays (...) and (..., rows)."""
        accuracy = r2 = cost * np.nan
        if examples.spread is None:
            total = np.asarray(examples.m * errors.shape[-1])
            accuracy = np.maximum(total - errors.sum(axis=-1), 0.0) / total
        else:
            with np.errstate(divide="ignore", invalid="ignore"):
                shares = np.where(examples.spread > 0, 1 - errors / examples.spread, np.where(errors == 0, 1.0, 0.0))
            r2 = shares.mean(axis=-1)
        return cls(cost, accuracy, r2) if cost.ndim else cls(float(cost), float(accuracy), float(r2))


class Engine(Protocol):
    """Executes iterations on one data set, which it was bound to when it was made."""

    name: str
    seconds: float
    """What an iteration takes, rather overestimated; by which the first stretch of a run is bounded."""

    def start(self, state: State) -> Packed:
        """Take a state, arrays of the engine's backend; to ask only, one without memory."""
        ...

    def descend(
        self, state: Packed, iterations: int, numbers: Mapping[str, Any], ended: np.ndarray | None = None
    ) -> tuple[Packed, np.ndarray, np.ndarray]:
        """Do that many updates, but of a network whose run ends no more.

        Parameters
        ----------
        state : Packed
            Where to begin.
        iterations : int
            Updates to do.
        numbers : mapping of str to float or array
            Each number one for all networks, or of their leading shape.
        ended : ndarray of bool, of the leading shape, optional
            Networks that are left alone; by default none.

        Returns
        -------
        state, done, ending : Packed, ndarray of int64, ndarray of str
            The state reached; for each network, how many updates were done, and which of `optimizers.ENDINGS` ended its
            run, or ``""``.
        """
        ...

    def score(self, state: Packed) -> Score:
        """Return the score of a state."""
        ...

    def predict(self, state: Packed, layer: str) -> np.ndarray:
        """Return a layer's values at a state, ``"yhat"`` or ``"z2"``: (..., n2, m).

        Of ``"layers"``, z2 is in the first n2 rows and yhat in the last, which are the same where one is the other.
        Where networks have examples of their own, they are along the last axis, which takes the place of the networks'.
        """
        ...

    def state(self, state: Packed) -> State:
        """Return a state as NumPy arrays."""
        ...


def columns(numbers: Mapping[str, Any], backend: Backend, dtype: str) -> dict[str, Any]:
    """Return numbers as update rules take them: Python floats, or arrays (..., 1, 1) of the backend."""

    def column(number: Any) -> Any:
        return backend.asarray(np.reshape(number, (*np.shape(number), 1, 1)), dtype)

    return {name: column(number) if np.ndim(number) else float(number) for name, number in numbers.items()}

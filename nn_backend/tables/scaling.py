"""Features scaled by their mean and deviation, whose sums are exact."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from nn_backend.errors import DataError

BLOCK = 2**22  # numbers of which sums are made together, so that what they need is small beside a large table
MIN_SPREAD, MAX_SPREAD = 1e-150, 1e150  # of a feature to standardise; beyond these a square is 0 or infinite


class Standardization(NamedTuple):
    """Mean and deviation of each feature.

    Attributes
    ----------
    mean, deviation : ndarray (n0, 1)
        In the units of the feature; the deviation of a constant feature is given as 1.
    """

    mean: np.ndarray
    deviation: np.ndarray

    def apply(self, X: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Return (X - mean) / deviation, shape (n0, m), in an array of their own, or in one that is given."""
        with np.errstate(over="ignore"):  # fit and score refuse infinity
            scaled: np.ndarray = np.subtract(X, self.mean, out=out)
            scaled /= self.deviation
        return scaled

    def undo(self, scaled: np.ndarray) -> np.ndarray:
        """Return scaled * deviation + mean, shape (n0, m)."""
        values: np.ndarray = scaled * self.deviation + self.mean
        return values

    def to_lists(self) -> dict[str, list[float]]:
        """Return the numbers by name, one for each feature, as JSON can hold them."""
        return {name: array.ravel().tolist() for name, array in self._asdict().items()}


class Scales(NamedTuple):
    """How features and numbers to predict are scaled.

    Attributes
    ----------
    features, target : Standardization or None
        Arrays (k, n0, 1) and (k, n2, 1): one scaling that all networks share, or that of each part in turn.
    """

    features: Standardization | None
    target: Standardization | None

    @property
    def parts(self) -> int:
        """How many scalings there are."""
        scale = self.target if self.features is None else self.features
        return 1 if scale is None else len(scale.mean)

    def of(self, part: int) -> "Scales":
        """Return the scaling of a part, arrays (n0, 1) and (n2, 1)."""
        return self._each(lambda array: array[part % self.parts])

    def of_examples(self, parts: np.ndarray) -> "Scales":
        """Return the scalings of examples of these parts, arrays (n0, m) and (n2, m)."""
        return self._each(lambda array: np.take(np.ascontiguousarray(array[:, :, 0].T), parts, axis=1))

    def apply(self, X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return X (n0, m) and y (n2, m) as a network takes them."""
        features, target = self
        return X if features is None else features.apply(X), y if target is None else target.apply(y)

    def _each(self, take: Callable[[np.ndarray], np.ndarray]) -> "Scales":
        return Scales(*(None if scale is None else Standardization(*map(take, scale)) for scale in self))


def standardization(
    X: np.ndarray,
    weights: np.ndarray | None = None,
    *,
    starts: Sequence[int] | np.ndarray = (0,),
    what: str | Sequence[str] = "feature",
) -> Standardization:
    """Return mean and deviation of each feature over the examples of X (n0, m).

    Parameters
    ----------
    X : array (n0, m)
        One example per column.
    weights : array (m,), optional
        How often each example counts, above 0.
    starts : sequence of int
        Where groups of examples begin, each of which has a column of means and deviations; by default all are one.
    what : str, or sequence of str
        What errors call a row of X, before its number; or each of them.

    Raises
    ------
    DataError
        If the values of a feature, unless all equal, lie closer together than 1e-150 or further apart than 1e150.

    Notes
    -----
    The sums are exactly rounded, so the result does not depend on the machine or on the order of the examples.

    Examples
    --------
    >>> scale = standardization(np.array([[1.0, 3.0]]))
    >>> scale.apply(np.array([[1.0, 3.0, 5.0]]))
    array([[-1.,  1.,  3.]])
    """
    rows = max(1, BLOCK // X.shape[1])
    blocks = [_scale_of(X[k : k + rows], weights, starts, what, k + 1) for k in range(0, len(X), rows)]
    return Standardization(*map(np.concatenate, zip(*blocks, strict=True)))


def _scale_of(
    X: np.ndarray, weights: np.ndarray | None, starts: Sequence[int] | np.ndarray, what: str | Sequence[str], first: int
) -> Standardization:
    """Return what `standardization` does of some rows, the number of whose first is given."""
    low, high = np.minimum.reduceat(X, starts, axis=1), np.maximum.reduceat(X, starts, axis=1)
    with np.errstate(over="ignore", invalid="ignore"):
        spread = high - low
    constant = spread == 0
    refused = ~constant & ~((spread >= MIN_SPREAD) & (spread <= MAX_SPREAD))
    if refused.any():
        k, group = np.argwhere(refused)[0]
        named = f"{what} {first + k}" if isinstance(what, str) else what[first + k - 1]
        raise DataError(
            f"{named} lies between {low[k, group]:g} and {high[k, group]:g} and cannot be standardised; "
            f"expected equal values, or values {MIN_SPREAD:g} to {MAX_SPREAD:g} apart"
        )
    share: Any = 1 if weights is None else weights
    total = np.diff([*starts, X.shape[1]]) if weights is None else exact_sums(np.asarray(weights)[None], starts)
    X = np.where(
        _of_each(constant, X, starts), 0, X
    )  # their rounded mean may differ from it, and their sum may overflow
    mean = exact_sums(share * X, starts) / total
    deviation = np.sqrt(exact_sums(share * (X - _of_each(mean, X, starts)) ** 2, starts) / total)
    return Standardization(np.where(constant, low, mean), np.where(constant, 1.0, deviation))


def exact_sums(values: np.ndarray, starts: Sequence[int] | np.ndarray = (0,)) -> np.ndarray:
    """Return the sum of each row from one start to the next, (n, starts), rounded once: `math.fsum` of all at once.

    Each round takes off the leading bits of all numbers: so few that their sum in any order needs no rounding.
    """
    parts, room = [], values.shape[1].bit_length() + 1
    while 0 < (top := np.maximum.reduceat(np.abs(values), starts, axis=1)).max() < np.inf:
        with np.errstate(over="ignore", invalid="ignore"):  # sums beyond all numbers are NaN
            above = _of_each(np.ldexp(1.0, np.frexp(top)[1] + room), values, starts)
            leading = (above + values) - above
        parts.append(np.add.reduceat(leading, starts, axis=1))
        values = values - leading
    parts.append(np.add.reduceat(values, starts, axis=1))  # zeros, or what is not finite
    return np.array([[math.fsum(sums) for sums in row] for row in np.stack(parts, axis=-1).tolist()])


def _of_each(columns: np.ndarray, values: np.ndarray, starts: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return for each column of values the one of its group, or the only one."""
    if len(starts) == 1:
        return columns  # which broadcasts, without a copy
    return np.repeat(columns, np.diff([*starts, values.shape[1]]), axis=1)

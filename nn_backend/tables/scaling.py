"""Features scaled by their mean and deviation, whose sums are exact."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from nn_backend.errors import DataError

MIN_SPREAD, MAX_SPREAD = 1e-150, 1e150  # of a feature to standardise; beyond these a square is 0 or infinite

PIECE = 2**15  # numbers, of which several copies stay in the cache


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

    def some(self, parts: Sequence[int]) -> "Scales":
        """Return the scalings of parts."""
        return self._each(lambda array: array[parts])

    def of_examples(self, parts: np.ndarray) -> "Scales":
        """Return the scalings of examples of these parts, arrays (n0, m) and (n2, m), or of the only part."""
        if self.parts == 1:
            return self.of(0)
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
    names = [f"{what} {k + 1}" for k in range(len(X))] if isinstance(what, str) else what
    edges, one = [*starts, X.shape[1]], max(1, X.shape[1] // len(starts))
    rows, groups = max(1, PIECE // one), max(1, PIECE // (len(X) * one))
    scale = Standardization(*(np.empty((len(X), len(starts))) for _ in range(2)))
    for k, g in itertools.product(range(0, len(X), rows), range(0, len(starts), groups)):
        first, *ends = edges[g : g + groups + 1]
        columns, own = slice(first, ends[-1]), [0, *(end - first for end in ends[:-1])]
        counts = None if weights is None else np.asarray(weights)[columns]
        found = _of_piece(X[k : k + rows, columns], counts, own, names[k : k + rows])
        for array, values in zip(scale, found, strict=True):
            array[k : k + rows, g : g + groups] = values
    return scale


def _of_piece(
    X: np.ndarray, weights: np.ndarray | None, starts: Sequence[int], names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and deviation of few enough numbers."""
    low, high = np.minimum.reduceat(X, starts, axis=1), np.maximum.reduceat(X, starts, axis=1)
    with np.errstate(over="ignore", invalid="ignore"):
        spread = high - low
    constant = spread == 0
    refused = ~constant & ~((spread >= MIN_SPREAD) & (spread <= MAX_SPREAD))
    if refused.any():
        k, group = np.argwhere(refused)[0]
        raise DataError(
            f"{names[k]} lies between {low[k, group]:g} and {high[k, group]:g} and cannot be standardised; "
            f"expected equal values, or values {MIN_SPREAD:g} to {MAX_SPREAD:g} apart"
        )
    share: Any = 1 if weights is None else weights
    total = np.diff([*starts, X.shape[1]]) if weights is None else exact_sums(weights[None], starts)
    # Of equal values, the rounded mean may differ from them, and the sum may overflow.
    X = np.where(_of_each(constant, X, starts), 0, X)
    mean = exact_sums(share * X, starts) / total
    deviation = np.sqrt(exact_sums(share * (X - _of_each(mean, X, starts)) ** 2, starts) / total)
    return np.where(constant, low, mean), np.where(constant, 1.0, deviation)


def exact_sums(values: np.ndarray, starts: Sequence[int] | np.ndarray = (0,)) -> np.ndarray:
    """Return the sum of each row from one start to the next, (n, starts), rounded once: `math.fsum` of all at once.

    Each round takes off the leading bits of all numbers: so few that their sum in any order needs no rounding.
    """
    parts, room, rest = [], values.shape[1].bit_length() + 1, values
    while 0 < (top := np.maximum.reduceat(np.abs(rest), starts, axis=1)).max() < np.inf:
        with np.errstate(over="ignore", invalid="ignore"):  # sums beyond all numbers are NaN
            above = _of_each(np.ldexp(1.0, np.frexp(top)[1] + room), values, starts)
            leading = above + rest
            leading -= above
        parts.append(np.add.reduceat(leading, starts, axis=1))
        rest = np.subtract(rest, leading, out=None if rest is values else rest)
    parts.append(np.add.reduceat(rest, starts, axis=1))  # zeros, or what is not finite
    return np.array([[math.fsum(sums) for sums in row] for row in np.stack(parts, axis=-1).tolist()])


def _of_each(columns: np.ndarray, values: np.ndarray, starts: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return for each column of values the one of its group, or the only one."""
    if len(starts) == 1:
        return columns  # which broadcasts, without a copy
    return np.repeat(columns, np.diff([*starts, values.shape[1]]), axis=1)

"""What arguments are accepted, said and checked once, whoever gives them: a parameter, an option, an environment."""

import math
import numbers
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from nn_backend.errors import ArgumentError, ArrayTypeError, DataError

MAX_SIZE, MAX_SEED, MAX_THREADS = 2**31 - 1, 2**32 - 1, 1024


def shown(value: Any, length: int = 60) -> str:
    """Return a value as messages show it: in one line, no longer than that, control characters as escapes."""
    text = " ".join(repr(value[: length + 1] if isinstance(value, str) else value).split())
    return text if len(text) <= length + 2 else f"{text[:length]}…"


class Kind(Protocol):
    """A kind of number, which its text describes."""

    @property
    def dtype(self) -> type:
        """What it is stored as."""
        ...

    def holds(self, values: np.ndarray) -> np.ndarray:
        """Return where values are of this kind."""
        ...


class Whole(NamedTuple):
    """Whole numbers; also 1e4, but neither True nor "3"."""

    least: int = 0
    most: int | None = None

    def __str__(self) -> str:
        bounds = f", at least {self.least}" if self.most is None else f" from {self.least} to {self.most}"
        return f"a whole number{bounds}"

    @property
    def dtype(self) -> type:
        """What it is stored as."""
        return np.int64

    def holds(self, values: np.ndarray) -> np.ndarray:
        """Return where values are of this kind."""
        most = 2**63 - 1 if self.most is None else self.most
        held: np.ndarray = (values >= self.least) & (values <= most) & (np.floor(values) == values)
        return held


class Number(NamedTuple):
    """Finite numbers between bounds; neither True nor "0.2"."""

    least: float = -math.inf
    most: float = math.inf
    above: float = -math.inf
    below: float = math.inf

    def __str__(self) -> str:
        words = {"above": self.above, "at least": self.least, "below": self.below, "at most": self.most}
        bounds = " and ".join(f"{word} {bound:g}" for word, bound in words.items() if math.isfinite(bound))
        return f"a finite number{',' * bounds.startswith('at')} {bounds}".rstrip()

    @property
    def dtype(self) -> type:
        """What it is stored as."""
        return np.float64

    def holds(self, values: np.ndarray) -> np.ndarray:
        """Return where values are of this kind."""
        inside = (values >= self.least) & (values <= self.most) & (values > self.above) & (values < self.below)
        held: np.ndarray = inside & np.isfinite(values)
        return held


SIZE, SEED, THREADS = Whole(1, MAX_SIZE), Whole(0, MAX_SEED), Whole(1, MAX_THREADS)


def check(name: str, value: Any, kind: Kind) -> Any:
    """Return a number of a kind as Python has it."""
    found = check_array(name, value, kind)
    if found.ndim:
        raise ArgumentError(f"{name} has shape {found.shape}; expected {kind}")
    return found.item()


def check_array(name: str, value: Any, kind: Kind) -> np.ndarray:
    """Return numbers of a kind, of any shape, in its dtype."""
    array = _as_numbers(value)
    if array is None or not kind.holds(array).all():
        raise ArgumentError(f"{name} is {shown(value)}; expected {kind}")
    return array.astype(kind.dtype)


def find_wrong(given: Mapping[str, Any], kinds: Mapping[str, Kind], optional: Iterable[str] = ()) -> list[str]:
    """Return what is wrong with arguments, a sentence for each; some may also be None."""
    found = []
    for name, kind in kinds.items():
        if name in optional and given[name] is None:
            continue
        try:
            check(name, given[name], kind)
        except ArgumentError as error:
            found.append(f"{error}{', or None' * (name in optional)}")
    return found


def choose(name: str, value: Any, accepted: Iterable[str], hint: str = "") -> str:
    """Return a word, which is one of those accepted."""
    names = list(accepted)
    if not isinstance(value, str) or value not in names:
        raise ArgumentError(f"{name} {shown(value)} is not known; accepted: {', '.join(names)}{hint}")
    return value


def as_array(values: Any) -> np.ndarray:
    """Return numbers on the host as a NumPy array, of which none was lost or made up on the way.

    Raises
    ------
    ArrayTypeError
        If they are masked or sparse.
    DataError
        If they are no real numbers.
    """
    refuse_masked(values)
    if hasattr(values, "toarray"):
        raise ArrayTypeError(f"the array is a sparse {type(values).__name__}; pass what toarray() gives")
    try:
        array = np.asarray(values)
        if array.dtype.kind == "O" and _is_nullable(values):
            array = values.to_numpy(np.float64, na_value=np.nan)  # the missing are then refused as NaN
    except ValueError as error:
        raise DataError(f"the values do not form an array: {error}") from None
    if array.dtype.kind not in "buif":
        raise DataError(f"the array has dtype {array.dtype}; expected real numbers")
    return array


def refuse_masked(*arrays: Any) -> None:
    """Raise an error for an array whose mask NumPy and scikit-learn would drop in silence."""
    if any(isinstance(array, np.ma.MaskedArray) for array in arrays):
        raise ArrayTypeError(
            "the array is masked, and its mask would be lost; pass what filled() or compressed() gives"
        )


def _is_nullable(values: Any) -> bool:
    """Return whether these are pandas' columns of numbers that may be missing, which are objects to NumPy."""
    kinds = getattr(values, "dtypes", None)
    kinds = [getattr(values, "dtype", None)] if kinds is None or not np.iterable(kinds) else list(kinds)
    return hasattr(values, "to_numpy") and all(getattr(kind, "kind", "O") in "buif" for kind in kinds)


def _as_numbers(value: Any) -> np.ndarray | None:
    """Return numbers as an array, None where they are something else."""
    try:
        if isinstance(value, list | tuple) and any(isinstance(each, bool) for each in value):
            return None  # NumPy would make it 1
        array = np.asarray(value)
        if array.dtype.kind == "O" and isinstance(value, numbers.Real):  # a fraction, or a number of many digits
            array = np.asarray(float(value))
    except (TypeError, ValueError, OverflowError):
        return None
    return array if array.dtype.kind in "iuf" else None

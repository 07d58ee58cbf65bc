"""exp and log1p as sequences of operations, against longer formats: every float32 of exp, samples elsewhere."""

import math
from collections.abc import Iterator
from typing import Any

import gmpy2
import numpy as np
import pytest
from places import compute

from nn_backend.compiler import native
from nn_backend.compiler.functions import EXPANSIONS
from nn_backend.compiler.program import INTEGER_OF
from nn_backend.compiler.trace import record

DTYPES = ("float64", "float32")
LOWEST = {"float64": -1022, "float32": -126}  # exponent of the smallest normal number
ULPS = {"exp": 1.35, "exp float32": 1.21, "log1p": 1.0}  # errors allowed, in units of the exact result's last place
CHUNK = 2**14  # numbers that stay in cache together with their references

EDGE = {dtype: math.log(2) * (LOWEST[dtype] + 0.5) for dtype in DTYPES}  # below it exp rounds to subnormal exponents
LARGEST = {"float64": 709.782712893384, "float32": 88.72283}  # whose exp is finite


@pytest.fixture(params=DTYPES)
def dtype(request: pytest.FixtureRequest) -> str:
    return request.param


class Counter:
    """Counts, compiled, the x whose exp is off by more than that, or NaN; NumPy's exp in float64 is the reference."""

    def __init__(self, size: int) -> None:
        rows = ("x", "high", "low", "allowed")
        kernel = native.Kernel(record(count, dtype="float32", examples=dict.fromkeys(rows, 1), state={}))
        self.examples = native.Examples({name: np.zeros((1, size), np.float32) for name in rows})
        self.run = kernel.bind(self.examples, 1)

    def __call__(self, x: np.ndarray, ulps: float) -> int:
        reference = np.exp(x.astype(np.float64))
        reference[x < EDGE["float32"]] = 0.0
        power = (reference.view(np.int64) & (0x7FF << 52)).view(np.float64)  # of two, at or below the reference
        high = reference.astype(np.float32)
        for row, array in enumerate((x, high, reference - high, power * (ulps / 2**23))):
            self.examples.data[:, row] = array.reshape(-1, 32)
        return int(self.run(*np.zeros((2, 1, 0), np.float32), 1)[0][0, 0])


def count(xp: Any, x: Any, high: Any, low: Any, allowed: Any) -> dict[str, Any]:
    wrong = xp.where(xp.abs((xp.exp(x) - high) - low) <= allowed, 0.0, 1.0)
    return {"count": xp.sum(wrong, axis=-1, keepdims=True)}


def all_float32(smallest: float, largest: float) -> Iterator[np.ndarray]:
    """Return every float32 from one to the other, both positive or both negative, in chunks."""
    first, last = np.array([smallest, largest], np.float32).view(np.int32).tolist()
    for start in range(first, last + 1, CHUNK):
        yield np.minimum(np.arange(start, start + CHUNK), last).astype(np.int32).view(np.float32)


@pytest.mark.parametrize(("smallest", "largest"), [(2.0**-25, LARGEST["float32"]), (-(2.0**-25), -89.5)])
def test_every_float32_exp_is_right(smallest: float, largest: float) -> None:
    """Nothing is left out: the 263 million numbers of each sign from 2**-25 on, where exp(x) is not 1."""
    count_bad = Counter(CHUNK)
    counts = {float(x[0]): count_bad(x, ULPS["exp float32"]) for x in all_float32(smallest, largest)}
    assert not {start: count for start, count in counts.items() if count}
    assert len(counts) * CHUNK > 31 * 2**23  # in each of 31 binades


def test_the_count_of_wrong_results_counts() -> None:
    count_bad = Counter(3200)
    x = np.linspace(-80, 80, 3200, dtype=np.float32)
    assert count_bad(x, 2.0) == 0
    assert 0 < count_bad(x, 0.5) < 1000
    assert count_bad(x, 0.0) > 3100
    assert count_bad(x * np.float32(np.nan), 2.0) == 3200


def test_exp_overflows_where_it_should(dtype: str) -> None:
    """From halfway between the largest number and the next power of two on."""
    below = np.array([LARGEST[dtype]], dtype)
    above = np.nextafter(below, below.dtype.type(np.inf))
    assert np.isfinite(compute("exp", below))
    beyond = [above, np.geomspace(above[0], np.finfo(dtype).max / 2, 1000, dtype=dtype), np.array([np.inf], dtype)]
    assert np.isinf(compute("exp", np.concatenate(beyond))).all()


def test_exp_is_zero_below_the_square_root_of_two_times_the_smallest_normal_number(dtype: str) -> None:
    """All float32 there are; above the border the results are right, and none is subnormal."""
    edge = EDGE[dtype]
    around = [np.linspace(-708.2, -708, 501), np.linspace(-709, -745.2, 50), edge + np.arange(-200, 201) * 2.0**-43]
    x = np.concatenate(around if dtype == "float64" else list(all_float32(-86.5, -89.5)))
    result, exact = compute("exp", x), np.exp(x.astype(np.float64))
    zero = result == 0
    smallest = 2.0 ** LOWEST[dtype]
    assert exact[zero].max() < 1.5 * smallest
    assert (result[~zero] >= smallest).all()
    border = float(x[zero].max())
    assert abs(border - edge) <= 4 * np.spacing(np.array(-edge, dtype))
    assert zero[x <= border].all()
    np.testing.assert_allclose(result[~zero], exact[~zero], rtol=3 * np.finfo(dtype).eps)
    assert not compute("exp", np.array([-90.0, -750.0, -1e4, -1e30, -np.inf], dtype)[dtype == "float64" :]).any()


# Samples against MPFR's arithmetic


def magnitudes(smallest: float, largest: float, count: int = 6000) -> np.ndarray:
    """Draw numbers of both signs, as many in each binade."""
    generator = np.random.default_rng(0)
    drawn = np.exp2(generator.uniform(math.log2(smallest), math.log2(largest), count))
    return drawn * generator.choice([-1, 1], count)


def evenly(smallest: float, largest: float, count: int = 6000) -> np.ndarray:
    return np.random.default_rng(1).uniform(smallest, largest, count)


def samples(name: str, dtype: str) -> dict[str, np.ndarray]:
    near, largest = float(np.finfo(dtype).eps), float(np.finfo(dtype).max)
    if name == "exp":
        return {
            "all magnitudes": magnitudes(5e-324, 708),
            "negative": evenly(-708.04, 0),
            "positive": evenly(0, 709.78),
            "around zero": evenly(-1, 1),
            "borders of the reduction": ((np.arange(-1000, 1000) + 0.5) * math.log(2)).clip(-708.04, 709.78),
            "the worst found in two billion": np.array([635.9775653863863, -206.89095260476995, -339.2787862056377]),
        }
    roots = 2.0 ** np.arange(-40, 60) * math.sqrt(2)
    return {
        "all magnitudes": np.abs(magnitudes(float(np.finfo(dtype).smallest_subnormal), largest)),
        "small": magnitudes(1e-25 if dtype == "float64" else 1e-12, 0.5),
        "around zero": evenly(-0.5, 1),
        "middle": evenly(0, 100, 3000),
        "towards -1": -1 + np.abs(magnitudes(near / 2, 0.9)),
        "borders of the reduction": np.outer(roots, 1 + np.arange(-20, 20) * near).ravel() - 1,
        "around powers of two": np.outer(2.0 ** np.arange(-60, 64), 1 + np.arange(-2, 3) * near).ravel(),
        "the largest, and the worst in float32": np.array([largest, largest / 2, largest / 1e8, 0.40545952]),
    }


CASES = [("exp", "float64"), ("log1p", "float64"), ("log1p", "float32")]


@pytest.mark.parametrize(("name", "dtype", "sample"), [(*case, sample) for case in CASES for sample in samples(*case)])
def test_results_are_right(name: str, dtype: str, sample: str) -> None:
    x, errors = samples(name, dtype)[sample].astype(dtype), []  # in units of the exact result's last place
    x = x[x > -1] if name == "log1p" else x
    with gmpy2.context(precision=200):
        for argument, result in zip(x.tolist(), compute(name, x).tolist(), strict=True):
            exact = getattr(gmpy2, name)(argument)
            last = max(gmpy2.get_exp(exact) - 1, LOWEST[dtype]) - np.finfo(dtype).nmant
            errors.append(float(abs(result - exact) / gmpy2.exp2(last)))
    worst = np.argmax(errors)  # NaN, if there is one
    assert errors[worst] <= ULPS[name], f"at {x[worst]!r}"


@pytest.mark.parametrize("name", EXPANSIONS)
def test_nan_stays_nan_whatever_its_bits(name: str, dtype: str) -> None:
    infinity, mantissa = int(np.array(np.inf, dtype).view(INTEGER_OF[dtype])), np.finfo(dtype).nmant
    drawn = np.random.default_rng(0).integers(1, 1 << mantissa, 500, INTEGER_OF[dtype])
    bits = infinity + np.concatenate([drawn, 1 << np.arange(mantissa, dtype=INTEGER_OF[dtype])])
    numbers = np.concatenate([bits, bits | np.iinfo(INTEGER_OF[dtype]).min]).view(dtype)
    assert np.isnan(numbers).all()
    others = [np.full(len(numbers), other, dtype) for other in (np.inf, -np.inf, 0, 1)]
    pairs = [pair for other in others for pair in ((numbers, other), (other, numbers))]
    for given in pairs if name in ("max", "min") else [(numbers,)]:
        assert np.isnan(compute(name, *given)).all()


def test_results_lie_on_the_right_side(dtype: str) -> None:
    """Of 1 for exp, of 0 for log1p; near 0 exp is 1. At the ends of what they are defined for, they have limits."""
    inf, nan = math.inf, math.nan
    ends = np.array([0.0, -0.0, inf, -inf, -1.0, -1.0000002, -2.0, -1e38], dtype)
    np.testing.assert_array_equal(compute("exp", ends[:4]), [1, 1, inf, 0])
    np.testing.assert_array_equal(compute("log1p", ends), [0, 0, inf, nan, -inf, nan, nan, nan])
    integer = INTEGER_OF[dtype]
    x = np.random.default_rng(0).integers(1, np.array(np.inf, dtype).view(integer), 4000, integer).view(dtype)
    assert (compute("exp", x) >= 1).all()
    below = compute("exp", -x)
    assert ((below <= 1) & ~np.signbit(below)).all()
    assert (compute("log1p", x) > 0).all()
    assert (compute("log1p", -x[x < 1]) < 0).all()
    near = 2.0**-25 if dtype == "float32" else 2.0**-55  # from which on all float32 have been seen above
    tiny = np.geomspace(np.finfo(dtype).smallest_subnormal, near, 5000, dtype=dtype)
    assert (compute("exp", np.concatenate([tiny, -tiny])) == 1).all()

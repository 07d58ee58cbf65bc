"""exp and log1p as programs, against longer formats: every float32 for exp, samples of all magnitudes elsewhere."""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest

from nn_backend.compiler import functions
from nn_backend.compiler.native import Examples, Kernel, Pool
from nn_backend.compiler.program import Builder, Value, finish, interpret

DTYPES = ("float64", "float32")
BITS = {"float64": "int64", "float32": "int32"}
DIGITS = {"float64": 53, "float32": 24}
LOWEST = {"float64": -1022, "float32": -126}  # exponent of the smallest normal number
ULPS = {"exp": 1.35, "exp float32": 1.21, "log1p": 1.0}  # errors allowed, in units of the exact result's last place
CHUNK = 2**18  # numbers that stay in cache together with their references
PRECISE = Context(prec=40, Emax=MAX_EMAX, Emin=MIN_EMIN)

EDGE = math.log(2) * (LOWEST["float32"] + 0.5)  # below this x the exponent of exp(x) rounds to that of subnormals


def run(name: str, x: np.ndarray) -> np.ndarray:
    builder = Builder(x.dtype.name)
    function = getattr(functions, name)
    program = finish(builder, ["x"], [], [function(builder.input("x", 0, varies=True))])
    return interpret(program, x[None], np.zeros(0, x.dtype))


def bits_of(x: float) -> int:
    return int(np.float32(x).view(np.int32))


# exp in float32, exhaustively


def counting_kernel() -> Kernel:
    """Compile the count of examples whose exp(x) is not within ``allowed`` of high + low; a NaN counts."""
    builder = Builder("float32")
    rows = ("x", "high", "low", "allowed")
    x, high, low, allowed = (builder.input(name, place, varies=True) for place, name in enumerate(rows))
    error = abs((functions.exp(x) - high) - low)
    bad = builder.apply("select", error <= allowed, 0.0, 1.0)
    return Kernel(finish(builder, rows, (), [builder.sum(bad)]))


def count_bad(kernel: Kernel, x: np.ndarray, ulps: float) -> int:
    """Count the x whose exp is off by more than that; NumPy's exp in float64 is the reference."""
    reference = np.exp(x.astype(np.float64))
    reference[x < EDGE] = 0.0
    power = (reference.view(np.int64) & (0x7FF << 52)).view(np.float64)  # of two, at or below the reference
    rows = np.empty((4, len(x)), np.float32)
    rows[0] = x
    rows[1] = reference
    rows[2] = reference - rows[1]
    rows[3] = power * (ulps / 2**23)
    return int(kernel.run(Examples([rows], Pool(1)), np.zeros(0, np.float32), 1)[0])


def all_float32(smallest: float, largest: float) -> Iterator[np.ndarray]:
    """Give every float32 from one to the other, both positive or both negative, in chunks."""
    first, last = bits_of(smallest), bits_of(largest)
    for start in range(first, last + 1, CHUNK):
        yield np.arange(start, min(start + CHUNK, last + 1), dtype=np.int32).view(np.float32)


LARGEST = 88.72283  # exp of it is the last finite float32


@pytest.mark.parametrize(("smallest", "largest"), [(2.0**-25, LARGEST), (-(2.0**-25), -89.5)])
def test_every_float32_exp_is_right(smallest: float, largest: float) -> None:
    """Nothing is left out: about 265 million numbers of each sign, some two seconds on two cores."""
    kernel = counting_kernel()
    with ThreadPoolExecutor(2) as threads:
        counts = list(
            threads.map(
                lambda x: (count_bad(kernel, x, ULPS["exp float32"]), float(x[0])), all_float32(smallest, largest)
            )
        )
    wrong = [f"{count} of the {CHUNK} from {start!r}" for count, start in counts if count]
    assert not wrong
    assert len(counts) > 1000


def test_the_count_of_wrong_results_counts() -> None:
    kernel = counting_kernel()
    x = np.linspace(-80, 80, 3000, dtype=np.float32)
    assert count_bad(kernel, x, 2.0) == 0
    assert 0 < count_bad(kernel, x, 0.5) < 1000
    assert count_bad(kernel, x, 0.0) > 2900
    assert count_bad(kernel, np.full(700, np.nan, np.float32), 2.0) == 700
    with np.errstate(over="ignore"):  # infinity has no distance from infinity
        assert count_bad(kernel, np.full(700, 95, np.float32), 2.0) == 700


def test_float32_exp_overflows_where_it_should() -> None:
    largest = np.float32(LARGEST)
    beyond = np.nextafter(largest, np.float32(np.inf))
    assert math.exp(largest) < 2.0**128 - 2.0**103 <= math.exp(beyond)  # halfway from the last number to 2**128
    assert np.isfinite(run("exp", np.array([largest])))
    assert all(np.isinf(run("exp", x)).all() for x in all_float32(float(beyond), 89.5))
    assert np.isinf(run("exp", np.array([90, 1e3, 1e10, 3e38, np.inf], np.float32))).all()


def test_float32_exp_near_zero_is_one() -> None:
    x = np.geomspace(1e-45, 2.0**-25, 5000).astype(np.float32)
    x = np.concatenate([x, -x, np.float32([0.0, -0.0])])
    assert (run("exp", x) == 1).all()


# exp where the result is tiny


@pytest.mark.parametrize("dtype", DTYPES)
def test_exp_is_zero_below_the_square_root_of_two_times_the_smallest_normal_number(dtype: str) -> None:
    """All float32 there are; above the border the results are right, and none is subnormal."""
    edge = math.log(2) * (LOWEST[dtype] + 0.5)
    if dtype == "float32":
        x = np.concatenate(list(all_float32(-86.5, -89.5)))
    else:
        x = np.linspace(-708.2, -708, 501)
        x = np.concatenate([x, np.linspace(-709, -745.2, 50), edge + np.arange(-200, 201) * math.ulp(edge)])
    result, exact = run("exp", x), np.exp(x.astype(np.float64))
    zero = result == 0
    smallest = 2.0 ** LOWEST[dtype]
    assert exact[zero].max() < 1.5 * smallest
    assert (result[~zero] >= smallest).all()
    border = float(x[zero].max())
    assert abs(border - edge) <= 4 * np.spacing(np.array(-edge, dtype))
    assert zero[x <= border].all()
    np.testing.assert_allclose(result[~zero], exact[~zero], rtol=3 * np.finfo(dtype).eps)
    assert not run("exp", np.array([-90.0, -750.0, -1e4, -1e30, -np.inf], dtype)[dtype == "float64" :]).any()


# Samples against decimal arithmetic


def exact_exp(x: float) -> Decimal:
    return PRECISE.exp(Decimal(x))


def exact_log1p(x: float) -> Decimal:
    if abs(x) >= 1e-5:
        with localcontext(PRECISE, prec=60):
            return (1 + Decimal(x)).ln()
    with localcontext(PRECISE):
        return sum(-((-Decimal(x)) ** n) / n for n in range(1, 10))


EXACT = {"exp": exact_exp, "log1p": exact_log1p}


def largest_error(name: str, x: np.ndarray) -> tuple[float, float]:
    """Give the largest error in units of the exact result's last place, and where it is."""
    dtype = x.dtype.name
    errors = []
    for argument, result in zip(x.tolist(), run(name, x).tolist(), strict=True):
        exact = EXACT[name](argument)
        binade = math.frexp(float(exact))[1] - 1
        unit = Fraction(2) ** (max(binade, LOWEST[dtype]) - DIGITS[dtype] + 1)
        error = float(abs(Fraction(result) - Fraction(exact)) / unit) if math.isfinite(result) else math.inf
        errors.append((error, argument))
    return max(errors)


def magnitudes(smallest: float, largest: float, count: int) -> np.ndarray:
    """Draw numbers of both signs, as many in each binade."""
    generator = np.random.default_rng(0)
    drawn = np.exp2(generator.uniform(math.log2(smallest), math.log2(largest), count))
    return drawn * generator.choice([-1, 1], count)


def evenly(smallest: float, largest: float, count: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(smallest, largest, count)


EXP = {
    "all magnitudes": magnitudes(5e-324, 708, 6000),
    "negative": evenly(-708.04, 0, 6000),
    "positive": evenly(0, 709.78, 6000),
    "around zero": evenly(-1, 1, 6000),
    "around the borders of the reduction": ((np.arange(-1000, 1000) + 0.5) * math.log(2)).clip(-708.04, 709.78),
    "the worst found in two billion": np.array([635.9775653863863, -206.89095260476995, -339.2787862056377]),
}
LOG1P = {
    "all magnitudes": np.abs(magnitudes(5e-324, 1.79e308, 6000)),
    "small": magnitudes(1e-25, 0.5, 6000),
    "around zero": evenly(-0.5, 1, 6000),
    "middle": evenly(0, 100, 3000),
    "towards -1": -1 + np.abs(magnitudes(2.0**-53, 0.9, 6000)),
    "around the borders of the reduction": np.concatenate(
        [2.0**k * math.sqrt(2) * (1 + np.arange(-20, 20) * 2.0**-52) - 1 for k in range(-40, 60)]
    ),
    "around powers of two": np.concatenate([2.0**k * (1 + np.arange(-2, 3) * 2.0**-52) for k in range(-60, 64)]),
    "the largest": np.array([1.7976931348623157e308, 8.98846567431158e307, 1e300]),
}
LOG1P_FLOAT32 = {
    "all magnitudes": np.abs(magnitudes(1e-45, 3.4e38, 10000)),
    "small": magnitudes(1e-12, 0.5, 10000),
    "around zero": evenly(-0.5, 1, 10000),
    "towards -1": -1 + np.abs(magnitudes(2.0**-24, 0.9, 10000)),
    "around the borders of the reduction": np.concatenate(
        [2.0**k * math.sqrt(2) * (1 + np.arange(-20, 20) * 2.0**-23) - 1 for k in range(-20, 40)]
    ),
    "around powers of two": np.concatenate([2.0**k * (1 + np.arange(-2, 3) * 2.0**-23) for k in range(-30, 64)]),
    "the worst of all": np.array([0.40545952]),
    "the largest": np.array([3.4028235e38, 1.7014118e38]),
}


@pytest.mark.parametrize("sample", EXP)
def test_float64_exp_is_right(sample: str) -> None:
    error, where = largest_error("exp", EXP[sample])
    assert error <= ULPS["exp"], f"at {where!r}"


@pytest.mark.parametrize("sample", LOG1P)
def test_float64_log1p_is_right(sample: str) -> None:
    error, where = largest_error("log1p", LOG1P[sample])
    assert error <= ULPS["log1p"], f"at {where!r}"


@pytest.mark.parametrize("sample", LOG1P_FLOAT32)
def test_float32_log1p_is_right(sample: str) -> None:
    x = LOG1P_FLOAT32[sample].astype(np.float32)
    error, where = largest_error("log1p", x[x > -1])
    assert error <= ULPS["log1p"], f"at {where!r}"


def test_float64_exp_overflows_where_it_should() -> None:
    largest = math.log(2) * 1024
    below, above = math.nextafter(largest, 0), math.nextafter(largest, math.inf)
    assert exact_exp(below) < Decimal(2) ** 1024 < exact_exp(above)
    assert np.isfinite(run("exp", np.array([below]))).all()
    assert np.isinf(run("exp", np.array([above, 709.8, 710, 1e3, 1e300, np.inf]))).all()


# Edges


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["exp", "log1p"])
def test_nan_stays_nan_whatever_its_bits(name: str, dtype: str) -> None:
    mantissa = DIGITS[dtype] - 1
    infinity = int(np.array(np.inf, dtype).view(BITS[dtype]))
    payloads = [1, 2, 3, 1 << 9, 1 << (mantissa - 1), (1 << (mantissa - 1)) + 1, (1 << mantissa) - 1]
    payloads += [int(x) for x in np.random.default_rng(0).integers(1, 1 << mantissa, 500)]
    quiet = np.array([infinity + payload for payload in payloads], BITS[dtype])
    numbers = np.concatenate([quiet, quiet | np.iinfo(BITS[dtype]).min]).view(dtype)
    assert np.isnan(numbers).all()
    assert np.isnan(run(name, numbers)).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        ("exp", 0.0, 1.0),
        ("exp", -0.0, 1.0),
        ("exp", math.inf, math.inf),
        ("exp", -math.inf, 0.0),
        ("log1p", 0.0, 0.0),
        ("log1p", -0.0, 0.0),
        ("log1p", math.inf, math.inf),
        ("log1p", -math.inf, math.nan),
        ("log1p", -1.0, -math.inf),
        ("log1p", -1.0000002, math.nan),
        ("log1p", -2.0, math.nan),
        ("log1p", -1e38, math.nan),
    ],
)
def test_special_arguments(name: str, x: float, expected: float, dtype: str) -> None:
    np.testing.assert_array_equal(run(name, np.array([x], dtype)), [expected])


@pytest.mark.parametrize("dtype", DTYPES)
def test_exp_lies_on_the_right_side_of_one(dtype: str) -> None:
    x = np.random.default_rng(0).integers(0, np.iinfo(BITS[dtype]).max, 4000, BITS[dtype]).view(dtype)
    x = np.concatenate([x, -x])
    x = x[~np.isnan(x)]
    result = run("exp", x)
    assert not np.signbit(result).any()
    assert (result[x > 0] >= 1).all()
    assert (result[x < 0] <= 1).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_log1p_has_the_sign_of_its_argument(dtype: str) -> None:
    x = np.random.default_rng(0).integers(0, np.iinfo(BITS[dtype]).max, 4000, BITS[dtype]).view(dtype)
    x = x[np.isfinite(x) & (x > 0)]
    assert (run("log1p", x) > 0).all()
    assert (run("log1p", -x[x < 1]) < 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", [functions.exp, functions.log1p])
def test_functions_work_on_uniform_numbers_too(function: Callable[[Value], Value], dtype: str) -> None:
    builder = Builder(dtype)
    inputs = [builder.input("x", 0, varies=varies) for varies in (True, False)]
    uniform = finish(builder, ["x"], ["x"], [function(inputs[1])])
    varying = finish(builder, ["x"], ["x"], [function(inputs[0])])
    assert not uniform.example
    assert varying.example
    for number in np.array([-3.25, -0.5, 0.1, 7.0, 1e20], dtype):
        numbers = np.array([number])
        one, other = (interpret(program, numbers[None], numbers) for program in (uniform, varying))
        assert one.tobytes() == other.tobytes()

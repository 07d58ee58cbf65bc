"""exp, log1p, max and min as sequences of the closed set's operations, so that every device computes the same bits.

Errors are below 1.35 ulp (tests compare with a longer format). NaN stays NaN: it enters every result by a
multiplication or addition, never only by its bits. On a processor with fast division, 1 / x by Newton's steps would be
slower: measured by 12 % of a training step in float64, 20 % in float32, so division stays division.
"""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from nn_backend.compiler.program import KINDS, Builder, Value
from nn_backend.compiler.trace import Traced, apply, needed


class _Format(NamedTuple):
    """Constants of one floating-point format.

    Attributes
    ----------
    mantissa : int
        Bits behind the leading one.
    bias : int
        What the exponent field holds for 2**0.
    log2_e : float
        1 / ln 2.
    ln2_high, ln2_low : float
        ln 2 in two parts; a whole number of the exponent's range times the first is exact.
    exp_low, exp_high : float
        exp is constant below and above: there it is 0 and infinity.
    exp_coefficients : sequence of float
        Of r, r**2, ... in 2 exp(r) - 2, a minimax polynomial on [-ln(2)/2, ln(2)/2] (Remez).
    log_terms : int
        Terms of the series of the inverse hyperbolic tangent.
    """

    mantissa: int
    bias: int
    log2_e: float
    ln2_high: float
    ln2_low: float
    exp_low: float
    exp_high: float
    exp_coefficients: Sequence[float]
    log_terms: int


_FORMATS = {
    "float32": _Format(
        mantissa=23,
        bias=127,
        log2_e=1.4426950408889634,
        ln2_high=22713 / 2**15,
        ln2_low=1.428606765330187e-06,
        exp_low=-87.33655,
        exp_high=89.0,
        exp_coefficients=(
            2.0,
            1.0000001192092896,
            0.3333272933959961,
            0.08332955092191696,
            0.016758041456341743,
            0.002812255173921585,
        ),
        log_terms=6,
    ),
    "float64": _Format(
        mantissa=52,
        bias=1023,
        log2_e=1.4426950408889634,
        ln2_high=1524246769571 / 2**41,
        ln2_low=2.8235290563031577e-13,
        exp_low=-708.3964185322641,
        exp_high=709.9,
        exp_coefficients=(
            2.0000000000000013,
            1.000000000000001,
            0.3333333333331459,
            0.08333333333314713,
            0.0166666666754362,
            0.0027777777864733213,
            0.00039682522976067144,
            4.9603008956308215e-05,
            5.512851265651773e-06,
            5.525262056573332e-07,
            4.596262821886669e-08,
        ),
        log_terms=11,
    ),
}


class Expansion(NamedTuple):
    """What stands for an operation: inputs, and the values computed from them, of which the last is the result."""

    arguments: tuple[Value, ...]
    values: tuple[Value, ...]


@functools.cache
def expansion(operation: str, dtype: str) -> Expansion:
    """Return what stands for one of `EXPANSIONS` in a dtype."""
    build = Builder(dtype)
    arguments = [build.input(name, 1, varies=True) for name in "ab"[: len(KINDS[operation].split()[0])]]
    result = EXPANSIONS[operation](_FORMATS[dtype], *(Traced(build, argument) for argument in arguments))
    return Expansion(tuple(arguments), needed(build, [result.value]))


def _exp(f: _Format, x: Traced) -> Traced:
    """Return exp(x).

    Notes
    -----
    x = k ln 2 + r with a whole number k, so exp(x) = 2**(k - 1) (2 exp(r)). Adding ``magic`` rounds x / ln 2 to a
    whole number and leaves the exponent field of 2**(k - 1) in the lowest bits of the sum, ready to be shifted into
    place; the factor 2 lets k reach the largest exponent, so that the product overflows just where exp does. Results
    that would be subnormal, or less than half as large again as that, are 0: sigmoid(-x) has long been 1 there.
    """
    magic = 1.5 * 2.0**f.mantissa + (f.bias - 1)
    x = apply("select", x < f.exp_low, f.exp_low, x)
    x = apply("select", x > f.exp_high, f.exp_high, x)
    shifted = apply("fma", x, f.log2_e, magic)
    k = shifted - magic
    r = apply("fma", k, -f.ln2_high, x)
    r = apply("fma", k, -f.ln2_low, r)
    twice = _horner(r, (2.0, *f.exp_coefficients))
    scale = apply("from_bits", apply("shift_left", apply("to_bits", shifted), f.mantissa))
    return twice * scale


def _log1p(f: _Format, x: Traced) -> Traced:
    """Return log(1 + x).

    Notes
    -----
    u = 1 + x = 2**k (1 + f) with 1 + f between 1/sqrt(2) and sqrt(2); what u lost by rounding comes back as lost / u.
    With s = f / (2 + f), log(1 + f) = 2 artanh(s) = f - (h - s (h + t)), where h = f**2 / 2 and t is the artanh series
    from its second term on, so that the exact f carries the result.
    """
    u = x + 1.0
    lost = (x - (u - 1.0)) / u
    bits = apply("to_bits", u)
    # Moving the border of the exponent from 1 to 1/sqrt(2) puts the fraction in [1/sqrt(2), sqrt(2)).
    field = apply("shift_right", apply("int_add", bits, _bits(f, 1.0) - _bits(f, 0.5**0.5)), f.mantissa)
    exponent = apply("int_sub", field, f.bias)
    fraction = apply("from_bits", apply("int_sub", bits, apply("shift_left", exponent, f.mantissa)))
    magic = 1.5 * 2.0**f.mantissa
    k = apply("from_bits", apply("int_add", exponent, _bits(f, magic))) - magic
    g = fraction - 1.0
    s = g / (fraction + 1.0)
    z = s * s
    t = z * _horner(z, [2 / (2 * n + 3) for n in range(f.log_terms)])
    h = 0.5 * g * g
    low = apply("fma", k, f.ln2_low, lost)
    inner = apply("fma", s, h + t, low)
    result = apply("fma", k, f.ln2_high, g - (h - inner))
    infinity = float("inf")
    outside = apply("select", x < -1.0, float("nan"), x - infinity)  # -1 gives -infinity, NaN itself
    result = apply("select", x > -1.0, result, outside)
    return apply("select", x < infinity, result, x)  # infinity and NaN are their own results


def _max(_: _Format, a: Traced, b: Traced) -> Traced:
    """Return the larger number, a of two equal ones, NaN where either is NaN."""
    return apply("select", b <= a, a, apply("select", a < b, b, a + b))


def _min(_: _Format, a: Traced, b: Traced) -> Traced:
    """Return the smaller number, a of two equal ones, NaN where either is NaN."""
    return apply("select", a <= b, a, apply("select", b < a, b, a + b))


def _horner(x: Traced, coefficients: Sequence[float]) -> Traced:
    """Return the polynomial with these coefficients, from that of x**0 up."""
    value = apply("fma", coefficients[-1], x, coefficients[-2])
    for coefficient in reversed(coefficients[:-2]):
        value = apply("fma", value, x, coefficient)
    return value


def _bits(f: _Format, number: float) -> int:
    """Return the bits of a number as an integer as wide as the format."""
    real, integer = ("float32", "int32") if f.mantissa == 23 else ("float64", "int64")
    return int(np.array(number, real).view(integer))


EXPANSIONS: dict[str, Callable[..., Traced]] = {"exp": _exp, "log1p": _log1p, "max": _max, "min": _min}

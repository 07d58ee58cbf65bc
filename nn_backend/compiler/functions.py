"""exp and log1p as sequences of the program's operations, so that every device computes the same bits.

Errors are below 1.35 ulp (tests compare with a longer format). NaN stays NaN: it enters every result by a
multiplication or addition, never only by its bits. On a processor with fast division, 1 / x by Newton's steps would be
slower: measured by 12 % of a training step in float64, 20 % in float32, so division stays division.
"""

from collections.abc import Sequence
from typing import NamedTuple

from nn_backend.compiler.program import Value


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


def exp(x: Value) -> Value:
    """Give exp(x).

    Notes
    -----
    x = k ln 2 + r with a whole number k, so exp(x) = 2**(k - 1) (2 exp(r)). Adding ``magic`` rounds x / ln 2 to a
    whole number and leaves the exponent field of 2**(k - 1) in the lowest bits of the sum, ready to be shifted into
    place; the factor 2 lets k reach the largest exponent, so that the product overflows just where exp does. Results
    that would be subnormal, or less than half as large again as that, are 0: sigmoid(-x) has long been 1 there.
    """
    build = x.builder
    f = _FORMATS[build.dtype]
    magic = 1.5 * 2.0**f.mantissa + (f.bias - 1)
    x = build.apply("select", x < f.exp_low, f.exp_low, x)
    x = build.apply("select", x > f.exp_high, f.exp_high, x)
    shifted = build.apply("fma", x, f.log2_e, magic)
    k = shifted - magic
    r = build.apply("fma", k, -f.ln2_high, x)
    r = build.apply("fma", k, -f.ln2_low, r)
    twice = _horner(r, (2.0, *f.exp_coefficients))
    scale = build.apply("from_bits", build.apply("shift_left", build.apply("to_bits", shifted), f.mantissa))
    return twice * scale


def log1p(x: Value) -> Value:
    """Give log(1 + x).

    Notes
    -----
    u = 1 + x = 2**k (1 + f) with 1 + f between 1/sqrt(2) and sqrt(2); what u lost by rounding comes back as lost / u.
    With s = f / (2 + f), log(1 + f) = 2 artanh(s) = f - (h - s (h + t)), where h = f**2 / 2 and t is the artanh series
    from its second term on, so that the exact f carries the result.
    """
    build = x.builder
    f = _FORMATS[build.dtype]
    one = build.constant(1.0)
    u = x + 1.0
    lost = (x - (u - 1.0)) / u
    bits = build.apply("to_bits", u)
    # Moving the border of the exponent from 1 to 1/sqrt(2) puts the fraction in [1/sqrt(2), sqrt(2)).
    border = build.apply("int_sub", build.apply("to_bits", one), build.apply("to_bits", build.constant(0.5**0.5)))
    field = build.apply("shift_right", build.apply("int_add", bits, border), f.mantissa)
    exponent = build.apply("int_sub", field, f.bias)
    fraction = build.apply("from_bits", build.apply("int_sub", bits, build.apply("shift_left", exponent, f.mantissa)))
    magic = build.constant(1.5 * 2.0**f.mantissa)
    k = build.apply("from_bits", build.apply("int_add", exponent, build.apply("to_bits", magic))) - magic
    g = fraction - 1.0
    s = g / (fraction + 1.0)
    z = s * s
    t = z * _horner(z, [2 / (2 * n + 3) for n in range(f.log_terms)])
    h = 0.5 * g * g
    low = build.apply("fma", k, f.ln2_low, lost)
    inner = build.apply("fma", s, h + t, low)
    result = build.apply("fma", k, f.ln2_high, g - (h - inner))
    infinity = float("inf")
    result = build.apply("select", x > -1.0, result, build.apply("select", x < -1.0, float("nan"), -infinity))
    return build.apply("select", x < infinity, result, x)  # infinity and NaN are their own results


def _horner(x: Value, coefficients: Sequence[float]) -> Value:
    """Give the polynomial with these coefficients, from that of x**0 up."""
    build = x.builder
    value = build.constant(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = build.apply("fma", value, x, coefficient)
    return value

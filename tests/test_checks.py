"""What is accepted as a number, a word or an array, in the words of whoever gave it."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import nn_backend as nn
from nn_backend.checks import Number, Whole, check
from nn_backend.commands.command_line import option

X, Y = nn.load_marks()
START = nn.init_params(3, 4)


def fit(**given: Any) -> nn.FitResult:
    return nn.fit(X, Y, START, **{"iterations": 1, **given})


def init(**given: Any) -> nn.Params:
    return nn.init_params(**{"n_inputs": 3, "n_hidden": 4, **given})


@pytest.mark.parametrize("value", [3, 3.0, np.int8(3), np.float32(3), np.array(3), Fraction(3)])
def test_a_whole_number_may_be_of_several_types(value):
    found = check("n", value, Whole())
    assert (found, type(found)) == (3, int)


@pytest.mark.parametrize(("text", "number"), [("3", 3), ("3.0", 3), ("1e4", 10_000), ("9007199254740993", 2**53 + 1)])
def test_an_option_may_be_written_in_several_ways(text, number):
    found = option(Whole())(text)
    assert (found, type(found)) == (number, int)


def test_iterations_may_be_1e2():
    assert fit(iterations=1e2).iterations == 100
    assert init(seed=3.0).w1.tobytes() == START.w1.tobytes()


WRONG = (2.5, "3", np.inf, np.nan, True, np.True_, [1, 2], 1j, b"1", 10**30)


@pytest.mark.parametrize(
    ("call", "name", "values", "expected"),
    [
        (fit, "iterations", (*WRONG, None, -1), "a whole number, at least 0"),
        (fit, "log_every", (0,), "a whole number, at least 1"),
        (fit, "patience", (*WRONG, None, 0), "a whole number, at least 1"),
        (fit, "check_every", (0,), "a whole number, at least 1"),
        (fit, "threads", (*WRONG, 0), "a whole number from 1 to 1024"),
        (fit, "learning_rate", ("0.2", True, np.nan, 1j, object(), {}, 0, -1), "a finite number above 0"),
        (fit, "alpha", ("0.2", True, np.inf, None, [True], -1), "a finite number, at least 0"),
        (fit, "tol", (np.nan,), "a finite number, at least 0"),
        (fit, "every", ("0.2", True, np.inf, np.nan, None, -1), "a finite number, at least 0"),
        (init, "n_inputs", (0,), "a whole number from 1 to 2147483647"),
        (init, "n_hidden", (-2, 2**31), "a whole number from 1 to 2147483647"),
        (init, "n_outputs", (0,), "a whole number from 1 to 2147483647"),
        (init, "seed", ("3", 2.5, True, None, [1, 2.5], ["1"], [2, True], -1), "a whole number from 0 to 4294967295"),
        (init, "factor", ("0.2", True, np.inf, None, [1, None]), "a finite number"),
        (nn.nesterov, "momentum", (1, "high", [0.5, -0.1]), "a finite number, at least 0 and below 1"),
        (nn.adam, "beta1", ("0.2", True, 1, None, -0.1), "a finite number, at least 0 and below 1"),
        (nn.adam, "beta2", (np.nan,), "a finite number, at least 0 and below 1"),
        (nn.adam, "epsilon", (0,), "a finite number above 0"),
        (nn.rprop, "increase", (0.9, np.inf), "a finite number, at least 1"),
        (nn.rprop, "decrease", (True, 0), "a finite number above 0 and at most 1"),
        (nn.rprop, "min_step", (None,), "a finite number above 0"),
        (nn.rprop, "max_step", (0,), "a finite number above 0"),
    ],
)
def test_what_is_no_such_number_is_refused_in_one_line(call: Callable[..., Any], name, values, expected):
    for value in values:
        with pytest.raises(nn.ArgumentError) as caught:
            call(**{name: value})
        message = str(caught.value)
        assert message.startswith((f"{name} is {value!r}"[:60], f"{name} has shape (2,)"))
        assert message.endswith(f"; expected {expected}")
        assert message.isprintable()


@pytest.mark.parametrize("name", ["engine", "output", "optimizer"])
@pytest.mark.parametrize("value", ["steam\x1b[2J", ["gd"], 1, None])
def test_a_word_that_is_not_known_is_shown_without_its_control_characters(name, value):
    with pytest.raises(nn.ArgumentError) as caught:
        fit(**{name: value})
    assert str(caught.value).startswith(f"{name} {value!r} is not known; accepted: ")


def test_bounds_are_said():
    assert str(Number(above=0, below=1)) == "a finite number above 0 and below 1"
    assert str(Number(least=1)) == "a finite number, at least 1"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.ma.masked_greater(X, 15), "the array is masked, and its mask would be lost; pass what filled"),
        (np.ma.array(X), "the array is masked"),
        (sparse.csr_matrix(X), "the array is a sparse csr_matrix; pass what toarray"),
        (sparse.coo_array(X), "the array is a sparse coo_array; pass what toarray"),
        (pd.DataFrame(X).astype({0: "Int64"}).mask(lambda frame: frame > 15), "X holds NaN or infinity"),
        (X.astype(str), "the array has dtype <U32; expected real numbers"),
        (pd.DataFrame(X).astype({0: str}), "the array has dtype object; expected real numbers"),
    ],
)
def test_arrays_that_would_be_read_as_others_are_refused(values, said):
    with pytest.raises((nn.ArrayTypeError, nn.DataError), match=f"^{said}"):
        nn.fit(values, Y, START, iterations=1)


def test_columns_that_could_have_gaps_and_have_none_are_numbers():
    frame = pd.DataFrame(X).astype({0: "Int64", 1: "Float64"})
    assert np.asarray(frame).dtype == object
    assert nn.predict_proba(START, frame).tobytes() == nn.predict_proba(START, X).tobytes()

"""Plans: what is kept, in which order it is computed, how sums are blocked."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from nn_backend import equations
from nn_backend.compiler.plan import Plan, block
from nn_backend.compiler.program import Value
from nn_backend.compiler.trace import record
from nn_backend.equations import Params

COLUMN, ROW = {"axis": -2, "keepdims": True}, {"axis": -1, "keepdims": True}


def gradient(xp: Any, X: Any, y: Any, m: Any, **state: Any) -> Mapping[str, Any]:
    return equations.gradient(Params(**state), X, y, m, xp=xp)._asdict()


def softmax(xp: Any, X: Any, y: Any, w1: Any, w2: Any, m: Any, **_: Any) -> Mapping[str, Any]:
    z = w2 @ (w1 @ X)
    e = xp.exp(z - xp.max(z, **COLUMN))
    p = e / xp.sum(e, **COLUMN)
    error = p - y
    return {"p": p, "dw": error @ xp.matrix_transpose(w1 @ X) / m, "db": xp.sum(error, **ROW)}


def shared(xp: Any, X: Any, y: Any, w1: Any, b1: Any, **_: Any) -> Mapping[str, Any]:
    """Return sums of which some have a left factor in common, and a result; f is too dear to be computed twice."""
    f = xp.exp(w1 @ X + b1)
    g = xp.maximum(f, 2.0) - xp.sum(y, **COLUMN)
    x, single = xp.matrix_transpose(X), xp.sum(g, **ROW)
    return {"gx": g @ x, "gg": g @ xp.matrix_transpose(g), "g": single, "f": f + xp.max(f + 1, **COLUMN)}


def planned(function: Callable[..., Mapping[str, Any]], n0: int = 3, n1: int = 4, n2: int = 2) -> Plan:
    state = {"w1": (n1, n0), "b1": (n1, 1), "w2": (n2, n1), "b2": (n2, 1)}
    return Plan(record(function, dtype="float64", examples={"X": n0, "y": n2}, state=state, numbers=["m"]))


def test_products_with_one_left_factor_are_groups_and_the_single_sum_rides_with_one() -> None:
    groups = planned(shared).groups
    assert len({group.left for group in groups}) == 1
    assert [(group.right.rows, group.single is not None) for group in groups] == [(3, True), (4, False)]
    [alone] = planned(lambda xp, X, **_: {"r": xp.sum(X, **ROW)}).groups
    assert (alone.right, alone.product, alone.columns) == (None, None, 1)


@pytest.mark.parametrize("function", [gradient, softmax, shared])
@pytest.mark.parametrize("sizes", [(3, 4, 2), (1, 1, 1), (2, 2, 2), (4, 2, 4)])
def test_each_nest_reads_only_what_is_there(function: Callable[..., Any], sizes: tuple[int, ...]) -> None:
    """Across rows only what an earlier nest has kept; each sum and result is kept, and what is dear computed once."""
    plan = planned(function, *sizes)
    complete = set(plan.program.examples)
    dear: list[Value] = []
    for nest in plan.nests:
        here: set[Value] = set()
        for value in plan.inline(nest):
            assert value.rows == nest.rows
            for argument in value.arguments:
                across = value.operation in ("product", "fold") or argument.rows != value.rows
                assert not argument.varies or argument in complete or (argument in here and not across)
            here.add(value)
            dear += [value] * (value.operation in ("product", "fold", "exp", "div"))
        assert here.issuperset(nest.kept)
        complete |= set(nest.kept)
    assert len(dear) == len(set(dear))
    sums = [value for value in plan.program.values if value.operation == "sum"]
    assert sorted(map(id, sums)) == sorted(id(s) for g in plan.groups for s in (g.product, g.single) if s is not None)
    results = [value for value in plan.program.results.values() if value.varies]
    assert complete.issuperset([*results, *(argument for value in sums for argument in value.arguments)])


def test_long_chains_that_share_their_links_are_planned_at_once() -> None:
    def chain(xp: Any, X: Any, **_: Any) -> Mapping[str, Any]:
        for _step in range(60):
            X = X * X + X  # 3**60 ways through it
        return {"X": X}

    plan = planned(chain)
    assert len(list(plan.inline(plan.nests[0]))) == 120


@pytest.mark.parametrize("registers", [16, 32])
def test_blocks_fit_the_registers(registers: int) -> None:
    for rows, columns in itertools.product((1, 2, 3, 4, 8, 30, 100), (1, 2, 5, 9, 31, 785)):
        p, q = block(rows, columns, registers)
        assert 1 <= p <= min(rows, 8)
        assert 1 <= q <= min(columns, 16)
        assert p * q + min(p, q) + 1 <= registers  # running sums, the shorter side's factors, and one more
        assert p * q * 2 >= registers or rows * columns < 100 or min(rows, columns) <= 2
    assert block(100, 4, registers, (16, 2))[1] <= 2

"""The command explain: every number against the article and the formula beside it, in three renderings."""

import ast
import importlib
import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import POSIX, Run, run_on_terminal, write

from nn_backend import worked_example
from nn_backend.commands import explain, train

MARKS = np.loadtxt(Path(__file__).parents[1] / "data" / "marks.csv", delimiter=",", skiprows=1)
NUMBER = re.compile(r"-?\d+\.\d*(?:e[+-]\d+)?")
PARAMS = ("w1", "b1", "w2", "b2")
START = ["X", "y", *PARAMS]
FORWARD = ["z1", "f1", "z2", "yhat", "cost"]
EQUATIONS = ["dz2", "dw2", "db2", "w2", "b2", "dz1", "dw1", "db1", "w1", "b1"]


@pytest.fixture
def run_here(run_main: Callable[..., Run]) -> Callable[..., Run]:
    return lambda arguments="": run_main(explain.main, *arguments.split())


@pytest.fixture
def document(run_here) -> Callable[..., dict[str, Any]]:
    def read(arguments: str = "", said: str = "") -> dict[str, Any]:
        done = run_here(f"--json {arguments}")
        assert (done.code, done.err) == (0, said)
        return json.loads(done.out, parse_constant=pytest.fail)

    return read


def values_of(document: dict[str, Any], name: str) -> np.ndarray:
    """Return the numbers of a quantity where it stands first."""
    return next(np.array(step["values"]) for step in document["steps"] if step["name"] == name)


# Every number


def test_the_articles_example(document, run_here):
    told = document()
    X, y, w1, w2, z1, f1 = (values_of(told, name) for name in ("X", "y", "w1", "w2", "z1", "f1"))
    assert (X.tolist(), y.tolist()) == ([[7], [8], [10]], [[1]])
    digits = [[0.179, 0.044, 0.01], [-0.186, -0.028, -0.035], [-0.008, -0.063, -0.004], [-0.048, -0.131, 0.088]]
    np.testing.assert_allclose(w1, digits, rtol=0, atol=5e-4)
    np.testing.assert_allclose(w2, [[0.088, 0.171, 0.005, -0.040]], rtol=0, atol=5e-4)
    rounding = 5e-4 * X.sum()  # the article multiplies by the rounded weights
    np.testing.assert_allclose(z1, [[1.705], [-1.876], [-0.6], [-0.504]], rtol=0, atol=rounding)
    f1_digits = [[0.84618664], [0.132849], [0.35434369], [0.37660112]]
    np.testing.assert_allclose(f1, f1_digits, rtol=0, atol=rounding / 4)
    assert values_of(told, "yhat").item() == pytest.approx(0.5208876705997051, abs=1e-15)
    assert values_of(document("--factor 0.01"), "yhat").item() == pytest.approx(0.503, abs=5e-4)
    out = run_here().out
    assert "row 3: y from x1, x2, x3\n" in out
    assert "\nforward pass after 0 updates: yhat 0.521, cost 0.652\n" in out
    assert "\nforward pass after 1 update: yhat 0.572, cost 0.559\n" in out
    assert "      [[ 1.697745]\n       [-1.881114]\n       [-0.603338]\n       [-0.500522]]\n" in out
    assert all(f"(m = 1) it equals {gradient}, and is copied from there" in out for gradient in ("db2", "db1"))
    assert run_here("--row 3 --factor 0.1 --iterations 1 --hidden 4 --seed 3 --learning-rate 0.2").out == out


def assert_formulas(told: dict[str, Any]) -> None:
    """The formula on the page is NumPy; what it says of the numbers before it is what stands beside it."""
    iterations = told["iterations"]
    names = START + (FORWARD + EQUATIONS) * iterations + FORWARD
    assert [step["name"] for step in told["steps"]] == names
    numbers = [None] * len(START) + [*[None] * len(FORWARD), *range(1, 11)] * iterations + [None] * len(FORWARD)
    assert [step["number"] for step in told["steps"]] == numbers
    known: dict[str, Any] = {name: getattr(np, name) for name in ("exp", "log", "sum", "zeros")}
    known |= {"randn": np.random.RandomState(told["seed"]).randn, "m": 1}
    known |= {"factor": told["factor"], "learning_rate": told["learning_rate"]}
    known |= {"n0": len(told["features"]), "n1": told["hidden"], "n2": len(values_of(told, "w2"))}
    updates, updated = 0, {}
    for step in told["steps"]:
        module, _, function = step["function"].partition(".")
        assert callable(getattr(importlib.import_module(f"nn_backend.{module}"), function))
        name, _, formula = step["formula"].partition(" = ")
        values, is_update = np.array(step["values"]), step["number"] is not None and step["name"] in PARAMS
        assert (name, step["shape"], step["updates"]) == (step["name"], [*values.shape], updates)
        if name not in ("X", "y"):
            expected = eval(formula, {}, known)
            assert values.shape == np.shape(expected), formula
            np.testing.assert_allclose(values, expected, rtol=1e-11, atol=1e-15, err_msg=formula)
        assert step["before"] == (known[name].tolist() if is_update else None)
        (updated if is_update else known)[name] = values  # all gradients are taken at the old parameters
        if step["number"] == 10:
            known |= updated
            updates += 1


def as_shown(step: dict[str, Any]) -> Any:
    """What the page shows of a step's numbers, six digits after the point."""
    parts = [step["values"]] if step["before"] is None else [step["before"], step["values"]]
    return pytest.approx(np.ravel(parts), rel=1e-6, abs=5.1e-7)


@pytest.mark.parametrize(
    "arguments",
    [
        "--row 1e1",  # as rows are in messages, and numbers in all options
        "--row 395 --hidden 1 --seed 11",
        "--row 18 --hidden 7 --learning-rate 0.05 --iterations 3 --seed 0 --features x3,x1",
        "--iterations 0 --factor 0.01",
        "--iterations 60 --learning-rate 5",
        "--hidden 30",
    ],
)
def test_a_reader_who_types_the_formulas_gets_the_numbers_of_document_and_text(document, run_here, arguments):
    told, done = document(arguments), run_here(arguments)
    columns = [int(name[1:]) - 1 for name in told["features"]]
    assert values_of(told, "X")[:, 0].tolist() == MARKS[told["row"] - 1, columns].tolist()
    assert values_of(told, "y").tolist() == [[MARKS[told["row"] - 1, 3]]]
    assert_formulas(told)
    assert (done.code, done.err) == (0, "")
    head = r"^(?:\((\d+)\))? +(\([\d, ]*\)) +(\w+\.\w+) +(\w+ = .*)$"
    _, *found = re.split(head, done.out, flags=re.MULTILINE)
    blocks = [found[k : k + 5] for k in range(0, len(found), 5)]
    for step, (number, shape, function, formula, below) in zip(told["steps"], blocks, strict=True):
        assert number == (str(step["number"]) if step["number"] else None)
        assert (shape, function, formula) == (str(tuple(step["shape"])), step["function"], step["formula"])
        _, meaning, numbers = below.partition("\n\n")[0].split("\n", 2)
        assert meaning.strip() == step["meaning"]
        assert [float(text) for text in NUMBER.findall(numbers)] == as_shown(step)


def test_nothing_is_computed_here():
    """The ten equations are in equations.py; here no two arrays meet."""
    for function in (worked_example.explain, worked_example._part):
        nodes = [*ast.walk(ast.parse(inspect.getsource(function)))]
        operators = {type(node.op).__name__ for node in nodes if isinstance(node, ast.BinOp)}
        assert operators <= {"Add", "Mult", "BitOr"}  # updates + 1, a plural's s, two dictionaries
        of_numpy = {node.attr for node in nodes if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "np"}
        assert of_numpy <= {"errstate", "isfinite", "asarray", "ndarray"}


def test_the_settings_are_told(document):
    told = document("--row 5 --hidden 2 --features x2 --learning-rate 0.5 --iterations 0 --seed 9 --factor 1")
    settings = {"data": "marks", "target": "y", "features": ["x2"], "task": None, "labels": None, "output": "sigmoid"}
    settings |= {"row": 5, "hidden": 2, "learning_rate": 0.5, "iterations": 0, "factor": 1.0, "seed": 9}
    assert told == {**settings, "steps": told["steps"]}


# Text and a terminal


def test_text_is_for_any_file_and_shortens_many_hidden_units(document, run_here):
    for arguments in ("--iterations 2", "--hidden 400 --iterations 0"):
        out = run_here(arguments).out
        assert out.isascii()
        assert out.replace("\n", "").isprintable()
        assert max(map(len, out.splitlines())) <= 110
        assert all(line == line.rstrip() for line in out.splitlines())
    assert "..." in out
    assert out.count("\n") < 2000
    assert values_of(document(arguments), "w1").shape == (400, 3)


def on_terminal(*arguments: str, **environment: str) -> str:
    """Give what the command writes to a terminal."""
    screen, said = run_on_terminal("stdout", "explain", *arguments, **environment)
    assert said == ""
    return screen


@POSIX
@pytest.mark.parametrize(("columns", "arguments"), [("200", "--iterations 2 --hidden 30"), ("40", "--row 1")])
def test_terminal_shows_what_the_document_tells(document, columns, arguments):
    screen = on_terminal(*arguments.split(), COLUMNS=columns)
    assert "\x1b[" in screen
    lines = re.sub(r"\x1b\[[\d;]*m", "", screen).splitlines()
    assert max(map(len, lines)) <= int(columns)
    rows = re.split(r"\n[├╰].*", "\n".join(line for line in lines if line.startswith(("│", "├", "╰"))))
    for step, row in zip(document(arguments)["steps"], rows[:-1], strict=True):
        cells = [line.strip("│").split("│") for line in row.split("\n") if line]
        label = f"({step['number']})" if step["number"] else ""
        said = f"{label}{step['formula']}{step['function']}{tuple(step['shape'])}{step['meaning']}"
        assert "".join("".join(left.split()) for left, _ in cells) == "".join(said.split())
        assert [float(text) for _, right in cells for text in NUMBER.findall(right)] == as_shown(step)


@POSIX
def test_document_on_a_terminal_is_a_document_and_names_with_brackets_are_no_markup(folder, document):
    assert json.loads(on_terminal("--json")) == document()
    write("[bold]a.csv", ["[red]x,y", "1,0", "2,1"])
    assert "[bold]a.csv, row 1: y from [red]x" in on_terminal("--data", "[bold]a.csv", "--row", "1", COLUMNS="80")


# Other data


TWO_CLASSES = "target 't': 'no' is 0, 'yes' is 1\n"
THREE_CLASSES = "target 't': 3 classes, 'blue', 'green', 'red'\n"
NUMBERS = "target 't': a number to predict (--task classification takes its values as classes)\n"


@pytest.mark.parametrize(
    ("output", "targets", "first", "labels", "said", "shown"),
    [
        ("sigmoid", ["yes", "no"] * 3, [[1]], ["no", "yes"], TWO_CLASSES, "yhat 0.5, cost 0.693"),
        (
            *("softmax", ["red", "green", "blue"] * 2, [[0], [0], [1]], ["blue", "green", "red"]),
            *(THREE_CLASSES, "yhat 0.333 0.333 0.333, cost 1.1"),
        ),
        ("identity", ["0.5", "-1.5", "4"] * 2, [[0.5]], None, NUMBERS, "yhat 0, cost 0.125"),
    ],
)
def test_other_outputs(folder, document, run_here, output, targets, first, labels, said, shown):
    """All that differs is yhat and the cost; the ten equations hold, letter for letter: see test_outputs.py."""
    write("a.csv", ["t,a,b", *map(",".join, zip(targets, "132015", "212112", strict=True))])
    out = run_here("--data a.csv --target t --row 1 --factor 0").out
    n2 = {1: "1 output", 3: "3 outputs"}[len(first)]
    assert f"n0 = 2 inputs, n1 = 4 hidden units, n2 = {n2}, m = 1 example\n" in out
    assert f"\nforward pass after 0 updates: {shown}\n" in out
    told = document("--data a.csv --target t --row 1 --iterations 2 --hidden 3 --seed 5", said)
    assert [told[name] for name in ("output", "target", "features", "labels")] == [output, "t", ["a", "b"], labels]
    assert (values_of(told, "X").tolist(), values_of(told, "y").tolist()) == ([[1], [2]], first)
    assert_formulas(told)
    texts = [
        [(step["number"], step["name"], step["function"], step["formula"], step["meaning"]) for step in steps]
        for steps in (told["steps"], document("--iterations 2")["steps"])
    ]
    differing = {mine[1] for mine, articles in zip(*texts, strict=True) if mine != articles}
    assert differing == (set() if output == "sigmoid" else {"yhat", "cost"})


# Divergence, options


def test_divergence_is_said_in_one_line(run_here):
    done = run_here("--learning-rate 1e308 --iterations 3")
    said = "error: z1 is not finite (updates done: 1); take a smaller learning rate, factor, or features\n"
    assert (done.code, done.err) == (2, said)
    assert re.findall(r"^\(\d+\).*  (\w+) = ", done.out, re.MULTILINE) == EQUATIONS
    assert run_here("--learning-rate 1e308 --iterations 3 --json") == (2, "", said)


def test_options_are_those_of_training():
    """Same name and same kind of value; but one row is trained, and a page made of it."""
    ours, theirs = (
        {action.dest: (action.option_strings, action.type, action.choices) for action in parser._actions}
        for parser in (explain._parser(), train._parser())
    )
    assert {name for name in ours if ours[name] != theirs.get(name)} == {"row", "html"}

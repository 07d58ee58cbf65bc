"""The command explain: every number against the article and its equations written out, in three renderings."""

import ast
import importlib
import inspect
import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import DOOR, Run, write

from nn_backend import worked_example
from nn_backend.commands import explain, train

MARKS = np.loadtxt(Path(__file__).parents[1] / "data" / "marks.csv", delimiter=",", skiprows=1)
NUMBER = re.compile(r"-?\d+\.\d*(?:e[+-]\d+)?")
UPDATED = {"w1", "b1", "w2", "b2"}
START = [
    "marks.load_data X",
    "marks.load_data y",
    "network.init_params w1",
    "network.init_params b1",
    "network.init_params w2",
    "network.init_params b2",
]
FORWARD = [
    "equations.forward z1",
    "equations.forward f1",
    "equations.forward z2",
    "equations.forward yhat",
    "equations.cost cost",
]
EQUATIONS = [
    "equations.backward dz2 = yhat - y",
    "equations.backward dw2 = dz2 @ f1.T / m",
    "equations.backward db2 = sum(dz2, axis=1, keepdims=True) / m",
    "equations.update w2 = w2 - learning_rate * dw2",
    "equations.update b2 = b2 - learning_rate * db2",
    "equations.backward dz1 = (w2.T @ dz2) * (1 - f1) * f1",
    "equations.backward dw1 = dz1 @ X.T / m",
    "equations.backward db1 = sum(dz1, axis=1, keepdims=True) / m",
    "equations.update w1 = w1 - learning_rate * dw1",
    "equations.update b1 = b1 - learning_rate * db1",
]
CASES = [
    "",
    "--row 1",
    "--row 395 --hidden 1 --seed 11",
    "--row 3 --factor 0.01",
    "--row 18 --hidden 7 --learning-rate 0.05 --iterations 3 --seed 0",
    "--features x3,x1 --iterations 2",
    "--iterations 0",
]


@pytest.fixture
def run_here(run_main: Callable[..., Run]) -> Callable[..., Run]:
    return lambda arguments="": run_main(explain.main, *arguments.split())


@pytest.fixture
def document(run_here) -> Callable[..., dict[str, Any]]:
    def read(arguments: str = "") -> dict[str, Any]:
        done = run_here(f"--json {arguments}")
        assert (done.code, done.err) == (0, "")
        return json.loads(done.out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))

    return read


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def cost_of(w1, b1, w2, b2, X, y) -> float:
    yhat = sigmoid(w2 @ sigmoid(w1 @ X + b1) + b2)
    return float(-np.sum(y * np.log(yhat) + (1 - y) * np.log(1 - yhat)))


def written_out(
    X: np.ndarray, y: np.ndarray, hidden: int, factor: float, seed: int, learning_rate: float, iterations: int
) -> list[dict[str, np.ndarray]]:
    """The article's equations for one example: for each state all that is computed at it."""
    generator = np.random.RandomState(seed)
    w1 = generator.randn(hidden, len(X)) * factor
    w2 = generator.randn(1, hidden) * factor
    b1, b2 = np.zeros((hidden, 1)), np.zeros((1, 1))
    states = []
    for _ in range(iterations + 1):
        state = {"X": X, "y": y, "w1": w1, "b1": b1, "w2": w2, "b2": b2}
        z1 = np.dot(w1, X) + b1
        f1 = sigmoid(z1)
        z2 = np.dot(w2, f1) + b2
        yhat = sigmoid(z2)
        cost = np.array(cost_of(w1, b1, w2, b2, X, y))
        dz2 = yhat - y
        dw2, db2 = np.dot(dz2, f1.T), dz2
        dz1 = np.dot(w2.T, dz2) * f1 * (1 - f1)
        dw1, db1 = np.dot(dz1, X.T), dz1
        w1, b1 = w1 - learning_rate * dw1, b1 - learning_rate * db1
        w2, b2 = w2 - learning_rate * dw2, b2 - learning_rate * db2
        state |= {"z1": z1, "f1": f1, "z2": z2, "yhat": yhat, "cost": cost}
        state |= {"dz2": dz2, "dw2": dw2, "db2": db2, "dz1": dz1, "dw1": dw1, "db1": db1}
        states.append(state)
    return states


def states_of(document: dict[str, Any]) -> list[dict[str, np.ndarray]]:
    columns = [int(name[1:]) - 1 for name in document["features"]]
    row = MARKS[document["row"] - 1]
    settings = ("hidden", "factor", "seed", "learning_rate", "iterations")
    return written_out(row[columns, None], row[3:, None], *(document[name] for name in settings))


def steps_named(document: dict[str, Any], name: str) -> list[np.ndarray]:
    return [np.array(step["values"]) for step in document["steps"] if step["name"] == name]


# The article's digits


def test_the_articles_example(document):
    told = document()
    X, y, w1, w2, z1, f1 = (steps_named(told, name)[0] for name in ("X", "y", "w1", "w2", "z1", "f1"))
    assert X.tolist() == [[7], [8], [10]]
    assert y.tolist() == [[1]]
    digits = [[0.179, 0.044, 0.01], [-0.186, -0.028, -0.035], [-0.008, -0.063, -0.004], [-0.048, -0.131, 0.088]]
    np.testing.assert_allclose(w1, digits, rtol=0, atol=5e-4)
    np.testing.assert_allclose(w2, [[0.088, 0.171, 0.005, -0.040]], rtol=0, atol=5e-4)
    rounding = 5e-4 * X.sum()  # the article multiplies by the rounded weights
    np.testing.assert_allclose(z1, [[1.705], [-1.876], [-0.6], [-0.504]], rtol=0, atol=rounding)
    f1_digits = [[0.84618664], [0.132849], [0.35434369], [0.37660112]]
    np.testing.assert_allclose(f1, f1_digits, rtol=0, atol=rounding / 4)
    assert steps_named(told, "yhat")[0].item() == pytest.approx(0.5208876705997051, abs=1e-15)


def test_the_articles_smaller_factor(document):
    assert steps_named(document("--factor 0.01"), "yhat")[0].item() == pytest.approx(0.503, abs=5e-4)


def test_the_articles_shapes(document):
    shapes = {step["name"]: step["shape"] for step in document()["steps"]}
    articles = {"X": [3, 1], "w1": [4, 3], "b1": [4, 1], "w2": [1, 4], "b2": [1, 1]}
    articles |= {"f1": [4, 1], "z2": [1, 1], "yhat": [1, 1]}
    assert {name: shapes[name] for name in articles} == articles


# Every number


@pytest.mark.parametrize("arguments", CASES)
def test_every_number_is_that_of_the_equations_written_out(document, arguments):
    told = document(arguments)
    states = states_of(told)
    for step in told["steps"]:
        name, at = step["name"], step["updates"]
        is_update = step["number"] is not None and name in UPDATED
        expected = states[at + is_update][name]
        values = np.array(step["values"])
        assert tuple(step["shape"]) == values.shape == expected.shape, name
        np.testing.assert_allclose(values, expected, rtol=1e-11, atol=1e-15, err_msg=name)
        if is_update:
            np.testing.assert_allclose(step["before"], states[at][name], rtol=1e-11, atol=1e-15, err_msg=name)
        else:
            assert step["before"] is None


@pytest.mark.parametrize("arguments", ["", "--row 1 --hidden 3 --factor 0.5"])
def test_gradients_are_central_differences_of_the_cost(document, arguments):
    assert_gradients(document(arguments), cost_of)


def assert_gradients(told: dict[str, Any], cost_of: Callable[..., float]) -> None:
    first = {
        name: steps_named(told, name)[0] for name in ("w1", "b1", "w2", "b2", "X", "y", "dw1", "db1", "dw2", "db2")
    }
    for name in ("w1", "b1", "w2", "b2"):
        for index in np.ndindex(first[name].shape):
            ends = []
            for sign in (1, -1):
                moved = {key: first[key].copy() for key in ("w1", "b1", "w2", "b2", "X", "y")}
                moved[name][index] += sign * 1e-5
                ends.append(cost_of(**moved))
            assert first[f"d{name}"][index] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("arguments", CASES)
def test_a_reader_who_types_the_formulas_gets_the_numbers(document, arguments):
    assert_formulas(document(arguments))


def assert_formulas(told: dict[str, Any]) -> None:
    """The formula on the page is NumPy; what it says of the numbers before it is what stands beside it."""
    generator = np.random.RandomState(told["seed"])
    known: dict[str, Any] = {name: getattr(np, name) for name in ("exp", "log", "sum", "zeros")}
    known |= {"randn": generator.randn, "factor": told["factor"], "learning_rate": told["learning_rate"]}
    known |= {"m": 1, "n0": len(told["features"]), "n1": told["hidden"]}
    known["n2"] = len(steps_named(told, "w2")[0])
    updated: dict[str, np.ndarray] = {}
    for step in told["steps"]:
        name, equals, formula = step["formula"].partition(" = ")
        assert (name, equals) == (step["name"], " = ")
        values = np.array(step["values"])
        if name not in ("X", "y"):
            np.testing.assert_allclose(values, eval(formula, {}, known), rtol=1e-11, atol=1e-15, err_msg=formula)
        if step["number"] is not None and name in UPDATED:
            updated[name] = values  # all gradients are taken at the old parameters
        else:
            known[name] = values
        if step["number"] == 10:
            known |= updated


def test_nothing_is_computed_here():
    """The ten equations are in equations.py; here no two arrays meet."""
    for function in (worked_example.explain, worked_example._part):
        tree = ast.parse(inspect.getsource(function))
        operators = {type(node.op).__name__ for node in ast.walk(tree) if isinstance(node, ast.BinOp)}
        assert operators <= {"Add", "Mult", "BitOr"}  # updates + 1, a plural's s, two dictionaries
        attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
        of_numpy = {node.attr for node in attributes if ast.unparse(node.value) == "np"}
        assert of_numpy <= {"errstate", "isfinite", "asarray", "ndarray"}


# What each step says


@pytest.mark.parametrize("iterations", [0, 1, 2, 3])
def test_steps_come_in_the_articles_order(document, iterations):
    steps = document(f"--iterations {iterations}")["steps"]
    once = [None] * len(FORWARD) + list(range(1, 11))
    assert [step["number"] for step in steps] == [None] * len(START) + once * iterations + [None] * len(FORWARD)
    said = [f"{step['function']} {step['formula']}" for step in steps]
    names = [f"{step['function']} {step['name']}" for step in steps]
    assert names[:6] == START
    for k in range(iterations + 1):
        begin = len(START) + k * (len(FORWARD) + len(EQUATIONS))
        assert names[begin : begin + len(FORWARD)] == FORWARD
        assert said[begin + len(FORWARD) : begin + len(FORWARD) + len(EQUATIONS)] == (
            EQUATIONS if k < iterations else []
        )
        assert {step["updates"] for step in steps[begin : begin + len(FORWARD) + len(EQUATIONS)]} == {k}


def test_functions_exist(document):
    for step in document()["steps"]:
        module, _, function = step["function"].partition(".")
        assert callable(getattr(importlib.import_module(f"nn_backend.{module}"), function))


@pytest.mark.parametrize("pair", ["dz2 db2", "dz1 db1"])
def test_errors_are_read_from_the_bias_gradients_and_the_page_says_so(document, run_here, pair):
    error, gradient = pair.split()
    told = document("--iterations 2")
    assert [a.tolist() for a in steps_named(told, error)] == [a.tolist() for a in steps_named(told, gradient)]
    assert f"(m = 1) it equals {gradient}, and is copied from there" in run_here().out


def test_the_settings_are_told(document):
    told = document("--row 5 --hidden 2 --features x2 --learning-rate 0.5 --iterations 0 --seed 9 --factor 1")
    del told["steps"]
    assert told == {
        "data": "marks",
        "target": "y",
        "features": ["x2"],
        "task": None,
        "labels": None,
        "output": "sigmoid",
        "row": 5,
        "hidden": 2,
        "learning_rate": 0.5,
        "iterations": 0,
        "factor": 1.0,
        "seed": 9,
    }


def test_a_row_is_counted_from_1_and_may_be_written_as_1e1(document):
    """As rows are in messages, and numbers in all options."""
    rows = [document(f"--row {row}") for row in ("10", "1e1")]
    assert rows[0] == rows[1]
    assert steps_named(rows[0], "X")[0][:, 0].tolist() == MARKS[9, :3].tolist()


@pytest.mark.parametrize("iterations", [0, 1, 4])
def test_a_further_iteration_goes_on_from_the_last(document, iterations):
    fewer, more = (document(f"--iterations {count}")["steps"] for count in (iterations, iterations + 1))
    assert more[: len(fewer)] == fewer
    assert len(more) == len(fewer) + len(FORWARD) + len(EQUATIONS)
    assert all(step["updates"] >= iterations for step in more[len(fewer) :])


# Text


def as_shown(values: Any) -> list[float]:
    return np.ravel(values).tolist()


def assert_shown(shown: list[float], step: dict[str, Any]) -> None:
    """The numbers on the page are those of the document, to six digits after the point."""
    expected = as_shown(step["values"]) if step["before"] is None else as_shown([step["before"], step["values"]])
    assert shown == pytest.approx(expected, rel=1e-6, abs=5.1e-7), step["name"]


def blocks_of(out: str) -> list[tuple[str, str, str, str, list[float]]]:
    """Read the text: number, shape, function, formula and the numbers of each step."""
    head = re.compile(r"^(\(\d+\))? +(\([\d, ]*\)) +(\w+\.\w+) +(\w+ = .*)$", re.MULTILINE)
    starts = [*head.finditer(out)]
    ends = [match.start() for match in starts[1:]] + [len(out)]
    blocks = []
    for match, end in zip(starts, ends, strict=True):
        numbers = out[match.end() : end].strip().partition("\n")[2].partition("\n\n")[0]
        blocks.append((*(part or "" for part in match.groups()), [float(text) for text in NUMBER.findall(numbers)]))
    return blocks


@pytest.mark.parametrize("arguments", [*CASES, "--iterations 60 --learning-rate 5", "--hidden 30"])
def test_text_tells_what_the_document_tells(document, run_here, arguments):
    done = run_here(arguments)
    assert (done.code, done.err) == (0, "")
    steps, blocks = document(arguments)["steps"], blocks_of(done.out)
    assert len(blocks) == len(steps)
    for step, (number, shape, function, formula, numbers) in zip(steps, blocks, strict=True):
        assert number == (f"({step['number']})" if step["number"] else "")
        assert (shape, function, formula) == (str(tuple(step["shape"])), step["function"], step["formula"])
        assert_shown(numbers, step)


def test_text_of_the_articles_example(run_here):
    out = run_here().out
    assert "row 3: y from x1, x2, x3\n" in out
    assert "\nforward pass after 0 updates: yhat 0.521, cost 0.652\n" in out
    assert "\nforward pass after 1 update: yhat 0.572, cost 0.559\n" in out
    assert "      [[ 1.697745]\n       [-1.881114]\n       [-0.603338]\n       [-0.500522]]\n" in out
    assert run_here("--row 3 --factor 0.1 --iterations 1 --hidden 4 --seed 3 --learning-rate 0.2").out == out


def test_text_is_for_any_file(run_here):
    out = run_here("--iterations 2").out
    assert out.isascii()
    assert out.isprintable() or set(out) - {"\n"} == set(filter(str.isprintable, out))
    assert max(map(len, out.splitlines())) <= 110
    assert all(line == line.rstrip() for line in out.splitlines())


@pytest.mark.parametrize("iterations", [1, 2])
def test_each_equation_is_named_once_in_an_iteration(run_here, iterations):
    out = run_here(f"--iterations {iterations}").out
    for number, said in enumerate(EQUATIONS, start=1):
        function, _, formula = said.partition(" ")
        assert len(re.findall(rf"^\({number}\) .*{function} +{re.escape(formula)}$", out, re.MULTILINE)) == iterations


def test_many_hidden_units_are_shortened_in_text_only(document, run_here):
    arguments = "--hidden 400 --iterations 0"
    out = run_here(arguments).out
    assert "..." in out
    assert out.count("\n") < 2000
    assert np.shape(steps_named(document(arguments), "w1")[0]) == (400, 3)


# A terminal


def on_terminal(*arguments: str, **environment: str) -> str:
    """Give what the command writes to a terminal."""
    terminal, end = os.openpty()
    environment = {**os.environ, "TERM": "xterm", "PYTHONIOENCODING": "utf-8", **environment}
    try:
        process = subprocess.Popen([*DOOR, "explain", *arguments], stdout=end, stderr=subprocess.PIPE, env=environment)
    finally:
        os.close(end)
    shown = b""
    with process, os.fdopen(terminal, "rb", buffering=0) as screen:
        try:
            while block := screen.read(4096):
                shown += block
        except OSError:  # how Linux says that nobody writes any more
            pass
        assert process.stderr.read() == b""
    assert process.returncode == 0
    return shown.decode().replace("\r\n", "\n")


def rows_of(screen: str) -> list[tuple[str, list[float]]]:
    """Read the tables: what is said of each step, in one line, and its numbers."""
    rows, said, numbers = [], [], []
    for line in re.sub(r"\x1b\[[\d;]*m", "", screen).splitlines():
        if line.startswith("│"):
            left, right = line.strip("│").split("│")
            said.append(left.strip())
            numbers += [float(text) for text in NUMBER.findall(right)]
        elif line.startswith(("├", "╰")):
            rows.append((" ".join(said), numbers))
            said, numbers = [], []
    return rows


posix = pytest.mark.skipif(os.name != "posix", reason="terminals as POSIX has them")


@posix
@pytest.mark.parametrize(
    ("columns", "arguments"), [("80", ""), ("200", "--iterations 2 --hidden 30"), ("40", "--row 1")]
)
def test_terminal_shows_what_the_document_tells(document, columns, arguments):
    screen = on_terminal(*arguments.split(), COLUMNS=columns)
    assert "\x1b[" in screen
    steps, rows = document(arguments)["steps"], rows_of(screen)
    assert len(rows) == len(steps)
    for step, (said, numbers) in zip(steps, rows, strict=True):
        label = f"({step['number']}) " if step["number"] else ""
        parts = (f"{label}{step['formula']}", step["function"], str(tuple(step["shape"])), step["meaning"])
        assert re.sub(r"\s+", "", said) == re.sub(r"\s+", "", "".join(parts))
        assert_shown(numbers, step)
    assert max(map(len, re.sub(r"\x1b\[[\d;]*m", "", screen).splitlines())) <= int(columns)


@posix
def test_document_on_a_terminal_is_a_document(document):
    assert json.loads(on_terminal("--json")) == document()


@posix
def test_names_with_brackets_are_no_markup(folder):
    write("[bold]a.csv", ["[red]x,y", "1,0", "2,1"])
    assert "[bold]a.csv, row 1: y from [red]x" in on_terminal("--data", "[bold]a.csv", "--row", "1", COLUMNS="80")


# Other data


def test_a_file_with_words_as_targets(folder, run_here):
    write("a.csv", ["mark,passed", "4,no", "15,yes"])
    done = run_here("--data a.csv --target passed --row 2 --json")
    assert (done.code, done.err) == (0, "target 'passed': 'no' is 0, 'yes' is 1\n")
    told = json.loads(done.out)
    assert (told["labels"], told["target"], told["features"]) == (["no", "yes"], "passed", ["mark"])
    assert [steps_named(told, name)[0].tolist() for name in ("X", "y")] == [[[15.0]], [[1.0]]]


def test_simulated_data(document):
    assert document("--data simulated:50 --row 50")["steps"][0]["shape"] == [3, 1]


def test_a_sure_output_is_no_logarithm_of_0(folder, document):
    write("a.csv", ["x1,y", "1000,0", "1000,1"])
    costs = [
        steps_named(document(f"--data a.csv --row {row} --factor 10 --seed 5"), "cost")[0].item() for row in (1, 2)
    ]
    assert all(np.isfinite(costs))


OTHERS = {
    "softmax": (["a,b,y", "1,2,red", "3,1,green", "2,2,blue", "0,1,red", "1,1,blue", "5,2,green"], 3),
    "identity": (["a,b,y", "1,2,0.5", "3,1,-1.5", "2,2,4"], 1),
}


def cost_of_softmax(w1, b1, w2, b2, X, y) -> float:
    yhat = np.exp(w2 @ sigmoid(w1 @ X + b1) + b2)
    return float(-np.log(np.sum(y * yhat) / np.sum(yhat)))


def cost_of_identity(w1, b1, w2, b2, X, y) -> float:
    return float(np.sum((w2 @ sigmoid(w1 @ X + b1) + b2 - y) ** 2) / 2)


@pytest.mark.parametrize("output", OTHERS)
def test_other_outputs(folder, document, run_here, output):
    """All that differs is yhat and the cost; the ten equations hold, letter for letter."""
    lines, n2 = OTHERS[output]
    write("a.csv", lines)
    arguments = "--data a.csv --row 1 --iterations 2 --hidden 3 --seed 5 --json"
    done = run_here(arguments)
    told = json.loads(done.out)
    assert (done.code, told["output"], steps_named(told, "yhat")[0].shape) == (0, output, (n2, 1))
    assert_formulas(told)
    assert_gradients(told, {"softmax": cost_of_softmax, "identity": cost_of_identity}[output])
    texts = [
        [(step["number"], step["name"], step["function"], step["formula"], step["meaning"]) for step in steps]
        for steps in (told["steps"], document("--iterations 2")["steps"])
    ]
    assert {mine[1] for mine, articles in zip(*texts, strict=True) if mine != articles} == {"yhat", "cost"}


def test_text_of_several_outputs(folder, run_here):
    lines, _ = OTHERS["softmax"]
    write("a.csv", lines)
    done = run_here("--data a.csv --factor 0")
    assert (done.code, done.err) == (0, "target 'y': 3 classes, 'blue', 'green', 'red'\n")
    assert "n0 = 2 inputs, n1 = 4 hidden units, n2 = 3 outputs, m = 1 example\n" in done.out
    assert "\nforward pass after 0 updates: yhat 0.333 0.333 0.333, cost 1.1\n" in done.out


# Divergence, options


def test_divergence_is_said_in_one_line(run_here):
    done = run_here("--learning-rate 1e308 --iterations 3")
    remedy = "take a smaller learning rate, factor, or features"
    assert (done.code, done.err) == (2, f"error: z1 is not finite (updates done: 1); {remedy}\n")
    assert [block[3].partition(" ")[0] for block in blocks_of(done.out)][-2:] == ["w1", "b1"]
    done = run_here("--learning-rate 1e308 --iterations 3 --json")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: z1 is not finite")


def test_options_are_those_of_training():
    """Same name and same kind of value; but one row is trained, from the article's example if nothing else is said."""
    ours, theirs = (
        {action.dest: (action.option_strings, action.type, action.choices) for action in parser._actions}
        for parser in (explain._parser(), train._parser())
    )
    assert {name for name in ours if ours[name] != theirs.get(name)} == {"row", "html"}
    defaults = {"row": 3, "hidden": 4, "factor": 0.1, "iterations": 1, "learning_rate": 0.2, "seed": 3}
    assert {name: explain._parser().get_default(name) for name in defaults} == defaults

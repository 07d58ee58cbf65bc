"""A lesson as one HTML file: the network drawn, every step of an update, and three ways to train side by side.

All numbers stand in the file as JSON; its script shows them and computes none. What is said of a step, and its numbers,
are those of ``explain --json``; the line that computes it is read from the source of `equations`.
"""

import ast
import contextlib
import importlib.resources
import inspect
import itertools
import json
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nn_backend import equations
from nn_backend.descent import MAX_ITERATIONS, fit
from nn_backend.equations import OUTPUTS, Layers, Output, Params
from nn_backend.errors import DivergenceError
from nn_backend.files import replacing
from nn_backend.lesson_texts import CODE, JUMPS, JUMPS_OF_MARKS, MEASURES, TASK, TASK_OF_MARKS, WAYS, WHY, Way
from nn_backend.marks import ARTICLE, ARTICLE_FACTOR, ARTICLE_ITERATIONS, ARTICLE_TRAIN_ROWS
from nn_backend.network import init_params
from nn_backend.tables import Table, standardization
from nn_backend.worked_example import explain

ROWS = 8  # of the table, to choose from
DRAWN = 10  # inputs, hidden units and outputs; more would be neither readable nor small
TRAIN_ROWS = 5000  # at most: the page is waited for
PLACES = 120  # on the slider through the iterations
NUMBERS = 30_000  # of all networks that this slider shows, so that the file stays below 600 kB
SEEN = 0.005  # of the first cost: two curves that are closer look like one
LAST_BIT = 1 + 2.0**-52
QUANTITIES = {*Params._fields, *Layers._fields, *(f"d{name}" for name in ("z1", "z2", *Params._fields))}
QUANTITIES |= {"X", "y", "m", "learning_rate"}


def write_lesson(path: Path, document: Mapping[str, Any]) -> None:
    """Write the page that shows a document.

    Parameters
    ----------
    path : Path
        Where it goes.
    document : mapping
        What `compose_lesson` returned.

    Raises
    ------
    DataFileError
        If the file cannot be written.
    """
    page = (importlib.resources.files("nn_backend") / "lesson.html").read_text(encoding="utf-8")
    data = json.dumps(document, allow_nan=False, separators=(",", ":"))
    data = data.replace("<", "\\u003c")  # or a name such as "</script>" would end it
    with replacing(path) as file:
        file.write(page.replace("{{document}}", data).encode())


def compose_lesson(table: Table, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Explain an update for some rows of a table, train in three ways, and return all that the page shows.

    Parameters
    ----------
    table : Table
        The data.
    settings : mapping of str to value
        Those of ``explain --json``: data, target, features, labels, row, hidden, learning_rate, factor and seed.

    Returns
    -------
    dict
        Values that JSON can hold. Numbers of the trained networks are rounded to five digits, all others are exact.

    Raises
    ------
    DivergenceError
        If a number of the update stops being finite for the row that the settings name.
    """
    article, rows = settings["data"] == ARTICLE, table.X.shape[1]
    n0, n1, n2 = len(table.X), settings["hidden"], len(table.y)
    steps = _explain(table, settings)
    trained = min(rows, ARTICLE_TRAIN_ROWS if article else TRAIN_ROWS)
    factor = ARTICLE_FACTOR if article else 2 / n0**0.5
    start = init_params(n0, n1, n2, seed=settings["seed"], factor=factor)
    a, b, c = (min(size, DRAWN) for size in (n0, n1, n2))
    places = max(2, min(PLACES, NUMBERS // (len(WAYS) * (b * (a + c) + (1 + len(steps)) * (b + c)))))
    end = ARTICLE_ITERATIONS if article else MAX_ITERATIONS
    at = np.unique(np.rint(np.linspace(0, end**0.5, places) ** 2).astype(int)).tolist()
    runs = [
        _train(way, table, trained, [row - 1 for row in steps], start, settings["learning_rate"], at) for way in WAYS
    ]
    costs = [cost for run in runs for cost in run["cost"]]
    sizes = {"input": n0, "hidden unit": n1, "output": n2}
    return {
        "settings": dict(settings),
        "task": TASK_OF_MARKS if article else TASK.format(settings["target"]),
        "sizes": {"n0": n0, "n1": n1, "n2": n2, "rows": rows, "train_rows": trained},
        "features": table.features[:DRAWN],
        "left_out": [f"{name}s {DRAWN + 1} to {size}" for name, size in sizes.items() if size > DRAWN],
        "rows": [
            {
                "row": row,
                "truth": _truth(table, row),
                "trained": row <= trained,
                "steps": [*map(_cut, steps[row])],
                "changes": _changes(steps[row]),
            }
            for row in steps
        ],
        "notes": _notes(steps[settings["row"]], table.output, settings["learning_rate"]),
        "between_0_and_1": ["f1"] if table.output == "identity" else ["f1", "yhat"],
        "iterations": at,
        "factor": factor,
        "measure": dict(zip(("name", "meaning"), MEASURES[table.output], strict=True)),
        "jumps": JUMPS_OF_MARKS if article else JUMPS,
        "runs": runs,
        "ceiling": min(max(costs), 1.5 * costs[0]) or 1.0,
    }


def _explain(table: Table, settings: Mapping[str, Any]) -> dict[int, list[dict[str, Any]]]:
    """Return the steps of one update for the row that was asked for, and for others spread evenly over the table."""
    sizes, asked = (len(table.X), settings["hidden"], len(table.y)), settings["row"]
    start = init_params(*sizes, seed=settings["seed"], factor=settings["factor"])
    others = np.unique(np.linspace(1, table.X.shape[1], ROWS).astype(int)).tolist()
    found = {}
    for row in [asked, *(other for other in others if other != asked)][:ROWS]:
        with contextlib.suppress(*([DivergenceError] if row != asked else [])):
            X, y = table.X[:, [row - 1]], table.y[:, [row - 1]]
            steps = explain(X, y, start, settings["learning_rate"], 1, output=table.output)
            found[row] = [step.to_json() for step in steps]
    return found


def read_source(function: Callable[..., Any], name: str, output: Output) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the code that computes a quantity, and the names that it reads.

    Parameters
    ----------
    function : callable
        A function of `equations`.
    name : str
        The quantity: a name that is assigned in the function or given to what it returns; else all of it is meant.
    output : Output
        The kind of network, whose functions stand for ``output.g`` and ``output.loss``.

    Returns
    -------
    code : list of dict
        Function, number of the first line in ``equations.py``, and lines: the quantity's own, then the bodies of the
        functions that these call.
    names : list of str
        In the order in which they stand in the quantity's own lines.

    Examples
    --------
    >>> code, names = read_source(equations.backward, "dz1", equations.SIGMOID)
    >>> code[0]["code"], names
    ('dz1 = (xp.matrix_transpose(params.w2) @ dz2) * (1 - f1) * f1  # (6)', ['w2', 'dz2', 'f1'])
    """
    body = _body(function)
    own = [node for statement in body for node in ast.walk(statement) if _gives(node, name)] or body
    inner = sorted((node for part in own for node in ast.walk(part)), key=_position)
    known = {**vars(equations), "output.g": output.g, "output.loss": output.loss}
    called = [known.get(ast.unparse(node.func)) for node in inner if isinstance(node, ast.Call)]
    code = [_lines(function, own), *(_lines(inside, _body(inside)) for inside in called if inspect.isfunction(inside))]
    loads = (node for node in inner if isinstance(getattr(node, "ctx", None), ast.Load))
    names = dict.fromkeys(ast.unparse(node).removeprefix("params.") for node in loads)
    return code, [name for name in names if name in QUANTITIES]


def _body(function: Callable[..., Any]) -> list[ast.stmt]:
    """Return the statements of a function below its docstring, with the lines' numbers in the file."""
    lines, first = inspect.getsourcelines(function)
    (definition,) = ast.parse("".join(lines)).body
    assert isinstance(definition, ast.FunctionDef)
    return ast.increment_lineno(definition, first - 1).body[1:]


def _position(node: ast.AST) -> tuple[int, int]:
    return getattr(node, "lineno", 0), getattr(node, "col_offset", 0)


def _gives(node: ast.AST, name: str) -> bool:
    """Return whether a node is where a name gets its value."""
    assigned = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name
    return assigned or (isinstance(node, ast.keyword) and node.arg == name)


def _lines(function: Callable[..., Any], nodes: Sequence[Any]) -> dict[str, Any]:
    """Return what `read_source` says of neighbouring nodes of a function."""
    lines, first = inspect.getsourcelines(function)
    begin, end = nodes[0].lineno, nodes[-1].end_lineno
    code = textwrap.dedent("".join(lines[begin - first : end - first + 1])).rstrip()
    return {"function": function.__name__, "line": begin, "code": code}


def _notes(steps: Sequence[Mapping[str, Any]], output: str, learning_rate: float) -> list[dict[str, Any]]:
    """Return for each step what the page says beside its texts: reasons, code, and which quantities it reads and gives.

    A quantity read is named, with the position of the step that gave it; m and the learning rate come from no step.
    """
    scalars = {"m": "m = 1 (one row)", "learning_rate": f"learning_rate = {learning_rate:g}"}
    notes = []
    for position, step in enumerate(steps):
        module, _, function = step["function"].partition(".")
        part = next(k for k, other in enumerate(steps) if other["part"] == step["part"])
        known = module == "equations"
        code, names = read_source(getattr(equations, function), step["name"], OUTPUTS[output]) if known else ([], [])
        reads = []
        for name in names:
            until = part if name in Params._fields else position  # an update reads the parameters from before it
            sources = [k for k in range(until) if steps[k]["name"] == name]
            old = "old " if name in Params._fields and step["number"] else ""
            reads.append({"name": scalars.get(name, old + name), "step": sources[-1] if sources else None})
        text = " ".join(each["code"] for each in code)
        notes.append(
            {
                "why": WHY.get(step["name"]),
                "reads": reads,
                "gives": step["name"] if step["before"] is None else f"new {step['name']}",
                "code": code,
                "about_code": [said for part_of_code, said in CODE.items() if part_of_code in text],
            }
        )
    return notes


def _changes(steps: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return whether an update made the cost, and a single answer, higher or lower."""
    changes = {}
    for name in ("yhat", "cost"):
        before, *_, now = (step["values"] for step in steps if step["name"] == name)
        if np.size(now) == 1:
            changes[name] = "higher" if now > before else "lower" if now < before else "the same"
    return changes


def _truth(table: Table, row: int) -> str:
    """Return the right answer for a row, counted from 1, in the words of the table."""
    y = table.y[:, row - 1]
    if table.labels is None:
        return ", ".join(f"{value:g}" for value in y)
    return table.labels[int(y.argmax() if len(y) > 1 else y[0])]


def _cut(step: Mapping[str, Any]) -> dict[str, Any]:
    """Return a step with the numbers that are drawn."""
    return {**step, **{name: _drawn(step[name]) for name in ("values", "before")}}


def _drawn(values: Any) -> Any:
    """Return nested lists without what lies beyond `DRAWN`."""
    return [_drawn(part) for part in values[:DRAWN]] if isinstance(values, list) else values


def _train(
    way: Way, table: Table, trained: int, rows: list[int], start: Params, learning_rate: float, at: Sequence[int]
) -> dict[str, Any]:
    """Train a network and a twin that differs in the last bit, and return what each had reached at some iterations."""
    X, y = table.X, table.y
    if way.standardised:
        X = standardization(X[:, :trained]).apply(X)
    target_scale = standardization(y[:, :trained]) if table.output == "identity" else None
    if target_scale is not None:
        y = target_scale.apply(y)
    kind = OUTPUTS[table.output]
    state: Any = Params(*(np.stack([array, array * LAST_BIT]) for array in start))
    reached: dict[str, list[Any]] = {name: [] for name in ("cost", "quality", "twin_cost", "twin_quality", "networks")}
    for before, now in itertools.pairwise((0, *at)):
        result = fit(  # of several networks it does not raise where one diverges
            X[:, :trained],
            y[:, :trained],
            state,
            output=table.output,
            optimizer=way.optimizer,
            learning_rate=learning_rate if way.optimizer == "gd" else None,
            iterations=now - before,
            log_every=max(1, now - before),
        )
        if result.interrupted:
            raise KeyboardInterrupt
        state, score = result.state, result.rows[-1].score
        params = Params(*(array[0] for array in state.params))
        with np.errstate(over="ignore", invalid="ignore"):
            layers = equations.forward(params, X[:, rows], output=kind, xp=np)
            yhat = layers.yhat if target_scale is None else target_scale.undo(layers.yhat)
        if result.status[0] == "diverged" or not (np.isfinite(score.cost).all() and np.isfinite(yhat).all()):
            break
        quality = score.r2 if table.output == "identity" else score.accuracy
        for k, prefix in enumerate(("", "twin_")):
            reached[f"{prefix}cost"].append(float(score.cost[k]))
            reached[f"{prefix}quality"].append(float(quality[k]) if np.isfinite(quality[k]) else None)
        values = {**params._asdict(), "f1": layers.f1.T, "yhat": yhat.T}
        network: dict[str, Any] = {name: _short(array[:DRAWN, :DRAWN].tolist()) for name, array in values.items()}
        if table.output != "identity":
            network["right"] = (kind.errors(layers.yhat, y[:, rows], xp=np).sum(axis=0) == 0).tolist()
        reached["networks"].append(network)
    seen = np.abs(np.subtract(reached["twin_cost"], reached["cost"])) > SEEN * reached["cost"][0]
    return {**way._asdict(), "parts": bool(seen.any()), "X": _short(X[:DRAWN, rows].T.tolist()), **reached}


def _short(values: Any) -> Any:
    """Return nested lists of numbers rounded to five digits."""
    return [_short(part) for part in values] if isinstance(values, list) else float(f"{values:.5g}")

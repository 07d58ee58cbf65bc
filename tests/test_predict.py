"""The command predict: a row for each row, the same in one chunk as in many, and no file lost."""

import csv
import functools
import gzip
import io
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from commands import DOOR, POSIX, Run, files_in, run_command, write
from pyarrow import parquet
from sklearn.metrics import r2_score

import nn_backend as nn
from nn_backend import engines
from nn_backend.commands import predict
from nn_backend.tables import duck

MARKS, PASSED = nn.load_marks()
ROWS = [",".join(map(str, row)) for row in np.concatenate([MARKS, PASSED]).astype(int).T.tolist()]
TABLE = ["x1,x2,x3,y", *ROWS]
TO_FILE = ("--output", "out.csv")


@pytest.fixture
def ask(run_main: Callable[..., Run], folder: Path) -> Callable[..., Run]:
    """Return what asks the model about a table."""
    return lambda data="a.csv", *options: run_main(predict.main, "--model", "model", "--data", data, *options)


@pytest.fixture
def chunk_rows(monkeypatch) -> Callable[[int], None]:
    return lambda rows: monkeypatch.setattr(duck, "CHUNK_ROWS", rows)


def draw(sizes: tuple[int, int, int] = (3, 4, 1), dtype: str = "float64") -> nn.Params:
    n0, n1, n2 = sizes
    random = np.random.default_rng(0)
    shapes = ((n1, n0), (n1, 1), (n2, n1), (n2, 1))
    return nn.Params(*(random.normal(0, 0.6, shape).astype(dtype) for shape in shapes))


def save(**changes: Any) -> nn.Model:
    """Save a network for the article's data, and give it."""
    known = {"features": ("x1", "x2", "x3"), "target": "y", "standardization": nn.standardization(MARKS)}
    model = nn.Model(**{"params": draw(), **known, **changes})
    nn.save("model", model)
    return model


# Sums of eighths and one product: the same in every order of computation, and so in every size of a chunk.
EXACT = nn.Params(np.array([[0.125, -0.5, 0.25]]), np.array([[0.375]]), np.array([[3.5]]), np.array([[-1.75]]))


def columns_of(text: str) -> dict[str, list[str]]:
    """Return the columns of a table as they are written."""
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    return dict(zip(header, map(list, zip(*rows, strict=True)), strict=True))


def probabilities_of(text: str, dtype: Any = np.float64) -> np.ndarray:
    """Read them as Python reads numbers: to the last bit."""
    columns = columns_of(text)
    assert [*columns] == ["probability", "label"]
    return np.array([*map(float, columns["probability"])]).astype(dtype)


# Probabilities and labels


@pytest.mark.parametrize("standardized", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_probabilities_are_the_networks_to_the_bit(ask, dtype, standardized):
    changes = {} if standardized else {"standardization": None}
    model = save(params=draw(dtype=dtype), **changes)
    X = np.random.default_rng(3).normal(10, 3, (3, 500))
    write("a.csv", ["x1,x2,x3", *(",".join(map(repr, row)) for row in X.T.tolist())])
    done = ask()
    assert (done.code, done.err) == (0, "500 rows predicted\n")
    np.testing.assert_array_equal(probabilities_of(done.out, dtype), model.predict_proba(X)[0], strict=True)
    assert columns_of(done.out)["label"] == [str(int(value >= 0.5)) for value in model.predict_proba(X)[0]]
    assert ask("a.csv", "--device", "cpu") == done
    close, auto = 1e-12 if dtype == "float64" else 1e-5, ask("a.csv", "--device", "auto").out
    np.testing.assert_allclose(probabilities_of(auto, dtype), model.predict_proba(X)[0], rtol=close)


@pytest.mark.parametrize(
    ("labels", "written"),
    [
        *((labels, labels) for labels in [("größe", "身長"), ('a,"b"', "c\nd"), ("", " "), ("1", "0"), ("-1", "+2.5")]),
        (("=1+1", "@a"), ("'=1+1", "'@a")),  # a spreadsheet runs no label
        (("+a", "-b"), ("'+a", "'-b")),
    ],
)
def test_labels_are_the_words_of_the_training(ask, labels, written):
    model = save(labels=labels)
    expected = [written[int(value >= 0.5)] for value in model.predict_proba(MARKS)[0]]
    assert set(expected) == set(written)
    write("a.csv", [row.rpartition(",")[0] for row in TABLE])
    assert ask("a.csv", *TO_FILE) == (0, "395 rows predicted\n", "")
    assert columns_of(Path("out.csv").read_bytes().decode())["label"] == expected


def test_one_half_is_a_yes_and_probabilities_near_0_and_1_keep_their_digits(ask):
    params = nn.Params(*(np.array([[value]]) for value in (1.0, 0.0, 1600.0, -800.0)))
    nn.save("model", nn.Model(params, labels=("no", "yes")))
    rows = [-1, 0, 0.04, 1, -1000, -1e-15, 1e-15]
    write("a.csv", ["x", *map(str, rows)])
    done = ask()
    values = probabilities_of(done.out)
    np.testing.assert_array_equal(values, nn.Model(params).predict_proba([rows])[0])
    assert 0 < values[0] < 1e-150
    assert (values[1], values[4]) == (0.5, 0)
    assert 0.5 - 1e-12 < values[5] < 0.5 < values[6]
    assert columns_of(done.out)["label"] == ["no", "yes", "yes", "yes", "no", "no", "yes"]


# Columns


def test_columns_are_found_by_name_and_those_not_used_are_told_once(ask, chunk_rows):
    """Also with blanks around names and values; what is not used may stand twice, and hold anything."""
    chunk_rows(7)
    save(params=EXACT, standardization=None)
    write("a.csv", TABLE[:31])
    rows = [row.split(",") for row in TABLE[1:31]]
    write("b.csv", [" b ,x3, x1 ,y, x2,a,b", *(f"?, {x3},{x1} ,{y}, {x2} ,," for x1, x2, x3, y in rows)])
    code, out, err = ask("a.csv")
    assert (code, out.count("\n")) == (0, 31)
    assert ask("b.csv") == (0, out, f"columns not used: 'b', 'a', 'b' (--keep copies them)\n{err}")


@pytest.mark.parametrize("numbered", [False, True])
@pytest.mark.parametrize("output", ["sigmoid", "softmax", "identity"])
def test_each_row_asks_the_network_of_its_group(ask, chunk_rows, output, numbered):
    chunk_rows(16)
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({"a": draw.normal(size=60), "shop": [*"pqr"] * 20})
    number = frame["a"] * frame["shop"].map({"p": 1, "q": -1, "r": 20}) + draw.normal(size=60)
    frame["y"] = number if output == "identity" else np.digitize(number, [0] if output == "sigmoid" else [-1, 1])
    if numbered:
        frame["shop"] = frame["shop"].map({"p": 1, "q": 2, "r": 10})
    networks = nn.fit_many(frame, "y", {"n_hidden": [1, 3]}, by="shop", output=output, iterations=20)
    nn.save("model", networks)
    frame.sample(frac=1, random_state=0).to_csv("a.csv", index=False)
    asked = pd.read_csv("a.csv")
    done = ask()
    found = pd.read_csv(io.StringIO(done.out))
    costs = []
    for shop, own in asked.groupby("shop"):
        yhat = networks[shop].predict_proba(own)
        np.testing.assert_allclose(found.iloc[own.index, : len(yhat)], yhat.T, rtol=1e-12)
        y = np.eye(3)[own["y"]].T if output == "softmax" else own["y"].to_numpy()[None]
        costs.append(networks[shop].score(own, y).cost)
    cost = np.mean(costs)  # each shop has as many rows
    if output == "identity":
        quality = f"R² {r2_score(asked['y'], found['prediction']):.4f}"
    else:
        quality = f"accuracy {(found['label'] == asked['y']).mean():.4f}"
    assert done.err == f"60 rows predicted\n{quality}, cost {cost:.3f}\n"


def test_rows_of_no_groups_network_and_networks_of_no_groups_are_refused(ask):
    nn.save("model", nn.fit_many(MARKS, PASSED, by=np.arange(395) % 2, iterations=1))
    write("a.csv", ["0,1,2,group", "1,2,3,0", "1,2,3,4"])
    said = "a.csv, column 'group', row 2: '4' has no network; these have: '0', '1'"
    assert ask("a.csv", "--header") == (2, "", f"error: {said}\n")
    write("a.csv", ["0,1,2", "1,2,3"])
    assert "error: a.csv lacks the column 'group'" in ask("a.csv", "--header").err
    for many, said in (
        (nn.fit_many(MARKS, PASSED, {"seed": [0, 1]}, iterations=1), "save one, such as"),
        (nn.fit_many(MARKS, PASSED, bootstrap=2, iterations=1), "in Python, predict_proba"),
    ):
        nn.save("model", many)
        done = ask("a.csv", "--header")
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith(f"error: model holds 2 networks; expected one, or one for each group: {said}")


def test_without_names_columns_keep_the_places_of_the_training(ask):
    nn.save("model", nn.Model(draw(), features=("1", "2", "3"), target="0"))
    write("a.csv", ["1,2,3", "4,5,6"])
    assert "those that the training left out have to stand in their places, even if empty" in ask().err
    write("a.csv", [",1,2,3", ",4,5,6"])
    assert ask().code == 0


def test_inputs_without_names_are_taken_in_order(ask):
    result = nn.fit(MARKS, PASSED, nn.init_params(3, 4), iterations=20)
    nn.save("model", result)
    write("a.csv", [row.rpartition(",")[0].replace("x", "z") for row in TABLE])
    done = ask("a.csv")
    assert (done.code, done.err) == (0, "395 rows predicted\n")
    np.testing.assert_array_equal(probabilities_of(done.out), nn.predict_proba(result.params, MARKS)[0])
    write("b.csv", [",".join([row.split(",")[3], *row.split(",")[:3]]) for row in TABLE])
    named = ask("b.csv", "--target", "y")
    assert (named.code, named.out) == (0, done.out)
    assert "accuracy" in named.err


# The true values


def told_accuracy(model: nn.Model) -> str:
    """Give the lines that tell accuracy and cost of the article's data, from the equations written out."""
    w1, b1, w2, b2 = model.params
    z2 = w2 @ (1 / (1 + np.exp(-(w1 @ model.standardization.apply(MARKS) + b1)))) + b2
    cost, accuracy = np.mean(np.logaddexp(0, z2) - PASSED * z2), np.mean((z2 >= 0) == PASSED)
    return f"395 rows predicted\naccuracy {accuracy:.4f}, cost {cost:.3f}\n"


@pytest.mark.parametrize("rows", [1, 7, 394, 395])
@pytest.mark.parametrize("output", ["sigmoid", "softmax", "identity"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_one_forward_pass_gives_predictions_and_score(ask, chunk_rows, monkeypatch, dtype, output, rows):
    """In full, as what is printed has few digits: the last chunk is smaller, and a mean of means would show."""
    chunk_rows(rows)
    X, y, n2, known = MARKS, PASSED, 1, {}
    if output == "softmax":
        y, n2, known = np.vstack([PASSED, 1 - PASSED]), 2, {"labels": ("1", "0")}
    elif output == "identity":
        X, y = MARKS[:2], MARKS[2:]
        known = {"features": ("x1", "x2"), "target": "x3", "target_scale": nn.standardization(y)}
    known["standardization"] = nn.standardization(X)
    model = save(params=draw((len(X), 4, n2), dtype), output=output, **known)
    write("a.csv", TABLE)
    whole, reached = model.score(X, y), predict._Reached(output)
    monkeypatch.setattr(engines, "bind", Mock(wraps=engines.bind))
    monkeypatch.setattr(predict, "_Reached", lambda given: reached)
    assert ask("a.csv", *TO_FILE).code == 0
    passes = [examples.X.shape[1] for (_, examples, *_), _ in engines.bind.call_args_list]
    assert passes == [min(rows, 395 - k) for k in range(0, 395, rows)]
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    assert reached.score().cost == pytest.approx(whole.cost, rel=tolerance)
    np.testing.assert_equal(reached.score().accuracy, whole.accuracy)
    assert reached.score().r2 == pytest.approx(whole.r2, rel=tolerance, nan_ok=True)


def test_what_is_told_of_true_values_of_any_name_goes_to_stderr_where_stdout_is_the_table(ask):
    told = told_accuracy(save())
    assert ask("marks", *TO_FILE) == (0, told, "")
    assert ask("marks") == ask("marks", "--output", "-") == (0, Path("out.csv").read_text(), told)
    write("a.csv", ["x1,x2,x3,passed", *ROWS])
    named, unnamed = ask("a.csv", "--target", "passed"), ask("a.csv")
    assert named.err == told
    assert unnamed == (0, named.out, "columns not used: 'passed' (--keep copies them)\n395 rows predicted\n")


@pytest.mark.parametrize(
    ("labels", "spelt"),
    [
        (("failed", "passed"), (" failed ", " passed ")),
        ((False, True), ("False", "True")),
        (("False", "True"), ("FALSE", "TRUE")),
        ((False, True), ("false", "true")),
    ],
)
def test_true_values_in_words(ask, chunk_rows, labels, spelt):
    chunk_rows(7)
    model = save(labels=labels)
    write("a.csv", ["x1,x2,x3,y", *(row[:-1] + spelt[int(row[-1])] for row in ROWS)])
    assert nn.load_table("a.csv").labels == tuple(word.strip() for word in spelt)
    frame = pd.read_csv("a.csv")
    frame.astype({"y": bool} if "failed" not in labels else {}).to_parquet("a.parquet")
    for name in ("a.csv", "a.parquet"):
        assert ask(name, *TO_FILE) == (0, told_accuracy(model), "")


@pytest.mark.parametrize("labels", [("01", "x"), ("TRUE", "unknown"), ("1.0", "one"), ("true", "x"), ("1e3", "k")])
@pytest.mark.parametrize("rows", [1, 3, 6])
def test_words_are_words_also_where_a_chunk_holds_but_one(ask, chunk_rows, labels, rows):
    """They may look like numbers or booleans; the training saw them beside a word that does not."""
    write("a.csv", ["x,t", *(f"{k},{labels[k >= 3]}" for k in range(6))])
    assert nn.load_table("a.csv", target="t").labels == labels
    chunk_rows(rows)
    nn.save("model", nn.Model(draw((1, 2, 1)), features=("x",), target="t", labels=labels))
    done = ask("a.csv", *TO_FILE)
    assert (done.code, done.err) == (0, "")
    assert "accuracy" in done.out


@pytest.mark.parametrize("rows", [1, 7, 395])
@pytest.mark.parametrize(
    ("labels", "written"),
    [
        (("a b", "c,d", "ä"), ("a b", "c,d", "ä")),
        (("1", "2", "10"), ("1", "2", "10")),
        ((3, 1, 2), ("3", "1.0", "2")),
        (None, ("0", "1", "2")),
    ],
)
def test_classes(ask, chunk_rows, labels, written, rows):
    """Against the equations written out; the true values stand as in a table of a user."""
    chunk_rows(rows)
    model = save(params=draw((3, 4, 3)), output="softmax", labels=labels, target="class")
    true = np.arange(395) ** 2 % 3
    frame = pd.DataFrame(MARKS.T, columns=["x1", "x2", "x3"]).assign(**{"class": np.array(written)[true]})
    frame.to_csv("a.csv", index=False)
    w1, b1, w2, b2 = model.params
    z2 = w2 @ (1 / (1 + np.exp(-(w1 @ model.standardization.apply(MARKS) + b1)))) + b2
    yhat = np.exp(z2) / np.exp(z2).sum(axis=0)
    right, cost = yhat.argmax(axis=0) == true, -np.log(yhat[true, np.arange(395)]).mean()
    assert 0.2 < right.mean() < 0.8
    said = f"395 rows predicted\naccuracy {right.mean():.4f}, cost {cost:.3f}\n"
    assert ask("a.csv", *TO_FILE) == (0, said, "")
    columns = columns_of(Path("out.csv").read_text(encoding="utf-8"))
    names = [str(label) for label in labels or (0, 1, 2)]
    assert [*columns] == [*(f"probability_{name}" for name in names), "label"]
    assert columns.pop("label") == [names[k] for k in yhat.argmax(axis=0)]
    np.testing.assert_allclose(np.array([*columns.values()], float), yhat, rtol=1e-12)


@pytest.mark.parametrize("rows", [1, 7, 394, 395])
@pytest.mark.parametrize("given", ["spread", "constant"])
def test_numbers(ask, chunk_rows, given, rows):
    """R² is of all rows, whose mean no chunk knows; far from 0, where sums of squares would cancel."""
    chunk_rows(rows)
    scale = nn.Standardization(np.array([[1e6]]), np.array([[20.0]]))
    yhat = save(output="identity", target_scale=scale, target="pay").predict_proba(MARKS)[0]
    true = yhat + 3 * np.sort(np.sin(np.arange(395))) if given == "spread" else np.full(395, 1e6)
    pd.DataFrame(MARKS.T, columns=["x1", "x2", "x3"]).assign(pay=true).to_csv("a.csv", index=False)
    r2, cost = r2_score(true, yhat), np.mean(((yhat - true) / 20) ** 2) / 2
    assert r2 == 0 if given == "constant" else 0.3 < r2 < 0.95
    assert ask("a.csv", *TO_FILE) == (0, f"395 rows predicted\nR² {r2:.4f}, cost {cost:.3f}\n", "")
    (prediction,) = columns_of(Path("out.csv").read_text()).items()
    assert prediction[0] == "prediction"
    np.testing.assert_allclose(np.array(prediction[1], float), yhat, rtol=1e-14)


# Chunks


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet", "groups.parquet"])
def test_any_chunks_give_the_same_bytes(ask, chunk_rows, name):
    """Also where a file of Parquet has groups of rows of which some are empty."""
    model = save(params=EXACT, standardization=None, labels=("no", "yes"), target="result")
    write("a.csv", TABLE)
    Path("a.csv.gz").write_bytes(gzip.compress(Path("a.csv").read_bytes()))
    table = pa.Table.from_pandas(pd.read_csv("a.csv"))
    parquet.write_table(table, "a.parquet")
    with parquet.ParquetWriter("groups.parquet", table.schema) as writer:
        for part in (table[:0], table[:10], table[:0], table[10:]):
            writer.write_table(part)
    found = set()
    for rows in (1, 2, 7, 100, 394, 395, 396, 100_000):
        chunk_rows(rows)
        assert ask(name, *TO_FILE).code == 0
        found.add(Path("out.csv").read_bytes().decode())
    (content,) = found
    np.testing.assert_array_equal(probabilities_of(content), model.predict_proba(MARKS)[0])


def test_memory_does_not_grow_with_the_file(ask, chunk_rows):
    chunk_rows(1000)
    save()

    def peak(chunks: int) -> int:
        write("a.csv", ["x1,x2,x3,y", *[f"{11:.20f},{12:.20f},{13:.20f},1"] * (1000 * chunks)])
        tracemalloc.start()
        try:
            done = ask("a.csv", *TO_FILE)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            assert done.out.startswith(f"{1000 * chunks} rows predicted\n")

    peak(1)  # what is imported and kept
    few, many = peak(6), peak(60)  # both files are larger than what pandas reads ahead
    assert many < 1.5 * few
    chunk_rows(60_000)
    assert peak(60) > 5 * few  # that is, it would have been seen


# What is refused leaves the old output


@pytest.fixture
def assert_refused(ask, folder) -> Callable[..., None]:
    """Return a check that a table is refused in these words, and the old output stays."""

    def check(said: str, data: str = "a.csv", *options: str) -> None:
        write("out.csv", ["old"])
        names = files_in(folder)
        assert ask(data, *TO_FILE, *options) == (2, "", f"error: {said}\n")
        assert Path("out.csv").read_text() == "old\n"
        assert files_in(folder) == names

    return check


MARK = "x1,x2,x3"
UNNAMED: dict[str, Any] = {"features": None, "target": None, "standardization": None}
THREE = "columns beside the target; expected 3, as the network's inputs have no names"
ONE = "model has 2 outputs; expected one, or the classes of softmax"


@pytest.mark.parametrize(
    ("known", "header", "options", "said"),
    [
        (
            {},
            "X2,X3",
            "",
            "a.csv lacks the column 'x1', 'x2', 'x3' (are 'X2', 'X3' meant?); its columns are 'X2', 'X3'",
        ),
        ({}, "x1,x3,x3,x2,x1", "", "a.csv has several columns named 'x1', 'x3'; rename all but one"),
        ({}, "x1,x2,x3,y,y", "", "a.csv has several columns named 'y'; rename all but one"),
        *((UNNAMED, header, "", f"a.csv has {len(header) // 2 + 1} {THREE}") for header in ("a", "a,b", "a,b,c,d")),
        *(({"params": draw((3, 4, 2)), "output": output}, MARK, "", ONE) for output in ("sigmoid", "identity")),
        # A misspelt name may not pass for a table without true values.
        ({}, MARK, "--target z", "a.csv lacks the column 'z'; its columns are 'x1', 'x2', 'x3'"),
        ({}, MARK, "--target x1", "--target is 'x1', which is an input of the network"),
        ({}, MARK, "--output a.xlsx", "--output is 'a.xlsx'; expected a name ending in .csv, .csv.gz, .parquet"),
    ],
)
def test_columns_and_outputs_that_do_not_fit(assert_refused, known, header, options, said):
    save(**known)
    write("a.csv", [header, ",".join("1" for _ in header.split(","))])
    assert_refused(said, "a.csv", *options.split())


TO_BE_NUMBERS = "is not a number; expected a number in every row"
WORDS, CLASSES = {"labels": ("no", "yes")}, {"labels": ("a", "b", "c"), "output": "softmax", "params": draw((3, 4, 3))}


@pytest.mark.parametrize("row", [1, 7, 8, 14, 15, 29])
@pytest.mark.parametrize(
    ("known", "column", "value", "said"),
    [
        ({}, "column 'x2'", "abc", f"'abc' {TO_BE_NUMBERS}"),
        ({}, "column 'x2'", "", "missing value; fill it or drop the row"),
        ({}, "column 'x2'", "inf", "the value is infinite; expected finite numbers"),
        ({}, "column 'y'", "yes", f"'yes' {TO_BE_NUMBERS}"),
        ({}, "target 'y'", "0.5", "0.5 is neither 0 nor 1; expected only these, as in training"),
        (WORDS, "target 'y'", "1", "'1' is neither 'no' nor 'yes'; expected one of these"),
        (WORDS, "target 'y'", "Yes", "'Yes' is neither 'no' nor 'yes'; expected one of these"),
        (CLASSES, "target 'y'", "d", "'d' is none of 'a', 'b', 'c'; expected one of these"),
    ],
)
def test_wrong_values_are_found_in_the_rows_of_any_chunk(assert_refused, chunk_rows, known, column, value, said, row):
    chunk_rows(7)
    model = save(**known)
    rows = [["1", "2", "3", model.labels[-1] if model.labels else "1"] for _ in range(30)]
    rows[row - 1][1 if "x2" in column else 3] = value
    write("a.csv", ["x1,x2,x3,y", *map(",".join, rows)])
    assert_refused(f"a.csv, {column}, row {row}: {said}")


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet"])
def test_header_only(assert_refused, name):
    save()
    frame = pd.DataFrame({"x1": [], "x2": [], "x3": [], "y": []}, dtype=float)
    frame.to_parquet(name) if name.endswith("parquet") else frame.to_csv(name, index=False)
    assert_refused(f"{name} has no rows below its header; expected one example per row", name)


def test_standard_input_is_called_so(assert_refused, monkeypatch):
    save()
    for given, said in [
        (b"", " is empty; expected a header and one example per row"),
        (b"x1,x2\n1,2\n", " lacks the column 'x3'; its columns are 'x1', 'x2'"),
        (b"x1,x2,x3\n1,2,3\n1,b,3\n", f", column 'x2', row 2: 'b' {TO_BE_NUMBERS}"),
    ]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        assert_refused(f"standard input{said}", "-")


# Standard input


@POSIX
def test_a_pipe_gives_what_a_file_gives(ask):
    save(labels=("no", "yes"), target="result")
    given = Path(write("a.csv", TABLE)).read_bytes()
    expected, typed = ask("a.csv"), ["predict", "--model", "model", "--data", "-"]
    assert run_command(*typed, given=given) == expected
    to_file = run_command(*typed, *TO_FILE, given=given)
    assert (to_file.code, to_file.out) == (0, "395 rows predicted\n")
    assert Path("out.csv").read_text() == expected.out


@POSIX
def test_ctrl_c_while_standard_input_is_awaited(folder):
    save()
    write("out.csv", ["old"])
    Path("temporary").mkdir()
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    environment = {**os.environ, "TMPDIR": str(folder / "temporary")}
    typed = [*DOOR, "predict", "--model", "model", "--data", "-", *TO_FILE]
    with subprocess.Popen(typed, **pipes, env=environment) as process:
        try:
            process.stdin.write(b"x1,x2,x3\n1,2,3\n" * 100_000)
            process.stdin.flush()  # more than a pipe holds: it is being read
            time.sleep(0.5)  # now it waits for more; a signal on the way there would be heard with the next byte
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)
            assert (process.stdout.read(), process.stderr.read()) == (b"", b"error: interrupted\n")
            assert process.returncode == 130
        finally:
            process.kill()
    assert Path("out.csv").read_text() == "old\n"
    assert files_in(folder) == ["model", "out.csv", "temporary"]
    assert files_in(folder / "temporary") == []


# Tables as people have them


def words_model() -> tuple[nn.Model, pd.DataFrame]:
    frame = pd.DataFrame({"id": ["007", "008", "009", "010"], "x1": [1.5, 2, 3, 4], "job": list("abca")})
    frame["y"] = ["no", "yes", "no", "yes"]
    table = nn.load_table(pd.concat([frame, frame]), features=["x1", "job"])
    known = {"features": table.features, "target": "y", "labels": table.labels, "encoding": table.encoding}
    model = nn.Model(draw((4, 2, 1)), **known)
    nn.save("model", model)
    return model, frame


@pytest.mark.parametrize("name", ["out.csv", "out.csv.gz", "out.parquet", "OUT.CSV"])
def test_words_are_encoded_and_columns_kept_in_every_format(ask, name):
    model, frame = words_model()
    frame.to_csv("a.csv", index=False, sep=";", decimal=",")
    done = ask("a.csv", "--output", name, "--keep", "id")
    assert done.code == 0
    read = pd.read_parquet if name.endswith("parquet") else functools.partial(pd.read_csv, dtype={"id": str})
    written = read(name)
    assert written["id"].tolist() == ["007", "008", "009", "010"]
    np.testing.assert_array_equal(written["probability"], model.predict_proba(frame)[0])


def test_rows_without_a_true_value_are_predicted_and_not_scored(ask):
    model, frame = words_model()
    for labels, of in ((["no", "", "", "yes"], " of the 2 rows with a true value"), (["no", "yes", "no", "yes"], "")):
        frame.assign(y=labels).to_csv("a.csv", index=False)
        known = frame[[label != "" for label in labels]]
        reached = model.score(known, (known["y"] == "yes").to_numpy(float)[None])
        said = f"4 rows predicted\naccuracy {reached.accuracy:.4f}, cost {reached.cost:.3f}{of}\n"
        assert ask("a.csv", *TO_FILE)[:2] == (0, said)
    frame.assign(y="").to_csv("a.csv", index=False)
    assert ask("a.csv", *TO_FILE)[:2] == (0, "4 rows predicted\n")
    assert len(pd.read_csv("out.csv")) == 4


def test_a_word_that_the_training_had_not(ask):
    model, frame = words_model()
    frame.loc[2, "job"] = "d"
    frame.to_csv("a.csv", index=False)
    done = ask("a.csv", *TO_FILE)
    assert done.code == 2
    assert "error: a.csv, column 'job', row 3: 'd' is none of the words in training, 'a', 'b', 'c'; " in done.err
    assert ask("a.csv", *TO_FILE, "--unknown", "ignore").code == 0
    expected = model.predict_proba(model.encode(frame, unknown="ignore"))[0]
    np.testing.assert_array_equal(pd.read_csv("out.csv")["probability"], expected)

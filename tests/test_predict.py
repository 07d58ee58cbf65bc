"""The command predict: a row for each row, the same in one chunk as in many, and no file lost."""

import csv
import functools
import gzip
import io
import os
import re
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from commands import DOOR, Run, files_in, run_command, write
from sklearn.metrics import r2_score

import nn_backend as nn
from nn_backend import engines
from nn_backend.commands import predict
from nn_backend.tables import duck

POSIX = pytest.mark.skipif(os.name != "posix", reason="signals, pipes and links as POSIX has them")
HEADER = ["probability", "label"]


@pytest.fixture
def run_here(run_main: Callable[..., Run]) -> Callable[..., Run]:
    return functools.partial(run_main, predict.main)


@pytest.fixture
def chunk_rows(monkeypatch) -> Callable[[int], None]:
    return lambda rows: monkeypatch.setattr(duck, "CHUNK_ROWS", rows)


def draw(sizes: tuple[int, int, int] = (3, 4, 1), dtype: str = "float64") -> nn.Params:
    n0, n1, n2 = sizes
    random = np.random.default_rng(0)
    shapes = ((n1, n0), (n1, 1), (n2, n1), (n2, 1))
    return nn.Params(*(random.normal(0, 0.6, shape).astype(dtype) for shape in shapes))


def save(name: str = "model", **changes: Any) -> nn.Model:
    """Save a network for the article's data, and give it."""
    X, _ = nn.load_marks()
    known = {"features": ("x1", "x2", "x3"), "target": "y", "standardization": nn.standardization(X)}
    model = nn.Model(**{"params": draw(), **known, **changes})
    nn.save(name, model)
    return model


# Sums of eighths and one product: the same in every order of computation, and so in every size of a chunk.
EXACT = nn.Params(np.array([[0.125, -0.5, 0.25]]), np.array([[0.375]]), np.array([[3.5]]), np.array([[-1.75]]))


def save_exact(**changes: Any) -> nn.Model:
    return save(params=EXACT, standardization=None, **changes)


def marks_rows(rows: int | None = None) -> list[str]:
    X, y = nn.load_marks()
    table = np.concatenate([X, y]).T[:rows].astype(int).tolist()
    return ["x1,x2,x3,y", *(",".join(map(str, row)) for row in table)]


def rows_of(text: str) -> tuple[list[str], list[list[str]]]:
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    return header, rows


def probabilities_of(text: str, dtype: Any = np.float64) -> np.ndarray:
    """Read them as Python reads numbers: to the last bit."""
    header, rows = rows_of(text)
    assert header == HEADER
    return np.array([float(row[0]) for row in rows]).astype(dtype)


def labels_of(text: str) -> list[str]:
    return [row[1] for row in rows_of(text)[1]]


# Probabilities and labels


@pytest.mark.parametrize("standardized", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_probabilities_are_the_networks_to_the_bit(folder, run_here, dtype, standardized):
    changes = {} if standardized else {"standardization": None}
    model = save(params=draw(dtype=dtype), **changes)
    random = np.random.default_rng(3)
    X = random.normal(10, 3, (3, 500))
    write("a.csv", ["x1,x2,x3", *(",".join(map(repr, row)) for row in X.T.tolist())])
    done = run_here("--model", "model", "--data", "a.csv")
    assert (done.code, done.err) == (0, "500 rows predicted\n")
    np.testing.assert_array_equal(probabilities_of(done.out, dtype), model.predict_proba(X)[0], strict=True)
    assert labels_of(done.out) == [str(int(value >= 0.5)) for value in model.predict_proba(X)[0]]


def test_the_article_as_trained(folder, run_here):
    """The whole way: fit, save, ask; against the equations written out."""
    X, y = nn.load_marks()
    nn.save("model", nn.fit(X, y, nn.init_params(3, 4), iterations=200))
    w1, b1, w2, b2 = nn.load("model").params
    write("a.csv", [row.rpartition(",")[0] for row in marks_rows()])
    done = run_here("--model", "model", "--data", "a.csv")
    assert done.code == 0
    f1 = 1 / (1 + np.exp(-(w1 @ X + b1)))
    yhat = 1 / (1 + np.exp(-(w2 @ f1 + b2)))
    np.testing.assert_allclose(probabilities_of(done.out), yhat[0], rtol=1e-12)
    assert labels_of(done.out) == np.where(yhat[0] >= 0.5, "1", "0").tolist()


@pytest.mark.parametrize(
    "labels",
    [("no", "yes"), ("yes", "no"), ("False", "True"), ("größe", "身長"), ('a,"b"', "c\nd"), ("", " "), ("1", "0")],
)
def test_labels_are_the_words_of_the_training(folder, run_here, labels):
    model = save(labels=labels)
    X, _ = nn.load_marks()
    expected = [labels[int(value >= 0.5)] for value in model.predict_proba(X)[0]]
    assert set(expected) == set(labels)
    write("a.csv", [row.rpartition(",")[0] for row in marks_rows()])
    done = run_here("--model", "model", "--data", "a.csv", "--output", "out.csv")
    assert done == (0, "395 rows predicted\n", "")
    assert labels_of(Path("out.csv").read_bytes().decode()) == expected


@pytest.mark.parametrize(("bias", "label"), [(0.0, "yes"), (-1e-15, "no"), (1e-15, "yes")])
def test_one_half_is_a_yes(folder, run_here, bias, label):
    params = nn.Params(np.ones((1, 1)), np.ones((1, 1)), np.zeros((1, 1)), np.full((1, 1), bias))
    nn.save("model", nn.Model(params, labels=("no", "yes")))
    write("a.csv", ["x", "7"])
    assert labels_of(run_here("--model", "model", "--data", "a.csv").out) == [label]


def test_probabilities_near_0_and_1_keep_their_digits(folder, run_here):
    params = nn.Params(*(np.array([[value]]) for value in (1.0, 0.0, 1600.0, -800.0)))
    nn.save("model", nn.Model(params))
    write("a.csv", ["x", "-1", "0", "0.04", "1", "-1000"])
    values = probabilities_of(run_here("--model", "model", "--data", "a.csv").out)
    np.testing.assert_array_equal(values, nn.Model(params).predict_proba([[-1, 0, 0.04, 1, -1000]])[0])
    assert 0 < values[0] < 1e-150
    assert values[-1] == 0


def test_the_articles_data_by_name(folder, run_here):
    model = save()
    X, _ = nn.load_marks()
    done = run_here("--model", "model", "--data", "marks")
    assert done.code == 0
    np.testing.assert_array_equal(probabilities_of(done.out), model.predict_proba(X)[0])


# Columns


def test_columns_are_found_by_name(folder, run_here):
    save()
    rows = [row.split(",") for row in marks_rows(30)]
    write("a.csv", marks_rows(30))
    write("b.csv", [",".join([" skip ", row[2], row[0], row[3], row[1]]) for row in rows])
    expected = run_here("--model", "model", "--data", "a.csv")
    other = run_here("--model", "model", "--data", "b.csv")
    assert (expected.code, other.code, other.out) == (0, 0, expected.out)


def test_names_may_have_blanks_around_them(folder, run_here):
    save()
    write("a.csv", ["x1,x2,x3", "1,2,3"])
    write("b.csv", [" x1 , x2,x3 ", " 1 , 2 , 3 "])
    assert run_here("--model", "model", "--data", "b.csv") == run_here("--model", "model", "--data", "a.csv")


def test_columns_that_are_not_used_are_told_once(folder, run_here, chunk_rows):
    chunk_rows(2)
    save()
    write("a.csv", ["b,x1,x2,y,x3,a", *["?,1,2,1,3,"] * 5])
    done = run_here("--model", "model", "--data", "a.csv", "--output", "out.csv")
    assert (done.code, done.err) == (0, "columns not used: 'b', 'a' (--keep copies them)\n")


@pytest.mark.parametrize("numbered", [False, True])
@pytest.mark.parametrize("output", ["sigmoid", "softmax", "identity"])
def test_each_row_asks_the_network_of_its_group(folder, run_here, chunk_rows, output, numbered):
    chunk_rows(16)
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({"a": draw.normal(size=60), "shop": [*"pqr"] * 20})
    number = frame["a"] * frame["shop"].map({"p": 1, "q": -1, "r": 20}) + draw.normal(size=60)
    frame["y"] = number if output == "identity" else np.digitize(number, [0] if output == "sigmoid" else [-1, 1])
    if numbered:
        frame["shop"] = frame["shop"].map({"p": 1, "q": 2, "r": 10})
    networks = nn.fit_many(frame, "y", {"n_hidden": [1, 3]}, by="shop", output=output, iterations=20)
    nn.save("networks", networks)
    frame.sample(frac=1, random_state=0).to_csv("a.csv", index=False)
    asked = pd.read_csv("a.csv")
    done = run_here("--model", "networks", "--data", "a.csv")
    found = pd.read_csv(io.StringIO(done.out))
    expected = np.empty((len(found), 1 if output != "softmax" else 3))
    cost = 0.0
    for shop in asked["shop"].unique():
        own = (asked["shop"] == shop).to_numpy()
        network = networks[shop]
        expected[own] = network.predict_proba(asked.loc[own, ["a"]]).T
        true = asked.loc[own, "y"].to_numpy()
        y = np.eye(3)[true].T if output == "softmax" else true[None]
        cost += network.score(asked.loc[own, ["a"]], y).cost * own.sum() / len(own)
    np.testing.assert_allclose(found.iloc[:, : expected.shape[1]], expected, rtol=1e-12)
    if output == "identity":
        quality = f"R² {r2_score(asked['y'], expected[:, 0]):.4f}"
    else:
        quality = f"accuracy {(found['label'] == asked['y']).mean():.4f}"
    assert done.err == f"60 rows predicted\n{quality}, cost {cost:.3f}\n"


def test_rows_of_no_groups_network_and_networks_of_no_groups_are_refused(folder, run_here):
    X, y = nn.load_marks()
    nn.save("by", nn.fit_many(X, y, by=np.arange(395) % 2, iterations=1))
    write("a.csv", ["0,1,2,group", "1,2,3,0", "1,2,3,4"])
    said = "a.csv, column 'group', row 2: '4' has no network; these have: '0', '1'"
    assert run_here("--model", "by", "--data", "a.csv", "--header") == (2, "", f"error: {said}\n")
    write("a.csv", ["0,1,2", "1,2,3"])
    assert "error: a.csv lacks the column 'group'" in run_here("--model", "by", "--data", "a.csv", "--header").err
    nn.save("seeds", nn.fit_many(X, y, {"seed": [0, 1]}, iterations=1))
    nn.save("resamples", nn.fit_many(X, y, bootstrap=2, iterations=1))
    for name, said in (("seeds", "save one, such as"), ("resamples", "in Python, predict_proba")):
        done = run_here("--model", name, "--data", "a.csv")
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith(f"error: {name} holds 2 networks; expected one, or one for each group: {said}")


def test_without_names_columns_keep_the_places_of_the_training(folder, run_here):
    nn.save("model", nn.Model(draw(), features=("1", "2", "3"), target="0"))
    write("a.csv", ["1,2,3", "4,5,6"])
    refused = run_here("--model", "model", "--data", "a.csv")
    assert "those that the training left out have to stand in their places, even if empty" in refused.err
    write("a.csv", [",1,2,3", ",4,5,6"])
    assert run_here("--model", "model", "--data", "a.csv").code == 0


def test_columns_that_are_not_used_may_stand_twice(folder, run_here):
    save()
    write("a.csv", ["b,x1,b,x2,x3", "9,1,9,2,3"])
    assert run_here("--model", "model", "--data", "a.csv").code == 0


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("x1,x2", "a.csv lacks the column 'x3'; its columns are 'x1', 'x2'"),
        ("x2,y", "a.csv lacks the column 'x1', 'x3'; its columns are 'x2', 'y'"),
        (
            "X1,X2,X3",
            "a.csv lacks the column 'x1', 'x2', 'x3' (are 'X1', 'X2', 'X3' meant?); its columns are 'X1', 'X2', 'X3'",
        ),
        ("x1,x2,x3,x2", "a.csv has several columns named 'x2'; rename all but one"),
        ("x1,x3,x3,x2,x1", "a.csv has several columns named 'x1', 'x3'; rename all but one"),
        ("x1,x2,x3,y,y", "a.csv has several columns named 'y'; rename all but one"),
    ],
)
def test_columns_missing_or_twice(folder, run_here, header, said):
    save()
    write("a.csv", [header, ",".join("1" for _ in header.split(","))])
    assert run_here("--model", "model", "--data", "a.csv") == (2, "", f"error: {said}\n")


def test_inputs_without_names_are_taken_in_order(folder, run_here):
    X, y = nn.load_marks()
    result = nn.fit(X, y, nn.init_params(3, 4), iterations=20)
    nn.save("model", result)
    write("a.csv", [row.rpartition(",")[0].replace("x", "z") for row in marks_rows()])
    done = run_here("--model", "model", "--data", "a.csv")
    assert (done.code, done.err) == (0, "395 rows predicted\n")
    np.testing.assert_array_equal(probabilities_of(done.out), nn.predict_proba(result.params, X)[0])
    write("b.csv", [",".join([row.split(",")[3], *row.split(",")[:3]]) for row in marks_rows()])
    named = run_here("--model", "model", "--data", "b.csv", "--target", "y")
    assert (named.code, named.out) == (0, done.out)
    assert "accuracy" in named.err


@pytest.mark.parametrize(("header", "count"), [("a,b", 2), ("a,b,c,d", 4), ("a", 1)])
def test_inputs_without_names_must_be_as_many(folder, run_here, header, count):
    nn.save("model", nn.Model(draw()))
    write("a.csv", [header, ",".join("1" for _ in range(count))])
    said = f"a.csv has {count} columns beside the target; expected 3, as the network's inputs have no names"
    assert run_here("--model", "model", "--data", "a.csv") == (2, "", f"error: {said}\n")


# The true values


def told_accuracy(model: nn.Model, X: np.ndarray, y: np.ndarray) -> str:
    """Give the line that tells accuracy and cost, from the equations written out."""
    scale = model.standardization
    w1, b1, w2, b2 = model.params
    z2 = w2 @ (1 / (1 + np.exp(-(w1 @ (X if scale is None else (X - scale.mean) / scale.deviation) + b1)))) + b2
    cost = np.mean(np.logaddexp(0, z2) - y * z2)
    reached = nn.score(model.params, X if scale is None else scale.apply(X), y)
    assert reached.cost == pytest.approx(cost, rel=1e-12)
    assert reached.accuracy == np.mean((z2 >= 0) == y)
    return f"accuracy {reached.accuracy:.4f}, cost {reached.cost:.3f}\n"


@pytest.mark.parametrize("rows", [1, 7, 100, 394, 395, 100_000])
def test_accuracy_and_cost_are_of_all_rows_whatever_the_chunks(folder, run_here, chunk_rows, rows):
    """The last rows are the worst by far, and their chunk is the smallest: a mean of means would show."""
    chunk_rows(rows)
    model = save(params=nn.Params(*(array * 30 for array in draw())))
    X, y = nn.load_marks()
    order = np.argsort(np.abs((model.predict_proba(X) - y)[0]), kind="stable")
    X, y = X[:, order], y[:, order]
    write("a.csv", ["x1,x2,x3,y", *(",".join(map(str, row)) for row in np.concatenate([X, y]).T.tolist())])
    done = run_here("--model", "model", "--data", "a.csv", "--output", "out.csv")
    assert done == (0, "395 rows predicted\n" + told_accuracy(model, X, y), "")


@pytest.mark.parametrize("rows", [1, 7, 395])
@pytest.mark.parametrize("output", ["sigmoid", "softmax", "identity"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_one_forward_pass_gives_predictions_and_score(folder, run_here, chunk_rows, monkeypatch, dtype, output, rows):
    """In full: what is printed has few digits."""
    chunk_rows(rows)
    X, y = nn.load_marks()
    X, y, sizes = (X, y, (3, 4, 1)) if output == "sigmoid" else (X, np.vstack([y, 1 - y]), (3, 4, 2))
    target, scale = y[:1], None
    if output == "identity":
        X, y, target, sizes, scale = X[:2], X[2:], X[2:], (2, 4, 1), nn.standardization(X[2:])
    names = ("x1", "x2", "x3")[: len(X)]
    labels = ("1", "0") if output == "softmax" else None
    model = save(
        params=draw(sizes, dtype),
        output=output,
        features=names,
        labels=labels,
        standardization=nn.standardization(X),
        target_scale=scale,
    )
    rows_of = [",".join(map(str, row)) for row in np.concatenate([X, target]).astype(int).T.tolist()]
    write("a.csv", [",".join([*names, "y"]), *rows_of])
    passes, scores = [], []
    bind, reached = engines.bind, predict._Reached.score

    def watched_bind(engine, examples, *arguments, **options):
        passes.append(examples.X.shape[1])
        return bind(engine, examples, *arguments, **options)

    def watched_score(self):
        scores.append(reached(self))
        return scores[-1]

    whole = model.score(X, y)
    monkeypatch.setattr(engines, "bind", watched_bind)
    monkeypatch.setattr(predict._Reached, "score", watched_score)
    assert run_here("--model", "model", "--data", "a.csv", "--output", "out.csv").code == 0
    assert passes == [min(rows, 395 - k) for k in range(0, 395, rows)]
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    assert scores[0].cost == pytest.approx(whole.cost, rel=tolerance)
    np.testing.assert_equal(scores[0].accuracy, whole.accuracy)
    assert scores[0].r2 == pytest.approx(whole.r2, rel=tolerance, nan_ok=True)


def test_what_is_told_goes_to_stderr_where_stdout_is_the_table(folder, run_here):
    model = save()
    X, y = nn.load_marks()
    told = "395 rows predicted\n" + told_accuracy(model, X, y)
    to_file = run_here("--model", "model", "--data", "marks", "--output", "out.csv")
    to_stdout = run_here("--model", "model", "--data", "marks")
    assert to_file == (0, told, "")
    assert to_stdout == (0, Path("out.csv").read_text(), told)
    assert run_here("--model", "model", "--data", "marks", "--output", "-") == to_stdout


def test_without_true_values_no_accuracy_is_told(folder, run_here):
    save()
    write("a.csv", ["x1,x2,x3", "1,2,3", "4,5,6"])
    assert run_here("--model", "model", "--data", "a.csv", "--output", "out.csv") == (0, "2 rows predicted\n", "")


def test_true_values_may_have_another_name(folder, run_here):
    save()
    write("a.csv", marks_rows())
    write("b.csv", ["x1,x2,x3,passed", *marks_rows()[1:]])
    expected = run_here("--model", "model", "--data", "a.csv")
    assert "accuracy" in expected.err
    assert run_here("--model", "model", "--data", "b.csv", "--target", "passed") == expected
    unnamed = run_here("--model", "model", "--data", "b.csv")
    assert (unnamed.out, unnamed.err) == (
        expected.out,
        "columns not used: 'passed' (--keep copies them)\n395 rows predicted\n",
    )


def test_true_values_that_were_asked_for_must_be_there(folder, run_here):
    """A misspelt name may not pass for a table without true values."""
    save()
    write("a.csv", marks_rows(5))
    done = run_here("--model", "model", "--data", "a.csv", "--target", "passed", "--output", "out.csv")
    assert (done.code, done.out) == (2, "")
    assert re.fullmatch(r"error: a\.csv .*'passed'.*", done.err.splitlines()[-1])
    assert not Path("out.csv").exists()


def test_an_input_is_no_true_value(folder, run_here):
    save()
    write("a.csv", ["x1,x2,x3", "1,12,13", "0,12,13"])
    done = run_here("--model", "model", "--data", "a.csv", "--target", "x1", "--output", "out.csv")
    assert done == (2, "", "error: --target is 'x1', which is an input of the network\n")
    assert not Path("out.csv").exists()


def test_true_values_in_words(folder, run_here, chunk_rows):
    chunk_rows(3)
    save(labels=("failed", "passed"), target="result")
    words = {"0": "failed", "1": "passed", "y": "result"}
    write("a.csv", [",".join([*row.split(",")[:3], f" {words[row.split(',')[3]]} "]) for row in marks_rows()])
    X, y = nn.load_marks()
    done = run_here("--model", "model", "--data", "a.csv", "--output", "out.csv")
    assert done == (0, "395 rows predicted\n" + told_accuracy(nn.load("model"), X, y), "")


@pytest.mark.parametrize("labels", [("01", "x"), ("TRUE", "unknown"), ("1.0", "one"), ("true", "x"), ("1e3", "k")])
@pytest.mark.parametrize("rows", [1, 3, 6])
def test_words_are_words_also_where_a_chunk_holds_but_one(folder, run_here, chunk_rows, labels, rows):
    """They may look like numbers or booleans; the training saw them beside a word that does not."""
    write("a.csv", ["x,t", *(f"{k},{labels[k >= 3]}" for k in range(6))])
    table = nn.load_table("a.csv", target="t")
    assert table.labels == labels
    chunk_rows(rows)
    nn.save("model", nn.Model(draw((1, 2, 1)), features=("x",), target="t", labels=labels))
    done = run_here("--model", "model", "--data", "a.csv", "--output", "out.csv")
    assert (done.code, done.err) == (0, "")
    assert "accuracy" in done.out


@pytest.mark.parametrize("labels", [("False", "True"), (False, True)])
@pytest.mark.parametrize("spelt", [("False", "True"), ("FALSE", "TRUE"), ("false", "true")])
def test_true_values_that_are_booleans(folder, run_here, chunk_rows, spelt, labels):
    chunk_rows(7)
    write("a.csv", ["x1,x2,x3,y", *(row[:-1] + spelt[int(row[-1])] for row in marks_rows()[1:])])
    assert nn.load_table("a.csv").labels == spelt
    model = save(labels=labels)
    pd.read_csv("a.csv").astype({"y": bool}).to_parquet("a.parquet")
    X, y = nn.load_marks()
    for name in ("a.csv", "a.parquet"):
        done = run_here("--model", "model", "--data", name, "--output", "out.csv")
        assert done == (0, "395 rows predicted\n" + told_accuracy(model, X, y), "")


@pytest.mark.parametrize(
    ("labels", "value", "said"),
    [
        (None, "2", "2 is neither 0 nor 1"),
        (None, "0.5", "0.5 is neither 0 nor 1"),
        (None, "yes", "'yes' is not a number"),
        (("no", "yes"), "maybe", "'maybe' is neither 'no' nor 'yes'"),
        (("no", "yes"), "1", "'1' is neither 'no' nor 'yes'"),
        (("no", "yes"), "Yes", "'Yes' is neither 'no' nor 'yes'"),
    ],
)
@pytest.mark.parametrize("row", [1, 7, 8, 20])
def test_true_values_that_are_none(folder, run_here, chunk_rows, labels, value, said, row):
    chunk_rows(7)
    save(labels=labels)
    right = "1" if labels is None else "yes"
    write("a.csv", ["x1,x2,x3,y", *(f"1,2,3,{value if k == row else right}" for k in range(1, 21))])
    done = run_here("--model", "model", "--data", "a.csv", "--output", "out.csv")
    assert (done.code, done.out) == (2, "")
    assert re.fullmatch(rf"error: a\.csv, .*'y', row {row}: {re.escape(said)}.*\n", done.err)


# Classes and numbers


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
def test_classes(folder, run_here, chunk_rows, labels, written, rows):
    """Against the equations written out; the true values stand as in a table of a user."""
    chunk_rows(rows)
    model = save(params=draw((3, 4, 3)), output="softmax", labels=labels, target="class")
    X, _ = nn.load_marks()
    true = np.arange(395) ** 2 % 3
    frame = pd.DataFrame(X.T, columns=["x1", "x2", "x3"]).assign(**{"class": np.array(written)[true]})
    frame.to_csv("a.csv", index=False)
    done = run_here("--model", "model", "--data", "a.csv", "--output", "out.csv")
    w1, b1, w2, b2 = model.params
    z2 = w2 @ (1 / (1 + np.exp(-(w1 @ model.standardization.apply(X) + b1)))) + b2
    yhat = np.exp(z2) / np.exp(z2).sum(axis=0)
    right, cost = yhat.argmax(axis=0) == true, -np.log(yhat[true, np.arange(395)]).mean()
    assert 0.2 < right.mean() < 0.8
    assert done == (0, f"395 rows predicted\naccuracy {right.mean():.4f}, cost {cost:.3f}\n", "")
    header, table = rows_of(Path("out.csv").read_text(encoding="utf-8"))
    names = [str(label) for label in labels or (0, 1, 2)]
    assert header == [*(f"probability_{name}" for name in names), "label"]
    np.testing.assert_allclose(np.array([row[:3] for row in table], float), yhat.T, rtol=1e-12)
    assert [row[3] for row in table] == [names[k] for k in yhat.argmax(axis=0)]


def test_a_class_that_the_training_had_not(folder, run_here):
    save(params=draw((3, 4, 3)), output="softmax", labels=("a", "b", "c"))
    write("a.csv", ["x1,x2,x3,y", "1,2,3,a", "1,2,3,d"])
    done = run_here("--model", "model", "--data", "a.csv", "--output", "out.csv")
    said = "a.csv, target 'y', row 2: 'd' is none of 'a', 'b', 'c'; expected one of these"
    assert done == (2, "", f"error: {said}\n")


@pytest.mark.parametrize("rows", [1, 7, 394, 395])
@pytest.mark.parametrize("given", ["spread", "constant"])
def test_numbers(folder, run_here, chunk_rows, given, rows):
    """R² is of all rows, whose mean no chunk knows; far from 0, where sums of squares would cancel."""
    from sklearn.metrics import r2_score

    chunk_rows(rows)
    X, _ = nn.load_marks()
    scale = nn.Standardization(np.array([[1e6]]), np.array([[20.0]]))
    model = save(output="identity", target_scale=scale, target="pay")
    yhat = model.predict_proba(X)[0]
    true = yhat + 3 * np.sort(np.sin(np.arange(395))) if given == "spread" else np.full(395, 1e6)
    frame = pd.DataFrame(X.T, columns=["x1", "x2", "x3"]).assign(pay=true)
    frame.to_csv("a.csv", index=False)
    done = run_here("--model", "model", "--data", "a.csv", "--output", "out.csv")
    r2, cost = r2_score(true, yhat), np.mean(((yhat - true) / 20) ** 2) / 2
    assert r2 == 0 if given == "constant" else 0.3 < r2 < 0.95
    assert done == (0, f"395 rows predicted\nR² {r2:.4f}, cost {cost:.3f}\n", "")
    header, table = rows_of(Path("out.csv").read_text())
    assert header == ["prediction"]
    np.testing.assert_allclose(np.array(table, float)[:, 0], yhat, rtol=1e-14)


# Chunks


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet"])
def test_any_chunks_give_the_same_bytes(folder, run_here, chunk_rows, name):
    save_exact(labels=("no", "yes"), target="result")
    write("a.csv", marks_rows())
    Path("a.csv.gz").write_bytes(gzip.compress(Path("a.csv").read_bytes()))
    pd.read_csv("a.csv").to_parquet("a.parquet")
    found = set()
    for rows in (1, 2, 7, 100, 394, 395, 396, 100_000):
        chunk_rows(rows)
        assert run_here("--model", "model", "--data", name, "--output", "out.csv").code == 0
        found.add(Path("out.csv").read_bytes())
    (content,) = found
    assert content.count(b"\n") == 396
    assert content.count(b"probability") == 1
    X, _ = nn.load_marks()
    np.testing.assert_array_equal(probabilities_of(content.decode()), nn.load("model").predict_proba(X)[0])


@pytest.mark.parametrize("rows", [1, 7, 394])
def test_chunks_of_any_network(folder, run_here, chunk_rows, rows):
    """The CPU's library adds in an order that depends on how many rows it is given."""
    model = save(params=draw((3, 30, 1)))
    X, _ = nn.load_marks()
    chunk_rows(rows)
    values = probabilities_of(run_here("--model", "model", "--data", "marks").out)
    expected = [model.predict_proba(X[:, k : k + rows]) for k in range(0, 395, rows)]
    np.testing.assert_array_equal(values, np.concatenate(expected, axis=1)[0])
    np.testing.assert_allclose(values, model.predict_proba(X)[0], rtol=1e-14)


def test_parquet_in_groups_of_rows_of_which_some_are_empty(folder, run_here, chunk_rows):
    import pyarrow as pa
    from pyarrow import parquet

    save_exact()
    write("a.csv", marks_rows())
    table = pa.Table.from_pandas(pd.read_csv("a.csv"))
    with parquet.ParquetWriter("a.parquet", table.schema) as writer:
        for part in (table[:0], table[:10], table[:0], table[10:]):
            writer.write_table(part)
    expected = run_here("--model", "model", "--data", "a.csv")
    assert expected.code == 0
    for rows in (7, 100_000):
        chunk_rows(rows)
        assert run_here("--model", "model", "--data", "a.parquet") == expected


@pytest.mark.parametrize("row", [1, 7, 8, 14, 15, 29])
@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("abc", "'abc' is not a number"),
        ("", "missing value"),
        ("inf", "the value is infinite"),
        ("nan", "missing value"),
    ],
)
def test_rows_are_counted_over_all_chunks(folder, run_here, chunk_rows, row, value, said):
    chunk_rows(7)
    save()
    write("a.csv", ["x1,x2,x3,y", *(f"1,{value if k == row else 2},3,0" for k in range(1, 31))])
    done = run_here("--model", "model", "--data", "a.csv", "--output", "out.csv")
    assert (done.code, done.out) == (2, "")
    assert re.fullmatch(rf"error: a\.csv, column 'x2', row {row}: {said}.*\n", done.err)
    assert files_in(folder) == ["a.csv", "model"]


def test_memory_does_not_grow_with_the_file(folder, run_here, chunk_rows):
    chunk_rows(1000)
    save()

    def peak(chunks: int) -> int:
        write("a.csv", ["x1,x2,x3,y", *[f"{11:.20f},{12:.20f},{13:.20f},1"] * (1000 * chunks)])
        tracemalloc.start()
        try:
            done = run_here("--model", "model", "--data", "a.csv", "--output", "out.csv")
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            assert done.out.startswith(f"{1000 * chunks} rows predicted\n")

    peak(1)  # what is imported and kept
    few, many = peak(6), peak(60)  # both files are larger than what pandas reads ahead
    assert many < 1.5 * few
    chunk_rows(60_000)
    assert peak(60) > 5 * few  # that is, it would have been seen


# Standard input and output


@POSIX
def test_a_pipe_gives_what_a_file_gives(folder, run_here):
    save(labels=("no", "yes"), target="result")
    write("a.csv", marks_rows())
    expected = run_here("--model", "model", "--data", "a.csv")
    assert run_command("predict", "--model", "model", "--data", "-", given=Path("a.csv").read_bytes()) == expected
    to_file = run_command(
        "predict", "--model", "model", "--data", "-", "--output", "out.csv", given=Path("a.csv").read_bytes()
    )
    assert (to_file.code, to_file.out) == (0, "395 rows predicted\n")
    assert Path("out.csv").read_text() == expected.out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (b"", "standard input is empty; expected a header and one example per row"),
        (b"x1,x2,x3\n", "standard input has no rows below its header; expected one example per row"),
        (b"x1,x2\n1,2\n", "standard input lacks the column 'x3'; its columns are 'x1', 'x2'"),
        (
            b"x1,x2,x3\n1,2,3\n1,b,3\n",
            "standard input, column 'x2', row 2: 'b' is not a number; expected a number in every row",
        ),
        (b"\xff\xfe\x00", "standard input is no text, but binary data; expected a table (--encoding names another)"),
    ],
)
def test_standard_input_is_called_so(folder, run_here, monkeypatch, given, said):
    save()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
    done = run_here("--model", "model", "--data", "-", "--output", "out.csv")
    assert done == (2, "", f"error: {said}\n")
    assert files_in(folder) == ["model"]


# Files that cannot be read


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet"])
def test_header_only(folder, run_here, name):
    save()
    frame = pd.DataFrame({"x1": [], "x2": [], "x3": [], "y": []}, dtype=float)
    frame.to_parquet(name) if name.endswith("parquet") else frame.to_csv(name, index=False)
    write("out.csv", ["old"])
    done = run_here("--model", "model", "--data", name, "--output", "out.csv")
    assert done == (2, "", f"error: {name} has no rows below its header; expected one example per row\n")
    assert Path("out.csv").read_text() == "old\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "model does not exist; expected a model saved by nn_backend"),
        (b"", "model is no safetensors file, or only a part of one: .*"),
        (b"x1,x2,x3,y\n5,6,6,0\n", "model is no safetensors file, or only a part of one: .*"),
    ],
)
def test_no_model(folder, run_here, content, said):
    if content is not None:
        Path("model").write_bytes(content)
    done = run_here("--model", "model", "--data", "marks", "--output", "out.csv")
    assert (done.code, done.out) == (2, "")
    assert re.fullmatch(f"error: {said}\n", done.err)


def test_a_model_of_others(folder, run_here):
    import safetensors.numpy

    safetensors.numpy.save_file({"0.weight": draw().w1}, "model", {"format": "pt"})
    said = "error: model holds something else than a model saved by nn_backend\n"
    assert run_here("--model", "model", "--data", "marks") == (2, "", said)


@pytest.mark.parametrize("output", ["sigmoid", "identity"])
def test_a_model_with_several_outputs(folder, run_here, output):
    nn.save("model", nn.Model(draw((3, 4, 2)), output, features=("x1", "x2", "x3")))
    said = "error: model has 2 outputs; expected one, or the classes of softmax\n"
    assert run_here("--model", "model", "--data", "marks") == (2, "", said)


def test_numbers_too_large_for_float32(folder, run_here):
    save(params=draw(dtype="float32"), standardization=None)
    write("a.csv", ["x1,x2,x3", "1,2,3", "1,1e300,3"])
    done = run_here("--model", "model", "--data", "a.csv")
    assert (done.code, done.err) == (2, "error: X holds NaN or infinity (as float32); expected finite numbers\n")


# Outputs


@pytest.mark.parametrize("bad", ["abc", ""])
def test_a_bad_value_in_a_later_chunk_leaves_the_old_output(folder, run_here, chunk_rows, bad):
    chunk_rows(5)
    save()
    write("a.csv", ["x1,x2,x3", *["1,2,3"] * 20, f"1,2,{bad}"])
    write("out.csv", ["old"])
    done = run_here("--model", "model", "--data", "a.csv", "--output", "out.csv")
    assert (done.code, done.out) == (2, "")
    assert "row 21" in done.err
    assert Path("out.csv").read_text() == "old\n"
    assert files_in(folder) == ["a.csv", "model", "out.csv"]


def test_a_longer_old_output_is_replaced_whole(folder, run_here):
    save()
    write("a.csv", ["x1,x2,x3", "1,2,3"])
    write("out.csv", ["old"] * 10_000)
    assert run_here("--model", "model", "--data", "a.csv", "--output", "out.csv").code == 0
    assert Path("out.csv").read_text() == run_here("--model", "model", "--data", "a.csv").out


@pytest.mark.parametrize(
    ("labels", "written"),
    [(("=1+1", "@a"), {"'=1+1", "'@a"}), (("+a", "-b"), {"'+a", "'-b"}), (("-1", "+2.5"), {"-1", "+2.5"})],
)
def test_a_spreadsheet_runs_no_label(folder, run_here, labels, written):
    save(labels=labels, target=None)
    done = run_here("--model", "model", "--data", "marks")
    assert {line.rpartition(",")[2] for line in done.out.splitlines()[1:]} == written


def test_ctrl_c_leaves_the_old_output(folder, run_here, chunk_rows, monkeypatch):
    chunk_rows(100)
    save()
    write("out.csv", ["old"])
    ask, asked = nn.Model.compute_layers, []

    def interrupted(*arguments, **options):
        asked.append(None)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return ask(*arguments, **options)

    monkeypatch.setattr(nn.Model, "compute_layers", interrupted)
    done = run_here("--model", "model", "--data", "marks", "--output", "out.csv")
    assert done == (130, "", "error: interrupted\n")
    assert Path("out.csv").read_text() == "old\n"
    assert files_in(folder) == ["model", "out.csv"]


@POSIX
def test_ctrl_c_while_standard_input_is_awaited(folder):
    save()
    write("out.csv", ["old"])
    Path("temporary").mkdir()
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    arguments = ["--model", "model", "--data", "-", "--output", "out.csv"]
    environment = {**os.environ, "TMPDIR": str(folder / "temporary")}
    with subprocess.Popen([*DOOR, "predict", *arguments], **pipes, env=environment) as process:
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


# Devices


def test_auto_and_cpu(folder, run_here):
    save_exact()
    expected = run_here("--model", "model", "--data", "marks", "--device", "cpu")
    assert expected.code == 0
    automatic = run_here("--model", "model", "--data", "marks", "--device", "auto")
    np.testing.assert_allclose(probabilities_of(automatic.out), probabilities_of(expected.out), rtol=1e-12)


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
def test_words_are_encoded_and_columns_kept_in_every_format(folder, run_here, name):
    model, frame = words_model()
    frame.to_csv("a.csv", index=False, sep=";", decimal=",")
    done = run_here("--model", "model", "--data", "a.csv", "--output", name, "--keep", "id")
    assert done.code == 0
    read = pd.read_parquet if name.endswith("parquet") else functools.partial(pd.read_csv, dtype={"id": str})
    written = read(name)
    assert written["id"].tolist() == ["007", "008", "009", "010"]
    np.testing.assert_array_equal(written["probability"], model.predict_proba(frame)[0])


@pytest.mark.parametrize(
    ("labels", "said"),
    [(["no", "", "", "yes"], " of the 2 rows with a true value"), ([""] * 4, None), (["no", "yes", "no", "yes"], "")],
)
def test_rows_without_a_true_value_are_predicted_and_not_scored(folder, run_here, labels, said):
    model, frame = words_model()
    frame.assign(y=labels).to_csv("a.csv", index=False)
    done = run_here("--model", "model", "--data", "a.csv", "--output", "out.csv")
    assert (done.code, len(pd.read_csv("out.csv"))) == (0, 4)
    known = frame.assign(y=labels)[[label != "" for label in labels]]
    if said is None:
        assert "accuracy" not in done.out
    else:
        reached = model.score(known, (known["y"] == "yes").to_numpy(float)[None])
        assert done.out.endswith(f"accuracy {reached.accuracy:.4f}, cost {reached.cost:.3f}{said}\n")


def test_a_word_that_the_training_had_not(folder, run_here):
    model, frame = words_model()
    frame.loc[2, "job"] = "d"
    frame.to_csv("a.csv", index=False)
    done = run_here("--model", "model", "--data", "a.csv", "--output", "out.csv")
    assert done.code == 2
    assert "error: a.csv, column 'job', row 3: 'd' is none of the words in training, 'a', 'b', 'c'; " in done.err
    assert run_here("--model", "model", "--data", "a.csv", "--output", "out.csv", "--unknown", "ignore").code == 0
    expected = model.predict_proba(model.encode(frame, unknown="ignore"))[0]
    np.testing.assert_array_equal(pd.read_csv("out.csv")["probability"], expected)


def test_an_output_of_another_format_is_refused(folder, run_here):
    words_model()
    write("a.csv", ["x1,job", "1,a"])
    done = run_here("--model", "model", "--data", "a.csv", "--output", "out.xlsx")
    said = "--output is 'out.xlsx'; expected a name ending in .csv, .csv.gz, .parquet"
    assert done == (2, "", f"error: {said}\n")

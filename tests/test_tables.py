"""Files and frames in: what is accepted, and every message that says why something is not."""

import bz2
import csv
import dataclasses
import decimal
import gzip
import itertools
import lzma
import math
import os
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import nn_backend as nn
from nn_backend.marks import load_data
from nn_backend.tables import Form, duck

TRUTHS = ("False", "True")
GOOD = "x1,x2,y\n1.5,2,0\n-3.25,4e0,1\n"


def load(content: str | bytes, name: str = "a.csv", **options) -> nn.Table:
    """Load a file with this content."""
    Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
    return nn.load_table(name, **options)


def refusal(error: type[nn.NNBackendError], given: Any, **options) -> str:
    """Give the message that what a.csv holds, or another source, is refused with: one line that can be printed."""
    with pytest.raises(nn.NNBackendError) as caught:
        load(given, **options) if isinstance(given, str | bytes) else nn.load_table(given, **options)
    message = str(caught.value)
    assert caught.type is error
    assert message.isprintable()
    return message


def assert_notes(notes: Sequence[str], starts: list[str]) -> None:
    assert [note[: len(start)] for note, start in zip(notes, starts, strict=True)] == starts


# The article's marks, and others like them


def test_marks_are_the_articles_from_any_folder(folder):
    with (Path(__file__).parents[1] / "data" / "marks.csv").open(newline="") as file:
        rows = [[float(cell) for cell in row] for row in itertools.islice(csv.reader(file), 1, None)]
    table = load_data("marks")
    assert (table.features, table.target, table.labels) == (("x1", "x2", "x3"), "y", None)
    X, y = nn.load_marks()
    np.testing.assert_array_equal(np.vstack([X, y]).T, rows)
    assert X.dtype == y.dtype == np.float64
    assert X[:, [0, 1, 2, -1]].T.tolist() == [[5, 6, 6], [5, 5, 6], [7, 8, 10], [8, 9, 9]]
    assert (y.shape, y.sum(), y[0, :300].sum()) == ((1, 395), 265, 201)
    np.testing.assert_array_equal(y[0], X[2] >= 10)


def test_simulated_marks_resemble_the_real_ones():
    real, _ = nn.load_marks()
    X, y = nn.simulate_marks(50_000)
    np.testing.assert_allclose(X.mean(axis=1), real.mean(axis=1), atol=0.1)
    np.testing.assert_allclose(X.std(axis=1), real.std(axis=1), atol=0.15)
    np.testing.assert_allclose(np.corrcoef(X), np.corrcoef(real), atol=0.02)
    assert set(np.unique(X)) == set(range(21))
    np.testing.assert_array_equal(y[0], X[2] >= 10)
    assert X.dtype == y.dtype == np.float64


@pytest.mark.parametrize("rows", [1, 2, 1000])
def test_simulated_data_by_name_depend_on_the_seed_alone(rows):
    table = load_data(f"simulated:{rows}")
    X, y = nn.simulate_marks(rows)
    np.testing.assert_array_equal(table.X, X)
    np.testing.assert_array_equal(table.y, y)
    assert (table.X.shape, table.features) == ((3, rows), ("x1", "x2", "x3"))
    np.testing.assert_array_equal(load_data(f"simulated:{rows}", features=["x3"]).X, X[2:])
    assert (nn.simulate_marks(rows, seed=5)[0] != X).any()


SIMULATED = "expected simulated:ROWS with 1 to 1000000000000, as in simulated:10000"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        *((rows, f"data is 'simulated:{rows}'; {SIMULATED}") for rows in ("", "-5", "1e5", " 5", "٣", "9" * 14)),
        ("9" * 5000, f"data is 'simulated:{'9' * 40}…'; {SIMULATED}"),
        *((f"{rows}", f"rows is {rows}; expected a whole number from 1 to 1000000000000") for rows in (0, 10**12 + 1)),
    ],
)
def test_simulated_rows_are_a_whole_number_of_at_least_one_and_not_beyond_all_memory(rows, said):
    with pytest.raises(nn.ArgumentError) as caught:
        load_data(f"simulated:{rows}")
    assert str(caught.value) == said


# Forms of text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (GOOD, []),
        (GOOD.rstrip("\n"), []),
        (GOOD.replace("\n", "\r"), []),
        (GOOD.replace("\n", "\n\n"), []),
        (b'\xef\xbb\xbf"x1","x2","y"\r\n1.5,2,0\r\n-3.25,4,1\r\n', []),
        (" x1 ,\tx2 , y \n 1.5 , 2, 0\n-3.25 ,  4 ,1 \n", []),
        ('"x1 "," x2",y\n1.5,2,0\n-3.25,4,1\n', []),
        ('x1, "x2", "y"\n1.5, "2", "0"\n-3.25, 4, 1\n', []),
        ("x1,x2,y,\n1.5,2,0\n-3.25,4,1\n", []),
        ("x1,x2,y,\n1.5,2,0,\n-3.25,4,1,\n", ["empty columns are left out: 'Unnamed: 3'"]),
        (",x1,x2,y\n0,1.5,2,0\n1,-3.25,4,1\n", ["the first column has no name and is left out"]),
        ("x1;x2;y\n1,5;2;0\n-3,25;4;1\n", ["columns are separated by semicolons", "decimals stand behind commas"]),
        ("x1\tx2\ty\n1.5\t2\t0\n-3.25\t4\t1\n", ["columns are separated by tabs"]),
        ("x1|x2|y\n1.5|2|0\n-3.25|4|1\n", ["columns are separated by bars"]),
        ("  x1   x2 y\n 1.5    2 0\n-3.25   4 1\n", ["columns are separated by blanks"]),
        ("sep=;\r\nx1;x2;y\r\n1.5;2;0\r\n-3.25;4;1\r\n", ["columns are separated by semicolons"]),
        ("# made\n# up\nx1,x2,y\n1.5,2,0\n# within\n-3.25,4,1\n", ["lines that begin with # are left out"]),
        ("A title\n\nof two lines\nx1,x2,y\n1.5,2,0\n-3.25,4,1\n1,1,1\n", ["3 lines above the header are left out"]),
        ('x1,x2,y\n"1.5",$2,0\n-3.25,"$4",1\n', ["column x2: read as numbers, as in '$2'"]),
        ("x1,x2,y\n1.5,2,0\n-3.25,4,1\n,,\n , ,\n", ["2 empty rows left out"]),
    ],
)
def test_forms_of_text(folder, content, said):
    table = load(content)
    np.testing.assert_array_equal(table.X[:, :2], [[1.5, -3.25], [2, 4]])
    np.testing.assert_array_equal(table.y[:, :2], [[0, 1]])
    assert table.X.dtype == table.y.dtype == np.float64
    assert (table.features, table.target, table.labels) == (("x1", "x2"), "y", None)
    assert_notes(table.notes, said)


@pytest.mark.parametrize(
    ("pack", "encoding", "said"),
    [
        (bytes, "utf-8", []),
        (bytes, "utf-8-sig", []),
        (bytes, "utf-16", ["read as text in utf-16"]),
        (bytes, "cp1252", ["read as text in cp1252"]),
        (gzip.compress, "cp1252", ["read as text in cp1252"]),
        *((pack, "utf-8", []) for pack in (gzip.compress, bz2.compress, lzma.compress)),
    ],
)
def test_packings_and_encodings_whatever_the_name(folder, pack, encoding, said):
    table = load(pack("höhe,y\n1.5,nö\n2,ja\n".encode(encoding)), "a.dat")
    np.testing.assert_array_equal((table.X, table.y), [[[1.5, 2]], [[1, 0]]])
    assert (table.features, table.labels) == (("höhe",), ("ja", "nö"))
    assert_notes(table.notes, said)


@pytest.mark.parametrize(
    ("rows", "names"),
    [
        ("5.1,3.5,a\n4.9,3.0,b\n4.7,3.2,a\n", ("0", "1")),  # iris as UCI has it
        ("1,?,0\n2,3,1\n", ("0", "1")),
        ("x1,3,y\n1,2,a\n2,3,b\n", ("x1", "3")),
        ("a,b,y\nc,d,e\nc,d,f\n", ("a=c", "b=d")),
    ],
)
def test_the_first_row_is_data_where_it_has_the_numbers_of_those_below(folder, rows, names):
    table = load(rows, target=-1, missing="drop")
    assert table.features == names
    assert table.X.shape[1] == rows.count("\n") - ("?" in rows) - (not names[0].isdecimal())


def test_numbers_are_read_to_the_last_bit(folder):
    values = np.random.RandomState(0).randn(1000) * 10.0 ** np.random.RandomState(1).randint(-300, 300, 1000)
    rows = "".join(f"{float(value)!r},{k % 2}\n" for k, value in enumerate(values))
    np.testing.assert_array_equal(load("x1,y\n" + rows).X[0], values)


# Files of other kinds, and frames


@pytest.mark.parametrize(
    ("name", "put"),
    [
        ("a.parquet", pd.DataFrame.to_parquet),
        ("a.jsonl", lambda frame, path: frame.to_json(path, orient="records", lines=True)),
        ("a.json", lambda frame, path: frame.to_json(path, orient="records")),
        ("a.feather", pd.DataFrame.to_feather),
        ("a.orc", pd.DataFrame.to_orc),
        ("zipped.dat", lambda frame, path: frame.to_csv(path, index=False, compression="zip")),
        *((name, lambda frame, path: frame.to_csv(path, index=False)) for name in ("parts/1.csv", "[odd].csv")),
    ],
)
def test_files_of_other_kinds_are_the_frame(folder, name, put):
    frame = pd.DataFrame({"x1": [1.5, -3.25, 0.1], "n": [1, 2, 3], "ok": [True, False, True], "word": [*"uvw"]})
    frame = pd.concat([frame.assign(y=[*"aba"])] * 2, ignore_index=True)
    expected = nn.load_table(frame)
    Path("parts").mkdir()
    put(frame, name)
    for source in [name, Path(name), *(["parts", "parts/*.csv"] if "/" in name else [])]:
        found = nn.load_table(source)
        np.testing.assert_array_equal(found.X, expected.X)
        np.testing.assert_array_equal(found.y, expected.y)
        assert (found.encoding, found.labels) == (expected.encoding, expected.labels)


def test_arrays_of_numpy(folder):
    X = np.array([[1.5, 2], [3, 4]])
    np.save("a.npy", np.c_[X, [0, 1]])
    np.savez("a.npz", X=X, y=[0, 1])
    for name, target in (("a.npy", -1), ("a.npz", "y")):
        table = nn.load_table(name, target)
        np.testing.assert_array_equal(table.X, X.T)
        np.testing.assert_array_equal(table.y, [[0, 1]])


def test_the_rows_of_an_arff_file_are_read_as_its_refusal_says(folder):
    content = "% made\n@relation d\n@attribute a numeric\n@attribute c {no,yes}\n@data\n1.5,no\n2,yes\n"
    said = "a.csv is an ARFF file; --skip-rows 5 --no-header reads the rows below @data, columns by position"
    assert refusal(nn.DataFileError, content) == said
    table = load(content, target=-1, form=Form(skip_rows=5, header=False))
    assert (table.X.tolist(), table.y.tolist(), table.labels) == ([[1.5, 2]], [[0, 1]], ("no", "yes"))


@pytest.mark.parametrize("first", [0, 1])
def test_svmlight_rows_are_columns_by_number(folder, first):
    """The first line is longer than what tells most formats."""
    wide = " ".join(f"{first + k}:{k + 0.5}" for k in range(20))
    table = load(f"+1 {wide}\n-1 {first}:2 {first + 2}:-1e-3\n")
    assert table.features == tuple(str(first + k) for k in range(20))
    expected = [[k + 0.5 for k in range(20)], [2, 0, -1e-3, *[0] * 17]]
    np.testing.assert_array_equal(table.X.T, expected)
    assert (table.y.tolist(), table.labels) == ([[1, 0]], ("-1", "1"))
    assert table.notes == ("an svmlight file: its targets are column y, its features go by their numbers",)


@pytest.mark.parametrize(
    ("column", "values", "labels"),
    [
        *((pd.Series([1, 0], dtype=dtype), [1, 0], None) for dtype in ["int8", "UInt8", "float16", "Float64", "Int64"]),
        *((pd.Series([1, 0], dtype=dtype), [1, 0], None) for dtype in ["int64[pyarrow]", "Sparse[int64]", object]),
        *((pd.Series([1, 2.5], dtype=dtype), [1, 2.5], None) for dtype in ["float64", "category", object]),
        (pd.Series(["1", " 2.5"]), [1, 2.5], None),
        (pd.Series([decimal.Decimal(1), decimal.Decimal("2.5")]), [1, 2.5], None),
        *(
            (pd.Series([True, False], dtype=dtype), [1, 0], TRUTHS)
            for dtype in [bool, "boolean", object, "bool[pyarrow]"]
        ),
        *((pd.Series(["True", "False"], dtype=dtype), [1, 0], TRUTHS) for dtype in ["category", "string"]),
    ],
    ids=lambda given: str(given.dtype) if isinstance(given, pd.Series) else "",
)
def test_columns_of_every_dtype_are_features_and_targets_and_may_miss_a_value(column, values, labels):
    frame = pd.DataFrame({"a": column, " y ": column})
    table = nn.load_table(frame.set_index(np.array([7, 7])))  # an index does not matter
    np.testing.assert_array_equal(table.X, [values])
    np.testing.assert_array_equal(table.y, [values])
    assert table.X.dtype == table.y.dtype == np.float64
    assert table.labels == labels
    assert not np.shares_memory(table.X, frame["a"].to_numpy())
    assert not np.shares_memory(table.y, frame[" y "].to_numpy())
    lacking = frame.reindex(range(3))
    said = "the data frame: missing values in 'a' (1), 'y' (1), the first in column 'a', row 3: "
    assert refusal(nn.DataError, lacking).startswith(said)
    assert refusal(nn.DataError, lacking.astype(object).replace(np.nan, None)).startswith(said)
    assert refusal(nn.DataError, lacking.astype(object).replace(np.nan, pd.NA)).startswith(said)


# Which columns are taken, and as what


@pytest.mark.parametrize(
    ("content", "options", "features", "X"),
    [
        ('x1, "height, cm", y\n1, 180, 1\n2, 170, 0\n', {}, ("x1", "height, cm"), [[1, 2], [180, 170]]),
        ("x1,z,x2,y\n1,2,3,1\n4,5,6,0\n", {"features": ["x2", "x1"]}, ("x2", "x1"), [[3, 6], [1, 4]]),
        ("x1,x2,x,y\n1,2,3,1\n4,5,6,0\n", {"features": "x1"}, ("x1",), [[1, 4]]),
        ("a,won,b\n1,1,2\n3,0,4\n", {"target": "won"}, ("a", "b"), [[1, 3], [2, 4]]),
        ("name,name,x1,y\nAnn,,1,1\nBob,x,2,0\n", {"features": ["x1"]}, ("x1",), [[1, 2]]),
        ("a,name,y\n1,p,1\n2,q,0\n3,r,1\n", {"drop": "name"}, ("a",), [[1, 2, 3]]),
    ],
)
def test_columns_become_features_in_the_order_named_or_all_but_the_target(folder, content, options, features, X):
    table = load(content, **options)
    np.testing.assert_array_equal(table.X, X)
    np.testing.assert_array_equal(table.y[:, :2], [[1, 0]])
    assert (table.features, table.target) == (features, options.get("target", "y"))


SIXTEEN = [str(k) for k in range(16)]


@pytest.mark.parametrize(
    ("words", "task", "output", "labels", "first"),
    [
        *((words, None, "sigmoid", None, [float(words[0])]) for words in ("00", "11", ["1.0", "1.0"])),
        ("baa", None, "sigmoid", ("a", "b"), [1]),
        (["True", "False", "True"], None, "sigmoid", TRUTHS, [1]),
        (["FALSE", "TRUE", "TRUE"], None, "sigmoid", ("FALSE", "TRUE"), [0]),
        ([" yes ", "yes", "no "], None, "sigmoid", ("no", "yes"), [1]),
        ("cabcab", None, "softmax", ("a", "b", "c"), [0, 0, 1]),
        (["yes", "Yes", "no"] * 2, None, "softmax", ("Yes", "no", "yes"), [0, 0, 1]),
        (["1.0", "-1", "1"], None, "sigmoid", ("-1", "1"), [1]),
        ("203203", None, "softmax", ("0", "2", "3"), [0, 1, 0]),
        (SIXTEEN[1:] * 2, None, "softmax", ("1", "2", "3", *SIXTEEN[4:]), [1] + 14 * [0]),
        (SIXTEEN, None, "identity", None, [0]),
        (SIXTEEN * 2, "classification", "softmax", tuple(SIXTEEN), [1] + 15 * [0]),
        (["0.5", "1", "0"], None, "identity", None, [0.5]),
        (["0.5", "1.5", "0.5"], "classification", "sigmoid", ("0.5", "1.5"), [0]),
        ("0110", "regression", "identity", None, [0]),
        ("0110", "classification", "sigmoid", None, [0]),
    ],
)
def test_what_is_to_be_predicted(folder, words, task, output, labels, first):
    table = load("x1,y\n" + "".join(f"1,{word}\n" for word in words), task=task)
    assert (table.output, table.labels) == (output, labels)
    assert table.y.dtype == np.float64
    assert table.y.shape == (len(first), len(words))
    np.testing.assert_array_equal(table.y[:, 0], first)
    if output == "softmax":
        np.testing.assert_array_equal(table.y.sum(axis=0), 1)
    elif labels is not None:
        np.testing.assert_array_equal(table.y[0], [word.strip() in (labels[1], f"{labels[1]}.0") for word in words])
    frame = pd.DataFrame({"y": list(words)})
    np.testing.assert_array_equal(nn.tables.read_targets(frame, "y", labels, "a.csv", output=output), table.y)


@pytest.mark.parametrize(
    ("labels", "column", "output", "y"),
    [
        ((1.0, 2.5), [2.5, 1], "sigmoid", [[1, 0]]),
        ((0, 1), [True, False], "sigmoid", [[1, 0]]),
        ((False, True), ["True", "False"], "sigmoid", [[1, 0]]),
        (("a", "b"), ["b", "a"], "softmax", [[0, 1], [1, 0]]),
    ],
)
def test_targets_of_labels_from_elsewhere(labels, column, output, y):
    frame = pd.DataFrame({"y": column})
    np.testing.assert_array_equal(nn.tables.read_targets(frame, "y", labels, "the data frame", output=output), y)


def test_groups_are_no_features_and_go_with_their_rows(folder):
    content = "a,shop,y\n1,p,0\n2,,1\n3,q,1\n4,p,1\n,p,0\n"
    assert "missing values in 'a' (1), 'shop' (1)" in refusal(nn.DataError, content, by="shop")
    table = load(content, by="shop", missing="drop")
    assert (table.features, table.X.tolist(), table.groups.name) == (("a",), [[1, 3, 4]], "shop")
    assert table.groups.tolist() == ["p", "q", "p"]
    table = load(content, by=1, features=["a", "shop"], missing="mean")
    assert table.features == ("a", "a missing", "shop=q")
    assert table.groups.tolist() == ["p", "q", "p", "p"]
    frame = pd.DataFrame({"a": [1, 2], "n": [7.0, 8.0], "y": [0, 1]})
    assert nn.load_table(frame, by="n").groups.dtype == np.int64


@pytest.mark.parametrize("train_rows", [3, 7, 12])
def test_each_part_has_its_share_of_every_class(train_rows):
    y = np.repeat(np.eye(3), [4, 8, 12], axis=1)
    train, test = nn.tables.split_rows(y, 2 * train_rows, seed=5)
    np.testing.assert_array_equal(np.sort(np.r_[train, test]), np.arange(24))
    assert np.abs(y[:, train].sum(axis=1) - np.array([4, 8, 12]) * train_rows / 12).max() < 1
    np.testing.assert_array_equal(nn.tables.split_rows(y, 5, how="first")[0], np.arange(5))


# Standardization


def test_standardization_is_by_mean_and_deviation_whose_sums_are_exactly_rounded():
    """So they depend on no order of the examples; others are scaled by them, to infinity without a warning."""
    X = np.random.RandomState(4).randn(3, 501) * [[1.0], [1e-9], [1e12]] + [[1e6], [1.0], [-3.0]]
    scale = nn.standardization(X)
    for row, mean, deviation in zip(X, scale.mean[:, 0], scale.deviation[:, 0], strict=True):
        assert mean == math.fsum(row) / 501
        assert deviation == math.sqrt(math.fsum((row - mean) ** 2) / 501)
    scale = nn.standardization(np.array([[0.0, 4.0], [1.0, 1.5]]))
    np.testing.assert_array_equal(scale.apply(np.array([[6.0, 2.0], [1.7e308, 1.0]])), [[2.0, 0.0], [math.inf, -1.0]])


def test_sums_are_those_of_fsum_whatever_the_magnitudes():
    draw = np.random.default_rng(0)
    for m in (1, 2, 7, 1000):
        values = draw.normal(size=(40, m)) * 10.0 ** draw.integers(-100, 100, (40, m)) * (draw.random((40, m)) < 0.9)
        values[:, : m // 2] = -values[:, m - m // 2 :] * draw.choice([1, 1 + 2**-52])  # which nearly cancel
        assert nn.tables.exact_sums(values).ravel().tolist() == [math.fsum(row) for row in values.tolist()]


@pytest.mark.parametrize("m", [1, 3, 10, 77, 300])
@pytest.mark.parametrize("value", [0.0, 7.0, 0.1, 0.7, -123.456, 1e-5, 1e-300, 1e300, -1.7e308])
def test_a_constant_feature_becomes_zero(value, m):
    scale = nn.standardization(np.full((1, m), value))
    np.testing.assert_array_equal(scale.deviation, [[1.0]])
    np.testing.assert_array_equal(scale.apply(np.full((1, m), value)), np.zeros((1, m)))


@pytest.mark.parametrize("spread", [1e-150, 1e-100, 1e100, 1e150])
def test_standardization_of_huge_and_tiny_numbers(spread):
    X = spread * np.array([[1.0, 1.0, 0.0, 1.0]])
    scaled = nn.standardization(X).apply(X)
    np.testing.assert_allclose(scaled, np.array([[1.0, 1.0, -3.0, 1.0]]) / math.sqrt(3), rtol=1e-12)


@pytest.mark.parametrize(
    ("low", "high"),
    [(0, 1e200), (-1.7e308, 1.7e308), (1e-200, 2e-200), (5, math.inf), (math.inf, math.inf), (1, math.nan)],
)
def test_standardization_refuses_what_float64_cannot_square(low, high):
    with pytest.raises(nn.DataError) as caught:
        nn.standardization(np.array([[1, 2, 3], [low, high, low]]))
    low = math.nan if math.isnan(high) else low
    assert str(caught.value) == (
        f"feature 2 lies between {low:g} and {high:g} and cannot be standardised; "
        "expected equal values, or values 1e-150 to 1e+150 apart"
    )


# Files that are not what they should be


@pytest.mark.parametrize("name", ["a.csv", "a.gz", "no/a.csv", "file/a.csv"])
def test_missing_file(folder, name):
    Path("file").touch()  # where a folder should be
    Path("parts").mkdir()
    assert refusal(nn.DataFileError, Path(name)) == f"{name} does not exist; expected a table's file"
    assert refusal(nn.DataFileError, Path("parts")) == "parts has no files; expected parts of a table"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read every file; Windows has no chmod")
def test_unreadable_file(folder):
    Path("a.csv").touch(mode=0)
    assert refusal(nn.DataFileError, Path("a.csv")).startswith("a.csv cannot be read: [Errno 13] Permission denied")


def damaged() -> bytes:
    """Return a packed table of which a digit is changed, which only the checksum shows."""
    packed = bytearray(gzip.compress(("x1,y\n" + "12,0\n13,1\n" * 100_000).encode(), 0, mtime=0))
    packed[packed.rindex(b"13") + 1 : packed.rindex(b"13") + 2] = b"4"
    return bytes(packed)


NO_TABLE = "is not a table of separated values: line"
FIELDS = "fields; expected 2 as in the first row (one that holds the separator is quoted)"
EMPTY = "is empty; expected a header and one example per row"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<!DOCTYPE html>\n<html><head></head></html>", "is a web page; expected a table: download the file itself"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", "is a Git LFS pointer"),
        (b"%PDF-1.7\n", "is a PDF document; expected a table"),
        (b"+1 1:0.5 2:1\n-1 1:2 2:x\n", "is no svmlight file that can be read: "),
        (bytes(range(256)) * 8, "is no text, but binary data; expected a table"),
        (bytes(300), "is no text, but binary data; expected a table"),
        (b"PAR1" + bytes(50) + b"PAR1", "is not a Parquet file: "),
        (b"PK\x03\x04\x14" + bytes(60), "cannot be read: "),
        (gzip.compress(b"PAR1", mtime=0), "holds a file of kind parquet, compressed; unpack it first"),
        (gzip.compress(GOOD.encode() * 1000, mtime=0)[:40], "cannot be read: Compressed file ended"),
        (damaged(), "cannot be read: CRC check failed"),
        (b"x1,y\n" + b"1,ja\n" * 100_000 + b"1,n\xf6\n", f"{NO_TABLE} 100002"),
        (b'x1,y\n1,0\n"1,1\n', f"{NO_TABLE} 3: a quotation mark is not closed"),
        # Reading on would put numbers under the wrong names, as with a decimal comma.
        (b"x1,y\n1,0\n1,0,5\n2,1\n", f"{NO_TABLE} 3: more than 2 {FIELDS}"),
        *((b"x1,y\n1,0,5\n2,1" + end, f"{NO_TABLE} 2: more than 2 {FIELDS}") for end in (b"\n", b",6\n")),
        (b"x1,y\n1\n1,0\n", f"{NO_TABLE} 2: 1 {FIELDS}"),
        (b"x1,y\n1,0\n1\n", f"{NO_TABLE} 3: 1 {FIELDS}"),
        *((content, EMPTY) for content in (b"", b" \n\n", b"\xef\xbb\xbf", gzip.compress(b"", mtime=0))),
    ],
    ids=lambda given: str(given[:20]),
)
def test_a_file_that_is_no_table_is_named_for_what_it_is(folder, content, said):
    assert refusal(nn.DataFileError, content).startswith(f"a.csv {said}")


def named(given: Any) -> str:
    return "the data frame" if isinstance(given, pd.DataFrame) else "a.csv"


@pytest.mark.parametrize("source", [np.zeros((2, 3)), [[1, 0]], {"x1": [1], "y": [0]}, None], ids=type)
def test_neither_file_nor_frame(source):
    assert refusal(nn.ArrayTypeError, source) == (
        f"the source is of type {type(source).__name__}; expected a path or a pandas DataFrame. "
        "Arrays need no loading: pass X (n0, m) and y (1, m) to fit"
    )


NAME_IT = ": name the one to predict (--target -1 is the last, {!r})"
RENAME = "rename all but one, or leave them out: --drop"
HEADER_ONLY = "has no rows below its header; expected one example per row"
NO_FEATURE = "has no feature column; expected at least one beside the target 'y'"
MANY = ", ".join(f"'{letter}'" for letter in "abcdefghi")


@pytest.mark.parametrize(
    ("given", "features", "said"),
    [
        ("x1,z\n1,0\n", None, "has no target column 'y'; its columns are 'x1', 'z'" + NAME_IT.format("z")),
        # A name that cannot be printed does not break the line, many and long ones are cut.
        ('"x\n1",z\n1,0\n', None, r"has no target column 'y'; its columns are 'x\n1', 'z'" + NAME_IT.format("z")),
        (
            f"{'x' * 60},a,b,c,d,e,f,g,h,i,j\n1{',1' * 10}\n",
            None,
            f"has no target column 'y'; its columns are '{'x' * 50}', {MANY}, …{NAME_IT.format('j')}",
        ),
        (GOOD, ["x1", "x7"], "has no feature column 'x7'; its columns are 'x1', 'x2', 'y'"),
        # Who has cut a name at its comma is offered it as an option takes it.
        (
            '"x, total",b,y\n1,2,0\n',
            ["x", "total", "b"],
            """has no feature column 'x' (is '"x, total"' meant?); its columns are 'x, total', 'b', 'y'; """
            "neither has it 'total'",
        ),
        ('x1,"x1 ",y\n1,2,0\n', None, f"has 2 columns named 'x1'; {RENAME} x1"),
        ("x1,y,y,y\n1,2,0,0\n", None, f"has 3 columns named 'y'; {RENAME} y"),
        (pd.DataFrame([[1, 2, 0]], columns=["a", "a", "y"]), None, f"has 2 columns named 'a'; {RENAME} a"),
        ("y\n1\n", None, NO_FEATURE),
        (GOOD, [], NO_FEATURE),
        *((header, None, HEADER_ONLY) for header in ("x1,y\n", "x1,y", "\ufeffx1,y\r\n")),
        (pd.DataFrame({"a": [], "y": []}), None, HEADER_ONLY),
    ],
)
def test_rows_and_columns_that_are_not_there_and_columns_not_once(folder, given, features, said):
    assert refusal(nn.DataError, given, features=features) == f"{named(given)} {said}"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"features": ["x1", "y"]}, "column 'y' is the target and cannot be a feature; leave it out of the features"),
        ({"features": ["x1", "x2", "x1"]}, "features are 'x1', 'x2', 'x1'; each may be named once"),
        ({"task": "clustering"}, "task is 'clustering'; accepted: classification, regression"),
    ],
)
def test_what_no_table_can_be_asked_for(folder, options, said):
    assert refusal(nn.ArgumentError, GOOD, **options) == said


INFINITE = "row 2: the value is infinite; expected finite numbers"
ONE_VALUE = "target 'y' has one value ({!r}); expected two classes or more"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        *((f"x1,y\n1,0\n{word},1\n", f": column 'x1', {INFINITE}") for word in ("-Infinity", "1e999", "9" * 400)),
        (pd.DataFrame({"a": ["1", "inf"], "y": [0, 1]}), f": column 'a', {INFINITE}"),
        (pd.DataFrame({"a": [1, 2], "y": [0, np.inf]}), f", column 'y', {INFINITE}"),
        (pd.DataFrame({"a": [1, 2j], "y": [0, 1]}), ", column 'a': the values are complex; expected real numbers"),
        (
            pd.DataFrame({"day": pd.date_range("2020-01-01", periods=4), "y": [0, 1, 0, 1]}),
            ": too many different words in 'day' (4 in 4 rows): leave them out with --drop day",
        ),
        (
            "x1,y\n" + "".join(f"1,{word}\n" for word in "kjihgfedcba"),
            f", target 'y' has 11 values in 11 rows ({MANY}, 'j', …), too many for classes; expected classes that "
            "recur, or numbers",
        ),
        *((f"x1,y\n1,{word}\n2,{word}\n", f", {ONE_VALUE.format(word)}") for word in ("yes", "True", "2")),
        (
            "a,name,ticket,b,y\n"
            + "".join(f"{'?' if k == 1 else 7},n{k},t{k},{'inf' if k == 1 else 1},{k % 2}\n" for k in range(20)),
            f": column 'b', {INFINITE}; too many different words in 'name' (20 in 20 rows), 'ticket' (20 in 20 rows): "
            "leave them out with --drop name,ticket; missing values in 'a' (1), the first in column 'a', row 2: "
            "--missing mean puts means in their place, --missing drop leaves out such rows",
        ),
    ],
)
def test_all_values_that_stand_in_the_way_are_said_at_once(folder, given, said):
    assert refusal(nn.DataError, given) == f"{named(given)}{said}"


@pytest.mark.parametrize(
    ("word", "row"), [*((word, 21) for word in ("abc", "1;5", "0x10", "1 000", "--", "True")), ("abc", 100_000)]
)
def test_text_in_a_numeric_column(folder, word, row):
    """Of few values it would be a column of words."""
    rows = [*map(str, range(row - 1)), word, *map(str, range(20))]
    content = "x1,x2,y\n" + "".join(f"1,{cell},{k % 2}\n" for k, cell in enumerate(rows))
    said = f"a.csv: column 'x2', row {row}: {word!r} is not a number; expected a number in every row"
    assert refusal(nn.DataError, content) == said


@pytest.mark.parametrize("cell", ["", "NaN", "nan", "  ", "NA", "?", "#N/A", "null", "None", "-", ".", "missing", " ?"])
@pytest.mark.parametrize("column", ["x1", "y"])
def test_missing_number(folder, column, cell):
    content = f"x1,y\n1,0\n{cell},1\n" if column == "x1" else f"x1,y\n1,0\n1,{cell}\n"
    assert refusal(nn.DataError, content).startswith(f"a.csv: missing values in {column!r} (1), ")


def test_what_was_assumed_is_told_with_what_is_refused(folder):
    Path("a.csv").write_text("1;2,5;0\n2;3,5;\n")
    with pytest.raises(nn.DataError, match="missing values") as caught:
        nn.load_table("a.csv", 2)
    starts = ["columns are separated by semicolons", "decimals stand behind commas", "the first row is data"]
    assert_notes(caught.value.__notes__, starts)


# Columns and how they are encoded


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_is_never_in_memory_twice(folder, monkeypatch, kind):
    """While a chunk is encoded, those before it are gone, of which X has the numbers; bench/reading.py measures it."""
    monkeypatch.setattr(duck, "CHUNK_BYTES", 2**18)
    frame = pd.DataFrame({"x": np.arange(50_000) / 8, "word": ["a", "b"] * 25_000, "y": [0, 0, 1, 1, 0] * 10_000})
    frame.to_csv("a.csv", index=False) if kind == "csv" else frame.to_parquet("a.parquet")
    encode, chunks = nn.tables.Encoding.encode, []

    def watched(self, values, *arguments, **options):
        chunks.append(weakref.ref(values["x"].base))
        assert [chunk() is not None for chunk in chunks] == [*[False] * (len(chunks) - 1), True]
        return encode(self, values, *arguments, **options)

    monkeypatch.setattr(nn.tables.Encoding, "encode", watched)
    table = nn.load_table(f"a.{kind}")
    assert len(chunks) > 4
    assert np.array_equal(table.X, [frame["x"], frame["word"] == "b"])


@pytest.mark.parametrize("missing", [None, "drop", "mean"])
def test_any_chunks_give_the_same_table(folder, monkeypatch, missing):
    lines = [f"{k},{'' if missing and k % 7 == 3 else k / 4},{'abc'[k % 3]},{k % 2}" for k in range(5000)]
    tables = []
    for rows in (5000, 997):
        monkeypatch.setattr(duck, "CHUNK_ROWS", rows)
        tables.append(load("\n".join(["number,quarter,letter,y", *lines]), missing=missing))
    one, many = tables
    assert one.X.shape[1] == (5000 if missing != "drop" else sum(k % 7 != 3 for k in range(5000)))
    assert (one.X == many.X).all()
    assert (one.y == many.y).all()
    assert one[2:] == many[2:]


def test_wide_tables_are_read_as_fast_as_others(folder):
    """Numbers of a line longer than a file's beginning are numbers, not words."""
    names, numbers = [f"x{k}" for k in range(12_000)], ["0.12345678901234567890"] * 12_000
    Path("a.csv").write_text("\n".join(",".join(row) for row in (names, numbers, numbers)))
    source = nn.tables.open_source("a.csv")
    assert all(isinstance(values, np.ndarray) for values in next(source.chunks(source.names)).values())


def test_words_become_inputs(folder):
    rows = ["F,a,1,TRUE,0", "M,b,2,FALSE,1", "M,c,3,TRUE,1", "F,a,4,TRUE,0", "M,b,5,TRUE,1", "M,c,6,TRUE,0"]
    table = load("sex,job,x1,ok,y\n" + "\n".join(rows))
    assert table.features == ("sex=M", "job=a", "job=b", "job=c", "x1", "ok")
    expected = [[0, 1, 1, 0, 1, 1], [1, 0, 0, 1, 0, 0], [0, 1, 0, 0, 1, 0], [0, 0, 1, 0, 0, 1], [*range(1, 7)]]
    np.testing.assert_array_equal(table.X, [*expected, [1, 0, 1, 1, 1, 1]])
    again = pd.DataFrame({"x1": [7], "job": ["b"], "sex": ["F"], "ok": [False], "more": [None]})
    np.testing.assert_array_equal(table.encoding.read(again, "it"), [[0], [0], [1], [0], [7], [0]])
    again["job"] = "d"
    with pytest.raises(nn.DataError, match=r"^it, column 'job', row 1: 'd' is none of the words in training, 'a', 'b'"):
        table.encoding.read(again, "it")
    ignored = table.encoding.read(again, "it", unknown="ignore")
    np.testing.assert_array_equal(ignored, [[0], [0], [0], [0], [7], [0]])


def test_missing_values_by_their_mean_and_an_input_that_says_so(folder):
    content = "a,s,y\n1,u,0\n?,v,1\n4,,1\n7,u,0\n8,v,NA\n"
    table = load(content, missing="mean")
    assert table.features == ("a", "a missing", "s=v", "s missing")
    np.testing.assert_array_equal(table.X, [[1, 4, 4, 7], [0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]])
    assert "1 of 5 rows lack a value and are left out" in table.notes
    dropped = load(content, missing="drop")
    np.testing.assert_array_equal(dropped.X, [[1, 7], [1, 1]])


# Models that know how a table is encoded


def mixed(m: int = 60) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({"X": draw.normal(size=m), "w1": draw.normal(size=m), "s": draw.choice(["no", "yes"], m)})
    frame["k"] = draw.choice(["u", "v", "w"], m)
    frame["y"] = np.where(frame["X"] > 0, "b", "a")
    frame.loc[3, "w1"], frame.loc[5, "k"], frame.loc[7, "s"] = np.nan, None, None
    return frame


def trained(frame: pd.DataFrame, *, standardized: bool = True, dtype: str = "float64") -> nn.Model:
    table = nn.load_table(frame, missing="mean")
    scale = nn.standardization(table.X) if standardized else None
    X = scale.apply(table.X) if standardized else table.X
    result = nn.fit(X, table.y, nn.init_params(len(X), 4, factor=0.5, dtype=dtype), iterations=20)
    known = {"features": table.features, "target": "y", "labels": table.labels, "encoding": table.encoding}
    return nn.Model.of(result, standardization=scale, **known)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("standardized", [True, False])
def test_onnx_takes_the_columns_as_the_model_does(standardized, dtype):
    """The columns have names that the graph has for its own arrays."""
    runtime = pytest.importorskip("onnxruntime")
    frame = mixed()
    model = trained(frame, standardized=standardized, dtype=dtype)
    session = runtime.InferenceSession(nn.to_onnx(model).SerializeToString())
    columns = {name: frame[name].fillna("") if name in "sk" else frame[name] for name in ("X", "w1", "s", "k")}
    given = {name: column.to_numpy(object if name in "sk" else float)[:, None] for name, column in columns.items()}
    np.testing.assert_allclose(session.run(None, given)[0].T, model.predict_proba(frame), rtol=1e-5, atol=1e-6)
    given["k"][0] = "x"
    with pytest.raises(Exception, match="Unknown Category"):
        session.run(None, given)


def test_saved_models_and_networks_keep_the_encoding_of_a_frame(folder):
    frame = mixed()
    model = trained(frame)
    nn.save("model", model)
    loaded = nn.load("model")
    assert loaded.encoding == model.encoding
    np.testing.assert_array_equal(loaded.predict_proba(frame), model.predict_proba(frame))
    with pytest.raises(nn.DataError, match="the encoding gives the inputs"):
        dataclasses.replace(model, encoding=nn.tables.Encoding.of_numbers(["a"]))
    frame = frame.dropna()
    networks = nn.fit_many(frame, "y", {"seed": [0, 1]}, iterations=5)
    expected = np.stack([model.predict_proba(frame)[0] for model in networks], axis=1)
    nn.save("networks", networks)
    for asked in (networks, nn.load("networks")):
        np.testing.assert_array_equal(asked.predict_proba(frame).to_numpy(), expected)

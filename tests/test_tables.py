"""Files and frames in: what is accepted, and every message that says why something is not."""

import bz2
import csv
import dataclasses
import decimal
import gzip
import io
import itertools
import lzma
import math
import os
import weakref
import zipfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import nn_backend as nn
from nn_backend.marks import load_data
from nn_backend.tables import Form, duck

POSIX = pytest.mark.skipif(os.name != "posix", reason="the message is POSIX's")


def write(name: str, content: str | bytes) -> str:
    Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
    return name


def load(name: str, content: str | bytes, **options) -> nn.Table:
    return nn.load_table(write(name, content), **options)


def as_parquet() -> bytes:
    content = io.BytesIO()
    pd.DataFrame({"x1": [1.5, 2], "y": [0, 1]}).to_parquet(content)
    return content.getvalue()


def refusal(error: type[nn.NNBackendError], source, **options) -> str:
    """Give the message that ``source`` is refused with, having checked that it is one line that can be printed."""
    with pytest.raises(nn.NNBackendError) as caught:
        nn.load_table(source, **options)
    message = str(caught.value)
    assert caught.type is error
    assert message.isprintable()
    return message


# Good input


def test_marks_are_the_articles():
    X, y = nn.load_marks()
    assert X.shape == (3, 395)
    assert y.shape == (1, 395)
    assert X.dtype == y.dtype == np.float64
    assert X[:, :3].T.tolist() == [[5, 6, 6], [5, 5, 6], [7, 8, 10]]
    assert y[0, :3].tolist() == [0, 0, 1]
    assert (X[:, -1].tolist(), y[0, -1]) == ([8, 9, 9], 0)
    assert y.sum() == 265
    assert y[0, :300].sum() == 201
    np.testing.assert_array_equal(y[0], X[2] >= 10)


def test_marks_load_from_any_folder(folder):
    with (Path(__file__).parents[1] / "data" / "marks.csv").open(newline="") as file:
        rows = [[float(cell) for cell in row] for row in itertools.islice(csv.reader(file), 1, None)]
    X, y = nn.load_marks()
    np.testing.assert_array_equal(np.vstack([X, y]).T, rows)


def test_marks_have_names():
    table = load_data("marks")
    assert (table.features, table.target, table.labels) == (("x1", "x2", "x3"), "y", None)


GOOD = "x1,x2,y\n1,2.5,0\n-3,4e1,1\n"


@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        GOOD.rstrip("\n"),
        b"\xef\xbb\xbf" + GOOD.encode(),
        GOOD.replace("\n", "\r\n"),
        b"\xef\xbb\xbf" + b'"x1","x2","y"\r\n1,2.5,0\r\n-3,4e1,1\r\n',
        '"x1",x2,"y"\n"1","2.5","0"\n-3,4e1,1\n',
        " x1 ,\tx2 , y \n 1 , 2.5, 0\n-3 ,  4e1 ,1 \n",
        '"x1 "," x2",y\n1,2.5,0\n-3,4e1,1\n',
        'x1, "x2", "y"\n1, "2.5", "0"\n-3, 4e1, 1\n',
        "x1,x2,y\n\n1,2.5,0\n\n-3,4e1,1\n\n",
    ],
    ids=[
        "plain",
        "no line end",
        "BOM",
        "CRLF",
        "BOM quotes CRLF",
        "quotes",
        "spaces",
        "spaces in quotes",
        "spaces before quotes",
        "blank lines",
    ],
)
def test_csv_in_its_many_spellings(folder, content):
    table = load("a.csv", content)
    np.testing.assert_array_equal(table.X, [[1, -3], [2.5, 40]])
    np.testing.assert_array_equal(table.y, [[0, 1]])
    assert table.X.dtype == table.y.dtype == np.float64
    assert (table.features, table.target, table.labels) == (("x1", "x2"), "y", None)


def test_a_quoted_name_may_hold_a_comma(folder):
    table = load("a.csv", '"height, cm",y\n180,1\n170,0\n')
    assert table.features == ("height, cm",)
    np.testing.assert_array_equal(table.X, [[180, 170]])


def test_a_quoted_name_behind_a_space_may_hold_a_comma(folder):
    table = load("a.csv", 'x1, "height, cm", y\n1, 180, 1\n2, 170, 0\n')
    assert table.features == ("x1", "height, cm")
    np.testing.assert_array_equal(table.X, [[1, 2], [180, 170]])


def test_numbers_are_read_to_the_last_bit(folder):
    values = np.random.RandomState(0).randn(1000) * 10.0 ** np.random.RandomState(1).randint(-300, 300, 1000)
    rows = "".join(f"{float(value)!r},{k % 2}\n" for k, value in enumerate(values))
    np.testing.assert_array_equal(load("a.csv", "x1,y\n" + rows).X[0], values)


@pytest.mark.parametrize("name", ["a.csv.gz", "A.CSV.GZ"])
def test_compressed_csv(folder, name):
    assert load(name, gzip.compress(GOOD.encode())).X.tolist() == [[1, -3], [2.5, 40]]


@pytest.mark.parametrize("give", [str, Path])
def test_a_path_may_be_text_or_a_path(folder, give):
    assert nn.load_table(give(write("A.CSV", GOOD))).X.shape == (2, 2)


def test_parquet_gives_what_it_was_made_of(folder):
    frame = pd.DataFrame({"a": [0.1, -2.5, 1e300], "b": [1, 2, 3], "y": [True, False, True]})
    frame.to_parquet("a.parquet")
    table = nn.load_table("a.parquet")
    np.testing.assert_array_equal(table.X, [[0.1, -2.5, 1e300], [1, 2, 3]])
    np.testing.assert_array_equal(table.y, [[1, 0, 1]])
    assert (table.features, table.labels) == (("a", "b"), ("False", "True"))


def test_a_table_does_not_follow_its_frame():
    frame = pd.DataFrame({"a": [1.0, 2.0], "y": [0.0, 1.0]})
    table = nn.load_table(frame)
    assert not np.shares_memory(table.X, frame["a"].to_numpy())
    assert not np.shares_memory(table.y, frame["y"].to_numpy())


def test_a_frames_index_does_not_matter():
    frame = pd.DataFrame({"a": [1, 2], " y ": [0, 1]}, index=[7, 7])
    assert nn.load_table(frame).y.tolist() == [[0, 1]]


@pytest.mark.parametrize("features", [("x2", "x1"), ["x2", "x1"]])
def test_features_come_in_the_order_named(folder, features):
    table = load("a.csv", "x1,z,x2,y\n1,2,3,0\n4,5,6,1\n", features=features)
    np.testing.assert_array_equal(table.X, [[3, 6], [1, 4]])
    assert table.features == ("x2", "x1")


def test_one_feature_may_be_named_without_a_list(folder):
    table = load("a.csv", "x1,x2,x,y\n1,2,3,0\n4,5,6,1\n", features="x1")
    np.testing.assert_array_equal(table.X, [[1, 4]])
    assert table.features == ("x1",)


def test_the_target_may_stand_anywhere_and_have_any_name(folder):
    table = load("a.csv", "a,won,b\n1,1,2\n3,0,4\n", target="won")
    np.testing.assert_array_equal(table.X, [[1, 3], [2, 4]])
    np.testing.assert_array_equal(table.y, [[1, 0]])
    assert (table.features, table.target) == (("a", "b"), "won")


def test_columns_not_asked_for_may_hold_anything(folder):
    table = load("a.csv", "name,name,x1,y\nAnn,,1,0\nBob,x,2,1\n", features=["x1"])
    np.testing.assert_array_equal(table.X, [[1, 2]])


@pytest.mark.parametrize("target", ["0\n0\n", "1\n1\n", "1.0\n1.0\n"])
def test_a_numeric_target_may_have_one_value(folder, target):
    rows = target.split()
    table = load("a.csv", f"x1,y\n1,{rows[0]}\n2,{rows[1]}\n")
    np.testing.assert_array_equal(table.y, [[float(row) for row in rows]])


@pytest.mark.parametrize(
    ("given", "labels", "expected"),
    [
        (["yes", "no", "yes"], ("no", "yes"), [1, 0, 1]),
        (["b", "a", "a"], ("a", "b"), [1, 0, 0]),
        (["True", "False", "True"], ("False", "True"), [1, 0, 1]),
        (["FALSE", "TRUE", "TRUE"], ("FALSE", "TRUE"), [0, 1, 1]),
        ([" yes ", "yes", "no "], ("no", "yes"), [1, 1, 0]),
        (["ja", "nö", "ja"], ("ja", "nö"), [0, 1, 0]),
    ],
)
def test_two_words_become_0_and_1_in_their_order(folder, given, labels, expected):
    table = load("a.csv", "x1,y\n" + "".join(f"{k},{word}\n" for k, word in enumerate(given)))
    np.testing.assert_array_equal(table.y, [expected])
    assert table.y.dtype == np.float64
    assert table.labels == labels


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([True, False]),
        pd.Series([True, False], dtype="boolean"),
        pd.Series([True, False], dtype=object),
        pd.Series([True, False], dtype="bool[pyarrow]"),
        pd.Series(["True", "False"], dtype="category"),
        pd.Series(["True", "False"], dtype="string"),
    ],
    ids=lambda column: str(column.dtype),
)
def test_booleans_of_every_dtype_are_targets(column):
    table = nn.load_table(pd.DataFrame({"a": [1, 2], "y": column}))
    np.testing.assert_array_equal(table.y, [[1, 0]])
    assert table.labels == ("False", "True")


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "UInt8", "int8", "float16", "int64[pyarrow]", "Sparse[int64]"])
def test_numbers_of_every_dtype_are_taken(dtype):
    table = nn.load_table(pd.DataFrame({"a": [1, 2], "y": [1, 0]}).astype(dtype))
    np.testing.assert_array_equal(table.X, [[1, 2]])
    np.testing.assert_array_equal(table.y, [[1, 0]])
    assert table.X.dtype == table.y.dtype == np.float64
    assert table.labels is None


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(["1", " 2.5"]),
        pd.Series([1, 2.5], dtype=object),
        pd.Series([decimal.Decimal(1), decimal.Decimal("2.5")]),
        pd.Series([1, 2.5], dtype="category"),
    ],
    ids=["text", "object", "Decimal", "category"],
)
def test_numbers_in_other_clothes_are_features(column):
    np.testing.assert_array_equal(nn.load_table(pd.DataFrame({"a": column, "y": [0, 1]})).X, [[1, 2.5]])


def test_boolean_features_are_0_and_1():
    np.testing.assert_array_equal(nn.load_table(pd.DataFrame({"a": [True, False], "y": [0, 1]})).X, [[1, 0]])


# Simulated marks


def test_simulated_marks_resemble_the_real_ones():
    real, _ = nn.load_marks()
    X, _ = nn.simulate_marks(50_000)
    np.testing.assert_allclose(X.mean(axis=1), real.mean(axis=1), atol=0.1)
    np.testing.assert_allclose(X.std(axis=1), real.std(axis=1), atol=0.15)
    np.testing.assert_allclose(np.corrcoef(X), np.corrcoef(real), atol=0.02)


def test_simulated_marks_are_marks():
    X, y = nn.simulate_marks(50_000)
    assert set(np.unique(X)) == set(range(21))
    np.testing.assert_array_equal(y[0], X[2] >= 10)
    assert X.dtype == y.dtype == np.float64


def test_simulated_marks_depend_on_the_seed_alone():
    first, again, other = (nn.simulate_marks(100, seed=seed)[0] for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("rows", [1, 2, 1000])
def test_simulated_data_by_name(rows):
    table = load_data(f"simulated:{rows}")
    X, y = nn.simulate_marks(rows)
    np.testing.assert_array_equal(table.X, X)
    np.testing.assert_array_equal(table.y, y)
    assert table.X.shape == (3, rows)
    assert table.features == ("x1", "x2", "x3")


def test_simulated_data_by_name_with_features():
    np.testing.assert_array_equal(load_data("simulated:9", features=["x3"]).X, nn.simulate_marks(9)[0][2:])


@pytest.mark.parametrize("rows", ["abc", "", "-5", "1e5", "1.5", " 5", "٣", "²"])
def test_simulated_needs_a_whole_number(rows):
    with pytest.raises(nn.ArgumentError) as caught:
        load_data(f"simulated:{rows}")
    assert str(caught.value) == (
        f"data is 'simulated:{rows}'; expected simulated:ROWS with 1 to 1000000000000, as in simulated:10000"
    )


@pytest.mark.parametrize("rows", [0, 10**12 + 1])
def test_simulated_rows_are_at_least_one_and_not_beyond_all_memory(rows):
    for simulate in (lambda: nn.simulate_marks(rows), lambda: load_data(f"simulated:{rows}")):
        with pytest.raises(
            nn.ArgumentError, match=rf"^rows is {rows}; expected a whole number from 1 to 1000000000000$"
        ):
            simulate()


@pytest.mark.parametrize("digits", [14, 30, 5000])
def test_simulated_rows_of_many_digits_are_not_repeated_in_full(digits):
    with pytest.raises(nn.ArgumentError) as caught:
        load_data("simulated:" + "9" * digits)
    shown = f"simulated:{'9' * digits}" if digits < 40 else f"simulated:{'9' * 40}…"
    expected = "expected simulated:ROWS with 1 to 1000000000000, as in simulated:10000"
    assert str(caught.value) == f"data is {shown!r}; {expected}"


# Standardization


def test_standardization_is_numpys_mean_and_deviation():
    X, _ = nn.load_marks()
    scale = nn.standardization(X)
    np.testing.assert_allclose(scale.mean, X.mean(axis=1, keepdims=True), rtol=1e-14)
    np.testing.assert_allclose(scale.deviation, X.std(axis=1, keepdims=True), rtol=1e-14)
    scaled = scale.apply(X)
    assert scaled.shape == X.shape
    np.testing.assert_allclose(scaled, (X - X.mean(axis=1, keepdims=True)) / X.std(axis=1, keepdims=True), rtol=1e-12)


def test_standardization_applies_to_other_examples():
    scale = nn.standardization(np.array([[0.0, 4.0], [1.0, 3.0]]))
    np.testing.assert_array_equal(scale.apply(np.array([[6.0], [2.0]])), [[2.0], [0.0]])


def exact_sum(values) -> float:
    return float(sum(map(Fraction, map(float, values))))


def test_standardizations_sums_are_exactly_rounded():
    X = np.random.RandomState(4).randn(3, 501) * [[1.0], [1e-9], [1e12]] + [[1e6], [1.0], [-3.0]]
    scale = nn.standardization(X)
    for row, mean, deviation in zip(X, scale.mean[:, 0], scale.deviation[:, 0], strict=True):
        assert mean == exact_sum(row) / 501
        assert deviation == math.sqrt(exact_sum((row - mean) ** 2) / 501)


def test_sums_are_those_of_fsum_whatever_the_magnitudes():
    draw = np.random.default_rng(0)
    for m in (1, 2, 7, 1000):
        values = draw.normal(size=(40, m)) * 10.0 ** draw.integers(-100, 100, (40, m)) * (draw.random((40, m)) < 0.9)
        values[:, : m // 2] = -values[:, m - m // 2 :] * draw.choice([1, 1 + 2**-52])  # which nearly cancel
        assert nn.tables.exact_sums(values).ravel().tolist() == [math.fsum(row) for row in values.tolist()]


def test_standardization_does_not_depend_on_the_order_of_the_examples():
    X = np.random.RandomState(4).randn(2, 1000) * 1e8
    first, shuffled = nn.standardization(X), nn.standardization(X[:, np.random.RandomState(5).permutation(1000)])
    np.testing.assert_array_equal(first.mean, shuffled.mean)
    np.testing.assert_array_equal(first.deviation, shuffled.deviation)


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
    X = np.array([[1, 2, 3], [low, high, low]])
    with pytest.raises(nn.DataError) as caught:
        nn.standardization(X)
    low, high = (math.nan, math.nan) if math.isnan(high) else (low, high)
    assert str(caught.value) == (
        f"feature 2 lies between {low:g} and {high:g} and cannot be standardised; "
        "expected equal values, or values 1e-150 to 1e+150 apart"
    )


def test_standardization_of_other_examples_may_reach_infinity_without_a_warning():
    scale = nn.standardization(np.array([[1.0, 1.5]]))
    np.testing.assert_array_equal(scale.apply(np.array([[1.7e308, 1.0]])), [[math.inf, -1.0]])


# Files that are not what they should be


@pytest.mark.parametrize("name", ["no.csv", "no.csv.gz", "no/such.csv"])
def test_missing_file(folder, name):
    assert refusal(nn.DataFileError, name) == f"{Path(name)} does not exist; expected a table's file"


@pytest.mark.parametrize("content", [b"", b"\n\n", b"   \n", b"\xef\xbb\xbf", gzip.compress(b"", mtime=0)])
def test_empty_file(folder, content):
    write("a.csv", content)
    assert refusal(nn.DataFileError, "a.csv") == "a.csv is empty; expected a header and one example per row"


@pytest.mark.parametrize("content", ["x1,y\n", "x1,y", "\ufeffx1,y\r\n"])
def test_header_only(folder, content):
    write("a.csv", content)
    assert refusal(nn.DataError, "a.csv") == "a.csv has no rows below its header; expected one example per row"


def test_frame_without_rows():
    message = refusal(nn.DataError, pd.DataFrame({"a": [], "y": []}))
    assert message == "the data frame has no rows below its header; expected one example per row"


@POSIX
def test_file_where_a_folder_should_be(folder):
    write("a.csv", GOOD)
    assert refusal(nn.DataFileError, "a.csv/b.csv") == "a.csv/b.csv does not exist; expected a table's file"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read every file; Windows has no chmod")
def test_unreadable_file(folder):
    write("a.csv", GOOD)
    Path("a.csv").chmod(0)
    assert refusal(nn.DataFileError, "a.csv").startswith("a.csv cannot be read: [Errno 13] Permission denied")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<!DOCTYPE html>\n<html><head></head></html>", "is a web page; expected a table: download the file itself"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", "is a Git LFS pointer"),
        (b"%PDF-1.7\n", "is a PDF document; expected a table"),
        (
            b"% made up\n@relation d\n@attribute a numeric\n@data\n1\n",
            "is an ARFF file; --skip-rows 4 --no-header reads",
        ),
        (b"+1 1:0.5 2:1\n-1 1:2 2:x\n", "is no svmlight file that can be read: "),
        (bytes(range(256)) * 8, "is no text, but binary data; expected a table"),
        (bytes(300), "is no text, but binary data; expected a table"),
        (b"PAR1" + bytes(50) + b"PAR1", "is not a Parquet file: "),
        (b"PK\x03\x04\x14" + bytes(60), "cannot be read: "),
        (gzip.compress(as_parquet(), mtime=0), "holds a file of kind parquet, compressed; unpack it first"),
        (gzip.compress(GOOD.encode() * 1000, mtime=0)[:40], "cannot be read: Compressed file ended"),
        (
            b"x1,y\n" + b"1,ja\n" * 100_000 + "1,nö\n".encode("latin-1"),
            "is not a table of separated values: line 100002",
        ),
        (b'x1,y\n1,0\n"1,1\n', "is not a table of separated values: line 3: a quotation mark is not closed"),
    ],
)
def test_a_file_that_is_no_table_is_named_for_what_it_is(folder, content, said):
    write("a.csv", content)
    assert refusal(nn.DataFileError, "a.csv").startswith(f"a.csv {said}")


def test_the_rows_of_an_arff_file_are_read_as_its_refusal_says(folder):
    write("a.arff", "% made\n@relation d\n@attribute a numeric\n@attribute c {no,yes}\n@data\n1.5,no\n2,yes\n")
    said = "a.arff is an ARFF file; --skip-rows 5 --no-header reads the rows below @data, columns by position"
    assert refusal(nn.DataFileError, "a.arff") == said
    table = nn.load_table("a.arff", -1, form=Form(skip_rows=5, header=False))
    assert (table.X.tolist(), table.y.tolist(), table.labels) == ([[1.5, 2]], [[0, 1]], ("no", "yes"))


@pytest.mark.parametrize("first", [0, 1])
def test_svmlight_rows_are_columns_by_number(folder, first):
    """The first line is longer than what tells most formats."""
    wide = " ".join(f"{first + k}:{k + 0.5}" for k in range(20))
    write("a.csv", f"+1 {wide}\n-1 {first}:2 {first + 2}:-1e-3\n")
    table = nn.load_table("a.csv")
    assert table.features == tuple(str(first + k) for k in range(20))
    expected = [[k + 0.5 for k in range(20)], [2, 0, -1e-3, *[0] * 17]]
    np.testing.assert_array_equal(table.X.T, expected)
    assert (table.y.tolist(), table.labels) == ([[1, 0]], ("-1", "1"))
    assert table.notes == ("an svmlight file: its targets are column y, its features go by their numbers",)


def test_what_was_assumed_is_told_with_what_is_refused(folder):
    write("a.csv", "1;2,5;0\n2;3,5;\n")
    with pytest.raises(nn.DataError, match="missing values") as caught:
        nn.load_table("a.csv", 2)
    starts = ("columns are separated by semicolons", "decimals stand behind commas", "the first row is data")
    for note, start in zip(caught.value.__notes__, starts, strict=True):
        assert note.startswith(start)


def test_groups_are_no_features_and_go_with_their_rows(folder):
    write("a.csv", "a,shop,y\n1,p,0\n2,,1\n3,q,1\n4,p,1\n,p,0\n")
    assert "missing values in 'a' (1), 'shop' (1)" in refusal(nn.DataError, "a.csv", by="shop")
    table = nn.load_table("a.csv", by="shop", missing="drop")
    assert (table.features, table.X.tolist(), table.groups.name) == (("a",), [[1, 3, 4]], "shop")
    assert table.groups.tolist() == ["p", "q", "p"]
    table = nn.load_table("a.csv", by=1, features=["a", "shop"], missing="mean")
    assert table.features == ("a", "a missing", "shop=q")
    assert table.groups.tolist() == ["p", "q", "p", "p"]
    frame = pd.DataFrame({"a": [1, 2], "n": [7.0, 8.0], "y": [0, 1]})
    assert nn.load_table(frame, by="n").groups.dtype == np.int64


def test_a_name_that_was_cut_at_its_comma_is_offered_as_an_option_takes_it(folder):
    write("a.csv", '"x, total",b,y\n1,2,0\n')
    said = refusal(nn.DataError, "a.csv", features=["x", "total", "b"])
    assert said.startswith("""a.csv has no feature column 'x' (is '"x, total"' meant?); its columns are""")


def test_what_gzip_finds_damaged_is_refused(folder):
    """A digit is changed, which only the checksum shows."""
    packed = bytearray(gzip.compress(("x1,y\n" + "12,0\n13,1\n" * 100_000).encode(), 0))
    packed[packed.rindex(b"13") + 1 : packed.rindex(b"13") + 2] = b"4"
    write("a.csv.gz", bytes(packed))
    assert refusal(nn.DataFileError, "a.csv.gz").startswith("a.csv.gz cannot be read: CRC check failed")


@pytest.mark.parametrize(
    ("rows", "line", "fields"),
    [
        ("1,0\n1,0,5\n2,1\n", 3, 3),
        ("1,0,5\n2,1\n", 2, 3),
        ("1,0,5\n2,1,6\n", 2, 3),
        ("0,0,5\n1,1,6\n", 2, 3),
        ("1,0,5,6\n", 2, 3),
        ("1\n1,0\n", 2, 1),
        ("1,0\n1\n", 3, 1),
    ],
)
def test_a_row_with_other_fields_than_the_header(folder, rows, line, fields):
    """Reading on would put numbers under the wrong names, as with a decimal comma."""
    write("a.csv", "x1,y\n" + rows)
    count = "more than 2" if fields > 2 else fields
    said = f"line {line}: {count} fields; expected 2 as in the first row (one that holds the separator is quoted)"
    assert refusal(nn.DataFileError, "a.csv") == f"a.csv is not a table of separated values: {said}"


@pytest.mark.parametrize(
    ("source", "kind"),
    [(np.zeros((2, 3)), "ndarray"), ([[1, 0]], "list"), ({"x1": [1], "y": [0]}, "dict"), (None, "NoneType")],
)
def test_neither_file_nor_frame(source, kind):
    assert refusal(nn.ArrayTypeError, source) == (
        f"the source is of type {kind}; expected a path or a pandas DataFrame. "
        "Arrays need no loading: pass X (n0, m) and y (1, m) to fit"
    )


# Columns that are not there, or not once

NAME_IT = ": name the one to predict (--target -1 is the last, {!r})"


def test_missing_target(folder):
    write("a.csv", "x1,z\n1,0\n")
    said = "a.csv has no target column 'y'; its columns are 'x1', 'z'" + NAME_IT.format("z")
    assert refusal(nn.DataError, "a.csv") == said


def test_missing_target_in_a_frame():
    message = refusal(nn.DataError, pd.DataFrame({"x1": [1], "z": [0]}))
    assert message == "the data frame has no target column 'y'; its columns are 'x1', 'z'" + NAME_IT.format("z")


def test_missing_feature(folder):
    write("a.csv", GOOD)
    message = refusal(nn.DataError, "a.csv", features=["x1", "x7"])
    assert message == "a.csv has no feature column 'x7'; its columns are 'x1', 'x2', 'y'"


@pytest.mark.parametrize("header", ["x1,x1,y", "x1,x1 ,y", 'x1,"x1",y'])
def test_feature_that_stands_twice(folder, header):
    write("a.csv", header + "\n1,2,0\n")
    assert (
        refusal(nn.DataError, "a.csv")
        == "a.csv has 2 columns named 'x1'; rename all but one, or leave them out: --drop x1"
    )


def test_target_that_stands_thrice(folder):
    write("a.csv", "x1,y,y,y\n1,2,0,0\n")
    assert (
        refusal(nn.DataError, "a.csv")
        == "a.csv has 3 columns named 'y'; rename all but one, or leave them out: --drop y"
    )


def test_frame_with_a_column_twice():
    message = refusal(nn.DataError, pd.DataFrame([[1, 2, 0]], columns=["a", "a", "y"]))
    assert message == "the data frame has 2 columns named 'a'; rename all but one, or leave them out: --drop a"


def test_target_named_as_feature(folder):
    write("a.csv", GOOD)
    message = refusal(nn.ArgumentError, "a.csv", features=["x1", "y"])
    assert message == "column 'y' is the target and cannot be a feature; leave it out of the features"


def test_feature_named_twice(folder):
    write("a.csv", GOOD)
    message = refusal(nn.ArgumentError, "a.csv", features=["x1", "x2", "x1"])
    assert message == "features are 'x1', 'x2', 'x1'; each may be named once"


@pytest.mark.parametrize(("content", "features"), [("y\n1\n", None), (GOOD, [])], ids=["no column", "none chosen"])
def test_no_feature(folder, content, features):
    write("a.csv", content)
    message = refusal(nn.DataError, "a.csv", features=features)
    assert message == "a.csv has no feature column; expected at least one beside the target 'y'"


def test_a_name_that_cannot_be_printed_does_not_break_the_line(folder):
    write("a.csv", '"x\n1",z\n1,0\n')
    assert (
        refusal(nn.DataError, "a.csv")
        == rf"a.csv has no target column 'y'; its columns are 'x\n1', 'z'{NAME_IT.format('z')}"
    )


def test_many_and_long_names_are_cut(folder):
    write("a.csv", f"{'x' * 60},{','.join('abcdefghij')}\n" + "1," * 10 + "1\n")
    shown = f"'{'x' * 50}', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', …"
    assert refusal(
        nn.DataError, "a.csv"
    ) == f"a.csv has no target column 'y'; its columns are {shown}" + NAME_IT.format("j")


# Values that are not finite numbers


@pytest.mark.parametrize("word", ["abc", "1;5", "0x10", "1 000", "--", "True"])
def test_text_in_a_numeric_column(folder, word):
    """Of few values it would be a column of words."""
    rows = [*map(str, range(20)), word, *map(str, range(20))]
    write("a.csv", "x1,x2,y\n" + "".join(f"1,{cell},{k % 2}\n" for k, cell in enumerate(rows)))
    message = refusal(nn.DataError, "a.csv")
    assert message == f"a.csv: column 'x2', row 21: {word!r} is not a number; expected a number in every row"


def test_the_row_is_counted_in_a_long_file(folder):
    write("a.csv", "x1,y\n" + "".join(f"{k},{k % 2}\n" for k in range(99_999)) + "abc,1\n")
    message = refusal(nn.DataError, "a.csv")
    assert message == "a.csv: column 'x1', row 100000: 'abc' is not a number; expected a number in every row"


def test_dates_are_no_numbers():
    message = refusal(nn.DataError, pd.DataFrame({"day": pd.date_range("2020-01-01", periods=4), "y": [0, 1, 0, 1]}))
    assert message == (
        "the data frame: too many different words in 'day' (4 in 4 rows): leave them out with --drop day"
    )


MISSES = (
    "missing values in {0!r} (1), the first in column {0!r}, row 2: --missing mean puts means in their place, "
    "--missing drop leaves out such rows"
)


@pytest.mark.parametrize("cell", ["", "NaN", "nan", "  ", "NA", "?", "#N/A", "null", "None", "-", ".", "missing", " ?"])
@pytest.mark.parametrize("column", ["x1", "y"])
def test_missing_number(folder, column, cell):
    write("a.csv", f"x1,y\n1,0\n{cell},1\n" if column == "x1" else f"x1,y\n1,0\n1,{cell}\n")
    message = refusal(nn.DataError, "a.csv")
    assert message.startswith(f"a.csv: {MISSES.format(column)}")


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([1, None], dtype="Int64"),
        pd.Series([1.0, None], dtype="Float64"),
        pd.Series([True, None], dtype="boolean"),
        pd.Series([1.0, np.nan]),
        pd.Series(["1", None]),
        pd.Series([1, None], dtype="int64[pyarrow]"),
        pd.Series([1, pd.NA], dtype=object),
    ],
    ids=lambda column: str(column.dtype),
)
def test_missing_number_in_a_frame(column):
    message = refusal(nn.DataError, pd.DataFrame({"a": column, "y": [0, 1]}))
    assert message == f"the data frame: {MISSES.format('a')}"


@pytest.mark.parametrize("word", ["inf", "-inf", "Infinity"])
def test_infinite_number(folder, word):
    write("a.csv", f"x1,y\n1,0\n{word},1\n")
    message = refusal(nn.DataError, "a.csv")
    assert message == "a.csv: column 'x1', row 2: the value is infinite; expected finite numbers"


@pytest.mark.parametrize("word", ["1e999", "-1e999", "9" * 400], ids=["1e999", "-1e999", "400 digits"])
def test_number_beyond_float64(folder, word):
    write("a.csv", f"x1,y\n1,0\n{word},1\n")
    message = refusal(nn.DataError, "a.csv")
    assert message == "a.csv: column 'x1', row 2: the value is infinite; expected finite numbers"


def test_infinite_number_in_text_and_in_the_target():
    message = refusal(nn.DataError, pd.DataFrame({"a": ["1", "inf"], "y": [0, 1]}))
    assert message == "the data frame: column 'a', row 2: the value is infinite; expected finite numbers"
    message = refusal(nn.DataError, pd.DataFrame({"a": [1, 2], "y": [0, np.inf]}))
    assert message == "the data frame, column 'y', row 2: the value is infinite; expected finite numbers"


@pytest.mark.parametrize("column", ["a", "y"])
def test_complex_numbers(column):
    frame = pd.DataFrame({"a": [1, 2], "y": [0, 1]})
    frame[column] = frame[column] * 1j
    message = refusal(nn.DataError, frame)
    assert message == f"the data frame, column {column!r}: the values are complex; expected real numbers"


# Targets of other kinds

SIXTEEN = [str(k) for k in range(16)]


@pytest.mark.parametrize(
    ("words", "task", "output", "labels", "first"),
    [
        ("cabcab", None, "softmax", ("a", "b", "c"), [0, 0, 1]),
        (["yes", "Yes", "no"] * 2, None, "softmax", ("Yes", "no", "yes"), [0, 0, 1]),
        ("1212", None, "sigmoid", ("1", "2"), [0]),
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
    table = load("a.csv", "x1,y\n" + "".join(f"1,{word}\n" for word in words), task=task)
    assert (table.output, table.labels) == (output, labels)
    assert table.y.dtype == np.float64
    assert table.y.shape == (len(first), len(words))
    np.testing.assert_array_equal(table.y[:, 0], first)
    if output == "softmax":
        np.testing.assert_array_equal(table.y.sum(axis=0), 1)
    frame = pd.DataFrame({"y": list(words)})
    np.testing.assert_array_equal(nn.tables.read_targets(frame, "y", labels, "a.csv", output=output), table.y)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            "kjihgfedcba",
            "has 11 values in 11 rows ('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', …), too many for "
            "classes; expected classes that recur, or numbers",
        ),
        (["yes", "yes"], "has one value ('yes'); expected two classes or more"),
        (["True", "True"], "has one value ('True'); expected two classes or more"),
        ("22", "has one value ('2'); expected two classes or more"),
    ],
)
def test_target_without_classes(folder, words, said):
    write("a.csv", "x1,y\n" + "".join(f"1,{word}\n" for word in words))
    assert refusal(nn.DataError, "a.csv") == f"a.csv, target 'y' {said}"


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


def test_unknown_task(folder):
    write("a.csv", "x1,y\n1,0\n")
    assert refusal(nn.ArgumentError, "a.csv", task="clustering") == (
        "task is 'clustering'; accepted: classification, regression"
    )


@pytest.mark.parametrize(
    ("labels", "column", "said"),
    [
        (None, [0, 2], "row 2: 2 is neither 0 nor 1; expected only these, as in training"),
        (("no", "yes"), ["no", "perhaps"], "row 2: 'perhaps' is neither 'no' nor 'yes'; expected one of these"),
        (("1", "2", "3"), ["1.0", "4"], "row 2: '4' is none of '1', '2', '3'; expected one of these"),
    ],
)
def test_targets_unlike_those_in_training(labels, column, said):
    with pytest.raises(nn.DataError) as caught:
        nn.tables.read_targets(pd.DataFrame({"y": column}), "y", labels, "a.csv")
    assert str(caught.value) == f"a.csv, target 'y', {said}"


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(["a", "b", None]),
        pd.Series(["a", "b", None], dtype="string"),
        pd.Series(["a", "b", None], dtype="category"),
        pd.Series([True, False, None], dtype="boolean"),
        pd.Series([True, False, None], dtype=object),
    ],
    ids=["str", "string", "category", "boolean", "object"],
)
def test_missing_word_in_the_target(column):
    message = refusal(nn.DataError, pd.DataFrame({"a": [1, 2, 3], "y": column}))
    assert message.startswith("the data frame: missing values in 'y' (1), the first in column 'y', row 3: ")


# Forms of text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("x1;x2;y\n1,5;2;0\n-3,25;4;1\n", ["columns are separated by semicolons", "decimals stand behind commas"]),
        ("x1\tx2\ty\n1.5\t2\t0\n-3.25\t4\t1\n", ["columns are separated by tabs"]),
        ("x1|x2|y\n1.5|2|0\n-3.25|4|1\n", ["columns are separated by bars"]),
        ("  x1   x2 y\n 1.5    2 0\n-3.25   4 1\n", ["columns are separated by blanks"]),
        ("sep=;\r\nx1;x2;y\r\n1.5;2;0\r\n-3.25;4;1\r\n", ["columns are separated by semicolons"]),
        ("# made\n# up\nx1,x2,y\n1.5,2,0\n# within\n-3.25,4,1\n", ["lines that begin with # are left out"]),
        ("A title\n\nof two lines\nx1,x2,y\n1.5,2,0\n-3.25,4,1\n1,1,1\n", ["3 lines above the header are left out"]),
        ('x1,x2,y\n"1.5",$2,0\n-3.25,"$4",1\n', ["column x2: read as numbers, as in '$2'"]),
        ("x1,x2,y\n1.5,2,0\n-3.25,4,1\n,,\n , ,\n", ["2 empty rows left out"]),
        ("x1,x2,y,\n1.5,2,0\n-3.25,4,1\n", []),
        ("x1,x2,y,\n1.5,2,0,\n-3.25,4,1,\n", ["empty columns are left out: 'Unnamed: 3'"]),
        (",x1,x2,y\n0,1.5,2,0\n1,-3.25,4,1\n", ["the first column has no name and is left out"]),
        ("x1,x2,y\r1.5,2,0\r-3.25,4,1\r", []),
    ],
)
def test_forms_of_text(folder, content, said):
    table = load("a.csv", content)
    np.testing.assert_array_equal(table.X[:, :2], [[1.5, -3.25], [2, 4]])
    assert table.features == ("x1", "x2")
    assert [note[: len(start)] for note, start in zip(table.notes, said, strict=True)] == said


@pytest.mark.parametrize(
    ("pack", "said"),
    [
        (str.encode, []),
        (lambda text: text.encode("utf-16"), ["read as text in utf-16"]),
        (lambda text: text.encode("cp1252"), ["read as text in cp1252"]),
        (lambda text: gzip.compress(text.encode("cp1252")), ["read as text in cp1252"]),
        (lambda text: b"\xef\xbb\xbf" + text.encode(), []),
        (lambda text: gzip.compress(text.encode()), []),
        (lambda text: bz2.compress(text.encode()), []),
        (lambda text: lzma.compress(text.encode()), []),
        (lambda text: zipped(text.encode()), []),
    ],
)
def test_packings_and_encodings_whatever_the_name(folder, pack, said):
    table = load("a.dat", pack("höhe,y\n1.5,nö\n2,ja\n"))
    np.testing.assert_array_equal((table.X, table.y), [[[1.5, 2]], [[1, 0]]])
    assert (table.features, table.labels) == (("höhe",), ("ja", "nö"))
    assert [note[: len(start)] for note, start in zip(table.notes, said, strict=True)] == said


def zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("inner.csv", content)
    return file.getvalue()


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
    table = load("a.csv", rows, target=-1, missing="drop")
    assert table.features == names
    assert table.X.shape[1] == rows.count("\n") - ("?" in rows) - (not names[0].isdecimal())


FRAME = pd.DataFrame({"x1": [1.5, -3.25, 0.1], "word": ["u", "v", "w"] * 1, "y": ["a", "b", "a"]})


@pytest.mark.parametrize(
    ("name", "put"),
    [
        ("a.parquet", lambda frame, path: frame.to_parquet(path)),
        ("a.jsonl", lambda frame, path: frame.to_json(path, orient="records", lines=True)),
        ("a.json", lambda frame, path: frame.to_json(path, orient="records")),
        ("a.feather", lambda frame, path: frame.to_feather(path)),
        ("a.orc", lambda frame, path: frame.to_orc(path)),
        ("parts/1.csv", lambda frame, path: frame.to_csv(path, index=False)),
        ("[odd].csv", lambda frame, path: frame.to_csv(path, index=False)),
    ],
)
def test_files_of_other_kinds_are_the_frame(folder, name, put):
    frame = pd.concat([FRAME, FRAME], ignore_index=True)
    expected = nn.load_table(frame)
    Path("parts").mkdir()
    put(frame, name)
    sources = [name] if "/" not in name else [name, "parts", "parts/*.csv"]
    for source in sources:
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
    write("a.csv", "\n".join(["number,quarter,letter,y", *lines]))
    tables = []
    for rows in (5000, 997):
        monkeypatch.setattr(duck, "CHUNK_ROWS", rows)
        tables.append(nn.load_table("a.csv", missing=missing))
    one, many = tables
    assert one.X.shape[1] == (5000 if missing != "drop" else sum(k % 7 != 3 for k in range(5000)))
    assert (one.X == many.X).all()
    assert (one.y == many.y).all()
    assert one[2:] == many[2:]


def test_wide_tables_are_read_as_fast_as_others(folder):
    """Numbers of a line longer than a file's beginning are numbers, not words."""
    columns = 12_000
    write(
        "a.csv",
        "\n".join(
            [
                ",".join(f"x{k}" for k in range(columns)),
                *([",".join(["0.12345678901234567890"] * (columns - 1) + ["1"])] * 2),
            ]
        ),
    )
    source = nn.tables.open_source("a.csv")
    chunk = next(source.chunks(source.names))
    assert all(isinstance(values, np.ndarray) for values in chunk.values())


def test_words_become_inputs(folder):
    rows = ["F,a,1,TRUE,0", "M,b,2,FALSE,1", "M,c,3,TRUE,1", "F,a,4,TRUE,0", "M,b,5,TRUE,1", "M,c,6,TRUE,0"]
    table = load("a.csv", "sex,job,x1,ok,y\n" + "\n".join(rows))
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
    table = load("a.csv", content, missing="mean")
    assert table.features == ("a", "a missing", "s=v", "s missing")
    np.testing.assert_array_equal(table.X, [[1, 4, 4, 7], [0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]])
    assert "1 of 5 rows lack a value and are left out" in table.notes
    dropped = load("a.csv", content, missing="drop")
    np.testing.assert_array_equal(dropped.X, [[1, 7], [1, 1]])


def test_all_that_stands_in_the_way_is_said_at_once(folder):
    rows = "".join(
        f"{'?' if k == 1 else k % 7},name{k},ticket{k},{'inf' if k == 2 else 1},{k % 2}\n" for k in range(20)
    )
    write("a.csv", "a,name,ticket,b,y\n" + rows)
    assert refusal(nn.DataError, "a.csv") == (
        "a.csv: column 'b', row 3: the value is infinite; expected finite numbers; too many different words in 'name' "
        "(20 in 20 rows), 'ticket' (20 in 20 rows): leave them out with --drop name,ticket; missing values in 'a' (1), "
        "the first in column 'a', row 2: --missing mean puts means in their place, --missing drop leaves out such rows"
    )
    assert load("b.csv", "a,name,y\n1,p,0\n2,q,1\n3,r,1\n", drop="name").features == ("a",)


@pytest.mark.parametrize("train_rows", [3, 7, 12])
def test_each_part_has_its_share_of_every_class(train_rows):
    y = np.repeat(np.eye(3), [4, 8, 12], axis=1)
    train, test = nn.tables.split_rows(y, 2 * train_rows, seed=5)
    np.testing.assert_array_equal(np.sort(np.r_[train, test]), np.arange(24))
    assert np.abs(y[:, train].sum(axis=1) - np.array([4, 8, 12]) * train_rows / 12).max() < 1
    np.testing.assert_array_equal(nn.tables.split_rows(y, 5, how="first")[0], np.arange(5))


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


def test_a_saved_model_keeps_its_encoding(folder):
    frame = mixed()
    model = trained(frame)
    nn.save("model", model)
    loaded = nn.load("model")
    assert loaded.encoding == model.encoding
    np.testing.assert_array_equal(loaded.predict_proba(frame), model.predict_proba(frame))
    with pytest.raises(nn.DataError, match="the encoding gives the inputs"):
        dataclasses.replace(model, encoding=nn.tables.Encoding.of_numbers(["a"]))


def test_networks_keep_the_encoding_of_a_frame(folder):
    frame = mixed().dropna()
    networks = nn.fit_many(frame, "y", {"seed": [0, 1]}, iterations=5)
    expected = np.stack([model.predict_proba(frame)[0] for model in networks], axis=1)
    nn.save("networks", networks)
    for asked in (networks, nn.load("networks")):
        np.testing.assert_array_equal(asked.predict_proba(frame).to_numpy(), expected)

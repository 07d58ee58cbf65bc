"""Pictures: what stands in them is compared with sums by hand."""

import html
import itertools
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import files_in
from matplotlib.axes import Axes

import nn_backend as nn
from nn_backend.plots import FORMATS, check_plot, plot_network, plot_times, plot_training

HISTORY = pd.DataFrame({"iteration": [0, 10, 20], "cost": [0.69, 0.5, 0.4], "accuracy": [0.5, 0.6, 0.75]})
Y = np.array([[0, 0, 0, 0, 1, 1, 1, 0, 1, 1]])
YHAT = np.array([[0.1, 0.6, 0.2, 0.5, 0.9, 0.4, 0.7, 0.3, 0.5, 0.8]])
MAGIC = {"png": b"\x89PNG\r\n\x1a\n", "svg": b"<?xml ", "pdf": b"%PDF-"}
END = {"png": b"IEND\xaeB`\x82", "svg": b"</svg>\n", "pdf": b"%%EOF\n"}


def texts(path: Path | str) -> list[str]:
    """Give the texts of an SVG, which Matplotlib draws as shapes and repeats in comments."""
    content = Path(path).read_text(encoding="utf-8")
    assert ElementTree.fromstring(content).tag == "{http://www.w3.org/2000/svg}svg"
    return [html.unescape(text) for text in re.findall(r"<!-- (.*?) -->", content)]


def draw(figures: list, history: pd.DataFrame = HISTORY, **options) -> list[Axes]:
    """Give the panels of a picture that is not written."""
    plot_training(Path("a.svg"), history, **options)
    return figures[-1].axes


def labels_of(axis) -> list[str]:
    return [label.get_text() for label in axis.get_ticklabels()]


def counts_in(panel: Axes) -> dict[tuple[float, float], str]:
    """Give what is written at each place of the confusion matrix, by the true and the predicted value."""
    found = {text.get_position()[::-1]: text.get_text() for text in panel.texts}
    assert len(found) == len(panel.texts)
    return found


def counts(true: np.ndarray, predicted: np.ndarray, classes: int = 2) -> dict[tuple[float, float], str]:
    """Count by hand what `counts_in` reads."""
    pairs = list(zip(true, predicted, strict=True))
    return {place: str(pairs.count(place)) for place in itertools.product(range(classes), repeat=2)}


# Files


@pytest.mark.parametrize(
    ("function", "packages"),
    [
        (check_plot, ["matplotlib"]),
        (lambda path: check_plot(path, classes=True), ["matplotlib", "sklearn"]),
        (lambda path: plot_training(path, HISTORY), ["matplotlib"]),
        (lambda path: plot_training(path, HISTORY, y=Y, yhat=YHAT), ["matplotlib", "sklearn"]),
        (lambda path: plot_times(path, {}, ""), ["matplotlib"]),
        (lambda path: plot_network(path, {}), ["matplotlib"]),
    ],
)
def test_what_cannot_be_drawn_is_refused_before_the_work(folder, monkeypatch, function, packages):
    """test_commands.py has more of it."""
    with pytest.raises(nn.ArgumentError, match=r"^no[/\\]such[/\\]a\.png .*there is no folder no[/\\]such; create it$"):
        function(Path("no/such/a.png"))
    with pytest.raises(nn.ArgumentError, match=r"^the plot's file is 'a\.png '; expected a name ending in \.png, "):
        function(Path("a.png "))
    for package in packages:
        with monkeypatch.context() as without:
            for name in [name for name in {package, *sys.modules} if name.split(".")[0] == package]:
                without.setitem(sys.modules, name, None)
            with pytest.raises(nn.MissingPackageError, match=rf"^a plot needs ({package}|scikit-learn).*\[plot\]"):
                function(Path("a.png"))
    assert files_in(folder) == []


@pytest.mark.parametrize("name", [*(f"a.{kind}" for kind in FORMATS), "A.PNG", "a.b.Svg"])
def test_the_suffix_chooses_the_format_and_the_same_figures_give_the_same_bytes(folder, monkeypatch, name):
    check_plot(Path(name))
    assert files_in(folder) == []  # accepted, and not begun
    written = []
    for day, cost in ((1_000_000_000, 0.4), (1_700_000_000, 0.4), (0, 0.41)):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", str(day))  # what Matplotlib writes as the date, where it writes one
        plot_training(Path(name), HISTORY.assign(cost=[0.69, 0.5, cost]))
        written.append(Path(name).read_bytes())
    kind = Path(name).suffix.lower().removeprefix(".")
    assert written[0].startswith(MAGIC[kind])
    assert written[0].endswith(END[kind])
    assert written[0] == written[1] != written[2]
    assert files_in(folder) == [name]


def test_the_files_texts_are_areas_counts_and_axes_with_units(folder):
    from matplotlib import pyplot

    plot_training(Path("a.svg"), HISTORY, y=Y, yhat=YHAT, labels=("failed", "passed"))
    assert pyplot.get_fignums() == []  # no figure stays open
    found = texts("a.svg")
    end = found.index("Confusion matrix, test rows")
    assert found[end - 4 : end] == ["3", "2", "1", "4"]
    assert [found.count(text) for text in ("iteration", "failed", "passed")] == [2, 2, 2]
    for text in (
        *("Cost", "training cost (nats per example)", "Accuracy", "training accuracy (share of rows)"),
        *("ROC curve, test rows", "false positive rate (share of the 0s)", "true positive rate (share of the 1s)"),
        *("network (AUC = 0.86)", "Confusion matrix, test rows", "true (rows)", "predicted (rows)"),
    ):
        assert found.count(text) == 1, text


# The training, classes, numbers


@pytest.mark.parametrize("output", ["sigmoid", "softmax", "identity"])
@pytest.mark.parametrize("validated", [False, True])
@pytest.mark.parametrize("rows", [1, 3])
def test_lines_are_the_history_of_the_output(figures, folder, output, validated, rows):
    column, title, names = "accuracy", "Accuracy", ["cost (nats per example)", "accuracy (share of rows)"]
    if output == "identity":
        column, title, names = "r2", "R²", ["cost (half the squared error)", "R²"]
    history = HISTORY.rename(columns={"accuracy": column})
    if validated:
        history = history.assign(**{"validation_cost": [0.7, 0.6, 0.5], f"validation_{column}": [0.4, 0.5, 0.6]})
    history = history[:rows]
    panels = draw(figures, history, output=output)
    assert [panel.get_title() for panel in panels] == ["Cost", title]
    assert [panel.get_ylabel() for panel in panels] == [name if validated else f"training {name}" for name in names]
    for panel, drawn in zip(panels, ("cost", column), strict=True):
        columns = [drawn, f"validation_{drawn}"] if validated else [drawn]
        assert [line.get_xdata().tolist() for line in panel.lines] == [history["iteration"].tolist() for _ in columns]
        assert [line.get_ydata().tolist() for line in panel.lines] == [history[name].tolist() for name in columns]
        assert [line.get_linestyle() for line in panel.lines] == ["-", "--"][: len(columns)]
        told = panel.get_legend()
        assert (told is not None) == validated
        assert not validated or [text.get_text() for text in told.get_texts()] == ["training", "validation"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", range(5))
def test_two_classes_have_a_curve_and_a_matrix(figures, folder, seed, dtype):
    generator = np.random.RandomState(seed)
    y = np.append([0, 1], generator.randint(0, 2, 50 + seed))
    yhat = np.round(np.clip(0.3 * y + 0.7 * generator.rand(len(y)), 0, 1), 2)  # rounded, so that some are equal
    panels = draw(figures, y=y[None].astype(dtype), yhat=yhat[None].astype(dtype), labels=("no", "yes"))
    pairs = [(high > low) + (high == low) / 2 for high in yhat[y == 1] for low in yhat[y == 0]]
    (curve, chance), told = panels[2].lines, panels[2].get_legend().get_texts()
    assert f"network (AUC = {np.mean(pairs):.2f})" in [text.get_text() for text in told]
    rates = {tuple(np.mean(yhat[y == true] >= threshold) for true in (0, 1)) for threshold in [*yhat, np.inf]}
    points = [*map(tuple, curve.get_xydata())]
    assert (points[0], points[-1]) == ((0, 0), (1, 1))
    assert set(points) <= rates
    assert sorted(points) == points
    np.testing.assert_array_equal(chance.get_xydata(), [[0, 0], [1, 1]])
    assert curve.get_linestyle() != chance.get_linestyle()
    assert counts_in(panels[3]) == counts(y, yhat >= 0.5)
    assert (panels[3].get_xlabel(), panels[3].get_ylabel()) == ("predicted (rows)", "true (rows)")
    for axis in (panels[3].xaxis, panels[3].yaxis):
        assert (list(axis.get_ticklocs()), labels_of(axis)) == ([0, 1], ["no", "yes"])


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("yhat", [YHAT, YHAT * 0, YHAT * 0 + 1, YHAT[:, :1]], ids=["both", "all 0", "all 1", "one row"])
def test_test_rows_of_one_class_have_no_curve_but_counts(figures, folder, value, yhat):
    y = np.full_like(yhat, value)
    *_, roc, matrix = draw(figures, y=y, yhat=yhat)
    assert (len(roc.lines), roc.get_legend(), roc.get_title()) == (0, None, "ROC curve, test rows")
    assert [text.get_text() for text in roc.texts] == ["no curve: all test rows are of one class"]
    assert counts_in(matrix) == counts(y[0], yhat[0] >= 0.5)


def test_large_counts_are_not_rounded(figures, folder):
    """100,000 is written 1e+05 where nobody takes care."""
    numbers = [100_000, 20_001, 300_000, 123_456]
    y, yhat = np.repeat([[0, 0, 1, 1], [0.1, 0.9, 0.1, 0.9]], numbers, axis=1)
    found = counts_in(draw(figures, y=y[None], yhat=yhat[None])[3])
    assert [found[place].replace(",", "") for place in sorted(found)] == [*map(str, numbers)]


NAMES = [("<50", "≥ 50 & more"), ("100 $", "a_b^c \\frac"), ("$x$", "$_$"), [f"class {k}" for k in range(15)]]


@pytest.mark.parametrize("labels", [*NAMES, ("及格", "不及格"), ("n" * 80, "y" * 80)], ids=lambda labels: labels[0])
def test_labels_stand_on_both_axes_as_they_are_and_warn_nobody(folder, labels):
    some = {"y": np.eye(15), "yhat": np.eye(15), "output": "softmax"} if len(labels) > 2 else {"y": Y, "yhat": YHAT}
    plot_training(Path("a.svg"), HISTORY, labels=labels, **some)
    found = [text for text in texts("a.svg") if text in labels]
    assert found == [*labels, *labels] or labels not in NAMES  # others are cut, or drawn as boxes
    assert "Confusion matrix, test rows" in texts("a.svg")
    assert "Oblique" not in Path("a.svg").read_text(encoding="utf-8")  # how the x of a formula would be drawn


@pytest.mark.parametrize("labels", [None, ("b", "a", "c", "d"), (1, 2, 5, 7)])
@pytest.mark.parametrize("n2", [2, 3, 4])
def test_classes_have_a_matrix_and_no_curve(figures, folder, n2, labels):
    generator = np.random.RandomState(n2)
    yhat, classes = generator.dirichlet(np.ones(n2), 60).T, generator.randint(0, n2, 60)
    yhat[:, :5] = 1 / n2  # of classes that are equally probable the first is chosen
    names = None if labels is None else labels[:n2]
    panels = draw(figures, output="softmax", y=np.eye(n2)[:, classes], yhat=yhat, labels=names)
    assert [panel.get_title() for panel in panels] == ["Cost", "Accuracy", "Confusion matrix, test rows"]
    chosen = [max(range(n2), key=lambda k, row=row: (row[k], -k)) for row in yhat.T]
    assert counts_in(panels[2]) == counts(classes, chosen, n2)
    for axis in (panels[2].xaxis, panels[2].yaxis):
        assert labels_of(axis) == [str(k) for k in names or range(n2)]


@pytest.mark.parametrize("rows", [1, 40, 20_000])
def test_numbers_are_drawn_against_the_true_ones(figures, folder, rows):
    y = np.random.RandomState(0).normal(50, 9, (1, rows))
    yhat = y + np.cos(np.arange(rows))
    panels = draw(figures, HISTORY.assign(r2=0.5), output="identity", y=y, yhat=yhat)
    assert [panel.get_title() for panel in panels] == ["Cost", "R²", "Predictions, test rows"]
    points, diagonal = panels[2].lines
    np.testing.assert_array_equal(points.get_xydata(), np.concatenate([y, yhat]).T)
    low, high = min(y.min(), yhat.min()), max(y.max(), yhat.max())
    assert diagonal.get_xydata().tolist() == [[low, low], [high, high]]
    assert (panels[2].get_xlabel(), panels[2].get_ylabel()) == ("true", "predicted")


def test_many_numbers_make_no_large_file(folder):
    y = np.random.RandomState(0).normal(50, 9, (1, 20_000))
    plot_training(Path("a.svg"), HISTORY.assign(r2=0.5), output="identity", y=y, yhat=y + 1)
    assert Path("a.svg").stat().st_size < 500_000  # a mark for each would take 2 MB


# Times


def test_times_have_a_line_for_each_name_that_needs_no_colour(figures, folder):
    """Eight can be told apart."""
    times = {f"engine {k}": [(10**j, (k + 1) * 1e-7 * j) for j in range(1, 5 - k % 3)] for k in range(12)}
    plot_times(Path("a.svg"), {name: iter(points) for name, points in times.items()}, "Times of an iteration")
    (axes,) = figures[0].axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert [text.get_text() for text in figures[0].legends[0].get_texts()] == list(times)
    assert [line.get_label() for line in axes.lines] == list(times)
    for line, points in zip(axes.lines, times.values(), strict=True):
        np.testing.assert_allclose(line.get_xydata(), np.array(points) * [1, 1e6], rtol=1e-14)
    assert len({(line.get_marker(), line.get_linestyle()) for line in axes.lines[:8]}) == 8
    assert not {line.get_marker() for line in axes.lines} & {"", " ", "None", None, ",", "."}
    assert {line.get_linestyle() for line in axes.lines} <= {"-", "--", ":", "-."}


@pytest.mark.parametrize("times", [{"one": [(1, 1e-6), (100, 2e-5)], "none": []}, {"none": []}])
def test_times_are_written_and_left_out_where_there_are_none(folder, times):
    plot_times(Path("a.svg"), times, "Times of an iteration")
    found = texts("a.svg")
    for text in (*times, "Times of an iteration", "rows (examples)", "time per iteration (µs)"):
        assert found.count(text) == 1

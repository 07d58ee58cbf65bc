"""Pictures: what stands in them is compared with sums by hand and with scikit-learn's numbers."""

import html
import itertools
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from sklearn.metrics import roc_auc_score

import nn_backend as nn
from nn_backend import plots
from nn_backend.plots import FORMATS, check_plot, plot_times, plot_training

HISTORY = pd.DataFrame({"iteration": [0, 10, 20], "cost": [0.69, 0.5, 0.4], "accuracy": [0.5, 0.6, 0.75]})
Y = np.array([[0, 0, 0, 0, 1, 1, 1, 0, 1, 1]])
YHAT = np.array([[0.1, 0.6, 0.2, 0.5, 0.9, 0.4, 0.7, 0.3, 0.5, 0.8]])
MAGIC = {"png": b"\x89PNG\r\n\x1a\n", "svg": b"<?xml ", "pdf": b"%PDF-"}
END = {"png": b"IEND\xaeB`\x82", "svg": b"</svg>\n", "pdf": b"%%EOF\n"}


@pytest.fixture
def figures(monkeypatch) -> list:
    """Give the figures that are drawn, which are then not written."""
    drawn = []
    monkeypatch.setattr(plots, "save_figure", lambda figure, path: drawn.append(figure))
    return drawn


def texts(path: Path | str) -> list[str]:
    """Give the texts of an SVG, which Matplotlib draws as shapes and repeats in comments."""
    content = Path(path).read_text(encoding="utf-8")
    assert ElementTree.fromstring(content).tag == "{http://www.w3.org/2000/svg}svg"
    return [html.unescape(text) for text in re.findall(r"<!-- (.*?) -->", content)]


def draw(figures: list, **options) -> list[Axes]:
    """Give the four panels of a picture that is not written."""
    plot_training(Path("a.svg"), HISTORY, **options)
    return figures[-1].axes


def auc_in(panel: Axes) -> str:
    (text,) = [text.get_text() for text in panel.get_legend().get_texts() if "network" in text.get_text()]
    return re.fullmatch(r"network \(AUC = (\d\.\d\d)\)", text)[1]


def counts_in(panel: Axes) -> dict[tuple[float, float], str]:
    """Give what is written at each place of the confusion matrix, by the true and the predicted value."""
    found = {text.get_position()[::-1]: text.get_text() for text in panel.texts}
    assert len(found) == len(panel.texts)
    return found


def count(y: np.ndarray, yhat: np.ndarray) -> dict[tuple[float, float], str]:
    """Count by hand what `counts_in` reads."""
    counts = dict.fromkeys(itertools.product((0, 1), (0, 1)), 0)
    for true, probability in zip(y[0], yhat[0], strict=True):
        counts[true, 1 if probability >= 0.5 else 0] += 1
    return {place: str(number) for place, number in counts.items()}


@pytest.fixture(scope="module")
def picture(tmp_path_factory) -> list[str]:
    """Give the texts of a picture of the test rows."""
    path = tmp_path_factory.mktemp("picture") / "a.svg"
    plot_training(path, HISTORY, y=Y, yhat=YHAT, labels=("failed", "passed"))
    return texts(path)


# Before the work


@pytest.mark.parametrize(
    ("function", "packages"),
    [
        (check_plot, ["matplotlib"]),
        (lambda path: check_plot(path, classes=True), ["matplotlib", "sklearn"]),
        (lambda path: plot_training(path, HISTORY), ["matplotlib"]),
        (lambda path: plot_training(path, HISTORY, y=Y, yhat=YHAT), ["matplotlib", "sklearn"]),
        (lambda path: plot_times(path, {}, ""), ["matplotlib"]),
    ],
)
def test_what_cannot_be_drawn_is_refused(folder, monkeypatch, function, packages):
    """test_commands.py has more of it."""
    with pytest.raises(nn.ArgumentError, match=r"^no[/\\]such[/\\]a\.png .*there is no folder no[/\\]such; create it$"):
        function(Path("no/such/a.png"))
    with pytest.raises(nn.ArgumentError, match=r"^the plot's file is 'a\.png '; expected a name ending in \.png, "):
        function(Path("a.png "))
    for package in packages:
        named = package if package == "matplotlib" else "(sklearn|scikit-learn)"
        with monkeypatch.context() as without:
            for name in [name for name in {package, *sys.modules} if name.split(".")[0] == package]:
                without.setitem(sys.modules, name, None)
            said = rf'^a plot needs {named}.*: run "pip install nn-backend\[plot\]"$'
            with pytest.raises(nn.MissingPackageError, match=said):
                function(Path("a.png"))
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", ["a.png", "a.svg", "a.pdf", "A.PNG", "a.b.Svg"])
def test_the_suffix_chooses_the_format(folder, name):
    check_plot(Path(name))
    assert list(folder.iterdir()) == []  # accepted, and not begun
    plot_training(Path(name), HISTORY)
    content = Path(name).read_bytes()
    kind = Path(name).suffix.lower().removeprefix(".")
    assert content.startswith(MAGIC[kind])
    assert content.endswith(END[kind])
    assert [path.name for path in folder.iterdir()] == [name]


# Files


@pytest.mark.parametrize("kind", FORMATS)
def test_the_same_figures_give_the_same_bytes_on_another_day(folder, monkeypatch, kind):
    other = HISTORY.assign(cost=[0.69, 0.5, 0.41])
    for name, day, history in (("a", 1_000_000_000, HISTORY), ("b", 1_700_000_000, HISTORY), ("c", 0, other)):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", str(day))  # what Matplotlib writes as the date, where it writes one
        plot_training(Path(f"{name}.{kind}"), history)
    assert Path(f"a.{kind}").read_bytes() == Path(f"b.{kind}").read_bytes() != Path(f"c.{kind}").read_bytes()


def test_no_figure_stays_open(folder):
    plot_training(Path("a.svg"), HISTORY, y=Y, yhat=YHAT)
    from matplotlib import pyplot

    assert pyplot.get_fignums() == []


# The training


def test_axes_have_names_and_units(picture):
    assert picture.count("iteration") == 2
    for label in (
        "Cost",
        "training cost (nats per example)",
        "Accuracy",
        "training accuracy (share of rows)",
        "ROC curve, test rows",
        "false positive rate (share of the 0s)",
        "true positive rate (share of the 1s)",
        "Confusion matrix, test rows",
        "true (rows)",
        "predicted (rows)",
    ):
        assert picture.count(label) == 1


def test_the_files_texts_are_the_areas_and_counts(picture):
    (area,) = [text for text in picture if text.startswith("network")]
    assert area == f"network (AUC = {roc_auc_score(Y[0], YHAT[0]):.2f})"
    end = picture.index("Confusion matrix, test rows")
    assert picture[end - 4 : end] == ["3", "2", "1", "4"]
    assert (picture.count("failed"), picture.count("passed")) == (2, 2)


@pytest.mark.parametrize(
    ("output", "column", "names"),
    [
        ("sigmoid", "accuracy", ["cost (nats per example)", "accuracy (share of rows)"]),
        ("softmax", "accuracy", ["cost (nats per example)", "accuracy (share of rows)"]),
        ("identity", "r2", ["cost (half the squared error)", "R²"]),
    ],
)
@pytest.mark.parametrize("validated", [False, True])
@pytest.mark.parametrize("rows", [1, 3])
def test_lines_are_the_history_of_the_output(figures, folder, output, column, names, validated, rows):
    history = HISTORY.rename(columns={"accuracy": column})[:rows]
    if validated:
        watched = {"validation_cost": [0.7, 0.6, 0.5], f"validation_{column}": [0.4, 0.5, 0.6]}
        history = history.assign(**{name: values[:rows] for name, values in watched.items()})
    plot_training(Path("a.svg"), history, output=output)
    panels = figures[0].axes
    assert [panel.get_title() for panel in panels] == ["Cost", "R²" if output == "identity" else "Accuracy"]
    assert [panel.get_ylabel() for panel in panels] == [name if validated else f"training {name}" for name in names]
    for panel, drawn in zip(panels, ("cost", column), strict=True):
        columns = [drawn, f"validation_{drawn}"] if validated else [drawn]
        assert [line.get_xdata().tolist() for line in panel.lines] == [history["iteration"].tolist() for _ in columns]
        assert [line.get_ydata().tolist() for line in panel.lines] == [history[name].tolist() for name in columns]
        assert [line.get_linestyle() for line in panel.lines] == ["-", "--"][: len(columns)]
        told = panel.get_legend()
        assert (told is not None) == validated
        assert not validated or [text.get_text() for text in told.get_texts()] == ["training", "validation"]


# ROC curve


def draw_test_rows(seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.RandomState(seed)
    y = generator.randint(0, 2, (1, 50 + seed))
    y[0, :2] = 0, 1
    return y, np.round(np.clip(0.3 * y + 0.7 * generator.rand(*y.shape), 0, 1), 2)  # rounded, so that some are equal


@pytest.mark.parametrize("seed", range(5))
def test_the_area_is_scikit_learns_and_that_of_the_pairs(figures, folder, seed):
    y, yhat = draw_test_rows(seed)
    pairs = [(high > low) + (high == low) / 2 for high in yhat[y == 1] for low in yhat[y == 0]]
    expected = roc_auc_score(y[0], yhat[0])
    assert expected == pytest.approx(sum(pairs) / len(pairs))
    assert auc_in(draw(figures, y=y, yhat=yhat)[2]) == f"{expected:.2f}"


@pytest.mark.parametrize(
    ("yhat", "area"), [(Y * 0.9, "1.00"), (0.9 - Y * 0.8, "0.00"), (Y * 0 + 0.3, "0.50")], ids=["1", "0", "half"]
)
def test_areas_that_need_no_computation(figures, folder, yhat, area):
    assert auc_in(draw(figures, y=Y, yhat=yhat)[2]) == area


def test_the_curves_points_are_rates_at_thresholds(figures, folder):
    y, yhat = draw_test_rows(5)
    curve, chance = draw(figures, y=y, yhat=yhat)[2].lines
    rates = {
        (np.mean(yhat[y == 0] >= threshold), np.mean(yhat[y == 1] >= threshold)) for threshold in [*yhat[0], np.inf]
    }
    points = list(map(tuple, curve.get_xydata()))
    assert (points[0], points[-1]) == ((0, 0), (1, 1))
    assert set(points) <= rates
    assert sorted(points) == points
    np.testing.assert_array_equal(chance.get_xydata(), [[0, 0], [1, 1]])
    assert curve.get_linestyle() != chance.get_linestyle()


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("yhat", [YHAT, YHAT * 0, YHAT * 0 + 1, YHAT[:, :1]], ids=["both", "all 0", "all 1", "one row"])
def test_test_rows_of_one_class_have_no_curve_but_counts(figures, folder, value, yhat):
    y = np.full_like(yhat, value)
    *_, roc, matrix = draw(figures, y=y, yhat=yhat)
    assert (len(roc.lines), roc.get_legend(), roc.get_title()) == (0, None, "ROC curve, test rows")
    assert [text.get_text() for text in roc.texts] == ["no curve: all test rows are of one class"]
    assert counts_in(matrix) == count(y, yhat)


# Confusion matrix


def test_counts_stand_where_the_axes_say(figures, folder):
    panel = draw(figures, y=Y, yhat=YHAT, labels=("no", "yes"))[3]
    assert counts_in(panel) == {(0, 0): "3", (0, 1): "2", (1, 0): "1", (1, 1): "4"}
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("predicted (rows)", "true (rows)")
    for axis in (panel.xaxis, panel.yaxis):
        assert list(axis.get_ticklocs()) == [0, 1]
        assert [label.get_text() for label in axis.get_ticklabels()] == ["no", "yes"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_counts_of_any_rows_are_those_by_hand(figures, folder, dtype):
    for seed in range(5):
        y, yhat = draw_test_rows(seed)
        assert counts_in(draw(figures, y=y.astype(dtype), yhat=yhat.astype(dtype))[3]) == count(y, yhat)


def test_large_counts_are_not_rounded(figures, folder):
    """100,000 is written 1e+05 where nobody takes care."""
    counts = [100_000, 20_001, 300_000, 123_456]
    y = np.repeat([0, 0, 1, 1], counts)[None]
    yhat = np.repeat([0.1, 0.9, 0.1, 0.9], counts)[None]
    found = counts_in(draw(figures, y=y, yhat=yhat)[3])
    assert [found[place].replace(",", "") for place in sorted(found)] == [str(number) for number in counts]


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
    y, names = np.eye(n2)[:, classes], None if labels is None else labels[:n2]
    panels = draw(figures, output="softmax", y=y, yhat=yhat, labels=names)
    assert [panel.get_title() for panel in panels] == ["Cost", "Accuracy", "Confusion matrix, test rows"]
    chosen = [max(range(n2), key=lambda k, row=row: (row[k], -k)) for row in yhat.T]
    pairs = list(zip(classes, chosen, strict=True))
    expected = {(true, k): str(pairs.count((true, k))) for true, k in itertools.product(range(n2), range(n2))}
    assert counts_in(panels[2]) == expected
    for axis in (panels[2].xaxis, panels[2].yaxis):
        assert [label.get_text() for label in axis.get_ticklabels()] == [str(k) for k in names or range(n2)]


# Numbers


@pytest.mark.parametrize("rows", [1, 40, 20_000])
def test_numbers_are_drawn_against_the_true_ones(figures, folder, rows):
    y = np.random.RandomState(0).normal(50, 9, (1, rows))
    yhat = y + np.cos(np.arange(rows))
    plot_training(Path("a.svg"), HISTORY.rename(columns={"accuracy": "r2"}), output="identity", y=y, yhat=yhat)
    panels = figures[0].axes
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

TIMES = {
    "numpy eager": [(100, 2.5e-5), (1000, 1e-4), (10_000, 1.5e-3)],
    "numpy compiled": [(100, 5e-7), (1000, 5e-6)],
    "cupy:0 eager": [(10_000, 2e-4)],
}


def test_times_have_a_line_for_each_name(figures, folder):
    plot_times(Path("a.svg"), {name: iter(points) for name, points in TIMES.items()}, "Times of an iteration")
    (axes,) = figures[0].axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert [text.get_text() for text in figures[0].legends[0].get_texts()] == list(TIMES)
    assert [line.get_label() for line in axes.lines] == list(TIMES)
    for line, points in zip(axes.lines, TIMES.values(), strict=True):
        np.testing.assert_allclose(line.get_xdata(), [rows for rows, _ in points], rtol=1e-14)
        np.testing.assert_allclose(line.get_ydata(), [1e6 * seconds for _, seconds in points], rtol=1e-14)


@pytest.mark.parametrize(
    ("times", "names"), [(TIMES, TIMES), ({"one": [(1, 1e-6)], "none": []}, []), ({"none": []}, [])]
)
def test_times_are_written_and_left_out_where_there_are_none(folder, times, names):
    plot_times(Path("a.svg"), times, "Times of an iteration")
    found = texts("a.svg")
    for text in (*names, "Times of an iteration", "rows (examples)", "time per iteration (µs)"):
        assert found.count(text) == 1


def test_lines_can_be_told_apart_without_colour(figures, folder):
    plot_times(Path("a.svg"), {f"engine {k}": [(1, 1.0), (10, 2.0)] for k in range(12)}, "Times")
    lines = figures[0].axes[0].lines
    assert len(lines) == 12
    for first, second in itertools.combinations(lines[:8], 2):
        assert (first.get_marker(), first.get_linestyle()) != (second.get_marker(), second.get_linestyle())
    assert not {line.get_marker() for line in lines} & {"", " ", "None", None, ",", "."}
    assert {line.get_linestyle() for line in lines} <= {"-", "--", ":", "-."}

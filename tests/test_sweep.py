"""Command sweep: its table, files and pictures against single fits, pandas and NumPy."""

import io
import json
import re
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from commands import Run, run_command

import nn_backend as nn
from nn_backend import sweep_plots
from nn_backend.commands import sweep

X, Y = nn.load_marks()
TRAINED, TESTED = slice(300), slice(300, None)


def read_shown(text: str) -> pd.DataFrame:
    """Return the table that is printed between two blank lines."""
    return pd.read_csv(io.StringIO(text.split("\n\n")[1]), sep=r"\s+")


@pytest.fixture
def run_sweep(run_main, folder):
    """Return a function that runs the command and returns its table, or document, and all of the run."""

    def run_once(typed: str, code: int = 0) -> tuple[Any, Run]:
        done = run_main(sweep.main, *typed.split())
        assert done.code == code, done.err
        return json.loads(done.out) if "--json" in typed else read_shown(done.out), done

    return run_once


@pytest.fixture
def stores(folder) -> pd.DataFrame:
    """A file of three stores, whose name is in a column."""
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({"a": draw.normal(size=90), "store": [*"pqr"] * 30, "b": draw.normal(size=90)})
    frame["sold"] = np.where(frame["a"] + frame["b"] + draw.normal(size=90) > 0, "yes", "no")
    frame.to_csv("stores.csv", index=False)
    return frame


@pytest.mark.parametrize(
    ("option", "typed", "values"),
    [
        ("learning_rate", "8:1:4,0.5,8", [8, 4, 2, 1, 0.5]),
        ("alpha", "0,0.25:1:3", [0, 0.25, 0.5, 1]),
        ("hidden", "1:8:4,8", [1, 2, 4, 8]),
        ("hidden", "1:4:5", [1, 2, 3, 4]),
    ],
)
def test_lists_and_ranges(option, typed, values):
    args = sweep._parser().parse_args([f"--{option.replace('_', '-')}", typed])
    given = getattr(args, "n_hidden" if option == "hidden" else option)
    assert given == pytest.approx(values, rel=1e-14)
    assert (given[0], given[-1]) == (values[0], values[-1])
    assert all(type(number) is (int if option == "hidden" else float) for number in given)


def trained(grid: dict[str, Any], **options: Any) -> nn.Networks:
    return nn.fit_many(X[:, TRAINED], Y[:, TRAINED], grid, **options)


def test_the_table_is_that_of_fit_many(run_sweep):
    typed = "--learning-rate 0.5,5 --hidden 2,3 --seeds 2 --alpha 0.1 --tol 0 --iterations 20 --csv all.csv --save best"
    shown, done = run_sweep(f"{typed} --best 3")
    grid = {"n_hidden": [2, 3], "learning_rate": [0.5, 5], "seed": range(2)}
    networks = trained(grid, alpha=0.1, tol=0, iterations=20)
    pd.testing.assert_frame_equal(pd.read_csv("all.csv"), networks.table, check_dtype=False, check_exact=True)
    assert [*shown] == [*grid, "cost", "accuracy", "iterations", "status"]
    columns = [*shown][:-1]
    np.testing.assert_allclose(shown[columns], networks.table.sort_values("cost")[columns][:3], rtol=1e-3)
    best, model = networks.best(), nn.load("best")
    np.testing.assert_array_equal(model.params.w1, best.params.w1)
    assert (model.features, model.target) == (("x1", "x2", "x3"), "y")
    test = best.score(X[:, TESTED], Y[:, TESTED])
    assert f"\nthe first of them on 95 test rows: cost {test.cost:.4g}, accuracy {test.accuracy:.4g}\n" in done.out
    assert re.search(r"^8 networks \(8 done\) in \d+\.\d\d seconds$", done.out, re.MULTILINE)
    assert done.out.splitlines()[:2] == [
        "8 networks (4 settings × 2 seeds): marks, 300 rows (95 more to test), sigmoid output, features standardised",
        "n_hidden 2, 3, optimizer gd, learning_rate 0.5, 5, alpha 0.1, tol 0, iterations 20, factor 1.155",
    ]


def test_folds_are_ranked_by_their_mean_and_the_best_is_trained_on_all_rows(run_sweep):
    typed = "--hidden 1,3 --seeds 2 --folds 3 --iterations 30 --json --best 9 --csv all.csv --save best"
    document, _ = run_sweep(typed)
    networks = trained({"n_hidden": [1, 3], "seed": range(2)}, cv=3, iterations=30)
    pd.testing.assert_frame_equal(pd.read_csv("all.csv"), networks.table, check_dtype=False, check_exact=True)
    means = networks.table.groupby(["n_hidden", "seed"])[["validation_cost", "cost", "iterations"]].mean()
    ranked = means.sort_values("validation_cost").reset_index()
    found = pd.DataFrame(document["best"])[[*ranked]]
    pd.testing.assert_frame_equal(found, ranked, check_dtype=False, rtol=1e-14)
    best = networks.best()
    np.testing.assert_array_equal(nn.load("best").params.w1, best.params.w1)
    assert document["test"]["cost"] == best.score(X[:, TESTED], Y[:, TESTED]).cost
    assert (document["rows"], document["test_rows"], document["networks"]) == (300, 95, 12)
    assert run_sweep("--seeds 2 --folds 3 --iterations 1")[1].out.startswith("6 networks (2 seeds × 3 folds): marks,")


def test_each_group_has_its_best(run_sweep, stores):
    typed = "--data stores.csv --target sold --by store --hidden 1,2 --iterations 30 --save all --csv all.csv"
    shown, done = run_sweep(typed)
    networks = nn.fit_many(stores, "sold", {"n_hidden": [1, 2], "seed": [0]}, by="store", iterations=30)
    pd.testing.assert_frame_equal(pd.read_csv("all.csv"), networks.table, check_dtype=False, check_exact=True)
    best = networks.table.loc[networks.table.groupby("store")["cost"].idxmin()].sort_values("cost")
    assert shown[["store", "n_hidden"]].to_numpy().tolist() == best[["store", "n_hidden"]].to_numpy().tolist()
    saved = nn.load("all")
    assert (saved.features, saved.labels) == (("a", "b"), ("no", "yes"))
    assert [array.tobytes() for array in saved["q"].params] == [array.tobytes() for array in networks["q"].params]
    assert "6 networks (2 settings × 3 groups by store): stores.csv, 90 rows," in done.out


def test_rows_without_a_group_or_value_are_left_out_with_their_group(run_sweep, stores):
    stores.loc[3, "a"], stores.loc[4, "store"] = None, None
    stores.to_csv("gaps.csv", index=False)
    stores.drop([3, 4]).to_csv("whole.csv", index=False)
    typed = "--missing drop --target sold --by store --iterations 30"
    shown, done = run_sweep(f"--data gaps.csv {typed}")
    assert "2 of 90 rows lack a value and are left out" in done.err
    for source, given in (("whole.csv", None), ("-", Path("whole.csv").read_bytes())):
        done = run_command("sweep", "--data", source, *typed.split(), given=given)
        pd.testing.assert_frame_equal(read_shown(done.out), shown)


def test_resamples_are_ranked_by_what_they_did_not_draw(run_sweep):
    document, _ = run_sweep("--alpha 99,0.1 --bootstrap 6 --iterations 30 --json --save ensemble")
    networks = {alpha: trained({"alpha": [alpha]}, bootstrap=6, iterations=30, seed=0) for alpha in (0.1, 99)}
    assert networks[0.1].oob_score > networks[99].oob_score
    ranked = [(alpha, each.oob_score) for alpha, each in networks.items()]
    assert [(row["alpha"], row["oob_score"]) for row in document["best"]] == ranked
    saved = nn.load("ensemble")
    np.testing.assert_array_equal(saved.params.w2, networks[0.1].params.w2)
    assert saved.oob_score == networks[0.1].oob_score


def test_ctrl_c_keeps_what_is_done(run_sweep, monkeypatch):
    @contextmanager
    def interrupting(unit: str):
        yield lambda done, total: done >= 1.5 and signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(sweep, "progress_bar", interrupting)
    typed = "--hidden 2,3,4 --seeds 1 --iterations 40 --tol 0 --csv all.csv --save best --plot a.svg"
    shown, done = run_sweep(typed, 130)
    written = pd.read_csv("all.csv")
    assert written["status"].tolist() == ["interrupted", "interrupted", "done"]  # the largest is the first
    assert written["cost"].isna().tolist() == [True, False, False]
    assert shown["n_hidden"].tolist() == written.sort_values("cost")["n_hidden"].tolist()
    assert nn.load("best").cost == written["cost"].min()
    assert done.err.splitlines()[-1] == "interrupted: 2 of 3 networks have not ended"
    assert Path("a.svg").exists()


def test_that_all_have_diverged_is_said(run_sweep, stores):
    typed = "--data stores.csv --target a --features b --learning-rate 1e300 --optimizer gd --seeds 3 --json"
    document, done = run_sweep(f"{typed} --csv all.csv --save best --plot a.svg", 2)
    assert done.err.splitlines()[-1].startswith("error: every network has diverged: take lower learning rates")
    assert document["status"] == {"diverged": 3}
    assert pd.read_csv("all.csv")["status"].tolist() == ["diverged"] * 3
    assert not Path("best").exists()
    assert not Path("a.svg").exists()


# Pictures

COSTS = pd.DataFrame(
    {
        "learning_rate": np.repeat([0.01, 1.0, 100.0, 1e4], 6),
        "n_hidden": [2, 4, 8] * 8,
        "cost": np.random.default_rng(0).uniform(0.01, 0.9, 24),
        "status": ["done"] * 18 + ["diverged"] * 6,
    }
)


@pytest.fixture
def draw(monkeypatch, folder):
    """Return a function that draws a picture, and returns its axes without writing it."""
    drawn: list[Any] = []
    monkeypatch.setattr(sweep_plots, "save_figure", lambda figure, path: drawn.append(figure))

    def draw_once(*settings: str, table: pd.DataFrame = COSTS) -> Any:
        sweep_plots.plot_sweep(Path("a.svg"), table, settings)
        drawn[-1].draw_without_rendering()
        return drawn[-1].axes[0]

    return draw_once


def test_a_line_has_its_spread(draw):
    axes = draw("learning_rate")
    line, marks = axes.lines
    values, known = np.unique(COSTS["learning_rate"]), COSTS["cost"].to_numpy().reshape(4, 6)[:3]
    np.testing.assert_array_equal(line.get_xdata(), values)
    np.testing.assert_allclose(line.get_ydata(), [*np.median(known, axis=1), np.nan])
    half, ends = (band.get_paths()[0].vertices for band in axes.collections)
    for low, high, band in ((25, 75, half), (0, 100, ends)):
        edges = np.percentile(known, [low, high], axis=1)
        for rate, *edge in zip(values, *edges, strict=False):
            there = band[band[:, 0] == rate][:, 1]
            assert [there.min(), there.max()] == pytest.approx(edge)
    assert marks.get_xdata().tolist() == [1e4]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("learning rate", "training cost (nats per example)")


def test_hidden_units_have_boxes(draw):
    table = COSTS.assign(validation_cost=COSTS["cost"] + 1)
    axes = draw("n_hidden", table=table)
    known = table[:18].groupby("n_hidden")
    medians = [line for line in axes.lines if line.get_linewidth() == 2]
    assert [line.get_ydata()[0] for line in medians] == pytest.approx(known["validation_cost"].median().tolist())
    boxes = [patch.get_path().vertices[:, 1] for patch in axes.patches]
    quarters = known["validation_cost"].quantile([0.25, 0.75]).unstack().to_numpy()
    assert [(box.min(), box.max()) for box in boxes] == [pytest.approx(pair) for pair in quarters]
    training = axes.lines[-1]
    assert training.get_ydata().tolist() == pytest.approx(table.groupby("n_hidden")["cost"].median().tolist())
    assert [label.get_text() for label in axes.get_xticklabels()] == ["2", "4", "8"]
    assert axes.get_ylabel() == "validation cost (nats per example)"


def test_two_settings_have_a_map(draw):
    axes = draw("learning_rate", "n_hidden")
    expected = COSTS["cost"].to_numpy().reshape(4, 2, 3).mean(axis=1).T  # the median of two
    cells = axes.images[0].get_array()
    np.testing.assert_allclose(cells[:, :3], expected[:, :3])
    assert np.ma.getmaskarray(cells)[:, 3].all()
    texts = [text.get_text() for text in axes.texts]
    assert texts == [f"{value:.2g}" if column < 3 else "×" for row in expected for column, value in enumerate(row)]
    row, column = np.unravel_index(expected[:, :3].argmin(), (3, 3))
    (frame,) = axes.patches
    assert frame.get_xy() == (column - 0.5, row - 0.5)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.01", "1", "100", "1e+04"]
    assert f"lowest median {expected[row, column]:.3g}: learning rate" in axes.get_title()


def test_seeds_alone_have_a_distribution(draw):
    axes = draw()
    costs = COSTS["cost"][:18]
    assert sum(bar.get_height() for bar in axes.patches) == 18
    assert axes.patches[0].get_x() == pytest.approx(costs.min())
    assert axes.lines[0].get_xdata() == pytest.approx([np.median(costs)] * 2)


@pytest.mark.parametrize("settings", [(), ("learning_rate",), ("n_hidden",), ("n_hidden", "learning_rate")])
@pytest.mark.parametrize("kind", ["svg", "png"])
def test_one_network_of_each_can_be_drawn(folder, settings, kind):
    sweep_plots.plot_sweep(Path(f"a.{kind}"), COSTS[:3].assign(learning_rate=[1.0, 2.0, 3.0]), settings)
    assert Path(f"a.{kind}").stat().st_size > 1000

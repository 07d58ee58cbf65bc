"""The command line as a user meets it: what it prints, where, and with which exit code."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import array_api_strict
import numpy as np
import pytest
from commands import POSIX, Run, files_in, run_command, run_on_terminal, write

import nn_backend as nn
from nn_backend import descent, tables
from nn_backend.commands import train
from nn_backend.measures import balanced_accuracy, roc_auc
from nn_backend.tensors import digest

LABELS = [str(k) for k in range(20)]
KEEP = ["--save", "model", "--onnx", "model.onnx", "--plot", "plot.svg"]


class Training(Run):
    @property
    def rows(self) -> list[tuple[int, float, float]]:
        """The table: iteration, cost, accuracy."""
        found = re.findall(r"^ *(\d+)  +(\S+)  +(\S+)$", self.out, re.MULTILINE)
        return [(int(iteration), float(cost), float(accuracy)) for iteration, cost, accuracy in found]

    @property
    def test_accuracy(self) -> float:
        return float(re.search(r"^test +95 +\d\S+ +(\S+)$", self.out, re.MULTILINE)[1])


@pytest.fixture
def run_here(run_main: Callable[..., Run]) -> Callable[..., Training]:
    return lambda *arguments: Training(*run_main(train.main, *arguments))


# The article's run


def test_article_run_is_the_same_everywhere_and_says_what_ran():
    """The compiled engine fixes the bits, and with them the path of this chaotic run."""
    done = Training(*run_command(module="nn_backend.train"))
    assert (done.code, done.err) == (0, "")
    costs, accuracies = [0.691, 0.317, 0.223, 0.284, 0.196, 0.164], [0.67, 0.94, 0.94, 0.847, 0.913, 0.937]
    assert done.rows == [*zip([0, 1000, 2000, 3000, 4000, 4500], costs, accuracies, strict=True)]
    assert done.test_accuracy == 80 / 95
    first, second, _, fourth = done.out.splitlines()[:4]
    assert re.fullmatch(r"backend numpy, device cpu, engine \w+, dtype float64", first)
    assert second == "marks: 300 rows to train, 95 to test, 3-4-1"
    assert fourth.split() == ["iteration", "cost", "accuracy"]
    assert re.search(r"^\d+\.\d{3} seconds, \d+ iterations per second$", done.out, re.MULTILINE)
    number = r" +-?\d+\.\d{3}"
    w1, b1 = (f"{name}{number * n}\n(  {number * n}\n){{3}}" for name, n in (("w1", 3), ("b1", 1)))
    assert re.search(rf"^{w1}{b1}w2{number * 4}\nb2{number}\n\Z", done.out, re.MULTILINE)


def test_article_run_of_the_eager_engine_ends_in_its_range(run_here):
    """Rounding decides the path: 512 starts that differ in the last bit, and five BLAS kernels, spread this far."""
    done = run_here("--engine", "eager")
    _, cost, accuracy = done.rows[-1]
    assert 0.09 < cost < 0.45
    assert 0.833 <= accuracy <= 0.997
    assert 0.8316 <= done.test_accuracy <= 0.990


@pytest.mark.parametrize("options", [[], ["--threads", "1"], ["--threads", "3"], ["--dtype", "float32"]])
def test_first_300_iterations_are_the_articles(run_here, options):
    done = run_here("--log-every", "100", "--iterations", "300", *options)
    dtype = "float32" if "float32" in options else "float64"
    assert done.out.splitlines()[0].endswith(f", dtype {dtype}")
    costs, accuracies = [0.691, 0.542, 0.475, 0.432], [0.67, 0.74, 0.767, 0.79]
    assert [row[0] for row in done.rows] == [0, 100, 200, 300]
    assert [row[1] for row in done.rows] == pytest.approx(costs, abs=0.0011 if dtype == "float32" else 0)
    assert dtype == "float32" or [row[2] for row in done.rows] == accuracies


def test_no_iteration_gives_the_initial_state_which_is_said_to_be_no_better_than_the_majority(run_here):
    done = run_here("--iterations", "0", "--factor", "0.1")
    assert [row[0] for row in done.rows] == [0]
    assert "\nw1     0.179     0.044     0.010\n" in done.out
    assert "\nw2     0.088     0.171     0.005    -0.040\n" in done.out
    assert "\nnote: the network is no better than always" in done.out
    assert "note:" not in run_here("--iterations", "300", "--standardize").out


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("standardize", [False, True])
def test_json_and_the_saved_network_are_what_fit_gives_in_full_precision(folder, run_here, standardize, dtype):
    options = "--hidden 5 --learning-rate 0.05 --iterations 50 --factor 0.1 --seed 7 --train-rows 250 --log-every 20"
    options = [*options.split(), "--dtype", dtype, "--features", "x3, x1", *["--standardize"] * standardize]
    done = run_here("--json", "--save", "model", "--onnx", "model.onnx", *options)
    assert (done.code, done.err) == (0, "")
    document, model = json.loads(done.out, parse_constant=pytest.fail), nn.load("model")
    X, y = nn.load_marks()
    X = X[[2, 0]]
    assert model.data_sha256 == digest(X[:, :250], y[:, :250])  # see test_export.py
    scale = nn.standardization(X[:, :250]) if standardize else None
    X = X if scale is None else scale.apply(X)
    start = nn.init_params(2, 5, seed=7, factor=0.1, dtype=dtype)
    result = nn.fit(X[:, :250], y[:, :250], start, learning_rate=0.05, iterations=50, log_every=20)
    for name, array in result.params._asdict().items():
        np.testing.assert_array_equal(np.array(document["params"][name], dtype), array, strict=True)
        np.testing.assert_array_equal(getattr(model.params, name), array, strict=True)
    assert document["history"] == result.history.to_dict("records")
    assert [row["iteration"] for row in document["history"]] == [0, 20, 40, 50]
    assert (model.cost, model.accuracy) == result.score[:2]
    score, yhat = nn.score(result.params, X[:, 250:], y[:, 250:]), nn.predict_proba(result.params, X[:, 250:])
    assert document["test"] == {
        "cost": score.cost,
        "accuracy": score.accuracy,
        "majority": 98 / 145,
        "balanced_accuracy": balanced_accuracy(y[:, 250:], yhat),
        "roc_auc": roc_auc(y[:, 250:], yhat),
    }
    assert document["standardization"] == (scale and scale.to_lists())
    assert (model.standardization and model.standardization.to_lists()) == document["standardization"]
    assert Path("model.onnx").read_bytes() == nn.to_onnx(model).SerializeToString()
    settings = {"hidden": 5, "learning_rate": 0.05, "iterations": 50, "factor": 0.1, "seed": 7, "train_rows": 250}
    settings |= {"data": "marks", "split": "first", "optimizer": "gd", "alpha": 0.0, "tol": 0.0, "status": "done"}
    settings |= {"backend": "numpy", "engine": document["engine"], "dtype": dtype}
    assert model.training == settings
    settings |= {"device": "cpu", "features": ["x3", "x1"], "target": "y", "labels": None, "test_rows": 145}
    assert {name: document[name] for name in settings} == settings
    assert document["interrupted"] is False
    assert document["engine"] in ("eager", "compiled")
    assert (model.features, model.target, model.labels) == (("x3", "x1"), "y", None)
    assert document["iterations_per_second"] == pytest.approx(50 / document["seconds"])


# Other data


@pytest.mark.parametrize(
    ("data", "rows", "train_rows"),
    [*(("a.csv", *rows) for rows in [(8, 6), (10, 7), (3, 2), (1, 1)]), ("simulated:1000", 1000, 750)],
)
def test_other_data_train_on_three_quarters(folder, run_here, data, rows, train_rows):
    write("a.csv", ["x1,y", *(f"{k},{k % 2}" for k in range(rows))])
    done = run_here("--data", data, "--iterations", "1")
    assert done.code == 0
    sizes = "1-4-1" if data == "a.csv" else "3-4-1"
    assert f"\n{data}: {train_rows} rows to train, {rows - train_rows} to test, {sizes}\n" in done.out


def test_environment_chooses_the_backend_unless_an_option_does(run_here, monkeypatch):
    monkeypatch.setattr("nn_backend.backend._FACTORIES", dict(nn.backend._FACTORIES))
    device = array_api_strict.Device("CPU_DEVICE")
    nn.register_backend("mine", lambda number: nn.Backend("mine", array_api_strict, device, "my device", device))
    chosen = nn.get_backend("auto")
    said = f"backend {chosen.name}, device {chosen.device_name}, engine "
    assert run_here("--iterations", "1", "--device", "auto").out.startswith(said)
    monkeypatch.setenv("NN_BACKEND", "mine")
    assert run_here("--iterations", "1").out.startswith("backend mine, device my device, engine ")
    assert json.loads(run_here("--iterations", "1", "--json").out)["backend"] == "mine"
    assert run_here("--iterations", "1", "--device", "cpu").out.startswith("backend numpy, device cpu, engine ")


# Runs that do not end as planned


def test_features_too_large_to_standardize(folder, run_here):
    write("a.csv", ["x1,y", *["1e+200,1", "-1e+200,0"] * 4])
    said = "error: feature 'x1' lies between -1e+200 and 1e+200 and cannot be standardised; expected equal values, or "
    assert run_here("--data", "a.csv", "--standardize") == (2, "", f"{said}values 1e-150 to 1e+150 apart\n")


@pytest.mark.parametrize("options", ["--learning-rate 1e308", "--learning-rate 1e+200 --dtype float32"])
def test_divergence_names_iteration_and_remedy_and_leaves_the_old_files(folder, run_here, options):
    for name in KEEP[1::2]:
        Path(name).write_text(f"old {name}")
    done = run_here("--log-every", "1", *options.split(), *KEEP)
    said = re.fullmatch(
        r"error: the (?:cost is|parameters are) no longer finite at iteration (\d+): "
        r"take a learning rate smaller than (1e\+\d+), or standardise the features\n",
        done.err,
    )
    assert [row[0] for row in done.rows] == list(range(int(said[1])))
    assert float(said[2]) == float(options.split()[1])
    assert done.code == 2
    assert run_here("--log-every", "1", *options.split(), "--json") == (2, "", done.err)
    assert {name: Path(name).read_text() for name in files_in(folder)} == {name: f"old {name}" for name in KEEP[1::2]}


def test_thousands_of_weights_are_not_printed(run_here):
    done = run_here("--hidden", "400", "--iterations", "1")
    assert done.out.endswith(
        "\nthe weights are too many to print, w1 (400, 3), b1 (400, 1), w2 (1, 400), b2 (1, 1); --save keeps them\n"
    )


# A terminal, a home that is closed


@POSIX
def test_progress_bar_goes_to_the_terminal_only():
    shown, out = run_on_terminal("stderr", "train", "--iterations", "100", "--log-every", "50")
    assert "training" in shown
    assert [row[0] for row in Training(0, out, "").rows] == [0, 50, 100]
    assert out.isascii()
    assert "\x1b" not in out


@POSIX
@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_a_home_that_cannot_be_written(tmp_path, device):
    home = tmp_path / "home"
    home.write_text("a file, below which not even root can create one")
    folders = dict.fromkeys(["HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "CUPY_CACHE_DIR"], str(home))
    done = Training(*run_command("train", "--iterations", "1", "--device", device, **folders))
    assert (done.code, done.err) == (0, "")
    assert [row[0] for row in done.rows] == [0, 1]


# What is kept: --save, --onnx, --plot


def test_features_and_words_are_said_and_kept(folder, run_here):
    write("a.csv", ["mark,age,passed", "4,20,no", "15,21,yes", "12,22,yes", "3,23,no"])
    arguments = ["--data", "a.csv", "--target", "passed", "--features", "age,mark", "--iterations", "5"]
    done = run_here(*arguments, "--save", "model")
    assert (done.code, done.err) == (0, "target 'passed': 'no' is 0, 'yes' is 1\n")
    model = nn.load("model")
    assert (model.features, model.target, model.labels) == (("age", "mark"), "passed", ("no", "yes"))
    assert (model.training["data"], model.training["train_rows"]) == ("a.csv", 3)
    assert model.params.w1.shape == (4, 2)
    assert json.loads(run_here(*arguments, "--json").out)["labels"] == ["no", "yes"]


@pytest.mark.parametrize("rows", ["300", "395"])
def test_text_document_and_picture_are_of_the_test_rows_where_there_are_some(folder, run_here, rows):
    options = ["--iterations", "200", "--train-rows", rows]
    texts, tested = run_here(*options, "--plot", "a.svg").out, rows == "300"
    assert ("\ntest " in texts) == tested
    texts = re.findall(r"<!-- (.*?) -->", Path("a.svg").read_text())
    assert ("ROC curve, test rows" in texts) == ("Confusion matrix, test rows" in texts) == tested
    assert (json.loads(run_here("--json", *options).out)["test"] is not None) == tested


@pytest.mark.parametrize("options", [[], ["--standardize"]])
def test_text_and_document_agree_with_what_is_kept_which_is_the_same_each_time(folder, run_here, options):
    """Beside old files of these names, and without any."""
    options, contents = ["--iterations", "200", "--log-every", "100", *options], []
    text, document = run_here(*options), json.loads(run_here("--json", *options).out)
    history = [(row["iteration"], round(row["cost"], 3), round(row["accuracy"], 3)) for row in document["history"]]
    assert (text.rows, text.test_accuracy) == (history, document["test"]["accuracy"])
    assert files_in(folder) == []
    untimed = {"seconds": 0, "iterations_per_second": 0}
    for _ in range(2):
        kept = run_here("--json", *options, *KEEP)
        assert (kept.code, kept.err) == (0, "")
        again = json.loads(kept.out, parse_constant=pytest.fail)
        assert {**again, **untimed} == {**document, **untimed}
        assert files_in(folder) == ["model", "model.onnx", "plot.svg"]
        contents.append([Path(name).read_bytes() for name in KEEP[1::2]])
        for name in KEEP[1::2]:
            Path(name).write_bytes(b"old" * 100_000)
    seconds = re.compile(r"^\d+\.\d{3} seconds.*$", re.MULTILINE)
    assert seconds.sub("", run_here(*options, *KEEP).out) == seconds.sub("", text.out)
    assert contents[0] == contents[1] == [Path(name).read_bytes() for name in KEEP[1::2]]
    X, y = nn.load_marks()
    model = nn.load("model")
    assert text.test_accuracy == model.score(X[:, 300:], y[:, 300:]).accuracy
    assert text.rows[-1][1:] == tuple(round(value, 3) for value in model.score(X[:, :300], y[:, :300])[:2])


# Other data, other kinds of network


def test_settings_of_other_data_serve_and_are_printed(run_here):
    document = json.loads(run_here("--json", "--data", "simulated:400").out)
    assert (document["optimizer"], document["learning_rate"], document["status"]) == ("rprop", 0.01, "tol")
    assert document["factor"] == 2 / 3**0.5
    assert (document["alpha"], document["tol"]) == (descent.ALPHA, descent.TOL)
    assert document["standardization"] is not None
    third, fourth = run_here("--data", "simulated:400").out.splitlines()[2:4]
    assert third == "y from x1, x2, x3"
    assert fourth == (
        f"sigmoid output, rprop, learning rate 0.01, alpha {descent.ALPHA:g}, tol {descent.TOL:g}, factor 1.15, "
        f"features standardised"
    )
    assert json.loads(run_here("--json", "--data", "simulated:400", "--learning-rate", "0.1").out)["optimizer"] == "gd"


@pytest.mark.parametrize(
    ("task", "output", "said", "measure"),
    [
        ([], "identity", "target 'y': a number to predict (--task classification takes its values as classes)\n", "r2"),
        (["--task", "regression"], "identity", "", "r2"),
        (["--task", "classification"], "softmax", f"target 'y': 20 classes, {tables.quoted(LABELS)}\n", "accuracy"),
    ],
)
def test_numbers_are_predicted_or_taken_as_classes(folder, run_here, task, output, said, measure):
    draw = np.random.default_rng(0)
    rows = [f"{x},{draw.normal():.3f},{round(x)}" for x in draw.uniform(-0.4, 19.4, 400).round(3)]
    write("a.csv", ["x1,x2,y", *rows])
    arguments = ["--data", "a.csv", "--hidden", "6", "--iterations", "300", *task]
    done = run_here(*arguments)
    assert (done.code, done.err) == (0, said)
    assert f"\niteration      cost  {measure:>8}\n" in done.out
    document = json.loads(run_here(*arguments, "--json").out, parse_constant=pytest.fail)
    assert (document["output"], measure in document["test"]) == (output, True)
    assert document["test"][measure] > {"r2": 0.99, "accuracy": 0.3}[measure]
    assert (document["target_scale"] is None) == (output == "softmax")


def test_early_stopping_keeps_the_best_of_the_rows_held_out(run_here):
    options = ["--early-stopping", "--optimizer", "rprop", "--standardize", "--seed", "5"]
    document = json.loads(run_here("--json", *options).out, parse_constant=pytest.fail)
    costs = [row["validation_cost"] for row in document["history"]]
    assert document["status"] == "patience"
    assert document["best_iteration"] == 10 * int(np.argmin(costs)) == document["iterations"] - 100
    done = run_here(*options)
    ended = f"ended after {document['iterations']} iterations: the lowest cost was at {document['best_iteration']}\n"
    assert ended in done.out
    assert "\ntraining        270 " in done.out
    assert [row[0] for row in done.rows] == [0, document["iterations"]]


def test_a_run_goes_on_from_its_checkpoint(folder, run_here):
    options = ["--json", "--optimizer", "adam", "--log-every", "30", "--checkpoint", "c"]
    whole = json.loads(run_here(*options, "--iterations", "100").out)
    run_here(*options, "--iterations", "45")
    resumed = json.loads(run_here(*options, "--iterations", "100", "--resume").out)
    assert [resumed[name] for name in ("params", "history")] == [whole[name] for name in ("params", "history")]
    done = run_here(*options, "--resume", "--alpha", "1", "--train-rows", "200")
    said = "error: c cannot be resumed: alpha was 0.0 and is 1.0; data differ; expected the same\n"
    assert done == (2, "", said)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize("option", ["--save", "--onnx"])
def test_a_network_that_finds_no_room_is_told_after_its_numbers(folder, run_here, option):
    done = run_here("--iterations", "1", option, "/dev/full")
    assert (done.code, done.err) == (2, "error: /dev/full cannot be written: No space left on device\n")
    assert [row[0] for row in done.rows] == [0, 1]
    assert "\nb2" in done.out

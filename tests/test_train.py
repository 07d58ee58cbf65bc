"""The command line as a user meets it: what it prints, where, and with which exit code."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import array_api_strict
import numpy as np
import pytest
from commands import DOOR, Run, files_in, run_command, write

import nn_backend as nn
from nn_backend import descent, tables
from nn_backend.commands import train
from nn_backend.engines.eager import EagerEngine
from nn_backend.measures import balanced_accuracy, roc_auc
from nn_backend.tensors import digest

POSIX = pytest.mark.skipif(os.name != "posix", reason="signals, pipes and terminals as POSIX has them")
LABELS = [str(k) for k in range(20)]
LONG_RUN = ["--data", "simulated:200000", "--iterations", "100000000", "--log-every", "1"]
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


def run(*arguments: str, **environment: str) -> Training:
    return Training(*run_command("train", *arguments, **environment))


@pytest.fixture
def run_here(run_main: Callable[..., Run]) -> Callable[..., Training]:
    return lambda *arguments: Training(*run_main(train.main, *arguments))


# The article's run


@pytest.fixture(scope="module")
def article() -> Training:
    return Training(*run_command(module="nn_backend.train"))


def test_article_run_is_the_same_everywhere(article):
    """The compiled engine fixes the bits, and with them the path of this chaotic run."""
    assert (article.code, article.err) == (0, "")
    assert [row[0] for row in article.rows] == [0, 1000, 2000, 3000, 4000, 4500]
    assert [row[1] for row in article.rows] == [0.691, 0.317, 0.223, 0.284, 0.196, 0.164]
    assert [row[2] for row in article.rows] == [0.67, 0.94, 0.94, 0.847, 0.913, 0.937]
    assert article.test_accuracy == 80 / 95


def test_article_run_says_what_ran_its_time_and_parameters(article):
    first, second, _, fourth = article.out.splitlines()[:4]
    assert re.fullmatch(r"backend numpy, device cpu, engine \w+, dtype float64", first)
    assert second == "marks: 300 rows to train, 95 to test, 3-4-1"
    assert fourth.split() == ["iteration", "cost", "accuracy"]
    assert re.search(r"^\d+\.\d{3} seconds, \d+ iterations per second$", article.out, re.MULTILINE)
    number = r" +-?\d+\.\d{3}"
    rows = {"w1": [3, 3, 3, 3], "b1": [1, 1, 1, 1], "w2": [4], "b2": [1]}
    pattern = "".join(
        rf"^{name if k == 0 else '  '}{number * columns}\n"
        for name, lines in rows.items()
        for k, columns in enumerate(lines)
    )
    assert re.search(pattern + r"\Z", article.out, re.MULTILINE)


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


def test_no_iteration_gives_the_initial_state(run_here):
    done = run_here("--iterations", "0", "--factor", "0.1")
    assert [row[0] for row in done.rows] == [0]
    assert "\nw1     0.179     0.044     0.010\n" in done.out
    assert "\nw2     0.088     0.171     0.005    -0.040\n" in done.out


# One JSON document


def no_constant(name: str) -> float:
    raise AssertionError(f"{name} is not JSON")


SETTINGS = ["--hidden", "5", "--learning-rate", "0.05", "--iterations", "50", "--factor", "0.1", "--seed", "7"]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_json_is_what_fit_gives_in_full_precision(run_here, dtype):
    done = run_here("--json", "--standardize", "--dtype", dtype, *SETTINGS, "--train-rows", "250", "--log-every", "20")
    assert (done.code, done.err) == (0, "")
    document = json.loads(done.out, parse_constant=no_constant)

    X, y = nn.load_marks()
    scale = nn.standardization(X[:, :250])
    X = scale.apply(X)
    start = nn.init_params(3, 5, seed=7, factor=0.1, dtype=dtype)
    result = nn.fit(X[:, :250], y[:, :250], start, learning_rate=0.05, iterations=50, log_every=20)
    for name, array in result.params._asdict().items():
        np.testing.assert_array_equal(np.array(document["params"][name], dtype), array, strict=True)
    assert document["history"] == result.history.to_dict("records")
    assert [row["iteration"] for row in document["history"]] == [0, 20, 40, 50]
    score, yhat = nn.score(result.params, X[:, 250:], y[:, 250:]), nn.predict_proba(result.params, X[:, 250:])
    assert document["test"] == {
        "cost": score.cost,
        "accuracy": score.accuracy,
        "majority": 98 / 145,
        "balanced_accuracy": balanced_accuracy(y[:, 250:], yhat),
        "roc_auc": roc_auc(y[:, 250:], yhat),
    }
    assert document["standardization"] == {
        "mean": scale.mean[:, 0].tolist(),
        "deviation": scale.deviation[:, 0].tolist(),
    }


def test_json_tells_its_settings(run_here):
    document = json.loads(run_here("--json", *SETTINGS, "--features", "x3, x1").out)
    expected = {
        "backend": "numpy",
        "device": "cpu",
        "dtype": "float64",
        "data": "marks",
        "features": ["x3", "x1"],
        "target": "y",
        "labels": None,
        "train_rows": 300,
        "test_rows": 95,
        "standardization": None,
        "hidden": 5,
        "learning_rate": 0.05,
        "factor": 0.1,
        "seed": 7,
        "iterations": 50,
        "interrupted": False,
    }
    assert {name: document[name] for name in expected} == expected
    assert document["engine"] in ("eager", "compiled")
    assert document["seconds"] > 0
    assert document["iterations_per_second"] == pytest.approx(50 / document["seconds"])
    assert np.shape(document["params"]["w1"]) == (5, 2)


def test_json_and_text_tell_the_same(run_here):
    text = run_here("--iterations", "200", "--log-every", "100")
    document = json.loads(run_here("--iterations", "200", "--log-every", "100", "--json").out)
    assert text.rows == [
        (row["iteration"], round(row["cost"], 3), round(row["accuracy"], 3)) for row in document["history"]
    ]
    assert text.test_accuracy == document["test"]["accuracy"]


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


def test_standardization_sees_the_training_rows_only(folder, run_here):
    write("a.csv", ["x1,y", "1,0", "3,1", "1000,1"])
    done = run_here("--data", "a.csv", "--train-rows", "2", "--standardize", "--iterations", "1", "--json")
    assert json.loads(done.out)["standardization"] == {"mean": [2.0], "deviation": [1.0]}


def test_without_test_rows_no_test_is_reported(run_here):
    done = run_here("--train-rows", "395", "--iterations", "1")
    assert done.code == 0
    assert "test accuracy" not in done.out
    assert json.loads(run_here("--train-rows", "395", "--iterations", "1", "--json").out)["test"] is None


def test_a_network_learns_from_a_file_it_has_not_seen(folder, run_here):
    rows = [f"{a},{b},{'up' if a + b > 0 else 'down'}" for a in range(-6, 7) for b in range(-6, 7) if a + b]
    rows = np.random.RandomState(0).permutation(rows).tolist()
    write("a.csv", ["a,b,way", *rows])
    done = run_here("--data", "a.csv", "--target", "way", "--iterations", "3000", "--json")
    assert json.loads(done.out)["test"]["accuracy"] > 0.95


# Devices


def gpu_problem() -> str | None:
    try:
        nn.get_backend("gpu")
    except nn.BackendUnavailableError as error:
        return str(error)
    return None


def test_auto_says_what_it_chose(run_here):
    expected = "numpy" if gpu_problem() else "cupy:0"
    assert run_here("--device", "auto", "--iterations", "1").out.startswith(f"backend {expected}, device ")


@pytest.fixture
def registered(monkeypatch) -> str:
    monkeypatch.setattr("nn_backend.backend._FACTORIES", dict(nn.backend._FACTORIES))
    device = array_api_strict.Device("CPU_DEVICE")
    nn.register_backend("mine", lambda number: nn.Backend("mine", array_api_strict, device, "my device", device))
    return "mine"


def test_environment_chooses_the_backend_unless_an_option_does(run_here, monkeypatch, registered):
    monkeypatch.setenv("NN_BACKEND", registered)
    assert run_here("--iterations", "1").out.startswith("backend mine, device my device, engine ")
    assert json.loads(run_here("--iterations", "1", "--json").out)["backend"] == "mine"
    assert run_here("--iterations", "1", "--device", "cpu").out.startswith("backend numpy, device cpu, engine ")


# Numbers that do not fit


def test_numbers_too_large_for_float32(folder, run_here):
    write("a.csv", ["x1,y", "1e300,0", "-1e300,1"])
    done = run_here("--data", "a.csv", "--dtype", "float32", "--no-standardize", "--train-rows", "2")
    assert done == (2, "", "error: X holds NaN or infinity (as float32); expected finite numbers\n")


@pytest.mark.parametrize("value", ["1e+200", "1e+300", "1.7e+308"])
def test_features_too_large_to_standardize(folder, run_here, value):
    write("a.csv", ["x1,y", *[f"{value},1", f"-{value},0"] * 4])
    done = run_here("--data", "a.csv", "--standardize")
    assert done == (
        2,
        "",
        f"error: feature 'x1' lies between -{value} and {value} and cannot be standardised; "
        "expected equal values, or values 1e-150 to 1e+150 apart\n",
    )


def test_large_features_are_standardized(folder, run_here):
    write("a.csv", ["x1,y", *["4e149,1", "-4e149,0"] * 4])
    done = run_here("--data", "a.csv", "--standardize", "--train-rows", "8", "--iterations", "100")
    assert done.rows[-1][2] == 1.0


# A run that turns non-finite


@pytest.mark.parametrize("options", ["--learning-rate 1e308", "--learning-rate 1e+200 --dtype float32"])
def test_divergence_names_iteration_and_remedy(run_here, options):
    done = run_here("--log-every", "1", *options.split())
    said = re.fullmatch(
        r"error: the (?:cost is|parameters are) no longer finite at iteration (\d+): "
        r"take a learning rate smaller than (1e\+\d+), or standardise the features\n",
        done.err,
    )
    assert [row[0] for row in done.rows] == list(range(int(said[1])))
    assert float(said[2]) == float(options.split()[1])
    assert done.code == 2
    assert run_here("--log-every", "1", *options.split(), "--json") == (2, "", done.err)


def test_thousands_of_weights_are_not_printed(run_here):
    done = run_here("--hidden", "400", "--iterations", "1")
    assert done.out.endswith(
        "\nthe weights are too many to print, w1 (400, 3), b1 (400, 1), w2 (1, 400), b2 (1, 1); --save keeps them\n"
    )


# Ctrl-C, a terminal, a home that is closed


@POSIX
def test_ctrl_c_gives_the_table_so_far_and_keeps_the_network(folder):
    command = [*DOOR, "train", *LONG_RUN, "--save", "model"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            head = []
            while not head or not head[-1].startswith(f"{3:9d} "):
                head.append(process.stdout.readline())
                assert head[-1], process.stderr.read()
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    done = Training(process.returncode, "".join(head) + out, err)
    assert done.code == 130
    reached = int(re.fullmatch(r"interrupted after (\d+) of 100000000 iterations\n", done.err)[1])
    iterations = [row[0] for row in done.rows]
    assert iterations == list(range(len(iterations)))
    assert reached - iterations[-1] in (0, 1)  # the signal may come between reaching a row and printing it
    assert re.search(r"^\d+\.\d{3} seconds, \d+ iterations per second$", done.out, re.MULTILINE)
    assert re.search(r"^b2 +-?\d+\.\d{3}\n\Z", done.out, re.MULTILINE)
    assert nn.load("model").training["iterations"] == reached
    assert files_in(folder) == ["model"]


def test_ctrl_c_gives_the_state_reached_and_keeps_it(folder, run_here, monkeypatch):
    """Ctrl-C is played before the eager engine's 31st iteration."""
    walk, walked = EagerEngine.descend, [0]

    def descend(self, state, iterations, *others):
        if walked[0] + iterations > 30:
            raise KeyboardInterrupt
        walked[0] += iterations
        return walk(self, state, iterations, *others)

    monkeypatch.setattr(EagerEngine, "descend", descend)
    done = run_here("--engine", "eager", "--log-every", "20", "--iterations", "1000", "--json", *KEEP)
    assert (done.code, done.err) == (130, f"interrupted after {walked[0]} of 1000 iterations\n")
    assert 20 <= walked[0] <= 30
    document, model = json.loads(done.out), nn.load("model")
    assert (document["interrupted"], document["iterations"]) == (True, walked[0])
    assert [row["iteration"] for row in document["history"]] == sorted({0, 20, walked[0]})
    X, y = nn.load_marks()
    expected = nn.fit(X[:, :300], y[:, :300], nn.init_params(3, 4), iterations=walked[0]).params
    for name, array in expected._asdict().items():
        np.testing.assert_allclose(document["params"][name], array, rtol=1e-12)
        assert getattr(model.params, name).tolist() == document["params"][name]
    assert model.training["iterations"] == walked[0]
    assert files_in(folder) == ["model", "model.onnx", "plot.svg"]


@POSIX
def test_progress_bar_goes_to_the_terminal_only():
    terminal, end = os.openpty()
    try:
        process = subprocess.Popen(
            [*DOOR, "train", "--iterations", "100", "--log-every", "50"],
            stdout=subprocess.PIPE,
            stderr=end,
            text=True,
            env={**os.environ, "TERM": "xterm"},
        )
    finally:
        os.close(end)
    shown = b""
    with process, os.fdopen(terminal, "rb", buffering=0) as screen:
        try:
            while block := screen.read(4096):
                shown += block
        except OSError:  # how Linux says that nobody writes any more
            pass
        out = process.stdout.read()
    assert process.returncode == 0
    assert b"training" in shown
    assert [row[0] for row in Training(0, out, "").rows] == [0, 50, 100]
    assert out.isascii()
    assert "\x1b" not in out


@POSIX
@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_a_home_that_cannot_be_written(tmp_path, device):
    home = tmp_path / "home"
    home.write_text("a file, below which not even root can create one")
    folders = dict.fromkeys(["HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "CUPY_CACHE_DIR"], str(home))
    done = run("--iterations", "1", "--device", device, **folders)
    assert (done.code, done.err) == (0, "")
    assert [row[0] for row in done.rows] == [0, 1]


# What is kept: --save, --onnx, --plot


@pytest.mark.parametrize("options", [[], ["--standardize"], ["--dtype", "float32"]])
def test_saved_network_is_the_one_in_the_document(folder, run_here, options):
    done = run_here("--json", "--save", "model", *SETTINGS, "--train-rows", "250", *options)
    assert (done.code, done.err) == (0, "")
    document = json.loads(done.out, parse_constant=no_constant)
    model = nn.load("model")
    for name, array in model.params._asdict().items():
        np.testing.assert_array_equal(array, np.array(document["params"][name], document["dtype"]), strict=True)
    last = document["history"][-1]
    assert (model.cost, model.accuracy) == (last["cost"], last["accuracy"])
    assert (list(model.features), model.target, model.labels) == (["x1", "x2", "x3"], "y", None)
    assert model.data_sha256 == digest(*(array[:, :250] for array in nn.load_marks()))  # see test_export.py
    names = ["backend", "engine", "status", "iterations", "data", "hidden", "dtype", "optimizer", "learning_rate"]
    names += ["alpha", "tol", "factor", "seed"]
    assert model.training == {**{name: document[name] for name in names}, "train_rows": 250, "split": "first"}
    if "--standardize" in options:
        scale = {name: array[:, 0].tolist() for name, array in model.standardization._asdict().items()}
        assert scale == document["standardization"]
    else:
        assert model.standardization is document["standardization"] is None


@pytest.mark.parametrize("options", [[], ["--standardize"]])
def test_saved_network_has_the_accuracy_that_was_told(folder, run_here, options):
    done = run_here("--save", "model", "--iterations", "300", *options)
    X, y = nn.load_marks()
    model = nn.load("model")
    assert done.test_accuracy == model.score(X[:, 300:], y[:, 300:]).accuracy
    assert done.rows[-1][1:] == tuple(round(value, 3) for value in model.score(X[:, :300], y[:, :300])[:2])


def test_features_and_words_are_said_and_kept(folder, run_here):
    write("a.csv", ["mark,age,passed", "4,20,no", "15,21,yes", "12,22,yes", "3,23,no"])
    arguments = ["--data", "a.csv", "--target", "passed", "--features", "age,mark", "--iterations", "5"]
    done = run_here(*arguments, "--save", "model", "--onnx", "model.onnx")
    assert (done.code, done.err) == (0, "target 'passed': 'no' is 0, 'yes' is 1\n")
    model = nn.load("model")
    assert (model.features, model.target, model.labels) == (("age", "mark"), "passed", ("no", "yes"))
    assert (model.training["data"], model.training["train_rows"]) == ("a.csv", 3)
    assert model.params.w1.shape == (4, 2)
    assert json.loads(run_here(*arguments, "--json").out)["labels"] == ["no", "yes"]


def test_network_for_other_runtimes_is_the_saved_one(folder, run_here):
    import onnxruntime

    assert run_here("--save", "model", "--onnx", "model.onnx", "--standardize", "--iterations", "50").code == 0
    X, _ = nn.load_marks()
    session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
    (answer,) = session.run(["probabilities"], {"X": np.ascontiguousarray(X.T)})
    np.testing.assert_allclose(answer.T, nn.load("model").predict_proba(X), rtol=0, atol=1e-12)
    told = {name: json.loads(text) for name, text in session.get_modelmeta().custom_metadata_map.items()}
    assert told == {"features": ["x1", "x2", "x3"], "target": "y"}


@pytest.mark.parametrize("rows", ["300", "395"])
def test_picture_is_of_the_test_rows_where_there_are_some(folder, run_here, rows):
    done = run_here("--plot", "a.svg", "--iterations", "200", "--train-rows", rows)
    assert done.code == 0
    texts = re.findall(r"<!-- (.*?) -->", Path("a.svg").read_text())
    assert ("ROC curve, test rows" in texts) == ("Confusion matrix, test rows" in texts) == (rows == "300")


def test_what_is_kept_changes_nothing_that_is_printed_and_is_the_same_each_time(folder, run_here):
    """Beside old files of these names, and without any."""
    options, contents = ["--json", "--iterations", "20"], []
    text, document = run_here("--iterations", "20").out, json.loads(run_here(*options).out)
    assert files_in(folder) == []
    for _ in range(2):
        kept = run_here(*options, *KEEP)
        assert (kept.code, kept.err) == (0, "")
        again = json.loads(kept.out, parse_constant=no_constant)
        assert {**again, "seconds": 0, "iterations_per_second": 0} == {
            **document,
            "seconds": 0,
            "iterations_per_second": 0,
        }
        assert files_in(folder) == ["model", "model.onnx", "plot.svg"]
        contents.append([Path(name).read_bytes() for name in KEEP[1::2]])
        for name in KEEP[1::2]:
            Path(name).write_bytes(b"old" * 100_000)
    seconds = re.compile(r"^\d+\.\d{3} seconds.*$", re.MULTILINE)
    assert seconds.sub("", run_here("--iterations", "20", *KEEP).out) == seconds.sub("", text)
    assert contents[0] == contents[1] == [Path(name).read_bytes() for name in KEEP[1::2]]


# What cannot be kept is refused before the training


@pytest.fixture
def untrained(monkeypatch) -> None:
    monkeypatch.setattr(train, "fit", lambda *_, **__: pytest.fail("it was trained"))


@pytest.mark.parametrize(
    "options",
    [
        "--save a.svg --onnx a.svg",
        "--save a.svg --plot a.svg",
        "--onnx a.svg --plot ./a.svg",
        "--save model --onnx folder/../model",
        "--save model --onnx link",
        "--save model --checkpoint model",
    ],
)
def test_two_options_that_name_one_file(folder, run_here, untrained, options):
    Path("folder").mkdir()
    Path("link").symlink_to("model")
    one, _, other, _ = options.split()
    said = f"error: {one} and {other} name the same file; choose a name for each\n"
    assert run_here(*options.split()) == (2, "", said)
    assert files_in(folder) == ["folder", "link"]


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


def test_marks_by_name_are_the_articles_run(run_here):
    options = ["--json", "--iterations", "20"]
    ours, named = (json.loads(run_here(*options, *data).out) for data in ([], ["--data", "marks"]))
    assert ours["params"] == named["params"]
    assert (ours["optimizer"], ours["alpha"], ours["tol"], ours["standardization"]) == ("gd", 0.0, 0.0, None)


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
    document = json.loads(run_here(*arguments, "--json").out, parse_constant=no_constant)
    assert (document["output"], measure in document["test"]) == (output, True)
    assert document["test"][measure] > {"r2": 0.99, "accuracy": 0.3}[measure]
    assert (document["target_scale"] is None) == (output == "softmax")


def test_a_network_no_better_than_the_majority_is_said_to_be(run_here):
    assert "\nnote: the network is no better than always" in run_here("--iterations", "1").out
    assert "note:" not in run_here("--iterations", "300", "--standardize").out


def test_early_stopping_keeps_the_best_of_the_rows_held_out(run_here):
    options = ["--early-stopping", "--optimizer", "rprop", "--standardize", "--seed", "5"]
    document = json.loads(run_here("--json", *options).out, parse_constant=no_constant)
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


# Runs that do not end as planned


def test_divergence_leaves_the_old_files(folder, run_here):
    for name in KEEP[1::2]:
        Path(name).write_text(f"old {name}")
    done = run_here("--learning-rate", "1e308", "--log-every", "1", *KEEP)
    assert done.code == 2
    assert "no longer finite" in done.err
    assert {name: Path(name).read_text() for name in files_in(folder)} == {name: f"old {name}" for name in KEEP[1::2]}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize("option", ["--save", "--onnx"])
def test_a_network_that_finds_no_room_is_told_after_its_numbers(folder, run_here, option):
    done = run_here("--iterations", "1", option, "/dev/full")
    assert (done.code, done.err) == (2, "error: /dev/full cannot be written: No space left on device\n")
    assert [row[0] for row in done.rows] == [0, 1]
    assert "\nb2" in done.out

"""What all commands have in common: one door, help, refusals of one line, and how they end."""

import importlib
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from commands import DOOR, Run, files_in, run_command, write

import nn_backend as nn
from nn_backend import __main__ as door
from nn_backend.commands import command_line, signals

POSIX = pytest.mark.skipif(os.name != "posix", reason="signals, pipes and terminals as POSIX has them")
FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
ROOT = Path(nn.__file__).parents[1]
COMMANDS = {name: importlib.import_module(f"nn_backend.commands.{name}") for name in door.COMMANDS}
FORM_OPTIONS = "--sep --decimal --thousands --encoding --header --skip-rows --sheet"
DATA_OPTIONS = f"--data --target --task --features --drop --missing {FORM_OPTIONS}"
OPTIONS = {
    "train": f"--device --engine {DATA_OPTIONS} --train-rows --test-rows --split --hidden --optimizer --learning-rate "
    "--alpha --tol --iterations --early-stopping --factor --seed --dtype --standardize --log-every --threads --json "
    "--checkpoint --checkpoint-every --resume --save --onnx --plot",
    "sweep": f"{DATA_OPTIONS} --hidden --optimizer --learning-rate --alpha --tol --iterations "
    "--factor --seeds --folds --by --bootstrap --standardize --dtype --device --threads --cluster --best --json --csv "
    "--save --plot",
    "predict": f"--model --data --output --keep --target --unknown --device {FORM_OPTIONS}",
    "explain": f"{DATA_OPTIONS} --row --hidden --learning-rate --iterations --factor --seed --json --html --plot",
    "compare": "--device --rows --hidden --dtype --threads --json --plot",
    "verify": "",
    "compiler": "--features --hidden --outputs --dtype --emit",
}
ASK = "predict --model model --data"
CLOSED = "error: standard output is closed; send it to a file, or to /dev/null\n"
LONG_RUN = "train --data simulated:200000 --iterations 100000000 --log-every 1"


@pytest.fixture
def run_here(run_main: Callable[..., Run]) -> Callable[..., Run]:
    return lambda typed: run_main(door.main, *typed.split())


@pytest.fixture
def model(folder: Path) -> nn.Model:
    """A network for the article's data, in the file "model"."""
    draw = np.random.default_rng(0).normal
    params = nn.Params(*(draw(0, 0.6, shape) for shape in ((4, 3), (4, 1), (1, 4), (1, 1))))
    saved = nn.Model(params, features=("x1", "x2", "x3"), target="y")
    nn.save("model", saved)
    return saved


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where work is begun."""
    begun = {"train": "fit", "sweep": "fit_many", "compare": "compare", "predict": "open_source"}
    for name, begin in begun.items():
        monkeypatch.setattr(COMMANDS[name], begin, lambda *_, **__: pytest.fail("it was begun"))


# The door


@pytest.mark.parametrize(("typed", "code"), [("", 2), ("--help", 0)])
def test_the_door_lists_its_commands(run_here, monkeypatch, typed, code):
    monkeypatch.setenv("COLUMNS", "100")
    done = run_here(typed)
    assert (done.code, done.out if code else done.err) == (code, "")
    listed = dict(re.findall(r"^    (\w+) +(\w.*)$", done.out + done.err, re.MULTILINE))
    assert listed == door.COMMANDS


def test_each_command_is_a_file():
    files = {path.stem for path in Path(nn.__file__).parent.joinpath("commands").glob("*.py")}
    assert files - {"__init__", "command_line", "signals"} == set(door.COMMANDS)


def test_the_script_is_the_door(monkeypatch, capsys):
    """What is printed is spelt as it was typed."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    module, _, name = scripts["nn-backend"].partition(":")
    monkeypatch.setattr(sys, "argv", ["/usr/bin/nn-backend", "compiler", "--help"])
    for method in ("listen", "ignore"):  # signals are for this process
        monkeypatch.setattr(signals.Signals, method, lambda self: None)
    with pytest.raises(SystemExit) as ended:
        getattr(importlib.import_module(module), name)()
    shown = capsys.readouterr().out
    assert (ended.value.code, shown.splitlines()[0][:27]) == (0, "usage: nn-backend compiler ")
    assert "\nexample: nn-backend compiler --" in shown


@pytest.mark.parametrize("way", [("nn_backend", "train"), ("nn_backend.train",)], ids=" ".join)
@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("--factor 1e308", "error: factor is 1e+308; the weights would not be finite in float64"),
        (
            "--iterations many",
            "python -m nn_backend train: error: argument --iterations: 'many' is given; expected a whole number, at "
            "least 0 (--help shows what is accepted)",
        ),
    ],
)
def test_wrong_use_ends_a_process_with_code_2(way, typed, said):
    done = subprocess.run([sys.executable, "-m", *way, *typed.split()], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"{said}\n")


@pytest.mark.parametrize(
    ("typed", "spared"),
    [
        ("--help", "pandas llvmlite rich nn_backend.commands.train nn_backend.commands.verify"),
        ("train --iterations 1", "safetensors onnx matplotlib sklearn rich nn_backend.commands.predict"),
        ("explain", "rich matplotlib llvmlite"),
        (f"{ASK} marks --output out.csv", "matplotlib sklearn torch onnx rich nn_backend.commands.train"),
    ],
)
def test_only_what_a_command_needs_is_loaded(model, typed, spared):
    program = (
        "import sys, runpy\ntry:\n    runpy.run_module('nn_backend', run_name='__main__')\n"
        f"except SystemExit as ended:\n    sys.exit(' '.join(set({spared!r}.split()) & set(sys.modules)) or ended.code)"
    )
    done = subprocess.run([sys.executable, "-c", program, *typed.split()], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


# Help


@pytest.mark.parametrize("command", OPTIONS)
def test_help_documents_every_option(run_here, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "200")
    done = run_here(f"{command} --help")
    assert (done.code, done.err) == (0, "")
    found = re.findall(r"^  (?:-h, )?(--[\w-]+)(?:, --no-\w+)?(?: [\w{},]+)?\s{2,}(\w.*)$", done.out, re.MULTILINE)
    assert sorted(name for name, _ in found) == sorted([*OPTIONS[command].split(), "--help"])
    if command == "train":
        defaults = {"--checkpoint-every": "60.0", "--hidden": "4", "--seed": "3"}
        assert all(dict(found)[name].endswith(f"(default: {value})") for name, value in defaults.items())


@POSIX
@pytest.mark.parametrize("command", ["train", "sweep", "predict", "explain", "compiler"])  # compare: test_compare.py
def test_the_example_works_when_pasted(run_here, folder, command):
    example = re.search(r"^example: (.*)$", run_here(f"{command} --help").out, re.MULTILINE)[1]
    beside = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(example, shell=True, capture_output=True, text=True, env=beside, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"python -m nn_backend {command} " in example
    assert done.stdout


# Wrong use: code 2, one line on stderr, nothing on stdout, no work begun

ROWS = "expected whole numbers from 1 to 1000000000000 and commas"
WRONG = {
    "": [("steam", "argument COMMAND: invalid choice: 'steam'"), ("--verbose", "--verbose")],
    "train": [
        ("--iterations -1", "argument --iterations: '-1' is given; expected a whole number, at least 0"),
        ("--iterations 1.5", "argument --iterations: '1.5' is given; expected a whole number, at least 0"),
        ("--iterations", "argument --iterations: expected one argument"),
        ("--log-every 0", "argument --log-every: '0' is given; expected a whole number, at least 1"),
        ("--learning-rate nan", "argument --learning-rate: 'nan' is given; expected a finite number above 0"),
        ("--learning-rate inf", "argument --learning-rate: 'inf' is given; expected a finite number above 0"),
        ("--learning-rate 0", "argument --learning-rate: '0' is given; expected a finite number above 0"),
        ("--learning-rate=-0.2", "argument --learning-rate: '-0.2' is given; expected a finite number above 0"),
        ("--learning-rate fast", "argument --learning-rate: 'fast' is given; expected a finite number above 0"),
        ("--hidden 0", "argument --hidden: '0' is given; expected a whole number from 1 to 2147483647"),
        ("--hidden -1", "argument --hidden: '-1' is given; expected a whole number from 1 to 2147483647"),
        *((f"--hidden {n}", f"argument --hidden: '{n}' is given; expected a whole number") for n in (10**15, 10**26)),
        ("--train-rows 0", "argument --train-rows: '0' is given; expected a whole number, at least 1"),
        ("--train-rows -1", "argument --train-rows: '-1' is given; expected a whole number, at least 1"),
        ("--train-rows 999", "error: --train-rows is 999; expected 1 to 395, the rows of marks"),
        ("--threads 0", "argument --threads: '0' is given; expected a whole number from 1 to 1024"),
        (f"--threads {10**20}", f"argument --threads: '{10**20}' is given; expected a whole number from 1 to 1024"),
        ("--seed -1", "argument --seed: '-1' is given; expected a whole number from 0 to 4294967295"),
        ("--seed 4294967296", "argument --seed: '4294967296' is given; expected a whole number from 0 to 4294967295"),
        ("--factor nan", "argument --factor: 'nan' is given; expected a finite number"),
        ("--factor 1e308", "error: factor is 1e+308; the weights would not be finite in float64"),
        ("--factor 1e100 --dtype float32", "error: factor is 1e+100; the weights would not be finite in float32"),
        ("--engine steam", "argument --engine: invalid choice: 'steam'"),
        ("--dtype float16", "argument --dtype: invalid choice: 'float16'"),
        ("--device tpu", "error: backend 'tpu' is not known; accepted: cpu, gpu, auto, numpy, cupy, cupy:1"),
        ("--device cpu:1", "error: backend numpy:1 is not known: NumPy has no numbered devices; use cpu"),
        ("--device cupy:x", "error: backend 'cupy:x' is not known; accepted: "),
        ("--verbose", "unrecognized arguments: --verbose"),
        ("marks.csv", "unrecognized arguments: marks.csv"),
        ("--features x1,x9", "has no feature column 'x9'; its columns are 'x1', 'x2', 'x3', 'y'"),
        ("--features x1,x1", "error: features are 'x1', 'x1'; each may be named once"),
        ("--features x1,y", "error: column 'y' is the target and cannot be a feature"),
        ("--target x9", "has no target column 'x9'; its columns are 'x1', 'x2', 'x3', 'y'"),
        ("--resume", "error: --resume goes on from a file that --checkpoint names; name it"),
        ("--resume --checkpoint c", "error: c does not exist; expected a checkpoint saved by nn_backend"),
        ("--early-stopping --train-rows 9", "holds a tenth of 9 training rows out; expected at least 10 rows"),
        ("--tol -1", "argument --tol: '-1' is given; expected a finite number, at least 0"),
        ("--optimizer newton", "argument --optimizer: invalid choice: 'newton'"),
        ("--data simulated:abc", "error: data is 'simulated:abc'; expected simulated:ROWS with 1 to 1000000000000"),
        ("--data simulated:0", "error: rows is 0; expected a whole number from 1 to 1000000000000"),
        (
            "--data simulated:9999999999999",
            "error: rows is 9999999999999; expected a whole number from 1 to 1000000000000",
        ),
        (
            "--data simulated:99999999999999",
            "error: data is 'simulated:99999999999999'; expected simulated:ROWS with 1",
        ),
    ],
    "sweep": [
        ("--learning-rate 0.1:1", "argument --learning-rate: '0.1:1' is no number and no range of numbers above 0"),
        ("--learning-rate 0:1:3", "argument --learning-rate: '0:1:3' is no number and no range of numbers above 0"),
        ("--learning-rate 1,,2", "argument --learning-rate: '' is no number"),
        ("--learning-rate 1:2:1", "'1:2:1' is no number and no range"),
        ("--learning-rate 1:inf:3", "'1:inf:3' is no number and no range"),
        ("--learning-rate 0,1", "error: learning_rate is 0.0; expected a finite number above 0"),
        ("--hidden 1.5", "argument --hidden: '1.5' is no whole number and no range of numbers above 0; expected"),
        ("--hidden 0,2", "error: n_hidden is 0; expected a whole number from 1 to 2147483647"),
        ("--iterations=-1", "error: iterations is -1; expected a whole number, at least 0"),
        ("--factor nan", "error: factor is "),
        ("--alpha=-1,1", "error: alpha is "),
        ("--optimizer gd,newton", "argument --optimizer: 'newton' is not known; accepted: gd, nesterov, adam, rprop"),
        ("--seeds 0", "argument --seeds: '0' is given; expected a whole number, at least 1"),
        ("--best many", "argument --best: 'many' is given; expected a whole number, at least 1"),
        ("--folds 5 --bootstrap 9", "argument --bootstrap: not allowed with argument --folds"),
        *(
            (f"--folds {given}", f"argument --folds: '{given}' is given; expected a whole number, at least 2")
            for given in ("1", "2.5", "x")
        ),
        ("--folds 301", "error: cv is 301, which scikit-learn refuses: Cannot have number of splits n_splits=301"),
        ("--bootstrap 0", "argument --bootstrap: '0' is given; expected a whole number, at least 1"),
        ("--by y", "error: column 'y' is the target and cannot tell groups apart; expected another column"),
        ("--cluster nonsense", "error: the cluster's address is 'nonsense'; expected one such as tcp://host:8786"),
        ("--hidden 1,2 --alpha 0,1 --tol 0,1 --plot a.svg", "error: --plot shows one or two settings that differ"),
        ("--save a --csv a", "error: --save and --csv name the same file; choose a name for each"),
        ("--plot a.jpg", "error: the plot's file is 'a.jpg'; expected a name ending in .png, .svg, .pdf"),
        ("--csv missing/a.csv", "error: missing/a.csv cannot be written: there is no folder missing; create it"),
        ("--threads 0", "argument --threads: '0' is given; expected a whole number from 1 to 1024"),
        ("marks.csv", "unrecognized arguments: marks.csv"),
    ],
    "predict": [
        ("", "the following arguments are required: --model, --data"),
        ("--model model", "the following arguments are required: --data"),
        ("--data marks", "the following arguments are required: --model"),
        ("--model model --data marks --rows 3", "unrecognized arguments: --rows 3"),
        ("--model model --data marks --output", "argument --output: expected one argument"),
    ],
    "explain": [
        ("--row 396", "error: --row is 396; expected 1 to 395, the rows of marks"),
        ("--row 0", "argument --row: '0' is given; expected a whole number, at least 1"),
        ("--data simulated:2", "error: --row is 3; expected 1 to 2, the rows of simulated:2"),
        ("--row 2.5", "argument --row: '2.5' is given; expected a whole number, at least 1"),
        ("--row two", "argument --row: 'two' is given; expected a whole number, at least 1"),
        ("--skip-rows -1", "argument --skip-rows: '-1' is given; expected a whole number, at least 0"),
        ("--iterations -1", "argument --iterations: '-1' is given; expected a whole number, at least 0"),
        ("--iterations 1.5", "argument --iterations: '1.5' is given; expected a whole number, at least 0"),
        ("--learning-rate 0", "argument --learning-rate: '0' is given; expected a finite number above 0"),
        ("--learning-rate nan", "argument --learning-rate: 'nan' is given; expected a finite number above 0"),
        ("--learning-rate inf", "argument --learning-rate: 'inf' is given; expected a finite number above 0"),
        ("--hidden 0", "argument --hidden: '0' is given; expected a whole number from 1 to "),
        ("--seed -1", "argument --seed: '-1' is given; expected a whole number from 0 to "),
        ("--factor inf", "argument --factor: 'inf' is given; expected a finite number"),
        ("--target z", "has no target column 'z'; its columns are 'x1', 'x2', 'x3', 'y'"),
        ("--features x9", "has no feature column 'x9'"),
        ("--device gpu", "unrecognized arguments: --device gpu"),
    ],
    "compare": [
        *(
            (f"--rows={given}", f"error: --rows has {shown!r}; {ROWS}")
            for given, shown in [
                *((text, text) for text in ("0", "abc", "", "-5", "²", "٣", "1_000", "1000000000001")),
                ("1,,2", ""),
                ("5,", ""),
                ("5,1e3", "1e3"),
                ("9" * 5000, "9" * 50),
            ]
        ),
        ("--hidden 0", "argument --hidden: '0' is given; expected a whole number from 1 to "),
        ("--hidden 99999999999", "argument --hidden: '99999999999' is given; expected a whole number from 1 to "),
        ("--hidden four", "error: argument --hidden: 'four' is given; expected a whole number from 1 to 2147483647"),
        ("--dtype float16", "error: argument --dtype: invalid choice: 'float16'"),
        ("--threads 0", "argument --threads: '0' is given; expected a whole number from 1 to 1024"),
        ("--threads 1025", "argument --threads: '1025' is given; expected a whole number from 1 to 1024"),
        ("--device nonsense", "error: backend 'nonsense' is not known; accepted: cpu, gpu"),
        ("--device cupy:x", "error: backend 'cupy:x' is not known; accepted: cpu, gpu"),
        ("--device cpu", "error: --device is cpu, which is the CPU here; expected a GPU"),
        ("--device numpy", "error: --device is numpy, which is the CPU here; expected a GPU"),
        ("marks.csv", "error: unrecognized arguments: marks.csv"),
    ],
    "verify": [("now", "error: unrecognized arguments: now")],
    "compiler": [
        ("--hidden 0", "argument --hidden: '0' is given; expected a whole number from 1 to "),
        ("--features -3", "argument --features: '-3' is given; expected a whole number from 1 to "),
        ("--outputs 0", "argument --outputs: '0' is given; expected a whole number from 1 to "),
        ("--emit foo", "argument --emit: invalid choice: 'foo'"),
        ("--dtype float16", "argument --dtype: invalid choice: 'float16'"),
        ("--hidden four", "argument --hidden: 'four' is given; expected a whole number from 1 to 2147483647"),
        ("marks.csv", "unrecognized arguments: marks.csv"),
    ],
}


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize(
    ("typed", "said"), [(f"{name} {typed}", said) for name, cases in WRONG.items() for typed, said in cases]
)
def test_wrong_use(run_here, typed, said):
    with_json = typed.startswith(("train", "sweep", "explain", "compare"))
    for text in (typed, f"{typed} --json") if with_json else (typed,):
        done = run_here(text)
        assert (done.code, done.out) == (2, "")
        assert said in done.err
        assert done.err.count("\n") == 1
        assert done.err.endswith("\n")


@pytest.mark.parametrize(
    ("typed", "variable", "value", "said"),
    [
        *(
            (typed, "NN_BACKEND_THREADS", value, f"is '{value}'; expected a whole number from 1 to 1024")
            for typed in ("train", "compare")
            for value in ("many", "0", "-2")
        ),
        ("train", "NN_BACKEND", "tpu", ": backend 'tpu' is not known; accepted: cpu, gpu, auto.*"),
        (f"{ASK} marks", "NN_BACKEND", "tpu", ": backend 'tpu' is not known; accepted: cpu, gpu, auto.*"),
    ],
)
def test_what_is_wrong_in_the_environment(run_here, model, monkeypatch, typed, variable, value, said):
    monkeypatch.setenv(variable, value)
    done = run_here(typed)
    assert (done.code, done.out) == (2, "")
    assert re.fullmatch(rf"error: environment variable {variable} ?{said}\n", done.err)


@pytest.mark.parametrize("typed", ["train --device gpu", f"{ASK} marks --output out.csv --device gpu", "train", ASK])
def test_a_gpu_that_cannot_be_used(run_here, model, folder, monkeypatch, typed):
    try:
        nn.get_backend("gpu")
    except nn.BackendUnavailableError as error:
        problem = str(error)
    else:
        pytest.skip("a GPU can be used here, so nothing is refused")
    if "--device" not in typed:
        monkeypatch.setenv("NN_BACKEND", "gpu")
    assert run_here(f"{typed} marks" if typed == ASK else typed) == (3, "", f"error: {problem}\n")
    assert problem == nn.diagnose_gpu()
    assert files_in(folder) == ["model"]


@pytest.mark.parametrize(
    ("typed", "package", "extra"),
    [
        ("train --save a", "safetensors", "export"),
        ("train --checkpoint a", "safetensors", "export"),
        ("train --onnx a", "onnx", "export"),
        ("train --plot a.png", "matplotlib", "plot"),
        ("train --plot a.png", "sklearn", "plot"),
        ("sweep --save a", "safetensors", "export"),
        ("sweep --cluster tcp://a:1", "distributed", "cluster"),
        ("compare --plot a.png", "matplotlib", "plot"),
        ("explain --plot a.png", "matplotlib", "plot"),
        (f"{ASK} marks --output a.csv", "safetensors", "export"),
    ],
)
def test_a_missing_package_is_named_before_the_work(run_here, model, folder, idle, monkeypatch, typed, package, extra):
    loaded = [name for name in sys.modules if name.startswith(f"{package}.")]
    for name in (package, *loaded):
        monkeypatch.setitem(sys.modules, name, None)
    done = run_here(typed)
    assert (done.code, done.out) == (2, "")
    assert re.fullmatch(rf'error: .*\b{package}\b.*: run "pip install nn-backend\[{extra}\]"\n', done.err)
    assert files_in(folder) == ["model"]


# Files that cannot be read, and places where nothing can be written


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize("typed", ["train --data", "train --json --data", "explain --data", ASK])
@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("missing.csv", " does not exist; expected a table's file"),
        ("model", " is no text, but binary data; expected a table (--encoding names another)"),
        ("folder.csv", " has no files; expected parts of a table"),
        ("empty.csv", " is empty; expected a header and one example per row"),
        ("page.csv", " is a web page; expected a table: download the file itself, such as its raw form"),
    ],
)
def test_data_that_cannot_be_read(run_here, typed, data, said):
    Path("folder.csv").mkdir()
    Path("empty.csv").touch()
    write("page.csv", ["<!DOCTYPE html>", "<html></html>"])
    assert run_here(f"{typed} {data}") == (2, "", f"error: {data}{said}\n")


READ_AND_WRITE = [*(f"train --data a.csv --{name}" for name in ("save", "onnx", "checkpoint", "plot"))]
READ_AND_WRITE += ["explain --data a.csv --html", "explain --data a.csv --plot"]
READ_AND_WRITE += ["predict --model model --data a.csv --output"]
WRITE = pytest.mark.parametrize("typed", [*READ_AND_WRITE, "train --json --plot", "compare --plot"])


@pytest.fixture
def refused(run_here, model, folder, idle) -> Callable[[str, str], None]:
    """Return a check that a command is refused in these words before its work, and that no file was touched."""
    write("a.csv", ["x1,x2,x3,y", "1,2,3,0", "3,2,1,1"])
    Path("folder.png").mkdir()
    Path("hard.png").hardlink_to("a.csv")
    Path("soft.png").symlink_to("a.csv")

    def check(typed: str, said: str) -> None:
        before = {name: Path(name).read_bytes() for name in ("a.csv", "model")}
        names = files_in(folder)
        assert run_here(typed) == (2, "", f"error: {said}\n")
        assert files_in(folder) == names
        assert {name: Path(name).read_bytes() for name in before} == before

    return check


CLOSED_FOLDER = pytest.mark.skipif(
    os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere, and Windows knows no such folders"
)


@WRITE
@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("missing/a.png", "cannot be written: there is no folder missing; create it"),
        ("a.csv/a.png", "cannot be written: there is no folder a.csv; create it"),
        ("folder.png", "is a folder; expected a file's name"),
        pytest.param("closed/a.png", "cannot be written: no permission; choose another place", marks=CLOSED_FOLDER),
    ],
)
def test_places_where_nothing_can_be_written(refused, typed, path, said):
    Path("closed").mkdir(mode=0o500)
    refused(f"{typed} {path}", f"{path} {said}")


@POSIX
@pytest.mark.parametrize(
    ("typed", "path"),
    [
        *((typed, path) for typed in READ_AND_WRITE for path in ("hard.png", "soft.png")),
        *((typed, path) for typed in READ_AND_WRITE if "plot" not in typed for path in ("a.csv", "../{folder}/a.csv")),
        (READ_AND_WRITE[-1], "model"),
    ],
)
def test_what_is_read_is_not_written_over(refused, folder, typed, path):
    path = path.format(folder=folder.name)
    refused(f"{typed} {path}", f"{path} is also read; writing there would lose what it holds, choose another name")


@POSIX
@pytest.mark.parametrize(
    ("typed", "name"),
    [
        (f"{ASK} a.csv >> a.csv", "/dev/stdout"),
        ("train --data a.csv --json >> a.csv", "/dev/stdout"),
        (f"{ASK} - --output a.csv < a.csv", "a.csv"),
    ],
)
def test_one_file_is_not_read_and_written_through_the_standard_streams(folder, model, typed, name):
    write("a.csv", ["x1,x2,x3,y", "1,2,3,0", "3,2,1,1", "3,2,1,1"])
    before = Path("a.csv").read_bytes()
    command = f"{sys.executable} -m nn_backend {typed}"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60)
    said = f"error: {name} is also read; writing there would lose what it holds, choose another name\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)
    assert Path("a.csv").read_bytes() == before


@POSIX
def test_a_model_is_read_from_a_pipe(folder, model):
    command = f"{' '.join(DOOR)} predict --data marks --model"
    done = [subprocess.check_output(["bash", "-c", f"{command} {name}"]) for name in ("model", "<(cat model)")]
    assert done[0] == done[1]


@pytest.mark.parametrize("command", ["train", "compare", "explain"])
@pytest.mark.parametrize("name", ["a", "a.jpg", "a.csv", "png", ".png"])
def test_a_picture_of_no_known_kind(refused, command, name):
    refused(f"{command} --plot {name}", f"the plot's file is {name!r}; expected a name ending in .png, .svg, .pdf")


# A machine that does not suffice, streams that are closed or full, a reader that leaves, Ctrl-C

READERS = [("train", "read_data"), ("explain", "read_data"), (f"{ASK} marks", "load"), ("compare", "get_backend")]


def play(monkeypatch: pytest.MonkeyPatch, typed: str, reader: str, happens: Callable[[], object]) -> None:
    monkeypatch.setattr(COMMANDS[typed.split()[0]], reader, lambda *_, **__: happens())


def interrupt() -> None:
    raise KeyboardInterrupt


MEMORY = r"not enough memory \(Unable to allocate 4\.00 EiB .*\); take fewer rows or hidden units"


@pytest.mark.parametrize(
    ("happens", "code", "said"), [(lambda: np.empty(2**59), 2, MEMORY), (interrupt, 130, "interrupted")]
)
@pytest.mark.parametrize(("typed", "reader"), READERS)
def test_memory_or_patience_that_ends_before_the_work(run_here, monkeypatch, typed, reader, happens, code, said):
    play(monkeypatch, typed, reader, happens)
    done = run_here(typed)
    assert (done.code, done.out) == (code, "")
    assert re.fullmatch(f"error: {said}\n", done.err)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("can't start new thread"), "the system lets this process start no further thread; raise its "),
        (ImportError("libblas.so: cannot open shared object file"), "a library cannot be loaded: libblas.so: cannot "),
        (OSError("libblas.so: cannot open shared object file"), "libblas.so: cannot open shared object file\n"),
        (PermissionError(13, "Permission denied", "a.csv"), "a.csv: Permission denied\n"),
        (nn.DataError(f"column 'a\x1b[2J\u202eb'{3000 * 'c'}"), "column 'a\\x1b[2J\\u202eb'ccc"),
    ],
)
def test_the_real_cause_is_named_in_one_line_that_is_no_command_of_a_terminal(run_here, monkeypatch, error, said):
    monkeypatch.setattr(COMMANDS["train"], "read_data", Mock(side_effect=error))
    done = run_here("train")
    assert (done.code, done.out, done.err[: len(said) + 7]) == (2, "", f"error: {said}")
    assert done.err[:-1].isprintable()
    assert len(done.err) < 2020


def test_a_defect_is_not_taken_for_a_shortage_of_threads(monkeypatch):
    monkeypatch.setattr(COMMANDS["train"], "read_data", Mock(side_effect=RuntimeError("a defect")))
    with pytest.raises(RuntimeError, match=r"^a defect$"):
        command_line.run(lambda _: door.main(["train"]))


@FULL
@pytest.mark.parametrize("typed", ["train --iterations 1", f"{ASK} marks"])
def test_a_full_disk_is_said_in_one_line(model, typed):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*DOOR, *typed.split()], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 2
    assert re.fullmatch(r"error: .* cannot be written: No space left on device", done.stderr.splitlines()[-1])
    assert done.stderr.count("error") == 1


def test_files_that_no_option_names_are_told_their_option(folder, run_here):
    write("a.csv", ["x1,y", "1,0"])
    done = run_here("train --data marks a.csv")
    assert (done.code, done.out) == (2, "")
    assert "arguments: a.csv; a.csv is a file, which --data names, or several by a pattern in quotation" in done.err


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_what_was_assumed_comes_before_the_results(folder, unbuffered):
    """Also where PYTHONUNBUFFERED is set, as in many containers."""
    write("a.csv", ["x1;y", *["1;0", "2;1"] * 9])
    typed = [*DOOR, "train", "--data", "a.csv", "--iterations", "5"]
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(typed, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, timeout=60)
    assert done.stdout.startswith(b"columns are separated by semicolons")


@FULL
def test_a_full_output_is_said_in_one_line(run_here, model):
    said = "error: /dev/full cannot be written: No space left on device\n"
    assert run_here(f"{ASK} marks --output /dev/full") == (2, "", said)


@POSIX
@pytest.mark.parametrize(
    ("closed", "typed", "code", "said"),
    [
        ("2>&-", "train --iterations 1", 0, ""),
        pytest.param("2>/dev/full", "train --data simulated:200 --target x1 --iterations 1", 0, "", marks=FULL),
        (">&-", "train --iterations 1 --save out", 2, CLOSED),
        (">&-", f"{ASK} marks --output out", 2, CLOSED),
        ("<&-", f"{ASK} -", 2, "error: standard input is empty; expected a header and one example per row\n"),
    ],
)
def test_streams_that_are_closed(model, closed, typed, code, said):
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", *DOOR, *typed.split()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (code, said)
    assert ("\nb2 " in done.stdout) == closed.startswith("2")
    assert not Path("out").exists()


@POSIX
def test_a_reader_that_leaves_does_not_cost_the_network(folder):
    command = f"{sys.executable} -m nn_backend train --json --save out"
    done = subprocess.run(["bash", "-c", f"{command} | true; exit ${{PIPESTATUS[0]}}"], capture_output=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (141, b"", b"")
    assert nn.load("out").training["iterations"] == 4500


@POSIX
@pytest.mark.parametrize(("typed", "first"), [(LONG_RUN, "backend "), (f"{ASK} -", "probability,label\n")])
def test_a_reader_that_leaves_ends_it_quietly(model, folder, typed, first):
    """As in ``... | head -1``. Nothing is left behind, not even the copy of what came from standard input."""
    write("a.csv", ["x1,x2,x3", *["11,12,13"] * 300_000])
    Path("temporary").mkdir()
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    pipes["env"] = {**os.environ, "TMPDIR": str(folder / "temporary")}
    with Path("a.csv").open() as given, subprocess.Popen([*DOOR, *typed.split()], stdin=given, **pipes) as process:
        try:
            assert process.stdout.readline().startswith(first)
            process.stdout.close()
            assert process.wait(timeout=60) == 141
            assert process.stderr.read() == ""
        finally:
            process.kill()
    assert files_in(folder / "temporary") == []


def test_a_name_that_stdout_cannot_spell(folder):
    write("nö.csv", ["x1,y", "1,0", "2,1", "3,1", "4,0"])
    done = run_command("train", "--data", "nö.csv", "--iterations", "1", PYTHONIOENCODING="ascii")
    assert (done.code, done.err) == (0, "")
    assert "\nn\\xf6.csv: 3 rows to train, 1 to test, 1-4-1\n" in done.out


# Signals

# What Python runs at its start: the process sends itself a signal where a function is called the first time.
SENDING = """
import signal, sys

def send(frame, event, argument):
    where = f"{frame.f_globals.get('__name__')}.{frame.f_code.co_name}"
    if event == "call" and where == WHERE:
        sys.setprofile(None)
        signal.raise_signal(signal.NUMBER)

sys.setprofile(send)
"""


@pytest.fixture
def run_signalled(folder: Path) -> Callable[..., Run]:
    """Return how a command ends that gets a signal where a function is called, and check that nothing is left."""

    def run(typed: str, where: str, number: str = "SIGINT") -> Run:
        for name in ("temporary", "start"):
            Path(name).mkdir()
        program = SENDING.replace("WHERE", repr(where)).replace("NUMBER", number)
        Path("start", "sitecustomize.py").write_text(program)
        given = b"x1,x2,x3\n" + b"11,12,13\n" * 1000
        inside = {"TMPDIR": str(folder / "temporary"), "PYTHONPATH": f"{folder / 'start'}{os.pathsep}{ROOT}"}
        done = run_command(*typed.split(), given=given, **inside)
        assert [name for name in files_in(folder) if name.endswith(".tmp")] == files_in(folder / "temporary") == []
        return done

    return run


@POSIX
@pytest.mark.parametrize(
    ("typed", "where", "number", "code", "line"),
    [
        ("train", "numpy.<module>", "SIGINT", 130, "interrupted"),
        ("train --save out", "nn_backend.engines.bind", "SIGHUP", 129, "ended by SIGHUP"),
        ("train --data - --save out", "shutil.copyfileobj", "SIGTERM", 143, "ended by SIGTERM"),
        (f"{ASK} - --output out.csv", "nn_backend.predictions._without_formulas", "SIGINT", 130, "interrupted"),
    ],
)
def test_a_signal_ends_it_with_one_line_and_leaves_nothing(run_signalled, model, typed, where, number, code, line):
    assert run_signalled(typed, where, number) == (code, "", f"error: {line}\n")
    assert not [*Path().glob("out*")]


# Once the pipe "model" is read, another thread gets the signal, which leaves the main thread's call as it is.
AT_A_WAIT = """
import os, signal, threading, time

def send():
    while True:
        try:
            pipe = os.open("model", os.O_WRONLY | os.O_NONBLOCK)
            break
        except OSError:
            time.sleep(0.01)
    time.sleep(0.5)
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)

threading.Thread(target=send, daemon=True).start()
"""


@POSIX
def test_a_signal_is_heard_by_a_thread_whose_wait_it_does_not_interrupt(folder):
    os.mkfifo("model")
    Path("sitecustomize.py").write_text(AT_A_WAIT)
    done = run_command(*f"{ASK} marks".split(), PYTHONPATH=f"{folder}{os.pathsep}{ROOT}")
    assert done == (130, "", "error: interrupted\n")


@POSIX
@pytest.mark.parametrize(
    ("where", "json", "number", "code"),
    [
        ("nn_backend.run.result", "", "SIGINT", 130),
        ("nn_backend.run.result", " --json", "SIGTERM", 143),
        ("nn_backend.files._copy_status", " --json", "SIGINT", 130),
    ],
)
def test_a_signal_after_the_last_iteration_loses_nothing(run_signalled, where, json, number, code):
    Path("out").write_text("old")
    done = run_signalled(f"train --iterations 20 --save out{json}", where, number)
    assert (done.code, done.err) == (code, "interrupted when all was done\n")
    assert nn.load("out").training["iterations"] == 20
    assert '"iterations": 20' in done.out if json else "\nb2 " in done.out


@POSIX
def test_a_signal_in_the_midst_of_training_keeps_what_was_reached(run_signalled):
    done = run_signalled("train --save out --log-every 5", "nn_backend.run.advance", "SIGTERM")
    reached = nn.load("out").training
    assert (done.code, done.err) == (143, f"interrupted after {reached['iterations']} of 4500 iterations\n")
    assert reached["status"] == "interrupted"


@POSIX
def test_a_signal_in_the_midst_of_a_sweep_saves_the_networks_trained_until_then(run_signalled):
    typed = "sweep --hidden 1,2,3 --seeds 1 --iterations 20 --save out"
    done = run_signalled(typed, "nn_backend.run.advance", "SIGTERM")
    assert done.code == 143
    assert re.fullmatch(r"interrupted: \d of 3 networks have not ended\n", done.err)

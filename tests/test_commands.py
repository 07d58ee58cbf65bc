"""What all commands have in common: one door, help, refusals of one line, and how they end."""

import importlib
import json
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
from commands import DOOR, POSIX, Run, files_in, run_command, write

import nn_backend as nn
from nn_backend import __main__ as door
from nn_backend.backend import find_problem
from nn_backend.commands import command_line, signals

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
FULL_DISK = "error: standard output cannot be written: No space left on device\n"
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
def test_the_door_lists_its_commands_each_of_which_is_a_file(run_here, monkeypatch, typed, code):
    files = {path.stem for path in Path(nn.__file__).parent.joinpath("commands").glob("*.py")}
    assert files - {"__init__", "command_line", "signals"} == set(door.COMMANDS)
    monkeypatch.setenv("COLUMNS", "100")
    done = run_here(typed)
    assert (done.code, done.out if code else done.err) == (code, "")
    listed = dict(re.findall(r"^    (\w+) +(\w.*)$", done.out + done.err, re.MULTILINE))
    assert listed == door.COMMANDS


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


@pytest.mark.parametrize("way", ["nn_backend train", "nn_backend.train"])
def test_wrong_use_ends_a_process_with_code_2(way):
    module, *command = way.split()
    said = "argument --iterations: 'many' is given; expected a whole number, at least 0 (--help shows what is accepted)"
    done = run_command(*command, "--iterations", "many", module=module)
    assert done == (2, "", f"python -m nn_backend train: error: {said}\n")


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

ROWS, SIZE = "expected whole numbers from 1 to 1000000000000 and commas", "expected a whole number from 1 to 2147483647"
NO_RANGE = "is no number and no range of numbers above 0"
# The commands, what is typed, and what is said of it, or of its value; test_checks.py has more of wrong numbers.
WRONG = [
    ("", "steam", "argument COMMAND: invalid choice: 'steam'"),
    ("", "--verbose", "--verbose"),
    ("train sweep explain compare compiler verify", "marks.csv", "error: unrecognized arguments: marks.csv"),
    ("train", "--data marks model", "model; model is a file, which --data names, or several by a pattern in quotation"),
    ("explain", "--device gpu", "unrecognized arguments: --device gpu"),
    ("train", "--iterations", "argument --iterations: expected one argument"),
    ("predict", "", "the following arguments are required: --model, --data"),
    ("train explain", "--iterations 1.5", "'1.5' is given; expected a whole number, at least 0"),
    ("train", "--log-every 0", "'0' is given; expected a whole number, at least 1"),
    ("train", "--train-rows 0", "'0' is given; expected a whole number, at least 1"),
    ("train", "--test-rows -1", "'-1' is given; expected a whole number, at least 0"),
    ("train explain sweep predict", "--skip-rows -1", "'-1' is given; expected a whole number, at least 0"),
    ("train explain", "--learning-rate 0", "'0' is given; expected a finite number above 0"),
    ("train", "--alpha -1", "'-1' is given; expected a finite number, at least 0"),
    ("train", "--tol inf", "'inf' is given; expected a finite number, at least 0"),
    ("train explain", "--factor nan", "'nan' is given; expected a finite number"),
    ("train explain", "--seed 4294967296", "'4294967296' is given; expected a whole number from 0 to 4294967295"),
    ("train explain compare compiler", f"--hidden {10**26}", f"'{10**26}' is given; {SIZE}"),
    ("train sweep compare", "--threads 1025", "'1025' is given; expected a whole number from 1 to 1024"),
    ("explain", "--row 0", "'0' is given; expected a whole number, at least 1"),
    *(("sweep", f"--{name} 0", "'0' is given; expected a whole number, at least 1") for name in ("seeds", "bootstrap")),
    ("sweep", "--best many", "'many' is given; expected a whole number, at least 1"),
    ("sweep", "--folds 1", "'1' is given; expected a whole number, at least 2"),
    *(("compiler", f"--{name} 0", f"'0' is given; {SIZE}") for name in ("features", "outputs")),
    ("train sweep compare compiler", "--dtype float16", "argument --dtype: invalid choice: 'float16'"),
    *(("train", f"--{name} foo", f"argument --{name}: invalid choice: 'foo'") for name in ("engine", "optimizer")),
    ("compiler", "--emit foo", "argument --emit: invalid choice: 'foo'"),
    ("train sweep compare", "--device tpu", "error: backend 'tpu' is not known; accepted: cpu, gpu, auto, numpy, cupy"),
    ("compare", "--device numpy", "error: --device is numpy, which is the CPU here; expected a GPU"),
    ("train explain sweep", "--data missing.csv", "error: missing.csv does not exist; expected a table's file"),
    ("predict", "--model no --data marks", "error: no does not exist; expected a model saved by nn_backend"),
    ("train explain sweep", "--data simulated:0", "error: rows is 0; expected a whole number from 1 to 1000000000000"),
    ("train explain sweep", "--features x1,x9", "has no feature column 'x9'; its columns are 'x1', 'x2', 'x3', 'y'"),
    ("train explain sweep", "--target x9", "has no target column 'x9'; its columns are 'x1', 'x2', 'x3', 'y'"),
    ("sweep", "--by X1", "has no groups column 'X1' (is 'x1' meant?); its columns are 'x1', 'x2', 'x3', 'y'"),
    ("sweep", "--by y", "error: column 'y' is the target and cannot tell groups apart; expected another column"),
    ("train", "--train-rows 999", "error: --train-rows is 999; expected 1 to 395, the rows of marks"),
    ("explain", "--data simulated:2", "error: --row is 3; expected 1 to 2, the rows of simulated:2"),
    ("train", "--factor 1e308", "error: factor is 1e+308; the weights would not be finite in float64"),
    ("train", "--resume", "error: --resume goes on from a file that --checkpoint names; name it"),
    ("train", "--resume --checkpoint c", "error: c does not exist; expected a checkpoint saved by nn_backend"),
    ("train", "--early-stopping --train-rows 9", "holds a tenth of 9 training rows out; expected at least 10 rows"),
    *(("sweep", f"--tol {given}", f"'{given}' {NO_RANGE}") for given in ("0.1:1", "0:1:3", "1:2:1", "1:inf:3")),
    ("sweep", "--learning-rate 1,,2", f"'' {NO_RANGE}; expected a list such as 1,2"),
    ("sweep", "--learning-rate 0,1", "error: learning_rate is 0.0; expected a finite number above 0"),
    ("sweep", "--hidden 1.5", "'1.5' is no whole number and no range of numbers above 0; expected"),
    ("sweep", "--hidden 0,2", f"error: n_hidden is 0; {SIZE}"),
    ("sweep", "--iterations=-1", "error: iterations is -1; expected a whole number, at least 0"),
    ("sweep", "--factor nan", "error: factor is nan; expected a finite number"),
    ("sweep", "--alpha=-1,1", "error: alpha is -1.0; expected a finite number, at least 0"),
    ("sweep", "--optimizer gd,newton", "'newton' is not known; accepted: gd, nesterov, adam, rprop"),
    ("sweep", "--folds 5 --bootstrap 9", "argument --bootstrap: not allowed with argument --folds"),
    ("sweep", "--folds 301", "error: cv is 301, which scikit-learn refuses: Cannot have number of splits n_splits=301"),
    ("sweep", "--cluster nonsense", "error: the cluster's address is 'nonsense'; expected one such as tcp://host:8786"),
    ("sweep", "--hidden 1,2 --alpha 0,1 --tol 0,1 --plot a.svg", "error: --plot shows one or two settings that differ"),
    *(("compare", f"--rows={given}", f"--rows has {given!r}; {ROWS}") for given in ("0", "-5", "٣", "1000000000001")),
    *(("compare", f"--rows 5,{given}", f"--rows has {given[:50]!r}; {ROWS}") for given in ("", "1e3", "9" * 5000)),
    ("train", "--onnx a --plot missing/../a", "error: --onnx and --plot name the same file; choose a name for each"),
    ("train", "--save a --checkpoint a", "error: --save and --checkpoint name the same file; choose a name for each"),
    ("sweep", "--save a --csv a", "error: --save and --csv name the same file; choose a name for each"),
    ("train sweep explain compare", "--plot a.jpg", "error: the plot's file is 'a.jpg'; expected a name ending in "),
    ("train", "--plot .png", "error: the plot's file is '.png'; expected a name ending in .png"),
    ("explain", "--iterations 2 --html a.html", "error: --iterations is 2; expected 1, as --html shows one update"),
]


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize(
    ("command", "typed", "said"),
    [(command, typed, said) for commands, typed, said in WRONG for command in commands.split() or [""]],
)
def test_wrong_use(run_here, folder, command, typed, said):
    if said.startswith("'"):
        said = f"argument {typed.split()[0]}: {said}"
    for printed in ("", "--json") if command in ("train", "sweep", "explain", "compare") else ("",):
        done = run_here(f"{command} {typed} {printed}")
        assert (done.code, done.out) == (2, "")
        assert said in done.err
        assert done.err.count("\n") == 1
        assert done.err.endswith("\n")
    assert files_in(folder) == ["model"]


@pytest.mark.parametrize(
    ("typed", "variable", "said"),
    [
        ("train", "NN_BACKEND_THREADS", " is 'tpu'; expected a whole number from 1 to 1024"),
        ("compare", "NN_BACKEND_THREADS", " is 'tpu'; expected a whole number from 1 to 1024"),
        ("train", "NN_BACKEND", ": backend 'tpu' is not known; accepted: cpu, gpu, auto"),
        (f"{ASK} marks", "NN_BACKEND", ": backend 'tpu' is not known; accepted: cpu, gpu, auto"),
    ],
)
def test_what_is_wrong_in_the_environment(run_here, model, monkeypatch, typed, variable, said):
    monkeypatch.setenv(variable, "tpu")
    done = run_here(typed)
    assert (done.code, done.out) == (2, "")
    assert re.fullmatch(rf"error: environment variable {variable}{said}.*\n", done.err)


@pytest.mark.parametrize("typed", ["train --device gpu", f"{ASK} marks --output out.csv --device gpu", "train", ASK])
def test_a_gpu_that_cannot_be_used(run_here, model, folder, monkeypatch, typed):
    if (problem := find_problem()) is None:
        pytest.skip("a GPU can be used here, so nothing is refused")
    if "--device" not in typed:
        monkeypatch.setenv("NN_BACKEND", "gpu")
    assert run_here(f"{typed} marks" if typed == ASK else typed) == (3, "", f"error: {problem}\n")
    assert problem == nn.diagnose_gpu()
    assert files_in(folder) == ["model"]


@pytest.mark.parametrize(
    ("typed", "package", "extra"),
    [
        *((f"train --{name} a", "safetensors", "export") for name in ("save", "checkpoint")),
        ("train --onnx a", "onnx", "export"),
        *(("train --plot a.png", package, "plot") for package in ("matplotlib", "sklearn")),
        *((typed, "safetensors", "export") for typed in ("sweep --save a", f"{ASK} marks --output a.csv")),
        ("sweep --cluster tcp://a:1", "distributed", "cluster"),
        *((f"{command} --plot a.png", "matplotlib", "plot") for command in ("compare", "explain")),
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


# Places where nothing can be written

READ_AND_WRITE = [*(f"train --data a.csv --{name}" for name in ("save", "onnx", "checkpoint"))]
READ_AND_WRITE += ["explain --data a.csv --html", "predict --model model --data a.csv --output"]
READ_AND_DRAW = ["train --data a.csv --plot", "explain --data a.csv --plot"]
ALL = [*READ_AND_WRITE, *READ_AND_DRAW, "train --json --plot", "compare --plot"]
READ = "is also read; writing there would lose what it holds, choose another name"


@POSIX
@pytest.mark.parametrize(
    ("typed", "path", "said"),
    [
        *((typed, "missing/a.png", "cannot be written: there is no folder missing; create it") for typed in ALL),
        *((typed, "a.csv/a.png", "cannot be written: there is no folder a.csv; create it") for typed in ALL),
        *((typed, "folder.png", "is a folder; expected a file's name") for typed in ALL),
        *((typed, "closed/a.png", "cannot be written: no permission; choose another place") for typed in ALL),
        *((typed, path, READ) for typed in READ_AND_WRITE + READ_AND_DRAW for path in ("hard.png", "soft.png")),
        *((typed, "a.csv", READ) for typed in READ_AND_WRITE),
        ("predict --model model --data a.csv --output", "model", READ),
    ],
)
def test_what_cannot_be_written_is_refused_before_the_work(run_here, model, folder, idle, typed, path, said):
    write("a.csv", ["x1,x2,x3,y", "1,2,3,0", "3,2,1,1"])
    Path("folder.png").mkdir()
    Path("closed").mkdir(mode=0o500)
    Path("hard.png").hardlink_to("a.csv")
    Path("soft.png").symlink_to("a.csv")
    if "closed" in path and os.access("closed", os.W_OK):
        pytest.skip("who runs this may write in every folder, as root may")
    names, contents = files_in(folder), [Path(name).read_bytes() for name in ("a.csv", "model")]
    assert run_here(f"{typed} {path}") == (2, "", f"error: {path} {said}\n")
    assert files_in(folder) == names
    assert [Path(name).read_bytes() for name in ("a.csv", "model")] == contents


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


# A machine that does not suffice, streams that are closed or full, a reader that leaves, Ctrl-C

LIBRARY = "libblas.so: cannot open shared object file"


@pytest.mark.parametrize(
    ("happens", "code", "said"),
    [
        (
            lambda *_, **__: np.empty(2**59),
            2,
            r"not enough memory \(Unable .* 4\.00 EiB .*\); take fewer rows or hidden units",
        ),
        (KeyboardInterrupt, 130, "interrupted"),
        (
            RuntimeError("can't start new thread"),
            2,
            "the system lets this process start no further thread; raise its .*",
        ),
        (ImportError(LIBRARY), 2, f"a library cannot be loaded: {LIBRARY}"),
        (OSError(LIBRARY), 2, LIBRARY),
        (PermissionError(13, "Permission denied", "a.csv"), 2, "a.csv: Permission denied"),
        (nn.DataError(f"column 'a\x1b[2J\u202eb'{3000 * 'c'}"), 2, r"column 'a\\x1b\[2J\\u202eb'c*…"),
    ],
)
@pytest.mark.parametrize(
    ("typed", "reader"),
    [("train", "read_data"), ("explain", "read_data"), (f"{ASK} marks", "load"), ("compare", "get_backend")],
)
def test_the_cause_is_named_in_one_line_that_is_no_command_of_a_terminal(
    run_here, monkeypatch, typed, reader, happens, code, said
):
    monkeypatch.setattr(COMMANDS[typed.split()[0]], reader, Mock(side_effect=happens))
    done = run_here(typed)
    assert (done.code, done.out) == (code, "")
    assert re.fullmatch(f"error: {said}\n", done.err)
    assert done.err[:-1].isprintable()
    assert len(done.err) < 2020


def test_a_defect_is_not_taken_for_a_shortage_of_threads(monkeypatch):
    monkeypatch.setattr(COMMANDS["train"], "read_data", Mock(side_effect=RuntimeError("a defect")))
    with pytest.raises(RuntimeError, match=r"^a defect$"):
        command_line.run(lambda _: door.main(["train"]))


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_what_was_assumed_comes_before_the_results_which_escape_what_stdout_cannot_spell(folder, unbuffered):
    """Also where PYTHONUNBUFFERED is set, as in many containers."""
    write("nö.csv", ["x1;y", *["1;0", "2;1"] * 9])
    typed = [*DOOR, "train", "--data", "nö.csv", "--iterations", "5"]
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(typed, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, timeout=60)
    assert (done.returncode, done.stdout.startswith(b"columns are separated by semicolons")) == (0, True)
    assert b"\nn\\xf6.csv: 13 rows to train, 5 to test, 1-4-1\n" in done.stdout


@POSIX
@pytest.mark.parametrize(
    ("closed", "typed", "code", "said"),
    [
        ("2>&-", "train --iterations 1", 0, ""),
        pytest.param("2>/dev/full", "train --data simulated:200 --target x1 --iterations 1", 0, "", marks=FULL),
        (">&-", "train --iterations 1 --save out", 2, CLOSED),
        pytest.param(">/dev/full", "train --iterations 1", 2, FULL_DISK, marks=FULL),
        pytest.param(">/dev/full", f"{ASK} marks", 2, FULL_DISK, marks=FULL),
        (">&-", f"{ASK} marks --output out", 2, CLOSED),
        ("<&-", f"{ASK} -", 2, "error: standard input is empty; expected a header and one example per row\n"),
    ],
)
def test_streams_that_are_closed_or_full(model, closed, typed, code, said):
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
        ("sweep --seeds 2 --save out", "nn_backend.grids.read_rows", "SIGTERM", 143, "ended by SIGTERM"),
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
    ("where", "printed", "number", "code"),
    [
        ("nn_backend.run.result", "", "SIGINT", 130),
        ("nn_backend.run.result", " --json", "SIGTERM", 143),
        ("nn_backend.files._copy_status", " --json", "SIGINT", 130),
    ],
)
def test_a_signal_after_the_last_iteration_loses_nothing(run_signalled, where, printed, number, code):
    Path("out").write_text("old")
    done = run_signalled(f"train --iterations 20 --save out{printed}", where, number)
    assert (done.code, done.err) == (code, "interrupted when all was done\n")
    assert nn.load("out").training["iterations"] == 20
    assert '"iterations": 20' in done.out if printed else "\nb2 " in done.out


@POSIX
@pytest.mark.parametrize("printed", ["", " --json"])
def test_a_signal_in_the_midst_of_training_gives_and_keeps_what_was_reached(run_signalled, folder, printed):
    typed = f"train --log-every 5{printed} --save out --onnx out.onnx --plot out.svg"
    done = run_signalled(typed, "nn_backend.run.advance", "SIGTERM")
    params, training = nn.load("out").params, nn.load("out").training
    reached = training["iterations"]
    assert (done.code, done.err) == (143, f"interrupted after {reached} of 4500 iterations\n")
    assert training["status"] == "interrupted"
    X, y = nn.load_marks()
    expected = nn.fit(X[:, :300], y[:, :300], nn.init_params(3, 4), iterations=reached, log_every=5)
    for array, other in zip(params, expected.params, strict=True):
        np.testing.assert_array_equal(array, other, strict=True)
    if printed:
        document = json.loads(done.out)
        assert document["params"] == {name: array.tolist() for name, array in params._asdict().items()}
        assert document["history"] == expected.history.to_dict("records")
        assert document["interrupted"] is True
    else:
        rows = re.findall(r"^ *(\d+)  +\S+  +\S+$", done.out, re.MULTILINE)
        assert [*map(int, rows)] == expected.history["iteration"].tolist()
        assert re.search(r"^\d+\.\d{3} seconds(.*\n)+b2 +-?\d+\.\d{3}\n\Z", done.out, re.MULTILINE)
    assert files_in(folder) == ["out", "out.onnx", "out.svg", "start", "temporary"]


@POSIX
def test_a_signal_in_the_midst_of_a_sweep_saves_the_networks_trained_until_then(run_signalled):
    typed = "sweep --hidden 1,2,3 --seeds 1 --iterations 20 --save out"
    done = run_signalled(typed, "nn_backend.run.advance", "SIGTERM")
    assert done.code == 143
    assert re.fullmatch(r"interrupted: \d of 3 networks have not ended\n", done.err)

"""python -m nn_backend.compiler: what it prints at each stage, and its errors."""

import functools
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import Run, run_module

from nn_backend.compiler import __main__ as compiler

GOLDEN = Path(__file__).parent / "golden"
STAGES = ("program", "llvm", "asm", "cuda")


run = functools.partial(run_module, "nn_backend.compiler")


@pytest.fixture
def run_here(run_main: Callable[..., Run]) -> Callable[..., Run]:
    return functools.partial(run_main, compiler.main)


@pytest.mark.parametrize(
    ("dtype", "stage", "name"),
    [
        ("float64", "program", "step_3_4_1_float64.txt"),
        ("float32", "program", "step_3_4_1_float32.txt"),
        ("float32", "llvm", "step_3_4_1_float32.ll"),
        ("float32", "cuda", "step_3_4_1_float32.cu"),
    ],
)
def test_golden_listing(dtype: str, stage: str, name: str) -> None:
    """A rewriting of the compiler leaves what it prints as it was."""
    arguments = f"--features 3 --hidden 4 --dtype {dtype} --emit {stage}"
    done = run(*arguments.split())
    assert (done.code, done.err) == (0, "")
    if done.out != (GOLDEN / name).read_text(encoding="utf-8"):
        command = f"python -m nn_backend.compiler {arguments} > tests/golden/{name}"
        pytest.fail(
            f"the {stage} of the 3-4-1 training step is not that of tests/golden/{name}. If the change is meant, "
            f"renew the file from the repository's root and read its difference before you commit it:\n{command}"
        )


def test_golden_folder_holds_nothing_else() -> None:
    assert sorted(path.name for path in GOLDEN.iterdir()) == [
        "step_3_4_1_float32.cu",
        "step_3_4_1_float32.ll",
        "step_3_4_1_float32.txt",
        "step_3_4_1_float64.txt",
    ]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_assembly_holds_the_function_run(dtype: str, run_here: Callable[..., Run]) -> None:
    done = run_here("--dtype", dtype, "--emit", "asm")
    assert (done.code, done.err) == (0, "")
    assert re.search(r"^_?run:", done.out, re.MULTILINE)
    assert done.out.count("\n") > 500


@pytest.mark.parametrize("stage", STAGES)
def test_sizes_decide_what_is_printed(stage: str, run_here: Callable[..., Run]) -> None:
    small, default, larger = (
        run_here(*arguments.split(), "--emit", stage)
        for arguments in ("--features 1 --hidden 1", "", "--features 4 --hidden 5 --outputs 2")
    )
    assert small.code == default.code == larger.code == 0
    assert small.err == default.err == larger.err == ""
    assert 0 < len(small.out) < len(default.out) < len(larger.out)


def test_the_first_line_counts_the_numbers(run_here: Callable[..., Run]) -> None:
    expected = "program float32: 6 numbers per example, 39 uniform numbers, 37 sums, 37 results"
    listing = run_here("--features", "4", "--hidden", "5", "--outputs", "2", "--dtype", "float32").out
    assert listing.splitlines()[0] == expected


def test_default_is_the_program_of_the_articles_network(run_here: Callable[..., Run]) -> None:
    assert run_here().out == (GOLDEN / "step_3_4_1_float64.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--hidden 400", r"the network has 2001 parameters; it runs at most \d+"),
        ("--hidden 0", "n_hidden is 0; expected 1 to "),
        ("--features -3", "n_inputs is -3; expected 1 to "),
        ("--outputs 0", "n_outputs is 0; expected 1 to "),
        ("--emit foo", "argument --emit: invalid choice: 'foo' .*program.*llvm.*asm.*cuda.*--help"),
        ("--dtype float16", "argument --dtype: invalid choice: 'float16' .*float64.*float32"),
        ("--hidden four", "argument --hidden: invalid int value: 'four'"),
        ("marks.csv", "unrecognized arguments: marks.csv"),
    ],
)
def test_errors_are_one_line_and_exit_code_2(arguments: str, message: str, run_here: Callable[..., Run]) -> None:
    done = run_here(*arguments.split())
    assert (done.code, done.out) == (2, "")
    assert re.search(message, done.err)
    assert done.err.count("\n") == 1
    assert done.err.endswith("\n")


def test_an_error_in_a_process_of_its_own() -> None:
    done = run("--hidden", "400")
    assert (done.code, done.out) == (2, "")
    assert re.fullmatch(r"error: engine 'compiled' does not serve here: .*\n", done.err)


@pytest.mark.skipif(os.name != "posix", reason="pipes as POSIX has them")
def test_a_reader_that_stops_early_is_no_error() -> None:
    command = f"{shlex.quote(sys.executable)} -m nn_backend.compiler --emit llvm | head -n 1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60)
    assert (done.stderr, done.stdout.count("\n")) == ("", 1)

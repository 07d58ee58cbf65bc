"""The command compiler: what it prints at each stage."""

import functools
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import Run

from nn_backend.commands import compiler
from nn_backend.compiler.llvm import Target

GOLDEN = Path(__file__).parent / "golden"
STAGES = ("program", "plan", "llvm", "asm", "cuda")


@pytest.fixture
def run_here(run_main: Callable[..., Run]) -> Callable[..., Run]:
    return functools.partial(run_main, compiler.main)


GOLDEN_FILES = {
    "step_3_4_1_float64.txt": ("float64", "program"),
    "step_3_4_1_float64.plan": ("float64", "plan"),
    "step_3_4_1_float32.ll": ("float32", "llvm"),
    "step_3_4_1_float32.cu": ("float32", "cuda"),
}


@pytest.mark.parametrize("name", GOLDEN_FILES)
def test_golden_listing(name: str, run_here: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    """A rewriting of the compiler leaves what it prints as it was; the IR is that of processors with AVX-512."""
    monkeypatch.setattr(compiler, "host", lambda: Target("x86_64-unknown-linux-gnu", "x86-64-v4", "", 32, 64))
    dtype, stage = GOLDEN_FILES[name]
    arguments = f"--features 3 --hidden 4 --dtype {dtype} --emit {stage}"
    done = run_here(*arguments.split())
    assert (done.code, done.err) == (0, "")
    if done.out != (GOLDEN / name).read_text(encoding="utf-8"):
        command = f"python -m nn_backend compiler {arguments} > tests/golden/{name}"
        pytest.fail(
            f"the {stage} of the 3-4-1 training step is not that of tests/golden/{name}. If the change is meant, "
            f"renew the file from the repository's root and read its difference before you commit it:\n{command}"
        )


def test_golden_folder_holds_nothing_else() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == set(GOLDEN_FILES)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_assembly_holds_the_function_run(dtype: str, run_here: Callable[..., Run]) -> None:
    done = run_here("--dtype", dtype, "--emit", "asm")
    assert (done.code, done.err) == (0, "")
    assert re.search(r"^_?run:", done.out, re.MULTILINE)
    assert done.out.count("\n") > 500


@pytest.mark.parametrize("stage", STAGES)
def test_what_is_printed_hardly_depends_on_the_sizes(stage: str, run_here: Callable[..., Run]) -> None:
    small, large = (
        run_here(*arguments.split(), "--emit", stage)
        for arguments in ("--features 30 --hidden 8", "--features 784 --hidden 512 --outputs 10")
    )
    assert small.code == large.code == 0
    assert small.err == large.err == ""
    assert small.out != large.out
    assert len(large.out.splitlines()) < 3 * len(small.out.splitlines())


def test_default_is_the_program_of_the_articles_network(run_here: Callable[..., Run]) -> None:
    assert run_here().out == (GOLDEN / "step_3_4_1_float64.txt").read_text(encoding="utf-8")

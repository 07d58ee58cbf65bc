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
GOLDEN_FILES = {
    "step_3_4_1_float64.txt": "",  # the article's network, by default
    "step_3_4_1_float64.plan": "--features 3 --hidden 4 --dtype float64 --emit plan",
    "step_3_4_1_float32.ll": "--features 3 --hidden 4 --dtype float32 --emit llvm",
    "step_3_4_1_float32.cu": "--features 3 --hidden 4 --dtype float32 --emit cuda",
}


@pytest.fixture
def run_here(run_main: Callable[..., Run]) -> Callable[..., Run]:
    return functools.partial(run_main, compiler.main)


@pytest.mark.parametrize("name", sorted({*GOLDEN_FILES, *(path.name for path in GOLDEN.iterdir())}))
def test_golden_listing(name: str, run_here: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    """A rewriting of the compiler leaves what it prints as it was; the IR is that of processors with AVX-512."""
    monkeypatch.setattr(compiler, "host", lambda: Target("x86_64-unknown-linux-gnu", "x86-64-v4", "", 32, 64))
    arguments = GOLDEN_FILES[name]
    done = run_here(*arguments.split())
    assert (done.code, done.err) == (0, "")
    if done.out != (GOLDEN / name).read_text(encoding="utf-8"):
        command = f"python -m nn_backend compiler {arguments} > tests/golden/{name}"
        pytest.fail(
            f"the 3-4-1 training step is not printed as in tests/golden/{name}. If the change is meant, renew "
            f"the file from the repository's root and read its difference before you commit it:\n{command}"
        )


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("stage", ["program", "plan", "llvm", "asm", "cuda"])
def test_what_is_printed_hardly_depends_on_the_sizes(stage: str, dtype: str, run_here: Callable[..., Run]) -> None:
    small, large = (
        run_here(*arguments.split(), "--dtype", dtype, "--emit", stage)
        for arguments in ("--features 30 --hidden 8", "--features 784 --hidden 512 --outputs 10")
    )
    assert (small.code, small.err, large.code, large.err) == (0, "", 0, "")
    assert small.out != large.out
    assert len(large.out.splitlines()) < 3 * len(small.out.splitlines())
    if stage == "asm":
        assert re.search(r"^_?run:", small.out, re.MULTILINE)
        assert small.out.count("\n") > 500

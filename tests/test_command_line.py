"""What the command lines have in common: an example in --help that works when pasted, and how they end."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = ("train", "predict", "explain", "compiler")  # compare's takes seconds: test_compare has it


@pytest.mark.skipif(os.name != "posix", reason="a command line is pasted into a POSIX shell")
@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example_that_works_when_pasted(command: str, tmp_path: Path) -> None:
    beside = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "80"}
    options = {"capture_output": True, "text": True, "cwd": tmp_path, "env": beside, "timeout": 120}
    shown = subprocess.run([sys.executable, "-m", f"nn_backend.{command}", "--help"], **options)
    assert (shown.returncode, shown.stderr) == (0, "")
    example = re.search(rf"^example: (.*python -m nn_backend\.{command} .+)$", shown.stdout, re.MULTILINE)[1]
    done = subprocess.run(example, shell=True, **options)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout

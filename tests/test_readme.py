"""The README's examples run as they are pasted."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
SHELL = "\n".join(re.findall(r"^```sh\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL))
# Of the commands those that need no GPU; compare takes minutes, verify is run elsewhere.
DEVICELESS = SHELL.replace(" --device gpu", "#")
COMMANDS = re.findall(r"^\.venv/bin/python -m (nn_backend[. ](?!compare|verify).*)$", DEVICELESS, re.MULTILINE)


def run(folder: Path, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=120,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the README's data, where one example's files are there for the next."""
    path = tmp_path_factory.mktemp("readme")
    (path / "data").symlink_to(ROOT / "data")
    return path


@pytest.mark.parametrize("command", [command for command in COMMANDS if "#" not in command])
def test_command(command: str, folder: Path) -> None:
    run(folder, "-m", *command.split())


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_example(number: int, folder: Path) -> None:
    example = EXAMPLES[number]
    for package in re.findall(r"^import (torch)\b", example, re.MULTILINE):
        pytest.importorskip(package)
    run(folder, "-c", example)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 7
    assert len(COMMANDS) >= 7

"""The examples of all READMEs run as they are pasted."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
READMES = ("README.md", "nn_backend/README.md", "nn_backend/compiler/README.md", "bench/README.md", "tests/README.md")
TEXTS = {name: (ROOT / name).read_text(encoding="utf-8") for name in READMES}
# Of the commands those that need no GPU; compare takes minutes, verify is run elsewhere.
COMMAND = re.compile(r"^\.venv/bin/python -m (nn_backend[. ](?!compare|verify)(?!.*--device gpu).*)$", re.MULTILINE)


def blocks(name: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXTS[name], re.MULTILINE | re.DOTALL)


def runs() -> Iterator[tuple[str, list[str]]]:
    """Yield the arguments of Python for each command and example, in the order of its README."""
    for name in READMES:
        for command in COMMAND.findall("\n".join(blocks(name, "sh"))):
            yield name, ["-m", *command.split()]
        for example in blocks(name, "python"):
            yield name, ["-c", example]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a folder with the data for each README, where one example's files are there for the next."""
    found = {name: tmp_path_factory.mktemp("readme") for name in READMES}
    for folder in found.values():
        (folder / "data").symlink_to(ROOT / "data")
    return found


@pytest.mark.parametrize(("name", "arguments"), [*runs()])
def test_example(name: str, arguments: list[str], folders: dict[str, Path]) -> None:
    for package in re.findall(r"^import (torch)\b", arguments[-1], re.MULTILINE):
        pytest.importorskip(package)
    command, environment = [sys.executable, *arguments], {**os.environ, "PYTHONWARNINGS": "error"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=folders[name], timeout=120, env=environment)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", READMES)
def test_links_lead_somewhere(name: str) -> None:
    headings = {at: TEXTS[at].lower() for at in READMES}
    for link in re.findall(r"\]\((?!http)([^)]+)\)", TEXTS[name]):
        path, _, anchor = link.partition("#")
        target = ((ROOT / name).parent / path).resolve() if path else ROOT / name
        assert target.exists(), link
        if anchor:
            titles = re.findall(r"^#+ (.*)$", headings[str(target.relative_to(ROOT))], re.MULTILINE)
            assert anchor in [re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles], link


def test_there_are_examples() -> None:
    assert len([*runs()]) >= 20
    assert len(TEXTS["README.md"].splitlines()) < 250

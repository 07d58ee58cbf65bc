"""What every test has: backends to run on, and no settings from outside."""

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.register_assert_rewrite("places")  # so that its comparison says what differed

from commands import Run  # noqa: E402
from places import STRICT, Place, require_gpu  # noqa: E402

import nn_backend as nn  # noqa: E402
from nn_backend import plots  # noqa: E402
from nn_backend.commands import command_line  # noqa: E402
from nn_backend.compiler import native  # noqa: E402
from nn_backend.compiler.pool import Pool  # noqa: E402


@pytest.fixture(params=[f"{name}-{dtype}" for name in ("numpy", "strict", "cupy") for dtype in ("float64", "float32")])
def backend(request: pytest.FixtureRequest) -> Place:
    """Each array module and dtype in turn; CuPy where there is a GPU, else a skip that says what is missing."""
    name, dtype = request.param.split("-")
    if name == "strict":
        return Place(STRICT, dtype)
    if name == "cupy":
        return Place(require_gpu(), dtype)
    return Place(nn.get_backend(name), dtype)


@pytest.fixture(autouse=True, scope="session")
def _hear_ctrl_c() -> None:
    """Undo that a shell starts its background jobs deaf to SIGINT, which our tests send; children inherit it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep machine code apart from the user's, so that what is compiled first is compiled; children inherit it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the caller's settings from deciding which backend and how many threads a test has."""
    monkeypatch.delenv("NN_BACKEND", raising=False)
    monkeypatch.delenv("NN_BACKEND_THREADS", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.fixture
def always_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let threads share work however small, and however long they wait for each other."""
    monkeypatch.setattr(native, "WORTH_A_THREAD", 1)
    monkeypatch.setattr(native, "WORTH_STARTING", 1)
    monkeypatch.setattr(native, "PATIENCE", native.FOREVER)
    monkeypatch.setattr(Pool, "resting", lambda pool: False)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, so that messages name files as the test does."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run_main(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Run]:
    """Run a command's main in this process, where a warning is an error."""

    def run_once(main: Callable[[Sequence[str]], int], *arguments: str) -> Run:
        monkeypatch.setattr(sys, "argv", ["command", *arguments])
        with pytest.raises(SystemExit) as ended:
            command_line.run(main)
        return Run(ended.value.code or 0, *capsys.readouterr())

    return run_once


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Give the figures that are drawn, which are then not written."""
    drawn: list[Any] = []
    monkeypatch.setattr(plots, "save_figure", lambda figure, path: drawn.append(figure))
    return drawn

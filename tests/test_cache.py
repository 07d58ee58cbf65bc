"""Kernels kept in the process and on disk: compiled once, by whoever comes first, and never taken on trust."""

import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import Mock

import pytest

import nn_backend as nn
from nn_backend.compiler import cache
from nn_backend.compiler.cache import kept, machine_code

POSIX = pytest.mark.skipif(os.name != "posix", reason="has owners and modes of folders, and forks")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder that the cache will use."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "nn_backend"


def compiler() -> Mock:
    return Mock(return_value=b"machine code")


def test_what_is_on_disk_is_not_compiled_again(home: Path) -> None:
    compile_ = compiler()
    assert [machine_code(compile_, "source", key) for key in (1, 1, 2)] == [b"machine code"] * 3
    assert compile_.call_count == 2
    assert len(list(home.iterdir())) == 2
    assert home.stat().st_mode & 0o777 == 0o700 or os.name != "posix"


@pytest.mark.parametrize("content", [b"", b"short", bytes(32) + b"machine code", None])
def test_a_damaged_file_is_replaced(content: bytes | None, home: Path) -> None:
    compile_ = compiler()
    machine_code(compile_, "source")
    [file] = home.iterdir()
    good = file.read_bytes()
    file.write_bytes(good[:-1] if content is None else content)
    assert machine_code(compile_, "source") == b"machine code"
    assert compile_.call_count == 2
    assert file.read_bytes() == good


def test_a_folder_that_cannot_be_written_costs_time_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    compile_ = compiler()
    assert [machine_code(compile_, "source") for _ in range(2)] == [b"machine code"] * 2
    assert compile_.call_count == 2


@pytest.mark.skipif(sys.platform != "linux", reason="knows the folder's name on Linux")
def test_a_home_that_does_not_exist_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    for home, files in {"nowhere": 0, ".": 1}.items():
        monkeypatch.setenv("HOME", str(tmp_path / home))
        assert machine_code(compiler(), "source") == b"machine code"
        assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == files


@POSIX
@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_a_folder_that_others_may_write_is_not_used(mode: int, home: Path) -> None:
    compile_ = compiler()
    machine_code(compile_, "source")
    home.chmod(mode)
    machine_code(compile_, "source")
    machine_code(compile_, "other")
    assert compile_.call_count == 3
    assert len(list(home.iterdir())) == 1


def test_the_folder_is_bounded_and_keeps_the_newest(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "FILES", 10)
    compile_ = compiler()
    for key in range(25):
        machine_code(compile_, key)
        time.sleep(0.01)  # or a file system's clock may not tell which is older
    assert len(list(home.iterdir())) == 10  # each eleventh made room for five
    for key in range(15, 25):
        machine_code(compile_, key)
    assert compile_.call_count == 25


def test_a_kernel_is_made_once_for_many_threads_and_the_oldest_go() -> None:
    made: list[object] = []

    def make(key: int) -> object:
        time.sleep(0.01)
        made.append(key)
        return object()

    with ThreadPoolExecutor(8) as callers:
        found = set(callers.map(lambda _: kept(make, 0), range(16)))
    assert (len(found), made) == (1, [0])
    for key in range(cache.KEPT + 1):
        kept(make, key)
    kept(make, 0)
    assert made.count(0) == 2


@POSIX
def test_a_fork_while_another_thread_compiles_finds_the_compiler_free() -> None:
    stop = threading.Event()
    X, y = nn.simulate_marks(50)

    def compile_again_and_again() -> None:
        width = 10
        while not stop.is_set():
            width += 1
            nn.fit(X, y, nn.init_params(3, width), iterations=1, threads=1)

    busy = threading.Thread(target=compile_again_and_again)
    busy.start()
    try:
        for _ in range(10):
            time.sleep(0.05)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # that there are threads is the point
                child = os.fork()
            if child == 0:
                signal.alarm(20)  # ends a child that hangs
                nn.fit(X, y, nn.init_params(3, 9), iterations=2)
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        busy.join()


@POSIX
def test_the_next_process_compiles_nothing(home: Path) -> None:
    script = (
        "import nn_backend as nn, llvmlite.binding as llvm; compile_ = llvm.TargetMachine.emit_object; calls = [];"
        "llvm.TargetMachine.emit_object = lambda *given: (calls.append(1), compile_(*given))[1];"
        "reached = nn.fit(*nn.load_marks(), nn.init_params(3, 4), iterations=5).params;"
        "print(len(calls), reached.w1.tobytes().hex())"
    )
    outputs = [
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60).stdout
        for _ in range(2)
    ]
    assert [output.split()[0] for output in outputs] == ["2", "0"]
    assert outputs[0].split()[1] == outputs[1].split()[1]

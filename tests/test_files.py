"""Results that are written whole or not at all."""

import contextlib
import functools
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest
from commands import files_in

import nn_backend as nn
from nn_backend.files import check_output, replacing

POSIX = pytest.mark.skipif(os.name != "posix", reason="permissions, links, pipes and signals as POSIX has them")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="/proc and attributes of files are Linux's")


def write(name: str, content: bytes | None) -> Path:
    path = Path(name)
    if content is not None:
        path.write_bytes(content)
    return path


# Writing


def write_new(path: Path | str, content: bytes = b"new") -> None:
    with replacing(Path(path)) as file:
        file.write(content)


def write_half(path: str, error: BaseException) -> None:
    with replacing(Path(path)) as file:
        file.write(b"half")
        raise error


@pytest.mark.parametrize("old", [None, b"", b"old and longer than the new"])
def test_the_file_holds_what_was_written_and_until_the_end_the_old(folder, old):
    write("a.csv", old)
    with replacing(Path("a.csv")) as file:
        file.write(b"first ")
        file.write(b"second")
        file.flush()
        assert [path.read_bytes() for path in folder.glob("*.csv")] == [old] * (old is not None)
    assert Path("a.csv").read_bytes() == b"first second"
    assert files_in(folder) == ["a.csv"]


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit(3), nn.DataError("x")], ids=repr)
@pytest.mark.parametrize("old", [None, b"old"])
def test_an_exception_leaves_the_old_file_and_no_other(folder, old, error):
    write("a.csv", old)
    with pytest.raises(type(error)) as caught:
        write_half("a.csv", error)
    assert caught.value is error
    assert files_in(folder) == ["a.csv"] * (old is not None)
    assert old is None or Path("a.csv").read_bytes() == old


def test_an_error_in_reading_is_not_blamed_on_the_file_written(folder):
    with pytest.raises(nn.DataFileError) as caught, replacing(Path("a.csv")):
        nn.load_table("no.csv")
    assert str(caught.value).startswith("no.csv does not exist")
    with pytest.raises(OSError, match=r"model\.bin"), replacing(Path("a.csv")):
        Path("model.bin").read_bytes()
    assert files_in(folder) == []


def test_two_writers_at_a_time_do_not_meet(folder):
    with replacing(Path("a.csv")) as first, replacing(Path("a.csv")) as second:
        first.write(b"first")
        second.write(b"second")
    assert Path("a.csv").read_bytes() == b"first"  # the outer block ends last
    assert files_in(folder) == ["a.csv"]


@POSIX
def test_a_name_may_be_as_long_as_the_system_allows(folder):
    name = "x" * (os.pathconf(folder, "PC_NAME_MAX") - 4) + ".csv"
    write_new(name)
    assert files_in(folder) == [name]


@POSIX
def test_content_reaches_the_disk_before_the_name(folder, monkeypatch):
    write("a.csv", b"old")
    seen, replace = [], Path.replace

    def note_fsync(number: int) -> None:
        status = os.fstat(number)
        seen.append("sync folder" if stat.S_ISDIR(status.st_mode) else f"sync {status.st_size} bytes")

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "replace", lambda *paths: seen.append("rename") or replace(*paths))
    write_new("a.csv", b"x" * 10)
    assert seen == ["sync 10 bytes", "rename", "sync folder"]


# Permissions and links


def mode(path: str) -> int:
    return stat.S_IMODE(Path(path).stat().st_mode)


@POSIX
@pytest.mark.parametrize("bits", [None, 0o600, 0o644, 0o666, 0o755, 0o444])
def test_a_replaced_file_keeps_its_permissions_and_a_new_one_has_those_of_any(folder, request, bits):
    """Nobody else reads a private file while it is replaced."""
    request.addfinalizer(functools.partial(os.umask, os.umask(0o027)))
    if bits is not None:
        write("a.csv", b"old").chmod(bits)
    with replacing(Path("a.csv")) as file:
        [beside] = set(files_in(folder)) - {"a.csv"}
        assert mode(beside) == (0o640 if bits is None else 0o600)
        file.write(b"new")
    assert (mode("a.csv"), Path("a.csv").read_bytes()) == (0o640 if bits is None else bits, b"new")


@LINUX
@pytest.mark.skipif(os.name == "posix" and os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize(("may", "owner", "bits"), [(True, (1234, 2345), 0o664), (False, (0, 0), 0o644)])
def test_owner_and_attributes_are_kept_and_a_group_that_is_not_may_no_more_than_all(
    folder, monkeypatch, may, owner, bits
):
    write("a.csv", b"old")
    os.chown("a.csv", 1234, 2345)
    Path("a.csv").chmod(0o664)
    with contextlib.suppress(OSError):  # not every file system has them
        os.setxattr("a.csv", "user.origin", b"school")
    before = {name: os.getxattr("a.csv", name) for name in os.listxattr("a.csv")}
    if not may:
        monkeypatch.setattr(os, "chown", lambda *_: None)
    write_new("a.csv")
    status = Path("a.csv").stat()
    assert ((status.st_uid, status.st_gid), mode("a.csv")) == (owner, bits)
    assert {name: os.getxattr("a.csv", name) for name in os.listxattr("a.csv")} == before


@POSIX
@pytest.mark.parametrize("old", [None, b"old"])
def test_a_symbolic_link_stays_one(folder, old):
    Path("there").mkdir()
    write("there/target.csv", old)
    Path("link.csv").symlink_to("there/target.csv")
    Path("chain.csv").symlink_to("link.csv")
    with pytest.raises(ValueError, match="x"):
        write_half("chain.csv", ValueError("x"))
    assert [path.read_bytes() for path in Path("there").iterdir()] == [old] * (old is not None)
    write_new("chain.csv")
    assert [str(Path(name).readlink()) for name in ("chain.csv", "link.csv")] == ["link.csv", "there/target.csv"]
    assert Path("there/target.csv").read_bytes() == b"new"
    assert (files_in(folder), files_in(Path("there"))) == (["chain.csv", "link.csv", "there"], ["target.csv"])


# What is no regular file


@POSIX
def test_a_pipe_and_a_device_are_written_and_stay_what_they_are(folder):
    os.mkfifo("pipe")
    received = []
    reader = threading.Thread(target=lambda: received.append(Path("pipe").read_bytes()), daemon=True)
    reader.start()
    write_new("pipe", b"x" * 200_000)
    reader.join(10)
    assert received == [b"x" * 200_000]
    assert stat.S_ISFIFO(Path("pipe").stat().st_mode)
    assert files_in(folder) == ["pipe"]
    write_new("/dev/null")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


SAY_AND_WRITE = """
import sys
from pathlib import Path
from nn_backend.files import replacing
print("before", flush=True)
with replacing(Path("/dev/stdout")) as file:
    file.write(b"written\\n")
print("after")
"""


@LINUX
def test_standard_output_is_written_as_it_goes(folder):
    """Where the shell sent it into a file, that file may hold more already, and gets more afterwards."""
    with write("log.txt", b"old\n").open("ab") as log:
        subprocess.run([sys.executable, "-c", SAY_AND_WRITE], stdout=log, check=True, timeout=60)
    assert Path("log.txt").read_bytes() == b"old\nbefore\nwritten\nafter\n"
    assert files_in(folder) == ["log.txt"]


# Paths that cannot be written


@POSIX
@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("no/such/a.csv", r".*no/such/a\.csv cannot be written: .*"),
        *((path, r"(there|\.) is a folder; expected a file's name") for path in ("there", ".", "there/")),
        ("old.csv/b.csv", r".*b\.csv cannot be written: Not a directory"),
        ("shut/a.csv", r".*a\.csv cannot be written: Permission denied"),
        ("shut/old.csv", r".*old\.csv cannot be written: Permission denied"),
    ],
)
def test_a_path_that_cannot_be_written_is_told(folder, path, said):
    for name in ("there", "shut"):
        Path(name).mkdir()
    files = [write(name, b"old") for name in ("old.csv", "shut/old.csv")]
    Path("shut").chmod(0o500)
    if path.startswith("shut") and os.access("shut", os.W_OK):
        pytest.skip("who runs this may write in every folder, as root may")
    with pytest.raises(nn.DataFileError) as caught:
        write_new(path)
    assert str(caught.value).isprintable()
    assert re.fullmatch(said, str(caught.value))
    assert [file.read_bytes() for file in files] == [b"old", b"old"]
    assert [files_in(Path(name)) for name in (".", "there", "shut")] == [["old.csv", "shut", "there"], [], ["old.csv"]]


# Looking before the work


def output_refusal(path: str, *sources: str, suffixes: tuple[str, ...] = ()) -> str:
    with pytest.raises(nn.ArgumentError) as caught:
        check_output(path, *sources, suffixes=suffixes)
    said = str(caught.value)
    assert said.isprintable()
    assert said.startswith(f"{path} ")
    return said.removeprefix(f"{path} ")


@POSIX
def test_an_output_is_looked_at_and_not_touched(folder):
    """A link is looked behind."""
    Path("there").mkdir()
    for name in ("a.csv", "b.csv"):
        write(name, b"old")
    os.mkfifo("pipe")
    for link, target in (("link.csv", "a.csv"), ("gone.csv", "no/a.csv"), ("loop.csv", "loop.csv")):
        Path(link).symlink_to(target)
    Path("hard.csv").hardlink_to("a.csv")
    before = files_in(folder)
    for path in ("new.csv", "a.csv", "there/new.csv", "pipe", "/dev/null"):
        check_output(path, "simulated:100", "there", "b.csv")
    for path in ("a.csv", "./a.csv", "link.csv", "hard.csv", str(Path("a.csv").resolve())):
        told = "is also read; writing there would lose what it holds, choose another name"
        assert output_refusal(path, "b.csv", "a.csv") == told
    told = f"cannot be written: there is no folder {folder.resolve()}/no; create it"
    assert output_refusal("gone.csv") == told
    assert output_refusal("loop.csv") == "is a loop of symbolic links; choose another name"
    assert (files_in(folder), files_in(Path("there"))) == (before, [])
    assert [Path(name).read_bytes() for name in ("a.csv", "b.csv")] == [b"old"] * 2


@LINUX
def test_a_file_that_nobody_may_change_is_refused(folder):
    write("a.csv", b"old")
    if shutil.which("chattr") is None or subprocess.run(["chattr", "+i", "a.csv"], capture_output=True).returncode:
        pytest.skip("this system or user makes no file immutable")
    try:
        assert output_refusal("a.csv") == "cannot be written: no permission; choose another place"
    finally:
        subprocess.run(["chattr", "-i", "a.csv"], check=True)


@pytest.mark.parametrize("name", ["m.onnx", "m.PNG", "m.csv.gz", "m.xlsx", "m.pkl", "m.npz"])
def test_an_ending_of_another_format_is_refused(folder, name):
    for written in (".safetensors", ".csv"):
        said = output_refusal(name, suffixes=(written,))
        assert re.fullmatch(rf"ends in \.[a-z5]+, which it would not be; expected {written}", said)
    for accepted in ("m", "m.2", "m.safetensors", "m.model"):
        check_output(accepted, suffixes=[".safetensors"])


@POSIX
def test_a_home_is_found_wherever_a_path_is_given(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    write_new("~/a.csv", b"a,y\n1,0\n2,1\n3,0\n4,1\n")
    assert files_in(folder) == ["a.csv"]
    assert nn.load_table("~/a.csv").X.tolist() == [[1, 2, 3, 4]]
    assert output_refusal("~/a.csv", "a.csv").startswith("is also read")
    assert output_refusal("~nobody.here/a.csv").startswith("has no home to begin at")


# Ends that nobody chooses


@POSIX
def test_a_file_that_cannot_be_finished_leaves_the_old_one(folder):
    """As on a full disk: the system takes the first bytes and refuses the others."""
    import resource

    write("a.csv", b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(nn.DataFileError, match=r"a\.csv cannot be written: File too large$"):
            write_new("a.csv", b"new" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert Path("a.csv").read_bytes() == b"old"
    assert files_in(folder) == ["a.csv"]


@POSIX
def test_a_killed_writer_leaves_the_old_file_or_the_new(folder):
    code = "import sys; sys.path.insert(0, sys.argv[1]); import test_files; test_files.kill_everywhere()"
    subprocess.run([sys.executable, "-c", code, str(Path(__file__).parent)], check=True, timeout=120)


def kill_everywhere() -> None:
    """In turn kill a process after each call into C by which it writes; the next one removes what is left."""
    old, new, found, left, due, status = b"old" * 10_000, b"new" * 20_000, set(), 0, 0, -1
    write_new("a", old)  # compiles the patterns that it needs, which are no calls of interest
    while status != 0:
        Path("a").write_bytes(old)
        process = os.fork()
        if process == 0:
            sys.setprofile(functools.partial(kill, calls=iter(range(due))))
            write_new("a", new)
            os._exit(0)
        due += 1
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        assert status in (0, -signal.SIGKILL)
        found.add(Path("a").read_bytes())
        beside = len(files_in(Path())) - 1
        assert beside <= 1
        left += beside
    assert found == {old, new}
    assert left > 10
    assert files_in(Path()) == ["a"]


def kill(frame: FrameType, event: str, argument: object, calls: Iterator[int]) -> None:
    if event == "c_return" and next(calls, None) is None:
        os.kill(os.getpid(), signal.SIGKILL)

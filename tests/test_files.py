"""Results that are written whole or not at all."""

import contextlib
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import nn_backend as nn
from nn_backend.files import check_output, replacing

POSIX = pytest.mark.skipif(os.name != "posix", reason="permissions, links, pipes and signals as POSIX has them")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="/dev/full and /proc are Linux's")


def write(name: str, content: str | bytes) -> Path:
    path = Path(name)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# Writing


def write_new(path: Path | str, content: bytes = b"new") -> None:
    with replacing(Path(path)) as file:
        file.write(content)


def write_half(path: str, error: BaseException) -> None:
    with replacing(Path(path)) as file:
        file.write(b"half")
        raise error


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("old", [None, b"", b"old and longer than the new"])
def test_the_file_holds_what_was_written_and_until_the_end_the_old(folder, old):
    if old is not None:
        write("a.csv", old)
    with replacing(Path("a.csv")) as file:
        file.write(b"first ")
        file.write(b"second")
        file.flush()
        assert [path.read_bytes() for path in folder.glob("*.csv")] == [old] * (old is not None)
    assert Path("a.csv").read_bytes() == b"first second"
    assert files_in(folder) == ["a.csv"]


@POSIX
def test_who_has_the_old_file_open_keeps_it(folder):
    with write("a.csv", b"old").open("rb") as reader:
        write_new("a.csv")
        assert reader.read() == b"old"
    assert Path("a.csv").read_bytes() == b"new"


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit(3), nn.DataError("x")], ids=repr)
@pytest.mark.parametrize("old", [None, b"old"])
def test_an_exception_leaves_the_old_file_and_no_other(folder, old, error):
    if old is not None:
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
    seen = []
    fsync, replace = os.fsync, Path.replace

    def note_fsync(number: int) -> None:
        status = os.fstat(number)
        seen.append("sync folder" if stat.S_ISDIR(status.st_mode) else f"sync {status.st_size} bytes")
        fsync(number)

    def note_replace(path: Path, target: Path) -> Path:
        seen.append("rename")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "replace", note_replace)
    write_new("a.csv", b"x" * 10)
    assert seen == ["sync 10 bytes", "rename", "sync folder"]


# Permissions and links


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


def mode(path: str) -> int:
    return stat.S_IMODE(Path(path).stat().st_mode)


@POSIX
@pytest.mark.usefixtures("umask")
def test_a_new_file_has_the_permissions_of_any_new_file(folder):
    write_new("a.csv")
    assert mode("a.csv") == 0o640


@POSIX
@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize("bits", [0o600, 0o644, 0o666, 0o755, 0o444])
def test_a_replaced_file_keeps_its_permissions(folder, bits):
    write("a.csv", b"old").chmod(bits)
    write_new("a.csv")
    assert (mode("a.csv"), Path("a.csv").read_bytes()) == (bits, b"new")


@POSIX
@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize(("bits", "while_written"), [(None, 0o640), (0o600, 0o600), (0o644, 0o600)])
def test_nobody_else_reads_a_private_file_while_it_is_replaced(folder, bits, while_written):
    if bits is not None:
        write("a.csv", b"old").chmod(bits)
    with replacing(Path("a.csv")):
        [beside] = set(files_in(folder)) - {"a.csv"}
        assert mode(beside) == while_written


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
    if old is not None:
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
def test_a_pipe_is_written_and_stays_one(folder):
    os.mkfifo("pipe")
    received = []
    reader = threading.Thread(target=lambda: received.append(Path("pipe").read_bytes()), daemon=True)
    reader.start()
    write_new("pipe", b"x" * 200_000)
    reader.join(10)
    assert received == [b"x" * 200_000]
    assert stat.S_ISFIFO(Path("pipe").stat().st_mode)
    assert files_in(folder) == ["pipe"]


@POSIX
def test_a_link_to_a_device_is_written_through():
    write_new("/dev/null")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


@LINUX
def test_a_full_device_is_told():
    with pytest.raises(nn.DataFileError) as caught:
        write_new("/dev/full")
    assert str(caught.value) == "/dev/full cannot be written: No space left on device"
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)


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
@pytest.mark.parametrize("appended", [False, True], ids=["pipe", "file appended to"])
def test_standard_output_is_written_as_it_goes(folder, appended):
    """Where the shell sent it into a file, that file may hold more already, and gets more afterwards."""
    write("log.txt", b"old\n")
    with Path("log.txt").open("ab") as log:
        command = [sys.executable, "-c", SAY_AND_WRITE]
        done = subprocess.run(command, stdout=log if appended else subprocess.PIPE, check=True, timeout=60)
    if appended:
        assert Path("log.txt").read_bytes() == b"old\nbefore\nwritten\nafter\n"
    else:
        assert done.stdout == b"before\nwritten\nafter\n"
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


def output_refusal(path: str, *sources: str) -> str:
    with pytest.raises(nn.ArgumentError) as caught:
        check_output(Path(path), *map(Path, sources))
    assert str(caught.value).isprintable()
    return str(caught.value)


@POSIX
def test_an_output_that_can_be_written_is_accepted_and_not_touched(folder):
    Path("there").mkdir()
    write("a.csv", b"old")
    os.mkfifo("pipe")
    for path in ("new.csv", "a.csv", "there/new.csv", "pipe", "/dev/null"):
        check_output(Path(path), Path("simulated:100"), Path("there"))
    assert (files_in(folder), files_in(Path("there"))) == (["a.csv", "pipe", "there"], [])
    assert Path("a.csv").read_bytes() == b"old"


@POSIX
def test_an_output_that_is_also_read_is_refused(folder):
    write("a.csv", b"old")
    write("b.csv", b"old")
    Path("link.csv").symlink_to("a.csv")
    Path("hard.csv").hardlink_to("a.csv")
    for path in ("a.csv", "./a.csv", "link.csv", "hard.csv", str(Path("a.csv").resolve())):
        told = "is also read; writing there would lose what it holds, choose another name"
        assert output_refusal(path, "b.csv", "a.csv") == f"{Path(path)} {told}"
    check_output(Path("a.csv"), Path("b.csv"))


@POSIX
@pytest.mark.parametrize(
    ("link", "said"),
    [
        ("no/a.csv", "a.csv cannot be written: there is no folder {folder}/no; create it"),
        ("a.csv", "a.csv is a loop of symbolic links; choose another name"),
    ],
)
def test_a_link_is_looked_behind(folder, link, said):
    Path("a.csv").symlink_to(link)
    assert output_refusal("a.csv") == said.format(folder=folder.resolve())


@LINUX
def test_a_file_that_nobody_may_change_is_refused(folder):
    write("a.csv", b"old")
    if shutil.which("chattr") is None or subprocess.run(["chattr", "+i", "a.csv"], capture_output=True).returncode:
        pytest.skip("this system or user makes no file immutable")
    try:
        assert output_refusal("a.csv") == "a.csv cannot be written: no permission; choose another place"
    finally:
        subprocess.run(["chattr", "-i", "a.csv"], check=True)


@pytest.mark.parametrize("name", ["m.onnx", "m.PNG", "m.csv.gz", "m.xlsx", "m.pkl", "m.npz"])
def test_an_ending_of_another_format_is_refused(folder, name):
    for written in (".safetensors", ".csv"):
        with pytest.raises(nn.ArgumentError, match=f"^{name} ends in .*, which it would not be; expected {written}$"):
            check_output(Path(name), suffixes=[written])
    for accepted in ("m", "m.2", "m.safetensors", "m.model"):
        check_output(Path(accepted), suffixes=[".safetensors"])


@POSIX
def test_a_home_is_found_wherever_a_path_is_given(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    write_new("~/a.csv", b"a,y\n1,0\n2,1\n3,0\n4,1\n")
    assert files_in(folder) == ["a.csv"]
    assert nn.load_table("~/a.csv").X.tolist() == [[1, 2, 3, 4]]
    assert output_refusal("~/a.csv", "a.csv").startswith("~/a.csv is also read")
    assert output_refusal("~nobody.here/a.csv").startswith("~nobody.here/a.csv has no home to begin at")


# Ends that nobody chooses

GROW_TOO_LARGE = """
import resource
from pathlib import Path
from nn_backend.errors import DataFileError
from nn_backend.files import replacing
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    with replacing(Path("a.csv")) as file:
        file.write(b"new" * 100_000)
except DataFileError as error:
    print(error)
"""


@POSIX
def test_a_file_that_cannot_be_finished_leaves_the_old_one(folder):
    """As on a full disk: the system takes the first bytes and refuses the others."""
    write("a.csv", b"old")
    command = [sys.executable, "-c", GROW_TOO_LARGE]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.endswith("a.csv cannot be written: File too large\n")
    assert Path("a.csv").read_bytes() == b"old"
    assert files_in(folder) == ["a.csv"]


# The child writes versions one after another; its parent hears of some, kills it a random time later, and looks.
KILL = """
import os, random, signal, sys, time
from pathlib import Path
from nn_backend.files import replacing

KILLS, SIZE = 40, 4_000_000
path, draw, interrupted, versions = Path("a.bin"), random.Random(7), 0, set()

def write(version):
    with replacing(path) as file:
        for _ in range(16):
            file.write(version.to_bytes(8, "little") * (SIZE // 16 // 8))

write(0)
start = time.monotonic()
write(1)
lasts = time.monotonic() - start
for kill in range(KILLS):
    heard, told = os.pipe()
    child = os.fork()
    if child == 0:
        for version in range(1000 * kill, 1000 * kill + 1000):
            write(version)
            os.write(told, b".")
        os._exit(1)
    os.close(told)
    for _ in range(draw.randint(0, 2)):
        os.read(heard, 1)
    time.sleep(min(draw.uniform(0, 1.5 * lasts), 0.15))
    os.kill(child, signal.SIGKILL)
    os.close(heard)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the child ended by itself"
    content = path.read_bytes()
    assert len(content) == SIZE, f"{len(content)} bytes after kill {kill}"
    assert content == content[:8] * (SIZE // 8), f"two versions in one file after kill {kill}"
    versions.add(content[:8])
    left = set(Path().iterdir()) - {path}
    assert len(left) <= 1, f"{left} after kill {kill}"
    interrupted += len(left)
write(0)
assert [*Path().iterdir()] == [path], "the next run leaves what the last one left"
print(interrupted, len(versions))
"""


@POSIX
def test_a_killed_writer_leaves_the_old_file_or_the_new(folder):
    done = subprocess.run([sys.executable, "-c", KILL], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    interrupted, versions = map(int, done.stdout.split())
    assert interrupted >= 5  # it was killed in the midst of a file
    assert versions >= 10  # and others had been finished

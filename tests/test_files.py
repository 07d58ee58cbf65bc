"""Tables read in chunks as read whole, and results that are written whole or not at all."""

import contextlib
import csv
import gzip
import io
import os
import random
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import nn_backend as nn
from nn_backend.files import check_output, read_frame, read_frames, replacing

POSIX = pytest.mark.skipif(os.name != "posix", reason="permissions, links, pipes and signals as POSIX has them")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="/dev/full and /proc are Linux's")


def write(name: str, content: str | bytes) -> Path:
    path = Path(name)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def listed(frame: pd.DataFrame) -> list[list]:
    """Give a frame's rows; None for a missing value, because nan is not equal to nan."""
    return [[None if pd.isna(cell) else cell for cell in row] for row in frame.to_numpy(dtype=object)]


def refusal(path: Path, rows: int | None) -> tuple[type, str]:
    """Give kind and text of the error that reading ends in, having checked that it is one line of ours."""
    with pytest.raises(nn.NNBackendError) as caught:
        list(read_frames(path, rows))
    assert str(caught.value).isprintable()
    return caught.type, str(caught.value)


# Tables

HEADER = ["x1", "note, long", "y"]
ROWS = [
    [0.5, "plain", "no"],
    [-2.0, "two\nlines", "yes"],
    [3e8, 'a "quoted" word', "yes"],
    [0.1, "comma, and\n\nan empty line", "nö"],
    [7.0, "last", "no"],
]


def as_csv(end: str = "\n") -> str:
    """Give ROWS as Python's csv module writes them, line ends inside of quotes untouched."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=end).writerows([HEADER, *ROWS])
    return text.getvalue()


def as_parquet(frame: pd.DataFrame, **options) -> bytes:
    content = io.BytesIO()
    frame.to_parquet(content, **options)
    return content.getvalue()


TABLES = {
    "plain.csv": as_csv().encode(),
    "no_line_end.csv": as_csv().rstrip("\n").encode(),
    "blank_lines.csv": as_csv().replace("no\n", "no\n\n").encode(),
    "bom.csv": b"\xef\xbb\xbf" + as_csv().encode(),
    "crlf.csv": as_csv("\r\n").encode(),
    "bom_crlf.csv.gz": gzip.compress(b"\xef\xbb\xbf" + as_csv("\r\n").encode()),
    "plain.csv.gz": gzip.compress(as_csv().encode()),
    "UPPER.CSV.GZ": gzip.compress(as_csv().encode()),
    "plain.parquet": as_parquet(pd.DataFrame(ROWS, columns=HEADER)),
    "groups.parquet": as_parquet(pd.DataFrame(ROWS, columns=HEADER), row_group_size=2),
}


@pytest.mark.parametrize("rows", [None, 1, 2, 3, 4, 5, 6, 1000])
@pytest.mark.parametrize("name", TABLES)
def test_chunks_hold_the_rows_of_the_whole(folder, name, rows):
    frames = list(read_frames(write(name, TABLES[name]), rows))
    assert [row for frame in frames for row in listed(frame)] == ROWS
    assert all(list(frame.columns) == HEADER for frame in frames)
    size = rows or len(ROWS)
    assert [len(frame) for frame in frames] == [min(size, len(ROWS) - start) for start in range(0, len(ROWS), size)]


@pytest.mark.parametrize("name", TABLES)
def test_read_frame_gives_the_whole(folder, name):
    frame = read_frame(write(name, TABLES[name]))
    assert (list(frame.columns), listed(frame)) == (HEADER, ROWS)


@pytest.mark.parametrize("rows", [None, 1, 7])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b"x1,y\n"),
        ("a.csv", b"x1,y"),
        ("a.csv", b"\xef\xbb\xbfx1,y\r\n"),
        ("a.csv.gz", gzip.compress(b"x1,y\n")),
        ("a.parquet", as_parquet(pd.DataFrame({"x1": [], "y": []}))),
    ],
    ids=["csv", "no line end", "BOM CRLF", "gz", "parquet"],
)
def test_a_header_alone_is_one_frame_without_rows(folder, name, content, rows):
    """So that whoever reads in chunks learns the names."""
    frames = list(read_frames(write(name, content), rows))
    assert [(list(frame.columns), len(frame)) for frame in frames] == [(["x1", "y"], 0)]


@pytest.mark.parametrize("rows", [None, 1, 2])
def test_a_name_that_stands_twice_is_not_renamed(folder, rows):
    for frame in read_frames(write("a.csv", "a,a,a.1\n1,2,3\n4,5,6\n7,8,9\n"), rows):
        assert list(frame.columns) == ["a", "a", "a.1"]


def test_random_tables_are_what_pythons_csv_module_reads(folder):
    draw = random.Random(5)
    words = ["word", "a,b", "two\nlines", 'say "x"', "nö", "-", "x" * 300, "; ", "'"]
    for _ in range(60):
        table = [[draw.choice(words) for _ in range(draw.randint(2, 4))]]
        table += [[draw.choice(words) for _ in table[0]] for _ in range(draw.randint(1, 12))]
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator=draw.choice(["\n", "\r\n"])).writerows(table)
        path = write("a.csv", text.getvalue())
        with path.open(encoding="utf-8", newline="") as file:
            header, *expected = csv.reader(file)
        for rows in (None, 1, 2, 5):
            frames = list(read_frames(path, rows))
            assert [row for frame in frames for row in listed(frame)] == expected
            assert all(list(frame.columns) == header for frame in frames)


def test_many_chunks_of_numbers_are_the_whole(folder):
    draw = random.Random(6)
    numbers = [draw.random() * 10.0 ** draw.randint(-300, 300) for _ in range(20_000)]
    path = write("a.csv.gz", gzip.compress(("x1,y\n" + "".join(f"{x!r},1\n" for x in numbers)).encode(), 1))
    frames = list(read_frames(path, 999))
    assert len(frames) == 21
    assert [x for frame in frames for x in frame["x1"]] == numbers


# Tables that are not what they should be

LINES = ["a,b", "0,0", "1,2", "2,4", "3,6", "4,8", "5,10"]


@pytest.mark.parametrize("rows", [None, 1, 2, 3, 4])
@pytest.mark.parametrize("line", range(1, 7))
@pytest.mark.parametrize("long", ["7,8,9", "7,8,9,10", "7,8,"])
def test_a_row_longer_than_the_header_is_told_in_whichever_chunk(folder, long, line, rows):
    path = write("a.csv", "\n".join([*LINES[:line], long, *LINES[line + 1 :]]) + "\n")
    told = f"Expected 2 fields in line {line + 1}, saw {len(long.split(','))}"
    expected = f"a.csv is not a table of comma-separated values: {told}"
    assert refusal(path, rows) == (nn.DataFileError, expected)


@pytest.mark.parametrize("rows", [None, 1, 2, 3, 4])
@pytest.mark.parametrize("line", range(1, 7))
def test_a_row_shorter_than_the_header_has_missing_values(folder, line, rows):
    path = write("a.csv", "\n".join([*LINES[:line], "7", *LINES[line + 1 :]]) + "\n")
    found = [row for frame in read_frames(path, rows) for row in listed(frame)]
    expected = [list(map(float, text.split(","))) for text in LINES[1:]]
    expected[line - 1] = [7.0, None]
    assert found == expected


def test_rows_before_the_fault_are_given(folder):
    path = write("a.csv", "\n".join([*LINES, "7,8,9"]) + "\n")
    frames = read_frames(path, 4)
    assert listed(next(frames)) == [[0, 0], [1, 2], [2, 4], [3, 6]]
    with pytest.raises(nn.DataFileError, match=r"^a\.csv is not a table .*Expected 2 fields in line 8, saw 3$"):
        next(frames)


LONG = "x1,y\n" + "1,ja\n" * 100_000


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", (LONG + "1,nö\n").encode("latin-1"), r"a\.csv is not text in UTF-8 \(.+\); save it as UTF-8"),
        ("a.csv", LONG + '1,"ja\n', r"a\.csv is not a table of comma-separated values: EOF inside string .*"),
        ("a.csv.gz", gzip.compress(LONG.encode(), 0)[:-70_000], r"a\.csv\.gz cannot be read: Compressed file ended.*"),
    ],
    ids=["latin-1", "open quote", "cut gz"],
)
def test_a_fault_far_below_is_told_when_it_is_reached(folder, name, content, message):
    path = write(name, content)
    frames = read_frames(path, 1000)
    assert len(next(frames)) == 1000
    with pytest.raises(nn.DataFileError) as in_chunks:
        list(frames)
    with pytest.raises(nn.DataFileError, match=f"^{message}$") as whole:
        read_frame(path)
    assert str(in_chunks.value) == str(whole.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("no.csv", None, "does not exist; expected a file ending in .csv, .csv.gz, .parquet"),
        ("no/such.parquet", None, "does not exist; expected a file ending in .csv, .csv.gz, .parquet"),
        ("a.xlsx", "x1,y\n1,0\n", "is of no kind that is known; expected a file ending in .csv, .csv.gz, .parquet"),
        ("a.csv", b"", "is empty; expected a header and one example per row"),
        ("a.csv", b"\n\n", "is empty; expected a header and one example per row"),
        ("a.csv.gz", gzip.compress(b""), "is empty; expected a header and one example per row"),
        ("a.csv", "x1;y\n1;0\n", "separates its columns by semicolons; expected commas"),
        ("a.csv", b"x1,y\n\xff,0\n", "is not text in UTF-8 (invalid start byte); save it as UTF-8"),
        ("a.csv.gz", "x1,y\n1,0\n", "cannot be read: Not a gzipped file"),
        ("a.parquet", "x1,y\n1,0\n", "is not a Parquet file: "),
    ],
)
def test_refusals_are_those_of_read_frame(folder, name, content, message):
    path = Path(name) if content is None else write(name, content)
    with pytest.raises(nn.DataFileError) as whole:
        read_frame(path)
    assert str(whole.value).startswith(f"{path} {message}")
    for rows in (1, 100):
        kind, told = refusal(path, rows)
        assert kind is nn.DataFileError
        assert told == str(whole.value) or (name == "a.parquet" and told.startswith(f"{path} {message}"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("no.csv", None),
        ("a.txt", "x"),
        ("a.csv", b""),
        ("a.csv", b"\n\n"),
        ("a.csv", "x1;y\n"),
        ("a.csv", b"x1,y\n\xff,0\n"),
        ("a.csv", "x1,y\n1,0,2\n"),
        ("a.csv.gz", "x1,y\n"),
        ("a.parquet", "x1,y\n"),
    ],
)
@pytest.mark.parametrize("rows", [None, 2])
def test_refusals_call_the_file_as_asked(folder, name, content, rows):
    path = Path(name) if content is None else write(name, content)
    with pytest.raises(nn.DataFileError, match=r"^standard input ") as caught:
        list(read_frames(path, rows, name="standard input"))
    assert str(caught.value).removeprefix("standard input") == refusal(path, rows)[1].removeprefix(name)


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet"])
def test_a_folder_is_refused(folder, name):
    Path(name).mkdir()
    assert refusal(Path(name), 2) == (nn.DataFileError, f"{name} is a folder; expected a file")


def test_parquet_in_chunks_without_pyarrow(folder, monkeypatch):
    path = write("a.parquet", TABLES["plain.parquet"])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    kind, message = refusal(path, 2)
    assert kind is nn.MissingPackageError
    assert message == 'a.parquet is a Parquet file, which needs pyarrow: run "pip install nn-backend[parquet]"'


@pytest.mark.parametrize("rows", [None, 100])
def test_damage_inside_a_compressed_file_is_told(folder, rows):
    """Ten flipped bytes after ten others, so that the stream's codes are met and not its checksum alone."""
    whole = gzip.compress(("a,b\n" + "".join(f"{k},{k * 7919 % 1009}\n" for k in range(3000))).encode())
    for start in range(20, len(whole) - 20, len(whole) // 20):
        damaged = bytes(byte ^ (0xA5 * (start <= k < start + 10)) for k, byte in enumerate(whole))
        kind, message = refusal(write("a.csv.gz", damaged), rows)
        assert kind is nn.DataFileError
        assert message.startswith("a.csv.gz ")


@pytest.mark.parametrize("rows", [None, 2])
@pytest.mark.parametrize(
    ("sound", "damaged"), [(b'"columns"', b'"columns,'), (b'"pandas_type"', b'"p\xffndas_type"')], ids=["JSON", "UTF-8"]
)
def test_damage_in_what_pandas_notes_in_a_parquet_file_is_told_or_does_not_matter(folder, sound, damaged, rows):
    content = TABLES["plain.parquet"]
    assert sound in content
    path = write("a.parquet", content.replace(sound, damaged))
    found = None
    with contextlib.suppress(nn.DataFileError):
        found = [row for frame in read_frames(path, rows) for row in listed(frame)]
    assert found in (None, ROWS)


@LINUX
@pytest.mark.parametrize("name", ["plain.csv", "plain.csv.gz", "plain.parquet"])
def test_a_table_left_half_read_is_closed(folder, name):
    path = write(name, TABLES[name])

    def is_open() -> bool:
        return any(link.exists() and link.samefile(path) for link in Path("/proc/self/fd").iterdir())

    frames = read_frames(path, 2)
    next(frames)
    assert is_open()
    frames.close()
    assert not is_open()


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
def test_the_file_holds_what_was_written_and_nothing_else_is_left(folder, old):
    if old is not None:
        write("a.csv", old)
    with replacing(Path("a.csv")) as file:
        file.write(b"first ")
        file.write(b"second")
    assert Path("a.csv").read_bytes() == b"first second"
    assert files_in(folder) == ["a.csv"]


@pytest.mark.parametrize("old", [None, b"old"])
def test_until_the_end_there_is_the_old_file_only(folder, old):
    if old is not None:
        write("a.csv", old)
    with replacing(Path("a.csv")) as file:
        file.write(b"new" * 100_000)
        file.flush()
        assert [path.read_bytes() for path in folder.glob("*.csv")] == [old] * (old is not None)


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
        read_frame(Path("no.csv"))
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
@pytest.mark.parametrize("old", [None, b"old"])
def test_a_symbolic_link_stays_one(folder, old):
    Path("there").mkdir()
    if old is not None:
        write("there/target.csv", old)
    Path("link.csv").symlink_to("there/target.csv")
    Path("chain.csv").symlink_to("link.csv")
    write_new("chain.csv")
    assert [str(Path(name).readlink()) for name in ("chain.csv", "link.csv")] == ["link.csv", "there/target.csv"]
    assert Path("there/target.csv").read_bytes() == b"new"
    assert (files_in(folder), files_in(Path("there"))) == (["chain.csv", "link.csv", "there"], ["target.csv"])


@POSIX
def test_an_exception_leaves_a_links_target(folder):
    write("target.csv", b"old")
    Path("link.csv").symlink_to("target.csv")
    with pytest.raises(ValueError, match="x"):
        write_half("link.csv", ValueError("x"))
    assert (Path("link.csv").is_symlink(), Path("link.csv").read_bytes()) == (True, b"old")
    assert files_in(folder) == ["link.csv", "target.csv"]


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


def write_refusal(path: str) -> str:
    with pytest.raises(nn.DataFileError) as caught:
        write_new(path)
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_a_missing_folder_is_told(folder):
    message = write_refusal("no/such/a.csv")
    assert "a.csv cannot be written: " in message
    assert str(Path("no/such")) in message
    assert files_in(folder) == []


@pytest.mark.parametrize("path", ["there", ".", "there/"])
def test_a_folder_is_not_replaced(folder, path):
    Path("there").mkdir()
    assert write_refusal(path) == f"{Path(path)} is a folder; expected a file's name"
    assert files_in(folder) == ["there"]


@POSIX
def test_a_file_where_a_folder_should_be_is_told(folder):
    write("a", b"old")
    assert write_refusal("a/b.csv").endswith("b.csv cannot be written: Not a directory")
    assert Path("a").read_bytes() == b"old"


@POSIX
@pytest.mark.parametrize("old", [None, b"old"])
def test_a_folder_that_may_not_be_written_is_told(folder, old):
    Path("there").mkdir()
    if old is not None:
        write("there/a.csv", old)
    Path("there").chmod(0o500)
    if os.access("there", os.W_OK):
        pytest.skip("who runs this may write in every folder, as root may")
    try:
        assert write_refusal("there/a.csv").endswith("a.csv cannot be written: Permission denied")
        assert files_in(Path("there")) == ["a.csv"] * (old is not None)
    finally:
        Path("there").chmod(0o700)


# Looking before the work


def output_refusal(path: str, *sources: str) -> str:
    with pytest.raises(nn.ArgumentError) as caught:
        check_output(Path(path), *map(Path, sources))
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_an_output_that_can_be_written_is_accepted_and_not_touched(folder):
    Path("there").mkdir()
    write("a.csv", b"old")
    for path in ("new.csv", "a.csv", "there/new.csv"):
        check_output(Path(path), Path("simulated:100"), Path("there"))
    assert (files_in(folder), files_in(Path("there"))) == (["a.csv", "there"], [])
    assert Path("a.csv").read_bytes() == b"old"


@POSIX
def test_pipes_and_devices_are_accepted(folder):
    os.mkfifo("pipe")
    check_output(Path("pipe"), Path("no.csv"))
    check_output(Path("/dev/null"))


def test_an_output_that_cannot_be_written_is_refused(folder):
    Path("there").mkdir()
    assert output_refusal("there") == "there is a folder; expected a file's name"
    assert output_refusal("no/a.csv") == "no/a.csv cannot be written: there is no folder no; create it"


@POSIX
def test_an_output_without_permission_is_refused(folder):
    Path("there").mkdir()
    Path("there").chmod(0o500)
    if os.access("there", os.W_OK):
        pytest.skip("who runs this may write in every folder, as root may")
    assert output_refusal("there/a.csv") == "there/a.csv cannot be written: no permission; choose another place"


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
    for left in set(Path().iterdir()) - {path}:
        interrupted += 1
        left.unlink()
print(interrupted, len(versions))
"""


@POSIX
def test_a_killed_writer_leaves_the_old_file_or_the_new(folder):
    done = subprocess.run([sys.executable, "-c", KILL], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    interrupted, versions = map(int, done.stdout.split())
    assert interrupted >= 5  # it was killed in the midst of a file
    assert versions >= 10  # and others had been finished

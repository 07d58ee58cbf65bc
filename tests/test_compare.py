"""The command compare: what it measures, prints and refuses, without a GPU and with one that is played."""

import html
import itertools
import json
import math
import os
import platform
import random
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import array_api_compat.numpy
import numpy as np
import pytest
from commands import Run, run_command
from places import STRICT, require_gpu

import nn_backend as nn
from nn_backend import engines, timings
from nn_backend.backend import Backend
from nn_backend.commands import compare
from nn_backend.timings import Comparison, Contender, format_seconds, pays_from

NO_GPU = "There is no GPU in this test."
START = nn.init_params(3, 4)
CPU = nn.get_backend("cpu")
OTHER = Backend("other:0", array_api_compat.numpy, device_name="NumPy by another name")  # its arrays are NumPy's


class Measured(Run):
    @property
    def table(self) -> list[dict[str, str]]:
        """The Markdown table, by the names of its columns."""
        header, ruler, *rows = [line for line in self.out.splitlines() if line.startswith("|")]
        names = cells_of(header)
        assert re.fullmatch(r"\|(-*:?-+:?\|)+", ruler)
        assert len(set(names)) == len(names) == len(ruler.split("|")) - 2
        assert all(len(cells_of(row)) == len(names) for row in rows)
        return [dict(zip(names, cells_of(row), strict=True)) for row in rows]


def cells_of(line: str) -> list[str]:
    assert line.startswith("| ")
    assert line.endswith(" |")
    return [cell.strip() for cell in line[1:-1].split("|")]


def seconds_of(cell: str) -> float:
    number, unit = cell.split()
    return float(number) * {"µs": 1e-6, "ms": 1e-3, "s": 1.0}[unit]


@pytest.fixture(autouse=True)
def _hurry(monkeypatch) -> None:
    monkeypatch.setattr(timings, "ROUND_SECONDS", 0.0)
    monkeypatch.setattr(timings, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(timings, "ROUNDS", 2)


@pytest.fixture
def run_here(run_main: Callable[..., Run]) -> Callable[..., Measured]:
    return lambda *arguments: Measured(*run_main(compare.main, *arguments))


def play(monkeypatch, gpu: Backend | None) -> None:
    """Let ``gpu`` be what the name "gpu" stands for; None for no GPU."""

    def get_backend(name: str) -> Backend:
        if name != "gpu":
            return nn.get_backend(name)
        if gpu is None:
            raise nn.BackendUnavailableError(NO_GPU)
        return gpu

    monkeypatch.setattr(compare, "get_backend", get_backend)


@pytest.fixture
def no_gpu(monkeypatch) -> None:
    play(monkeypatch, None)


@pytest.fixture(params=[STRICT, OTHER], ids=lambda gpu: gpu.name)
def gpu(request, monkeypatch) -> Backend:
    """Give a backend that plays the GPU; one of them refuses what a GPU would refuse."""
    play(monkeypatch, request.param)
    return request.param


@pytest.fixture
def bind(monkeypatch) -> Callable[[Callable], None]:
    """Put a function between the comparison and the engines: it gets the real `bind` and what that is given."""
    real = engines.bind

    def put(function: Callable) -> None:
        def bind_once(engine, examples, params, *, backend, threads=None, tasks=()):
            return function(real, engine, examples, params, backend=backend, threads=threads)

        monkeypatch.setattr(engines, "bind", bind_once)

    return put


class Descending:
    """An engine that does what a function does with states; starts and ends as another does, or takes them as is."""

    def __init__(self, descend: Callable, like: Any = None) -> None:
        self.descend = lambda *arguments: (descend(*arguments), None, None)
        self.start = like.start if like else lambda state: state
        self.state = like.state if like else lambda state: state


# On a machine without a GPU


@pytest.fixture(scope="module")
def measured() -> Measured:
    """Run the example of its help in a process of its own that sees no GPU, at its real pace."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NN_BACKEND")}
    environment["CUDA_VISIBLE_DEVICES"] = ""
    example = compare._parser().epilog.removeprefix("example: python ").split()
    command = [sys.executable, *example]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    return Measured(done.returncode, done.stdout, done.stderr)


def test_a_table_without_a_gpu(measured):
    assert (measured.code, measured.err) == (0, "")
    machine, missing = measured.out.splitlines()[:2]
    assert re.fullmatch(
        r"numpy: device cpu, processor \S+, threads \d+, python 3\.\d+\.\S+, numpy 2\.\S+, blas \w.*", machine
    )
    assert missing == f"Only engines of the CPU are compared. {diagnosis_without_devices()}"
    assert "\nTime per iteration of gradient descent, 3-4-1 network, float32:\n" in measured.out
    assert "The GPU pays" not in measured.out
    rows = measured.table
    assert [list(row) for row in rows] == [["rows", "numpy eager", "numpy compiled", "same bits"]] * 2
    assert [(row["rows"], row["same bits"]) for row in rows] == [("300", "yes"), ("10,000", "yes")]
    assert all(1e-6 < seconds_of(row["numpy eager"]) < 1 for row in rows)
    assert 1e-8 < seconds_of(rows[0]["numpy compiled"]) < seconds_of(rows[1]["numpy compiled"]) < 1


def test_it_says_whose_kernels_the_blas_library_runs():
    done = run_command("compare", "--rows", "1", "--json", OPENBLAS_CORETYPE="Nehalem")
    blas = json.loads(done.out)["machines"]["numpy"]["blas"]
    if platform.machine() != "x86_64" or "openblas" not in blas:
        pytest.skip(f"only OpenBLAS on x86-64 has kernels for that processor; here: {blas}")
    assert re.fullmatch(r"openblas \d+\.\d+\.\S+ Nehalem", blas)


def diagnosis_without_devices() -> str:
    command = [sys.executable, "-c", "import nn_backend as nn; print(nn.diagnose_gpu())"]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=environment).stdout[:-1]


def test_a_name_like_cupys_is_not_taken_for_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert timings.describe(Backend("cupynumeric", array_api_compat.numpy)) == {"device": "cpu"}


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize(
    ("given", "rows"), [(("--rows", "70, 9,1000,9 ,1"), [1, 9, 70, 1000]), ((), [10**k for k in range(2, 8)])]
)
def test_a_row_for_each_size_in_order_and_once_powers_of_ten_unless_given(run_here, monkeypatch, given, rows):
    monkeypatch.setattr(compare, "compare", lambda rows, start, contenders, threads: Comparison(rows, {}, None, None))
    document = json.loads(run_here(*given, "--json").out)
    assert [measured["rows"] for measured in document["comparisons"]] == rows


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_json_is_one_complete_document(run_here, dtype):
    done = run_here("--rows", "5,20", "--hidden", "3", "--dtype", dtype, "--threads", "2", "--json")
    assert (done.code, done.err) == (0, "")
    document = json.loads(done.out)
    machine = document.pop("machines").pop("numpy")
    assert (machine["device"], machine["threads"], machine["numpy"]) == ("cpu", 2, np.__version__)
    assert machine["python"] == ".".join(map(str, sys.version_info[:3]))
    comparisons = document.pop("comparisons")
    assert document.pop("left_out") == {}
    assert document == {"no_gpu": NO_GPU, "hidden": 3, "dtype": dtype, "gpu_pays_from_rows": None, "interrupted": False}
    assert [measured["rows"] for measured in comparisons] == [5, 20]
    for measured in comparisons:
        assert set(measured) == {"rows", "seconds", "transfer_seconds", "same_bits"}
        assert list(measured["seconds"]) == ["numpy eager", "numpy compiled"]
        assert all(1e-9 < seconds < 1 for seconds in measured["seconds"].values())
        assert (measured["transfer_seconds"], measured["same_bits"]) == (None, True)


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("text", [("--json",), ()], ids=["json", "table"])
def test_the_picture_holds_every_engine(run_here, folder, text):
    done = run_here("--rows", "5,20", "--plot", "times.svg", *text)
    assert (done.code, done.err) == (0, "")
    assert len(json.loads(done.out)["comparisons"] if text else done.table) == 2
    picture = Path("times.svg").read_text(encoding="utf-8")
    assert ElementTree.fromstring(picture).tag.endswith("svg")
    found = [html.unescape(text) for text in re.findall(r"<!-- (.*?) -->", picture)]
    for name in ("numpy eager", "numpy compiled", "One iteration of gradient descent, 3-4-1 network, float64"):
        assert found.count(name) == 1


def test_points_of_the_picture_are_the_figures_that_were_measured(run_here, monkeypatch, folder):
    drawn = []
    play(monkeypatch, STRICT)
    monkeypatch.setattr(compare, "compare", lambda rows, start, contenders, threads: SCRIPT[rows])
    monkeypatch.setattr(compare, "plot_times", lambda path, times, title: drawn.append(times))
    assert run_here("--rows", "1000,20000", "--plot", "times.png").code == 0
    assert drawn == [
        {
            "numpy eager": [(1000, 1e-4), (20000, 1.25)],
            "numpy compiled": [(1000, 1.5e-4)],
            "strict eager": [(1000, 9.9e-5), (20000, 0.002)],
        }
    ]


# Wrong use


def test_auto_without_a_gpu_is_no_gpu(run_here, monkeypatch):
    monkeypatch.setattr(compare, "get_backend", lambda name: CPU)
    done = run_here("--rows", "5", "--device", "auto")
    assert done == (2, "", "error: --device is auto, which is the CPU here; expected a GPU, such as gpu or cupy:1\n")


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize(("at", "measured"), [(5, []), (20, [5])])
@pytest.mark.parametrize("text", [("--json",), ()], ids=["json", "table"])
def test_ctrl_c_ends_it_with_the_sizes_so_far(run_here, monkeypatch, folder, text, at, measured):
    real = compare.compare

    def stop(rows: int, *rest) -> Comparison:
        if rows == at:
            raise KeyboardInterrupt
        return real(rows, *rest)

    monkeypatch.setattr(compare, "compare", stop)
    done = run_here("--rows", "5,20,30", "--plot", "times.svg", *text)
    assert (done.code, done.err) == (130, f"interrupted after {len(measured)} of 3 sizes\n")
    assert [file.name for file in folder.iterdir()] == ["times.svg"] * len(measured)
    if text:
        document = json.loads(done.out)
        assert document["interrupted"]
        assert [comparison["rows"] for comparison in document["comparisons"]] == measured
    else:
        assert [int(row["rows"]) for row in done.table] == measured


# Memory that does not suffice


def refuse(when: Callable[[str, Backend], bool], after: int = 0) -> Callable:
    """Make a `bind` whose engines, where asked for, run out of memory in the call after so many."""

    def bind(real, engine, examples, params, *, backend, threads):
        bound = real(engine, examples, params, backend=backend, threads=threads)
        calls = itertools.count()

        def descend(*arguments):
            if when(engine, backend) and next(calls) >= after:
                raise MemoryError
            return bound.descend(*arguments)[0]

        return Descending(descend, bound)

    return bind


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("after", [0, 1, 2], ids=["checking", "first round", "second round"])
@pytest.mark.parametrize(("out", "other"), [("eager", "compiled"), ("compiled", "eager")])
def test_who_runs_out_of_memory_has_no_time_and_the_others_go_on(run_here, bind, out, other, after):
    bind(refuse(lambda engine, backend: engine == out, after))
    done = run_here("--rows", "5,20")
    assert (done.code, done.err) == (0, "")
    assert [row["rows"] for row in done.table] == ["5", "20"]
    for row in done.table:
        assert row[f"numpy {out}"] == "out of memory"
        assert seconds_of(row[f"numpy {other}"]) > 0


@pytest.mark.usefixtures("no_gpu")
def test_who_runs_out_of_memory_in_binding_has_no_time(run_here, bind, folder):
    def refuse_compiled(real, engine, *arrays, **options):
        if engine == "compiled":
            raise MemoryError
        return real(engine, *arrays, **options)

    bind(refuse_compiled)
    done = run_here("--rows", "5", "--json", "--plot", "times.svg")
    assert (done.code, done.err) == (0, "")
    (measured,) = json.loads(done.out)["comparisons"]
    assert measured["seconds"]["numpy eager"] > 0
    assert measured["seconds"]["numpy compiled"] is None
    assert measured["same_bits"] is None
    assert Path("times.svg").exists()


@pytest.fixture
def few_rows(monkeypatch) -> None:
    """Leave memory for ten rows only."""

    def simulate(rows: int) -> tuple[np.ndarray, np.ndarray]:
        if rows > 10:
            raise MemoryError
        return nn.simulate_marks(rows)

    monkeypatch.setattr(timings, "simulate_marks", simulate)


@pytest.mark.usefixtures("no_gpu", "few_rows")
def test_data_that_does_not_fit_has_a_row_without_times(run_here):
    done = run_here("--rows", "5,20")
    assert (done.code, done.err) == (0, "")
    small, large = done.table
    assert seconds_of(small["numpy eager"]) > 0
    assert large == {"rows": "20", "numpy eager": "out of memory", "numpy compiled": "out of memory", "same bits": ""}
    measured = json.loads(run_here("--rows", "5,20", "--json").out)["comparisons"][1]
    nothing = {"numpy eager": None, "numpy compiled": None}
    assert measured == {"rows": 20, "seconds": nothing, "transfer_seconds": None, "same_bits": None}


@pytest.mark.usefixtures("few_rows")
def test_data_that_does_not_fit_has_a_cell_in_each_column_with_a_gpu(run_here, gpu):
    done = run_here("--rows", "5,20")
    assert done.code == 0
    small, large = done.table
    assert seconds_of(small["transfer to the GPU"]) > 0
    assert {large[name] for name in large if name.startswith(("numpy ", f"{gpu.name} "))} == {"out of memory"}
    assert not re.search(r"\d", large["transfer to the GPU"])


def test_a_gpu_without_memory_has_a_cell_in_each_column(run_here, bind, gpu):
    bind(refuse(lambda engine, backend: backend is gpu))
    done = run_here("--rows", "5,20")
    assert (done.code, done.err) == (0, "")
    for row in done.table:
        assert row[f"{gpu.name} eager"] == "out of memory"
        assert seconds_of(row["numpy eager"]) > 0
        assert row["same bits"] == "yes"
    assert "The GPU pays at none of these sizes" in done.out


# Bits


def change_bits(when: Callable[[Backend, int | None], bool]) -> Callable:
    """Make a `bind` whose compiled engines, where asked for, give results that differ in one last bit."""

    def bind(real, engine, examples, params, *, backend, threads):
        bound = real(engine, examples, params, backend=CPU, threads=threads)

        def descend(state, *arguments):
            reached = bound.state(bound.descend(bound.start(state), *arguments)[0])
            if when(backend, threads):
                b2 = reached.params.b2
                b2[-1, -1] = np.nextafter(b2[-1, -1], np.inf, dtype=b2.dtype)
            return reached

        return Descending(descend)

    return bind


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_bits_that_depend_on_the_threads_are_told(run_here, bind, dtype):
    bind(change_bits(lambda backend, threads: threads == 1))
    options = ("--rows", "5", "--threads", "2", "--dtype", dtype)
    assert run_here(*options).table[0]["same bits"] == "NO"
    assert json.loads(run_here(*options, "--json").out)["comparisons"][0]["same_bits"] is False


@pytest.mark.parametrize("differs", [False, True])
def test_bits_of_two_backends_are_compared(bind, differs):
    bind(change_bits(lambda backend, threads: differs and backend is OTHER))
    found = timings.compare(50, START, [Contender(CPU, "compiled"), Contender(OTHER, "compiled")], 2)
    assert found.same_bits is not differs


@pytest.mark.parametrize("rows", [1, 3, 20_000])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_bits_of_the_compiled_engine_are_the_same_and_eager_promises_none(rows, dtype):
    start = nn.init_params(3, 4, dtype=dtype)
    assert timings.compare(rows, start, [Contender(CPU, "compiled")], 2).same_bits is True
    assert timings.compare(rows, start, [Contender(CPU, "eager"), Contender(STRICT, "eager")]).same_bits is None


# Measuring


def test_times_are_those_of_an_iteration(bind, monkeypatch):
    """Engines that take 1 and 4 ms for it; a round takes 50 ms."""
    monkeypatch.setattr(timings, "ROUND_SECONDS", 0.05)

    def sleep(real, engine, examples, params, *, backend, threads):
        def descend(state, iterations, numbers):
            time.sleep(iterations * {"eager": 0.004, "compiled": 0.001}[engine])
            return state

        return Descending(descend)

    bind(sleep)
    found = timings.compare(5, START, [Contender(CPU, "eager"), Contender(CPU, "compiled")])
    assert 0.004 <= found.seconds["numpy eager"] < 0.02
    assert 0.001 <= found.seconds["numpy compiled"] < 0.01


def test_contenders_take_turns_on_the_same_data(bind):
    calls, data = [], []

    def note(real, engine, examples, params, *, backend, threads):
        data.append(tuple(map(backend.to_numpy, examples.arrays().values())))

        def descend(state, iterations, numbers):
            calls.append(backend.name)
            return state

        return Descending(descend)

    bind(note)
    found = timings.compare(30, START, [Contender(CPU, "eager"), Contender(STRICT, "eager")])
    assert calls == ["numpy", "strict"] + ["numpy", "strict"] * 2  # the check, then two rounds
    for X, y in data:
        expected = nn.simulate_marks(30)
        np.testing.assert_array_equal(X, expected[0])
        np.testing.assert_array_equal(y, expected[1])
    assert found.rows == 30


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_options_reach_the_engines(run_here, bind, dtype):
    bound = []

    def note(real, engine, examples, params, *, backend, threads):
        bound.append(
            (engine, {str(array.dtype) for array in (*examples.arrays().values(), *params)}, params.w1.shape, threads)
        )
        return real(engine, examples, params, backend=backend, threads=threads)

    bind(note)
    assert run_here("--rows", "5", "--dtype", dtype, "--hidden", "2", "--threads", "3").code == 0
    expected = [("eager", 3), ("compiled", 3), ("compiled", 1)]  # the last for its bits
    assert bound == [(engine, {dtype}, (2, 3), threads) for engine, threads in expected]


def test_the_median_of_the_rounds_is_given(monkeypatch):
    times = iter([9.0, 1.0, 2.0])
    monkeypatch.setattr(timings, "ROUNDS", 3)
    monkeypatch.setattr(timings, "_time_iteration", lambda advance: next(times))
    assert timings.compare(5, START, [Contender(CPU, "eager")]).seconds == {"numpy eager": 2.0}


def test_rounds_start_once_the_machine_has_settled(bind, monkeypatch):
    """What takes long enough at once is repeated for as long as is asked, and the last time counts."""
    monkeypatch.setattr(timings, "SETTLE_SECONDS", 0.15)
    monkeypatch.setattr(timings, "ROUNDS", 1)
    begun = []

    def slow_at_first(real, engine, examples, params, *, backend, threads):
        def descend(state, iterations, numbers):
            begun.append(time.monotonic())
            time.sleep(0.06 if begun[-1] - begun[0] < 0.1 else 0.001)
            return state

        return Descending(descend)

    bind(slow_at_first)
    assert timings.compare(5, START, [Contender(CPU, "eager")]).seconds["numpy eager"] < 0.05


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.00123456, "1.23 ms"),
        (2.19e-7, "0.219 µs"),
        (1e-6, "1 µs"),
        (0.000999, "999 µs"),
        (0.001, "1 ms"),
        (0.9987, "999 ms"),
        (1.0, "1 s"),
        (12.345, "12.3 s"),
        (0.0009996, "1 ms"),
        (0.9996, "1 s"),
    ],
)
def test_a_time_has_three_digits_and_a_unit(seconds, text):
    assert format_seconds(seconds) == text


# From which size on the GPU pays


def comparisons(*times: tuple[float | None, float | None]) -> list[Comparison]:
    """Give comparisons at 1, 2, ... rows from pairs of seconds: on the CPU and on the GPU."""
    return [
        Comparison(rows, {"numpy eager": on_cpu, "cupy:0 eager": on_gpu}, 0.1, None)
        for rows, (on_cpu, on_gpu) in enumerate(times, start=1)
    ]


PAYS = {  # without memory; test_pays_from_is_what_its_words_say has what is measured
    "the CPU has none": ([(1, 2), (None, 2)], 2),
    "the CPU never has any": ([(None, 2)], 1),
    "the GPU has none": ([(2, 1), (2, None)], None),
    "neither has any": ([(None, None)], None),
    "nothing measured": ([], None),
    "the larger size decides nothing": ([(1, 2), (2, 1), (None, None)], 2),
    "the larger sizes decide nothing": ([(1, 2), (None, 1), (None, None), (None, None)], 2),
    "nor where the GPU was slower": ([(2, 1), (1, 2), (None, None)], None),
}


@pytest.mark.parametrize(("times", "rows"), PAYS.values(), ids=PAYS)
def test_the_gpu_pays_from(times, rows):
    assert pays_from(comparisons(*times), "cupy:0") == rows


def test_the_faster_engine_of_each_counts():
    times = {"numpy eager": 9.0, "numpy compiled": 2.0, "cupy:1 eager": 3.0, "cupy:1 compiled": 1.0}
    assert pays_from([Comparison(5, times, 0.1, None)], "cupy:1") == 5
    assert pays_from([Comparison(5, {**times, "cupy:1 compiled": None}, 0.1, None)], "cupy:1") is None
    assert pays_from([Comparison(5, {**times, "numpy compiled": None}, 0.1, None)], "cupy:1") == 5
    assert pays_from([Comparison(5, {"cupy:10 eager": 1.0, "cupy:1 eager": 2.0}, 0.1, None)], "cupy:1") is None


def test_pays_from_is_what_its_words_say():
    """The smallest size from which on, at each size, the GPU is faster."""
    draw = random.Random(8)
    for _ in range(500):
        times = [(draw.randint(1, 3), draw.randint(1, 3)) for _ in range(draw.randint(1, 5))]
        faster = [on_gpu < on_cpu for on_cpu, on_gpu in times]
        sizes = [rows for rows in range(1, len(times) + 1) if all(faster[rows - 1 :])]
        assert pays_from(comparisons(*times), "cupy:0") == (min(sizes) if sizes else None)


# With a GPU, played or real


def check_table_with(backend: Backend, done: Measured, engine_names: list[str]) -> None:
    assert (done.code, done.err) == (0, "")
    numpy, other = done.out.splitlines()[:2]
    assert numpy.startswith("numpy: device cpu, ")
    assert other.startswith(f"{backend.name}: device {backend.device_name}")
    assert "Only engines of the CPU" not in done.out
    names = [*(f"{backend.name} {engine}" for engine in engine_names), "transfer to the GPU"]
    for row, rows in zip(done.table, ["5", "2,000"], strict=True):
        assert list(row) == ["rows", "numpy eager", "numpy compiled", *names, "same bits"]
        assert (row["rows"], row["same bits"]) == (rows, "yes")
        assert all(seconds_of(row[name]) > 0 for name in names)
    closing = r"\n\nThe GPU pays (at none of these sizes|from (5|2,000) rows on) \(the faster engine of each, .*\)\.\n"
    assert re.search(closing + r"\Z", done.out)


def test_a_table_with_a_gpu(run_here, gpu):
    check_table_with(gpu, run_here("--rows", "5,2000"), ["eager"])


def test_json_with_a_gpu_agrees_with_itself(run_here, gpu, folder):
    done = run_here("--rows", "5,2000", "--json", "--plot", "times.svg")
    assert (done.code, done.err) == (0, "")
    document = json.loads(done.out)
    assert list(document["machines"]) == ["numpy", gpu.name]
    assert document["machines"][gpu.name] == {"device": gpu.device_name}
    assert document["no_gpu"] is None
    pays = None
    for measured in reversed(document["comparisons"]):
        seconds = measured["seconds"]
        assert list(seconds) == ["numpy eager", "numpy compiled", f"{gpu.name} eager"]
        assert measured["transfer_seconds"] > 0
        if seconds[f"{gpu.name} eager"] >= min(seconds["numpy eager"], seconds["numpy compiled"]):
            break
        pays = measured["rows"]
    assert document["gpu_pays_from_rows"] == pays
    assert f"<!-- {gpu.name} eager -->" in Path("times.svg").read_text(encoding="utf-8")


SCRIPT = {
    100: Comparison(100, {"numpy eager": 2.5e-5, "numpy compiled": 1e-6, "strict eager": 1e-4}, 2e-6, True),
    1000: Comparison(1000, {"numpy eager": 1e-4, "numpy compiled": 1.5e-4, "strict eager": 9.9e-5}, 2e-5, False),
    20000: Comparison(20000, {"numpy eager": 1.25, "numpy compiled": None, "strict eager": 0.002}, 3e-4, None),
}


@pytest.mark.parametrize(
    ("sizes", "pays"),
    [
        ("100,1000,20000", "from 1,000 rows on"),
        ("20000", "from 20,000 rows on"),
        ("100", "at none of these sizes"),
    ],
)
def test_the_table_shows_what_was_measured(run_here, monkeypatch, sizes, pays):
    play(monkeypatch, STRICT)
    monkeypatch.setattr(compare, "compare", lambda rows, start, contenders, threads: SCRIPT[rows])
    done = run_here("--rows", sizes)
    expected = {
        "100": ["100", "25 µs", "1 µs", "100 µs", "2 µs", "yes"],
        "1000": ["1,000", "100 µs", "150 µs", "99 µs", "20 µs", "NO"],
        "20000": ["20,000", "1.25 s", "out of memory", "2 ms", "300 µs", ""],
    }
    assert [list(row.values()) for row in done.table] == [expected[size] for size in sizes.split(",")]
    assert done.out.endswith(f"\n\nThe GPU pays {pays} (the faster engine of each, transfer not counted).\n")


def test_transfers_are_timed_and_waited_for(monkeypatch):
    """A device that takes 2 ms for an array, and is asked whether it is done."""
    asked = []

    class Slow(Backend):
        def asarray(self, values, dtype=None):
            time.sleep(0.002)
            return super().asarray(values, dtype)

        def synchronize(self):
            asked.append(True)

    slow = Slow("slow", STRICT.xp, STRICT.device, "slow", STRICT.host)
    found = timings.compare(5, START, [Contender(CPU, "eager"), Contender(slow, "eager")])
    assert 0.004 <= found.transfer_seconds < 0.1
    assert asked
    assert math.isfinite(found.seconds["slow eager"])


def test_a_table_of_a_real_gpu(run_here):
    backend = require_gpu()
    check_table_with(backend, run_here("--rows", "5,2000"), ["eager", "compiled"])
